//! What must come before what: each test fails without the line of the writer it is about.

use super::rig::{FIRST_BYTES, Rig, SHARD, recovered, segment_name};
use quire_engine::{
    aof::{
        FsyncPolicy,
        header::{EndLine, HEADER_BYTES, Header},
        reader::{Expect, Item, SegmentReader},
        seal_segment,
    },
    io::{
        Method, Storage,
        sim::{SimDisk, run},
    },
};

/// Headers of all commits of a segment.
fn headers(disk: &SimDisk, seq: u64) -> Vec<Header> {
    let bytes = disk.bytes(&segment_name(seq)).unwrap();
    let expect = Expect { shard: SHARD, seq, run: None, next_lsn: None };
    let mut reader = SegmentReader::new(expect, bytes.len() as u64);
    reader.feed(&bytes);
    let mut headers = Vec::new();
    loop {
        match reader.next_item() {
            Item::Commit { header, .. } => headers.push(header),
            Item::End => return headers,
            item => panic!("{item:?}"),
        }
    }
}

#[test]
fn what_arrives_during_a_commit_forms_the_next_one() {
    let mut rig = Rig::new(FsyncPolicy::Always);
    rig.set(10);
    rig.pump();
    for _ in 0..5 {
        rig.set(10);
        rig.pump();
    }
    assert_eq!(rig.writer.released(), 0, "nothing is acknowledged before its sync");
    rig.complete_write();
    assert_eq!(rig.writer.released(), 1);
    rig.pump();
    rig.complete_write();
    assert_eq!(rig.writer.released(), 6);
    let batches: Vec<u32> = headers(&rig.disk, 1).iter().map(|h| h.batches).collect();
    assert_eq!(batches, [1, 5]);
    assert_eq!(headers(&rig.disk, 1)[1].synced, 1);
}

#[test]
fn buffered_replies_leave_in_the_turn_of_their_commit() {
    for policy in [FsyncPolicy::EverySec, FsyncPolicy::No] {
        let mut rig = Rig::new(policy);
        let lsn = rig.set(10);
        rig.pump();
        assert_eq!((rig.writer.released(), rig.writer.synced()), (lsn, 0));
    }
}

#[test]
fn beside_a_running_sync_replies_wait_and_the_shard_does_not() {
    let mut rig = Rig::new(FsyncPolicy::EverySec);
    rig.set(10);
    rig.pump();
    rig.now += 1_000_000;
    rig.pump();
    assert!(rig.ring.is_syncing());
    // The ring panics at a blocking write now.
    rig.set(10);
    rig.pump();
    assert!(rig.ring.is_writing());
    assert_eq!(rig.writer.released(), 1);
    rig.complete_write();
    assert_eq!((rig.writer.released(), rig.writer.synced()), (2, 0));
    rig.complete_sync();
    assert_eq!(rig.writer.synced(), 1, "a sync covers what was written when it started");
}

#[test]
fn everysec_syncs_once_a_second_after_the_first_write_and_never_when_idle() {
    let mut rig = Rig::new(FsyncPolicy::EverySec);
    assert_eq!(rig.writer.next_deadline_us(), None);
    rig.set(10);
    rig.pump();
    let due = rig.writer.next_deadline_us().unwrap();
    assert_eq!(due, rig.now + 1_000_000);
    rig.now = due - 1;
    rig.pump();
    assert!(!rig.ring.is_syncing());
    rig.now = due;
    rig.pump();
    assert!(rig.complete_sync());
    assert_eq!((rig.writer.synced(), rig.writer.stats().syncs), (1, 1));
    for _ in 0..10 {
        rig.now += 1_000_000;
        rig.pump();
        assert!(!rig.ring.is_syncing() && rig.writer.next_deadline_us().is_none());
    }
}

#[test]
fn everysec_replies_wait_while_the_disk_stalls_for_two_seconds() {
    let mut rig = Rig::new(FsyncPolicy::EverySec);
    rig.set(10);
    rig.pump();
    rig.now += 1_000_000;
    rig.pump();
    rig.now += 900_000;
    rig.set(10);
    rig.pump();
    rig.complete_write();
    assert_eq!(rig.writer.released(), 2);
    rig.now += 200_000;
    rig.set(10);
    rig.pump();
    rig.complete_write();
    assert_eq!(rig.writer.released(), 2, "the first effect is unsynced for 2.1 s");
    rig.complete_sync();
    assert_eq!(rig.writer.released(), 3);
}

#[test]
fn under_always_an_idle_second_is_closed_by_one_empty_commit() {
    let mut rig = Rig::new(FsyncPolicy::Always);
    assert_eq!(rig.writer.next_deadline_us(), None);
    rig.set(10);
    rig.pump();
    rig.complete_write();
    let due = rig.writer.next_deadline_us().unwrap();
    rig.now = due - 1;
    rig.pump();
    assert!(!rig.ring.is_writing());
    rig.now = due;
    rig.pump();
    assert!(rig.complete_write());
    for _ in 0..5 {
        rig.now += 1_000_000;
        rig.pump();
        assert!(!rig.ring.is_writing() && rig.writer.next_deadline_us().is_none());
    }
    let headers = headers(&rig.disk, 1);
    assert_eq!((headers[1].batches, headers[1].first_lsn, headers[1].synced), (0, 2, 1));
    rig.set(10);
    rig.settle_down();
    assert_eq!(recovered(&rig.disk), 2);
}

#[test]
fn stricter_replies_wait_again_for_what_was_released_before() {
    let mut rig = Rig::new(FsyncPolicy::EverySec);
    let lsn = rig.set(10);
    rig.pump();
    assert_eq!(rig.writer.released(), lsn);
    rig.set_policy(FsyncPolicy::Always);
    // A reader of any key now waits for the sync of everything before.
    rig.staging.begin();
    rig.staging.touch_read(4711);
    rig.staging.end();
    assert_eq!(rig.staging.gate(), lsn);
    assert!(rig.writer.released() < lsn, "and the writer does not say that it may go");
    rig.settle_down();
    assert_eq!(rig.writer.released(), lsn);
    rig.staging.begin();
    rig.staging.touch_read(4711);
    rig.staging.end();
    assert_eq!(rig.staging.gate(), 0);
}

#[test]
fn no_commit_of_a_new_segment_counts_before_the_old_ones_last_sync() {
    let mut rig = Rig::new(FsyncPolicy::EverySec);
    rig.serve();
    rig.set(10);
    rig.pump();
    rig.set_policy(FsyncPolicy::Always);
    rig.serve();
    rig.set(10);
    rig.pump();
    assert_eq!(rig.writer.current().method, Method::Direct, "gone over at once");
    assert!(rig.ring.is_syncing() && !rig.ring.is_writing());
    rig.complete_sync();
    rig.pump();
    rig.complete_write();
    assert_eq!((rig.writer.synced(), rig.writer.released()), (2, 2));
    assert_eq!(recovered(&rig.disk.survivor(1)), 2);
}

#[test]
fn synced_counts_no_gap_when_a_buffered_log_goes_on_in_the_next_segment() {
    let mut rig = Rig::new(FsyncPolicy::EverySec);
    rig.serve();
    rig.set(FIRST_BYTES as usize - 500);
    rig.pump();
    rig.set(1000);
    rig.pump();
    assert_eq!((rig.writer.current().seq, rig.writer.released()), (3 - 1, 2));
    rig.writer.request_sync(&rig.staging);
    rig.pump();
    assert!(rig.ring.is_syncing());
    rig.complete_sync();
    assert_eq!(rig.writer.synced(), 1, "the old segment first");
    assert!(rig.ring.is_syncing(), "then the new one, since it was asked for");
    rig.complete_sync();
    assert_eq!(rig.writer.synced(), 2);
    rig.serve();
    assert_eq!(rig.retired[0].segment.seq, 1);
    assert_eq!(rig.retired[0].last_lsn, 1);
}

#[test]
fn a_segment_is_not_given_away_while_a_sync_runs_on_it() {
    let mut rig = Rig::new(FsyncPolicy::EverySec);
    rig.serve();
    rig.set(10);
    rig.pump();
    rig.now += 1_000_000;
    rig.pump();
    assert!(rig.ring.is_syncing());
    // A linked sync makes the segment clean while the other still runs.
    rig.set_policy(FsyncPolicy::Always);
    rig.set(10);
    rig.pump();
    rig.complete_write();
    rig.serve();
    rig.pump();
    assert_eq!(rig.writer.current().method, Method::Direct);
    let given = |rig: &mut Rig| {
        rig.serve();
        rig.retired.iter().any(|r| r.segment.seq == 1)
    };
    assert!(!given(&mut rig));
    rig.complete_sync();
    assert!(given(&mut rig) && rig.writer.failed().is_none());
}

#[test]
fn a_rotation_ends_the_segment_synced_and_holds_later_batches_back() {
    for policy in FsyncPolicy::ALL {
        let mut rig = Rig::new(policy);
        rig.serve();
        rig.set(10);
        rig.pump();
        rig.writer.rotate(&rig.staging);
        rig.complete_write();
        if policy != FsyncPolicy::Always {
            rig.pump();
            assert!(rig.writer.is_rotating() && rig.ring.is_syncing(), "not before it is synced");
        }
        let later = rig.set(10);
        rig.pump();
        assert!(!rig.ring.is_writing() || !rig.writer.is_rotating(), "held back");
        rig.complete_sync();
        rig.pump();
        assert!(!rig.writer.is_rotating());
        assert_eq!((rig.writer.synced(), rig.writer.current().seq), (later - 1, 2));
        rig.settle_down();
        assert_eq!(headers(&rig.disk, 1).last().unwrap().last_lsn(), later - 1);
        assert_eq!(headers(&rig.disk, 2)[0].first_lsn, later);
        assert_eq!(headers(&rig.disk, 2)[0].synced, later - 1, "{}", policy.name());
    }
}

#[test]
fn a_cut_parts_the_log_at_once_whatever_is_in_flight_and_waits_for_no_sync() {
    for policy in FsyncPolicy::ALL {
        for in_flight in [false, true] {
            let mut rig = Rig::new(policy);
            rig.serve();
            rig.set(10);
            if in_flight {
                rig.pump();
            }
            let last = rig.set(10);
            rig.writer.cut(&mut rig.staging);
            // Later batches come at once and are not mixed with what is before the cut.
            let first_later = rig.set(10);
            assert_eq!(first_later, last + 1);
            while rig.writer.is_rotating() {
                rig.pump();
                assert!(!rig.ring.is_syncing() || !rig.writer.is_rotating(), "no sync is awaited");
                rig.complete_write();
            }
            assert_eq!(rig.writer.current().seq, 2);
            rig.settle_down();
            let context = format!("{}, {in_flight}", policy.name());
            assert_eq!(headers(&rig.disk, 1).last().unwrap().last_lsn(), last, "{context}");
            assert_eq!(headers(&rig.disk, 2)[0].first_lsn, first_later, "{context}");
            rig.writer.request_sync(&rig.staging);
            rig.settle_down();
            assert_eq!((rig.writer.synced(), rig.retired.len()), (3, 1), "{context}");
        }
    }
}

#[test]
fn a_cut_takes_the_place_of_one_that_has_not_parted_the_log_yet() {
    let mut rig = Rig::new(FsyncPolicy::Always);
    rig.serve();
    rig.set(10);
    rig.pump();
    for _ in 0..3 {
        rig.set(10);
        rig.writer.cut(&mut rig.staging);
    }
    let later = rig.set(10);
    rig.settle_down();
    assert_eq!(rig.writer.current().seq, 2);
    assert_eq!(headers(&rig.disk, 1).last().unwrap().last_lsn(), later - 1);
    assert_eq!(headers(&rig.disk, 2)[0].first_lsn, later);
    assert_eq!(recovered(&rig.disk), later);
}

#[test]
fn a_rotation_waits_for_the_next_segment() {
    let mut rig = Rig::new(FsyncPolicy::Always);
    rig.writer.rotate(&rig.staging);
    let later = rig.set(10);
    rig.pump();
    rig.pump();
    assert!(rig.writer.is_rotating() && !rig.ring.is_writing());
    rig.serve();
    rig.settle_down();
    assert_eq!((rig.writer.is_rotating(), rig.writer.released()), (false, later));
    assert_eq!(headers(&rig.disk, 2)[0].first_lsn, later);
}

#[test]
fn a_commit_larger_than_any_segment_goes_into_one_of_its_own() {
    for policy in FsyncPolicy::ALL {
        let mut rig = Rig::new(policy);
        rig.serve();
        rig.set(10);
        rig.settle_down();
        rig.set(300_000);
        rig.settle_down();
        rig.set(10);
        rig.settle_down();
        assert_eq!(rig.writer.written(), 3);
        assert_eq!(rig.writer.current().seq, 3, "{}", policy.name());
        assert_eq!(recovered(&rig.disk), 3);
    }
}

#[test]
fn commits_wait_for_the_next_segment_and_go_on_when_it_is_there() {
    let mut rig = Rig::new(FsyncPolicy::Always);
    for _ in 0..10 {
        rig.set(3000);
        rig.pump();
        rig.complete_write();
        rig.pump();
    }
    assert!(rig.writer.written() < 10 && !rig.ring.is_writing());
    assert_eq!(rig.writer.released(), rig.writer.written());
    rig.serve();
    rig.settle_down();
    assert_eq!(rig.writer.released(), 10);
}

#[test]
fn a_finished_log_is_synced_whole_and_sealed_by_its_end_line() {
    for policy in FsyncPolicy::ALL {
        let mut rig = Rig::new(policy);
        rig.set(10);
        rig.pump();
        rig.set(10);
        rig.writer.start_finish();
        rig.pump();
        rig.settle_down();
        assert!(rig.writer.is_finished());
        let (seq, end, last_lsn) = rig.writer.tail();
        let line = EndLine { run: super::rig::RUN, shard: SHARD, seq, last_lsn };
        let disk = &rig.disk;
        run(async {
            let file = disk.open(&segment_name(seq)).await.unwrap();
            seal_segment(disk, &file, end, &line).await.unwrap();
        });
        let bytes = disk.survivor(1).bytes(&segment_name(seq)).unwrap();
        assert_eq!(EndLine::parse(&bytes[end as usize..]), Some(line));
        assert_eq!(recovered(disk), 2);
    }
}

#[test]
fn stale_commits_of_a_recycled_file_are_never_accepted() {
    // The same bytes under the next sequence number: not overwritten, by mistake.
    let mut rig = Rig::new(FsyncPolicy::No);
    rig.set(10);
    rig.settle_down();
    rig.set(10);
    rig.settle_down();
    let bytes = rig.disk.bytes(&segment_name(1)).unwrap();
    let mut other = Rig::new(FsyncPolicy::No);
    other.set(10);
    other.settle_down();
    let fresh = other.disk.bytes(&segment_name(1)).unwrap();
    for (seq, first) in [(2, 2), (2, 3), (1, 3)] {
        // A commit of this file, and behind it the rest of what the file held before.
        let mut recycled = fresh.clone();
        recycled.extend_from_slice(&bytes[fresh.len()..]);
        let expect = Expect { shard: SHARD, seq, run: None, next_lsn: Some(first) };
        let mut reader = SegmentReader::new(expect, recycled.len() as u64);
        reader.feed(&recycled);
        assert!(matches!(reader.next_item(), Item::Bad { offset: 0, .. }), "{seq} {first}");
        reader.resync();
        let last = reader.next_item();
        assert!(matches!(last, Item::End | Item::Bad { .. }), "{seq} {first}: {last:?}");
    }
    assert!(bytes.len() > 2 * HEADER_BYTES);
}
