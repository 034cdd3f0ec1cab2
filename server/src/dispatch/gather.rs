//! Commands over several shards: split by key, replies joined in the one reply slot.
//!
//! Each part is an ordinary single-shard command. Commands that cannot be split take steps one
//! after the other (`steps.rs`). The parts of a read show one moment (`reads.rs`); writes run in a
//! session, with all shards at hand.

use super::{
    Taken,
    account::Call,
    hop::Return,
    is_write,
    steps::{self, Steps},
};
use crate::{
    net::connection::{Connection, Parked},
    runtime::core::Core,
};
use quire_engine::{
    aof::Lsn,
    command::{Args, CommandError, CommandSpec, Fanout, Flags, KeySpec, OwnedArgs, Reply},
    families::table,
    shard::Shard,
};

/// How the parts' replies become one.
#[derive(Debug)]
pub enum Join {
    /// Integers, added.
    Sum,
    /// Elements of arrays, back in the order of the keys: element `i` of part `p` is the reply's
    /// `positions[p][i]`-th.
    Order(Vec<Vec<u32>>),
    /// +OK.
    Ok,
    /// The reply of the only part.
    Whole,
    /// Arrays, one behind the other.
    Concat,
    /// One of those that are not null, in proportion to these weights, by a random number.
    Draw(Vec<u64>, u64),
    /// A command in steps.
    Steps(Box<Steps>),
    /// Whether this command can read its streams, asked key by key before any is read.
    CanRead(u16, OwnedArgs),
    /// What streams have, in the order of the keys of this command (its number, its arguments).
    Streams(u16, OwnedArgs),
    /// Answers of a task of every core.
    Task(super::everywhere::Task, OwnedArgs),
}

/// A reply being put together.
#[derive(Debug)]
pub struct Gather {
    /// How.
    pub join: Join,
    /// Replies by part.
    pub parts: Vec<Vec<u8>>,
    /// Parts still missing.
    pub left: usize,
    /// The cut that all parts must be of; 0: they need not agree.
    pub cut: u64,
    /// A part is not of that cut.
    pub is_torn: bool,
}

impl Gather {
    /// A reply of so many parts, of whatever moments.
    pub fn new(join: Join, parts: usize) -> Self {
        Self::reading(join, parts, 0)
    }

    /// A reply of so many parts that must be of this cut.
    pub fn reading(join: Join, parts: usize, cut: u64) -> Self {
        Self { join, parts: vec![Vec::new(); parts], left: parts, cut, is_torn: false }
    }
}

/// One shard's part: its arguments and the places of its keys in the whole command.
pub struct Part {
    /// The shard.
    pub shard: u16,
    /// Its command.
    pub args: OwnedArgs,
    /// Places of its keys among all keys.
    pub keys: Vec<u32>,
}

impl Core {
    /// Splits a command whose keys are on several shards.
    pub fn split(
        &mut self,
        conn: &mut Connection,
        spec: &'static CommandSpec,
        id: u16,
        args: Args<'_>,
    ) -> Taken {
        // A write over several shards must come after everything else on any shard.
        if is_write(spec) && conn.outstanding > 0 {
            conn.parked = Parked::Order(None);
            return Taken::NotYet;
        }
        if is_write(spec) && !self.executing {
            return self.run_alone(conn, spec, args);
        }
        if spec.flags.has(Flags::DENYOOM) && !self.shard.as_mut().is_some_and(Shard::has_memory) {
            return self.reject(conn, id, CommandError::OUT_OF_MEMORY);
        }
        match spec.fanout {
            Fanout::TwoKeys
            | Fanout::AllOrNothing
            | Fanout::Whole
            | Fanout::Store
            | Fanout::Merge
            | Fanout::StoreOption
            | Fanout::Lookups
            | Fanout::FirstOf => {
                return self.start_steps(conn, spec, id, args);
            }
            _ => {}
        }
        if spec.fanout == Fanout::AllOk && args.len().is_multiple_of(2) {
            // A key without a value: the part it belongs to could not tell.
            return self.refuse(conn, |_, _| CommandError::arity(spec.name));
        }
        let parts = self.parts_of(spec, args);
        let join = match spec.fanout {
            Fanout::Sum => Join::Sum,
            Fanout::Gather => Join::Order(parts.iter().map(|p| p.keys.clone()).collect()),
            _ => Join::Ok,
        };
        let call = Call::new(id, spec.flags, args);
        let cut = if is_write(spec) { 0 } else { self.take_cut() };
        let seq = self.open_gather(conn, Gather::reading(join, parts.len(), cut), call);
        for (number, part) in parts.into_iter().enumerate() {
            let to = Return { seq, part: number as u16, ..self.return_to(conn) };
            self.part_at(conn, part.shard, spec, id, to, part.args.as_args());
        }
        Self::hold_writes(conn);
        Taken::Yes
    }

    /// One command per shard that owns some of the keys.
    pub fn parts_of(&self, spec: &CommandSpec, args: Args<'_>) -> Vec<Part> {
        let step = match spec.keys {
            KeySpec::Range { step, .. } => step as usize,
            _ => 1,
        };
        let mut parts: Vec<Part> = Vec::new();
        for (number, at) in spec.keys.positions(args).enumerate() {
            let shard = self.owner_of(args.get(at));
            let found = parts.iter().position(|p| p.shard == shard);
            let i = found.unwrap_or_else(|| {
                let mut own = OwnedArgs::new();
                own.push(args.get(0));
                parts.push(Part { shard, args: own, keys: Vec::new() });
                parts.len() - 1
            });
            for offset in 0..step {
                if let Some(arg) = args.try_get(at + offset) {
                    parts[i].args.push(arg);
                }
            }
            parts[i].keys.push(number as u32);
        }
        parts
    }

    /// Opens a slot for a reply of several parts.
    pub fn open_gather(&mut self, conn: &mut Connection, gather: Gather, call: Box<Call>) -> u32 {
        let seq = conn.open_slot(self.id);
        let silent = Self::muted(conn);
        self.timings.start();
        if let Some(slot) = conn.slot(seq) {
            slot.silent = silent;
            slot.call = Some(call);
            slot.gather = Some(Box::new(gather));
        }
        seq
    }

    /// Runs one part here or sends it.
    pub fn part_at(
        &mut self,
        conn: &mut Connection,
        shard: u16,
        spec: &'static CommandSpec,
        id: u16,
        to: Return,
        args: Args<'_>,
    ) {
        if shard != self.id && !self.executing {
            self.send_part(conn, shard, id, to, true, args.iter_from(0));
            self.timings.start();
            return;
        }
        let (db, resp3, now) = (conn.session.db, conn.session.resp3, self.now_ms);
        // The whole reply waits for the whole transaction.
        let is_transaction = self.executing && !self.session.is_rereading;
        let cut = conn.cut_of(to.seq);
        let Some(own) = self.shard_at(shard) else { return };
        own.keeps_access = conn.session.no_touch;
        let was_part = std::mem::replace(&mut own.is_part, true);
        let mut reply = Vec::new();
        let mut gate = own.execute(spec, db, now, resp3, args, &mut reply);
        if is_transaction {
            gate = 0;
        }
        own.is_part = was_part;
        let is_torn = cut != 0 && !is_as_of(own, cut, spec, db, args);
        let ticks = self.timings.lap();
        self.charge(conn, to.seq, ticks);
        if gate != 0 && is_write(spec) {
            conn.wrote(shard, gate);
        }
        if let Some(mut gather) = conn.slot(to.seq).and_then(|s| s.gather.take()) {
            gather.is_torn |= is_torn;
            self.gathered(conn, to.seq, gather, to.part, (shard, gate), &reply);
        }
    }

    /// Runs a command on every shard and joins the replies.
    pub fn split_everywhere(
        &mut self,
        conn: &mut Connection,
        spec: &'static CommandSpec,
        id: u16,
        args: Args<'_>,
    ) -> Taken {
        let n = self.shards();
        let join = match spec.fanout {
            Fanout::EveryShardSum => Join::Sum,
            Fanout::EveryShardDraw => self.draw(conn.session.db),
            _ => Join::Concat,
        };
        let call = Call::new(id, spec.flags, args);
        let seq = self.open_gather(conn, Gather::new(join, n), call);
        for shard in 0..n as u16 {
            let to = Return { seq, part: shard, ..self.return_to(conn) };
            self.part_at(conn, shard, spec, id, to, args);
        }
        Taken::Yes
    }

    /// Weights of the shards: the keys they had in this database a moment ago. One is added to
    /// each, for the first key may have come since.
    fn draw(&mut self, db: usize) -> Join {
        let weights = self.shared.cores.iter().map(|c| c.stats.keys[db].get() + 1).collect();
        Join::Draw(weights, self.shard.as_mut().map_or(0, |shard| shard.random.next()))
    }

    /// A part's reply has come.
    pub fn gathered(
        &mut self,
        conn: &mut Connection,
        seq: u32,
        mut gather: Box<Gather>,
        part: u16,
        gate: (u16, Lsn),
        reply: &[u8],
    ) {
        gather.parts[part as usize] = reply.to_vec();
        gather.left -= 1;
        if let Some(slot) = conn.slot(seq)
            && gate.1 != 0
        {
            slot.more_gates.push(gate);
        }
        if gather.left > 0 {
            if let Some(slot) = conn.slot(seq) {
                slot.gather = Some(gather);
            }
            return;
        }
        if gather.is_torn {
            return self.read_again(conn, seq, gather);
        }
        let mut out = Vec::new();
        let Gather { join, parts, .. } = *gather;
        match join {
            Join::Steps(steps) => {
                let resp3 = conn.session.resp3;
                if let Some(next) = steps::advance(self, *steps, &parts, &mut out, resp3) {
                    self.run_step(conn, seq, next);
                    return;
                }
            }
            Join::CanRead(id, args) => {
                match parts.iter().find(|part| part.first() == Some(&b'-')) {
                    Some(error) => out.clone_from(error),
                    None => return self.ask_streams(conn, seq, id, args),
                }
            }
            Join::Streams(id, args) => match self.join_streams(conn, seq, (id, &args), &parts) {
                Some(joined) => out = joined,
                None => return,
            },
            Join::Task(task, args) => {
                task.join(self, conn, args.as_args(), &parts, &mut out);
            }
            join => join_replies(&join, &parts, &mut out, conn.session.resp3),
        }
        self.account_split(conn, seq);
        conn.fill_slot(seq, (0, 0), &out, self.turn);
    }

    /// Looks up a command this module sends by itself.
    pub fn known(name: &'static str) -> (u16, &'static CommandSpec) {
        match table::find(name.as_bytes()) {
            Some(id) => (id, table::SPECS[id as usize]),
            None => unreachable!("{name} is in the table"),
        }
    }
}

/// Whether a part that a shard has just read is of a cut.
pub fn is_as_of(
    shard: &mut Shard,
    cut: u64,
    spec: &CommandSpec,
    db: usize,
    args: Args<'_>,
) -> bool {
    shard.is_as_of(cut, db, spec.keys.positions(args).map(|at| args.get(at)))
}

/// Joins replies of parts; the first error among them is the reply.
fn join_replies(join: &Join, parts: &[Vec<u8>], out: &mut Vec<u8>, resp3: bool) {
    if let Some(error) = parts.iter().find(|p| p.first() == Some(&b'-')) {
        out.extend_from_slice(error);
        return;
    }
    let mut reply = Reply::new(out, resp3);
    match join {
        Join::Sum => reply.int(parts.iter().map(|p| integer(p)).sum()),
        Join::Ok => reply.ok(),
        Join::Whole => reply.raw(&parts[0]),
        Join::Concat => {
            let arrays: Vec<Vec<&[u8]>> = parts.iter().map(|p| elements(p)).collect();
            reply.array(arrays.iter().map(Vec::len).sum());
            for element in arrays.iter().flatten() {
                reply.raw(element);
            }
        }
        Join::Order(positions) => {
            let total = positions.iter().map(Vec::len).sum();
            let mut ordered: Vec<&[u8]> = vec![&[]; total];
            for (part, places) in parts.iter().zip(positions) {
                for (element, &place) in elements(part).into_iter().zip(places) {
                    ordered[place as usize] = element;
                }
            }
            reply.array(total);
            for element in ordered {
                reply.raw(element);
            }
        }
        Join::Draw(weights, random) => match drawn(parts, weights, *random) {
            Some(part) => reply.raw(part),
            None => reply.null(),
        },
        Join::Steps(_) | Join::Task(..) | Join::CanRead(..) | Join::Streams(..) => {}
    }
}

/// One of the parts that are not null, by chance.
fn drawn<'a>(parts: &'a [Vec<u8>], weights: &[u64], random: u64) -> Option<&'a [u8]> {
    let is_null = |part: &[u8]| part.starts_with(b"$-1") || part.starts_with(b"_");
    let there = || parts.iter().zip(weights).filter(|(part, _)| !is_null(part));
    let total: u64 = there().map(|(_, weight)| weight).sum();
    let mut at = random.checked_rem(total)?;
    there().find_map(|(part, &weight)| match at.checked_sub(weight) {
        Some(rest) => {
            at = rest;
            None
        }
        None => Some(part.as_slice()),
    })
}

/// The integer of a `:n` reply.
pub fn integer(reply: &[u8]) -> i64 {
    std::str::from_utf8(reply)
        .ok()
        .and_then(|s| s.strip_prefix(':'))
        .and_then(|s| s.trim_end().parse().ok())
        .unwrap_or(0)
}

/// The elements of an array reply of bulk strings, integers, simple strings and nulls.
pub fn elements(reply: &[u8]) -> Vec<&[u8]> {
    let line_end = |at: usize| memchr::memchr(b'\n', &reply[at..]).map(|i| at + i + 1);
    let number = |from: usize, to: usize| -> i64 {
        std::str::from_utf8(&reply[from..to])
            .ok()
            .and_then(|s| s.trim_end().parse().ok())
            .unwrap_or(-1)
    };
    let Some(mut at) = line_end(0) else { return Vec::new() };
    let mut found = Vec::new();
    while at < reply.len() {
        let Some(end) = line_end(at) else { break };
        let stop = match reply[at] {
            b'$' => match number(at + 1, end) {
                len if len >= 0 => end + len as usize + 2,
                _ => end,
            },
            _ => end,
        };
        found.push(&reply[at..stop]);
        at = stop;
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    fn joined(join: &Join, parts: &[&[u8]]) -> String {
        let parts: Vec<Vec<u8>> = parts.iter().map(|p| p.to_vec()).collect();
        let mut out = Vec::new();
        join_replies(join, &parts, &mut out, false);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn parts_join_to_what_one_shard_would_have_said() {
        assert_eq!(joined(&Join::Sum, &[b":2\r\n", b":40\r\n"]), ":42\r\n");
        assert_eq!(joined(&Join::Ok, &[b"+OK\r\n", b"-MISCONF x\r\n"]), "-MISCONF x\r\n");
        let order = Join::Order(vec![vec![0, 3], vec![1, 2]]);
        assert_eq!(
            joined(&order, &[b"*2\r\n$1\r\na\r\n$-1\r\n", b"*2\r\n$3\r\nb\r\n\r\n$0\r\n\r\n"]),
            "*4\r\n$1\r\na\r\n$3\r\nb\r\n\r\n$0\r\n\r\n$-1\r\n"
        );
        let parts: [&[u8]; 3] = [b"$-1\r\n", b"$1\r\na\r\n", b"$1\r\nb\r\n"];
        assert_eq!(joined(&Join::Draw(vec![9, 1, 2], 3), &parts), "$1\r\na\r\n");
        assert_eq!(joined(&Join::Draw(vec![9, 1, 2], 5), &parts), "$1\r\nb\r\n");
        assert_eq!(joined(&Join::Draw(vec![9], 5), &parts[..1]), "$-1\r\n");
        assert_eq!(joined(&Join::Concat, &[b"*0\r\n", b"*1\r\n$1\r\nk\r\n"]), "*1\r\n$1\r\nk\r\n");
    }
}
