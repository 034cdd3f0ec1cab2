//! Stable data that is gone or has changed: found and refused; a repair only for who accepts the
//! loss, and only where the shard once was in the state that is left.

use super::{Directory, Place, Segment, behind, finding, lost, other, two_commits};
use quire_engine::manifest::GLOBAL_SHARD;

const FIRST: &str = "appendonly.aof.1.s0.incr.aof";
const GIVE_UP: &[&str] = &["--accept-loss"];

fn ours(segments: impl IntoIterator<Item = Segment>) -> Place {
    Place::of(&Directory::of(segments).ours())
}

/// Damaged in commit 2 of 4; the last commit claims that 3 were synced.
fn four_commits() -> Segment {
    two_commits().claim(2).commit(&["SET e 5"]).claim(3).commit(&["SET f 6", "SET g 7"])
}

#[test]
fn a_flipped_bit_that_a_later_commit_claims() {
    let segment = four_commits().flip(1, 30);
    let what = finding("damage", "rot", FIRST, Some(segment.offsets[1]));
    let place = ours([segment, other()]);
    let parts = [what, lost(2, 2, 1), behind(3, 5, 2)];
    place.expect(2, &parts.each_ref().map(String::as_str));
    place.not_repaired(&[], &["had been on stable storage", "--accept-loss", "backup"]);
    let said = place.repaired(GIVE_UP, &[("a", "1"), ("c", "3"), ("d", "4")]);
    assert!(said.out.contains("end-of-log line behind LSN 1"), "{}", said.out);
}

#[test]
fn a_zeroed_block_that_a_later_commit_claims() {
    let long = format!("SET b {}", "x".repeat(9000));
    let mut segment = Segment::direct(0, 1).commit(&["SET a 1"]).claim(1).commit(&[&long]);
    segment = segment.claim(2).commit(&["SET e 5"]);
    let at = segment.offsets[1];
    segment.bytes[at + 4096..at + 8192].fill(0);
    let place = ours([segment.filled(1 << 16)]);
    let what = finding("damage", "rot", FIRST, Some(at));
    place.expect(2, &[&what, &lost(2, 2, 1), &behind(3, 3, 1), "\"repair\":\"accept-loss\""]);
    place.repaired(GIVE_UP, &[("a", "1")]);
}

#[test]
fn a_truncated_file_that_the_next_one_follows() {
    let first = four_commits();
    let at = first.offsets[3];
    let torn = first.torn(20);
    let next = Segment::new(0, 3).starting_at(6).claim(5).commit(&["SET h 8"]);
    let place = ours([torn, other(), next]);
    let what = finding("damage", "rot", FIRST, Some(at));
    place.expect(2, &[&what, &lost(4, 5, 1), &behind(6, 6, 1)]);
    let keys = [("a", "1"), ("b", "2"), ("e", "5"), ("c", "3"), ("d", "4")];
    place.repaired(GIVE_UP, &keys);
}

#[test]
fn a_sealed_file_that_lost_its_last_commit() {
    let mut segment = two_commits();
    let at = segment.offsets[1];
    segment.bytes.truncate(at);
    segment.push_end(2);
    let place = ours([segment]);
    place.expect(2, &[&finding("damage", "rot", FIRST, Some(at)), &lost(2, 2, 1)]);
    place.repaired(GIVE_UP, &[("a", "1")]);
}

#[test]
fn a_gap_in_the_lsns_that_a_later_commit_claims() {
    let segment = two_commits().starting_at(5).claim(4).commit(&["SET e 5"]);
    let what = finding("damage", "rot", FIRST, Some(segment.offsets[2]));
    let place = ours([segment]);
    place.expect(2, &[&what, &lost(3, 4, 1), &behind(5, 5, 1)]);
    place.repaired(GIVE_UP, &[("a", "1"), ("b", "2")]);
}

#[test]
fn a_gap_in_the_numbers_where_a_file_went_with_its_line() {
    let third = Segment::new(0, 3).starting_at(9).claim(8).commit(&["SET e 5"]);
    let place = ours([two_commits(), third]);
    let what = finding("damage", "rot", "appendonly.aof.3.s0.incr.aof", Some(0));
    place.expect(2, &[&what, &lost(3, 8, 1), &behind(9, 9, 1)]);
    place.repaired(GIVE_UP, &[("a", "1"), ("b", "2")]);
}

#[test]
fn damage_between_two_commits_that_follow_each_other() {
    let segment = two_commits().raw(b"damage").commit(&["SET e 5"]);
    let at = segment.offsets[2] - 6;
    let place = ours([segment]);
    let what = finding("damage", "damage-between-commits", FIRST, Some(at));
    place.expect(2, &[&what, "\"lost\":null", &behind(3, 3, 1)]);
    place.repaired(GIVE_UP, &[("a", "1"), ("b", "2")]);
}

#[test]
fn an_earlier_run_without_its_end_line() {
    let later = Segment::new(0, 2).of_run(77).commit(&["SET z 1"]);
    let first = two_commits();
    let at = first.bytes.len();
    let place = ours([first, later]);
    place.expect(2, &[&finding("damage", "lost-end-line", FIRST, Some(at))]);
    place.not_repaired(GIVE_UP, &["lost-end-line", "restore"]);
}

#[test]
fn damage_that_a_later_run_builds_on() {
    let later = Segment::new(0, 2).of_run(77).commit(&["SET z 1"]);
    let segment = four_commits().flip(1, 30);
    let at = segment.offsets[1];
    let place = ours([segment.end(), later]);
    let what = finding("damage", "rot", FIRST, Some(at));
    place.expect(2, &[&what, &lost(2, 2, 1), "\"repair\":\"none\""]);
    place.not_repaired(GIVE_UP, &["cutting logs does not repair this", "restore"]);
}

#[test]
fn damage_that_a_global_command_builds_on() {
    let global = Segment::new(GLOBAL_SHARD, 3).starting_at(3).commit(&["SWAPDB 0 1"]).end();
    let mut next = Segment::new(0, 4).starting_at(6).commit(&["SET h 8"]);
    next.first_lsn = Some(6);
    let segment = four_commits().flip(1, 30);
    let at = segment.offsets[1];
    let place = ours([segment, global, next]);
    let what = finding("damage", "rot", FIRST, Some(at));
    place.expect(2, &[&what, &lost(2, 2, 1), "\"repair\":\"none\""]);
    place.not_repaired(GIVE_UP, &["cutting logs does not repair this"]);
}

#[test]
fn a_damaged_global_segment() {
    let global =
        Segment::new(GLOBAL_SHARD, 3).starting_at(3).commit(&["FLUSHDB"]).end().flip(0, 30);
    let place = ours([two_commits(), global]);
    let file = "appendonly.aof.3.g.incr.aof";
    place.expect(2, &[&finding("damage", "damaged-global-segment", file, Some(0))]);
    place.not_repaired(GIVE_UP, &["damaged-global-segment"]);
}

#[test]
fn commits_behind_the_end_line() {
    let segment = two_commits().end();
    let at = segment.bytes.len();
    let place = ours([segment.commit(&["SET e 5"])]);
    place.expect(2, &[&finding("damage", "contradiction", FIRST, Some(at))]);
    place.not_repaired(GIVE_UP, &["contradiction"]);
}

#[test]
fn files_that_overlap() {
    let again = Segment::new(0, 2).starting_at(2).commit(&["SET b 3"]);
    let place = ours([two_commits(), again]);
    let file = "appendonly.aof.2.s0.incr.aof";
    place.expect(2, &[&finding("damage", "contradiction", file, Some(0))]);
    place.not_repaired(GIVE_UP, &["contradiction"]);
}

#[test]
fn two_shards_damaged_at_once_are_both_told() {
    let other = other().claim(2).commit(&["SET h 8"]).flip(0, 20);
    let place = ours([four_commits().flip(2, 20), other]);
    let first = finding("damage", "rot", FIRST, Some(four_commits().offsets[2]));
    let second = finding("damage", "rot", "appendonly.aof.2.s1.incr.aof", Some(0));
    place.expect(2, &[&first, &second, &lost(3, 3, 1), &lost(1, 1, 1)]);
    place.repaired(GIVE_UP, &[("a", "1"), ("b", "2")]);
}
