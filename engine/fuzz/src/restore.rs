//! Any payload is restored or refused; what is restored can be dumped, restored again, changed,
//! and replayed from the log, and stays the same value.

use super::driver::{Driver, content};
use quire_engine::rdb::crc64;

/// Commands that walk over a value of any type and change it; most are errors for most types.
const WALKS: &[&str] = &[
    "TYPE k",
    "OBJECT ENCODING k",
    "MEMORY USAGE k SAMPLES 0",
    "STRLEN k",
    "GETRANGE k 0 -1",
    "PFCOUNT k",
    "BITCOUNT k",
    "LRANGE k 0 -1",
    "LPOS k a COUNT 0",
    "LREM k 1 a",
    "LSET k -1 z",
    "LTRIM k 1 -2",
    "LMOVE k k LEFT RIGHT",
    "HGETALL k",
    "HSCAN k 0 COUNT 1000",
    "HSET k a 1",
    "HINCRBY k a 4",
    "HDEL k a",
    "SMEMBERS k",
    "SSCAN k 0 COUNT 1000",
    "SINTER k k",
    "SADD k 77 text",
    "SREM k 77",
    "SPOP k",
    "ZRANGE k 0 -1 WITHSCORES",
    "ZRANGEBYLEX k - +",
    "ZSCAN k 0 COUNT 1000",
    "ZADD k 1 a",
    "ZRANK k a",
    "ZPOPMIN k",
    "XRANGE k - +",
    "XINFO STREAM k FULL",
    "XADD k 18446744073709551614-1 f v",
    "XTRIM k MAXLEN 1",
    "COPY k k2",
    "APPEND k x",
    "DEL k2",
];
/// Unix time, ms.
const NOW_MS: i64 = 1_700_000_000_000;

/// Takes any bytes: how, then a payload, whose last eight bytes become its checksum when `how` is
/// odd.
///
/// # Panics
/// When a promise is broken.
pub fn any_bytes(data: &[u8]) {
    let Some((&how, payload)) = data.split_first() else { return };
    let mut payload = payload.to_vec();
    if how & 1 != 0 && payload.len() >= 8 {
        let body = payload.len() - 8;
        let crc = crc64::update(0, &payload[..body]);
        payload[body..].copy_from_slice(&crc.to_le_bytes());
    }
    let mut driver = Driver::new(how & 2 != 0);
    let restored = driver.execute_at(&[b"RESTORE", b"k".as_slice(), b"0", &payload], NOW_MS);
    if restored != b"+OK\r\n" {
        assert!(restored.starts_with(b"-"), "{}", restored.escape_ascii());
        assert!(content(&driver.shard).is_empty(), "a refused payload leaves nothing");
        return;
    }
    if has_minus_zero(&driver) {
        return;
    }
    let dumped = driver.execute_at(&["DUMP", "k"], NOW_MS);
    if dumped.starts_with(b"$") {
        let start = dumped.iter().position(|&b| b == b'\n').map_or(0, |at| at + 1);
        let again = &dumped[start..dumped.len() - 2];
        let line = [b"RESTORE", b"k2".as_slice(), b"0", again];
        assert_eq!(driver.execute_at(&line, NOW_MS), b"+OK\r\n", "{}", again.escape_ascii());
        let value = |driver: &Driver, key: &[u8]| driver.shard.digest_value(0, key).hex();
        assert_eq!(value(&driver, b"k2"), value(&driver, b"k"), "{}", again.escape_ascii());
    } else {
        assert!(dumped.starts_with(b"-ERR"), "{}", dumped.escape_ascii());
    }
    assert_eq!(content(&driver.replayed()), content(&driver.shard), "what was logged makes it");
    for line in WALKS {
        let words: Vec<&str> = line.split(' ').collect();
        driver.execute_at(&words, NOW_MS);
    }
    assert_eq!(content(&driver.replayed()), content(&driver.shard), "what was logged makes it");
}

/// Whether a score is -0. As in Redis small sorted sets know one zero, big ones two: made again
/// from its elements a sorted set may have the other.
fn has_minus_zero(driver: &Driver) -> bool {
    content(&driver.shard).iter().any(|(_, _, value, _)| {
        value.starts_with(b"zset\n") && value.windows(4).any(|bytes| bytes == b"\n-0\0")
    })
}
