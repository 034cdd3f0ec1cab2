//! A directory as it was at a second (`--truncate-to-timestamp`): which commits are behind it.
//!
//! Every shard's log ends before its first commit that says a later second; files behind that go, and
//! so does a global command (FLUSHDB, SWAPDB) that is later, with everything listed behind it. What is
//! left is judged as after a crash that lost the rest, so transactions stay whole over all shards.
//! Nothing is changed here: the repair that comes of it copies aside what it cuts.
//!
//! Refused: a directory without timestamps, one whose base or delta was written later, one that a stock
//! server has written to. A delta does not say when it was written, but a commit that stands behind it and
//! is early enough shows that it is, too: the first one behind a cut always says its second.

use super::{Checked, Refused, Removal, findings};
use crate::{
    aof::stamp_of,
    io::Storage,
    manifest::Names,
    rdb::{Event, Reader},
    recovery::{
        Progress, RecoveryError, Refusal, expect,
        judge::{self, Scanned},
        pieces::Pieces,
        plan::Role,
        scan::{self, Piece},
    },
};
use std::collections::HashMap;

/// What the stamps of one file say.
#[derive(Default)]
struct Stamps {
    /// Where the first commit begins that says a later second.
    later: Option<u64>,
    /// It says any.
    says: bool,
    /// It says one that is not later.
    early: bool,
}

impl Checked {
    /// The same directory without what is later than this second (Unix time).
    ///
    /// # Errors
    /// Why there is no telling, or no way back.
    pub async fn until<S: Storage>(
        mut self,
        storage: &S,
        names: &Names,
        second: u32,
    ) -> Result<Self, Refused> {
        if let Some(error) = self.first_refusal() {
            return Err(Refused::NotInTime(format!("the directory is damaged: {error}")));
        }
        let mut says = false;
        // By shard and run: its log has ended.
        let mut ended: HashMap<(u16, u64), ()> = HashMap::new();
        let mut global_ended = false;
        // The delta, as long as nothing behind its cut is known to be early enough.
        let mut delta = None;
        let mut kept = Vec::with_capacity(self.scanned.len());
        for mut scanned in std::mem::take(&mut self.scanned) {
            let name = scanned.file.entry.name.clone();
            let goes = match scanned.file.role {
                Role::Base => {
                    base_is_early(storage, &name, second).await?;
                    false
                }
                Role::Delta { .. } => {
                    delta = Some(name.clone());
                    false
                }
                Role::Foreign => return Err(stock(&name)),
                _ if scanned.scan.pieces.iter().any(|p| matches!(p, Piece::Commands(_))) => {
                    return Err(stock(&name));
                }
                Role::Global { .. } => {
                    let stamps = stamps(storage, names, &name, second).await?;
                    says |= stamps.says;
                    global_ended |= stamps.later.is_some() || !ended.is_empty();
                    global_ended
                }
                Role::Segment { shard, .. } => {
                    let log = (shard, scanned.run());
                    let stamps = stamps(storage, names, &name, second).await?;
                    says |= stamps.says;
                    if stamps.early {
                        delta = None;
                    }
                    let goes = global_ended || ended.contains_key(&log);
                    if let (false, Some(offset)) = (goes, stamps.later) {
                        ended.insert(log, ());
                        cut(storage, &mut scanned, offset).await?;
                    }
                    goes
                }
            };
            if goes {
                self.removed.push(Removal {
                    file: name.clone(),
                    keep: 0,
                    cut: scanned.file.bytes,
                    worth: scanned.file.bytes,
                    seal: None,
                });
                self.plan.manifest.files.retain(|entry| entry.name != name);
                self.plan.files.retain(|file| file.entry.name != name);
            } else {
                kept.push(scanned);
            }
        }
        if !says {
            let text = "no commit says when it was made: aof-timestamp-enabled was no";
            return Err(Refused::NotInTime(text.to_owned()));
        }
        if let Some(name) = delta {
            return Err(Refused::NotInTime(format!(
                "the delta {name} may be later, and what it holds cannot be undone: no commit behind it is \
                 from before. Start from an older backup"
            )));
        }
        self.scanned = kept;
        self.judged = judge::judge(&self.plan, &self.scanned);
        // A log may say that a transaction had been stable of which another log's part is later by a
        // moment: it goes everywhere.
        let lost = |refusal: &Refusal| matches!(refusal, Refusal::LostTransaction { .. });
        if let Some((_, error)) = self.judged.refusals.iter().find(|(_, e)| !lost(&e.kind)) {
            return Err(Refused::NotInTime(error.to_string()));
        }
        let listing: Vec<(String, u64)> =
            self.plan.files.iter().map(|file| (file.entry.name.clone(), file.bytes)).collect();
        let found =
            findings::Found { names, listing: &listing, plan: &self.plan, scanned: &self.scanned };
        self.report = findings::report(&found, &self.judged, &[]);
        Ok(self)
    }
}

fn stock(name: &str) -> Refused {
    Refused::NotInTime(format!(
        "a Redis server has written to {name}: start Quire on the directory, run BGREWRITEAOF, and use \
         timestamps from then on"
    ))
}

/// A file's commits are those before `offset`.
async fn cut<S: Storage>(storage: &S, scanned: &mut Scanned, offset: u64) -> Result<(), Refused> {
    let expect = expect(scanned.file.role, scanned.file.entry.run);
    let gap = scan::STOCK_ANNOTATION_BYTES_MAX;
    let progress = Progress::new();
    let name = &scanned.file.entry.name;
    let run = scanned.scan.run;
    let cut = scan::scan(storage, name, 0..offset, expect, gap, &progress).await;
    scanned.scan = cut.map_err(|error| Refused::NotInTime(error.to_string()))?;
    scanned.scan.run = scanned.scan.run.or(run);
    Ok(())
}

async fn stamps<S: Storage>(
    storage: &S,
    names: &Names,
    name: &str,
    second: u32,
) -> Result<Stamps, Refused> {
    let mut found = Stamps::default();
    let seen = super::dump(storage, names, name, |seen| {
        if let super::Seen::Commit { offset, body, .. } = seen
            && let Some(said) = stamp_of(body)
        {
            found.says = true;
            found.early |= said <= second;
            if said > second {
                found.later = Some(offset);
                return false;
            }
        }
        true
    });
    seen.await.map_err(|error| Refused::NotInTime(error.to_string()))?;
    Ok(found)
}

/// What a base holds cannot be undone: it must be older.
async fn base_is_early<S: Storage>(storage: &S, name: &str, second: u32) -> Result<(), Refused> {
    let mut made: Option<u64> = None;
    let unreadable = |error: RecoveryError| Refused::NotInTime(error.to_string());
    if let Some(mut pieces) = Pieces::open(storage, name).await.map_err(unreadable)? {
        let mut reader = Reader::head();
        reader.feed(&pieces.next(|_| ()).await.map_err(unreadable)?);
        while let Ok(event) = reader.next() {
            match event {
                Event::Aux(field, value) if field.to_vec() == b"ctime" => {
                    made = std::str::from_utf8(&value.to_vec()).ok().and_then(|n| n.parse().ok());
                    break;
                }
                Event::Aux(..) => {}
                _ => break,
            }
        }
    }
    match made {
        Some(made) if made <= u64::from(second) => Ok(()),
        Some(made) => Err(Refused::NotInTime(format!(
            "the base {name} was written at {made}, which is later: what it holds cannot be undone. \
             Start from an older backup"
        ))),
        None => Err(Refused::NotInTime(format!(
            "the base {name} does not say when it was written (aof-use-rdb-preamble no)"
        ))),
    }
}
