//! The keys of one shard: databases, their tables, deadlines, memory.
//!
//! CONTRACT (signatures are fixed, bodies to come). Per database and slot group: an extendible
//! hash table of small segments, lazily allocated. Growth splits, shrinking merges, one segment
//! at a time. SCAN's cursor = (group, hash prefix of the home bucket).

/// Placeholder.
pub struct Keyspace;
