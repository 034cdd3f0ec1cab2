//! DEBUG DIGEST of this shard's keys: what each type's content adds, exactly as Redis has it.

use super::Shard;
use crate::{
    digest::Digest,
    keyspace::Value,
    number::write_double,
    types::{HashRef, ListRef, SetRef, Stream, View, ZsetRef, packed::Item, stream::Id},
};

/// Redis' type numbers.
const STRING: u32 = 0;
const LIST: u32 = 1;
const SET: u32 = 2;
const ZSET: u32 = 3;
const HASH: u32 = 4;
const STREAM: u32 = 6;

impl Shard {
    /// The XOR of the digests of a database's keys; None when it is empty. Parts of several
    /// shards are joined with [`Digest::xor`], then with [`Digest::of_databases`].
    pub fn digest(&self, db: usize) -> Option<Digest> {
        let database = self.keyspace.db(db);
        let mut part = Digest::ZERO;
        database.for_each(&mut |entry| {
            let start = Digest::ZERO.mix(entry.key());
            let object = object(start, entry.content(), entry.deadline().is_some());
            part = part.xor(object.of_key());
        });
        (!database.is_empty()).then_some(part)
    }

    /// DEBUG DIGEST-VALUE of one key; zero when there is none. Deadlines that have passed do
    /// not matter, as in Redis.
    pub fn digest_value(&self, db: usize, key: &[u8]) -> Digest {
        self.keyspace.db(db).get(self.keyspace.key(key)).map_or(Digest::ZERO, |entry| {
            object(Digest::ZERO, entry.content(), entry.deadline().is_some())
        })
    }
}

/// The digest of a value, on from `start`.
fn object(start: Digest, value: Value<'_>, has_deadline: bool) -> Digest {
    let mut digest = start;
    if let Value::Str(text) = value {
        digest = digest.mix_type(STRING).mix(text.bytes(&mut itoa::Buffer::new()));
    } else if let Some(hash) = HashRef::of(value) {
        digest = digest.mix_type(HASH);
        hash.for_each(&mut |field, value| {
            digest = digest.gather_digest(mix(mix(Digest::ZERO, field), value));
        });
    }
    if let Some(list) = ListRef::of(value) {
        digest = digest.mix_type(LIST);
        list.for_each(&mut |element| digest = mix(digest, element));
    }
    if let Some(set) = SetRef::of(value) {
        digest = digest.mix_type(SET);
        set.for_each(&mut |member| {
            digest = digest.gather(member.bytes(&mut itoa::Buffer::new()));
        });
    }
    if let Some(zset) = ZsetRef::of(value) {
        digest = digest.mix_type(ZSET);
        let mut text = Vec::new();
        zset.for_each(&mut |member, score| {
            text.clear();
            write_double(&mut text, score);
            digest = digest.gather_digest(mix(Digest::ZERO, member).mix(&text));
        });
    }
    if let Some(stream) = <&Stream>::of(value) {
        digest = digest.mix_type(STREAM);
        for entry in stream.upwards(Id::MIN, Id::MAX) {
            digest = digest.mix(format!("{}.{}", entry.id.ms, entry.id.seq).as_bytes());
            digest =
                entry.pairs().fold(digest, |digest, (field, value)| digest.mix(field).mix(value));
        }
    }
    if has_deadline { digest.mark_deadline() } else { digest }
}

fn mix(digest: Digest, item: Item<'_>) -> Digest {
    digest.mix(item.bytes(&mut itoa::Buffer::new()))
}
