//! What a data set consists of, counted over its loaded keys.

use crate::{
    elements,
    keyspace::{Entry, Keyspace, Value},
    limits::GROUPS,
    slot::{group_of_slot, slot_of},
    types::ValueType,
};

/// Types in the order in which they are told.
const TYPES: [ValueType; 6] = [
    ValueType::String,
    ValueType::List,
    ValueType::Set,
    ValueType::Zset,
    ValueType::Hash,
    ValueType::Stream,
];
/// Keys that are told by name.
const BIGGEST: usize = 10;

/// Keys of one type.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct OfType {
    /// The type.
    pub kind: ValueType,
    /// Keys.
    pub keys: u64,
    /// Their elements; of strings, their bytes.
    pub elements: u64,
    /// Bytes of memory that keys and values take here.
    pub memory_bytes: u64,
}

/// Keys of one database.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct OfDatabase {
    /// Its number.
    pub db: usize,
    /// Keys.
    pub keys: u64,
    /// Keys with a deadline.
    pub with_deadline: u64,
    /// Keys whose deadline has passed.
    pub expired: u64,
}

/// A key that takes much memory.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Big {
    /// Its database.
    pub db: usize,
    /// The key.
    pub key: Vec<u8>,
    /// Its type.
    pub kind: ValueType,
    /// Its elements; of a string, its bytes.
    pub elements: u64,
    /// Bytes of memory that key and value take here.
    pub memory_bytes: u64,
}

/// What a data set consists of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Statistics {
    /// Types there are keys of.
    pub types: Vec<OfType>,
    /// Databases there are keys in.
    pub databases: Vec<OfDatabase>,
    /// Keys by slot group.
    pub groups: Vec<u64>,
    /// The keys that take most memory, the biggest first.
    pub biggest: Vec<Big>,
}

fn elements_of(value: Value<'_>) -> u64 {
    match value {
        Value::Str(text) => text.len() as u64,
        Value::Packed(..) => elements::count(value),
        Value::Object(object) => object.len() as u64,
    }
}

impl Statistics {
    /// Counts the keys of a data set at `now_ms`, Unix time.
    pub fn of(keyspaces: &[Keyspace], now_ms: i64) -> Self {
        let types =
            TYPES.map(|kind| OfType { kind, keys: 0, elements: 0, memory_bytes: 0 }).to_vec();
        let (groups, databases) = (vec![0; GROUPS], Vec::new());
        let mut found = Self { types, databases, groups, biggest: Vec::new() };
        let databases = keyspaces.iter().map(Keyspace::databases).max().unwrap_or(0);
        for db in 0..databases {
            let mut of = OfDatabase { db, keys: 0, with_deadline: 0, expired: 0 };
            for keyspace in keyspaces {
                keyspace.db(db).for_each(&mut |entry| {
                    of.keys += 1;
                    of.with_deadline += u64::from(entry.deadline().is_some());
                    of.expired += u64::from(entry.is_expired(now_ms));
                    found.count(db, entry);
                });
            }
            if of.keys > 0 {
                found.databases.push(of);
            }
        }
        found.types.retain(|of| of.keys > 0);
        found
    }

    fn count(&mut self, db: usize, entry: Entry<'_>) {
        let (kind, elements) = (entry.kind(), elements_of(entry.content()));
        let memory_bytes = entry.memory_bytes() as u64;
        self.groups[usize::from(group_of_slot(slot_of(entry.key())))] += 1;
        if let Some(of) = self.types.iter_mut().find(|of| of.kind == kind) {
            of.keys += 1;
            of.elements += elements;
            of.memory_bytes += memory_bytes;
        }
        let least = self.biggest.last().map_or(0, |big| big.memory_bytes);
        if self.biggest.len() == BIGGEST && memory_bytes <= least {
            return;
        }
        let at = self.biggest.partition_point(|big| big.memory_bytes >= memory_bytes);
        let key = entry.key().to_vec();
        self.biggest.insert(at, Big { db, key, kind, elements, memory_bytes });
        self.biggest.truncate(BIGGEST);
    }
}
