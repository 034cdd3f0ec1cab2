//! One connection that asks one question at a time: for settings, INFO and the like. Replies are
//! parsed whole (RESP2); the load has its own, faster way.

use std::{
    fmt,
    io::{self, BufRead as _, BufReader, Read as _, Write as _},
    net::{SocketAddr, TcpStream},
    time::Duration,
};

/// A parsed reply.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reply {
    /// `+text`, or a bulk string.
    Text(String),
    /// `-text`
    Error(String),
    /// `:n`
    Integer(i64),
    /// A null bulk string or array.
    Null,
    /// `*n`
    Array(Vec<Self>),
}

impl Reply {
    /// The text, or nothing if it is of another kind.
    pub fn text(&self) -> Option<&str> {
        match self {
            Self::Text(text) => Some(text),
            Self::Error(_) | Self::Integer(_) | Self::Null | Self::Array(_) => None,
        }
    }
}

impl fmt::Display for Reply {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Text(text) => f.write_str(text),
            Self::Error(text) => write!(f, "-{text}"),
            Self::Integer(n) => write!(f, "{n}"),
            Self::Null => f.write_str("(nil)"),
            Self::Array(items) => {
                let items: Vec<String> = items.iter().map(Self::to_string).collect();
                f.write_str(&items.join(" "))
            }
        }
    }
}

/// A connection for questions.
#[derive(Debug)]
pub struct Client {
    stream: BufReader<TcpStream>,
}

/// One command in RESP.
pub fn encode(command: &[&str]) -> Vec<u8> {
    let mut request = format!("*{}\r\n", command.len());
    for part in command {
        request.push_str(&format!("${}\r\n{part}\r\n", part.len()));
    }
    request.into_bytes()
}

impl Client {
    /// Connects; a question may take 30 seconds.
    ///
    /// # Errors
    /// Of the connection.
    pub fn connect(addr: SocketAddr) -> io::Result<Self> {
        let stream = TcpStream::connect_timeout(&addr, Duration::from_secs(5))
            .map_err(|e| io::Error::new(e.kind(), format!("{addr}: {e}")))?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(Duration::from_secs(30)))?;
        Ok(Self { stream: BufReader::with_capacity(256 * 1024, stream) })
    }

    /// Sends requests that are RESP already.
    ///
    /// # Errors
    /// Of the connection.
    pub fn send(&mut self, requests: &[u8]) -> io::Result<()> {
        self.stream.get_mut().write_all(requests)
    }

    /// The next reply.
    ///
    /// # Errors
    /// Of the connection, and for bytes that are no reply.
    pub fn receive(&mut self) -> io::Result<Reply> {
        let mut line = String::new();
        if self.stream.read_line(&mut line)? == 0 {
            return Err(io::Error::other("the server closed the connection"));
        }
        let line = line.trim_end();
        let (kind, rest) = line.split_at_checked(1).unwrap_or_default();
        let number =
            || rest.parse::<i64>().map_err(|_| io::Error::other(format!("not a reply: {line:?}")));
        match kind {
            "+" => Ok(Reply::Text(rest.to_owned())),
            "-" => Ok(Reply::Error(rest.to_owned())),
            ":" => Ok(Reply::Integer(number()?)),
            "$" => {
                let Ok(length) = usize::try_from(number()?) else { return Ok(Reply::Null) };
                let mut bytes = vec![0; length + 2];
                self.stream.read_exact(&mut bytes)?;
                bytes.truncate(length);
                Ok(Reply::Text(String::from_utf8_lossy(&bytes).into_owned()))
            }
            "*" => {
                let Ok(length) = usize::try_from(number()?) else { return Ok(Reply::Null) };
                (0..length).map(|_| self.receive()).collect::<io::Result<_>>().map(Reply::Array)
            }
            _ => Err(io::Error::other(format!("not a reply: {line:?}"))),
        }
    }

    /// Sends one command and returns its reply.
    ///
    /// # Errors
    /// Of the connection; an error reply is a reply.
    pub fn ask(&mut self, command: &[&str]) -> io::Result<Reply> {
        self.send(&encode(command))?;
        self.receive()
    }

    /// All fields of one section of INFO.
    ///
    /// # Errors
    /// Of the connection, and an error reply.
    pub fn info(&mut self, section: &str) -> io::Result<Info> {
        match self.ask(&["INFO", section])? {
            Reply::Text(text) => Ok(Info(text)),
            other => Err(io::Error::other(format!("INFO {section}: {other}"))),
        }
    }
}

/// What INFO answered.
#[derive(Debug, Clone)]
pub struct Info(String);

impl Info {
    /// The text of a field.
    pub fn field(&self, name: &str) -> Option<&str> {
        self.lines().find_map(|(field, value)| (field == name).then_some(value))
    }

    /// A field that is a number.
    pub fn number(&self, name: &str) -> Option<f64> {
        self.field(name)?.parse().ok()
    }

    /// All fields with their values.
    pub fn lines(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.lines().filter_map(|line| line.trim_end().split_once(':'))
    }
}

#[cfg(test)]
mod tests {
    use std::{io::Write as _, net::TcpListener};

    use super::*;

    #[test]
    fn replies_of_every_kind_are_parsed() {
        let listener = TcpListener::bind(("127.0.0.1", 0)).expect("a free port");
        let addr = listener.local_addr().expect("it is bound");
        let server = std::thread::spawn(move || {
            let (mut stream, _) = listener.accept().expect("a client comes");
            stream
                .write_all(b"+OK\r\n-ERR no\r\n:7\r\n$-1\r\n*2\r\n$3\r\na:b\r\n*-1\r\n?\r\n")
                .expect("the client reads");
        });
        let mut client = Client::connect(addr).expect("it listens");
        let mut next = || client.receive();
        assert_eq!(next().expect("a reply"), Reply::Text("OK".into()));
        assert_eq!(next().expect("a reply"), Reply::Error("ERR no".into()));
        assert_eq!(next().expect("a reply"), Reply::Integer(7));
        assert_eq!(next().expect("a reply"), Reply::Null);
        let pair = vec![Reply::Text("a:b".into()), Reply::Null];
        assert_eq!(next().expect("a reply"), Reply::Array(pair));
        assert!(next().is_err(), "an unknown kind is no reply");
        server.join().expect("it wrote");
    }

    #[test]
    fn fields_of_info_are_found() {
        let info = Info("# Memory\r\nused_memory:12\r\nused_memory_human:12B\r\n".into());
        assert_eq!(info.number("used_memory"), Some(12.0));
        assert_eq!(info.field("used_memory_human"), Some("12B"));
        assert_eq!(info.field("used"), None);
    }
}
