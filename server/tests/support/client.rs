//! A small blocking client: RESP2 and RESP3 replies, one at a time or pipelined.
//!
//! Errors of the connection are values, since tests kill servers; error *replies* are replies.

use std::{
    io::{self, BufRead, BufReader, Read as _, Write as _},
    net::TcpStream,
    time::Duration,
};

/// A reply.
#[derive(Debug, Clone, PartialEq)]
pub enum Reply {
    /// `+text`
    Simple(String),
    /// `-text`
    Error(String),
    /// `:n`
    Int(i64),
    /// `$n` and the verbatim, big number and double texts of RESP3
    Bulk(Vec<u8>),
    /// A null of any kind.
    Null,
    /// Arrays, sets, pushes, and maps as their keys and values in turn.
    Array(Vec<Reply>),
    /// `#t`, `#f`
    Bool(bool),
}

impl Reply {
    /// `+OK`
    pub fn is_ok(&self) -> bool {
        matches!(self, Self::Simple(text) if text == "OK")
    }

    /// An error reply that starts with `code`.
    pub fn is_error(&self, code: &str) -> bool {
        matches!(self, Self::Error(text) if text.starts_with(code))
    }

    /// The text of a simple string or bulk string; panics on anything else.
    pub fn text(&self) -> String {
        match self {
            Self::Simple(text) => text.clone(),
            Self::Bulk(bytes) => String::from_utf8_lossy(bytes).into_owned(),
            other => panic!("a string was expected, not {other:?}"),
        }
    }
}

/// One connection.
#[derive(Debug)]
pub struct Client {
    stream: BufReader<TcpStream>,
}

impl Client {
    /// Connects to a port of this machine.
    pub fn connect(port: u16) -> io::Result<Self> {
        let stream = TcpStream::connect(("127.0.0.1", port))?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(Duration::from_secs(30)))?;
        Ok(Self { stream: BufReader::with_capacity(64 * 1024, stream) })
    }

    /// Sends one command and waits for its reply.
    pub fn try_ask<T: AsRef<[u8]>>(&mut self, command: &[T]) -> io::Result<Reply> {
        let mut request = Vec::new();
        push_command(&mut request, command);
        self.send(&request)?;
        self.receive()
    }

    /// Like [`Client::try_ask`], for servers that must answer.
    pub fn ask<T: AsRef<[u8]>>(&mut self, command: &[T]) -> Reply {
        self.try_ask(command).expect("a running server answers")
    }

    /// Sends bytes as they are.
    pub fn send(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.stream.get_mut().write_all(bytes)
    }

    /// Waits for the next reply.
    pub fn receive(&mut self) -> io::Result<Reply> {
        let mut line = Vec::new();
        self.stream.read_until(b'\n', &mut line)?;
        if line.is_empty() {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        let text = String::from_utf8_lossy(line[1..].trim_ascii_end()).into_owned();
        let number =
            || text.parse::<i64>().map_err(|_| io::Error::other(format!("no number: {text}")));
        Ok(match line[0] {
            b'+' => Reply::Simple(text),
            b'-' => Reply::Error(text),
            b':' => Reply::Int(number()?),
            b',' | b'(' => Reply::Bulk(text.into_bytes()),
            b'#' => Reply::Bool(text == "t"),
            b'_' => Reply::Null,
            b'$' | b'=' => match number()? {
                -1 => Reply::Null,
                length => {
                    let mut body = vec![0; length as usize + 2];
                    self.stream.read_exact(&mut body)?;
                    body.truncate(length as usize);
                    Reply::Bulk(body)
                }
            },
            b'*' | b'~' | b'>' | b'%' => match number()? {
                -1 => Reply::Null,
                n => {
                    let n = if line[0] == b'%' { 2 * n } else { n };
                    Reply::Array((0..n).map(|_| self.receive()).collect::<io::Result<_>>()?)
                }
            },
            other => return Err(io::Error::other(format!("a reply starts with {other:#x}"))),
        })
    }

    /// The same connection, to write from another thread while this one reads.
    pub fn clone_stream(&self) -> TcpStream {
        self.stream.get_ref().try_clone().expect("descriptors are left")
    }

    /// Everything the server sends until it closes the connection or falls silent for `silence`.
    pub fn read_raw(&mut self, silence: Duration) -> Vec<u8> {
        let (mut all, mut buffer) = (Vec::new(), [0; 4096]);
        let timeout = self.stream.get_ref().set_read_timeout(Some(silence));
        timeout.expect("a time-out above zero can be set");
        while let Ok(n @ 1..) = self.stream.read(&mut buffer) {
            all.extend_from_slice(&buffer[..n]);
        }
        all
    }
}

/// Appends one command as a multibulk request.
pub fn push_command<T: AsRef<[u8]>>(out: &mut Vec<u8>, command: &[T]) {
    out.extend_from_slice(format!("*{}\r\n", command.len()).as_bytes());
    for part in command {
        let part = part.as_ref();
        out.extend_from_slice(format!("${}\r\n", part.len()).as_bytes());
        out.extend_from_slice(part);
        out.extend_from_slice(b"\r\n");
    }
}

/// An array of these texts.
pub fn pairs(texts: &[&str]) -> Reply {
    Reply::Array(texts.iter().map(|text| Reply::Bulk(text.as_bytes().to_vec())).collect())
}
