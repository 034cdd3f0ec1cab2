//! Where a key lives: slot, slot group, shard.
//!
//! slot = CRC16/XMODEM(key or {hash tag}) mod 16384, exactly Redis Cluster's; a slot group is 64
//! consecutive slots; shard `i` of `n` owns a contiguous range of groups. Files never depend on `n`.

use crate::limits::{GROUPS, SLOTS, SLOTS_PER_GROUP};

const fn crc16_tables() -> [[u16; 256]; 4] {
    let mut t = [[0u16; 256]; 4];
    let mut i = 0;
    while i < 256 {
        let mut crc = (i as u16) << 8;
        let mut bit = 0;
        while bit < 8 {
            crc = if crc & 0x8000 != 0 { (crc << 1) ^ 0x1021 } else { crc << 1 };
            bit += 1;
        }
        t[0][i] = crc;
        i += 1;
    }
    // t[k][b]: the effect of byte b followed by k zero bytes, so four bytes go in one step.
    let mut k = 1;
    while k < 4 {
        let mut i = 0;
        while i < 256 {
            let prev = t[k - 1][i];
            t[k][i] = (prev << 8) ^ t[0][(prev >> 8) as usize];
            i += 1;
        }
        k += 1;
    }
    t
}

static CRC16: [[u16; 256]; 4] = crc16_tables();

/// CRC16/XMODEM (polynomial 0x1021, initial value 0), four bytes a step.
#[inline]
pub fn crc16(bytes: &[u8]) -> u16 {
    let mut crc = 0u16;
    let (quads, rest) = bytes.as_chunks::<4>();
    for q in quads {
        let hi = q[0] ^ (crc >> 8) as u8;
        let lo = q[1] ^ crc as u8;
        crc = CRC16[3][hi as usize]
            ^ CRC16[2][lo as usize]
            ^ CRC16[1][q[2] as usize]
            ^ CRC16[0][q[3] as usize];
    }
    for &b in rest {
        crc = (crc << 8) ^ CRC16[0][((crc >> 8) as u8 ^ b) as usize];
    }
    crc
}

/// The part of a key that is hashed: what stands between the first `{` and the next `}`, if
/// that is not empty; the whole key otherwise.
#[inline]
pub fn hash_tag(key: &[u8]) -> &[u8] {
    if let Some(open) = memchr::memchr(b'{', key)
        && let Some(len) = memchr::memchr(b'}', &key[open + 1..])
        && len > 0
    {
        return &key[open + 1..open + 1 + len];
    }
    key
}

/// The key's slot, 0..16384.
#[inline]
pub fn slot_of(key: &[u8]) -> u16 {
    crc16(hash_tag(key)) & (SLOTS as u16 - 1)
}

/// The slot group of a slot, 0..256.
#[inline]
pub fn group_of_slot(slot: u16) -> u8 {
    (slot as usize / SLOTS_PER_GROUP) as u8
}

/// The shard of `shards` that owns a group: contiguous, sizes differ by at most one group.
#[inline]
pub fn shard_of_group(group: u8, shards: usize) -> usize {
    group as usize * shards / GROUPS
}

/// The groups that shard `shard` of `shards` owns.
pub fn groups_of_shard(shard: usize, shards: usize) -> std::ops::Range<usize> {
    (shard * GROUPS).div_ceil(shards)..((shard + 1) * GROUPS).div_ceil(shards)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn crc16_bitwise(bytes: &[u8]) -> u16 {
        bytes.iter().fold(0u16, |mut crc, &b| {
            crc ^= (b as u16) << 8;
            for _ in 0..8 {
                crc = if crc & 0x8000 != 0 { (crc << 1) ^ 0x1021 } else { crc << 1 };
            }
            crc
        })
    }

    #[test]
    fn crc16_is_the_cluster_specifications() {
        assert_eq!(crc16(b"123456789"), 0x31C3);
        let bytes: Vec<u8> = (0..=255u8).cycle().take(600).collect();
        for len in 0..bytes.len() {
            assert_eq!(crc16(&bytes[..len]), crc16_bitwise(&bytes[..len]), "length {len}");
        }
    }

    #[test]
    fn slots_are_redis_clusters() {
        // CLUSTER KEYSLOT of redis-server 7.0.15.
        for (key, slot) in [("foo", 12182), ("bar", 5061), ("{user1000}.following", 3443)] {
            assert_eq!(slot_of(key.as_bytes()), slot, "{key}");
        }
        assert_eq!(slot_of(b"{}x"), slot_of_whole(b"{}x"));
        assert_eq!(hash_tag(b"foo{{bar}}zap"), b"{bar");
    }

    fn slot_of_whole(key: &[u8]) -> u16 {
        crc16(key) & 16383
    }

    #[test]
    fn every_group_has_one_owner_and_ranges_are_contiguous() {
        for shards in 1..=256 {
            let mut next = 0;
            for shard in 0..shards {
                let range = groups_of_shard(shard, shards);
                assert_eq!(range.start, next);
                for g in range.clone() {
                    assert_eq!(shard_of_group(g as u8, shards), shard);
                }
                next = range.end;
            }
            assert_eq!(next, GROUPS);
        }
    }
}
