//! `save`: after how many seconds and changes an RDB file is written by itself.

use std::fmt;

/// One save point.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SavePoint {
    /// Seconds since the last RDB file.
    pub seconds: u64,
    /// Changes of keys since then.
    pub changes: u64,
}

/// Redis' own.
const USUAL: &[SavePoint] = &[
    SavePoint { seconds: 3600, changes: 1 },
    SavePoint { seconds: 300, changes: 100 },
    SavePoint { seconds: 60, changes: 10_000 },
];

/// All of them; None: nobody has said anything.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct SavePoints(Option<Vec<SavePoint>>);

impl SavePoints {
    /// Those in force. Where nobody has said anything: Redis' own without a log; with one, none,
    /// since the log has everything already.
    pub fn in_force(&self, appendonly: bool) -> &[SavePoint] {
        match &self.0 {
            Some(points) => points,
            None if appendonly => &[],
            None => USUAL,
        }
    }

    /// True when somebody has said which there are.
    pub fn are_said(&self) -> bool {
        self.0.is_some()
    }

    /// From the words of a line or of CONFIG SET; with `add` they are added to what earlier lines
    /// said.
    ///
    /// # Errors
    /// Redis' text.
    pub(super) fn set(&mut self, words: &[&str], add: bool) -> Result<(), String> {
        let wrong = || "Invalid save parameters".to_owned();
        if words == [""] {
            self.0 = Some(Vec::new());
            return Ok(());
        }
        let (pairs, rest) = words.as_chunks::<2>();
        if !rest.is_empty() || pairs.is_empty() {
            return Err(wrong());
        }
        let number = |word: &str, least| {
            word.parse::<u64>().ok().filter(|n| (least..=i32::MAX as u64).contains(n))
        };
        let mut points = if add { self.0.take().unwrap_or_default() } else { Vec::new() };
        for [seconds, changes] in pairs {
            let seconds = number(seconds, 1).ok_or_else(wrong)?;
            let changes = number(changes, 0).ok_or_else(wrong)?;
            points.push(SavePoint { seconds, changes });
        }
        self.0 = Some(points);
        Ok(())
    }
}

impl fmt::Display for SavePoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.seconds, self.changes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_add_up_and_an_empty_one_takes_all_back() {
        let mut points = SavePoints::default();
        assert_eq!(points.in_force(true), []);
        assert_eq!(points.in_force(false).len(), 3);
        points.set(&["60", "5"], true).unwrap();
        points.set(&["10", "1", "20", "0"], true).unwrap();
        let shown: Vec<String> = points.in_force(true).iter().map(ToString::to_string).collect();
        assert_eq!(shown, ["60 5", "10 1", "20 0"]);
        points.set(&[""], true).unwrap();
        assert_eq!(points.in_force(false), []);
        for wrong in [&["1"][..], &["0", "1"], &["1", "-1"], &["a", "1"], &[]] {
            assert!(points.set(wrong, false).is_err(), "{wrong:?}");
        }
    }
}
