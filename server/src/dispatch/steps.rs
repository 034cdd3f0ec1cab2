//! Commands over several shards that take one step after the other: RENAME, RENAMENX, COPY, MSETNX;
//! SMOVE, LMOVE and ZMPOP (`single.rs`); those that run on copies of the values (`borrowed.rs`).
//!
//! A step is one or more parts; its replies decide the next. Between steps other commands may
//! run: these commands are exact when nobody else touches their keys meanwhile, and never lose a
//! value (the copy is made before the original goes).

mod borrowed;
mod single;

use super::{
    Taken,
    account::Call,
    everywhere::Task,
    gather::{Gather, Join, elements, integer},
    hop::Return,
    is_write,
};
use crate::{
    net::connection::{Connection, Parked},
    runtime::core::Core,
};
use borrowed::Borrowed;
use quire_engine::{
    command::{Args, CommandError, CommandSpec, Fanout, OwnedArgs, Reply},
    families::keys::transfer::database_number,
};
use single::{FirstOf, MoveElement, MoveMember};

/// Where a command in steps is.
#[derive(Debug)]
pub enum Steps {
    /// MSETNX counts existing keys.
    CountKeys(OwnedArgs),
    /// MSETNX sets all pairs.
    SetAll(OwnedArgs),
    /// RENAME, RENAMENX or COPY.
    Transfer(Transfer),
    /// SMOVE.
    MoveMember(MoveMember),
    /// LMOVE and its kin.
    MoveElement(MoveElement),
    /// ZMPOP.
    FirstOf(FirstOf),
    /// A command on copies of the values.
    Borrowed(Borrowed),
}

/// There is no way over several shards.
pub(super) const CROSS_SHARD: CommandError = CommandError::new(
    "CROSSSHARD Keys of this command are on different shards: give them the same {hash tag}",
);

/// Which command moves the value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// RENAME.
    Rename,
    /// RENAMENX.
    RenameNx,
    /// COPY.
    Copy,
}

/// What a transfer does next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stage {
    Export,
    CheckTarget,
    Import,
    Discard,
}

/// A value on its way from one shard to another.
#[derive(Debug)]
pub struct Transfer {
    kind: Kind,
    source: Vec<u8>,
    target: Vec<u8>,
    target_db: u16,
    replace: bool,
    stage: Stage,
    value: Vec<u8>,
    deadline: Vec<u8>,
    encoding: Vec<u8>,
}

impl Transfer {
    fn parse(
        spec: &CommandSpec,
        args: Args<'_>,
        db: usize,
        databases: usize,
    ) -> Result<Self, CommandError> {
        let kind = match spec.name {
            "rename" => Kind::Rename,
            "renamenx" => Kind::RenameNx,
            _ => Kind::Copy,
        };
        let mut transfer = Self {
            kind,
            source: args.get(1).to_vec(),
            target: args.get(2).to_vec(),
            target_db: db as u16,
            replace: kind == Kind::Rename,
            stage: Stage::Export,
            value: Vec::new(),
            deadline: Vec::new(),
            encoding: Vec::new(),
        };
        let mut at = 3;
        while let Some(option) = args.try_get(at) {
            if option.eq_ignore_ascii_case(b"replace") {
                transfer.replace = true;
                at += 1;
            } else if option.eq_ignore_ascii_case(b"db") && at + 1 < args.len() {
                transfer.target_db = database_number(args.get(at + 1), databases)? as u16;
                at += 2;
            } else {
                return Err(CommandError::SYNTAX);
            }
        }
        Ok(transfer)
    }
}

/// Looks at a finished step's replies: the next step, or none with the reply in `out`.
pub fn advance(
    core: &Core,
    steps: Steps,
    parts: &[Vec<u8>],
    out: &mut Vec<u8>,
    resp3: bool,
) -> Option<Steps> {
    let steps = match steps {
        Steps::MoveMember(moved) => return moved.advance(parts, &mut Reply::new(out, resp3)),
        Steps::MoveElement(moved) => return moved.advance(parts, &mut Reply::new(out, resp3)),
        steps => steps,
    };
    if let Some(error) = parts.iter().find(|p| p.first() == Some(&b'-')) {
        out.extend_from_slice(error);
        return None;
    }
    let mut reply = Reply::new(out, resp3);
    match steps {
        Steps::CountKeys(args) => {
            if parts.iter().map(|p| integer(p)).sum::<i64>() > 0 {
                reply.int(0);
                return None;
            }
            Some(Steps::SetAll(args))
        }
        Steps::SetAll(_) => {
            reply.int(1);
            None
        }
        Steps::MoveMember(_) | Steps::MoveElement(_) => None,
        Steps::FirstOf(of) => of.advance(parts, out),
        Steps::Borrowed(borrowed) => borrowed.advance(core, parts, resp3, out),
        Steps::Transfer(transfer) => {
            advance_transfer(transfer, &parts[0], &mut reply).map(Steps::Transfer)
        }
    }
}

fn advance_transfer(mut t: Transfer, part: &[u8], reply: &mut Reply<'_>) -> Option<Transfer> {
    match t.stage {
        Stage::Export => {
            let found = elements(part);
            if found.len() != 3 {
                match t.kind {
                    Kind::Copy => reply.int(0),
                    _ => reply.error(CommandError::NO_SUCH_KEY.text()),
                }
                return None;
            }
            t.value = bulk(found[0]).to_vec();
            t.deadline = bulk(found[1]).to_vec();
            t.encoding = bulk(found[2]).to_vec();
            t.stage = if t.replace { Stage::Import } else { Stage::CheckTarget };
            Some(t)
        }
        Stage::CheckTarget => {
            if integer(part) > 0 {
                reply.int(0);
                return None;
            }
            t.stage = Stage::Import;
            Some(t)
        }
        Stage::Import => {
            if t.kind == Kind::Copy {
                reply.int(1);
                return None;
            }
            t.stage = Stage::Discard;
            Some(t)
        }
        Stage::Discard => {
            match t.kind {
                Kind::Rename => reply.ok(),
                _ => reply.int(1),
            }
            None
        }
    }
}

/// The bytes of a bulk string reply; none of a null.
fn bulk(element: &[u8]) -> &[u8] {
    if element.starts_with(b"$-1") || element.starts_with(b"_") {
        return &[];
    }
    let start = memchr::memchr(b'\n', element).map_or(0, |i| i + 1);
    &element[start..element.len().saturating_sub(2).max(start)]
}

impl Core {
    /// Starts a command in steps.
    pub fn start_steps(
        &mut self,
        conn: &mut Connection,
        spec: &'static CommandSpec,
        id: u16,
        args: Args<'_>,
    ) -> Taken {
        let owned = OwnedArgs::from_slices(&args.iter_from(0).collect::<Vec<_>>());
        let steps = match (spec.fanout, spec.name) {
            (Fanout::AllOrNothing, _) if args.len().is_multiple_of(2) => {
                return self.reject(conn, id, CommandError::arity(spec.name));
            }
            (Fanout::AllOrNothing, "msetnx") => Steps::CountKeys(owned),
            (Fanout::TwoKeys, "rename" | "renamenx" | "copy") => {
                let databases = self.shared.options.databases;
                match Transfer::parse(spec, args, conn.session.db, databases) {
                    Ok(transfer) => Steps::Transfer(transfer),
                    Err(error) => return self.reject(conn, id, error),
                }
            }
            (Fanout::TwoKeys, "smove") => Steps::MoveMember(MoveMember::new(owned)),
            (Fanout::TwoKeys, _) => match MoveElement::new(spec.name, args) {
                Ok(moved) => Steps::MoveElement(moved),
                Err(error) => return self.reject(conn, id, error),
            },
            (Fanout::FirstOf, _) => match FirstOf::new(spec, id, args) {
                Some(of) => Steps::FirstOf(of),
                // Its handler says what is wrong.
                None => return self.run_here(conn, spec, id, args),
            },
            _ => Steps::Borrowed(Borrowed::new(spec, args)),
        };
        let seq = conn.open_slot(self.id);
        let silent = Self::muted(conn);
        self.timings.start();
        if let Some(slot) = conn.slot(seq) {
            slot.silent = silent;
            slot.call = Some(Call::new(id, spec.flags, args));
        }
        self.run_step(conn, seq, steps);
        if is_write(spec) && conn.outstanding > 0 {
            // ORDER: later steps are yet to be sent, so what follows in the pipeline, reads
            // included, would overtake them on its way to the same shards.
            conn.parked = Parked::Order(None);
            return Taken::Waits;
        }
        Taken::Yes
    }

    /// Sends the parts of a step.
    pub fn run_step(&mut self, conn: &mut Connection, seq: u32, steps: Steps) {
        let steps = match steps {
            Steps::MoveMember(moved) => return self.run_member_move(conn, seq, moved),
            Steps::MoveElement(moved) => return self.run_element_move(conn, seq, moved),
            Steps::FirstOf(of) => return self.run_first_of(conn, seq, of),
            Steps::Borrowed(borrowed) => return self.run_borrowed(conn, seq, borrowed),
            steps => steps,
        };
        match &steps {
            Steps::CountKeys(args) | Steps::SetAll(args) => {
                let counting = matches!(steps, Steps::CountKeys(_));
                let (id, spec) = Self::known(if counting { "exists" } else { "mset" });
                let pairs = args.as_args();
                let mut whole = OwnedArgs::new();
                whole.push(spec.name.as_bytes());
                for (i, arg) in pairs.iter_from(1).enumerate() {
                    if !counting || i % 2 == 0 {
                        whole.push(arg);
                    }
                }
                let parts = self.parts_of(spec, whole.as_args());
                self.regather(conn, seq, steps, parts.len());
                for (number, part) in parts.into_iter().enumerate() {
                    let to = Return { seq, part: number as u16, ..self.return_to(conn) };
                    self.part_at(conn, part.shard, spec, id, to, part.args.as_args());
                }
            }
            Steps::Transfer(t) => {
                let db = conn.session.db as u16;
                let (task, key, db) = match t.stage {
                    Stage::Export => (Task::Export, &t.source, db),
                    Stage::CheckTarget => (Task::Exists, &t.target, t.target_db),
                    Stage::Import => (Task::Import, &t.target, t.target_db),
                    Stage::Discard => (Task::Discard, &t.source, db),
                };
                let shard = self.owner_of(key);
                let args = OwnedArgs::from_slices(&[key, &t.value, &t.deadline, &t.encoding]);
                self.regather(conn, seq, steps, 1);
                self.task_at(conn, shard, task, seq, 0, db, args.as_args());
            }
            // Run above.
            Steps::MoveMember(_)
            | Steps::MoveElement(_)
            | Steps::FirstOf(_)
            | Steps::Borrowed(_) => {}
        }
    }

    fn regather(&mut self, conn: &mut Connection, seq: u32, steps: Steps, parts: usize) {
        let cut = if steps.is_read() { self.take_cut() } else { 0 };
        if let Some(slot) = conn.slot(seq) {
            let join = Join::Steps(Box::new(steps));
            slot.gather = Some(Box::new(Gather::reading(join, parts, cut)));
        }
    }
}
