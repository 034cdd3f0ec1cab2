//! What a client is told when a command cannot be done: Redis' exact texts.

use std::borrow::Cow;

/// An error reply, without the leading `-`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CommandError(pub Cow<'static, str>);

impl CommandError {
    /// A fixed text.
    pub const fn new(text: &'static str) -> Self {
        Self(Cow::Borrowed(text))
    }

    /// A text made for the occasion.
    pub fn owned(text: String) -> Self {
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

    /// `ERR wrong number of arguments for 'x' command`
    pub fn arity(name: &str) -> Self {
        Self::owned(format!("ERR wrong number of arguments for '{name}' command"))
    }

    /// The reply text.
    pub fn text(&self) -> &str {
        &self.0
    }
}
