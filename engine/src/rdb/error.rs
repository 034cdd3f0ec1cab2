//! Why an RDB file cannot be read: the place, the key, what was expected.

use super::packed;
use std::fmt;

/// Bytes of a key that a message shows.
const KEY_SHOWN_MAX: usize = 64;

/// An RDB file, or a DUMP payload, that cannot be read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RdbError {
    /// Where, bytes from the beginning of the file.
    pub offset: u64,
    /// The key whose value it is about.
    pub key: Option<Place>,
    /// What is wrong.
    pub kind: Problem,
}

/// A key and the type of its value.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Place {
    /// Database.
    pub db: u64,
    /// The key, or its beginning.
    pub key: Vec<u8>,
    /// Type number of its value.
    pub value_type: u8,
}

/// What can be wrong.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Problem {
    /// The bytes end too early.
    CutOff {
        /// What was expected.
        expected: &'static str,
    },
    /// Other bytes were expected.
    Expected(&'static str),
    /// Other bytes were expected inside a packed collection.
    Packed(packed::Fault),
    /// Something this version does not read.
    Unsupported(String),
    /// The checksum does not match.
    Checksum {
        /// The one in the file.
        stored: u64,
        /// The one of its bytes.
        computed: u64,
    },
}

impl Place {
    /// Names a key, cut to what a message shows.
    pub(super) fn set(&mut self, db: u64, key: &[u8], value_type: u8) {
        self.key.clear();
        self.key.extend_from_slice(&key[..key.len().min(KEY_SHOWN_MAX)]);
        (self.db, self.value_type) = (db, value_type);
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Problem::CutOff { expected } => write!(f, "it ends where {expected} is expected"),
            Problem::Expected(expected) => write!(f, "expected {expected}"),
            Problem::Packed(packed::Fault { at, expected }) => {
                write!(f, "expected {expected} at byte {at} of the packed value")
            }
            Problem::Unsupported(what) => f.write_str(what),
            Problem::Checksum { stored, computed } => write!(
                f,
                "its checksum does not match: {stored:016x} is written there, its bytes have \
                 {computed:016x}"
            ),
        }
    }
}

impl fmt::Display for RdbError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "RDB offset {}: ", self.offset)?;
        if let Some(Place { db, key, value_type }) = &self.key {
            let key = key.escape_ascii();
            write!(f, "key '{key}' of database {db}, value of type {value_type}: ")?;
        }
        self.kind.fmt(f)
    }
}

impl std::error::Error for RdbError {}
