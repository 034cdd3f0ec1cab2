//! The directory itself: manifests, missing and strange files.

use super::{Directory, Place, Segment, behind, finding, lost, other, two_commits};
use quire_engine::manifest::Kind;
use std::fs;

const FIRST: &str = "appendonly.aof.1.s0.incr.aof";
const SECOND: &str = "appendonly.aof.2.s1.incr.aof";
const MANIFEST: &str = "appendonly.aof.manifest";
const GIVE_UP: &[&str] = &["--accept-loss"];

fn ours(segments: impl IntoIterator<Item = Segment>) -> Place {
    Place::of(&Directory::of(segments).ours())
}

#[test]
fn a_missing_file_in_the_middle_of_a_log() {
    let middle = Segment::new(0, 3).starting_at(3).claim(2).commit(&["SET e 5", "SET f 6"]);
    let last = Segment::new(0, 4).starting_at(5).claim(4).commit(&["SET g 7"]);
    let place = ours([two_commits(), other(), middle, last]);
    let gone = "appendonly.aof.3.s0.incr.aof";
    fs::remove_file(place.log().join(gone)).expect("it was made");
    let rot = finding("damage", "rot", "appendonly.aof.4.s0.incr.aof", Some(0));
    let missing = finding("damage", "missing-file", gone, None);
    place.expect(2, &[&missing, &lost(3, 4, 0), &rot, &behind(5, 5, 1)]);
    place.not_repaired(&[], &["missing-file", "--accept-loss"]);
    place.repaired(GIVE_UP, &[("a", "1"), ("b", "2"), ("c", "3"), ("d", "4")]);
}

#[test]
fn a_missing_last_file() {
    let last = Segment::new(0, 3).starting_at(3).claim(2).commit(&["SET e 5"]);
    let place = ours([two_commits(), last]);
    let gone = "appendonly.aof.3.s0.incr.aof";
    fs::remove_file(place.log().join(gone)).expect("it was made");
    let missing = finding("damage", "missing-file", gone, None);
    let lost = "\"lost\":{\"first_lsn\":3,\"last_lsn\":null,\"batches\":null";
    place.expect(2, &[&missing, "\"shard\":0", lost]);
    place.repaired(GIVE_UP, &[("a", "1"), ("b", "2")]);
}

#[test]
fn swapped_files() {
    let place = ours([two_commits(), other()]);
    let (first, second) = (place.log().join(FIRST), place.log().join(SECOND));
    let bytes = fs::read(&first).expect("it was made");
    fs::copy(&second, &first).expect("both are ours");
    fs::write(&second, bytes).expect("it is ours");
    let parts = [FIRST, SECOND].map(|file| finding("damage", "swapped-file", file, Some(0)));
    place.expect(2, &[&parts[0], &parts[1], "file 2 of shard 1", "file 1 of shard 0"]);
    place.not_repaired(GIVE_UP, &["swapped-file", "give the files back their own names"]);
}

#[test]
fn a_file_of_another_run() {
    let place = ours([two_commits(), other()]);
    let foreign = two_commits();
    let foreign = Segment::new(foreign.shard, 1).of_run(66).commit(&["SET a 9"]);
    fs::write(place.log().join(FIRST), &foreign.bytes).expect("it is ours");
    let what = finding("damage", "swapped-file", FIRST, Some(0));
    place.expect(2, &[&what, "in run 0000000000000042"]);
    place.not_repaired(GIVE_UP, &["swapped-file"]);
}

#[test]
fn a_file_under_another_shards_name() {
    let mut directory = Directory::of([other()]);
    let wrong = "appendonly.aof.1.s3.incr.aof";
    directory.add_file(wrong, Kind::Incr, &two_commits().bytes);
    let place = Place::of(&directory.ours());
    let what = finding("damage", "swapped-file", wrong, Some(0));
    place.expect(2, &[&what, "\"shard\":3", "file 1 of shard 0"]);
    place.not_repaired(GIVE_UP, &["swapped-file"]);
}

#[test]
fn a_duplicate_seq() {
    let mut directory = Directory::of([two_commits(), other()]);
    directory.manifest.files[1].seq = 1;
    let place = Place::of(&directory.ours());
    let what = finding("damage", "bad-manifest", MANIFEST, None);
    place.expect(2, &[&what, "line 2", "non-monotonic sequence number"]);
    place.not_repaired(GIVE_UP, &["bad-manifest"]);
}

#[test]
fn two_files_with_one_number() {
    let place = ours([two_commits(), Segment::new(1, 1).commit(&["SET c 3"])]);
    let file = "appendonly.aof.1.s1.incr.aof";
    place.expect(2, &[&finding("damage", "duplicate-number", file, None), FIRST]);
    place.not_repaired(GIVE_UP, &["duplicate-number"]);
}

#[test]
fn two_bases() {
    let mut directory = Directory::of([two_commits()]);
    directory.add_file("appendonly.aof.8.base.aof", Kind::Base, b"");
    directory.add_file("appendonly.aof.9.base.aof", Kind::Base, b"");
    let place = Place::of(&directory.ours());
    place.expect(
        2,
        &[&finding("damage", "bad-manifest", MANIFEST, None), "line 3", "duplicate base"],
    );
    place.not_repaired(GIVE_UP, &["bad-manifest"]);
}

#[test]
fn a_bad_manifest_line() {
    let place = ours([two_commits()]);
    fs::write(place.log().join(MANIFEST), format!("file {FIRST} seq 1 type i\nfile x seq\n"))
        .expect("it is ours");
    place.expect(2, &[&finding("damage", "bad-manifest", MANIFEST, None), "line 2"]);
    place.not_repaired(GIVE_UP, &["bad-manifest"]);
}

#[test]
fn an_edited_manifest() {
    let place = ours([two_commits(), other()]);
    let path = place.log().join(MANIFEST);
    let text = fs::read_to_string(&path).expect("it was made");
    fs::write(&path, text.replace(FIRST, "appendonly.aof.2.s1.incr.aof ").replace("  ", " "))
        .expect("it is ours");
    place.expect(2, &["\"kind\":\"bad-manifest\"", "listed twice"]);
    fs::write(&path, text.replace("seq 2", "seq 3")).expect("it is ours");
    place.expect(
        2,
        &[&finding("damage", "edited-manifest", MANIFEST, None), "delete the last line"],
    );
    place.not_repaired(GIVE_UP, &["edited-manifest"]);
}

#[test]
fn no_manifest() {
    let place = Place::of(&Directory::of([two_commits()]));
    place.expect(2, &[&finding("damage", "no-manifest", MANIFEST, None), FIRST]);
    place.not_repaired(GIVE_UP, &["no-manifest"]);
}

#[test]
fn strange_files_are_noted_and_lose_nothing() {
    let place = ours([two_commits().end()]);
    for name in ["appendonly.aof.manifest.quire-new", "appendonly.aof.7.s0.incr.aof", "notes.txt"] {
        fs::write(place.log().join(name), "x").expect("the directory is ours");
    }
    let note = |kind, file| finding("note", kind, file, None);
    place.expect(
        0,
        &[
            &note("unfinished-manifest", "appendonly.aof.manifest.quire-new"),
            &note("unlisted-file", "appendonly.aof.7.s0.incr.aof"),
            &note("other-file", "notes.txt"),
            "\"state\":\"clean\"",
        ],
    );
}

#[test]
fn a_file_that_cannot_be_read_is_told_and_the_others_are_checked() {
    let place = ours([two_commits(), other().claim(2).commit(&["SET h 8"]).flip(0, 20)]);
    let path = place.log().join(FIRST);
    fs::remove_file(&path).expect("it was made");
    // A link to itself cannot be opened, by root neither.
    std::os::unix::fs::symlink(FIRST, &path).expect("the directory is ours");
    let said = place.run(&["--json"]);
    assert_eq!(said.code, 2, "{}{}", said.out, said.err);
    assert!(said.out.contains("\"kind\":\"rot\",\"file\":\"appendonly.aof.2.s1"), "{}", said.out);
    assert!(said.out.contains(FIRST), "{}", said.out);
}
