//! When small collections become big: Redis' directives.

/// Thresholds of one shard, changeable at run time; each directive's meaning is Redis'.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// `hash-max-listpack-entries`: most fields of a small hash.
    pub hash_entries: usize,
    /// `hash-max-listpack-value`: longest field or value of a small hash, bytes.
    pub hash_value: usize,
    /// `set-max-intset-entries`: most members of a set of integers kept as such.
    pub set_ints: usize,
    /// `zset-max-listpack-entries`: most members of a small sorted set.
    pub zset_entries: usize,
    /// `zset-max-listpack-value`: longest member of a small sorted set, bytes.
    pub zset_value: usize,
    /// `list-max-listpack-size`: elements per node, or -1 .. -5 for 4 .. 64 KiB per node.
    pub list_node: i64,
    /// `stream-node-max-bytes`: bytes per node of a stream, 0: no limit.
    pub stream_node_bytes: usize,
    /// `stream-node-max-entries`: entries per node of a stream, 0: no limit.
    pub stream_node_entries: usize,
    /// `hll-sparse-max-bytes`: longest sparse HyperLogLog, bytes.
    pub hll_sparse_bytes: usize,
}

impl Limits {
    /// The same for collections whose elements may be of any length.
    pub fn of_any_length(self) -> Self {
        Self { hash_value: usize::MAX, zset_value: usize::MAX, ..self }
    }

    /// Limits by which a collection gets the encoding that it has elsewhere, as OBJECT ENCODING says
    /// it.
    pub fn kept(self, encoding: &[u8]) -> Self {
        let entries = match encoding {
            b"listpack" | b"intset" => usize::MAX,
            b"hashtable" | b"skiplist" => 0,
            _ => return self,
        };
        Self {
            hash_entries: entries,
            hash_value: entries,
            set_ints: entries,
            zset_entries: entries,
            zset_value: entries,
            ..self
        }
    }
}

impl Default for Limits {
    /// Redis 7.0's defaults.
    fn default() -> Self {
        Self {
            hash_entries: 512,
            hash_value: 64,
            set_ints: 512,
            zset_entries: 128,
            zset_value: 64,
            list_node: -2,
            stream_node_bytes: 4096,
            stream_node_entries: 100,
            hll_sparse_bytes: 3000,
        }
    }
}
