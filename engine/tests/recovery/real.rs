//! A whole life on a real disk: start, write through the log's own writer, stop or die, start
//! again; and what stock Redis makes of the directory.

use super::builder::{Keys, keys_of, options};
use quire_engine::{
    aof::{FsyncPolicy, LogWriter, RetiredSegment, Staging, WantSegment},
    effect::{Deadline, Effect},
    io::{FileId, LogIo, WriteSync},
    manifest::{Event, LibrarianDesk, LibrarianThread, Position, Request, Wanted},
    recovery::{Progress, Start, StartError, start},
    slot::{group_of_slot, shard_of_group, slot_of},
};
use std::{
    fs::File,
    os::{fd::BorrowedFd, unix::fs::FileExt},
    path::Path,
    sync::mpsc::{Receiver, channel},
};

/// Does everything at once and completes it when asked.
#[derive(Default)]
struct RealIo {
    written: Option<usize>,
    synced: bool,
}

fn file(fd: FileId) -> File {
    // SAFETY: the descriptor is open as long as the writer has its segment.
    let fd = unsafe { BorrowedFd::borrow_raw(fd) };
    File::from(fd.try_clone_to_owned().unwrap())
}

impl LogIo for RealIo {
    fn write_now(&mut self, fd: FileId, offset: u64, bytes: &[u8]) -> Result<(), i32> {
        file(fd).write_all_at(bytes, offset).map_err(|e| e.raw_os_error().unwrap())
    }

    unsafe fn start_write(
        &mut self,
        fd: FileId,
        offset: u64,
        bytes: *const u8,
        len: usize,
        sync: WriteSync,
    ) {
        // SAFETY: the caller's promise.
        let bytes = unsafe { std::slice::from_raw_parts(bytes, len) };
        file(fd).write_all_at(bytes, offset).unwrap();
        if sync != WriteSync::None {
            file(fd).sync_data().unwrap();
        }
        self.written = Some(len);
    }

    fn start_sync(&mut self, fd: FileId) {
        file(fd).sync_data().unwrap();
        self.synced = true;
    }
}

struct Shard {
    writer: LogWriter,
    staging: Staging,
    io: RealIo,
}

/// A running server without sockets.
pub struct Life {
    shards: Vec<Shard>,
    thread: LibrarianThread,
    desk: LibrarianDesk,
    events: Receiver<Event>,
    pub keys: Keys,
    _lock: quire_engine::manifest::DirectoryLock,
    now_us: u64,
}

pub fn begin(
    directory: &Path,
    shards: usize,
    policy: FsyncPolicy,
    run: u64,
) -> Result<Life, StartError> {
    let what = Start {
        old_log: directory.with_file_name("appendonly.aof"),
        directory: directory.to_owned(),
        options: options(shards),
        run,
        segments: vec![WantSegment { method: policy.method(), bytes: 64 * 1024 }; shards],
        threads: 1 + run as usize % 3,
    };
    let started = start(&what, &Progress::new())?;
    let (answers, events) = channel();
    let (thread, desk) =
        LibrarianThread::spawn(started.librarian, move |event| answers.send(event).unwrap())?;
    let shard = |(id, (first, next))| {
        let mut writer = LogWriter::new(id, run, policy, first);
        writer.set_segment_bytes_max(256 * 1024);
        writer.install_next(next);
        Shard { writer, staging: Staging::new(id, run), io: RealIo::default() }
    };
    Ok(Life {
        shards: (0..).zip(started.segments).map(shard).collect(),
        thread,
        desk,
        events,
        keys: keys_of(&started.keyspaces),
        _lock: started.lock,
        now_us: 1_000_000,
    })
}

impl Life {
    pub fn set(&mut self, db: u16, key: &str, value: &str, deadline: Option<i64>) {
        let shard = shard_of_group(group_of_slot(slot_of(key.as_bytes())), self.shards.len());
        let at = deadline.map_or(Deadline::None, Deadline::At);
        let effect = Effect::Set { key: key.as_bytes(), value: value.as_bytes(), deadline: at };
        self.shards[shard].staging.push(db, effect);
        self.keys.insert((db as usize, key.to_owned()), (value.to_owned(), deadline));
    }

    pub fn turn(&mut self) {
        self.turn_of(|_| true);
    }

    fn turn_of(&mut self, takes_part: impl Fn(&Shard) -> bool) {
        self.now_us += 1000;
        for id in 0..self.shards.len() {
            if !takes_part(&self.shards[id]) {
                continue;
            }
            let Shard { writer, staging, io } = &mut self.shards[id];
            writer.pump(staging, self.now_us, io);
            if let Some(len) = io.written.take() {
                writer.on_write_done(Ok(len), staging, self.now_us, io);
            }
            if std::mem::take(&mut io.synced) {
                writer.on_sync_done(Ok(()), staging, self.now_us, io);
            }
            let shard = id as u16;
            if let Some(segment) = writer.take_want() {
                self.desk.ask(Request::Prepare(Wanted { shard, segment }));
            }
            if let Some(segment) = writer.take_retired() {
                self.desk.ask(Request::Retire { shard, segment });
            }
        }
        while let Ok(event) = self.events.try_recv() {
            self.answer(event);
        }
    }

    fn answer(&mut self, event: Event) {
        match event {
            Event::Prepared { shard, segment } => {
                self.shards[shard as usize].writer.install_next(segment);
            }
            Event::Retired { .. } | Event::GlobalDone { .. } | Event::GenerationDone { .. } => {}
            other => panic!("{other:?}"),
        }
    }

    /// Turns until everything is written and synced.
    pub fn settle(&mut self) {
        for shard in &mut self.shards {
            shard.writer.request_sync(&shard.staging);
        }
        while self.shards.iter().any(|s| s.writer.synced() < s.staging.last_lsn()) {
            self.turn();
        }
    }

    fn barrier(&mut self) -> Vec<Position> {
        for shard in &mut self.shards {
            shard.writer.rotate(&shard.staging);
        }
        // A shard that has flipped stands still.
        while self.shards.iter().any(|s| s.writer.is_rotating()) {
            self.turn_of(|shard| shard.writer.is_rotating());
        }
        let position = |(shard, s): (u16, &Shard)| {
            let (next, _, last_lsn) = s.writer.tail();
            assert_eq!(last_lsn, s.writer.synced());
            Position { shard, last_lsn, next }
        };
        (0..).zip(&self.shards).map(position).collect()
    }

    fn wait(&mut self, done: impl Fn(&Event) -> bool) {
        loop {
            let event = self.events.recv().unwrap();
            let is_done = done(&event);
            self.answer(event);
            if is_done {
                return;
            }
        }
    }

    pub fn swap_databases(&mut self, a: usize, b: usize) {
        let positions = self.barrier();
        let commands = super::builder::resp(&format!("SWAPDB {a} {b}"));
        self.desk.ask(Request::Global { commands, positions });
        self.wait(|event| matches!(event, Event::GlobalDone { .. }));
        let swapped = |db| {
            if db == a {
                b
            } else if db == b {
                a
            } else {
                db
            }
        };
        let keys = std::mem::take(&mut self.keys);
        self.keys = keys.into_iter().map(|((db, key), v)| ((swapped(db), key), v)).collect();
    }

    pub fn flush_all(&mut self) {
        let positions = self.barrier();
        self.desk.ask(Request::NewGeneration { positions });
        self.wait(|event| matches!(event, Event::GenerationDone { .. }));
        self.keys.clear();
    }

    /// Ends cleanly.
    pub fn stop(mut self) -> Keys {
        self.shards.iter_mut().for_each(|shard| shard.writer.start_finish());
        while self.shards.iter().any(|s| !s.writer.is_finished()) {
            self.turn();
        }
        for (id, shard) in (0..).zip(&self.shards) {
            let (_, end, last_lsn) = shard.writer.tail();
            let segment = RetiredSegment { segment: shard.writer.current().clone(), end, last_lsn };
            self.desk.ask(Request::Retire { shard: id, segment });
        }
        self.kill()
    }

    /// Ends like a killed process, as far as the files are concerned.
    pub fn kill(self) -> Keys {
        drop(self.desk);
        self.thread.join();
        self.keys
    }
}

fn fill(life: &mut Life, count: usize, tag: &str) {
    for i in 0..count {
        let deadline = (i % 7 == 0).then_some(4_102_444_800_000);
        life.set((i % 3) as u16, &format!("key:{i}"), &format!("{tag}:{i}"), deadline);
        if i % 5 == 0 {
            life.set(0, &format!("n:{i}"), &i.to_string(), None);
        }
        if i % 20 == 0 {
            life.turn();
        }
    }
    life.settle();
}

#[test]
fn a_life_of_many_runs_and_shard_counts_keeps_every_key() {
    let directory = tempfile::tempdir().unwrap();
    let log = directory.path().join("appendonlydir");
    let mut expected = Keys::new();
    let policies = [FsyncPolicy::Always, FsyncPolicy::EverySec, FsyncPolicy::No];
    for (index, shards) in [1, 4, 3, 3, 8, 2].into_iter().enumerate() {
        let mut life = begin(&log, shards, policies[index % 3], 100 + index as u64).unwrap();
        assert_eq!(life.keys, expected, "start {index}");
        fill(&mut life, 2000, &format!("run{index}"));
        if index == 1 {
            life.swap_databases(0, 2);
            fill(&mut life, 500, "swapped");
        }
        if index == 3 {
            life.flush_all();
            fill(&mut life, 300, "fresh");
        }
        expected = if index % 2 == 0 { life.kill() } else { life.stop() };
    }
    assert_eq!(begin(&log, 5, FsyncPolicy::No, 999).unwrap().keys, expected);
}

#[test]
fn two_servers_never_share_a_directory() {
    let directory = tempfile::tempdir().unwrap();
    let life = begin(directory.path(), 1, FsyncPolicy::No, 1).unwrap();
    let refused = begin(directory.path(), 1, FsyncPolicy::No, 2).err().unwrap().to_string();
    assert!(refused.contains("is using the log directory"), "{refused}");
    life.stop();
}
