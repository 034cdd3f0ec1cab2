//! Looks ahead over bytes that have not been parsed yet, for the argument that usually is the key.
//!
//! A guess for warming caches, no parser: it follows well-formed commands with short arguments
//! and stops at anything else. Nothing may depend on what it says.

use super::request::short_length;

/// The second argument of command after command, from the start of a command on.
#[derive(Debug, Clone)]
pub struct Peek<'b> {
    rest: &'b [u8],
    /// Arguments of the current command in front of `rest`.
    behind: u32,
}

impl<'b> Peek<'b> {
    /// Over the commands at the start of `bytes`.
    #[inline]
    pub fn new(bytes: &'b [u8]) -> Self {
        Self { rest: bytes, behind: 0 }
    }

    /// Bytes that have not been looked at.
    #[inline]
    pub fn rest(&self) -> usize {
        self.rest.len()
    }

    /// Takes the argument at the start of `rest`.
    #[inline]
    fn argument(&mut self) -> Option<&'b [u8]> {
        if *self.rest.first()? != b'$' {
            return None;
        }
        let (len, start) = short_length(self.rest, 1)?;
        let end = start + len as usize;
        let argument = self.rest.get(start..end)?;
        self.rest = self.rest.get(end + 2..).unwrap_or_default();
        Some(argument)
    }
}

impl<'b> Iterator for Peek<'b> {
    type Item = &'b [u8];

    /// The next command's second argument, empty where there is none.
    #[inline]
    fn next(&mut self) -> Option<&'b [u8]> {
        while self.behind > 0 {
            self.argument()?;
            self.behind -= 1;
        }
        if *self.rest.first()? != b'*' {
            return None;
        }
        let (count, start) = short_length(self.rest, 1)?;
        self.rest = &self.rest[start..];
        self.argument()?;
        if count == 1 {
            return Some(b"");
        }
        let second = self.argument()?;
        self.behind = count - 2;
        Some(second)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sees_the_key_of_every_whole_command_and_stops_where_it_cannot_follow() {
        let bytes = b"*3\r\n$3\r\nSET\r\n$2\r\nk1\r\n$5\r\nva*ue\r\n*1\r\n$4\r\nPING\r\n\
                      *2\r\n$3\r\nGET\r\n$2\r\nk2\r\n*2\r\n$3\r\nGET\r\n$9\r\nk3";
        assert_eq!(Peek::new(bytes).collect::<Vec<_>>(), [&b"k1"[..], b"", b"k2"]);
        for nonsense in [&b""[..], b"GET a\r\n", b"*", b"*2\r\n", b"*2\r\n$x", b"*2\r\n$3\r\nGET"] {
            assert_eq!(Peek::new(nonsense).next(), None);
        }
    }

    #[test]
    fn never_panics_wherever_the_bytes_end() {
        let bytes = b"*3\r\n$3\r\nSET\r\n$2\r\nk1\r\n$5\r\nvalue\r\n*2\r\n$3\r\nGET\r\n$1\r\nk\r\n";
        for end in 0..=bytes.len() {
            for start in 0..=end {
                let _ = Peek::new(&bytes[start..end]).count();
            }
        }
    }
}
