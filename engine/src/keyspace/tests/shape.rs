//! How much memory tables take and give back, how fair a random key is, what hashes may do at
//! worst, and what the deadline index may cost.

use super::{
    super::{Database, Deadline, Key, KeyHasher, Keyspace, memory::ledger, scan_group, scan_start},
    dice,
};
use crate::{
    limits::{GROUPS, SLOTS_PER_GROUP},
    slot::{groups_of_shard, shard_of_group},
};
use std::collections::{HashMap, HashSet};

/// A key whose group is chosen instead of computed, to fill some groups only.
fn placed<'k>(hasher: &KeyHasher, bytes: &'k [u8], group: usize) -> Key<'k> {
    Key { slot: (group * SLOTS_PER_GROUP) as u16, ..hasher.key(bytes) }
}

/// Keys of 16 groups, one in each 16: these have the sizes that groups of a whole shard have.
fn sixteenth(n: u64) -> usize {
    (n % 16) as usize * 16
}

#[test]
fn tables_take_ten_bytes_per_key_at_every_size() {
    let hasher = KeyHasher::fixed();
    let mut db = Database::new(hasher.clone());
    let (mut worst, mut sum, mut points) = (0f64, 0f64, 0u32);
    let mut n = 0;
    for shard in (1_000_000..=4_000_000u64).step_by(50_000) {
        while n < shard / 16 {
            let bytes = n.to_le_bytes();
            db.set_int(placed(&hasher, &bytes, sixteenth(n)), 1, Deadline::None);
            n += 1;
        }
        // The fixed part of the 240 groups that are not used here counts a sixteenth.
        let idle = GROUPS * size_of::<super::super::group::Group>() * 15 / 16;
        let per_key = (db.table_memory_bytes() - idle) as f64 / n as f64;
        if shard % 200_000 == 0 {
            println!("{:.1} M keys: {per_key:.2} bytes of table per key", shard as f64 / 1e6);
        }
        (worst, sum, points) = (worst.max(per_key), sum + per_key, points + 1);
    }
    println!("worst {worst:.2}, mean {:.2}", sum / f64::from(points));
    assert!(worst <= 12.0, "{worst}");
}

#[test]
fn deleting_nearly_all_keys_gives_the_memory_back() {
    let hasher = KeyHasher::fixed();
    let mut db = Database::new(hasher.clone());
    let keys = 60_000u64;
    for n in 0..keys {
        db.set_int(placed(&hasher, &n.to_le_bytes(), sixteenth(n)), 1, Deadline::None);
    }
    let fixed = GROUPS * size_of::<super::super::group::Group>();
    let full = db.table_memory_bytes() - fixed;
    for n in (0..keys).filter(|n| n / 16 % 100 != 0) {
        assert!(db.remove(placed(&hasher, &n.to_le_bytes(), sixteenth(n))));
    }
    let left = db.table_memory_bytes() - fixed;
    db.check();
    println!("{full} bytes of table for {keys} keys, {left} for {}", db.len());
    assert!(left * 25 < full, "{full} -> {left}");
    for n in 0..keys {
        db.remove(placed(&hasher, &n.to_le_bytes(), sixteenth(n)));
    }
    assert_eq!((db.len(), db.table_memory_bytes()), (0, fixed));
    assert_eq!(ledger::live(), 0);
}

#[test]
fn a_table_that_breathes_at_one_size_does_not_thrash() {
    // Growing and shrinking back must move little: their thresholds are far apart.
    let hasher = KeyHasher::fixed();
    let mut db = Database::new(hasher.clone());
    let (mut inserts, mut tables, mut sizes) = (0, 0, HashSet::new());
    for round in 0..100 {
        let before = ledger::taken();
        let mut new = 0;
        for n in 0..2_000u64 {
            new += usize::from(db.set_int(placed(&hasher, &n.to_le_bytes(), 7), 1, Deadline::None));
        }
        let size = db.table_memory_bytes();
        for n in (0..2_000u64).step_by(3) {
            db.remove(placed(&hasher, &n.to_le_bytes(), 7));
        }
        if round > 0 {
            inserts += new;
            tables += ledger::taken() - before - new;
            sizes.insert(size);
        }
    }
    println!("{tables} segments made for {inserts} inserts, sizes {sizes:?}");
    assert!(tables * 1000 < inserts, "{tables} segments made for {inserts} inserts");
}

#[test]
fn a_random_key_is_any_key_with_the_same_probability() {
    let hasher = KeyHasher::fixed();
    let mut db = Database::new(hasher.clone());
    // One group with many segments, of different depths; some with few keys; holes.
    let group = |n: u64| if n < 3_600 { 3 } else { (n % 200) as usize };
    let holes = 700..1_200u64;
    for n in 0..4_100u64 {
        db.set_int(placed(&hasher, &n.to_le_bytes(), group(n)), 1, Deadline::None);
    }
    for n in holes.clone() {
        db.remove(placed(&hasher, &n.to_le_bytes(), group(n)));
    }
    assert!(db.group_depths(3).len() > 1, "segments of different depths");
    let mut seen: HashMap<Vec<u8>, u64> = HashMap::new();
    let mut random = dice(7);
    let expected = 40;
    for _ in 0..expected * db.len() {
        let entry = db.random(&mut random).expect("there are keys");
        *seen.entry(entry.key().to_vec()).or_default() += 1;
    }
    let chi_square: f64 = (0..4_100u64)
        .filter(|n| !holes.contains(n))
        .map(|n| seen.get(&n.to_le_bytes()[..]).copied().unwrap_or(0) as f64)
        .map(|times| (times - expected as f64).powi(2) / expected as f64)
        .sum();
    // 3,599 degrees of freedom: mean 3,599, standard deviation 85; six of them.
    assert!((3_090.0..4_110.0).contains(&chi_square), "{chi_square}");
}

#[test]
fn equal_hashes_are_different_keys() {
    // Nobody can make such keys, the hash is keyed; yet nothing may break.
    for keep in [0u64, 0xFFFF, 0xFFFF_FFFF, u64::MAX << 44] {
        let hasher = KeyHasher::degenerate(keep);
        let mut keyspace = Keyspace::new(1, hasher.clone());
        let db = keyspace.db_mut(0);
        let keys = 3_000u64;
        for n in 0..keys {
            let at = Deadline::At(n as i64);
            assert!(db.set_int(placed(&hasher, &n.to_le_bytes(), 9), n as i64, at));
        }
        db.check();
        let mut seen = HashSet::new();
        let mut cursor = 0;
        loop {
            cursor = db.scan(cursor, 0..GROUPS, 10, &mut |e| {
                seen.insert(e.key().to_vec());
            });
            if cursor == 0 {
                break;
            }
        }
        assert_eq!(seen.len() as u64, keys);
        assert!(db.random(&mut dice(1)).is_some());
        let mut removed = 0;
        while db.next_due_ms().is_some_and(|at| at <= 1_000) {
            removed += db.due(1_000, 1000, &mut |_| {});
        }
        // Keys due within the last grain may wait for their slot.
        assert!((870..=1_000).contains(&removed), "{removed}");
        for n in (0..keys).rev() {
            db.remove(placed(&hasher, &n.to_le_bytes(), 9));
        }
        db.check();
        assert!(db.is_empty());
    }
    assert_eq!(ledger::live(), 0);
}

#[test]
fn scans_of_all_shards_one_after_the_other_see_every_key_once() {
    let hasher = KeyHasher::fixed();
    for shards in [1usize, 3, 256] {
        let new = || Keyspace::new(1, hasher.clone());
        let mut owners: Vec<Keyspace> = (0..shards).map(|_| new()).collect();
        let keys: HashSet<Vec<u8>> = (0..5_000).map(|n| format!("k{n}").into_bytes()).collect();
        for bytes in &keys {
            let key = hasher.key(bytes);
            owners[shard_of_group(key.group(), shards)].db_mut(0).set(key, b"v", Deadline::None);
        }
        let (mut cursor, mut seen) = (0, Vec::new());
        loop {
            // As a server does it: the cursor's group says whose turn it is.
            let shard = shard_of_group(scan_group(cursor) as u8, shards);
            let groups = groups_of_shard(shard, shards);
            let db = owners[shard].db(0);
            cursor = db.scan(cursor, groups.clone(), 100, &mut |e| seen.push(e.key().to_vec()));
            if cursor == 0 && groups.end < GROUPS {
                cursor = scan_start(groups.end);
            }
            if cursor == 0 {
                break;
            }
        }
        assert_eq!(seen.len(), keys.len());
        assert_eq!(seen.into_iter().collect::<HashSet<_>>(), keys);
    }
}

#[test]
fn cursors_nobody_gave_end_the_scan_or_begin_a_bucket() {
    let hasher = KeyHasher::fixed();
    let mut db = Database::new(hasher.clone());
    for n in 0..500u64 {
        db.set_int(hasher.key(&n.to_le_bytes()), 1, Deadline::None);
    }
    for cursor in [u64::MAX, 1 << 53, 1 << 63, (1 << 53) - 1, 12_345] {
        db.scan(cursor, 0..GROUPS, 10, &mut |_| {});
    }
    assert_eq!(db.scan(u64::MAX, 0..GROUPS, 10, &mut |_| panic!("nothing there")), 0);
}

#[test]
fn refreshing_a_deadline_costs_the_index_nothing() {
    let hasher = KeyHasher::fixed();
    let mut db = Database::new(hasher.clone());
    for round in 0..1_000 {
        for n in 0..10u64 {
            let at = Deadline::At(1_000_000 + round);
            db.set(hasher.key(&n.to_le_bytes()), b"session", at);
        }
    }
    assert_eq!(db.references(), 10);
    assert_eq!(db.with_deadline(), 10);
}

#[test]
fn stale_references_are_bounded() {
    let hasher = KeyHasher::fixed();
    let mut db = Database::new(hasher.clone());
    for n in 0..2_000u64 {
        let deadline = if n % 4 == 0 { Deadline::At(1_000_000_000) } else { Deadline::None };
        db.set_int(hasher.key(&n.to_le_bytes()), 1, deadline);
    }
    let mut most = 0;
    for round in 0..50_000u64 {
        let bytes = format!("again and again {}", round % 97);
        let key = hasher.key(bytes.as_bytes());
        db.set(key, b"v", Deadline::At(2_000_000_000));
        db.remove(key);
        most = most.max(db.references());
    }
    db.check();
    assert!(most < 8_000, "{most} references for 500 keys with a deadline");
    // The keys that have a deadline are still found.
    let mut removed = 0;
    while db.next_due_ms().is_some_and(|at| at <= 1_500_000_000) {
        removed += db.due(1_500_000_000, 100, &mut |_| {});
    }
    assert_eq!(removed, 500);
}

#[test]
fn keys_expire_within_a_grain_of_their_deadline() {
    let hasher = KeyHasher::fixed();
    let mut db = Database::new(hasher.clone());
    let start = 1_700_000_000_000i64;
    let ttl = |n: u64| (n * n * 37) as i64 % 4_000_000;
    for n in 0..4_000u64 {
        db.set(hasher.key(&n.to_le_bytes()), b"v", Deadline::At(start + ttl(n)));
    }
    let mut now = start;
    let mut looks = 0;
    while !db.is_empty() {
        db.due(now, 100_000, &mut |bytes| {
            let n = u64::from_le_bytes(bytes.try_into().expect("eight bytes"));
            let late = now - start - ttl(n);
            assert!((1..=250).contains(&late), "{late} ms late");
        });
        looks += 1;
        now += 100;
    }
    assert!(looks <= 40_003, "{looks}");
    assert_eq!(db.next_due_ms(), None);
    assert_eq!(db.with_deadline(), 0);
}

#[test]
fn swapping_and_clearing_databases_moves_them_whole() {
    let mut keyspace = Keyspace::new(3, KeyHasher::fixed());
    let hasher = keyspace.hasher().clone();
    let empty = keyspace.memory_bytes();
    keyspace.db_mut(0).set(hasher.key(b"a"), b"1", Deadline::At(5));
    keyspace.db_mut(1).set(hasher.key(b"b"), b"2", Deadline::None);
    keyspace.swap(0, 1);
    assert!(keyspace.db(1).get(hasher.key(b"a")).is_some());
    assert!(keyspace.db(0).get(hasher.key(b"a")).is_none());
    let old = keyspace.clear(1);
    assert_eq!((old.len(), keyspace.len()), (1, 1));
    assert_eq!(keyspace.db_mut(1).due(100, 10, &mut |_| {}), 0);
    drop(old);
    drop(keyspace.clear(0));
    assert_eq!(keyspace.memory_bytes(), empty);
    assert_eq!(ledger::live(), 0);
}
