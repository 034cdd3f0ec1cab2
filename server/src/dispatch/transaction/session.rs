//! A session: every other core lends its shard, this one runs what waits, all go on.
//!
//! One session at a time in the whole server (`runtime/desk.rs`): transactions have the same order
//! on every shard. Everything that waits on this core when the session begins is run in it, so the
//! price of stopping the cores is shared. A core that lends sleeps; the one that leads goes on
//! serving until all have come, and waits for nobody while it holds them.

use super::{super::Taken, WatchedKey, run::AfterSession};
use crate::{
    net::connection::{Connection, Parked},
    runtime::{
        control::Control,
        core::Core,
        desk::{Next, Turn},
    },
    scripting::Held,
};
use quire_engine::{
    command::{Flags, OwnedArgs},
    shard::Shard,
};
use std::collections::BTreeSet;

/// What a connection has to have executed as one.
#[derive(Debug)]
pub struct Work {
    /// The commands.
    pub commands: Vec<OwnedArgs>,
    /// Nothing is done when one of these has changed.
    pub watched: Vec<WatchedKey>,
    /// One command, whose reply is not in an array.
    pub is_single: bool,
    /// EXEC as the client wrote it, if it is to be shown when all is done.
    pub exec: Option<OwnedArgs>,
}

/// Work that waits for a session.
#[derive(Debug)]
struct Waiting {
    conn: u32,
    generation: u32,
    work: Work,
    shards: BTreeSet<u16>,
}

/// What a core knows of sessions.
#[derive(Default)]
pub struct Session {
    /// Shards of other cores, while this one leads a session; by index.
    pub lent: Vec<Option<Box<Shard>>>,
    waiting: Vec<Waiting>,
    /// The desk has been asked for a session.
    has_asked: bool,
    /// Reads that wait for a session.
    pub(in crate::dispatch) rereads: Vec<crate::dispatch::reads::Reread>,
    /// One of them is being run.
    pub(in crate::dispatch) is_rereading: bool,
    /// A session wanted this shard before it was open.
    pub lend_first: Option<u16>,
    /// Tasks of all cores that transactions have asked for.
    pub(super) after: Vec<AfterSession>,
    /// What is being run is a transaction, not one command.
    pub is_transaction: bool,
    /// Shards at hand for what is being run.
    pub held: Held,
    /// A script needs shards that it has not.
    pub needs_all: bool,
}

impl Core {
    /// Parks the connection until its work has been done in a session.
    pub fn ask_for_shards(
        &mut self,
        conn: &mut Connection,
        work: Work,
        shards: BTreeSet<u16>,
    ) -> Taken {
        if let Some(error) = self.busy_shard(&shards) {
            self.unwatch(&work.watched);
            let error = if work.is_single { error } else { super::aborted_by(&error) };
            return self.refuse(conn, |_, _| error);
        }
        conn.parked = Parked::Lending;
        let (index, generation) = (conn.index, conn.generation);
        self.session.waiting.push(Waiting { conn: index, generation, work, shards });
        self.want_session();
        Taken::Waits
    }

    /// Something waits for this core's next session.
    pub(in crate::dispatch) fn want_session(&mut self) {
        if !self.session.has_asked {
            self.session.has_asked = true;
            if self.shared.desk.ask(Turn::Lend(self.id)) {
                self.begin_session();
            }
        }
    }

    /// This core's turn: the others are asked for their shards.
    pub fn begin_session(&mut self) {
        for (id, cell) in self.shared.cores.iter().enumerate() {
            if id != usize::from(self.id) {
                cell.mailbox.post(Control::Lend(self.id));
            }
        }
    }

    /// Another core's session: lends this shard and sleeps until it is back.
    pub fn lend(&mut self, leader: u16) {
        let Some(shard) = self.shard.take() else {
            // Not open yet: its first deed.
            self.session.lend_first = Some(leader);
            return;
        };
        let shared = std::sync::Arc::clone(&self.shared);
        if shared.lending.offer(self.id, Box::new(shard)) {
            shared.cores[usize::from(leader)].mailbox.post(Control::AllLent);
        }
        let shard = loop {
            match shared.lending.wait(self.id, || shared.busy.any()) {
                Some(shard) => break shard,
                None => self.wait_while_busy(),
            }
        };
        self.shard = Some(*shard);
        self.read_clocks();
    }

    /// All shards are here: the session.
    pub fn hold_session(&mut self) {
        self.shared.desk.check(Turn::Lend(self.id));
        self.session.lent = self.shared.lending.take_all();
        self.session.has_asked = false;
        for Waiting { conn: index, generation, work, shards } in
            std::mem::take(&mut self.session.waiting)
        {
            if self.generations.get(index as usize) != Some(&generation) {
                continue;
            }
            let Some(mut conn) = self.conns[index as usize].take() else { continue };
            if !conn.closing {
                self.run_work(&mut conn, &work, &shards);
                if std::mem::take(&mut self.session.needs_all) {
                    // A script, alone, which has done nothing yet. All shards are here.
                    let all = (0..self.shards() as u16).collect();
                    self.run_work(&mut conn, &work, &all);
                }
                if let Some(exec) = work.exec {
                    self.show_monitors(&conn, Flags::default(), exec.as_args());
                }
                self.unpark(&mut conn);
            } else {
                self.unwatch(&work.watched);
            }
            self.put_back(conn);
        }
        self.read_in_session();
        for (id, shard) in std::mem::take(&mut self.session.lent).into_iter().enumerate() {
            if let Some(shard) = shard {
                self.shared.lending.give_back(id, shard);
            }
        }
        self.end_turn();
        for (index, generation, seq, task, args, db) in std::mem::take(&mut self.session.after) {
            if self.generations.get(index as usize) != Some(&generation) {
                continue;
            }
            let Some(mut conn) = self.conns[index as usize].take() else { continue };
            if !conn.closing {
                self.ask_everywhere(&mut conn, seq, task, db, args.as_args());
            }
            self.put_back(conn);
        }
    }

    /// A turn at the desk has ended: the next one begins.
    pub fn end_turn(&mut self) {
        match self.shared.desk.finish() {
            Next::Nothing => {}
            Next::Turn(Turn::Lend(core)) => {
                self.shared.cores[usize::from(core)].mailbox.post(Control::LendTurn);
            }
            Next::Turn(Turn::Cut) => self.shared.cores[0].mailbox.post(Control::CutTurn),
            Next::Turn(Turn::Global) => self.shared.cores[0].mailbox.post(Control::GlobalTurn),
            Next::End => self.shared.broadcast(|| Control::Shutdown),
        }
    }
}
