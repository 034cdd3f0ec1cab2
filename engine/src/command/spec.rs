//! One command = one row. Arity, routing, admission, COMMAND, docs: all derived from it.

use super::{Args, CommandError, Ctx, OwnedArgs};

/// Runs on the shard that owns the command's keys.
pub type ShardFn = for<'c, 'a> fn(&'c mut Ctx<'_>, Args<'a>) -> Result<(), CommandError>;

/// Redis' command groups, as COMMAND DOCS names them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Group {
    /// `string`
    String,
    /// `generic`
    Generic,
    /// `connection`
    Connection,
    /// `server`
    Server,
    /// `transactions`
    Transactions,
    /// `pubsub`
    Pubsub,
    /// `scripting`
    Scripting,
    /// `list`
    List,
    /// `set`
    Set,
    /// `sorted-set`
    SortedSet,
    /// `hash`
    Hash,
    /// `stream`
    Stream,
    /// `bitmap`
    Bitmap,
    /// `hyperloglog`
    Hyperloglog,
    /// `geo`
    Geo,
}

impl Group {
    /// The name in COMMAND DOCS.
    pub fn name(self) -> &'static str {
        match self {
            Group::String => "string",
            Group::Generic => "generic",
            Group::Connection => "connection",
            Group::Server => "server",
            Group::Transactions => "transactions",
            Group::Pubsub => "pubsub",
            Group::Scripting => "scripting",
            Group::List => "list",
            Group::Set => "set",
            Group::SortedSet => "sorted-set",
            Group::Hash => "hash",
            Group::Stream => "stream",
            Group::Bitmap => "bitmap",
            Group::Hyperloglog => "hyperloglog",
            Group::Geo => "geo",
        }
    }
}

/// Redis' command flags, one bit each.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Flags(pub u32);

impl Flags {
    /// Changes data.
    pub const WRITE: Flags = Flags(1);
    /// Only reads data.
    pub const READONLY: Flags = Flags(1 << 1);
    /// Refused when memory is full.
    pub const DENYOOM: Flags = Flags(1 << 2);
    /// Administration.
    pub const ADMIN: Flags = Flags(1 << 3);
    /// Publish/subscribe.
    pub const PUBSUB: Flags = Flags(1 << 4);
    /// Not from scripts.
    pub const NOSCRIPT: Flags = Flags(1 << 5);
    /// May block the client.
    pub const BLOCKING: Flags = Flags(1 << 6);
    /// Allowed while the data set is being loaded.
    pub const LOADING: Flags = Flags(1 << 7);
    /// Allowed on a stale replica.
    pub const STALE: Flags = Flags(1 << 8);
    /// Not shown to MONITOR.
    pub const SKIP_MONITOR: Flags = Flags(1 << 9);
    /// Not in the slow log.
    pub const SKIP_SLOWLOG: Flags = Flags(1 << 10);
    /// O(1) or O(log n).
    pub const FAST: Flags = Flags(1 << 11);
    /// Allowed before authentication.
    pub const NO_AUTH: Flags = Flags(1 << 12);
    /// May write, although it is no write itself. COMMAND does not show it.
    pub const MAY_REPLICATE: Flags = Flags(1 << 13);
    /// Not inside MULTI.
    pub const NO_MULTI: Flags = Flags(1 << 14);
    /// Key positions are not fixed.
    pub const MOVABLEKEYS: Flags = Flags(1 << 15);
    /// Allowed while a script is busy.
    pub const ALLOW_BUSY: Flags = Flags(1 << 16);
    /// Not with async loading.
    pub const NO_ASYNC_LOADING: Flags = Flags(1 << 17);
    /// Not mandatory keys (touches arbitrary keys).
    pub const TOUCHES_ARBITRARY_KEYS: Flags = Flags(1 << 18);
    /// May be called without any key, although it takes keys.
    pub const NO_MANDATORY_KEYS: Flags = Flags(1 << 19);

    /// Both.
    pub const fn with(self, other: Flags) -> Flags {
        Flags(self.0 | other.0)
    }

    /// These without those of `other`.
    pub const fn without(self, other: Flags) -> Flags {
        Flags(self.0 & !other.0)
    }

    /// True when every flag of `other` is set.
    #[inline]
    pub const fn has(self, other: Flags) -> bool {
        self.0 & other.0 == other.0
    }

    /// Names as COMMAND INFO prints them, in its order.
    pub const NAMES: [(Flags, &'static str); 18] = [
        (Flags::WRITE, "write"),
        (Flags::READONLY, "readonly"),
        (Flags::DENYOOM, "denyoom"),
        (Flags::ADMIN, "admin"),
        (Flags::PUBSUB, "pubsub"),
        (Flags::NOSCRIPT, "noscript"),
        (Flags::BLOCKING, "blocking"),
        (Flags::LOADING, "loading"),
        (Flags::STALE, "stale"),
        (Flags::SKIP_MONITOR, "skip_monitor"),
        (Flags::SKIP_SLOWLOG, "skip_slowlog"),
        (Flags::FAST, "fast"),
        (Flags::NO_AUTH, "no_auth"),
        (Flags::NO_MANDATORY_KEYS, "no_mandatory_keys"),
        (Flags::NO_ASYNC_LOADING, "no_async_loading"),
        (Flags::NO_MULTI, "no_multi"),
        (Flags::MOVABLEKEYS, "movablekeys"),
        (Flags::ALLOW_BUSY, "allow_busy"),
    ];
}

/// Which arguments are keys.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum KeySpec {
    /// The command names no key.
    None,
    /// `first`, then every `step`-th up to `last`; negative `last` counts from the end
    /// (-1 = the last argument).
    Range {
        /// Position of the first key.
        first: u16,
        /// Position of the last key.
        last: i16,
        /// Distance between keys.
        step: u16,
    },
    /// `numkeys` at position `count`, the keys right behind it.
    Counted {
        /// Position of the number of keys.
        count: u16,
    },
    /// A key at position 1, and others as with [`KeySpec::Counted`].
    TargetCounted {
        /// Position of the number of keys.
        count: u16,
    },
    /// A key at position 1, and the one behind the last STORE or STOREDIST.
    Stored {
        /// Position of the first option.
        from: u16,
    },
    /// A key at position 1, and others that only its elements tell (SORT_RO).
    OneAndPatterns,
    /// The first half of what follows the option STREAMS (XREAD, XREADGROUP).
    Streams {
        /// Where the option is looked for, as COMMAND INFO says it.
        from: u16,
    },
}

impl KeySpec {
    /// One key at position 1.
    pub const ONE: KeySpec = KeySpec::Range { first: 1, last: 1, step: 1 };
    /// Every argument from position 1 on.
    pub const ALL: KeySpec = KeySpec::Range { first: 1, last: -1, step: 1 };

    /// Positions of the keys of these arguments.
    pub fn positions(self, args: Args<'_>) -> impl Iterator<Item = usize> {
        let two = matches!(self, KeySpec::TargetCounted { .. } | KeySpec::Stored { .. });
        let target = two.then_some(1);
        let (first, end, step) = match self {
            KeySpec::None => (0, 0, 1),
            KeySpec::OneAndPatterns => (1, 2, 1),
            KeySpec::Range { first, last, step } => {
                let last = if last < 0 { args.len() as i64 + last as i64 } else { last as i64 };
                (first as usize, (last + 1).clamp(0, args.len() as i64) as usize, step as usize)
            }
            KeySpec::Stored { from } => match args.stored_at(usize::from(from)) {
                Some(at) => (at, at + 1, 1),
                None => (0, 0, 1),
            },
            KeySpec::Counted { count } | KeySpec::TargetCounted { count } => {
                let first = count as usize + 1;
                // More than there are: none, and the handler says what is wrong.
                let n = args
                    .try_get(count as usize)
                    .and_then(|b| std::str::from_utf8(b).ok())
                    .and_then(|s| s.parse::<usize>().ok())
                    .filter(|&n| n <= args.len().saturating_sub(first))
                    .unwrap_or(0);
                (first, first + n, 1)
            }
            KeySpec::Streams { .. } => {
                let first = streams_at(args).unwrap_or(args.len());
                (first, first + (args.len() - first) / 2, 1)
            }
        };
        target.into_iter().chain((first..end.max(first)).step_by(step.max(1)))
    }
}

impl KeySpec {
    /// A command line with some of its keys only, those at `positions`: with its number of keys,
    /// and with the ids that belong to them. For keys in a row (`step` 1).
    pub fn narrowed(self, args: Args<'_>, positions: &[usize]) -> OwnedArgs {
        let mut all = self.positions(args);
        let first = all.next().unwrap_or(args.len());
        let count = 1 + all.count();
        let before = match self {
            KeySpec::Counted { .. } => first - 1,
            _ => first,
        };
        let mut narrow = OwnedArgs::new();
        args.iter_from(0).take(before).for_each(|arg| narrow.push(arg));
        if before < first {
            narrow.push(positions.len().to_string().as_bytes());
        }
        positions.iter().for_each(|&at| narrow.push(args.get(at)));
        if let KeySpec::Streams { .. } = self {
            positions.iter().for_each(|&at| narrow.push(args.get(at + count)));
        } else {
            args.iter_from(first + count).for_each(|arg| narrow.push(arg));
        }
        narrow
    }
}

/// Where the keys behind the option STREAMS begin; values of other options are passed over.
pub fn streams_at(args: Args<'_>) -> Option<usize> {
    let mut at = 1;
    while let Some(arg) = args.try_get(at) {
        let is = |name: &str| arg.eq_ignore_ascii_case(name.as_bytes());
        if is("streams") {
            return Some(at + 1).filter(|&first| first < args.len());
        }
        at += if is("group") {
            3
        } else if is("block") || is("count") {
            2
        } else {
            1
        };
    }
    None
}

/// How a command whose keys are on several shards is split and its replies joined.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fanout {
    /// One shard runs it whole. Keys on several shards: one that only reads runs on copies of the
    /// values.
    Whole,
    /// The first key gets what the others make, whatever it held (SINTERSTORE): made of copies of
    /// their values where they are on several shards.
    Store,
    /// As `Store`, and what the first key held before takes part in it (PFMERGE).
    Merge,
    /// As `Store`, but it is the key behind the option STORE that gets it, if there is one
    /// (GEORADIUS).
    StoreOption,
    /// As `StoreOption`, and elements name further keys that are read (SORT).
    Lookups,
    /// Of several keys the first that has something is taken from (ZMPOP): one after the other.
    FirstOf,
    /// Split by key; what is found in streams is put back in the order of the keys (XREAD,
    /// XREADGROUP).
    Streams,
    /// Split by key; integer replies are added (DEL, UNLINK, EXISTS, TOUCH).
    Sum,
    /// Split by key; array replies are put back in the order of the keys (MGET).
    Gather,
    /// Split by key and value pairs; every reply is +OK (MSET).
    AllOk,
    /// Two keys, the second takes something of the first (RENAME, RENAMENX, COPY, SMOVE, LMOVE): in
    /// steps.
    TwoKeys,
    /// Pairs that are set only when no key exists (MSETNX): checked, then split.
    AllOrNothing,
    /// The shard that owns the cursor in the first argument (SCAN).
    Cursor,
    /// Runs on every shard; integer replies are added (DBSIZE).
    EveryShardSum,
    /// Runs on every shard; array replies are joined (KEYS).
    EveryShardJoin,
    /// Runs on every shard; one of the replies that are not null, by chance, weighted by keys
    /// (RANDOMKEY).
    EveryShardDraw,
}

/// One command.
#[derive(Debug)]
pub struct CommandSpec {
    /// Name, lower case; sub-commands as `config|get`.
    pub name: &'static str,
    /// Redis' arity: n = exactly n arguments with the name, -n = at least n.
    pub arity: i16,
    /// Flags.
    pub flags: Flags,
    /// Keys.
    pub keys: KeySpec,
    /// Group.
    pub group: Group,
    /// ACL categories beyond those implied by flags and group, as `@name` strings.
    pub acl: &'static [&'static str],
    /// First Redis version that has it.
    pub since: &'static str,
    /// Complexity, as COMMAND DOCS says it.
    pub complexity: &'static str,
    /// What it does, one sentence.
    pub summary: &'static str,
    /// How it is split over shards.
    pub fanout: Fanout,
    /// Real command lines: they feed docs, replay tests and the fuzz dictionary.
    pub examples: &'static [&'static str],
    /// The handler on the shard.
    pub run: ShardFn,
}

impl CommandSpec {
    /// True when `argc` arguments (the name included) are acceptable.
    #[inline]
    pub fn accepts(&self, argc: usize) -> bool {
        if self.arity >= 0 {
            argc == self.arity as usize
        } else {
            argc >= self.arity.unsigned_abs() as usize
        }
    }
}
