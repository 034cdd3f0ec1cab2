//! What a key is like inside, for DEBUG OBJECT.

use super::Shard;
use crate::keyspace::{AccessClock, Str, Tracking, Value};

/// Lengths below these take one and two bytes in an RDB file.
const LENGTHS: [usize; 2] = [1 << 6, 1 << 14];

impl Shard {
    /// DEBUG OBJECT's line about a key, if there is one. A deadline that has passed does not
    /// matter, as in Redis.
    pub fn describe(&self, db: usize, key: &[u8], now_ms: i64) -> Option<String> {
        let entry = self.keyspace.db(db).get(self.keyspace.key(key))?;
        let access = entry.access();
        let mut clock = AccessClock::new();
        clock.set(now_ms, Tracking::Time);
        let idle_s = clock.idle_seconds(access);
        Some(format!(
            "Value at:{:p} refcount:{} encoding:{} serializedlength:{} lru:{access} \
             lru_seconds_idle:{idle_s}",
            entry.key().as_ptr(),
            entry.content().refcount(),
            entry.encoding(),
            serialized_bytes(&entry.content()),
        ))
    }
}

/// Bytes of a value in an RDB file, not compressed; of a collection the bytes of its elements.
fn serialized_bytes(value: &Value<'_>) -> usize {
    match value {
        Value::Str(text) => text_bytes(*text),
        Value::Packed(..) | Value::Object(_) => value.bulk_bytes(),
    }
}

fn text_bytes(text: Str<'_>) -> usize {
    match text {
        Str::Int(n) if i8::try_from(n).is_ok() => 2,
        Str::Int(n) if i16::try_from(n).is_ok() => 3,
        Str::Int(n) if i32::try_from(n).is_ok() => 5,
        Str::Int(n) => {
            let mut digits = itoa::Buffer::new();
            1 + digits.format(n).len()
        }
        Str::Bytes(bytes) => {
            let head = LENGTHS.iter().position(|limit| bytes.len() < *limit).map_or(5, |at| at + 1);
            head + bytes.len()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lengths_are_those_of_an_rdb_file() {
        // DEBUG OBJECT of redis-server 7.0.15, rdbcompression no.
        for (n, bytes) in [(0, 2), (-128, 2), (128, 3), (40_000, 5), (5_000_000_000, 11)] {
            assert_eq!(text_bytes(Str::Int(n)), bytes, "{n}");
        }
        for (len, bytes) in [(0, 1), (63, 64), (64, 66), (16_383, 16_385), (16_384, 16_389)] {
            assert_eq!(text_bytes(Str::Bytes(&vec![b'x'; len])), bytes, "{len}");
        }
    }
}
