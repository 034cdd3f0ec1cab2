//! Reads over several shards: all of their parts show one moment.
//!
//! A read with fixed keys takes a cut (`engine/shard/cuts.rs`) and asks every shard for its part, in the
//! messages that it sends anyway. A shard that has changed one of the keys since says so with its
//! reply; then the parts are worth nothing together, and the read begins again with a new cut. If
//! that happens too often, because others write these keys all the time, it is run in a session
//! (`transaction/session.rs`), where nobody writes.
//!
//! ORDER: what its connection writes behind it in the pipeline goes out when the read is done, or
//! it might be seen by parts that are asked again.

use super::{
    gather::{Gather, Join},
    hop::Return,
    steps::Steps,
};
use crate::{net::connection::Connection, runtime::core::Core};
use quire_engine::{command::OwnedArgs, families::table};

/// Cuts that a read takes before it asks for a session.
const CUTS_MAX: u8 = 2;

/// A read that waits for a session: connection, its generation, reply slot.
pub(super) type Reread = (u32, u32, u32);

impl Core {
    /// The cut of a read that begins now; none is needed while all shards are here.
    pub(super) fn take_cut(&self) -> u64 {
        if self.executing { 0 } else { self.shared.cuts.take() }
    }

    /// Later writes of this connection wait for what is out.
    pub(super) fn hold_writes(conn: &mut Connection) {
        conn.outstanding_mixed = true;
    }

    /// The parts of a read have come and are of different moments.
    #[cold]
    pub(super) fn read_again(&mut self, conn: &mut Connection, seq: u32, gather: Box<Gather>) {
        let Some(slot) = conn.slot(seq) else { return };
        slot.tries += 1;
        if slot.tries < CUTS_MAX {
            return self.ask_again(conn, seq, gather.join);
        }
        slot.gather = Some(gather);
        // It has nothing out until the session, and its writes wait all the same.
        conn.sent_out(self.id);
        Self::hold_writes(conn);
        self.session.rereads.push((conn.index, conn.generation, seq));
        self.want_session();
    }

    /// In a session: the reads that wait for one.
    pub(super) fn read_in_session(&mut self) {
        for (index, generation, seq) in std::mem::take(&mut self.session.rereads) {
            if self.generations.get(index as usize) != Some(&generation) {
                continue;
            }
            let Some(mut conn) = self.conns[index as usize].take() else { continue };
            let gather = conn.slot(seq).and_then(|slot| slot.gather.take());
            if let (false, Some(gather)) = (conn.closing, gather) {
                conn.outstanding = conn.outstanding.saturating_sub(1);
                (self.executing, self.session.is_rereading) = (true, true);
                self.ask_again(&mut conn, seq, gather.join);
                (self.executing, self.session.is_rereading) = (false, false);
                self.go_on(&mut conn);
            }
            self.put_back(conn);
        }
    }

    fn ask_again(&mut self, conn: &mut Connection, seq: u32, join: Join) {
        self.timings.start();
        match join {
            Join::Steps(steps) => self.run_step(conn, seq, *steps),
            Join::Streams(id, args) => self.ask_streams(conn, seq, id, args),
            join => {
                let Some(call) = conn.slot(seq).and_then(|slot| slot.call.as_ref()) else { return };
                let (id, args) = (call.id, call.args.clone());
                self.ask_parts(conn, seq, id, &args, join);
            }
        }
    }

    /// Asks for the parts of a command that is split by key.
    fn ask_parts(
        &mut self,
        conn: &mut Connection,
        seq: u32,
        id: u16,
        args: &OwnedArgs,
        join: Join,
    ) {
        let spec = table::SPECS[usize::from(id)];
        let parts = self.parts_of(spec, args.as_args());
        let gather = Gather::reading(join, parts.len(), self.take_cut());
        if let Some(slot) = conn.slot(seq) {
            slot.gather = Some(Box::new(gather));
        }
        for (number, part) in parts.into_iter().enumerate() {
            let to = Return { seq, part: number as u16, ..self.return_to(conn) };
            self.part_at(conn, part.shard, spec, id, to, part.args.as_args());
        }
        Self::hold_writes(conn);
    }
}

impl Steps {
    /// True of a step that reads values, in a command that writes nothing.
    pub(super) fn is_read(&self) -> bool {
        matches!(self, Self::Borrowed(borrowed) if borrowed.is_read())
    }
}
