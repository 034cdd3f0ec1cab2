//! What a key may hold after a crash, and what it must not.
//!
//! Every key is written by one connection only, so its states form one sequence. Of that sequence
//! the model keeps everything since the last restart, and how far the server has acknowledged.
//! After a crash the key must hold one of the states from the last acknowledged to the last
//! issued; under `always` it must not be older than what any reader saw.

use std::collections::HashMap;

/// What a key holds: nothing, or a value and perhaps a deadline (Unix time, ms).
pub type State = Option<(Vec<u8>, Option<i64>)>;

/// One key.
#[derive(Debug, Clone)]
pub struct Key {
    /// States since the last restart; the first is what was recovered.
    history: Vec<State>,
    /// The last acknowledged of them.
    acknowledged: usize,
}

impl Default for Key {
    fn default() -> Self {
        Self { history: vec![None], acknowledged: 0 }
    }
}

/// What one reader saw of a key: the last value, and whether it was gone after that.
#[derive(Debug, Clone, Default)]
pub struct Seen {
    /// The last value seen.
    pub value: Option<Vec<u8>>,
    /// True when the key was absent later.
    pub then_absent: bool,
}

impl Seen {
    /// Takes another look into account.
    pub fn look(&mut self, value: Option<Vec<u8>>) {
        match value {
            Some(value) => *self = Self { value: Some(value), then_absent: false },
            None => self.then_absent = true,
        }
    }
}

impl Key {
    /// What it holds once everything issued has been done.
    pub fn latest(&self) -> &State {
        self.history.last().expect("a history is never empty")
    }

    /// A write that leads to `state` is on its way.
    pub fn issue(&mut self, state: State) {
        self.history.push(state);
    }

    /// The oldest write not yet acknowledged has been.
    pub fn acknowledge(&mut self) {
        self.acknowledged += 1;
        assert!(self.acknowledged < self.history.len(), "more replies than requests");
    }

    /// The newest state equal to `found` that is allowed after a crash.
    fn allowed(&self, found: &State) -> Option<usize> {
        (self.acknowledged..self.history.len()).rev().find(|&i| self.history[i] == *found)
    }

    /// The oldest state a reader can have meant.
    fn meant(&self, seen: &Seen) -> usize {
        let is_value = |state: &State| state.as_ref().map(|s| &s.0) == seen.value.as_ref();
        let value = if seen.value.is_some() {
            self.history.iter().position(is_value).unwrap_or(0)
        } else {
            0
        };
        if seen.then_absent {
            let later = self.history[value..].iter().position(Option::is_none);
            later.map_or(value, |n| value + n)
        } else {
            value
        }
    }

    /// Compares with what was found after a crash, and goes on from there.
    ///
    /// # Errors
    /// What is wrong, in words.
    pub fn recovered(&mut self, found: State, seen: &[Seen]) -> Result<(), String> {
        let Some(index) = self.allowed(&found) else {
            return Err(format!(
                "holds {}, but {} was acknowledged ({} writes before, {} issued after)",
                show(&found),
                show(&self.history[self.acknowledged]),
                self.acknowledged,
                self.history.len() - 1 - self.acknowledged
            ));
        };
        if let Some(meant) = seen.iter().map(|s| self.meant(s)).max()
            && meant > index
        {
            let gone = show(&self.history[meant]);
            return Err(format!("holds {}, but a reader saw {gone}", show(&found)));
        }
        *self = Self { history: vec![found], acknowledged: 0 };
        Ok(())
    }
}

fn show(state: &State) -> String {
    match state {
        None => "nothing".to_owned(),
        Some((value, deadline)) => {
            let tail = String::from_utf8_lossy(&value[value.len().saturating_sub(40)..]);
            format!("'{tail}' ({} bytes, deadline {deadline:?})", value.len())
        }
    }
}

/// All keys of one writer.
pub type Keys = HashMap<String, Key>;

mod the_model_itself {
    use super::{Key, Seen, State};

    fn value(text: &str) -> State {
        Some((text.as_bytes().to_vec(), None))
    }

    fn key(states: &[State], acknowledged: usize) -> Key {
        let mut key = Key::default();
        states.iter().for_each(|s| key.issue(s.clone()));
        (0..acknowledged).for_each(|_| key.acknowledge());
        key
    }

    #[test]
    fn acknowledged_or_later_is_right_and_older_is_wrong() {
        let states = [value("1"), value("2"), value("3")];
        assert!(key(&states, 1).recovered(None, &[]).is_err());
        for (found, right) in [("1", false), ("2", true), ("3", true), ("4", false)] {
            assert_eq!(key(&states, 2).recovered(value(found), &[]).is_ok(), right, "{found}");
        }
        let deadline = Some((b"2".to_vec(), Some(7)));
        assert!(key(&states, 2).recovered(deadline, &[]).is_err());
    }

    #[test]
    fn what_a_reader_saw_must_not_be_gone() {
        let states = [value("1"), None, value("2"), None];
        let mut seen = Seen::default();
        seen.look(Some(b"1".to_vec()));
        assert!(key(&states, 0).recovered(None, &[seen.clone()]).is_ok());
        seen.look(Some(b"2".to_vec()));
        assert!(key(&states, 0).recovered(value("1"), &[seen.clone()]).is_err());
        assert!(key(&states, 0).recovered(value("2"), &[seen.clone()]).is_ok());
        seen.look(None);
        assert!(key(&states, 0).recovered(value("2"), &[seen]).is_err());
    }
}
