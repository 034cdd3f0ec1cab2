//! `maxmemory-clients` on a core: what its clients take, and closing the largest when all
//! clients of the process take too much.
//!
//! While there is a limit, a connection is counted anew whenever it was worked on, and after each
//! command of a pipeline. A core that
//! sees the sum above the limit publishes its largest client and closes it if no other core has
//! a larger one; else it wakes the others to do the same. What idle cores published last may be
//! old: they look again before they act.

use super::core::Core;
use crate::net::connection::{Connection, Parked};
use quire_engine::keyspace::size_class;

/// One core's clients and the limit of all.
#[derive(Debug, Default)]
pub struct ClientsAccount {
    /// The limit of the process in bytes; 0 = none, and nothing is counted.
    limit: u64,
    /// Bytes of this core's connections, as counted last.
    bytes: u64,
}

impl ClientsAccount {
    /// True while connections are counted.
    #[inline]
    pub fn is_kept(&self) -> bool {
        self.limit > 0
    }
}

impl Core {
    /// Goes by another limit: counts all connections, or none. Who asks for it is out of the table
    /// and stays counted as it was until it comes back.
    pub fn clients_limit_changed(&mut self) {
        self.clients.limit = self.live.maxmemory_clients.bytes(self.live.maxmemory);
        for index in 0..self.conns.len() {
            let Some(mut conn) = self.conns[index].take() else { continue };
            self.count_client(&mut conn);
            self.conns[index] = Some(conn);
        }
    }

    /// Counts a connection that has been worked on, if any is; one that is being closed is nothing.
    #[cold]
    pub fn count_client(&mut self, conn: &mut Connection) {
        let is_counted = self.clients.is_kept() && !conn.closing;
        let now = if is_counted { conn.memory_bytes() as u64 } else { 0 };
        self.clients.bytes = self.clients.bytes + now - conn.counted;
        conn.counted = now;
        self.cell().stats.clients_counted.set(self.clients.bytes);
    }

    /// Between two commands of a pipeline, and before what has been buffered is executed: true when
    /// that has brought all clients above their limit. It goes on after the end of the turn, if it is still there then.
    #[inline]
    pub fn is_crowded(&mut self, conn: &mut Connection) -> bool {
        self.clients.is_kept() && self.parks_crowded(conn)
    }

    #[cold]
    fn parks_crowded(&mut self, conn: &mut Connection) -> bool {
        self.count_client(conn);
        let stays = conn.parked != Parked::No || conn.closing || conn.session.no_evict;
        if stays || !self.is_over_clients_limit() {
            return false;
        }
        conn.parked = Parked::Crowded;
        self.stalled.push(conn.index);
        true
    }

    /// Adds the connection that asks to the published figures: it is out of the table meanwhile.
    pub fn count_asker(&self, asker: Option<&Connection>) {
        let bytes = asker.map_or(0, Connection::memory_bytes);
        self.cell().stats.client_bytes.add(bytes as u64);
    }

    /// End of turn: closes clients while all together take too much.
    #[inline]
    pub fn keep_clients_limit(&mut self) {
        if self.clients.is_kept() && self.is_over_clients_limit() {
            self.evict_clients();
        }
    }

    fn is_over_clients_limit(&self) -> bool {
        self.shared.sum(|s| &s.clients_counted) > self.clients.limit
    }

    #[cold]
    fn evict_clients(&mut self) {
        loop {
            let largest = self.largest_client();
            let own = largest.map_or(0, |(bytes, _)| bytes);
            self.cell().stats.largest_client.set(own);
            if !self.is_over_clients_limit() {
                return;
            }
            // Of two cores with clients of one size the first acts.
            let is_larger = |(id, cell): (u16, &super::shared::Core)| {
                let other = cell.stats.largest_client.get();
                other > own || (other == own && id < self.id)
            };
            if (0..).zip(&self.shared.cores).filter(|(id, _)| *id != self.id).any(is_larger) {
                (0..self.shards()).for_each(|peer| self.ring_doorbell(peer));
                return;
            }
            let Some(mut conn) = largest.and_then(|(_, at)| self.conns[at].take()) else { return };
            tracing::info!(
                "Evicting client: id={} addr={} tot-mem={own}",
                conn.session.id,
                conn.session.peer.remote_address()
            );
            self.begin_close(&mut conn);
            conn.input = Vec::new();
            conn.input_at = 0;
            self.cell().stats.evicted_clients.add(1);
            self.put_back(conn);
        }
    }

    /// Bytes and index of the largest client that may be closed.
    fn largest_client(&self) -> Option<(u64, usize)> {
        let all = self.conns.iter().enumerate();
        let may_go = |conn: &Connection| !conn.closing && !conn.session.no_evict;
        all.filter_map(|(at, conn)| {
            let conn = conn.as_deref().filter(|conn| may_go(conn))?;
            Some((conn.memory_bytes() as u64, at))
        })
        .max()
    }
}

impl Connection {
    /// Bytes the connection takes, itself and what the allocator rounds up included.
    pub fn memory_bytes(&self) -> usize {
        let heap = |bytes: usize| if bytes == 0 { 0 } else { size_class(bytes) };
        let session = &self.session;
        size_class(size_of::<Self>())
            + heap(self.input.capacity())
            + self.out.memory_bytes()
            + heap(self.held.capacity())
            + heap(self.slots.capacity() * size_of::<crate::net::connection::Slot>())
            + heap(self.last_writes.capacity() * size_of::<(u16, u64)>())
            + self.multi.as_ref().map_or(0, |multi| multi.memory_bytes())
            + heap(session.name.capacity())
            + heap(session.lib_name.capacity())
            + heap(session.lib_ver.capacity())
    }
}
