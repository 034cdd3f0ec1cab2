//! Ends that a crash left behind: found, told with what is lost, cut by a repair as by a start.

use super::{Directory, Place, Segment, finding, lost, other, two_commits};
use quire_engine::aof::header::{HEADER_BYTES, filler};

const FIRST: &str = "appendonly.aof.1.s0.incr.aof";

fn ours(segments: impl IntoIterator<Item = Segment>) -> Place {
    Place::of(&Directory::of(segments).ours())
}

#[test]
fn a_torn_last_commit() {
    let segment = two_commits().claim(1).commit(&["SET e 5", "SET f 6"]).torn(9);
    let at = segment.offsets[2];
    let place = ours([segment, other()]);
    let what = finding("torn", "torn-tail", FIRST, Some(at));
    place.expect(1, &[&what, &lost(3, 4, 1), "\"shard\":0", "\"repair\":\"fix\""]);
    let said = place.repaired(&[], &[("a", "1"), ("b", "2"), ("c", "3"), ("d", "4")]);
    assert!(said.out.contains(&format!("bytes at offset {at}")), "{}", said.out);
}

#[test]
fn a_transaction_that_one_of_its_shards_does_not_have() {
    let segment = Segment::new(0, 1).commit(&["SET a 1"]).part(1, 0, &[0, 1], &["SET a 2"]);
    let at = segment.offsets[1];
    let place = ours([segment, Segment::new(1, 2).commit(&["SET b 2"])]);
    place.expect(1, &[&finding("torn", "incomplete-transaction", FIRST, Some(at))]);
    place.repaired(&[], &[("a", "1"), ("b", "2")]);
}

#[test]
fn half_a_commit_in_a_prefilled_segment() {
    let mut segment = Segment::direct(0, 1).commit(&["SET a 1"]).claim(1);
    segment = segment.commit(&[&format!("SET b {}", "x".repeat(6000))]);
    let at = segment.offsets[1];
    // The first block landed, the second did not.
    segment.bytes.truncate(at + 4096);
    segment.bytes.extend_from_slice(&filler(4096));
    let place = ours([segment.filled(1 << 16)]);
    let what = finding("torn", "torn-tail", FIRST, Some(at));
    place.expect(1, &[&what, &lost(2, 2, 1)]);
    place.repaired(&[], &[("a", "1")]);
}

#[test]
fn a_tail_of_zeros() {
    let segment = two_commits().raw(&[0; 5000]);
    let at = segment.bytes.len() - 5000;
    let place = ours([segment]);
    place.expect(1, &[&finding("torn", "torn-tail", FIRST, Some(at)), "\"settled\":2,"]);
    place.repaired(&[], &[("a", "1"), ("b", "2")]);
}

#[test]
fn a_commit_header_that_did_not_land() {
    let mut segment = two_commits();
    let at = segment.offsets[1];
    segment.bytes[at + 20] = b'?';
    let place = ours([segment]);
    let what = finding("torn", "torn-tail", FIRST, Some(at));
    place.expect(1, &[&what, "\"lost\":{\"first_lsn\":2,\"last_lsn\":null,\"batches\":null"]);
    place.repaired(&[], &[("a", "1")]);
}

#[test]
fn a_flipped_bit_that_no_later_commit_claims() {
    let segment = two_commits().claim(1).commit(&["SET e 5"]).flip(1, 30);
    let what = finding("torn", "torn-tail", FIRST, Some(segment.offsets[1]));
    let place = ours([segment, other()]);
    place.expect(1, &[&what, &lost(2, 3, 2)]);
    place.repaired(&[], &[("a", "1"), ("c", "3"), ("d", "4")]);
}

#[test]
fn a_gap_in_the_lsns_that_no_later_commit_claims() {
    let segment = two_commits().starting_at(5).claim(1).commit(&["SET e 5"]);
    let what = finding("torn", "torn-tail", FIRST, Some(segment.offsets[2]));
    let place = ours([segment]);
    place.expect(1, &[&what, &lost(3, 5, 1)]);
    place.repaired(&[], &[("a", "1"), ("b", "2")]);
}

#[test]
fn a_cut_that_drops_later_files_of_the_shard() {
    let torn = two_commits().torn(3);
    let what = finding("torn", "torn-tail", FIRST, Some(torn.offsets[1]));
    let later = Segment::new(0, 3).starting_at(3).claim(1).commit(&["SET e 5"]);
    let place = ours([torn, other(), later]);
    place.expect(1, &[&what, &lost(2, 3, 2)]);
    place.repaired(&[], &[("a", "1"), ("c", "3"), ("d", "4")]);
}

#[test]
fn stale_bytes_of_a_recycled_file_are_nothing() {
    let old = Segment::direct(0, 1).commit(&["SET old 1"]).claim(1).commit(&["SET old 2"]);
    let new = Segment::direct(0, 7).commit(&["SET a 1"]);
    let at = new.bytes.len();
    let place = ours([new.raw(&old.bytes)]);
    let file = "appendonly.aof.7.s0.incr.aof";
    place.expect(1, &[&finding("torn", "torn-tail", file, Some(at)), "\"settled\":1,"]);
    place.repaired(&[], &[("a", "1")]);
}

#[test]
fn a_torn_end_line() {
    let segment = two_commits().end().torn(5);
    let at = segment.offsets[1] + HEADER_BYTES + super::builder::body(&["SET b 2"]).len();
    let place = ours([segment, other()]);
    place.expect(1, &[&finding("torn", "torn-tail", FIRST, Some(at)), "\"settled\":2,"]);
    place.repaired(&[], &[("a", "1"), ("b", "2"), ("c", "3"), ("d", "4")]);
}

#[test]
fn a_killed_server_leaves_nothing_torn_and_a_repair_seals_it() {
    let direct = Segment::direct(0, 1).commit(&["SET a 1"]).claim(1).commit(&["SET b 2"]);
    let place = ours([direct.filled(1 << 16), other()]);
    place.expect(0, &["\"state\":\"open\"", "\"findings\":[]"]);
    place.repaired(&[], &[("a", "1"), ("b", "2"), ("c", "3"), ("d", "4")]);
    place.expect(0, &["\"state\":\"clean\"", "\"findings\":[]"]);
}
