//! Which shard runs a command: here, elsewhere, or several.

use super::{
    Taken,
    hop::{RequestHead, Return},
    is_write,
};
use crate::{
    net::connection::{Connection, Parked},
    runtime::core::Core,
};
use quire_engine::{
    command::{Args, CommandSpec, Fanout, Flags, KeySpec},
    families::keys::sort,
    slot::{group_of_slot, shard_of_group, slot_of},
};

impl Core {
    /// The shard that owns a key.
    #[inline]
    pub fn owner_of(&self, key: &[u8]) -> u16 {
        shard_of_group(group_of_slot(slot_of(key)), self.shards()) as u16
    }

    /// Runs an admitted shard command, or sends it to its shard, or splits it.
    #[inline]
    pub fn route(
        &mut self,
        conn: &mut Connection,
        spec: &'static CommandSpec,
        id: u16,
        args: Args<'_>,
    ) -> Taken {
        if is_write(spec) && self.is_log_full() && !self.executing {
            conn.parked = Parked::LogFull;
            self.stalled.push(conn.index);
            return Taken::NotYet;
        }
        if self.shards() == 1 && (!spec.flags.has(Flags::BLOCKING) || self.executing) {
            return self.run_here(conn, spec, id, args);
        }
        if spec.keys == KeySpec::ONE {
            let shard = self.owner_of(args.get(1));
            return self.run_at(conn, spec, id, args, shard);
        }
        self.route_widely(conn, spec, id, args)
    }

    /// True when this shard's clients write faster than its log is given room.
    #[inline]
    pub fn is_log_full(&self) -> bool {
        self.shard.as_ref().is_some_and(|s| s.staging.is_backlogged() && !s.staging.is_failed())
    }

    /// End of turn: connections that waited for room go on where there is some.
    pub fn unstall(&mut self) {
        if self.stalled.is_empty() {
            return;
        }
        for index in std::mem::take(&mut self.stalled) {
            let Some(mut conn) = self.conns[index as usize].take() else { continue };
            let waits = match conn.parked {
                Parked::BackPressure(shard) => self.mesh.is_full(shard),
                Parked::LogFull => self.is_log_full(),
                _ => false,
            };
            if waits {
                self.stalled.push(index);
            } else if matches!(
                conn.parked,
                Parked::BackPressure(_) | Parked::LogFull | Parked::Crowded
            ) {
                self.unpark(&mut conn);
            }
            self.conns[index as usize] = Some(conn);
        }
    }

    fn route_widely(
        &mut self,
        conn: &mut Connection,
        spec: &'static CommandSpec,
        id: u16,
        args: Args<'_>,
    ) -> Taken {
        if spec.flags.has(Flags::BLOCKING) {
            return self.run_blocking(conn, spec, id, args);
        }
        match spec.fanout {
            Fanout::EveryShardSum | Fanout::EveryShardJoin | Fanout::EveryShardDraw => {
                return self.split_everywhere(conn, spec, id, args);
            }
            Fanout::Cursor => {
                let shard = self.shard_of_cursor(args);
                return self.run_at(conn, spec, id, args, shard);
            }
            Fanout::Lookups if self.looks_elsewhere(args) => {
                return self.split(conn, spec, id, args);
            }
            _ => {}
        }
        let mut owners = spec.keys.positions(args).map(|i| self.owner_of(args.get(i)));
        let Some(first) = owners.next() else {
            return self.run_here(conn, spec, id, args);
        };
        if owners.all(|o| o == first) {
            return self.run_at(conn, spec, id, args, first);
        }
        self.split(conn, spec, id, args)
    }

    /// SORT, with patterns that may name keys of other shards.
    pub fn looks_elsewhere(&self, args: Args<'_>) -> bool {
        sort::looks_elsewhere(args, |key| self.owner_of(key))
    }

    /// SCAN goes to the shard that owns its cursor's slot group.
    pub fn shard_of_cursor(&self, args: Args<'_>) -> u16 {
        let cursor = args
            .try_get(1)
            .and_then(|b| std::str::from_utf8(b).ok())
            .and_then(|s| s.parse::<u64>().ok())
            .unwrap_or(0);
        let group = quire_engine::keyspace::scan_group(cursor) as u8;
        shard_of_group(group, self.shards()) as u16
    }

    /// Runs a command on the shard that owns all its keys.
    #[inline]
    pub fn run_at(
        &mut self,
        conn: &mut Connection,
        spec: &'static CommandSpec,
        id: u16,
        args: Args<'_>,
        shard: u16,
    ) -> Taken {
        if is_write(spec) && !conn.outstanding_only_on(shard) {
            conn.parked = Parked::Order(Some(shard));
            return Taken::NotYet;
        }
        if shard == self.id {
            return self.run_here(conn, spec, id, args);
        }
        if self.executing {
            self.run_lent(conn, spec, id, args, shard);
            return Taken::Yes;
        }
        if self.mesh.is_full(shard) {
            conn.parked = Parked::BackPressure(shard);
            self.stalled.push(conn.index);
            return Taken::NotYet;
        }
        let seq = conn.open_slot(shard);
        if Self::muted(conn)
            && let Some(slot) = conn.slot(seq)
        {
            slot.silent = true;
        }
        let to = Return { seq, ..self.return_to(conn) };
        self.send_part(conn, shard, id, to, false, args.iter_from(0));
        // What was sent is timed where it runs, and not by the next command's time.
        self.timings.start();
        Taken::Yes
    }

    /// Where replies for this connection go; slot and part to be filled in.
    pub fn return_to(&self, conn: &Connection) -> Return {
        Return { conn: conn.index, generation: conn.generation, seq: 0, part: 0 }
    }

    /// Stages a command, or one part of it, for another shard.
    pub fn send_part(
        &mut self,
        conn: &mut Connection,
        shard: u16,
        what: u16,
        to: Return,
        is_part: bool,
        args: impl Iterator<Item: AsRef<[u8]>>,
    ) {
        conn.sent_out(shard);
        let (db, resp3) = (conn.session.db as u16, conn.session.resp3);
        let no_touch = conn.session.no_touch;
        let cut = if is_part { conn.cut_of(to.seq) } else { 0 };
        let head = RequestHead { to, what, db, resp3, is_part, no_touch, cut };
        self.mesh.stage(shard, head, args);
    }

    /// Runs a command on this core's own shard.
    #[inline]
    pub fn run_here(
        &mut self,
        conn: &mut Connection,
        spec: &'static CommandSpec,
        id: u16,
        args: Args<'_>,
    ) -> Taken {
        let Some(shard) = self.shard.as_mut() else { return Taken::Yes };
        let (db, resp3) = (conn.session.db, conn.session.resp3);
        shard.keeps_access = conn.session.no_touch;
        if conn.is_direct() && conn.session.reply_mode == crate::session::ReplyMode::On {
            let out = &mut conn.out.buf;
            let at = out.len();
            let gate = shard.execute(spec, db, self.now_ms, resp3, args, out);
            if gate != 0 && !self.executing {
                conn.out.gate(at, self.id, gate, self.turn);
                if is_write(spec) {
                    conn.wrote(self.id, gate);
                }
            }
        } else {
            let mut reply = std::mem::take(&mut self.scratch);
            reply.clear();
            let mut gate = shard.execute(spec, db, self.now_ms, resp3, args, &mut reply);
            if self.executing {
                // The whole reply waits for the whole transaction.
                gate = 0;
            }
            if gate != 0 && is_write(spec) {
                conn.wrote(self.id, gate);
            }
            if Self::muted(conn) {
                reply.clear();
            }
            let seq = conn.open_slot(self.id);
            conn.fill_slot(seq, (self.id, gate), &reply, self.turn);
            self.scratch = reply;
        }
        let ticks = self.timings.lap();
        self.account(conn, id, spec.flags, args, ticks);
        Taken::Yes
    }
}
