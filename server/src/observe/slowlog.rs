//! The slow log: the last commands that took longer than an operator wants, of all shards.
//!
//! One list behind a lock that only slow commands and SLOWLOG take. Entries are numbered in the
//! order in which they are added. Arguments are cut as in Redis, so an entry's size is bounded.

use std::{
    collections::VecDeque,
    sync::{Mutex, MutexGuard, PoisonError},
};

/// Arguments kept of one command; the last says how many are missing.
const ARGUMENTS_MAX: usize = 32;
/// Bytes kept of one argument.
const ARGUMENT_BYTES_MAX: usize = 128;
/// Stands for an argument nobody shall read.
pub const REDACTED: &[u8] = b"(redacted)";

/// One slow command.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// Number of the entry, from 0 since the start of the process.
    pub id: u64,
    /// When it was added, Unix time, s.
    pub time_s: i64,
    /// How long it took, us.
    pub us: u64,
    /// Its arguments, cut.
    pub args: Vec<Vec<u8>>,
    /// The client's address.
    pub address: String,
    /// Its name.
    pub name: Vec<u8>,
}

/// The log.
#[derive(Debug, Default)]
pub struct SlowLog(Mutex<Entries>);

#[derive(Debug, Default)]
struct Entries {
    next_id: u64,
    /// Newest first.
    list: VecDeque<Entry>,
}

impl SlowLog {
    fn lock(&self) -> MutexGuard<'_, Entries> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Adds an entry, whose number is given here, and drops the oldest beyond `entries_max`.
    pub fn push(&self, mut entry: Entry, entries_max: usize) {
        let mut entries = self.lock();
        entry.id = entries.next_id;
        entries.next_id += 1;
        entries.list.push_front(entry);
        entries.list.truncate(entries_max);
    }

    /// The newest `count` entries, newest first.
    pub fn newest(&self, count: usize) -> Vec<Entry> {
        self.lock().list.iter().take(count).cloned().collect()
    }

    /// Entries held.
    pub fn len(&self) -> usize {
        self.lock().list.len()
    }

    /// True when there are none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Forgets all entries; numbering goes on.
    pub fn reset(&self) {
        self.lock().list.clear();
    }
}

/// The arguments of an entry: few and short. `is_hidden` names those nobody shall read.
pub fn cut<'a>(
    args: impl ExactSizeIterator<Item = &'a [u8]>,
    is_hidden: impl Fn(usize) -> bool,
) -> Vec<Vec<u8>> {
    let count = args.len();
    let mut kept: Vec<Vec<u8>> = Vec::with_capacity(count.min(ARGUMENTS_MAX));
    for (at, arg) in args.enumerate() {
        if at + 1 == ARGUMENTS_MAX && count > ARGUMENTS_MAX {
            let missing = count - ARGUMENTS_MAX + 1;
            kept.push(format!("... ({missing} more arguments)").into_bytes());
            break;
        }
        kept.push(if is_hidden(at) { REDACTED.to_vec() } else { cut_argument(arg) });
    }
    kept
}

fn cut_argument(arg: &[u8]) -> Vec<u8> {
    let Some((kept, rest)) = arg.split_at_checked(ARGUMENT_BYTES_MAX) else { return arg.to_vec() };
    if rest.is_empty() {
        return arg.to_vec();
    }
    let mut kept = kept.to_vec();
    kept.extend_from_slice(format!("... ({} more bytes)", rest.len()).as_bytes());
    kept
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(us: u64) -> Entry {
        let (address, name) = (String::new(), Vec::new());
        Entry { id: 0, time_s: 0, us, args: Vec::new(), address, name }
    }

    #[test]
    fn the_newest_entries_stay_and_numbers_go_on() {
        let log = SlowLog::default();
        (0..5).for_each(|us| log.push(entry(us), 3));
        let ids = |count| log.newest(count).iter().map(|e| (e.id, e.us)).collect::<Vec<_>>();
        assert_eq!(ids(9), [(4, 4), (3, 3), (2, 2)]);
        assert_eq!(ids(1), [(4, 4)]);
        log.reset();
        assert!(log.is_empty());
        log.push(entry(9), 3);
        assert_eq!(ids(9), [(5, 9)]);
        log.push(entry(9), 0);
        assert!(log.is_empty());
    }

    #[test]
    fn arguments_are_cut_as_in_redis() {
        let cut = |args: &[&[u8]]| cut(args.iter().copied(), |at| at == 1);
        assert_eq!(cut(&[b"auth", b"secret", b"x"]), [&b"auth"[..], REDACTED, b"x"]);
        let long = [b'A'; 131];
        assert_eq!(cut(&[&long[..128]]), [&long[..128]]);
        let expected = [&long[..128], b"... (3 more bytes)"].concat();
        assert_eq!(cut(&[&long]), [expected]);
        let many: Vec<&[u8]> = vec![b"a"; 33];
        let kept = cut(&many);
        assert_eq!((kept.len(), kept[31].as_slice()), (32, &b"... (2 more arguments)"[..]));
        assert_eq!(cut(&many[..32])[31], b"a");
    }
}
