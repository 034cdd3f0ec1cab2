//! The control plane between threads: rare messages, any thread to any core.
//!
//! A mailbox is a locked queue and an eventfd that the core's ring reads. Nothing per command
//! ever comes this way.

use super::librarian::{Retirement, Segments};
use quire_engine::{
    aof::OpenSegment,
    error::StorageError,
    keyspace::{Changes, Keyspace},
    manifest::Position,
    snapshot::{WalkStats, Written},
};
use std::{
    io,
    os::fd::{AsRawFd, FromRawFd, OwnedFd, RawFd},
    sync::Mutex,
};

/// A change of the whole data set.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum GlobalOp {
    /// Every key of every database.
    FlushAll {
        /// Memory is freed later, piece by piece.
        lazily: bool,
    },
    /// Every key of one database.
    FlushDb {
        /// The database.
        db: u16,
        /// As above.
        lazily: bool,
    },
    /// Exchange two databases.
    SwapDb(u16, u16),
    /// Save the RDB file, load it (DEBUG RELOAD).
    Reload(Reload),
    /// Load the log (DEBUG LOADAOF).
    LoadLog,
    /// Nothing is logged any more (CONFIG SET appendonly no).
    EndLog,
}

/// How the RDB file is loaded into a running server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Reload {
    /// It is written first.
    pub save: bool,
    /// Its keys take the place of all others; otherwise they come to them.
    pub flush: bool,
    /// Of a key that is there and in the file, that of the file counts; otherwise it is an error.
    pub merge: bool,
}

/// What a snapshot is written for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Purpose {
    /// An RDB file (`dbfilename`).
    Dump,
    /// The base of the log.
    Base,
    /// What has changed since the base of the log.
    Delta,
    /// A directory of its own.
    Backup,
}

impl Purpose {
    /// The log goes on behind it.
    pub fn is_of_log(self) -> bool {
        matches!(self, Purpose::Base | Purpose::Delta)
    }
}

/// Every core is to cut.
#[derive(Debug, Clone, Copy)]
pub struct CutOrder {
    /// The snapshot's number in this process.
    pub id: u64,
    /// What it is for.
    pub purpose: Purpose,
    /// Nothing executes until the snapshot is written: the server leaves with it.
    pub stays_closed: bool,
}

/// A core has cut.
#[derive(Debug, Clone, Copy)]
pub struct CutReport {
    /// Its shard.
    pub shard: u16,
    /// Last LSN before the cut.
    pub lsn: u64,
    /// Where its log went on, for a base or a delta.
    pub position: Option<Position>,
    /// Keys at the cut.
    pub keys: u64,
    /// What a delta is made of, if it knows.
    pub changes: Option<Changes>,
}

/// What somebody wants of snapshots.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wish {
    /// SAVE: an RDB file, and the reply when it is there.
    Save,
    /// BGSAVE.
    BgSave {
        /// Later, if a base is being written.
        schedule: bool,
    },
    /// BGREWRITEAOF.
    BgRewriteAof,
    /// DEBUG RELOAD, DEBUG LOADAOF: a [`GlobalOp`] that no snapshot may run beside.
    Load(GlobalOp),
    /// BACKUP START; where to is in the shared state.
    Backup,
    /// BACKUP ABORT.
    AbortBackup,
    /// CONFIG SET appendonly: log every change from now on, or nothing.
    Log(bool),
    /// SHUTDOWN, or a signal.
    Leave {
        /// Save, do not save; None: as the save points say.
        save: Option<bool>,
        /// Leave although saving, or the log, has failed.
        force: bool,
    },
}

/// Who waits for a global operation: a reply slot of a connection.
#[derive(Debug, Clone, Copy)]
pub struct Origin {
    /// The connection's core.
    pub core: usize,
    /// Connection index there.
    pub conn: u32,
    /// Its client id, in case the index is used anew.
    pub client: u64,
    /// The reply slot.
    pub seq: u32,
}

/// What a shard starts to serve with.
pub struct Opening {
    /// Its keys.
    pub keyspace: Keyspace,
    /// Run id; the log is bound to it.
    pub run: u64,
    /// Seed of the shard's random bits.
    pub seed: u64,
    /// Its first two segments; none without persistence.
    pub segments: Option<Box<Segments>>,
}

/// What came of loading files into a running server.
pub struct Reread {
    /// The keys to go on with, one keyspace per shard; none: those there are.
    pub keyspaces: Vec<Keyspace>,
    /// The base that was drafted of them.
    pub base: Option<Written>,
    /// Why it failed, for the log.
    pub error: Option<String>,
}

/// A message to a core.
pub enum Control {
    /// An accepted connection to serve.
    Connection {
        /// The socket.
        fd: OwnedFd,
        /// True for unix sockets.
        unix: bool,
    },
    /// Recovery is done: open for commands.
    Open(Box<Opening>),
    /// The librarian has a next segment ready.
    SegmentReady(OpenSegment),
    /// The librarian could not prepare one.
    SegmentFailed(StorageError),
    /// The segment of that number is sealed or gone, or could not be.
    Retired(u64, Retirement),
    /// Somebody waits for this shard's log to be synced now.
    SyncNow,
    /// To every core but one: lend the shard to that one.
    Lend(u16),
    /// To that one: all other shards are there.
    AllLent,
    /// This core's session begins.
    LendTurn,
    /// To core 0: the next global operation begins.
    GlobalTurn,
    /// To core 0: run a global operation.
    Global(GlobalOp, Origin),
    /// To every core: stop executing, commit and sync, say so.
    Freeze,
    /// To core 0: shard `0` is frozen; an error means its log failed.
    Frozen(Result<Option<Position>, StorageError>),
    /// To core 0: the librarian has (or has not) published the global operation.
    Published(Result<(), StorageError>),
    /// To every core: apply the operation (if it succeeded) and go on.
    Thaw(Option<GlobalOp>),
    /// To every core: delete key by key (few keys, or no log), say so.
    FlushSmall(GlobalOp),
    /// To core 0: a shard has applied the small flush; its reply gate.
    Flushed {
        /// The shard.
        shard: u16,
        /// LSN the reply waits for.
        lsn: u64,
        /// Why nothing was deleted there.
        error: Option<String>,
    },
    /// To the origin: what to reply and what to wait for.
    GlobalDone {
        /// Who asked.
        origin: Origin,
        /// An error text, or success.
        result: Result<(), String>,
        /// Gates: shard and LSN.
        gates: Vec<(u16, u64)>,
    },
    /// To core 0: somebody wants something of snapshots; nobody waits when it was a signal.
    Wish(Wish, Option<Origin>),
    /// To core 0: its turn to have every core cut has come.
    CutTurn,
    /// To every core: cut and walk.
    Cut(CutOrder),
    /// To every core: all have cut the snapshot of this number, go on.
    GateOpen(u64),
    /// To core 0: a core has cut the snapshot of this number (and its log has gone on).
    CutDone(u64, CutReport),
    /// To core 0: a core has sent all chunks of the snapshot of this number; or it has given up,
    /// because all keys were deleted or (with a reason) because something cannot be written.
    Walked(u64, Result<WalkStats, Option<String>>),
    /// To core 0: the scribe has written the snapshot of this number.
    Scribed(u64, Result<Written, StorageError>),
    /// To core 0: the librarian has put a base or a delta in force.
    Checkpointed(Result<(), StorageError>),
    /// To every core: the base of the last cut is in force.
    BaseInForce,
    /// To every core: nobody wants the snapshot of this number any more.
    GiveUpWalk(u64),
    /// To core 0: a backup is whole, or is not; an empty text: nobody wants it.
    BackedUp(Result<(), String>),
    /// To core 0: the directory of a log that begins is open, or could not be.
    LogBegun(Result<Vec<Segments>, String>),
    /// To every core: with these segments your log begins at the next cut.
    LogSegments(Box<Segments>),
    /// To core 0: a log that nobody relies on yet has failed.
    LogLost(String),
    /// To every core: there is no log any more; true: and there never was one.
    EndLog(bool),
    /// To core 0: that core has none.
    LogEnded,
    /// To core 0: the log's directory is nobody's any more.
    LogLeft,
    /// To every core, which stands still: hand over all keys.
    HandOver,
    /// To core 0: the keys of that shard.
    HandedOver(u16, Box<Keyspace>),
    /// To core 0: what was read.
    Reread(Reread),
    /// To every core, which stands still: go on with these keys.
    Exchange(Box<Keyspace>),
    /// To the origin: the whole reply.
    Answer(Origin, Vec<u8>),
    /// Lines for the monitors of this core.
    Monitored(Vec<u8>),
    /// Something in the shared state has changed: look.
    Look,
    /// To core 0: there are other listeners.
    Listen,
    /// Stop: drain, commit, sync, seal, leave.
    Shutdown,
}

/// A core's mailbox.
pub struct Mailbox {
    queue: Mutex<Vec<Control>>,
    event: OwnedFd,
}

impl Mailbox {
    /// An empty mailbox.
    pub fn new() -> io::Result<Self> {
        // SAFETY: eventfd takes no pointers.
        let fd = unsafe { libc::eventfd(0, libc::EFD_CLOEXEC) };
        if fd < 0 {
            return Err(io::Error::last_os_error());
        }
        // SAFETY: a fresh descriptor nobody else owns.
        let event = unsafe { OwnedFd::from_raw_fd(fd) };
        Ok(Self { queue: Mutex::new(Vec::new()), event })
    }

    /// The eventfd, for the ring's read.
    pub fn fd(&self) -> RawFd {
        self.event.as_raw_fd()
    }

    /// Puts a message in and wakes the core.
    pub fn post(&self, message: Control) {
        self.queue.lock().unwrap_or_else(|e| e.into_inner()).push(message);
        let one = 1u64;
        // SAFETY: writes eight bytes from a valid u64. It can fail only when the counter is full,
        // and then the core has a wake-up pending anyway.
        let _ = unsafe { libc::write(self.fd(), (&raw const one).cast(), 8) };
    }

    /// The connections that lie in it; everything else stays.
    pub fn take_connections(&self) -> Vec<Control> {
        let mut queue = self.queue.lock().unwrap_or_else(|e| e.into_inner());
        queue.extract_if(.., |message| matches!(message, Control::Connection { .. })).collect()
    }

    /// Everything that lies in it.
    pub fn take(&self) -> Vec<Control> {
        std::mem::take(&mut *self.queue.lock().unwrap_or_else(|e| e.into_inner()))
    }
}
