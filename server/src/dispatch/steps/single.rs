//! Commands over several shards that are commands on one key each, one after the other: SMOVE,
//! LMOVE, ZMPOP.
//!
//! Each is atomic on its key. What moves is for a moment in both places, never in none.

use super::{
    super::{gather::integer, hop::Return},
    Steps, bulk,
};
use crate::{net::connection::Connection, runtime::core::Core};
use quire_engine::{
    command::{Args, CommandError, CommandSpec, KeySpec, OwnedArgs, Reply},
    families::lists::transfer::Ends,
    types::list::End,
};

/// SMOVE.
#[derive(Debug)]
pub struct MoveMember {
    args: OwnedArgs,
    stage: Stage,
}

/// LMOVE and its kin.
#[derive(Debug)]
pub struct MoveElement {
    source: Vec<u8>,
    target: Vec<u8>,
    ends: Ends,
    /// What moves, once it is known.
    element: Vec<u8>,
    stage: Stage,
}

#[derive(Debug, Clone, Copy)]
enum Stage {
    Look,
    Add,
    Remove,
}

/// ZMPOP: the keys are asked in their order.
#[derive(Debug)]
pub struct FirstOf {
    id: u16,
    spec: &'static CommandSpec,
    /// One command per key, the next one last.
    left: Vec<OwnedArgs>,
}

impl MoveMember {
    /// From its arguments.
    pub fn new(args: OwnedArgs) -> Self {
        Self { args, stage: Stage::Look }
    }

    /// A step is done.
    pub fn advance(mut self, parts: &[Vec<u8>], reply: &mut Reply<'_>) -> Option<Steps> {
        self.stage = match self.stage {
            // A source that is not there comes before a target of another type.
            Stage::Look if integer(&parts[0]) == 0 => {
                reply.int(0);
                return None;
            }
            Stage::Look | Stage::Add => {
                if let Some(error) = parts.iter().find(|part| part.first() == Some(&b'-')) {
                    reply.raw(error);
                    return None;
                }
                match self.stage {
                    Stage::Look if integer(&parts[1]) == 0 => {
                        reply.int(0);
                        return None;
                    }
                    Stage::Look => Stage::Add,
                    // ORDER: only now that the target has the member the source may lose it.
                    _ => Stage::Remove,
                }
            }
            Stage::Remove => {
                match parts[0].first() {
                    Some(b'-') => reply.raw(&parts[0]),
                    _ => reply.int(1),
                }
                return None;
            }
        };
        Some(Steps::MoveMember(self))
    }

    /// The commands of the step.
    fn commands(&self) -> Vec<(&'static str, OwnedArgs)> {
        let args = self.args.as_args();
        let (source, target, member) = (args.get(1), args.get(2), args.get(3));
        let command = |name: &'static str, rest: &[&[u8]]| {
            let mut args = OwnedArgs::from_slices(&[name]);
            rest.iter().for_each(|arg| args.push(arg));
            (name, args)
        };
        match self.stage {
            Stage::Look => vec![
                command("exists", &[source]),
                command("sismember", &[source, member]),
                command("sismember", &[target, member]),
            ],
            Stage::Add => vec![command("sadd", &[target, member])],
            Stage::Remove => vec![command("srem", &[source, member])],
        }
    }
}

impl MoveElement {
    /// From its arguments.
    ///
    /// # Errors
    /// What the command answers to wrong ones.
    pub fn new(name: &str, args: Args<'_>) -> Result<Self, CommandError> {
        let (source, target) = (args.get(1).to_vec(), args.get(2).to_vec());
        let ends = Ends::of(name, args)?;
        Ok(Self { source, target, ends, element: Vec::new(), stage: Stage::Look })
    }

    /// A step is done.
    pub fn advance(mut self, parts: &[Vec<u8>], reply: &mut Reply<'_>) -> Option<Steps> {
        let there = &parts[0];
        if matches!(self.stage, Stage::Look) && (there.starts_with(b"$-1") || there[0] == b'_') {
            // A source that is not there comes before a target of another type.
            reply.null();
            return None;
        }
        if let Some(error) = parts.iter().find(|part| part.first() == Some(&b'-')) {
            reply.raw(error);
            return None;
        }
        self.stage = match self.stage {
            Stage::Look => {
                self.element = bulk(there).to_vec();
                Stage::Add
            }
            // ORDER: only now that the target has the element the source may lose it.
            Stage::Add => Stage::Remove,
            Stage::Remove => {
                reply.bulk(&self.element);
                return None;
            }
        };
        Some(Steps::MoveElement(self))
    }

    /// The commands of the step.
    fn commands(&self) -> Vec<(&'static str, OwnedArgs)> {
        let command = |name: &'static str, rest: &[&[u8]]| {
            let mut args = OwnedArgs::from_slices(&[name]);
            rest.iter().for_each(|arg| args.push(arg));
            (name, args)
        };
        let Self { source, target, ends, element, .. } = self;
        match self.stage {
            Stage::Look => {
                let at: &[u8] = if ends.from == End::Left { b"0" } else { b"-1" };
                vec![command("lindex", &[source, at]), command("llen", &[target])]
            }
            Stage::Add if ends.to == End::Left => vec![command("lpush", &[target, element])],
            Stage::Add => vec![command("rpush", &[target, element])],
            Stage::Remove if ends.from == End::Left => vec![command("lpop", &[source])],
            Stage::Remove => vec![command("rpop", &[source])],
        }
    }
}

impl FirstOf {
    /// `None`: the number of keys is not what it says.
    pub fn new(spec: &'static CommandSpec, id: u16, args: Args<'_>) -> Option<Self> {
        let keys: Vec<usize> = spec.keys.positions(args).collect();
        let says = match spec.keys {
            KeySpec::Counted { count } => {
                args.get(usize::from(count)) == keys.len().to_string().as_bytes()
            }
            _ => true,
        };
        if keys.is_empty() || !says {
            return None;
        }
        let one = |at: &usize| spec.keys.narrowed(args, &[*at]);
        Some(Self { id, spec, left: keys.iter().rev().map(one).collect() })
    }

    /// A key has been asked.
    pub fn advance(mut self, parts: &[Vec<u8>], out: &mut Vec<u8>) -> Option<Steps> {
        self.left.pop();
        let found_nothing = parts[0].starts_with(b"*-1") || parts[0].starts_with(b"_");
        if found_nothing && !self.left.is_empty() {
            return Some(Steps::FirstOf(self));
        }
        out.extend_from_slice(&parts[0]);
        None
    }
}

impl Core {
    /// Sends the commands of a step of SMOVE.
    pub(super) fn run_member_move(&mut self, conn: &mut Connection, seq: u32, moved: MoveMember) {
        let commands = moved.commands();
        self.run_commands(conn, seq, Steps::MoveMember(moved), &commands);
    }

    /// Sends the commands of a step of LMOVE.
    pub(super) fn run_element_move(&mut self, conn: &mut Connection, seq: u32, moved: MoveElement) {
        let commands = moved.commands();
        self.run_commands(conn, seq, Steps::MoveElement(moved), &commands);
    }

    fn run_commands(
        &mut self,
        conn: &mut Connection,
        seq: u32,
        steps: Steps,
        commands: &[(&'static str, OwnedArgs)],
    ) {
        self.regather(conn, seq, steps, commands.len());
        for (number, (name, args)) in commands.iter().enumerate() {
            let (id, spec) = Self::known(name);
            let to = Return { seq, part: number as u16, ..self.return_to(conn) };
            let shard = self.owner_of(args.as_args().get(1));
            self.part_at(conn, shard, spec, id, to, args.as_args());
        }
    }

    /// Asks the next key.
    pub(super) fn run_first_of(&mut self, conn: &mut Connection, seq: u32, of: FirstOf) {
        let (id, spec) = (of.id, of.spec);
        let next = of.left.last().map(|args| OwnedArgs::from_slices(&slices(args)));
        self.regather(conn, seq, Steps::FirstOf(of), 1);
        let Some(args) = next else { return };
        let key = spec.keys.positions(args.as_args()).next().unwrap_or(1);
        let shard = self.owner_of(args.as_args().get(key));
        let to = Return { seq, part: 0, ..self.return_to(conn) };
        self.part_at(conn, shard, spec, id, to, args.as_args());
    }
}

fn slices(args: &OwnedArgs) -> Vec<&[u8]> {
    args.as_args().iter_from(0).collect()
}
