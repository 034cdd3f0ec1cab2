//! How much memory tables take, how fair a random key is, and what hashes may do at worst.

use super::{
    super::{Database, Deadline, Key, KeyHasher, Keyspace, memory::ledger, scan_start},
    dice,
};
use crate::limits::{GROUPS, SLOTS_PER_GROUP};

/// A key whose slot is chosen instead of computed, to fill some groups only.
fn placed<'k>(hasher: &KeyHasher, bytes: &'k [u8], group: usize) -> Key<'k> {
    Key { slot: (group * SLOTS_PER_GROUP) as u16, ..hasher.key(bytes) }
}

/// 1/16 of a shard: groups have the sizes they have on a whole shard.
fn fill_sixteenth(db: &mut Database, hasher: &KeyHasher, from: u64, to: u64) {
    for n in from..to {
        let key = placed(hasher, &n.to_le_bytes(), (n % 16) as usize * 16).hash;
        let bytes = n.to_le_bytes();
        db.set_int(
            Key { bytes: &bytes, hash: key, slot: ((n % 16) * 16 * 64) as u16 },
            1,
            Deadline::None,
        );
    }
}

#[test]
fn tables_take_about_eleven_bytes_per_key_at_every_size() {
    let hasher = KeyHasher::fixed();
    let mut db = Database::new(hasher.clone());
    let (mut worst, mut sum, mut points) = (0f64, 0f64, 0u32);
    let mut n = 0;
    for step in 20..=80 {
        // Sizes of a whole shard: 1.0 M, 1.05 M .. 4.0 M keys.
        let shard = step * 50_000;
        fill_sixteenth(&mut db, &hasher, n, shard / 16);
        n = shard / 16;
        let fixed = GROUPS * size_of::<super::super::group::Group>() * 15 / 16;
        let per_key = (db.table_memory_bytes() - fixed) as f64 / n as f64;
        if step % 4 == 0 {
            println!("{:.1} M keys: {per_key:.2} bytes of table per key", shard as f64 / 1e6);
        }
        (worst, sum, points) = (worst.max(per_key), sum + per_key, points + 1);
    }
    println!("worst {worst:.2}, mean {:.2}", sum / f64::from(points));
    assert!(worst <= 13.0, "{worst}");
}
