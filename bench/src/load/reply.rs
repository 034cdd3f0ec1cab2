//! Finds the ends of replies in a stream of bytes, without looking at what they say, except that
//! errors are noticed. RESP2 and the parts of RESP3 a server may send to a RESP2 client: none.

/// What a piece of input completed.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Completed {
    /// Whole replies.
    pub replies: usize,
    /// The first error reply among them.
    pub error: Option<String>,
}

/// Cuts the bytes of one connection into replies; keeps an incomplete rest.
#[derive(Debug, Default)]
pub struct ReplyCutter {
    rest: Vec<u8>,
}

impl ReplyCutter {
    /// Takes the next bytes of the connection.
    pub fn feed(&mut self, bytes: &[u8]) -> Completed {
        let mut completed = Completed::default();
        if self.rest.is_empty() {
            // The usual case: replies arrive whole, nothing is copied.
            let used = cut(bytes, &mut completed);
            self.rest.extend_from_slice(&bytes[used..]);
        } else {
            self.rest.extend_from_slice(bytes);
            let used = cut(&self.rest, &mut completed);
            self.rest.drain(..used);
        }
        completed
    }
}

/// Counts the whole replies at the front of `bytes`; returns how long they are together.
fn cut(bytes: &[u8], completed: &mut Completed) -> usize {
    let mut at = 0;
    while let Some(length) = reply_length(&bytes[at..]) {
        if bytes[at] == b'-' && completed.error.is_none() {
            let text = bytes[at + 1..at + length].trim_ascii_end();
            completed.error = Some(String::from_utf8_lossy(text).into_owned());
        }
        at += length;
        completed.replies += 1;
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

    #[test]
    fn every_reply_is_counted_once_wherever_the_stream_is_torn() {
        for split in 0..=STREAM.len() {
            let mut cutter = ReplyCutter::default();
            let first = cutter.feed(&STREAM[..split]);
            let second = cutter.feed(&STREAM[split..]);
            assert_eq!(first.replies + second.replies, 7, "torn at {split}");
            assert_eq!(first.error.or(second.error).as_deref(), Some("ERR no"));
            assert!(cutter.rest.is_empty());
        }
    }

    #[test]
    fn an_unfinished_reply_is_not_counted() {
        let mut cutter = ReplyCutter::default();
        assert_eq!(cutter.feed(b"$10\r\n12345").replies, 0);
        assert_eq!(cutter.feed(b"67890\r").replies, 0);
        assert_eq!(cutter.feed(b"\n").replies, 1);
    }
}
