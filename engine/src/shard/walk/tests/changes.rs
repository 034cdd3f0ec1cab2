//! Promises of deltas: a base and then a delta's commands make the data set that was there at the
//! delta's cut, whatever happened before and during both.

use super::*;
use crate::aof::CommandReader;

/// A data set as commands, by database.
type Commands = Vec<(usize, OwnedArgs)>;

fn as_commands(shard: &Shard) -> Commands {
    let mut commands = Commands::new();
    for db in 0..DATABASES {
        shard.keyspace.db(db).for_each(&mut |entry| {
            let at = entry.deadline().unwrap_or(0).to_string();
            let payload = elements::payload(entry.content()).unwrap();
            let mut args = OwnedArgs::new();
            let parts = [&b"RESTORE"[..], entry.key(), at.as_bytes(), &payload, b"ABSTTL"];
            parts.iter().for_each(|part| args.push(part));
            commands.push((db, args));
        });
    }
    commands
}

/// What commands make, and then a delta's.
fn made(base: &Commands, delta: &[Chunk]) -> State {
    let mut shard = shard();
    for (db, args) in base {
        shard.replay(args.as_args(), &mut db.clone(), START_MS).unwrap();
    }
    for chunk in delta {
        let mut commands = CommandReader::new(&chunk.bytes);
        let mut db = DATABASES;
        while let Some(args) = commands.next_command().unwrap() {
            assert!(db < DATABASES || args.get(0) == b"SELECT", "every chunk says its database");
            shard.replay(args, &mut db, START_MS).unwrap();
        }
    }
    (0..DATABASES).for_each(|db| shard.keyspace.db(db).check());
    state(&shard)
}

struct Life {
    pair: Pair,
    turn: usize,
    in_force: Option<Commands>,
    walking: Option<(Scope, State, Commands)>,
    chunks: Vec<Chunk>,
    /// Bases and deltas that came to their end.
    done: (usize, usize),
}

impl Life {
    fn new() -> Self {
        let (in_force, walking, chunks) = (None, None, Vec::new());
        Self { pair: Pair::new(), turn: 0, in_force, walking, chunks, done: (0, 0) }
    }

    fn cut(&mut self) {
        self.abort();
        self.turn += 1;
        let real = &mut self.pair.real;
        let is_known = self.in_force.is_some() && real.keyspace.changes().is_some();
        let is_base = !is_known || self.turn.is_multiple_of(4);
        let scope = if is_base { Scope::Base } else { Scope::Changes };
        let commands = if is_base { as_commands(real) } else { Commands::new() };
        self.walking = Some((scope, state(real), commands));
        real.begin_walk(scope, &OPTIONS);
    }

    fn abort(&mut self) {
        self.pair.real.abort_walk();
        self.pair.real.keyspace.base_failed();
        self.walking = None;
        self.chunks.clear();
    }

    fn slice(&mut self, micros: u64) {
        let walked = self.pair.real.walk_slice(micros);
        assert!(!matches!(walked, Walked::Failed(_)), "{walked:?}");
        if walked == Walked::Done {
            self.chunks.extend(std::iter::from_fn(|| self.pair.real.take_chunk()));
            let Some((scope, cut, commands)) = self.walking.take() else { return };
            if scope == Scope::Changes {
                let base = self.in_force.as_ref().unwrap();
                same(&made(base, &self.chunks), &cut);
                self.done.1 += 1;
            } else if self.turn.is_multiple_of(3) {
                // The switch to it fails.
                self.pair.real.keyspace.base_failed();
            } else {
                self.pair.real.keyspace.base_in_force();
                self.in_force = Some(commands);
                self.done.0 += 1;
            }
            self.chunks.clear();
        }
        self.chunks.extend(self.pair.real.take_chunk());
    }

    fn apply(&mut self, op: Op) {
        match op {
            Op::Cut => self.cut(),
            Op::Slice(micros) => self.slice(micros.into()),
            Op::Abort => self.abort(),
            Op::FlushAll(_) => {
                self.pair.apply(op);
                self.abort();
            }
            op => self.pair.apply(op),
        }
    }

    fn finish(&mut self) {
        while self.walking.is_some() {
            self.slice(1000);
        }
        same(&state(&self.pair.real), &state(&self.pair.twin));
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, max_shrink_iters: 200, ..ProptestConfig::default() })]
    #[test]
    fn a_base_and_a_delta_are_the_state_at_the_deltas_cut(
        before in prop::collection::vec(operation(), 0..60),
        ops in prop::collection::vec(operation(), 1..500),
    ) {
        let mut life = Life::new();
        before.into_iter().for_each(|op| life.apply(op));
        (life.turn, life.in_force) = (3, None);
        life.cut();
        life.finish();
        ops.into_iter().for_each(|op| life.apply(op));
        life.finish();
        // And one with nothing in between.
        life.cut();
        life.finish();
    }
}

#[test]
fn names_of_what_is_gone_come_before_values_that_were_copied_out() {
    let mut life = Life::new();
    for n in 0..300 {
        life.pair.line(0, &format!("SET k{n} {n}"));
    }
    life.cut();
    life.finish();
    for n in 0..300 {
        life.pair.line(0, &format!("DEL k{n}"));
        life.pair.line(0, &format!("RPUSH k{n} again"));
    }
    life.cut();
    for n in 0..300 {
        // All are copied out before the first name is written.
        life.pair.line(0, &format!("RPUSH k{n} and again"));
    }
    life.finish();
    assert_eq!(life.done, (1, 1));
}

#[test]
fn a_delta_reads_as_it_is_meant() {
    let mut life = Life::new();
    life.pair.line(0, "MSET gone 1 text 2 number 3 kept 4");
    life.cut();
    life.finish();
    life.pair.line(0, "DEL gone");
    life.pair.line(0, "SET text new PXAT 1700000009999");
    life.pair.line(0, "INCR number");
    life.pair.line(2, "HSET big a 1 b 1 c 1 d 1 e 1 f 1 g 1 h 1 i 1 j 1 k 1 l 1 m 1 n 1");
    life.pair.line(2, "PEXPIREAT big 1700000005555");
    life.pair.real.begin_walk(Scope::Changes, &OPTIONS);
    while life.pair.real.walk_slice(1000) != Walked::Done {}
    let mut lines = Vec::new();
    while let Some(chunk) = life.pair.real.take_chunk() {
        let mut commands = CommandReader::new(&chunk.bytes);
        while let Some(args) = commands.next_command().unwrap() {
            let words: Vec<_> = args.iter_from(0).map(|w| w.escape_ascii().to_string()).collect();
            lines.push(words.join(" "));
        }
    }
    for line in [
        "SELECT 0",
        "DEL gone",
        "SET text new PXAT 1700000009999",
        "SET number 4",
        "SELECT 2",
        "DEL big",
        "HSET big ",
        "PEXPIREAT big 1700000005555",
    ] {
        assert!(lines.iter().any(|found| found.starts_with(line)), "{line}: {lines:?}");
    }
    assert!(!lines.iter().any(|line| line.contains("kept")), "{lines:?}");
}
