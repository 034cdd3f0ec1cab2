//! One connection of the load: what it sent, since when each request counts, what came back.

use std::{
    collections::VecDeque,
    io::{self, Read as _, Write as _},
    net::{SocketAddr, TcpStream},
    os::fd::{AsRawFd as _, RawFd},
    time::Instant,
};

use super::{
    Role,
    keys::KeySource,
    reply::{Kind, ReplyCutter},
    template::Mix,
};

/// Requests that count from the same moment.
#[derive(Debug, Clone, Copy)]
pub struct Sent {
    /// Since when: just before they were written, or when they were due.
    pub since: Instant,
    /// How many are not answered yet.
    pub requests: usize,
}

/// What one read brought.
#[derive(Debug, Default)]
pub struct Received {
    /// Answered requests, by the moment they count from.
    pub answered: Vec<Sent>,
    /// Null replies among them.
    pub nulls: u64,
    /// Error replies among them.
    pub errors: u64,
    /// The first error.
    pub first_error: Option<String>,
}

/// A connection that belongs to a role.
pub struct Connection {
    stream: TcpStream,
    /// Index of its role.
    pub role: usize,
    mix: Mix,
    keys: KeySource,
    value: Vec<u8>,
    cutter: ReplyCutter,
    in_flight: VecDeque<Sent>,
    outstanding: usize,
}

impl Connection {
    /// Connects, as connection `index` of the role.
    ///
    /// # Errors
    /// Of the connection.
    pub fn open(addr: SocketAddr, role: usize, shape: &Role, index: usize) -> io::Result<Self> {
        let stream = TcpStream::connect(addr)
            .map_err(|e| io::Error::new(e.kind(), format!("{addr}: {e}")))?;
        stream.set_nodelay(true)?;
        stream.set_nonblocking(true)?;
        let seed = ((role as u64) << 32) | index as u64;
        Ok(Self {
            stream,
            role,
            mix: shape.mix.clone(),
            keys: KeySource::new(&shape.keys, seed, index, shape.connections),
            value: (0..shape.value_bytes).map(|i| b'a' + (i % 26) as u8).collect(),
            cutter: ReplyCutter::default(),
            in_flight: VecDeque::new(),
            outstanding: 0,
        })
    }

    /// For the readiness of its socket.
    pub fn descriptor(&self) -> RawFd {
        self.stream.as_raw_fd()
    }

    /// Requests without a reply.
    pub fn outstanding(&self) -> usize {
        self.outstanding
    }

    /// What is unanswered.
    pub fn in_flight(&self) -> impl Iterator<Item = &Sent> {
        self.in_flight.iter()
    }

    /// Sends `requests` requests that count from `since`, or from now.
    ///
    /// # Errors
    /// Of the connection.
    pub fn send(
        &mut self,
        requests: usize,
        since: Option<Instant>,
        scratch: &mut Vec<u8>,
    ) -> io::Result<()> {
        scratch.clear();
        for _ in 0..requests {
            self.mix.choose(&mut self.keys).render(&mut self.keys, &self.value, scratch);
        }
        let since = since.unwrap_or_else(Instant::now);
        self.in_flight.push_back(Sent { since, requests });
        self.outstanding += requests;
        let mut sent = 0;
        while sent < scratch.len() {
            match self.stream.write(&scratch[sent..]) {
                Ok(n) => sent += n,
                Err(e) if e.kind() == io::ErrorKind::WouldBlock => {
                    // More than a socket buffer, which only very large batches are: wait for the
                    // server, which has nothing of ours to wait for.
                    self.stream.set_nonblocking(false)?;
                    self.stream.write_all(&scratch[sent..])?;
                    self.stream.set_nonblocking(true)?;
                    return Ok(());
                }
                Err(e) => return Err(e),
            }
        }
        Ok(())
    }

    /// Reads what is there, once, into `received`, which is emptied first.
    ///
    /// # Errors
    /// Of the connection, and replies nobody asked for.
    pub fn receive(&mut self, input: &mut [u8], received: &mut Received) -> io::Result<()> {
        received.answered.clear();
        (received.nulls, received.errors) = (0, 0);
        let n = match self.stream.read(input) {
            Ok(0) => return Err(io::Error::other("the server closed a connection")),
            Ok(n) => n,
            Err(e) if e.kind() == io::ErrorKind::WouldBlock => return Ok(()),
            Err(e) => return Err(e),
        };
        let mut replies = 0;
        self.cutter.feed(&input[..n], |kind| {
            replies += 1;
            match kind {
                Kind::Value => {}
                Kind::Null => received.nulls += 1,
                Kind::Error(text) => {
                    received.errors += 1;
                    let first = || String::from_utf8_lossy(text).into_owned();
                    received.first_error.get_or_insert_with(first);
                }
            }
        });
        if replies > self.outstanding {
            return Err(io::Error::other("the server sent more replies than there were requests"));
        }
        self.outstanding -= replies;
        while replies > 0 {
            // Not empty: the requests in it add up to what is outstanding.
            let Some(oldest) = self.in_flight.front_mut() else { break };
            let requests = replies.min(oldest.requests);
            received.answered.push(Sent { since: oldest.since, requests });
            replies -= requests;
            oldest.requests -= requests;
            if oldest.requests == 0 {
                self.in_flight.pop_front();
            }
        }
        Ok(())
    }
}
