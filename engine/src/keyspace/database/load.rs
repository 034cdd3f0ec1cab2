//! Keys put in while a data set is loaded: each is new, and none was ever used or changed here.

use super::{Database, Key, Meta, NewValue, parsed};
use crate::types::Collection;

/// What a key has besides its value where it is loaded from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Origin {
    /// Unix time, ms, after which the key no longer exists.
    pub deadline: Option<i64>,
    /// The 24 access bits; None: those of a key made now.
    pub access: Option<u32>,
}

impl Database {
    /// Puts in a string; canonical integers are stored as such. False, and nothing is done, when
    /// there is such a key.
    #[inline]
    pub fn load_text(&mut self, key: Key<'_>, text: &[u8], origin: Origin) -> bool {
        self.load(key, parsed(text), origin)
    }

    /// As [`Database::load_text`], with an integer.
    #[inline]
    pub fn load_int(&mut self, key: Key<'_>, n: i64, origin: Origin) -> bool {
        self.load(key, NewValue::Int(n), origin)
    }

    /// As [`Database::load_text`], with a collection; one without elements is no key.
    pub fn load_collection<T: Collection>(
        &mut self,
        key: Key<'_>,
        value: T,
        origin: Origin,
    ) -> bool {
        if value.is_empty() {
            return true;
        }
        match value.pack() {
            Ok((form, bytes)) => self.load(key, NewValue::Bytes(form, &bytes), origin),
            Err(big) => self.load(key, NewValue::Object(Box::new(big.into_object())), origin),
        }
    }

    #[inline]
    fn load(&mut self, key: Key<'_>, value: NewValue<'_>, origin: Origin) -> bool {
        if self.find(key).is_some() {
            return false;
        }
        let access = origin.access.unwrap_or_else(|| self.clock.fresh());
        let meta = Meta { deadline: origin.deadline, access, raw: false, born: false };
        // What it is loaded from has it.
        self.insert_marked(key, value, meta, 0);
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        keyspace::{Deadline, KeyHasher, Value},
        types::Hash,
    };

    #[test]
    fn a_key_that_is_there_is_not_loaded_over() {
        let hasher = KeyHasher::fixed();
        let mut database = Database::new(hasher.clone());
        let (key, other) = (hasher.key(b"k"), hasher.key(b"o"));
        let origin = Origin { deadline: Some(4_000_000_000_000), access: Some(77) };
        assert!(database.load_text(key, b"12", origin));
        assert!(!database.load_text(key, b"13", Origin::default()));
        assert!(!database.load_int(key, 14, Origin::default()));
        let mut hash = Hash::empty(Vec::new());
        hash.set(b"f", b"v", &crate::types::Limits::default(), &hasher);
        assert!(!database.load_collection(key, hash.clone(), Origin::default()));
        assert!(database.load_collection(other, hash, Origin::default()));
        assert!(database.load_collection(hasher.key(b"e"), Hash::empty(Vec::new()), origin));
        let entry = database.get(key).expect("it was loaded");
        assert_eq!((entry.deadline(), entry.access()), (origin.deadline, 77));
        assert_eq!((entry.encoding(), entry.value().to_vec()), ("int", b"12".to_vec()));
        let entry = database.get(other).expect("it was loaded");
        assert!(matches!(entry.content(), Value::Packed(..)));
        assert_eq!((database.len(), database.with_deadline()), (2, 1));
        database.set(other, b"x", Deadline::None);
        database.check();
    }
}
