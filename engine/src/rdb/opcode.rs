//! The numbers of the format: frozen, they stand in files.

/// `SLOT_IMPORT` of Valkey 9, `KEY_META` of Redis 8.6.
pub const DISPUTED: u8 = 243;
/// Slot, its keys, its keys with a deadline.
pub const SLOT_INFO: u8 = 244;
/// A function library.
pub const FUNCTION2: u8 = 245;
/// A function library of a 7.0 release candidate.
pub const FUNCTION_PRE_GA: u8 = 246;
/// Data of a module that belongs to no key.
pub const MODULE_AUX: u8 = 247;
/// Seconds since the next key was used.
pub const IDLE: u8 = 248;
/// How often the next key is used.
pub const FREQ: u8 = 249;
/// A named field about the file.
pub const AUX: u8 = 250;
/// Keys, and keys with a deadline, of this database.
pub const RESIZE_DB: u8 = 251;
/// Deadline of the next key, ms.
pub const EXPIRE_MS: u8 = 252;
/// Deadline of the next key, seconds.
pub const EXPIRE_S: u8 = 253;
/// Database of the following keys.
pub const SELECT_DB: u8 = 254;
/// The end; the checksum follows.
pub const END: u8 = 255;

/// Types of values.
pub mod value {
    /// One string.
    pub const STRING: u8 = 0;
    /// Count, strings.
    pub const LIST: u8 = 1;
    /// Count, strings.
    pub const SET: u8 = 2;
    /// Count, member and score as text.
    pub const ZSET: u8 = 3;
    /// Count, field and value.
    pub const HASH: u8 = 4;
    /// Count, member and score as a double.
    pub const ZSET_2: u8 = 5;
    /// A module of a 4.0 release candidate.
    pub const MODULE_PRE_GA: u8 = 6;
    /// A module's value.
    pub const MODULE_2: u8 = 7;
    /// A zipmap.
    pub const HASH_ZIPMAP: u8 = 9;
    /// A ziplist.
    pub const LIST_ZIPLIST: u8 = 10;
    /// An intset.
    pub const SET_INTSET: u8 = 11;
    /// A ziplist.
    pub const ZSET_ZIPLIST: u8 = 12;
    /// A ziplist.
    pub const HASH_ZIPLIST: u8 = 13;
    /// Count, ziplists.
    pub const LIST_QUICKLIST: u8 = 14;
    /// Redis 5 on.
    pub const STREAM: u8 = 15;
    /// A listpack.
    pub const HASH_LISTPACK: u8 = 16;
    /// A listpack.
    pub const ZSET_LISTPACK: u8 = 17;
    /// Count, plain strings or listpacks.
    pub const LIST_QUICKLIST_2: u8 = 18;
    /// Redis 7.0: with counters.
    pub const STREAM_2: u8 = 19;
    /// A listpack.
    pub const SET_LISTPACK: u8 = 20;
    /// Redis 7.2: with the consumers' active time.
    pub const STREAM_3: u8 = 21;
    /// Valkey 9: count, field, value, deadline. In files of Redis a 7.4 release candidate's.
    pub const HASH_2: u8 = 22;
    /// A 7.4 release candidate's.
    pub const HASH_LISTPACK_PRE_GA: u8 = 23;
    /// Redis 7.4: hash with deadlines of fields.
    pub const HASH_METADATA: u8 = 24;
    /// Redis 7.4: hash with deadlines of fields, a listpack.
    pub const HASH_LISTPACK_EX: u8 = 25;
    /// Redis 8.6: with the memory of its idempotent producers.
    pub const STREAM_4: u8 = 26;
}

/// Kinds of encoded strings, the lower six bits of a length that begins with two ones.
pub mod string {
    /// One signed byte.
    pub const INT8: u8 = 0xc0;
    /// Two.
    pub const INT16: u8 = 0xc1;
    /// Four.
    pub const INT32: u8 = 0xc2;
    /// Packed length, length, LZF.
    pub const LZF: u8 = 0xc3;
}

/// Lengths that do not fit into 14 bits.
pub mod length {
    /// Four bytes follow, big endian.
    pub const U32: u8 = 0x80;
    /// Eight bytes follow, big endian.
    pub const U64: u8 = 0x81;
}

/// What a quicklist's node is.
pub mod node {
    /// One string.
    pub const PLAIN: u64 = 1;
    /// A listpack.
    pub const PACKED: u64 = 2;
}
