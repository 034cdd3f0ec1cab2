//! A seeded in-memory disk with faults, for tests.
//!
//! Models what a real disk may do and no more than that: bytes and names are stable only after
//! their sync. A power cut ([`SimDisk::survivor`]) keeps an arbitrary part of what was not synced:
//! per sector any of its versions since the last sync, any of the lengths in between, zeros where
//! a file grew and its bytes did not arrive, a prefix of the name changes, or any of them
//! ([`SimDisk::unordered_survivor`]). A killed process ([`SimDisk::killed`]) loses nothing that was
//! written. A failed sync loses what it should have made stable for ever, even if a later sync
//! succeeds, as kernels do.
//! Does not model time: whoever drives a [`SimRing`] decides what completes when.

mod ring;
mod storage;

pub use ring::SimRing;
pub use storage::{SimFile, run};

use super::{FileId, Method};
use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

/// Pseudo-random bits (splitmix64: Steele, Lea, Flood, OOPSLA 2014).
#[derive(Debug, Clone)]
pub struct Dice(u64);

impl Dice {
    /// Dice that fall the same way for the same seed.
    pub fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// The next 64 bits.
    pub fn bits(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    /// A number below `n`, which is not 0.
    pub fn below(&mut self, n: usize) -> usize {
        (self.bits() % n as u64) as usize
    }

    /// True once in `n` times.
    pub fn one_in(&mut self, n: usize) -> bool {
        self.below(n) == 0
    }
}

/// Kinds of operation that count towards a crash and can be made to fail.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Op {
    /// Writing bytes, cutting, reserving.
    Write,
    /// Syncing a file.
    Sync,
    /// Creating, renaming, removing a file.
    Name,
    /// Syncing the directory.
    SyncDir,
    /// Reading. Never counts towards a crash.
    Read,
}

#[derive(Debug, Clone)]
enum Change {
    Write { offset: u64, bytes: Vec<u8> },
    Truncate(u64),
}

impl Change {
    fn apply(&self, to: &mut Vec<u8>) {
        match self {
            Change::Write { offset, bytes } => {
                let start = *offset as usize;
                let end = start + bytes.len();
                if to.len() < end {
                    to.resize(end, 0);
                }
                to[start..end].copy_from_slice(bytes);
            }
            Change::Truncate(len) => to.resize(*len as usize, 0),
        }
    }

    fn length_after(&self, before: u64) -> u64 {
        match self {
            Change::Write { offset, bytes } => before.max(offset + bytes.len() as u64),
            Change::Truncate(len) => *len,
        }
    }

    /// Bytes the change may touch in a file of `len` bytes.
    fn range(&self, len: u64) -> std::ops::Range<u64> {
        match self {
            Change::Write { offset, bytes } => *offset..offset + bytes.len() as u64,
            Change::Truncate(to) => (*to).min(len)..len.max(*to),
        }
    }
}

#[derive(Debug, Clone, Default)]
struct Inode {
    live: Vec<u8>,
    stable: Vec<u8>,
    /// Changes since the last sync.
    pending: Vec<Change>,
    reserved: u64,
}

impl Inode {
    fn change(&mut self, change: Change) {
        change.apply(&mut self.live);
        self.pending.push(change);
    }

    fn space(&self) -> u64 {
        (self.live.len() as u64).max(self.reserved)
    }

    /// What a power cut leaves.
    fn survivor(&self, dice: &mut Dice) -> Vec<u8> {
        let mood = dice.below(4);
        if self.pending.is_empty() || mood == 0 {
            return self.stable.clone();
        }
        let piece = if dice.one_in(2) { 512 } else { 4096 };
        let (mut len, mut lengths) = (self.stable.len() as u64, vec![self.stable.len() as u64]);
        let mut longest = len;
        for change in &self.pending {
            len = change.length_after(len);
            longest = longest.max(len);
            lengths.push(len);
        }
        let length = if mood == 1 { len } else { lengths[dice.below(lengths.len())] };
        let mut content = self.stable.clone();
        content.resize(longest as usize, 0);
        // Every touched piece holds any of its versions.
        let mut touching: BTreeMap<u64, Vec<&Change>> = BTreeMap::new();
        for change in &self.pending {
            let range = change.range(longest);
            for at in range.start / piece..range.end.div_ceil(piece) {
                touching.entry(at).or_default().push(change);
            }
        }
        for (at, changes) in touching {
            let versions = match mood {
                1 => changes.len() - usize::from(dice.one_in(4)),
                _ => dice.below(changes.len() + 1),
            };
            let range = (at * piece) as usize..(((at + 1) * piece).min(longest)) as usize;
            apply_within(&mut content, range, &changes[..versions]);
        }
        content.truncate(length as usize);
        content.resize(length as usize, 0);
        content
    }
}

/// Applies changes to the bytes in `range` only.
fn apply_within(content: &mut [u8], range: std::ops::Range<usize>, changes: &[&Change]) {
    for change in changes {
        match change {
            Change::Write { offset, bytes } => {
                let offset = *offset as usize;
                let start = offset.max(range.start);
                let end = (offset + bytes.len()).min(range.end);
                if start < end {
                    content[start..end].copy_from_slice(&bytes[start - offset..end - offset]);
                }
            }
            Change::Truncate(len) => {
                let start = (*len as usize).clamp(range.start, range.end);
                content[start..range.end].fill(0);
            }
        }
    }
}

#[derive(Debug, Clone)]
struct Planned {
    op: Op,
    /// Fires when it reaches 0.
    left: u64,
    errno: i32,
}

#[derive(Debug, Default)]
struct Disk {
    inodes: BTreeMap<u64, Inode>,
    names: BTreeMap<String, u64>,
    /// Every state of the directory since it was synced, the synced one first.
    name_states: Vec<BTreeMap<String, u64>>,
    next_inode: u64,
    handles: Vec<Option<(u64, Method)>>,
    capacity: Option<u64>,
    faults: Vec<Planned>,
    short_write: Option<u64>,
    ops: u64,
    crash_at: Option<u64>,
    crashed: bool,
}

/// What becomes of an operation.
enum Fate {
    Done,
    /// It happens, perhaps, and nobody learns of it.
    Crash,
    Fail(i32),
}

impl Disk {
    fn fate(&mut self, op: Op) -> Fate {
        if self.crashed {
            return Fate::Fail(libc::EIO);
        }
        for i in 0..self.faults.len() {
            if self.faults[i].op == op {
                self.faults[i].left -= 1;
                if self.faults[i].left == 0 {
                    return Fate::Fail(self.faults.remove(i).errno);
                }
            }
        }
        if op != Op::Read {
            self.ops += 1;
            if self.crash_at == Some(self.ops) {
                self.crashed = true;
                return Fate::Crash;
            }
        }
        Fate::Done
    }

    fn inode(&mut self, number: u64) -> &mut Inode {
        self.inodes.entry(number).or_default()
    }

    fn has_room(&self, number: u64, space_after: u64) -> bool {
        let Some(capacity) = self.capacity else { return true };
        let others: u64 = self
            .names
            .values()
            .filter(|&&n| n != number)
            .filter_map(|n| self.inodes.get(n))
            .map(Inode::space)
            .sum();
        let now = self.inodes.get(&number).map_or(0, Inode::space);
        space_after <= now || others + space_after <= capacity
    }

    fn change(&mut self, number: u64, change: Change) -> Result<(), i32> {
        let fate = self.fate(Op::Write);
        if let Fate::Fail(errno) = fate {
            return Err(errno);
        }
        let len = self.inode(number).live.len() as u64;
        if !self.has_room(number, change.length_after(len)) {
            return Err(libc::ENOSPC);
        }
        if let (Change::Write { offset, bytes }, Fate::Crash) = (&change, &fate) {
            // A write cut off by the crash has reached any part of the page cache.
            let part = bytes[..bytes.len() / 2].to_vec();
            self.inode(number).change(Change::Write { offset: *offset, bytes: part });
            return Err(libc::EIO);
        }
        self.inode(number).change(change);
        if matches!(fate, Fate::Crash) { Err(libc::EIO) } else { Ok(()) }
    }

    /// A sync that covers the last change alone; what else is unsynced stays so.
    fn sync_last(&mut self, number: u64) -> Result<(), i32> {
        let inode = self.inode(number);
        let last = inode.pending.pop();
        let before = std::mem::replace(&mut inode.pending, last.into_iter().collect());
        let result = self.sync(number);
        self.inode(number).pending.splice(0..0, before);
        result
    }

    fn sync(&mut self, number: u64) -> Result<(), i32> {
        match self.fate(Op::Sync) {
            Fate::Crash => Err(libc::EIO),
            Fate::Fail(errno) => {
                if !self.crashed {
                    // The kernel has marked the pages clean: they are lost for good.
                    self.inode(number).pending.clear();
                }
                Err(errno)
            }
            Fate::Done => {
                let inode = self.inode(number);
                for change in std::mem::take(&mut inode.pending) {
                    change.apply(&mut inode.stable);
                }
                Ok(())
            }
        }
    }

    /// What a power cut leaves of the directory: the changes up to some moment, as journals do.
    fn surviving_names(&self, dice: &mut Dice) -> BTreeMap<String, u64> {
        match self.name_states.len() {
            0 => self.names.clone(),
            n => self.name_states[dice.below(n)].clone(),
        }
    }

    /// As [`Disk::surviving_names`] on a file system that keeps any of the changes, each whole.
    fn unordered_names(&self, dice: &mut Dice) -> BTreeMap<String, u64> {
        let Some(synced) = self.name_states.first() else { return self.names.clone() };
        let mut names = synced.clone();
        for change in self.name_states.windows(2) {
            let [before, after] = change else { continue };
            if dice.one_in(2) {
                continue;
            }
            names.retain(|name, _| !before.contains_key(name) || after.contains_key(name));
            let new = after.iter().filter(|&(name, number)| before.get(name) != Some(number));
            names.extend(new.map(|(name, number)| (name.clone(), *number)));
        }
        names
    }

    /// The disk with these names and what the dice leave of the files' bytes.
    fn cut(&self, names: BTreeMap<String, u64>, dice: &mut Dice) -> SimDisk {
        let survivor = |(&number, inode): (&u64, &Inode)| {
            let content = inode.survivor(dice);
            (number, Inode { live: content.clone(), stable: content, ..Inode::default() })
        };
        SimDisk::fresh(names, self.inodes.iter().map(survivor).collect(), self)
    }

    fn rename_with(
        &mut self,
        edit: impl FnOnce(&mut BTreeMap<String, u64>) -> Result<(), i32>,
    ) -> Result<(), i32> {
        let fate = self.fate(Op::Name);
        if let Fate::Fail(errno) = fate {
            return Err(errno);
        }
        if self.name_states.is_empty() {
            self.name_states.push(self.names.clone());
        }
        edit(&mut self.names)?;
        self.name_states.push(self.names.clone());
        if matches!(fate, Fate::Crash) { Err(libc::EIO) } else { Ok(()) }
    }
}

/// The disk. Clones share it.
#[derive(Debug, Clone, Default)]
pub struct SimDisk {
    disk: Arc<Mutex<Disk>>,
}

impl SimDisk {
    /// An empty disk without faults.
    pub fn new() -> Self {
        Self::default()
    }

    fn lock(&self) -> MutexGuard<'_, Disk> {
        self.disk.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Makes the `nth` operation of this kind from now on (1 = the next) fail with `errno`, once.
    pub fn fail(&self, op: Op, nth: u64, errno: i32) {
        assert!(nth > 0, "the next operation is number 1");
        self.lock().faults.push(Planned { op, left: nth, errno });
    }

    /// The next ring write writes only this many bytes and says so.
    pub fn shorten_write(&self, bytes: u64) {
        self.lock().short_write = Some(bytes);
    }

    /// Limits the space of all files together, bytes; `None`: endless.
    pub fn set_capacity(&self, bytes: Option<u64>) {
        self.lock().capacity = bytes;
    }

    /// Space all files take, bytes.
    pub fn used(&self) -> u64 {
        let disk = self.lock();
        disk.names.values().filter_map(|n| disk.inodes.get(n)).map(Inode::space).sum()
    }

    /// Makes the `nth` changing operation from now on the last one: it may have happened or not,
    /// and everything after it fails.
    pub fn crash_after(&self, nth: u64) {
        let mut disk = self.lock();
        disk.crash_at = Some(disk.ops + nth);
    }

    /// True once the planned crash has come.
    pub fn crashed(&self) -> bool {
        self.lock().crashed
    }

    /// Changing operations so far: how many crash points a run has.
    pub fn operations(&self) -> u64 {
        self.lock().ops
    }

    /// The disk after a power cut now, as these dice fall. Without faults and handles.
    pub fn survivor(&self, seed: u64) -> SimDisk {
        let disk = self.lock();
        let mut dice = Dice::new(seed);
        let names = disk.surviving_names(&mut dice);
        disk.cut(names, &mut dice)
    }

    /// As [`SimDisk::survivor`], where changes of names reach the disk in any order: no file
    /// system promises one.
    pub fn unordered_survivor(&self, seed: u64) -> SimDisk {
        let disk = self.lock();
        let mut dice = Dice::new(seed);
        let names = disk.unordered_names(&mut dice);
        disk.cut(names, &mut dice)
    }

    /// The disk after the process was killed now: everything written is there.
    pub fn killed(&self) -> SimDisk {
        let disk = self.lock();
        let killed = Self::fresh(disk.names.clone(), disk.inodes.clone(), &disk);
        killed.lock().name_states.clone_from(&disk.name_states);
        killed
    }

    fn fresh(names: BTreeMap<String, u64>, inodes: BTreeMap<u64, Inode>, from: &Disk) -> SimDisk {
        let disk = Disk {
            inodes,
            names,
            next_inode: from.next_inode,
            capacity: from.capacity,
            ..Disk::default()
        };
        SimDisk { disk: Arc::new(Mutex::new(disk)) }
    }

    /// The bytes of a file; `None` when there is none of this name.
    pub fn bytes(&self, name: &str) -> Option<Vec<u8>> {
        let disk = self.lock();
        disk.inodes.get(disk.names.get(name)?).map(|i| i.live.clone())
    }

    /// Puts a stable file there, as if it had always been.
    pub fn put(&self, name: &str, bytes: &[u8]) {
        let mut disk = self.lock();
        let number = disk.next_inode;
        disk.next_inode += 1;
        let inode = disk.inode(number);
        inode.live = bytes.to_vec();
        inode.stable = bytes.to_vec();
        disk.names.insert(name.to_owned(), number);
        for state in &mut disk.name_states {
            state.insert(name.to_owned(), number);
        }
    }

    fn ring_file(&self, file: FileId) -> Result<(u64, Method), i32> {
        self.lock().handles.get(file as usize).copied().flatten().ok_or(libc::EBADF)
    }
}

#[cfg(test)]
mod tests;
