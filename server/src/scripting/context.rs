//! The script that is running on this thread, as the functions it calls find it.
//!
//! Lua hands its functions nothing but its own state, so the run lies in the thread's own storage
//! while it lasts. Invariant: whoever uses it takes it out meanwhile, so there is never a second
//! reference; a function that is called out of turn finds nothing and says so.

use super::{
    functions::Loading,
    reach::Lesson,
    registry::{Sha, to_hex},
};
use crate::{net::connection::Connection, runtime::core::Core};
use quire_engine::command::{Args, OwnedArgs};
use std::{cell::Cell, collections::BTreeSet, fmt, ptr, time::Instant};

/// Which shards are at hand.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum Held {
    /// All of them.
    #[default]
    All,
    /// That one.
    One(u16),
    /// Those.
    Some(BTreeSet<u16>),
}

impl Held {
    /// From the shards that take part in a transaction, out of so many.
    pub fn of(shards: &BTreeSet<u16>, all: usize) -> Self {
        match shards.first() {
            _ if shards.len() == all => Self::All,
            Some(&only) if shards.len() == 1 => Self::One(only),
            _ => Self::Some(shards.clone()),
        }
    }

    /// True when that shard is.
    pub fn has(&self, shard: u16) -> bool {
        match self {
            Self::All => true,
            Self::One(only) => *only == shard,
            Self::Some(shards) => shards.contains(&shard),
        }
    }
}

/// What a script is called.
#[derive(Debug, Clone, Copy)]
pub enum Name<'a> {
    /// Its SHA1.
    Script(Sha),
    /// The function.
    Function(&'a [u8]),
}

impl fmt::Display for Name<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Script(sha) => f.write_str(&to_hex(sha)),
            Self::Function(name) => f.write_str(&String::from_utf8_lossy(name)),
        }
    }
}

/// Why a script is stopped.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stop {
    /// Somebody wanted it to.
    Killed,
    /// It needs, or may need, a shard that is not at hand, and has written nothing: it is run again.
    NeedsAll,
}

/// A script that is running.
pub struct Run<'a> {
    /// The core it runs on.
    pub core: &'a mut Core,
    /// The client its commands are executed for: its own, with nobody behind it.
    pub client: &'a mut Connection,
    /// Shards at hand.
    pub held: Held,
    /// The command being made.
    pub args: OwnedArgs,
    /// EVAL, and not a function.
    pub is_eval: bool,
    /// SHA1 of the script, or name of the function.
    pub name: Name<'a>,
    /// The command that runs it.
    pub command: Args<'a>,
    /// It may not write.
    pub read_only: bool,
    /// Its commands may take memory although that is full.
    pub allows_oom: bool,
    /// Memory was full when it began.
    pub was_full: bool,
    /// It has called a command that writes.
    pub has_written: bool,
    /// When it began.
    pub began: Instant,
    /// It has run longer than it should, and others know.
    pub is_busy: bool,
    /// It is being stopped.
    pub stop: Option<Stop>,
    /// What is learned of it.
    pub lesson: Lesson,
}

thread_local! {
    static RUN: Cell<*mut Run<'static>> = const { Cell::new(ptr::null_mut()) };
    static LOADING: Cell<*mut Loading> = const { Cell::new(ptr::null_mut()) };
    static IS_STOPPED: Cell<bool> = const { Cell::new(false) };
    static RANDOM: Cell<u64> = const { Cell::new(0x1234_ABCD_330E) };
}

/// Has `work` find `run`.
pub fn enter<R>(run: &mut Run<'_>, work: impl FnOnce() -> R) -> R {
    IS_STOPPED.set(false);
    RUN.set(ptr::from_mut(run).cast());
    let result = work();
    RUN.set(ptr::null_mut());
    IS_STOPPED.set(false);
    result
}

/// The running script; None outside of one, and while it is being used already.
pub fn with_run<R>(work: impl FnOnce(&mut Run<'_>) -> R) -> Option<R> {
    let run = RUN.replace(ptr::null_mut());
    if run.is_null() {
        return None;
    }
    // SAFETY: `enter` has put it there and borrows it until it takes it away again; nobody else
    // finds it meanwhile.
    let result = work(unsafe { &mut *run });
    RUN.set(run);
    Some(result)
}

/// True while there is one, in use or not.
pub fn is_running() -> bool {
    !RUN.get().is_null()
}

/// The running script is to end, whatever it catches.
pub fn stop() {
    IS_STOPPED.set(true);
}

/// True when an error must not be caught.
pub fn is_stopped() -> bool {
    IS_STOPPED.get()
}

/// Has `work` find the library that is being loaded.
pub fn enter_loading<R>(loading: &mut Loading, work: impl FnOnce() -> R) -> R {
    IS_STOPPED.set(false);
    LOADING.set(ptr::from_mut(loading));
    let result = work();
    LOADING.set(ptr::null_mut());
    IS_STOPPED.set(false);
    result
}

/// The library that is being loaded; None when none is.
pub fn with_loading<R>(work: impl FnOnce(&mut Loading) -> R) -> Option<R> {
    let loading = LOADING.replace(ptr::null_mut());
    if loading.is_null() {
        return None;
    }
    // SAFETY: as in `with_run`.
    let result = work(unsafe { &mut *loading });
    LOADING.set(loading);
    Some(result)
}

/// The next random number of scripts, 31 bits: the same sequence for the same seed everywhere
/// (`drand48`), as in Redis.
pub fn next_random() -> u32 {
    let next = RANDOM.get().wrapping_mul(0x5_DEEC_E66D).wrapping_add(0xB) & ((1 << 48) - 1);
    RANDOM.set(next);
    (next >> 17) as u32
}

/// Begins the sequence of that seed.
pub fn seed_random(seed: i32) {
    RANDOM.set(u64::from(seed as u32) << 16 | 0x330E);
}
