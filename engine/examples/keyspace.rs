//! Times the keyspace of one shard alone: CPU nanoseconds per operation and bytes per key.
//!
//! `cargo run --profile fast -p quire-engine --example keyspace -- [keys] [value bytes]`

use quire_engine::keyspace::{Database, Deadline, KeyHasher};

/// Calls `each` for every number below `keys`, in an order that no cache predicts.
fn shuffled(keys: u64, mut each: impl FnMut(u64)) {
    // A full cycle of a linear congruential generator modulo the next power of two.
    let modulus = keys.next_power_of_two();
    let mut n = 0u64;
    for _ in 0..modulus {
        n = n.wrapping_mul(0x5851_F42D_4C95_7F2D).wrapping_add(0x1405_7B7E_F767_814F) % modulus;
        if n < keys {
            each(n);
        }
    }
}

/// CPU time of this thread, ns: other work on the machine counts less than with a wall clock.
fn cpu_ns() -> i64 {
    let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: the kernel writes one timespec.
    unsafe { libc::clock_gettime(libc::CLOCK_THREAD_CPUTIME_ID, &mut time) };
    time.tv_sec * 1_000_000_000 + time.tv_nsec
}

fn time(what: &str, keys: u64, run: impl FnOnce()) {
    let start = cpu_ns();
    run();
    println!("{what:24} {:7.1} ns", (cpu_ns() - start) as f64 / keys as f64);
}

/// A key of 16 bytes.
fn name(n: u64) -> [u8; 16] {
    let mut name = *b"key:000000000000";
    let mut rest = n;
    for digit in name.iter_mut().rev().take(12) {
        *digit = b'0' + (rest % 10) as u8;
        rest /= 10;
    }
    name
}

fn main() {
    let mut args = std::env::args().skip(1).filter_map(|arg| arg.parse::<u64>().ok());
    let keys = args.next().unwrap_or(1_000_000);
    let value = vec![b'v'; args.next().unwrap_or(64) as usize];
    let hasher = KeyHasher::random();
    let mut db = Database::new(hasher.clone());
    let mut found = 0u64;
    time("hash and slot", keys, || {
        shuffled(keys, |n| found += hasher.key(&name(n)).hash & 1);
    });
    time("insert", keys, || {
        shuffled(keys, |n| {
            db.set(hasher.key(&name(n)), &value, Deadline::None);
        });
    });
    let table = db.table_memory_bytes() as f64 / keys as f64;
    let all = db.memory_bytes() as f64 / keys as f64;
    println!("{table:.2} bytes of table, {all:.2} bytes in all per key");
    time("get, found", keys, || {
        shuffled(keys, |n| {
            found += db.get(hasher.key(&name(n))).map_or(0, |e| e.value().len() as u64);
        });
    });
    time("get, 16 prefetched", keys, || found += prefetched(&db, &hasher, keys));
    time("get, not found", keys, || {
        shuffled(keys, |n| found += u64::from(db.get(hasher.key(&name(n + keys))).is_some()));
    });
    time("overwrite", keys, || {
        shuffled(keys, |n| {
            db.set(hasher.key(&name(n)), &value, Deadline::None);
        });
    });
    time("set deadline", keys, || {
        shuffled(keys, |n| {
            db.set_deadline(hasher.key(&name(n)), Some(1 << 41));
        });
    });
    let mut cursor = 0;
    time("scan", keys, || {
        loop {
            cursor = db.scan(cursor, 0..256, 10, &mut |e| found += e.key().len() as u64);
            if cursor == 0 {
                break;
            }
        }
    });
    time("remove", keys, || {
        shuffled(keys, |n| {
            db.remove(hasher.key(&name(n)));
        });
    });
    println!("({found}, {} bytes left)", db.memory_bytes());
}

/// Gets all keys as a pipeline of 16 commands would: buckets first, then entries, then values.
fn prefetched(db: &Database, hasher: &KeyHasher, keys: u64) -> u64 {
    let (mut found, mut batch) = (0, Vec::with_capacity(16));
    shuffled(keys, |n| {
        batch.push(name(n));
        if batch.len() == 16 {
            let hashed: Vec<_> = batch.iter().map(|bytes| hasher.key(bytes)).collect();
            hashed.iter().for_each(|key| db.prefetch(*key));
            hashed.iter().for_each(|key| db.prefetch_entry(*key));
            for key in hashed {
                found += db.get(key).map_or(0, |e| e.value().len() as u64);
            }
            batch.clear();
        }
    });
    found
}
