//! A crash after every single operation of a life with rotations, a global command, an emptied
//! data set and a restart; and after every operation of the recovery that follows. What is
//! recovered is what had been acknowledged, or that plus the step that was under way.

use super::builder::{Keys, body, keys_of, options, resp};
use quire_engine::{
    aof::{
        Lsn, OpenSegment, RetiredSegment, WantSegment,
        header::{HEADER_BYTES, Header},
    },
    error::StorageError,
    io::{
        Method, Storage,
        sim::{Dice, SimDisk, run},
    },
    keyspace::{Str, Value},
    manifest::{Event, Kind, Librarian, Names, Position, Request, Wanted, load},
    recovery::{Opened, Opening, Progress, RecoveryError, open, recover},
    slot::{group_of_slot, shard_of_group, slot_of},
    snapshot::{
        Chunk, ChunkOptions, ChunkWriter, DeltaDraft, Draft, DraftOptions, Facts, Record, Usage,
    },
};

/// The disk has crashed: the life is over.
struct Crashed;

struct Log {
    current: OpenSegment,
    next: Option<OpenSegment>,
    offset: u64,
    lsn: Lsn,
}

/// A server on the simulated disk, every write synced before it is acknowledged.
struct Life {
    disk: SimDisk,
    run: u64,
    logs: Vec<Log>,
    librarian: Librarian<SimDisk>,
    /// Acknowledged.
    keys: Keys,
}

fn opening(shards: usize, run: u64, method: Method) -> Opening {
    Opening {
        directory: "log".into(),
        names: Names::default(),
        run,
        shards: vec![WantSegment { method, bytes: 8192 }; shards],
    }
}

fn begin(
    disk: &SimDisk,
    shards: usize,
    run_id: u64,
    method: Method,
) -> Result<Life, RecoveryError> {
    let progress = Progress::new();
    let recovered = run(recover(disk, &options(shards), &progress))?;
    let (keyspaces, _, closed) = recovered.split();
    let opening = opening(shards, run_id, method);
    let Opened { librarian, segments } = run(open(disk.clone(), closed, opening, &progress))?;
    let log = |(current, next)| Log { current, next: Some(next), offset: 0, lsn: 0 };
    Ok(Life {
        disk: disk.clone(),
        run: run_id,
        logs: segments.into_iter().map(log).collect(),
        librarian,
        keys: keys_of(&keyspaces),
    })
}

/// Changes `keys` as the step does.
type Apply<'a> = &'a dyn Fn(&mut Keys);

impl Life {
    fn set(&mut self, key: &str, value: &str) -> Result<(), Crashed> {
        let shard = shard_of_group(group_of_slot(slot_of(key.as_bytes())), self.logs.len());
        let body = body(&[&format!("SET {key} {value}")]);
        let log = &mut self.logs[shard];
        let header = Header {
            run: self.run,
            shard: shard as u16,
            seq: log.current.seq,
            first_lsn: log.lsn + 1,
            batches: 1,
            body_bytes: body.len() as u64,
            synced: log.lsn,
        };
        let mut line = [0; HEADER_BYTES];
        header.encode(&mut line, &body);
        let mut bytes = [&line[..], &body].concat();
        if log.current.method == Method::Direct {
            let left = 512 - bytes.len() % 512;
            bytes.push(b'#');
            bytes.extend(std::iter::repeat_n(b'.', left - 2));
            bytes.push(b'\n');
            let whole = bytes.len().next_multiple_of(4096);
            bytes.extend_from_slice(&quire_engine::aof::header::filler(whole - bytes.len()));
        }
        let name = log.current.path.file_name().unwrap().to_str().unwrap().to_owned();
        let offset = log.offset;
        let written: Result<(), StorageError> = run(async {
            let file = self.disk.open(&name).await?;
            self.disk.write_at(&file, offset, &bytes).await?;
            self.disk.sync(&file).await
        });
        written.map_err(|_| Crashed)?;
        let log = &mut self.logs[shard];
        log.lsn += 1;
        log.offset += bytes.len() as u64;
        self.keys.insert((0, key.to_owned()), (value.to_owned(), None));
        Ok(())
    }

    fn ask(&mut self, request: Request) -> Result<(), Crashed> {
        for event in run(self.librarian.handle(vec![request])) {
            match event {
                Event::Prepared { shard, segment } => {
                    self.logs[shard as usize].next = Some(segment);
                }
                Event::Retired { .. }
                | Event::GlobalDone { .. }
                | Event::GenerationDone { .. }
                | Event::CheckpointDone { .. }
                | Event::Discarded => {}
                // Answered already: the deletions are not waited for.
                Event::LeftBehind { .. } => {}
                Event::PrepareFailed { .. } | Event::Refused { .. } | Event::Failed { .. } => {
                    return Err(Crashed);
                }
            }
        }
        if self.disk.crashed() { Err(Crashed) } else { Ok(()) }
    }

    fn flip(&mut self, shard: usize) -> RetiredSegment {
        let log = &mut self.logs[shard];
        let next = log.next.take().expect("prepared");
        let old = std::mem::replace(&mut log.current, next);
        let end = std::mem::take(&mut log.offset);
        RetiredSegment { segment: old, end, last_lsn: log.lsn }
    }

    fn rotate(&mut self, shard: usize) -> Result<(), Crashed> {
        let retired = self.flip(shard);
        self.tidy_up(shard, retired)
    }

    /// Every shard goes on in its next segment, nothing is synced or switched for it.
    fn cut(&mut self) -> (Vec<RetiredSegment>, Vec<Position>, Keys) {
        let retired = (0..self.logs.len()).map(|shard| self.flip(shard)).collect();
        (retired, self.positions(), self.keys.clone())
    }

    /// Writes what the keys were at the cut into a base.
    fn checkpoint(
        &mut self,
        keys: &Keys,
        positions: Vec<Position>,
        epoch: u64,
    ) -> Result<(), Crashed> {
        let draft = Names::default().draft();
        let written = run(async {
            let options = DraftOptions {
                shards: 3,
                databases: 16,
                summed: true,
                packed: false,
                sync_as_it_grows: true,
            };
            let mut file = Draft::begin(&self.disk, draft.clone(), options).await?;
            for (shard, chunk) in (0..).zip(chunks(keys)) {
                file.put(Chunk { shard, ..chunk }).await?;
            }
            let (run, cut) = (Some(self.run), positions.iter().map(|p| p.last_lsn).collect());
            let version = "7.0.15".to_owned();
            let functions = Vec::new();
            let facts =
                Facts { redis_version: version, created_s: 0, used_memory: 0, run, cut, functions };
            file.finish(&facts).await.map(drop)
        });
        written.map_err(|_: StorageError| Crashed)?;
        self.ask(Request::Checkpoint { draft, positions, epoch })
    }

    /// Writes what the keys were at the cut into a delta: all have changed.
    fn delta(&mut self, keys: &Keys, positions: Vec<Position>, epoch: u64) -> Result<(), Crashed> {
        let draft = Names::default().delta_draft();
        let written = run(async {
            let mut file = DeltaDraft::begin(&self.disk, draft.clone(), self.run, true).await?;
            for chunk in changes(keys) {
                file.put(chunk).await?;
            }
            file.finish().await.map(drop)
        });
        written.map_err(|_: StorageError| Crashed)?;
        self.ask(Request::Checkpoint { draft, positions, epoch })
    }

    /// A cut, writes behind it, and the delta of what was before.
    fn delta_beside(
        &mut self,
        write: impl FnOnce(&mut Life) -> Result<(), Crashed>,
    ) -> Result<(), Crashed> {
        let epoch = self.librarian.manifest().epoch;
        let (retired, positions, at_cut) = self.cut();
        for (shard, retired) in retired.into_iter().enumerate() {
            self.tidy_up(shard, retired)?;
        }
        write(self)?;
        self.delta(&at_cut, positions, epoch)
    }

    fn tidy_up(&mut self, shard: usize, retired: RetiredSegment) -> Result<(), Crashed> {
        let method = self.logs[shard].current.method;
        let segment = WantSegment { method, bytes: 8192 };
        let shard = shard as u16;
        self.ask(Request::Prepare(Wanted { shard, segment }))?;
        self.ask(Request::Retire { shard, segment: retired })
    }

    fn positions(&self) -> Vec<Position> {
        let position = |(shard, log): (u16, &Log)| Position {
            shard,
            last_lsn: log.lsn,
            next: log.current.seq,
        };
        (0..).zip(&self.logs).map(position).collect()
    }

    fn at_barrier(
        &mut self,
        request: impl FnOnce(Vec<Position>) -> Request,
        apply: Apply<'_>,
    ) -> Result<(), Crashed> {
        let retired: Vec<_> = (0..self.logs.len()).map(|shard| self.flip(shard)).collect();
        let request = request(self.positions());
        self.ask(request)?;
        apply(&mut self.keys);
        for (shard, retired) in retired.into_iter().enumerate() {
            self.tidy_up(shard, retired)?;
        }
        Ok(())
    }
}

/// Two chunks with these strings.
fn chunks(keys: &Keys) -> Vec<Chunk> {
    let options = ChunkOptions { compress: false, usage: Usage::Unsaid };
    let mut chunks = Vec::new();
    for half in 0..2 {
        let mut writer = ChunkWriter::new(0, &options);
        for ((db, key), (value, deadline)) in keys.iter().skip(half).step_by(2) {
            let value = Value::Str(Str::Bytes(value.as_bytes()));
            let record = Record { key: key.as_bytes(), value, deadline: *deadline, access: 0 };
            let group = u16::from(group_of_slot(slot_of(key.as_bytes())));
            writer.push(*db as u16, group, record).unwrap();
        }
        chunks.extend(writer.take());
    }
    chunks
}

/// Commands after which there are these keys and none of those that bases have.
fn changes(keys: &Keys) -> Vec<Chunk> {
    let options = ChunkOptions { compress: false, usage: Usage::Unsaid };
    let mut writer = ChunkWriter::of_commands(0, &options);
    for db in 0..2 {
        for key in ["a", "b", "c", "d", "e"] {
            writer.gone(db, key.as_bytes()).unwrap();
        }
    }
    let mut chunks = Vec::from_iter(writer.take());
    for ((db, key), (value, deadline)) in keys {
        let value = Value::Str(Str::Bytes(value.as_bytes()));
        let record = Record { key: key.as_bytes(), value, deadline: *deadline, access: 0 };
        let group = u16::from(group_of_slot(slot_of(key.as_bytes())));
        writer.push(*db as u16, group, record).unwrap();
        if writer.bytes() > 200 {
            chunks.extend(writer.take());
        }
    }
    chunks.extend(writer.take());
    chunks
}

fn swap(keys: &mut Keys) {
    let old = std::mem::take(keys);
    let swapped = |db| if db < 2 { 1 - db } else { db };
    keys.extend(old.into_iter().map(|((db, key), value)| ((swapped(db), key), value)));
}

/// What was acknowledged, and that with the step under way.
struct Legal {
    before: Keys,
    after: Keys,
}

/// A life up to its end or the crash.
fn live(disk: &SimDisk, method: Method, other: Method) -> Legal {
    let mut legal = Legal { before: Keys::new(), after: Keys::new() };
    let _ = steps(disk, method, other, &mut legal);
    legal
}

fn steps(disk: &SimDisk, method: Method, other: Method, legal: &mut Legal) -> Result<(), Crashed> {
    let mut life = begin(disk, 2, 11, method).map_err(|_| Crashed)?;
    let keys = ["a", "b", "c", "d", "e"];
    let mut round = 0;
    let mut write = |life: &mut Life, legal: &mut Legal| -> Result<(), Crashed> {
        round += 1;
        for key in keys {
            let value = format!("{key}{round}");
            legal.before.clone_from(&life.keys);
            legal.after.clone_from(&life.keys);
            legal.after.insert((0, key.to_owned()), (value.clone(), None));
            life.set(key, &value)?;
            legal.before.clone_from(&life.keys);
        }
        Ok(())
    };
    write(&mut life, legal)?;
    life.rotate(0)?;
    write(&mut life, legal)?;
    swap(&mut legal.after);
    let commands = resp("SWAPDB 0 1");
    life.at_barrier(|positions| Request::Global { commands, positions }, &swap)?;
    write(&mut life, legal)?;
    life.rotate(1)?;
    // A checkpoint beside writes, a rotation and a global command behind its cut.
    let epoch = life.librarian.manifest().epoch;
    let (retired, positions, at_cut) = life.cut();
    for (shard, retired) in retired.into_iter().enumerate() {
        life.tidy_up(shard, retired)?;
    }
    write(&mut life, legal)?;
    life.rotate(0)?;
    swap(&mut legal.after);
    let commands = resp("SWAPDB 0 1");
    life.at_barrier(|positions| Request::Global { commands, positions }, &swap)?;
    legal.before.clone_from(&life.keys);
    write(&mut life, legal)?;
    life.checkpoint(&at_cut, positions, epoch)?;
    write(&mut life, legal)?;
    // Deltas behind it, the second in the place of the first.
    life.delta_beside(|life| write(life, legal))?;
    write(&mut life, legal)?;
    life.rotate(1)?;
    life.delta_beside(|life| write(life, legal))?;
    let names = life.librarian.manifest().files.iter().map(|entry| &entry.name);
    assert_eq!(names.filter(|name| name.contains("delta")).count(), 1);
    write(&mut life, legal)?;
    drop(life);
    // A restart, with another number of shards and another method.
    let mut life = begin(disk, 3, 12, other).map_err(|_| Crashed)?;
    write(&mut life, legal)?;
    legal.after.clear();
    life.at_barrier(|positions| Request::NewGeneration { positions }, &|keys| keys.clear())?;
    legal.before.clear();
    write(&mut life, legal)?;
    // Segments left at the cut are retired when they are listed no more.
    let epoch = life.librarian.manifest().epoch;
    let (retired, positions, at_cut) = life.cut();
    life.checkpoint(&at_cut, positions, epoch)?;
    for (shard, retired) in retired.into_iter().enumerate() {
        life.tidy_up(shard, retired)?;
    }
    let life = begin(disk, 1, 13, method).map_err(|_| Crashed)?;
    assert_eq!(life.keys, legal.before);
    let bases = nothing_leaks(disk, "at the end").into_iter().filter(|kind| *kind == Kind::Base);
    assert_eq!(bases.count(), 1);
    Ok(())
}

/// No file is there that the manifest does not list; the kinds of those it lists.
fn nothing_leaks(disk: &SimDisk, what: &str) -> Vec<Kind> {
    let (manifest, _) = run(load(disk, &Names::default())).unwrap().unwrap();
    for (name, _) in run(disk.list()).unwrap() {
        let known = name == Names::default().manifest() || manifest.lists(&name);
        assert!(known, "{what}: {name} leaks");
    }
    manifest.files.iter().map(|entry| entry.kind).collect()
}

fn recovered(disk: &SimDisk, what: &str) -> Keys {
    match begin(disk, 2, 99, Method::Buffered) {
        Ok(life) => {
            nothing_leaks(disk, what);
            life.keys
        }
        Err(error) => panic!("{what}: {error}"),
    }
}

fn check(disk: &SimDisk, legal: &Legal, what: &str) -> Keys {
    let keys = recovered(disk, what);
    assert!(
        keys == legal.before || keys == legal.after,
        "{what}: recovered {keys:?}, acknowledged {:?}, under way {:?}",
        legal.before,
        legal.after
    );
    // What was shown once stays, whatever happens next.
    let again = recovered(&disk.survivor(7), what);
    assert_eq!(again, keys, "{what}: the second start differs after a power cut");
    keys
}

const METHODS: [(Method, Method); 2] =
    [(Method::Direct, Method::Buffered), (Method::Buffered, Method::Direct)];

#[test]
fn what_was_acknowledged_survives_a_crash_after_every_operation() {
    for (method, other) in METHODS {
        let whole = SimDisk::new();
        live(&whole, method, other);
        let operations = whole.operations();
        assert!(operations > 200, "only {operations} operations");
        for operation in 1..=operations {
            let disk = SimDisk::new();
            disk.crash_after(operation);
            let legal = live(&disk, method, other);
            assert!(disk.crashed());
            let what = format!("{method:?} first, crash after operation {operation}");
            check(&disk.killed(), &legal, &format!("{what}, killed"));
            for dice in 0..2 {
                let image = disk.survivor(operation * 31 + dice);
                check(&image, &legal, &format!("{what}, power cut, dice {dice}"));
            }
        }
    }
}

#[test]
fn a_crash_after_every_operation_of_recovery_changes_nothing() {
    for (method, other) in METHODS {
        let whole = SimDisk::new();
        live(&whole, method, other);
        let operations = whole.operations();
        let mut dice = Dice::new(operations);
        for sample in 0..14 {
            let operation = 1 + dice.bits() % operations;
            let disk = SimDisk::new();
            disk.crash_after(operation);
            live(&disk, method, other);
            let power_cut = sample % 2 == 0;
            // The same image every time.
            let image = || if power_cut { disk.survivor(sample) } else { disk.killed() };
            let expected = recovered(&image(), "without a crash");
            let once = image();
            recovered(&once, "counting");
            for at in 1..=once.operations() {
                let crashing = image();
                crashing.crash_after(at);
                let what = format!("{method:?}, life {operation}, recovery crashed after {at}");
                if let Ok(life) = begin(&crashing, 2, 98, other) {
                    // Only a deletion was left to do.
                    assert_eq!(life.keys, expected);
                }
                assert_eq!(recovered(&crashing.killed(), &what), expected, "{what}, killed");
                for cut in 0..2 {
                    let left = crashing.survivor(at * 7 + cut);
                    let what = format!("{what}, power cut {cut}");
                    if !power_cut {
                        // What a kill left unsynced may go with the power, as a whole.
                        recovered(&left, &what);
                        continue;
                    }
                    assert_eq!(recovered(&left, &what), expected, "{what}");
                }
            }
        }
    }
}
