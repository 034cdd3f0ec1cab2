//! What a client is told when a command cannot be done: Redis' exact texts.

use std::{borrow::Cow, fmt};

/// An error reply, without the leading `-`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CommandError(Cow<'static, [u8]>);

impl fmt::Display for CommandError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&String::from_utf8_lossy(&self.0))
    }
}

impl CommandError {
    /// A fixed text.
    pub const fn new(text: &'static str) -> Self {
        Self(Cow::Borrowed(text.as_bytes()))
    }

    /// A text made for the occasion.
    pub fn owned(text: String) -> Self {
        Self(Cow::Owned(text.into_bytes()))
    }

    /// A text that quotes what the client has sent, as [`quoted`] shows it.
    pub fn quoting(before: &str, bytes: &[u8], behind: &str) -> Self {
        let shown = quoted(bytes, usize::MAX);
        Self(Cow::Owned([before.as_bytes(), shown, behind.as_bytes()].concat()))
    }

    /// A text of any bytes.
    pub fn of_bytes(text: Vec<u8>) -> Self {
        Self(Cow::Owned(text))
    }

    /// `ERR syntax error`
    pub const SYNTAX: Self = Self::new("ERR syntax error");
    /// `ERR value is not an integer or out of range`
    pub const NOT_AN_INTEGER: Self = Self::new("ERR value is not an integer or out of range");
    /// `ERR value is not a valid float`
    pub const NOT_A_FLOAT: Self = Self::new("ERR value is not a valid float");
    /// `ERR no such key`
    pub const NO_SUCH_KEY: Self = Self::new("ERR no such key");
    /// `WRONGTYPE ...`
    pub const WRONG_TYPE: Self =
        Self::new("WRONGTYPE Operation against a key holding the wrong kind of value");

    /// `OOM ...`
    pub const OUT_OF_MEMORY: Self =
        Self::new("OOM command not allowed when used memory > 'maxmemory'.");

    /// `ERR wrong number of arguments for 'x' command`
    pub fn arity(name: &str) -> Self {
        Self::owned(format!("ERR wrong number of arguments for '{name}' command"))
    }

    /// `ERR unknown subcommand 'x'. Try NAME HELP.`
    pub fn unknown_subcommand(sub: &[u8], container: &str) -> Self {
        let behind = format!("'. Try {container} HELP.");
        Self::quoting("ERR unknown subcommand '", &sub[..sub.len().min(128)], &behind)
    }

    /// The reply text.
    pub fn text(&self) -> &[u8] {
        &self.0
    }

    /// Its first word, which programs go by: `ERR`, `WRONGTYPE`, `MISCONF` ...
    pub fn code(&self) -> &str {
        let word = self.0.split(|&b| b == b' ').next().unwrap_or_default();
        std::str::from_utf8(word).unwrap_or("ERR")
    }
}

/// What Redis shows of these bytes in an error, where it formats C strings of at most `limit`
/// bytes: any bytes, but none from the first zero on.
pub fn quoted(bytes: &[u8], limit: usize) -> &[u8] {
    let shown = &bytes[..bytes.len().min(limit)];
    shown.split(|&b| b == 0).next().unwrap_or_default()
}

/// How many errors there were of each code, or of each command. Those that err are few, so a
/// list does.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ErrorCounts(Vec<(String, u64)>);

impl ErrorCounts {
    /// Adds `n` errors of one code (or command).
    #[cold]
    pub fn add(&mut self, code: &str, n: u64) {
        match self.0.iter_mut().find(|(known, _)| known == code) {
            Some((_, count)) => *count += n,
            None => self.0.push((code.to_owned(), n)),
        }
    }

    /// Adds all of another list.
    pub fn merge(&mut self, other: &ErrorCounts) {
        for (code, n) in &other.0 {
            self.add(code, *n);
        }
    }

    /// Errors of one code (or command).
    pub fn of(&self, code: &str) -> u64 {
        self.0.iter().find(|(known, _)| known == code).map_or(0, |(_, n)| *n)
    }

    /// Errors of all codes.
    pub fn total(&self) -> u64 {
        self.0.iter().map(|(_, n)| n).sum()
    }

    /// Codes and counts, by code.
    pub fn sorted(&self) -> Vec<(&str, u64)> {
        let mut all: Vec<(&str, u64)> =
            self.0.iter().map(|(code, n)| (code.as_str(), *n)).collect();
        all.sort_unstable();
        all
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errors_are_counted_by_their_first_word() {
        let mut counts = ErrorCounts::default();
        for error in [CommandError::SYNTAX, CommandError::WRONG_TYPE, CommandError::NO_SUCH_KEY] {
            counts.add(error.code(), 1);
        }
        let mut all = ErrorCounts::default();
        all.merge(&counts);
        all.merge(&counts);
        assert_eq!(all.sorted(), [("ERR", 4), ("WRONGTYPE", 2)]);
        assert_eq!((counts.total(), all.total()), (3, 6));
    }
}
