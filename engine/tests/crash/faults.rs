//! Disks that fail and disks that are full.

use super::rig::{FIRST_BYTES, Rig, recovered, segment_name};
use quire_engine::{
    aof::FsyncPolicy,
    io::sim::{Dice, Op},
};

const MISCONF_EIO: &str = "MISCONF Errors writing to the AOF file: Input/output error";
const MISCONF_FULL: &str = "MISCONF Errors writing to the AOF file: No space left on device";

/// Everything that must hold once the log has failed.
fn assert_dead(rig: &mut Rig, what: &str) {
    let (released, operations) = (rig.writer.released(), rig.disk.operations());
    assert_eq!(rig.staging.admit(1).unwrap_err().to_string(), MISCONF_EIO, "{what}");
    rig.set(10);
    for _ in 0..5 {
        rig.now += 1_000_000;
        rig.writer.retry();
        rig.pump();
        rig.serve();
        rig.complete_write();
        rig.complete_sync();
    }
    assert_eq!(rig.writer.released(), released, "{what}: nothing is released any more");
    assert_eq!(rig.disk.operations(), operations, "{what}: nothing is tried again");
    assert_eq!(rig.writer.next_deadline_us(), None);
    rig.writer.start_finish();
    rig.pump();
    assert!(!rig.writer.is_finished(), "{what}");
}

#[test]
fn a_failed_write_or_sync_is_final_and_releases_nothing() {
    for op in [Op::Write, Op::Sync] {
        let mut rig = Rig::new(FsyncPolicy::Always);
        rig.set(10);
        rig.pump();
        rig.complete_write();
        rig.staging.begin();
        rig.staging.touch_write(7);
        rig.staging.end();
        rig.staging.begin();
        rig.staging.touch_write(8);
        rig.staging.push(0, quire_engine::effect::Effect::Del { key: b"key-2" });
        rig.staging.end();
        rig.issued_us.push(rig.now);
        rig.disk.fail(op, 1, libc::EIO);
        rig.pump();
        rig.complete_write();
        let error = rig.writer.failed().unwrap();
        let (verb, offset) =
            if op == Op::Write { ("write", Some(4096)) } else { ("fdatasync", None) };
        assert_eq!((error.op, error.offset, error.errno), (verb, offset, libc::EIO));
        assert!(error.path.ends_with(segment_name(1)));
        assert_eq!(rig.writer.released(), 1);
        assert_eq!(rig.staging.check_read(8).unwrap_err().to_string(), MISCONF_EIO);
        assert_eq!(rig.staging.check_read(7), Ok(()), "settled keys can be read");
        assert_dead(&mut rig, verb);
    }
}

#[test]
fn under_everysec_a_failed_sync_is_final_too() {
    let mut rig = Rig::new(FsyncPolicy::EverySec);
    rig.set(10);
    rig.pump();
    rig.now += 1_000_000;
    rig.disk.fail(Op::Sync, 1, libc::EIO);
    rig.pump();
    rig.complete_sync();
    assert_eq!(rig.writer.synced(), 0);
    assert_dead(&mut rig, "everysec");
}

#[test]
fn errors_anywhere_in_a_life_never_release_what_does_not_survive() {
    for seed in 0..120 {
        let policy = FsyncPolicy::ALL[seed as usize % 3];
        let mut rig = Rig::new(policy);
        let mut dice = Dice::new(seed);
        let op = if dice.one_in(2) { Op::Write } else { Op::Sync };
        rig.disk.fail(op, 1 + dice.below(60) as u64, libc::EIO);
        for _ in 0..150 {
            rig.random_turn(&mut dice, true);
        }
        rig.settle_down();
        let left = recovered(&rig.disk.survivor(seed));
        assert!(rig.promised_synced <= left, "seed {seed}: {} > {left}", rig.promised_synced);
        assert!(rig.replied <= recovered(&rig.disk.killed()), "seed {seed}");
    }
}

#[test]
fn a_full_disk_refuses_writes_before_they_are_executed_and_goes_on_with_space() {
    for policy in FsyncPolicy::ALL {
        let mut rig = Rig::new(policy);
        rig.disk.set_capacity(Some(rig.disk.used() + 1000));
        rig.serve();
        assert_eq!(rig.writer.space_error().unwrap().errno, libc::ENOSPC);
        rig.pump();
        let mut admitted = 0;
        while rig.staging.admit(1000).is_ok() {
            rig.set(900);
            admitted += 1;
            rig.settle_down();
            assert!(admitted < 1000, "endless space on a full disk");
        }
        assert!(admitted > 0, "what is reserved is used");
        assert_eq!(rig.writer.stats().full_disk_writes, 0, "met before execution");
        assert_eq!(rig.staging.admit(1000).unwrap_err().to_string(), MISCONF_FULL);
        assert_eq!(rig.writer.written(), admitted, "nothing admitted is stuck");
        assert!(rig.writer.failed().is_none());
        rig.disk.set_capacity(None);
        rig.settle_down();
        assert!(rig.staging.admit(1000).is_err(), "not before it was tried again");
        rig.writer.retry();
        rig.serve();
        rig.pump();
        assert_eq!(rig.staging.admit(1000), Ok(()));
        rig.set(900);
        rig.settle_down();
        assert_eq!(recovered(&rig.disk), admitted + 1);
    }
}

#[test]
fn what_is_in_flight_is_not_reserved_a_second_time() {
    let mut rig = Rig::new(FsyncPolicy::Always);
    rig.disk.set_capacity(Some(rig.disk.used()));
    rig.serve();
    rig.pump();
    assert_eq!(rig.staging.admit(9000), Ok(()));
    rig.set(9000);
    rig.pump();
    assert!(rig.ring.is_writing());
    assert_eq!(rig.staging.admit(9000).unwrap_err().to_string(), MISCONF_FULL);
}

#[test]
fn a_write_that_met_a_full_disk_is_tried_again_from_memory() {
    for policy in FsyncPolicy::ALL {
        let mut rig = Rig::new(policy);
        rig.disk.set_capacity(Some(rig.disk.used() + 1000));
        // Larger than what is reserved: found out by the write itself.
        let lsn = rig.set(FIRST_BYTES as usize + 5000);
        rig.settle_down();
        assert_eq!(rig.writer.stats().full_disk_writes, 1, "{}", policy.name());
        assert_eq!((rig.writer.released(), rig.writer.written()), (0, 0));
        assert_eq!(rig.staging.admit(FIRST_BYTES as usize).unwrap_err().to_string(), MISCONF_FULL);
        rig.writer.retry();
        rig.settle_down();
        assert_eq!((rig.writer.stats().full_disk_writes, rig.writer.written()), (2, 0));
        rig.disk.set_capacity(None);
        rig.settle_down();
        assert_eq!(rig.writer.written(), 0, "not before it is told");
        rig.writer.retry();
        rig.settle_down();
        assert_eq!((rig.writer.released(), rig.writer.space_error().is_none()), (lsn, true));
        assert_eq!(recovered(&rig.disk), lsn);
    }
}

#[test]
fn a_write_done_in_part_is_completed() {
    for policy in FsyncPolicy::ALL {
        for part in [1, 4095, 4096, 9000] {
            let mut rig = Rig::new(policy);
            // Above what is written at once, so that it goes through the ring.
            rig.set(2_000_000);
            rig.disk.shorten_write(part);
            rig.settle_down();
            assert_eq!((rig.writer.written(), recovered(&rig.disk)), (1, 1), "{part}");
        }
    }
}
