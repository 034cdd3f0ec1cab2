//! One shard's log on a simulated disk: staging, writer, ring, a librarian, a clock, and the
//! reader that says what a crash left.

use quire_engine::{
    aof::{
        CommandReader, FsyncPolicy, LogWriter, Lsn, OpenSegment, RetiredSegment, Staging,
        fill_segment,
        reader::{Expect, Item, SegmentReader},
    },
    effect::{Deadline, Effect},
    error::StorageError,
    io::{
        Method, Storage,
        sim::{Dice, SimDisk, SimRing, run},
    },
};

pub const SHARD: u16 = 2;
pub const RUN: u64 = 0xfeed_0123_4567_89ab;
pub const FIRST_BYTES: u64 = 16 * 1024;
pub const BYTES_MAX: u64 = 32 * 1024;

pub struct Rig {
    pub disk: SimDisk,
    pub ring: SimRing,
    pub writer: LogWriter,
    pub staging: Staging,
    pub now: u64,
    pub next_seq: u64,
    pub retired: Vec<RetiredSegment>,
    /// When each LSN was issued, us; index = LSN - 1.
    pub issued_us: Vec<u64>,
    /// Highest LSN whose reply has left at all.
    pub replied: Lsn,
    /// Highest LSN that anybody was told is on stable storage.
    pub promised_synced: Lsn,
}

pub fn segment_name(seq: u64) -> String {
    format!("appendonly.aof.{seq}.s{SHARD}.incr.aof")
}

async fn prepare(
    disk: &SimDisk,
    seq: u64,
    method: Method,
    bytes: u64,
) -> Result<OpenSegment, StorageError> {
    let name = segment_name(seq);
    let file = disk.create(&name).await?;
    fill_segment(disk, &file, method, bytes).await?;
    disk.sync_dir().await?;
    let file = disk.open_for_ring(&name, method)?;
    Ok(OpenSegment { file, path: name.into(), seq, method, capacity: bytes })
}

impl Rig {
    /// A fresh log; the disk has no faults yet.
    pub fn new(policy: FsyncPolicy) -> Self {
        Self::on(SimDisk::new(), policy)
    }

    pub fn on(disk: SimDisk, policy: FsyncPolicy) -> Self {
        let first = run(prepare(&disk, 1, policy.method(), FIRST_BYTES)).unwrap();
        let mut writer = LogWriter::new(SHARD, RUN, policy, first);
        writer.set_segment_bytes_max(BYTES_MAX);
        let mut rig = Self {
            ring: SimRing::new(&disk),
            disk,
            writer,
            staging: Staging::new(SHARD, RUN),
            now: 1_000_000,
            next_seq: 2,
            retired: Vec::new(),
            issued_us: Vec::new(),
            replied: 0,
            promised_synced: 0,
        };
        rig.pump();
        rig
    }

    /// One command with a value of this many bytes.
    pub fn set(&mut self, bytes: usize) -> Lsn {
        let key = format!("key-{}", self.issued_us.len() + 1).into_bytes();
        let value = vec![b'v'; bytes];
        self.staging.begin();
        self.staging.push(0, Effect::Set { key: &key, value: &value, deadline: Deadline::None });
        let lsn = self.staging.end();
        self.issued_us.push(self.now);
        assert_eq!(lsn, self.issued_us.len() as Lsn);
        lsn
    }

    /// The end of a turn.
    pub fn pump(&mut self) {
        self.writer.pump(&mut self.staging, self.now, &mut self.ring);
        self.observe();
    }

    pub fn complete_write(&mut self) -> bool {
        let Some(result) = self.ring.complete_write() else { return false };
        self.writer.on_write_done(result, &mut self.staging, self.now, &mut self.ring);
        self.observe();
        true
    }

    pub fn complete_sync(&mut self) -> bool {
        let Some(result) = self.ring.complete_sync() else { return false };
        self.writer.on_sync_done(result, &mut self.staging, self.now, &mut self.ring);
        self.observe();
        true
    }

    pub fn set_policy(&mut self, policy: FsyncPolicy) {
        self.writer.set_policy(policy, &mut self.staging);
        self.observe();
    }

    /// The librarian does what it was asked for.
    pub fn serve(&mut self) {
        if let Some(want) = self.writer.take_want() {
            let seq = self.next_seq;
            self.next_seq += 1;
            match run(prepare(&self.disk, seq, want.method, want.bytes)) {
                Ok(next) => self.writer.install_next(next),
                Err(error) => {
                    let _ = run(self.disk.remove(&segment_name(seq)));
                    self.writer.next_failed(error);
                }
            }
        }
        while let Some(retired) = self.writer.take_retired() {
            self.disk.close_for_ring(retired.segment.file);
            self.retired.push(retired);
        }
    }

    /// Turns without new commands until nothing moves.
    pub fn settle_down(&mut self) {
        loop {
            self.pump();
            self.serve();
            if !(self.complete_write() || self.complete_sync()) {
                self.pump();
                if !self.ring.is_writing() && !self.ring.is_syncing() {
                    return;
                }
            }
        }
    }

    /// Replies leave: what is released now is what clients have been told.
    fn observe(&mut self) {
        let released = self.writer.released();
        let synced = self.writer.synced();
        assert!(released <= self.writer.written() && synced <= self.writer.written());
        if released > self.replied && self.writer.policy() == FsyncPolicy::EverySec {
            let oldest = self.issued_us.get(synced as usize).copied();
            let age = oldest.map_or(0, |t| self.now - t);
            assert!(
                released <= synced || age <= 2_000_000,
                "replied with an effect unsynced for {age} us"
            );
        }
        self.replied = self.replied.max(released);
        self.promised_synced = self.promised_synced.max(synced);
        if self.writer.policy() == FsyncPolicy::Always {
            self.promised_synced = self.promised_synced.max(released);
        }
    }

    pub fn issued(&self) -> Lsn {
        self.staging.last_lsn()
    }

    /// One turn of a random life; `mixed`: policies change too.
    pub fn random_turn(&mut self, dice: &mut Dice, mixed: bool) {
        for _ in 0..dice.below(4) {
            let bytes = if dice.one_in(12) { dice.below(20_000) } else { dice.below(300) };
            if self.staging.admit(bytes + 64).is_ok() {
                self.set(bytes);
            }
        }
        self.pump();
        if dice.one_in(3) {
            self.serve();
        }
        self.now += match dice.below(10) {
            0 => 700_000,
            1..=3 => 60_000,
            _ => 50,
        };
        if dice.one_in(2) {
            self.complete_write();
        }
        if dice.one_in(5) {
            self.complete_sync();
        }
        if dice.one_in(25) {
            self.writer.request_sync(&self.staging);
        }
        match dice.below(40) {
            0 => self.writer.rotate(&self.staging),
            1 => self.writer.cut(&mut self.staging),
            _ => {}
        }
        if mixed && dice.one_in(15) {
            let policy = FsyncPolicy::ALL[dice.below(3)];
            self.set_policy(policy);
        }
    }
}

/// What a crash left: LSNs 1..=n in order, each with the effect it was issued with. Panics when
/// it is anything else.
pub fn recovered(disk: &SimDisk) -> Lsn {
    let mut names: Vec<(u64, String)> = run(disk.list())
        .unwrap()
        .into_iter()
        .filter_map(|(name, _)| Some((name.split('.').nth(2)?.parse().ok()?, name)))
        .collect();
    names.sort();
    let mut last = 0;
    for (seq, name) in names {
        let expect = Expect { shard: SHARD, seq, run: Some(RUN), next_lsn: Some(last + 1) };
        let file = run(disk.open(&name)).unwrap();
        let len = run(disk.len(&file)).unwrap();
        let mut reader = SegmentReader::new(expect, len);
        loop {
            match reader.next_item() {
                Item::More => {
                    run(reader.feed_from(disk, &file)).unwrap();
                }
                Item::Commit { header, body, .. } => {
                    assert!(header.synced < header.first_lsn);
                    check_body(body, header.first_lsn, header.last_lsn());
                    last = header.last_lsn();
                }
                Item::EndOfLog { end, .. } => assert_eq!(end.last_lsn, last),
                // A torn tail: nothing behind it counts, in any file.
                Item::Bad { .. } | Item::Command { .. } => return last,
                Item::End => break,
            }
        }
    }
    last
}

fn check_body(body: &[u8], first: Lsn, last: Lsn) {
    let mut commands = CommandReader::new(body);
    let mut lsn = first;
    while let Some(args) = commands.next_command().unwrap() {
        if args.get(0) == b"SET" {
            assert_eq!(args.get(1), format!("key-{lsn}").as_bytes());
            lsn += 1;
        } else {
            assert_eq!(args.get(0), b"SELECT");
        }
    }
    assert_eq!(lsn, last + 1);
}
