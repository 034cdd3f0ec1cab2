//! Parcels of other cores: their commands executed here in order, their replies put in place.

use super::{
    everywhere::{self, Task},
    gather::is_as_of,
    hop::{BatchReader, CREDITS, Kind, Parcel, ReplyHead, Written, put_reply, read_slow},
    is_write,
};
use crate::{
    net::connection::{Connection, Parked},
    observe::latency::Event,
    runtime::core::Core,
};
use quire_engine::{command::Args, families::table};

impl Core {
    /// Takes everything the other cores have sent.
    pub fn receive_parcels(&mut self) {
        for peer in 0..self.shards() {
            while let Some(parcel) = self.mesh.peers[peer].as_mut().and_then(|p| p.rx.pop()) {
                let waits = match parcel {
                    Parcel::Requests(_) => self.frozen || self.shard.is_none(),
                    // ORDER: the reply to one step of a command lets the next one execute here,
                    // which a frozen core does not. Who leaves delivers what is still to come.
                    Parcel::Replies(_) | Parcel::Served(_) => self.frozen && !self.stopping,
                };
                match self.mesh.peers[peer].as_mut() {
                    Some(p) if waits => p.deferred.push(parcel),
                    _ => self.take_parcel(peer as u16, parcel),
                }
            }
        }
    }

    /// Delivers the replies that came while this core was frozen, for it will not go on.
    pub fn deliver_deferred(&mut self) {
        for peer in 0..self.shards() {
            let deferred = self.mesh.peers[peer].as_mut().map(|p| std::mem::take(&mut p.deferred));
            for parcel in deferred.into_iter().flatten() {
                match parcel {
                    Parcel::Replies(_) | Parcel::Served(_) => self.take_parcel(peer as u16, parcel),
                    Parcel::Requests(_) => {}
                }
            }
        }
    }

    fn take_parcel(&mut self, peer: u16, parcel: Parcel) {
        match parcel {
            Parcel::Requests(batch) => {
                // ORDER: behind a CONFIG SET of its connection a command meets the new settings.
                if self.shared.config.generation() != self.live_generation {
                    self.adopt_settings();
                }
                self.execute_batch(peer, batch);
            }
            Parcel::Replies(batch) => {
                if let Some(p) = self.mesh.peers[usize::from(peer)].as_mut() {
                    p.credits += 1;
                    if let Some(sent_at) = p.sent_at.pop_front() {
                        let time = self.now.saturating_duration_since(sent_at);
                        self.note_latency(Event::Hop, time);
                    }
                }
                self.deliver_batch(peer, &batch);
                self.mesh.recycle(batch);
            }
            Parcel::Served(batch) => {
                self.deliver_batch(peer, &batch);
                self.mesh.recycle(batch);
            }
        }
    }

    /// Executes what came while this core was frozen.
    pub fn execute_deferred(&mut self) {
        for peer in 0..self.shards() {
            let deferred = self.mesh.peers[peer].as_mut().map(|p| std::mem::take(&mut p.deferred));
            for parcel in deferred.into_iter().flatten() {
                self.take_parcel(peer as u16, parcel);
            }
        }
    }

    fn execute_batch(&mut self, from: u16, batch: Vec<u8>) {
        let mut replies = self.mesh.buffer();
        let mut spans = std::mem::take(&mut self.spans);
        let mut reader = BatchReader::new(&batch);
        let mut count = 0;
        self.timings.start();
        while let Some((head, bytes)) = reader.next_request(&mut spans) {
            count += 1;
            let args = Args::new(bytes, &spans);
            if let Some(task) = everywhere::task_of(head.what) {
                match task {
                    Task::Attempt => self.attempt_for(from, head, args, &mut replies),
                    Task::Transaction => self.run_sent_work(head, args, &mut replies),
                    Task::Script => self.run_script_for(head, args, &mut replies),
                    _ => put_reply(&mut replies, head.to, |out| {
                        let gate = task.run(self, None, head.db as usize, args, out);
                        let is_torn =
                            head.cut != 0 && !task.is_as_of(self, head.cut, head.db, args);
                        let ticks = self.timings.lap();
                        // ORDER: WAITAOF waits for it too.
                        let wrote = gate != 0 && task == Task::Functions;
                        Written { gate, wrote, is_torn, ticks, ..Written::default() }
                    }),
                }
                continue;
            }
            let spec = table::SPECS[head.what as usize];
            let (now, db) = (self.now_ms, head.db as usize);
            let Some(shard) = self.shard.as_mut() else { break };
            shard.keeps_access = head.no_touch;
            shard.is_part = head.is_part;
            let timings = &mut self.timings;
            let mut ticks = 0;
            put_reply(&mut replies, head.to, |out| {
                let gate = shard.execute(spec, db, now, head.resp3, args, out);
                ticks = timings.lap();
                let part_ticks = if head.is_part { ticks } else { 0 };
                let wrote = gate != 0 && is_write(spec);
                let is_torn = head.cut != 0 && !is_as_of(shard, head.cut, spec, db, args);
                Written { gate, wrote, is_torn, ticks: part_ticks, kind: Kind::Answer }
            });
            if !head.is_part {
                self.account_for(head.to, head.what, args, ticks, &mut replies);
            }
        }
        if let Some(shard) = self.shard.as_mut() {
            shard.is_part = false;
        }
        self.spans = spans;
        self.cell().stats.hops_in.add(count);
        self.cell().stats.hop_batches_in.add(1);
        self.mesh.recycle(batch);
        self.parcels_out.push((from, replies));
    }

    fn deliver_batch(&mut self, from: u16, batch: &[u8]) {
        let mut reader = BatchReader::new(batch);
        while let Some((head, reply)) = reader.next_reply() {
            let index = head.to.conn as usize;
            // What one is served with names its wait, which no other has.
            let is_known = head.kind == Kind::Served
                || self.generations.get(index) == Some(&head.to.generation);
            let Some(mut conn) =
                self.conns.get_mut(index).filter(|_| is_known).and_then(Option::take)
            else {
                self.nobody_waits(from, head, reply);
                continue;
            };
            if head.kind == Kind::Slow {
                let (us, args) = read_slow(reply);
                self.push_slow(&conn, us, args);
            } else if conn.closing {
                self.nobody_waits(from, head, reply);
            } else {
                self.deliver(&mut conn, from, head, reply);
            }
            self.put_back(conn);
        }
    }

    fn deliver(&mut self, conn: &mut Connection, from: u16, head: ReplyHead, reply: &[u8]) {
        if head.kind == Kind::Served {
            return self.served_elsewhere(conn, from, head, reply);
        }
        conn.outstanding = conn.outstanding.saturating_sub(1);
        if head.wrote {
            conn.wrote(from, head.gate);
        }
        let seq = head.to.seq;
        if head.kind == Kind::Again {
            return self.script_again(conn, seq);
        }
        self.charge(conn, seq, head.ticks);
        if (conn.blocked.is_some() || head.kind != Kind::Answer)
            && self.attempt_answered(conn, from, head, reply)
        {
            return self.go_on(conn);
        }
        match conn.slot(seq).and_then(|s| s.gather.take()) {
            Some(mut gather) => {
                gather.is_torn |= head.is_torn;
                self.gathered(conn, seq, gather, head.to.part, (from, head.gate), reply);
            }
            None => conn.fill_slot(seq, (from, head.gate), reply, self.turn),
        }
        self.go_on(conn);
    }

    /// A reply has come: input that waited for it is looked at again.
    pub(super) fn go_on(&mut self, conn: &mut Connection) {
        let go = match conn.parked {
            Parked::Order(None) => conn.outstanding == 0 && conn.slots.is_empty(),
            Parked::Order(Some(shard)) => conn.outstanding_only_on(shard),
            _ => false,
        };
        if go {
            self.unpark(conn);
        }
    }

    /// End of turn: replies first (they give credits back), then staged commands, as far as
    /// credits go; one doorbell per peer that sleeps.
    pub fn send_parcels(&mut self) {
        if self.shards() == 1 {
            return;
        }
        let mut rang = 0u64;
        for (to, replies) in std::mem::take(&mut self.parcels_out) {
            if let Some(peer) = self.mesh.peers[to as usize].as_mut()
                && peer.tx.push(Parcel::Replies(replies)).is_err()
            {
                // Credits are fewer than half the slots: cannot happen.
                unreachable!("no slot for a reply parcel");
            }
            rang |= 1 << (to % 64);
        }
        self.has_served = false;
        for to in 0..self.shards() {
            let Some(peer) = self.mesh.peers[to].as_mut() else { continue };
            let mut sent = rang >> (to % 64) & 1 == 1;
            // Unless requests and replies might not find places: then it is tried again.
            if !peer.served.is_empty() {
                if peer.tx.has_room(2 * CREDITS + 1) {
                    let batch = std::mem::take(&mut peer.served);
                    sent |= peer.tx.push(Parcel::Served(batch)).is_ok();
                } else {
                    self.has_served = true;
                }
            }
            if !peer.staged.is_empty() && peer.credits > 0 {
                peer.credits -= 1;
                peer.sent_at.push_back(self.now);
                let batch = std::mem::take(&mut peer.staged);
                let commands = std::mem::take(&mut peer.staged_commands);
                if peer.tx.push(Parcel::Requests(batch)).is_err() {
                    unreachable!("no slot for a request parcel");
                }
                let stats = &self.shared.cores[self.id as usize].stats;
                stats.hops_out.add(commands);
                stats.hop_batches_out.add(1);
                sent = true;
            }
            if sent {
                self.ring_doorbell(to);
            }
        }
    }
}
