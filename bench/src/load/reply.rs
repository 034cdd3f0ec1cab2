//! Finds the ends of replies in a stream of bytes, without looking at what they say, except that
//! errors are noticed. RESP2 and the parts of RESP3 a server may send to a RESP2 client: none.

/// What a whole reply is.
#[derive(Debug, PartialEq, Eq)]
pub enum Kind<'a> {
    /// Anything but the others.
    Value,
    /// A null: the key was not there.
    Null,
    /// An error with its text.
    Error(&'a [u8]),
}

/// Cuts the bytes of one connection into replies; keeps an incomplete rest.
#[derive(Debug, Default)]
pub struct ReplyCutter {
    rest: Vec<u8>,
}

impl ReplyCutter {
    /// Takes the next bytes of the connection and tells `each` of every reply they complete.
    pub fn feed(&mut self, bytes: &[u8], each: impl FnMut(Kind<'_>)) {
        if self.rest.is_empty() {
            // The usual case: replies arrive whole, nothing is copied.
            let used = cut(bytes, each);
            self.rest.extend_from_slice(&bytes[used..]);
        } else {
            self.rest.extend_from_slice(bytes);
            let used = cut(&self.rest, each);
            self.rest.drain(..used);
        }
    }
}

/// Names the whole replies at the front of `bytes`; returns how long they are together.
fn cut(bytes: &[u8], mut each: impl FnMut(Kind<'_>)) -> usize {
    let mut at = 0;
    while let Some(length) = reply_length(&bytes[at..]) {
        let reply = &bytes[at..at + length];
        each(match reply {
            [b'-', text @ ..] => Kind::Error(text.trim_ascii_end()),
            b"$-1\r\n" | b"*-1\r\n" | b"_\r\n" => Kind::Null,
            _ => Kind::Value,
        });
        at += length;
    }
    at
}

/// The length of the reply at the front of `bytes`, if all of it is there.
fn reply_length(bytes: &[u8]) -> Option<usize> {
    let (mut at, mut wanted) = (0, 1usize);
    while wanted > 0 {
        let kind = *bytes.get(at)?;
        let line = bytes[at..].iter().position(|&b| b == b'\n')?;
        let number = || {
            let digits = bytes[at + 1..at + line].trim_ascii_end();
            std::str::from_utf8(digits).ok().and_then(|d| d.parse::<i64>().ok()).unwrap_or(-1)
        };
        let (body, elements) = match kind {
            b'$' => (number() + 2, 0),
            b'*' => (0, number().max(0)),
            _ => (0, 0),
        };
        // A null bulk has no body: -1 + 2 would count its missing line end.
        let body = if kind == b'$' && body < 2 { 0 } else { body as usize };
        at += line + 1 + body;
        wanted = wanted - 1 + elements as usize;
    }
    (at <= bytes.len()).then_some(at)
}

#[cfg(test)]
mod tests {
    use super::*;

    const STREAM: &[u8] =
        b"+OK\r\n$5\r\na\r\nbc\r\n$-1\r\n:42\r\n*2\r\n$1\r\nx\r\n*1\r\n:1\r\n-ERR no\r\n$0\r\n\r\n";

    #[derive(Debug, Default, PartialEq)]
    struct Seen {
        values: usize,
        nulls: usize,
        errors: Vec<String>,
    }

    impl Seen {
        fn feed(&mut self, cutter: &mut ReplyCutter, bytes: &[u8]) {
            cutter.feed(bytes, |kind| match kind {
                Kind::Value => self.values += 1,
                Kind::Null => self.nulls += 1,
                Kind::Error(text) => self.errors.push(String::from_utf8_lossy(text).into_owned()),
            });
        }
    }

    #[test]
    fn every_reply_is_named_once_wherever_the_stream_is_torn() {
        for split in 0..=STREAM.len() {
            let (mut cutter, mut seen) = (ReplyCutter::default(), Seen::default());
            seen.feed(&mut cutter, &STREAM[..split]);
            seen.feed(&mut cutter, &STREAM[split..]);
            let all = Seen { values: 5, nulls: 1, errors: vec!["ERR no".to_owned()] };
            assert_eq!(seen, all, "torn at {split}");
            assert!(cutter.rest.is_empty());
        }
    }

    #[test]
    fn an_unfinished_reply_is_not_named() {
        let (mut cutter, mut seen) = (ReplyCutter::default(), Seen::default());
        seen.feed(&mut cutter, b"$10\r\n12345");
        seen.feed(&mut cutter, b"67890\r");
        assert_eq!(seen, Seen::default());
        seen.feed(&mut cutter, b"\n");
        assert_eq!(seen.values, 1);
    }
}
