//! Tests of the simulated disk: it may lose what a real one may, and nothing else.

use super::*;
use crate::io::{LogIo, Storage, WriteSync};

#[repr(align(4096))]
struct Block([u8; 4096]);

fn disk_with(name: &str, bytes: &[u8]) -> (SimDisk, SimFile) {
    let disk = SimDisk::new();
    let file = run(async {
        let file = disk.create(name).await.unwrap();
        disk.write_at(&file, 0, bytes).await.unwrap();
        disk.sync(&file).await.unwrap();
        disk.sync_dir().await.unwrap();
        file
    });
    (disk, file)
}

#[test]
fn synced_bytes_and_names_survive_every_power_cut_and_others_some() {
    let (disk, file) = disk_with("a", &[1; 8192]);
    run(async {
        disk.write_at(&file, 0, &[2; 8192]).await.unwrap();
        disk.write_at(&file, 8192, &[3; 4096]).await.unwrap();
        disk.rename("a", "b").await.unwrap();
    });
    let (mut lens, mut names, mut torn, mut holes) = ([false; 3], [false; 2], false, false);
    for seed in 0..400 {
        let survivor = disk.survivor(seed);
        let renamed = survivor.bytes("b").is_some();
        names[usize::from(renamed)] = true;
        let bytes = survivor.bytes(if renamed { "b" } else { "a" }).unwrap();
        let old = bytes[..8192].contains(&1);
        let new = bytes[..8192].contains(&2);
        assert!(bytes[..8192].iter().all(|&b| b == 1 || b == 2));
        torn |= old && new;
        lens[(bytes.len() - 8192) / 4096] = true;
        holes |= bytes[8192..].contains(&0);
        assert!(bytes[8192..].iter().all(|&b| b == 0 || b == 3));
    }
    assert_eq!((names, lens[0], lens[1], torn, holes), ([true; 2], true, true, true, true));
    assert_eq!(disk.killed().bytes("b").unwrap()[..8192], [2; 8192]);
}

#[test]
fn a_failed_sync_loses_its_bytes_even_when_a_later_one_succeeds() {
    let (disk, file) = disk_with("a", b"old");
    run(async {
        disk.write_at(&file, 0, b"new").await.unwrap();
        disk.fail(Op::Sync, 1, libc::EIO);
        let error = disk.sync(&file).await.unwrap_err();
        assert_eq!(error.to_string(), "fdatasync of a failed: Input/output error (errno 5)");
        disk.sync(&file).await.unwrap();
    });
    assert_eq!(disk.bytes("a").unwrap(), b"new");
    for seed in 0..50 {
        assert_eq!(disk.survivor(seed).bytes("a").unwrap(), b"old");
    }
}

#[test]
fn capacity_refuses_growth_but_not_overwriting() {
    let (disk, file) = disk_with("a", &[1; 4096]);
    disk.set_capacity(Some(6000));
    run(async {
        assert_eq!(disk.write_at(&file, 0, &[9; 8192]).await.unwrap_err().errno, libc::ENOSPC);
        disk.write_at(&file, 0, &[9; 4096]).await.unwrap();
        let other = disk.create("b").await.unwrap();
        assert_eq!(disk.reserve(&other, 1905).await.unwrap_err().errno, libc::ENOSPC);
        disk.reserve(&other, 1904).await.unwrap();
        assert_eq!(disk.len(&other).await.unwrap(), 0);
        disk.remove("a").await.unwrap();
        disk.reserve(&other, 6000).await.unwrap();
    });
}

#[test]
fn nothing_works_after_the_planned_crash() {
    let (disk, file) = disk_with("a", b"");
    disk.crash_after(2);
    run(async {
        disk.write_at(&file, 0, b"one").await.unwrap();
        assert!(disk.write_at(&file, 3, b"twotwo").await.is_err());
        assert!(disk.crashed());
        assert!(disk.sync(&file).await.is_err());
        assert!(disk.read_at(&file, 0, 1).await.is_err());
    });
    assert!(disk.killed().bytes("a").unwrap().starts_with(b"one"));
}

#[test]
fn a_write_that_syncs_itself_leaves_earlier_writes_unsynced() {
    let (disk, _) = disk_with("a", &[0; 8192]);
    let mut ring = SimRing::new(&disk);
    let id = disk.open_for_ring("a", Method::Direct).unwrap();
    let buf = Box::new(Block([7; 4096]));
    for (offset, sync) in [(0, WriteSync::None), (4096, WriteSync::Itself)] {
        // SAFETY: `buf` outlives the completion below and is not changed.
        unsafe { ring.start_write(id, offset, buf.0.as_ptr(), 4096, sync) };
        assert_eq!(ring.complete_write(), Some(Ok(4096)));
    }
    let survivors: Vec<_> = (0..20).map(|seed| disk.survivor(seed).bytes("a").unwrap()).collect();
    assert!(survivors.iter().all(|bytes| bytes[4096..] == [7; 4096]));
    assert!(survivors.iter().any(|bytes| bytes[..4096] == [0; 4096]));
}

#[test]
fn a_ring_carries_out_a_write_and_its_linked_sync_at_completion() {
    let (disk, _) = disk_with("a", &[0; 4096]);
    let mut ring = SimRing::new(&disk);
    let id = disk.open_for_ring("a", Method::Direct).unwrap();
    let buf = Box::new(Block([7; 4096]));
    // SAFETY: `buf` outlives the completion below and is not changed.
    unsafe { ring.start_write(id, 0, buf.0.as_ptr(), 4096, WriteSync::File) };
    assert_eq!(disk.bytes("a").unwrap(), [0; 4096]);
    assert_eq!(ring.complete_write(), Some(Ok(4096)));
    assert_eq!(disk.survivor(1).bytes("a").unwrap(), [7; 4096]);
    // SAFETY: as above.
    unsafe { ring.start_write(id, 512, buf.0.as_ptr(), 4096, WriteSync::File) };
    assert_eq!(ring.complete_write(), Some(Err(crate::io::LogFault::Write(libc::EINVAL))));
    disk.fail(Op::Sync, 1, libc::EIO);
    // SAFETY: as above.
    unsafe { ring.start_write(id, 0, buf.0.as_ptr(), 4096, WriteSync::File) };
    assert_eq!(ring.complete_write(), Some(Err(crate::io::LogFault::Sync(libc::EIO))));
}

#[test]
fn of_two_names_that_were_not_synced_either_may_survive_alone() {
    let disk = SimDisk::new();
    run(async {
        disk.create("first").await.unwrap();
        disk.create("second").await.unwrap();
    });
    let mut seen = [false; 4];
    for seed in 0..100 {
        let survivor = disk.unordered_survivor(seed);
        let there = |name| usize::from(survivor.bytes(name).is_some());
        seen[there("first") + 2 * there("second")] = true;
    }
    assert_eq!(seen, [true; 4]);
}
