//! The data set while it is loaded: all shards of this start, whatever wrote the log.
//!
//! Logged commands are routed by key, so it does not matter how many shards wrote them. Our own
//! commits name one key per command. A stock server's commands may name several: those that can
//! be split by key are split; for the others the keys are brought to one shard, the command runs
//! there, and every key goes to the shard that owns it. Nothing expires meanwhile.

use super::{
    Options,
    functions::{FunctionChanges, is_function},
    load::{Rules, Terms},
};
use crate::{
    aof::Staging,
    command::{Args, CommandSpec, Fanout, OwnedArgs},
    families::{keys::sort, table},
    keyspace::{KeyHasher, Keyspace, canonical_int},
    shard::{ReplayError, Shard},
    slot::{group_of_slot, shard_of_group, slot_of},
    types::Limits,
};

/// Every shard's keys, being loaded.
pub struct Keys {
    shards: Vec<Shard>,
    databases: usize,
    now_ms: i64,
    hasher: KeyHasher,
    limits: Limits,
    functions: FunctionChanges,
}

/// The shard of `shards` that owns a key.
pub fn owner(key: &[u8], shards: usize) -> usize {
    shard_of_group(group_of_slot(slot_of(key)), shards)
}

/// Commands that concern every shard.
pub fn is_global(args: Args<'_>) -> bool {
    ["flushall", "flushdb", "swapdb"].iter().any(|name| is(args, name))
}

/// Commands that concern no key and no shard.
pub fn is_control(args: Args<'_>) -> bool {
    ["select", "multi", "exec"].iter().any(|name| is(args, name))
}

fn is(args: Args<'_>, name: &str) -> bool {
    args.get(0).eq_ignore_ascii_case(name.as_bytes())
}

/// Executes a command that [`is_control`]; `db` is the database selected so far.
///
/// # Errors
/// A database that does not exist.
pub fn control(args: Args<'_>, databases: usize, db: &mut usize) -> Result<(), String> {
    if is(args, "select") {
        let index = args.try_get(1).and_then(canonical_int);
        let index = index.and_then(|i| usize::try_from(i).ok()).filter(|&i| i < databases);
        *db = index.ok_or("DB index is out of range in 'SELECT'")?;
    }
    Ok(())
}

/// The one key of a command of ours; `None`: it has none or several.
pub fn only_key<'a>(args: Args<'a>) -> Option<&'a [u8]> {
    let spec = table::resolve(args)?;
    let mut positions = spec.keys.positions(args);
    let first = positions.next()?;
    positions.next().is_none().then(|| args.try_get(first)).flatten()
}

impl Keys {
    /// No keys yet.
    pub fn new(options: &Options) -> Self {
        let Options { shards, databases, now_ms, limits, tracking, ref hasher, .. } = *options;
        let shard = |id| {
            let staging = Staging::disabled();
            let mut shard = Shard::new(id, shards, databases, hasher.clone(), staging, id as u64);
            shard.limits = limits;
            shard.track(tracking, now_ms);
            shard
        };
        let (shards, hasher) = ((0..shards).map(shard).collect(), hasher.clone());
        Self { shards, databases, now_ms, hasher, limits, functions: FunctionChanges::default() }
    }

    /// The shards, to be lent to the threads that fill them.
    pub fn shards_mut(&mut self) -> &mut [Shard] {
        &mut self.shards
    }

    /// What keys of an RDB file become values with.
    pub fn terms(&self, rules: Rules) -> Terms {
        let (shards, hasher, limits) = (self.shards.len(), self.hasher.clone(), self.limits);
        Terms { rules, shards, hasher, limits, functions: self.functions.clone() }
    }

    /// What is loaded of a snapshot that a log builds on. Expired keys stay: the log behind it may
    /// give them another deadline.
    pub fn rules_of_base(&self) -> Rules {
        Rules { databases: self.databases, alive_at_ms: None }
    }

    /// What has been loaded so far is the base: what changes from now on has changed since.
    pub fn are_base(&mut self) {
        self.shards.iter_mut().for_each(|shard| shard.keyspace.is_base());
    }

    /// Changes of function libraries that have been found.
    pub fn functions(&self) -> &FunctionChanges {
        &self.functions
    }

    /// Number of databases.
    pub fn databases(&self) -> usize {
        self.databases
    }

    /// The time of this recovery.
    pub fn now_ms(&self) -> i64 {
        self.now_ms
    }

    /// The finished keyspaces, one per shard.
    pub fn into_keyspaces(self) -> Vec<Keyspace> {
        self.shards.into_iter().map(|shard| shard.keyspace).collect()
    }

    /// Executes one command, whoever wrote it. `db` is the database selected so far.
    ///
    /// # Errors
    /// What the command's name or arguments are wrong about.
    pub fn apply(&mut self, args: Args<'_>, db: &mut usize) -> Result<(), ReplayError> {
        let now_ms = self.now_ms;
        if args.is_empty() || is_control(args) {
            return self.shards[0].replay(args, db, now_ms);
        }
        if is_function(args) {
            self.functions.note(args);
            return Ok(());
        }
        if is_global(args) {
            return self.shards.iter_mut().try_for_each(|shard| shard.replay(args, db, now_ms));
        }
        let spec = table::resolve(args).filter(|spec| spec.accepts(args.len()));
        let Some(spec) = spec else {
            // Says what is wrong with it.
            return self.shards[0].replay(args, db, now_ms);
        };
        let shards = self.shards.len();
        let mut owners =
            spec.keys.positions(args).filter_map(|at| args.try_get(at)).map(|k| owner(k, shards));
        let first = owners.next().unwrap_or(0);
        let looks_elsewhere = spec.fanout == Fanout::Lookups
            && sort::looks_elsewhere(args, |key| owner(key, shards) as u16);
        if owners.all(|other| other == first) && !looks_elsewhere {
            return self.shards[first].replay(args, db, now_ms);
        }
        match spec.fanout {
            Fanout::Sum | Fanout::Gather => self.split(spec, args, 1, db),
            Fanout::AllOk => self.split(spec, args, 2, db),
            Fanout::Whole
            | Fanout::Store
            | Fanout::Merge
            | Fanout::StoreOption
            | Fanout::Lookups
            | Fanout::FirstOf
            | Fanout::Streams
            | Fanout::TwoKeys
            | Fanout::AllOrNothing
            | Fanout::Cursor
            | Fanout::EveryShardSum
            | Fanout::EveryShardJoin
            | Fanout::EveryShardDraw => self.gathered(spec, args, first, db),
        }
    }

    /// Runs the command once per key, with the `width` arguments that belong to it.
    fn split(
        &mut self,
        spec: &CommandSpec,
        args: Args<'_>,
        width: usize,
        db: &mut usize,
    ) -> Result<(), ReplayError> {
        let mut part = OwnedArgs::new();
        for at in spec.keys.positions(args) {
            let Some(key) = args.try_get(at) else { break };
            part.clear();
            part.push(args.get(0));
            for offset in 0..width {
                if let Some(arg) = args.try_get(at + offset) {
                    part.push(arg);
                }
            }
            let shard = owner(key, self.shards.len());
            self.shards[shard].replay(part.as_args(), db, self.now_ms)?;
        }
        Ok(())
    }

    /// Runs a command on shard `at` with all its keys there, in every database, since some name a
    /// second one (COPY .. DB).
    fn gathered(
        &mut self,
        spec: &CommandSpec,
        args: Args<'_>,
        at: usize,
        db: &mut usize,
    ) -> Result<(), ReplayError> {
        let mut keys: Vec<Vec<u8>> = spec
            .keys
            .positions(args)
            .filter_map(|at| args.try_get(at))
            .map(<[u8]>::to_vec)
            .collect();
        if spec.fanout == Fanout::Lookups {
            let sorted = &self.shards[at].keyspace;
            let entry = sorted.db(*db).get(sorted.key(args.get(1)));
            keys.extend(entry.map(|e| sort::lookups(e.content(), args)).unwrap_or_default());
        }
        keys.sort_unstable();
        keys.dedup();
        let shards = self.shards.len();
        for key in &keys {
            self.bring(key, owner(key, shards), at);
        }
        let done = self.shards[at].replay(args, db, self.now_ms);
        for key in &keys {
            self.bring(key, at, owner(key, shards));
        }
        done
    }

    fn bring(&mut self, key: &[u8], from: usize, to: usize) {
        if from == to {
            return;
        }
        // What is gone would be known where it does not belong.
        for shard in [from, to] {
            self.shards[shard].keyspace.lose_changes();
        }
        for db in 0..self.databases {
            let source = &mut self.shards[from].keyspace;
            let hashed = source.hasher().key(key);
            if let Some(entry) = source.db_mut(db).take(hashed) {
                self.shards[to].keyspace.db_mut(db).put(hashed, entry);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        keyspace::Tracking,
        manifest::Names,
        types::{ListRef, View, list::End},
    };

    fn keys(shards: usize) -> Keys {
        Keys::new(&Options {
            names: Names::default(),
            shards,
            databases: 16,
            hasher: KeyHasher::fixed(),
            limits: Limits::default(),
            tracking: Tracking::Time,
            now_ms: 0,
        })
    }

    fn run(keys: &mut Keys, lines: &[&str]) {
        let mut db = 0;
        for line in lines {
            let parts: Vec<&str> = line.split(' ').collect();
            let args = OwnedArgs::from_slices(&parts);
            keys.apply(args.as_args(), &mut db).unwrap_or_else(|e| panic!("{line}: {e}"));
        }
    }

    fn all(keys: Keys) -> Vec<(usize, String, String)> {
        let shards = keys.shards.len();
        let mut found = Vec::new();
        for (id, keyspace) in keys.into_keyspaces().iter().enumerate() {
            for db in 0..16 {
                keyspace.db(db).for_each(&mut |entry| {
                    assert_eq!(owner(entry.key(), shards), id, "a key on a shard not its own");
                    let mut digits = itoa::Buffer::new();
                    let value = entry.value().bytes(&mut digits).to_vec();
                    let text = |b: &[u8]| String::from_utf8_lossy(b).into_owned();
                    found.push((db, text(entry.key()), text(&value)));
                });
            }
        }
        found.sort();
        found
    }

    #[test]
    fn a_stock_log_loads_alike_on_any_number_of_shards() {
        let lines = [
            "SET a 1",
            "MSET b 2 c 3 d 4 e 5 f 6",
            "DEL a b",
            "INCRBY c 7",
            "MSETNX n1 1 n2 2",
            "MSETNX n3 1 n2 2",
            "RENAME d {tag}d",
            "SELECT 3",
            "MSET x 1 y 2",
            "COPY y yy DB 5",
            "SWAPDB 0 3",
            "APPEND x z",
            "MULTI",
            "SET q 1",
            "EXEC",
        ];
        let mut one = keys(1);
        run(&mut one, &lines);
        let expected = all(one);
        let text: Vec<String> = expected.iter().map(|(d, k, v)| format!("{d}:{k}={v}")).collect();
        let text = text.join(" ");
        assert_eq!(
            text,
            "0:x=1 0:y=2 3:c=10 3:e=5 3:f=6 3:n1=1 3:n2=2 3:q=1 3:x=z 3:{tag}d=4 5:yy=2"
        );
        for shards in [2, 3, 7, 256] {
            let mut many = keys(shards);
            run(&mut many, &lines);
            assert_eq!(all(many), expected, "{shards} shards");
        }
    }

    #[test]
    fn a_sort_of_a_stock_log_finds_what_its_patterns_name_on_every_shard() {
        let lines =
            ["RPUSH l 1 2 3", "MSET w1 9 w2 7 w3 8 v1 a v2 b v3 c", "SORT l BY w* GET v* STORE to"];
        for shards in [1, 2, 7, 256] {
            let mut many = keys(shards);
            run(&mut many, &lines);
            let mut found = String::new();
            let keyspace = &many.shards[owner(b"to", shards)].keyspace;
            let entry = keyspace.db(0).get(keyspace.key(b"to")).expect("it has been stored");
            ListRef::of(entry.content()).expect("a list").walk(0, End::Left, |element| {
                found.push_str(&String::from_utf8_lossy(&element.to_vec()));
                true
            });
            assert_eq!(found, "bca", "{shards} shards");
        }
    }

    #[test]
    fn flushes_reach_every_shard() {
        for (flush, left) in [("FLUSHDB", 1), ("FLUSHALL", 0)] {
            let mut many = keys(8);
            run(&mut many, &["SELECT 1", "SET z 1", "SELECT 0", "MSET a 1 b 2 c 3 d 4", flush]);
            assert_eq!(all(many).len(), left, "{flush}");
        }
    }

    #[test]
    fn unknown_commands_are_named() {
        let args = OwnedArgs::from_slices(&["NOSUCH", "x"]);
        let error = keys(2).apply(args.as_args(), &mut 0).unwrap_err();
        assert!(error.to_string().contains("NOSUCH"), "{error}");
    }
}
