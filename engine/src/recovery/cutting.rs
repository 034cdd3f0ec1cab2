//! Cutting off valid commits, so that a crash in the middle is not taken for damage.
//!
//! What goes is whole, and had been synced, and says so: a commit's `synced`, an end-of-log line.
//! A crash while a file is being shortened may leave its old length and lose some of the bytes
//! (the file system clears the rest of a block before it commits the new length). If what then
//! still stands behind says that what is lost had been stable, the next recovery must refuse. So
//! the file is shortened from its end, step by step, each stable before the next, and no step
//! takes a commit together with something that vouches for it.

use super::{RecoveryError, expect, judge::Scanned};
use crate::{
    aof::{
        Lsn,
        reader::{Item, SegmentReader},
    },
    io::Storage,
};

/// Something that is cut off.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Standing {
    offset: u64,
    /// LSN it begins with.
    first: Lsn,
    /// The last LSN it says was stable.
    vouches_for: Lsn,
}

/// Shortens a file to `keep` bytes, which end before a commit.
///
/// # Errors
/// The storage's. The file is shorter than it was, or as it was.
pub async fn cut<S: Storage>(
    storage: &S,
    scanned: &Scanned,
    keep: u64,
) -> Result<(), RecoveryError> {
    let file = storage.open(&scanned.file.entry.name).await?;
    let run = Some(scanned.run()).filter(|&run| run != 0);
    let expect = expect(scanned.file.role, run);
    let mut reader = SegmentReader::new(expect, scanned.file.bytes).starting_at(keep);
    let mut standing = Vec::new();
    loop {
        match reader.next_item() {
            Item::More => {
                reader.feed_from(storage, &file).await?;
            }
            Item::Commit { offset, header, .. } => standing.push(Standing {
                offset,
                first: header.first_lsn,
                vouches_for: header.synced,
            }),
            Item::EndOfLog { offset, end } => standing.push(Standing {
                offset,
                first: end.last_lsn + 1,
                vouches_for: end.last_lsn,
            }),
            Item::Command { .. } => {}
            Item::Bad { .. } => reader.resync(),
            Item::End => break,
        }
    }
    for offset in steps(&standing, keep) {
        storage.truncate(&file, offset).await?;
        // ORDER: before the next step; see the module.
        storage.sync(&file).await?;
    }
    Ok(())
}

/// The lengths a file takes on its way to `keep`.
fn steps(standing: &[Standing], keep: u64) -> Vec<u64> {
    let mut steps = Vec::new();
    // What the step under way takes: where it begins, and the last LSN anything in it vouches for.
    let mut step: Option<(u64, Lsn)> = None;
    for next in standing.iter().rev() {
        step = Some(match step {
            Some((_, vouched)) if vouched < next.first => {
                (next.offset, vouched.max(next.vouches_for))
            }
            Some((offset, _)) => {
                steps.push(offset);
                (next.offset, next.vouches_for)
            }
            None => (next.offset, next.vouches_for),
        });
    }
    steps.push(keep);
    steps
}

#[cfg(test)]
mod tests {
    use super::*;

    fn standing(all: &[(u64, Lsn, Lsn)]) -> Vec<Standing> {
        let one = |&(offset, first, vouches_for): &_| Standing { offset, first, vouches_for };
        all.iter().map(one).collect()
    }

    #[test]
    fn no_step_takes_a_commit_with_something_that_vouches_for_it() {
        assert_eq!(steps(&[], 7), [7]);
        let unsynced = standing(&[(10, 5, 4), (20, 6, 4), (30, 7, 4)]);
        assert_eq!(steps(&unsynced, 10), [10], "one sync for what was never synced");
        let synced = standing(&[(10, 5, 4), (20, 6, 5), (30, 7, 5), (40, 8, 7)]);
        assert_eq!(steps(&synced, 10), [40, 20, 10]);
        let ended = standing(&[(10, 5, 4), (20, 6, 4), (30, 7, 6)]);
        assert_eq!(steps(&ended, 10), [30, 10], "the end-of-log line goes first");
    }
}
