//! Random lives of whole servers on the simulated disk, one after the other on what the crash of
//! the one before has left: several shards, the log's own writers, all policies, rotations,
//! emptied data sets, changing numbers of shards.
//!
//! Every recovery must succeed and show, of every shard and run, the batches 1..=m with
//! `promised <= m <= issued`; and what one recovery has shown, all later ones show.

use super::builder::{keys_of, options};
use quire_engine::{
    aof::{FsyncPolicy, LogWriter, Lsn, Staging, WantSegment},
    effect::{Deadline, Effect},
    io::sim::{Dice, SimDisk, SimRing, run},
    manifest::{Event, Librarian, Names, Position, Request, Wanted},
    recovery::{Opened, Opening, Progress, open, recover},
    slot::{group_of_slot, shard_of_group, slot_of},
};
use std::collections::{BTreeMap, BTreeSet};

/// Run, shard, LSN: one key each.
type Batches = BTreeSet<(u64, usize, Lsn)>;

struct Shard {
    writer: LogWriter,
    staging: Staging,
    ring: SimRing,
    /// A hash tag of this shard's.
    tag: String,
    replied: Lsn,
    synced: Lsn,
    /// Batches up to here went with an emptied data set.
    emptied: Lsn,
}

struct Server {
    disk: SimDisk,
    run: u64,
    shards: Vec<Shard>,
    librarian: Librarian<SimDisk>,
    now_us: u64,
    /// What earlier runs have left.
    inherited: Batches,
    /// What it was before the emptying that is under way, if one is.
    before: Option<(Batches, Vec<Lsn>)>,
}

fn tag(shard: usize, shards: usize) -> String {
    let owner = |tag: &String| shard_of_group(group_of_slot(slot_of(tag.as_bytes())), shards);
    (0..).map(|n| format!("t{n}")).find(|tag| owner(tag) == shard).expect("every shard owns slots")
}

fn start(disk: &SimDisk, shards: usize, run_id: u64, policy: FsyncPolicy, what: &str) -> Server {
    let progress = Progress::new();
    let recovered = run(recover(disk, &options(shards), &progress));
    let recovered = recovered.unwrap_or_else(|error| panic!("{what}: {error}"));
    let (keyspaces, _, closed) = recovered.split();
    let inherited = keys_of(&keyspaces).into_keys().map(|(_, key)| parse(&key)).collect();
    let opening = Opening {
        directory: "log".into(),
        names: Names::default(),
        run: run_id,
        shards: vec![WantSegment { method: policy.method(), bytes: 16 * 1024 }; shards],
    };
    let Opened { librarian, segments } = run(open(disk.clone(), closed, opening, &progress))
        .unwrap_or_else(|error| panic!("{what}: {error}"));
    let shard = |(id, (first, next)): (usize, (_, _))| {
        let mut staging = Staging::new(id as u16, run_id);
        let mut writer = LogWriter::new(id as u16, run_id, policy, first);
        writer.set_segment_bytes_max(32 * 1024);
        writer.set_policy(policy, &mut staging);
        writer.install_next(next);
        let ring = SimRing::new(disk);
        let tag = tag(id, shards);
        Shard { writer, staging, ring, tag, replied: 0, synced: 0, emptied: 0 }
    };
    Server {
        disk: disk.clone(),
        run: run_id,
        shards: segments.into_iter().enumerate().map(shard).collect(),
        librarian,
        now_us: 1_000_000,
        inherited,
        before: None,
    }
}

fn parse(key: &str) -> (u64, usize, Lsn) {
    let mut numbers = key.split(':').skip(1).map(|part| part.parse::<u64>().unwrap());
    let mut next = || numbers.next().unwrap();
    (next(), next() as usize, next())
}

impl Shard {
    fn set(&mut self, run: u64, id: usize, bytes: usize) {
        let lsn = self.staging.last_lsn() + 1;
        let key = format!("{{{}}}:{run}:{id}:{lsn}", self.tag);
        let value = vec![b'v'; bytes];
        self.staging.begin();
        let effect = Effect::Set { key: key.as_bytes(), value: &value, deadline: Deadline::None };
        self.staging.push(0, effect);
        assert_eq!(self.staging.end(), lsn);
    }

    fn pump(&mut self, now_us: u64) {
        self.writer.pump(&mut self.staging, now_us, &mut self.ring);
    }

    fn complete(&mut self, now_us: u64, write: bool, sync: bool) {
        if write && let Some(result) = self.ring.complete_write() {
            self.writer.on_write_done(result, &mut self.staging, now_us, &mut self.ring);
        }
        if sync && let Some(result) = self.ring.complete_sync() {
            self.writer.on_sync_done(result, &mut self.staging, now_us, &mut self.ring);
        }
        self.replied = self.replied.max(self.writer.released());
        self.synced = self.synced.max(self.writer.synced());
    }
}

impl Server {
    fn turn(&mut self, dice: &mut Dice) {
        for id in 0..self.shards.len() {
            let run_id = self.run;
            let shard = &mut self.shards[id];
            for _ in 0..dice.below(4) {
                let bytes = if dice.one_in(12) { dice.below(12_000) } else { dice.below(300) };
                if shard.staging.admit(bytes + 64).is_ok() {
                    shard.set(run_id, id, bytes);
                }
            }
            shard.pump(self.now_us);
            shard.complete(self.now_us, dice.one_in(2), dice.one_in(5));
            match dice.below(40) {
                0 => shard.writer.rotate(&shard.staging),
                1 => shard.writer.cut(&mut shard.staging),
                _ => {}
            }
            if dice.one_in(60) {
                let policy = FsyncPolicy::ALL[dice.below(3)];
                shard.writer.set_policy(policy, &mut shard.staging);
            }
        }
        if dice.one_in(3) {
            self.serve();
        }
        self.now_us += if dice.one_in(10) { 700_000 } else { 50_000 };
    }

    fn serve(&mut self) {
        let mut requests = Vec::new();
        for (id, shard) in (0u16..).zip(&mut self.shards) {
            if let Some(segment) = shard.writer.take_want() {
                requests.push(Request::Prepare(Wanted { shard: id, segment }));
            }
            while let Some(segment) = shard.writer.take_retired() {
                requests.push(Request::Retire { shard: id, segment });
            }
        }
        for event in run(self.librarian.handle(requests)) {
            match event {
                Event::Prepared { shard, segment } => {
                    self.shards[shard as usize].writer.install_next(segment);
                }
                Event::PrepareFailed { shard, error } => {
                    self.shards[shard as usize].writer.next_failed(error);
                }
                Event::Retired { .. } | Event::LeftBehind { .. } => {}
                other => assert!(self.disk.crashed(), "{other:?}"),
            }
        }
    }

    /// FLUSHALL: barrier, new generation.
    fn flush_all(&mut self) {
        for shard in &mut self.shards {
            shard.writer.rotate(&shard.staging);
        }
        while self.shards.iter().any(|s| s.writer.is_rotating()) {
            for shard in self.shards.iter_mut().filter(|s| s.writer.is_rotating()) {
                shard.pump(self.now_us);
                shard.complete(self.now_us, true, true);
                shard.pump(self.now_us);
            }
            self.serve();
            if self.disk.crashed() {
                return;
            }
        }
        let position = |(shard, s): (u16, &Shard)| {
            let (next, _, last_lsn) = s.writer.tail();
            assert_eq!(s.staging.last_lsn(), last_lsn, "written behind the barrier");
            Position { shard, last_lsn, next }
        };
        let positions: Vec<Position> = (0..).zip(&self.shards).map(position).collect();
        let emptied = self.shards.iter().map(|shard| shard.emptied).collect();
        self.before = Some((std::mem::take(&mut self.inherited), emptied));
        for (shard, position) in self.shards.iter_mut().zip(&positions) {
            shard.emptied = position.last_lsn;
        }
        let events = run(self.librarian.handle(vec![Request::NewGeneration { positions }]));
        if matches!(events[0], Event::GenerationDone { .. }) {
            self.before = None;
        }
    }

    /// Checks what a recovery has shown.
    fn check(&self, shown: &Batches, killed: bool, what: &str) {
        let emptied: Vec<Lsn> = self.shards.iter().map(|shard| shard.emptied).collect();
        let after = self.fits(shown, &self.inherited, &emptied, killed);
        let before = match &self.before {
            Some((inherited, emptied)) => self.fits(shown, inherited, emptied, killed),
            None => after.clone(),
        };
        if let (Err(why), Err(_)) = (&after, before) {
            panic!("{what}, killed {killed}: {why}");
        }
    }

    fn fits(
        &self,
        shown: &Batches,
        inherited: &Batches,
        emptied: &[Lsn],
        killed: bool,
    ) -> Result<(), String> {
        let mut old: Batches = shown.clone();
        let mut own: BTreeMap<usize, Vec<Lsn>> = BTreeMap::new();
        for &(run, shard, lsn) in shown.iter().filter(|(run, ..)| *run == self.run) {
            own.entry(shard).or_default().push(lsn);
            old.remove(&(run, shard, lsn));
        }
        if old != *inherited {
            return Err(format!("{} batches of earlier runs, not {}", old.len(), inherited.len()));
        }
        for (id, shard) in self.shards.iter().enumerate() {
            let found = own.remove(&id).unwrap_or_default();
            let last = found.last().copied().unwrap_or(emptied[id]);
            if !found.iter().copied().eq(emptied[id] + 1..=last) {
                return Err(format!("shard {id}: {found:?} behind {}", emptied[id]));
            }
            let promised = if killed { shard.replied } else { shard.synced };
            if !(promised <= last && last <= shard.staging.last_lsn()) {
                let issued = shard.staging.last_lsn();
                return Err(format!("shard {id}: {promised} promised, {last} of {issued} shown"));
            }
        }
        Ok(())
    }
}

fn shown(disk: &SimDisk, what: &str) -> Batches {
    start(disk, 2, 1 << 40, FsyncPolicy::No, what).inherited
}

fn lineage(seed: u64) {
    let mut dice = Dice::new(seed);
    let mut disk = SimDisk::new();
    for generation in 0..4 {
        let what = format!("seed {seed}, generation {generation}");
        let shards = 1 + dice.below(4);
        let policy = FsyncPolicy::ALL[dice.below(3)];
        let run_id = 1000 * seed + generation + 1;
        let mut server = start(&disk, shards, run_id, policy, &what);
        // Most lives end in the middle of something.
        if !dice.one_in(5) {
            disk.crash_after(1 + dice.bits() % 150);
        }
        let turns = 20 + dice.below(80);
        for _ in 0..turns {
            server.turn(&mut dice);
            if dice.one_in(50) && !disk.crashed() {
                server.flush_all();
            }
            if disk.crashed() {
                break;
            }
        }
        for cut in 0..3 {
            let image = disk.survivor(dice.bits().wrapping_add(cut));
            server.check(&shown(&image, &what), false, &what);
        }
        let killed = dice.one_in(2);
        let power_cut = disk.survivor(dice.bits());
        for shard in &mut server.shards {
            shard.ring.abandon(dice.one_in(2));
        }
        let image = if killed { disk.killed() } else { power_cut };
        let once = shown(&image, &what);
        server.check(&once, killed, &what);
        // What was shown stays shown, through a power cut and another number of shards.
        disk = image.survivor(dice.bits());
        let again = start(&disk, 3, (1 << 41) + generation, FsyncPolicy::Always, &what).inherited;
        assert_eq!(again, once, "{what}: the second recovery differs");
    }
}

#[test]
fn random_lives_keep_their_promises_over_generations() {
    for seed in 0..60 {
        lineage(seed);
    }
}
