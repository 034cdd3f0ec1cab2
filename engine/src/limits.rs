//! Every limit of the engine, with its unit in the name and the relations between them asserted.

/// Most shards one server can have; a slot group is the smallest unit a shard can own.
pub const SHARDS_MAX: usize = 256;
/// Slots of the keyspace, exactly Redis Cluster's.
pub const SLOTS: usize = 16384;
/// Consecutive slots that form one slot group.
pub const SLOTS_PER_GROUP: usize = 64;
/// Slot groups of the keyspace.
pub const GROUPS: usize = SLOTS / SLOTS_PER_GROUP;
/// The shard number in the headers of a delta: no shard's.
pub const DELTA_SHARD: u16 = u16::MAX - 1;
/// Longest key or string value, bytes (Redis: `proto-max-bulk-len` default).
pub const STRING_BYTES_MAX: usize = 512 * 1024 * 1024;
/// Alignment of direct log writes and of every padded commit, bytes.
pub const LOG_BLOCK_BYTES: usize = 4096;
/// Longest `#` line stock Redis skips as an annotation, newline included, bytes.
pub const ANNOTATION_LINE_BYTES_MAX: usize = 1023;

const _: () = assert!(GROUPS == SHARDS_MAX);
const _: () = assert!(SLOTS.is_multiple_of(SLOTS_PER_GROUP));
