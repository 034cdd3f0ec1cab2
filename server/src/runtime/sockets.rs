//! A core's sockets: accept and hand over, receive, send, close.
//!
//! A connection's index is free again only when none of its operations is in flight, so a
//! completion never meets a stranger.

use super::{
    control::Control,
    core::Core,
    ring::{Completion, Op, Token},
};
use crate::{
    net::{
        connection::{Connection, Parked},
        listener::{self, Listener},
    },
    session::{Peer, Session},
};
use io_uring::{opcode, types};
use quire_engine::aof::Lsn;
use std::{
    net::SocketAddr,
    os::fd::{AsRawFd, FromRawFd, OwnedFd},
    sync::atomic::Ordering,
};

/// Unparsed input above which a parked connection's receive is paused.
const PARKED_INPUT_BYTES_MAX: usize = 1 << 20;

impl Core {
    /// Core 0: accepts on every listener that there is now.
    pub fn arm_listeners(&mut self) {
        if self.id != 0 || self.stopping {
            return;
        }
        let shared = std::sync::Arc::clone(&self.shared);
        for listener in shared.listeners().iter() {
            if !self.accepting.contains(&listener.id()) {
                self.accepting.push(listener.id());
                self.arm_listener(listener);
            }
        }
    }

    fn arm_listener(&mut self, listener: &Listener) {
        let fd = types::Fd(listener.fd());
        let entry = opcode::AcceptMulti::new(fd).flags(libc::SOCK_CLOEXEC).build();
        // SAFETY: the operation points to no memory.
        unsafe { self.ring.push(entry, Token::new(Op::Accept, listener.id())) };
    }

    /// An accepted socket (or an error of the listener).
    pub fn accepted(&mut self, c: Completion) {
        let id = c.token.index;
        if c.result >= 0 {
            // SAFETY: the kernel gave us this new descriptor; nobody else owns it.
            let fd = unsafe { OwnedFd::from_raw_fd(c.result) };
            self.place(fd, listener::is_unix(id));
        }
        if c.more() {
            return;
        }
        let shared = std::sync::Arc::clone(&self.shared);
        let listeners = shared.listeners();
        match listeners.iter().find(|listener| listener.id() == id) {
            Some(listener) if !self.stopping => {
                if c.result < 0 {
                    let reason = std::io::Error::from_raw_os_error(-c.result);
                    tracing::warn!("Accepting client connection: {reason}");
                }
                self.arm_listener(listener);
            }
            // Closed meanwhile, which ended the accept.
            _ => self.accepting.retain(|&armed| armed != id),
        }
    }

    /// Gives a new connection to the core with the fewest.
    fn place(&mut self, fd: OwnedFd, unix: bool) {
        // What was handed out less what the core has closed: counts sockets still on their way.
        let open = |i: usize| {
            let stats = &self.shared.cores[i].stats;
            let closed = stats.connections.get().saturating_sub(stats.clients.get());
            self.handed[i].saturating_sub(closed)
        };
        if (0..self.shards()).map(open).sum::<u64>() >= self.live.maxclients as u64 {
            self.cell().stats.rejected.add(1);
            refuse(&fd, b"-ERR max number of clients reached\r\n");
            return;
        }
        let best = (0..self.shards()).min_by_key(|&i| open(i)).unwrap_or(0);
        self.handed[best] += 1;
        if best == self.id as usize {
            self.adopt(fd, unix);
        } else {
            self.shared.cores[best].mailbox.post(Control::Connection { fd, unix });
        }
    }

    /// Starts serving a connection on this core.
    pub fn adopt(&mut self, fd: OwnedFd, unix: bool) {
        let peer = if unix {
            let path = self.shared.options.unixsocket.as_ref();
            Peer::Unix(path.map(|p| p.display().to_string()).unwrap_or_default())
        } else {
            // Counted even when it is gone already, or the balance of `place` would drift.
            let Some(peer) = tcp_peer(&fd) else {
                self.cell().stats.connections.add(1);
                return;
            };
            tune(&fd, self.live.tcp_keepalive);
            peer
        };
        if let Peer::Tcp { remote, .. } = &peer
            && self.live.protected_mode
            && self.live.requirepass.is_empty()
            && !remote.ip().to_canonical().is_loopback()
        {
            self.cell().stats.connections.add(1);
            self.cell().stats.rejected.add(1);
            refuse(&fd, crate::net::PROTECTED_MODE_REPLY);
            return;
        }
        let index = self.free.pop().unwrap_or_else(|| {
            self.conns.push(None);
            self.generations.push(0);
            self.conns.len() as u32 - 1
        });
        let authenticated = self.live.requirepass.is_empty();
        let max_bulk = self.live.proto_max_bulk_len as u32;
        let id = self.shared.next_client.fetch_add(1, Ordering::Relaxed);
        let session = Session::new(id, authenticated, peer, self.now, self.now_ms);
        let generation = self.generations[index as usize];
        let conn = Box::new(Connection::new(fd, index, generation, session, max_bulk));
        self.restore(conn);
        let stats = &self.cell().stats;
        stats.clients.add(1);
        stats.connections.add(1);
        self.arm_receive(index);
    }

    fn arm_receive(&mut self, index: u32) {
        let Some(conn) = self.conns[index as usize].as_mut() else { return };
        if conn.receiving || conn.closing || conn.ended {
            return;
        }
        conn.receiving = true;
        let entry = opcode::RecvMulti::new(types::Fd(conn.raw_fd()), super::buffers::GROUP).build();
        // SAFETY: received bytes go to provided buffers, which outlive the ring.
        unsafe { self.ring.push(entry, Token::new(Op::Receive, index)) };
    }

    /// Received bytes, end of stream, or an error.
    pub fn received(&mut self, c: Completion) {
        let index = c.token.index;
        let Some(mut conn) = self.conns[index as usize].take() else {
            if let Some(id) = c.buffer() {
                self.ring.buffers.give_back(id);
            }
            return;
        };
        if !c.more() {
            conn.receiving = false;
        }
        if let Some(id) = c.buffer() {
            if c.result > 0 && !conn.closing {
                self.receives += 1;
                self.reads += 1;
                self.cell().stats.net_in.add(c.result as u64);
                // The buffer leaves `self` while its bytes are worked on and cannot be given
                // back before: `detach` hands out memory the kernel does not own meanwhile.
                let data = self.ring.buffers.detach(id, c.result as usize);
                self.feed(&mut conn, data.bytes());
            }
            self.ring.buffers.give_back(id);
        }
        let failed = c.result < 0 && c.result != -libc::ENOBUFS && c.result != -libc::ECANCELED;
        if c.result == 0 {
            self.input_ended(&mut conn);
        } else if failed {
            self.begin_close(&mut conn);
        }
        if c.result == -libc::ECANCELED {
            conn.pausing = false;
        }
        let rearm = !conn.receiving && !conn.closing && !conn.pausing && !self.wants_pause(&conn);
        if conn.receiving && !conn.pausing && self.wants_pause(&conn) {
            conn.pausing = true;
            let target = Token::new(Op::Receive, index).to_user_data();
            let entry = opcode::AsyncCancel::new(target).build();
            // SAFETY: the operation points to no memory.
            unsafe { self.ring.push(entry, Token::new(Op::Ignore, 0)) };
        }
        self.put_back(conn);
        if rearm {
            self.arm_receive(index);
        }
    }

    /// The client sends no more (it may have closed half of the connection only): commands that
    /// have come are executed and answered, then it is closed. One that blocks is not.
    fn input_ended(&mut self, conn: &mut Connection) {
        conn.ended = true;
        match conn.parked {
            Parked::No => conn.close_after_reply = true,
            Parked::Blocked => self.begin_close(conn),
            Parked::Order(_)
            | Parked::BackPressure(_)
            | Parked::LogFull
            | Parked::Crowded
            | Parked::Frozen
            | Parked::Lending
            | Parked::Paused => {}
        }
    }

    fn wants_pause(&self, conn: &Connection) -> bool {
        conn.parked != Parked::No
            && conn.input.len() - conn.input_at > PARKED_INPUT_BYTES_MAX.max(conn.input_need)
    }

    /// Receives again on a connection whose receive was paused.
    pub fn resume_receive(&mut self, index: u32) {
        let Some(conn) = self.conns[index as usize].as_ref() else { return };
        if !conn.receiving && !conn.closing && !self.wants_pause(conn) {
            self.arm_receive(index);
        }
    }

    /// Puts a connection back into the table after work on it, noting its output for the end of
    /// the turn; frees it when it is closed and idle.
    pub fn put_back(&mut self, mut conn: Box<Connection>) {
        if !conn.dirty && !conn.closing && (!conn.out.buf.is_empty() || conn.close_after_reply) {
            conn.dirty = true;
            self.dirty.push(conn.index);
        }
        self.restore(conn);
    }

    /// Puts a connection back; frees it when it is closed and none of its operations is left.
    fn restore(&mut self, mut conn: Box<Connection>) {
        let index = conn.index;
        if self.clients.is_kept() || conn.counted > 0 {
            self.count_client(&mut conn);
        }
        if conn.closing && !conn.receiving && !conn.out.is_sending() {
            self.generations[index as usize] = conn.generation.wrapping_add(1);
            self.free.push(index);
            let clients = &self.cell().stats.clients;
            clients.set(clients.get() - 1);
        } else {
            self.conns[index as usize] = Some(conn);
        }
    }

    /// Sends what may leave, of every connection that has news. The only place that sends.
    pub fn flush_connections(&mut self) {
        if !self.gated.is_empty() && self.positions_moved() {
            for index in std::mem::take(&mut self.gated) {
                if let Some(mut conn) = self.conns[index as usize].take() {
                    conn.in_gated = false;
                    self.flush(&mut conn);
                    self.restore(conn);
                }
            }
        }
        let mut dirty = std::mem::take(&mut self.dirty);
        for index in dirty.drain(..) {
            if let Some(mut conn) = self.conns[index as usize].take() {
                conn.dirty = false;
                self.flush(&mut conn);
                self.restore(conn);
            }
        }
        self.dirty = dirty;
    }

    /// Starts a send of what may leave, unless one is in flight.
    fn flush(&mut self, conn: &mut Connection) {
        if conn.closing || conn.out.is_sending() {
            return;
        }
        let own = self.id;
        let shared = &self.shared;
        let released = |shard: u16| -> Lsn {
            let order = if shard == own { Ordering::Relaxed } else { Ordering::Acquire };
            shared.cores[shard as usize].released(order)
        };
        let mut n = conn.out.releasable(released);
        if let Some((shard, _)) = conn.out.front_gate() {
            // ORDER: interest first, positions again after; see `wake_interested`.
            self.want_positions(shard);
            n = conn.out.releasable(released);
            let open = conn.out.front_gate();
            if open.is_some_and(|(s, lsn)| shared.cores[s as usize].is_hopeless(lsn)) {
                // Outcome unknown: the client must not be left waiting for ever.
                self.begin_close(conn);
                return;
            }
            if open.is_some() && !conn.in_gated {
                conn.in_gated = true;
                self.gated.push(conn.index);
            }
        }
        if n > 0 {
            let bytes = conn.out.start_send(n);
            let (pointer, len) = (bytes.as_ptr(), bytes.len());
            self.push_send(conn, pointer, len);
        } else if conn.close_after_reply && conn.out.is_drained() && conn.slots.is_empty() {
            self.begin_close(conn);
        }
    }

    fn push_send(&mut self, conn: &Connection, pointer: *const u8, len: usize) {
        let entry = opcode::Send::new(types::Fd(conn.raw_fd()), pointer, len as u32)
            .flags(libc::MSG_NOSIGNAL | libc::MSG_WAITALL)
            .build();
        // SAFETY: the bytes are the connection's in-flight buffer, which is not touched until
        // the completion; the connection is not freed while a send is in flight.
        unsafe { self.ring.push(entry, Token::new(Op::Send, conn.index)) };
        self.sends_queued += 1;
    }

    /// A send ended.
    pub fn send_done(&mut self, c: Completion) {
        let index = c.token.index;
        let Some(mut conn) = self.conns[index as usize].take() else { return };
        if c.result <= 0 {
            conn.out.send_failed();
            self.begin_close(&mut conn);
        } else {
            self.cell().stats.net_out.add(c.result as u64);
            self.cell().stats.writes.add(1);
            let rest = conn.out.sent(c.result as usize).map(|r| (r.as_ptr(), r.len()));
            if let Some((pointer, len)) = rest {
                if conn.closing {
                    conn.out.send_failed();
                } else {
                    self.push_send(&conn, pointer, len);
                }
            }
        }
        self.put_back(conn);
    }

    /// Shuts a connection down; it is freed when its operations have ended.
    pub fn begin_close(&mut self, conn: &mut Connection) {
        if conn.closing {
            return;
        }
        conn.closing = true;
        conn.out.discard();
        conn.aof_wait = None;
        self.abandon_wait(conn);
        self.set_monitor(conn, false);
        self.discard(conn);
        if matches!(conn.parked, Parked::Blocked | Parked::Paused) {
            self.no_longer_blocked();
            conn.parked = Parked::No;
        }
        // SAFETY: a valid descriptor; shutdown ends the multishot receive and a running send.
        unsafe { libc::shutdown(conn.raw_fd(), libc::SHUT_RDWR) };
    }

    /// Closes connections whose first waiting reply hangs on a failed log.
    pub fn drop_hopeless(&mut self) {
        for index in 0..self.conns.len() {
            let Some(mut conn) = self.conns[index].take() else { continue };
            let is_hopeless =
                |(shard, lsn): (u16, Lsn)| self.shared.cores[shard as usize].is_hopeless(lsn);
            let hopeless = conn.out.gates().any(is_hopeless);
            if hopeless && !conn.closing {
                self.begin_close(&mut conn);
            }
            self.put_back(conn);
        }
    }
}

fn refuse(fd: &OwnedFd, reply: &[u8]) {
    // SAFETY: a valid descriptor and slice. Best effort: the socket is closed anyway.
    let _ = unsafe {
        libc::send(
            fd.as_raw_fd(),
            reply.as_ptr().cast(),
            reply.len(),
            libc::MSG_NOSIGNAL | libc::MSG_DONTWAIT,
        )
    };
}

fn tcp_peer(fd: &OwnedFd) -> Option<Peer> {
    let socket = socket2::SockRef::from(fd);
    let address = |a: socket2::SockAddr| a.as_socket();
    let remote: SocketAddr = socket.peer_addr().ok().and_then(address)?;
    let local = socket.local_addr().ok().and_then(address)?;
    Some(Peer::Tcp { remote, local })
}

fn tune(fd: &OwnedFd, keepalive: u32) {
    let socket = socket2::SockRef::from(fd);
    // A socket that refuses an option still works.
    let _ = socket.set_tcp_nodelay(true);
    if keepalive > 0 {
        let seconds = |n: u32| std::time::Duration::from_secs(u64::from(n.max(1)));
        // Redis' rule: first probe after the period, then every third of it, three times.
        let probes = socket2::TcpKeepalive::new()
            .with_time(seconds(keepalive))
            .with_interval(seconds(keepalive / 3))
            .with_retries(3);
        let _ = socket.set_tcp_keepalive(&probes);
    }
}
