//! What connections ask, how it is sent, and what one Redis alone would answer.
//!
//! Keys are small numbers and values are numbers, so that a state is a few words.

use crate::support::{
    client::{Client, Reply},
    load::Dice,
};
use std::io;

/// Keys of one history.
pub const KEYS: usize = 12;

/// The values of all keys; `None`: absent.
pub type State = [Option<i64>; KEYS];

/// One command, or one transaction.
#[derive(Debug, Clone, PartialEq)]
pub enum Operation {
    /// GET
    Get(u8),
    /// SET
    Set(u8, i64),
    /// INCR
    Increment(u8),
    /// DEL
    Delete(Vec<u8>),
    /// MGET
    Values(Vec<u8>),
    /// MSET
    Pairs(Vec<(u8, i64)>),
    /// EXISTS
    Count(Vec<u8>),
    /// RENAME
    Rename(u8, u8),
    /// COPY .. REPLACE
    Copy(u8, u8),
    /// LCS .. LEN: a read that needs both values in one place.
    Common(u8, u8),
    /// MULTI .. EXEC
    Transaction(Vec<Operation>),
    /// EVAL: the value of the first key moves to the second; both as they were before.
    Script(u8, u8),
}

/// What is answered.
#[derive(Debug, Clone, PartialEq)]
pub enum Answer {
    /// +OK
    Done,
    /// An error.
    Refused,
    /// An integer.
    Number(i64),
    /// A value or a null.
    Value(Option<i64>),
    /// Several.
    List(Vec<Answer>),
}

const SCRIPT: &str = "local a, b = redis.call('GET', KEYS[1]), redis.call('GET', KEYS[2]) \
                      if a then redis.call('SET', KEYS[2], a) redis.call('DEL', KEYS[1]) end \
                      return {a, b}";

impl Operation {
    /// The keys it names.
    pub fn keys(&self) -> Vec<u8> {
        match self {
            Self::Get(key) | Self::Set(key, _) | Self::Increment(key) => vec![*key],
            Self::Delete(keys) | Self::Values(keys) | Self::Count(keys) => keys.clone(),
            Self::Pairs(pairs) => pairs.iter().map(|(key, _)| *key).collect(),
            Self::Rename(a, b) | Self::Copy(a, b) | Self::Common(a, b) | Self::Script(a, b) => {
                vec![*a, *b]
            }
            Self::Transaction(list) => list.iter().flat_map(Self::keys).collect(),
        }
    }

    /// Does it to a state; the answer.
    pub fn apply(&self, state: &mut State) -> Answer {
        let at = |key: &u8| usize::from(*key);
        match self {
            Self::Get(key) => Answer::Value(state[at(key)]),
            Self::Set(key, value) => {
                state[at(key)] = Some(*value);
                Answer::Done
            }
            Self::Increment(key) => {
                let value = state[at(key)].unwrap_or(0) + 1;
                state[at(key)] = Some(value);
                Answer::Number(value)
            }
            Self::Delete(keys) => {
                let gone = keys.iter().filter(|key| state[at(key)].take().is_some());
                Answer::Number(gone.count() as i64)
            }
            Self::Values(keys) => {
                Answer::List(keys.iter().map(|key| Answer::Value(state[at(key)])).collect())
            }
            Self::Pairs(pairs) => {
                pairs.iter().for_each(|(key, value)| state[at(key)] = Some(*value));
                Answer::Done
            }
            Self::Count(keys) => {
                Answer::Number(keys.iter().filter(|key| state[at(key)].is_some()).count() as i64)
            }
            Self::Rename(from, to) => match state[at(from)].take() {
                Some(value) => {
                    state[at(to)] = Some(value);
                    Answer::Done
                }
                None => Answer::Refused,
            },
            Self::Copy(from, to) => match state[at(from)] {
                Some(value) => {
                    state[at(to)] = Some(value);
                    Answer::Number(1)
                }
                None => Answer::Number(0),
            },
            Self::Common(a, b) => Answer::Number(common(state[at(a)], state[at(b)])),
            Self::Transaction(list) => {
                Answer::List(list.iter().map(|operation| operation.apply(state)).collect())
            }
            Self::Script(from, to) => {
                let before = [state[at(from)], state[at(to)]];
                if let Some(value) = state[at(from)].take() {
                    state[at(to)] = Some(value);
                }
                Answer::List(before.map(Answer::Value).to_vec())
            }
        }
    }

    /// Sends it and waits for the answer; `world` tells its keys from those of other histories.
    pub fn ask(&self, client: &mut Client, world: u64) -> io::Result<Answer> {
        if let Self::Transaction(list) = self {
            client.try_ask(&["MULTI"])?;
            for operation in list {
                client.try_ask(&operation.words(world))?;
            }
            return Ok(answer(client.try_ask(&["EXEC"])?));
        }
        Ok(answer(client.try_ask(&self.words(world))?))
    }

    fn words(&self, world: u64) -> Vec<String> {
        let name = |key: &u8| format!("history:{world}:{key}");
        let mut words: Vec<String> = Vec::new();
        match self {
            Self::Get(key) => words.extend(["GET".into(), name(key)]),
            Self::Set(key, value) => words.extend(["SET".into(), name(key), value.to_string()]),
            Self::Increment(key) => words.extend(["INCR".into(), name(key)]),
            Self::Delete(keys) | Self::Values(keys) | Self::Count(keys) => {
                words.push(
                    match self {
                        Self::Delete(_) => "DEL",
                        Self::Values(_) => "MGET",
                        _ => "EXISTS",
                    }
                    .into(),
                );
                words.extend(keys.iter().map(name));
            }
            Self::Pairs(pairs) => {
                words.push("MSET".into());
                words.extend(pairs.iter().flat_map(|(key, value)| [name(key), value.to_string()]));
            }
            Self::Rename(a, b) => words.extend(["RENAME".into(), name(a), name(b)]),
            Self::Copy(a, b) => {
                words.extend(["COPY".into(), name(a), name(b), "REPLACE".into()]);
            }
            Self::Common(a, b) => words.extend(["LCS".into(), name(a), name(b), "LEN".into()]),
            Self::Script(a, b) => {
                words.extend(["EVAL".into(), SCRIPT.into(), "2".into(), name(a), name(b)]);
            }
            Self::Transaction(_) => unreachable!("transactions are not nested"),
        }
        words
    }

    /// Any operation on some of the three keys from `first` on. `fresh` has not been written yet.
    pub fn random(dice: &mut Dice, first: u8, fresh: i64, scripts: bool) -> Self {
        let mut keys: Vec<u8> = (first..first + 3).collect();
        (0..2).for_each(|_| keys.rotate_left(dice.roll(3) as usize));
        if dice.roll(2) == 0 {
            keys.swap(0, 1);
        }
        let (a, b) = (keys[0], keys[1]);
        let some = keys[..2 + dice.roll(2) as usize].to_vec();
        let pairs = || some.iter().map(|key| (*key, fresh)).collect();
        let single = |dice: &mut Dice, key: u8| match dice.roll(3) {
            0 => Self::Get(key),
            1 => Self::Set(key, fresh),
            _ => Self::Increment(key),
        };
        match dice.roll(20) {
            0..3 => single(dice, a),
            3 | 4 => Self::Set(a, fresh),
            5..9 => Self::Values(some),
            9 | 10 => Self::Pairs(pairs()),
            11 => Self::Count(some),
            12 => Self::Rename(a, b),
            13 => Self::Copy(a, b),
            14 => Self::Common(a, b),
            15 => Self::Delete(some),
            16 if scripts => Self::Script(a, b),
            _ => Self::Transaction(some.iter().map(|key| single(dice, *key)).collect()),
        }
    }
}

/// Length of the longest common subsequence of two values as text.
fn common(a: Option<i64>, b: Option<i64>) -> i64 {
    let text = |value: Option<i64>| value.map(|value| value.to_string()).unwrap_or_default();
    let (a, b) = (text(a).into_bytes(), text(b).into_bytes());
    let mut row = vec![0; b.len() + 1];
    for left in &a {
        let mut diagonal = 0;
        for (at, right) in b.iter().enumerate() {
            let above = row[at + 1];
            row[at + 1] = if left == right { diagonal + 1 } else { above.max(row[at]) };
            diagonal = above;
        }
    }
    row[b.len()]
}

fn answer(reply: Reply) -> Answer {
    match reply {
        Reply::Simple(text) if text == "OK" => Answer::Done,
        Reply::Error(text) if text.starts_with("ERR no such key") => Answer::Refused,
        Reply::Int(number) => Answer::Number(number),
        Reply::Null => Answer::Value(None),
        Reply::Bulk(bytes) => {
            let text = String::from_utf8(bytes).expect("values are numbers");
            Answer::Value(Some(text.parse().expect("values are numbers")))
        }
        Reply::Array(replies) => Answer::List(replies.into_iter().map(answer).collect()),
        other => panic!("nothing answers so: {other:?}"),
    }
}
