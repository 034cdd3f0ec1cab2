//! Breaches of the protocol, in Redis' words. After one the connection is answered and closed:
//! where the next command starts is unknown.

use std::fmt;

/// What the client did wrong. `Display` is the text without the `ERR` code.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ProtocolError {
    /// `*` was not followed by an acceptable number.
    InvalidMultibulkLength,
    /// More arguments than a client may send before it has authenticated.
    UnauthenticatedMultibulkLength,
    /// The line after `*` does not end.
    TooBigMultibulkCount,
    /// An argument did not start with `$`.
    ExpectedDollar(u8),
    /// `$` was not followed by an acceptable length.
    InvalidBulkLength,
    /// A longer argument than a client may send before it has authenticated.
    UnauthenticatedBulkLength,
    /// The line after `$` does not end.
    TooBigBulkCount,
    /// An inline command's line does not end.
    TooBigInline,
    /// An inline command with an odd quote.
    UnbalancedQuotes,
    /// One command of 4 GiB or more.
    CommandTooBig,
}

impl ProtocolError {
    fn reason(self) -> &'static str {
        match self {
            Self::InvalidMultibulkLength => "invalid multibulk length",
            Self::UnauthenticatedMultibulkLength => "unauthenticated multibulk length",
            Self::TooBigMultibulkCount => "too big mbulk count string",
            Self::ExpectedDollar(_) => "expected '$', got '",
            Self::InvalidBulkLength => "invalid bulk length",
            Self::UnauthenticatedBulkLength => "unauthenticated bulk length",
            Self::TooBigBulkCount => "too big bulk count string",
            Self::TooBigInline => "too big inline request",
            Self::UnbalancedQuotes => "unbalanced quotes in request",
            Self::CommandTooBig => "command of 4 GiB or more",
        }
    }

    /// Appends the whole error reply. Bytes, not text: the offending byte goes out as it came,
    /// a line end as a space.
    pub fn write_reply(self, out: &mut Vec<u8>) {
        out.extend_from_slice(b"-ERR Protocol error: ");
        out.extend_from_slice(self.reason().as_bytes());
        if let Self::ExpectedDollar(got) = self {
            out.push(if got == b'\r' || got == b'\n' { b' ' } else { got });
            out.push(b'\'');
        }
        out.extend_from_slice(b"\r\n");
    }
}

impl fmt::Display for ProtocolError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Protocol error: {}", self.reason())?;
        if let Self::ExpectedDollar(got) = self {
            write!(f, "{}'", got.escape_ascii())?;
        }
        Ok(())
    }
}

impl std::error::Error for ProtocolError {}
