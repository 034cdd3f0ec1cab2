//! Hand-built log directories, each in one odd state: what is loaded, or the sentence that says
//! why the server does not start.

use crate::recovery::{
    builder::{Directory, Segment, body, resp},
    librarian::opened,
};
use quire_engine::{
    aof::header::END_BYTES,
    manifest::{GLOBAL_SHARD, Kind},
};

const MANIFEST: &str = "appendonly.aof.manifest";

/// Two keys on the first segment of shard 0: LSN 1 and 2.
fn two_commits() -> Segment {
    Segment::new(0, 1).commit(&["SET a 1"]).claim(1).commit(&["SET b 2"])
}

#[test]
fn whole_logs_load() {
    let other = Segment::new(1, 2).commit(&["SET c 3", "DEL c", "SET d 4"]);
    let directory = Directory::of([two_commits(), other]).ours();
    let summary = directory.expect(&[("a", "1"), ("b", "2"), ("d", "4")]);
    assert_eq!((summary.commits, summary.commands, summary.cuts.len()), (3, 5, 0));
}

#[test]
fn an_empty_directory_is_a_fresh_start() {
    let directory = Directory::new();
    directory.expect(&[]);
    directory.disk.put("appendonly.aof.manifest.quire-new", b"file torn");
    directory.expect(&[]);
}

#[test]
fn log_files_without_a_manifest_are_refused() {
    let directory = Directory::of([two_commits()]);
    directory.refused(&[MANIFEST, "no such file", "appendonly.aof.1.s0.incr.aof"]);
}

#[test]
fn a_missing_file_is_refused_by_name() {
    let mut directory = Directory::of([two_commits()]);
    directory.add_file("appendonly.aof.9.s1.incr.aof", Kind::Incr, b"");
    let directory = directory.ours();
    let without = Directory::of([two_commits()]);
    without.disk.put(MANIFEST, &directory.disk.bytes(MANIFEST).unwrap());
    without.refused(&["appendonly.aof.9.s1.incr.aof", "it is not there", "restore"]);
}

#[test]
fn a_torn_manifest_is_refused_with_its_line() {
    let directory = Directory::of([two_commits()]).ours();
    let text = directory.disk.bytes(MANIFEST).unwrap();
    directory.disk.put(MANIFEST, &text[..20]);
    directory.refused(&[MANIFEST, "line 1", "cut short"]);
    directory.disk.put(MANIFEST, b"");
    directory.refused(&[MANIFEST, "empty AOF manifest"]);
    // Without its trailer it may be a stock server's: a listed file decides.
    let line_end = text.iter().position(|&b| b == b'\n').unwrap();
    directory.disk.put(MANIFEST, &text[..=line_end]);
    directory.expect(&[("a", "1"), ("b", "2")]);
}

#[test]
fn an_edited_manifest_is_refused_until_its_trailer_is_deleted() {
    let other = Segment::new(1, 2).commit(&["SET c 3"]);
    let directory = Directory::of([two_commits(), other]).ours();
    let text = String::from_utf8(directory.disk.bytes(MANIFEST).unwrap()).unwrap();
    let without: Vec<&str> = text.lines().filter(|line| !line.contains("s1")).collect();
    directory.disk.put(MANIFEST, format!("{}\n", without.join("\n")).as_bytes());
    directory.refused(&[MANIFEST, "checksum does not match", "delete the last line"]);
    directory.disk.put(MANIFEST, format!("{}\n", without[0]).as_bytes());
    let summary = directory.expect(&[("a", "1"), ("b", "2")]);
    assert!(!summary.ours && summary.leftovers == 0);
}

#[test]
fn a_manifest_left_half_written_beside_the_real_one_is_ignored() {
    let directory = Directory::of([two_commits()]).ours();
    directory.disk.put("appendonly.aof.manifest.quire-new", b"file nonsense");
    directory.expect(&[("a", "1"), ("b", "2")]);
}

#[test]
fn a_duplicate_seq_is_refused() {
    let mut directory = Directory::of([two_commits(), Segment::new(1, 2)]);
    directory.manifest.files[1].seq = 1;
    directory.ours().refused(&[MANIFEST, "line 2", "non-monotonic sequence number"]);
}

#[test]
fn two_files_with_one_number_are_refused() {
    let directory = Directory::of([two_commits(), Segment::new(1, 1)]).ours();
    directory.refused(&["appendonly.aof.1.s1", "appendonly.aof.1.s0", "same number"]);
}

#[test]
fn a_torn_tail_is_cut_and_counted() {
    for torn in [1, 20, 60, 120] {
        let segment = two_commits().claim(1).commit(&["SET c 3"]).torn(torn);
        let directory = Directory::of([segment]).ours();
        let summary = directory.expect(&[("a", "1"), ("b", "2")]);
        assert_eq!(summary.cuts.len(), 1, "torn by {torn}");
        assert_eq!(summary.cuts[0].last_lsn, 2);
    }
    let summary = Directory::of([two_commits().torn(1)]).ours().expect(&[("a", "1")]);
    assert_eq!((summary.cuts[0].commits, summary.cuts[0].last_lsn), (1, 1));
    let lines = summary.lines();
    assert!(lines[1].contains("Shard 0: unsynced tail cut off at offset"), "{lines:?}");
}

#[test]
fn a_tail_of_zeros_is_cut() {
    let directory = Directory::of([two_commits().raw(&[0; 5000])]).ours();
    directory.expect(&[("a", "1"), ("b", "2")]);
}

#[test]
fn damage_without_a_later_claim_is_an_unsynced_tail() {
    // Everysec: the page of commit 2 was not written back before the power cut, that of 3 was.
    let segment = two_commits().claim(1).commit(&["SET c 3"]).flip(1, 30);
    let summary = Directory::of([segment]).ours().expect(&[("a", "1")]);
    assert_eq!((summary.cuts[0].commits, summary.cuts[0].last_lsn), (2, 1));
}

#[test]
fn damage_below_a_later_claim_is_rot() {
    let segment = two_commits().claim(2).commit(&["SET c 3"]).flip(1, 30);
    let (bad, proof) = (segment.offsets[1].to_string(), segment.offsets[2].to_string());
    Directory::of([segment]).ours().refused(&[
        "appendonly.aof.1.s0.incr.aof",
        &format!("at offset {bad}"),
        "bad checksum",
        "LSN 2",
        &format!("the commit at offset {proof}"),
        "restore",
    ]);
}

#[test]
fn a_hole_in_a_prefilled_segment_is_an_unsynced_tail_until_somebody_claims_it() {
    let hole = |claim| {
        let mut segment = Segment::direct(0, 1).commit(&["SET a 1"]).claim(1);
        segment.next = 3;
        segment.bytes.extend_from_slice(&quire_engine::aof::header::filler(4096));
        segment.claim(claim).commit(&["SET c 3"]).filled(1 << 16)
    };
    let summary = Directory::of([hole(1)]).ours().expect(&[("a", "1")]);
    assert_eq!((summary.cuts[0].commits, summary.cuts[0].last_lsn), (1, 1));
    Directory::of([hole(2)]).ours().refused(&["LSN 3 where LSN 2 was due", "synced"]);
}

#[test]
fn a_gap_between_files_follows_the_same_rule() {
    let first = || Segment::new(0, 1).commit(&["SET a 1"]);
    let later = |claim| Segment::new(0, 2).starting_at(3).claim(claim).commit(&["SET c 3"]);
    let summary = Directory::of([first(), later(1)]).ours().expect(&[("a", "1")]);
    assert_eq!(summary.cuts[0].file, "appendonly.aof.2.s0.incr.aof");
    Directory::of([first(), later(2)]).ours().refused(&["appendonly.aof.2.s0", "LSN 2"]);
}

#[test]
fn a_cut_drops_later_files_of_its_shard_and_of_no_other() {
    let directory = Directory::of([
        two_commits().torn(1),
        Segment::new(1, 2).commit(&["SET x 9"]),
        Segment::new(0, 3).starting_at(3).claim(1).commit(&["SET c 3"]),
    ])
    .ours();
    let summary = directory.expect(&[("a", "1"), ("x", "9")]);
    assert_eq!(summary.cuts.len(), 1);
    assert_eq!(summary.cuts[0].commits, 2);
}

#[test]
fn the_first_commits_lost_with_a_later_claim_are_rot() {
    let lost = Segment::new(0, 1).starting_at(3).claim(2).commit(&["SET c 3"]);
    Directory::of([lost]).ours().refused(&["LSN 1"]);
}

#[test]
fn stale_commits_of_a_recycled_file_are_nothing() {
    // The file had number 1 before, was renamed to 7, and its filler was torn.
    let old = Segment::direct(0, 1).commit(&["SET old 1"]).claim(1).commit(&["SET old 2"]);
    let new = Segment::direct(0, 7).commit(&["SET a 1"]).raw(&old.bytes);
    Directory::of([new]).ours().expect(&[("a", "1")]);
    let other_run = Segment::direct(0, 7).of_run(5).commit(&["SET old 1"]).claim(9);
    let other_run = other_run.commit(&["SET old 2"]);
    let new = Segment::direct(0, 7).commit(&["SET a 1"]).raw(&other_run.bytes);
    Directory::of([new]).ours().expect(&[("a", "1")]);
    let other_shard = Segment::direct(1, 7).starting_at(2).commit(&["SET old 2"]);
    let new = Segment::direct(0, 7).commit(&["SET a 1"]).raw(&other_shard.bytes);
    Directory::of([new]).ours().expect(&[("a", "1")]);
}

#[test]
fn a_copy_of_the_log_inside_a_value_is_not_the_log() {
    let copy = two_commits();
    let mut segment = two_commits();
    let text = String::from_utf8(copy.bytes).unwrap();
    let mut value = resp("SELECT 0");
    value
        .extend_from_slice(format!("*3\r\n$3\r\nSET\r\n$1\r\nv\r\n${}\r\n", text.len()).as_bytes());
    value.extend_from_slice(text.as_bytes());
    value.extend_from_slice(b"\r\n");
    segment.push_commit(&value, 1);
    let whole = Directory::of([Segment { bytes: segment.bytes.clone(), ..two_commits() }]);
    whole.ours().expect(&[("a", "1"), ("b", "2"), ("v", text.as_str())]);
    // Damaged, the copies inside it prove nothing.
    Directory::of([segment.flip(2, 5)]).ours().expect(&[("a", "1"), ("b", "2")]);
    let mut other = two_commits().of_run(66);
    other.push_end(9);
    let line = &other.bytes[other.bytes.len() - END_BYTES..];
    let mut segment = two_commits();
    let set = b"*3\r\n$3\r\nSET\r\n$1\r\nv\r\n$69\r\n";
    segment.push_commit(&[set, line, b"\r\n"].concat(), 1);
    Directory::of([segment.flip(2, 5)]).ours().expect(&[("a", "1"), ("b", "2")]);
}

#[test]
fn a_torn_end_line_of_a_segment_that_was_being_sealed_loses_nothing() {
    let next = || Segment::new(0, 2).starting_at(3).claim(2).commit(&["SET c 3"]);
    let expected = [("a", "1"), ("b", "2"), ("c", "3")];
    for torn in 1..END_BYTES {
        let summary = Directory::of([two_commits().end().torn(torn), next()]).ours();
        assert_eq!(summary.expect(&expected).cuts, [], "torn by {torn}");
    }
    // With something missing it stays a break.
    let later = Segment::new(0, 2).starting_at(4).claim(3).commit(&["SET c 3"]);
    let directory = Directory::of([two_commits().end().torn(9), later]).ours();
    directory.refused(&["LSN 3", "appendonly.aof.1.s0"]);
}

#[test]
fn damage_between_commits_that_follow_each_other_is_refused() {
    let segment = two_commits().raw(b"damage").commit(&["SET c 3"]);
    Directory::of([segment]).ours().refused(&["between two commits", "appendonly.aof.1.s0"]);
}

#[test]
fn files_that_overlap_are_refused() {
    let again = Segment::new(0, 2).starting_at(2).commit(&["SET b 3"]);
    Directory::of([two_commits(), again]).ours().refused(&[
        "appendonly.aof.2.s0.incr.aof at offset 0",
        "behind LSN 1",
        "reached LSN 2",
        "put together",
    ]);
}

#[test]
fn a_sealed_file_that_lost_its_last_commit_is_rot() {
    let mut segment = two_commits();
    segment.bytes.truncate(segment.offsets[1]);
    segment.push_end(2);
    Directory::of([segment]).ours().refused(&["LSN 2", "the end-of-log line", "covers it"]);
    // The same with the commit damaged instead of gone.
    let flipped = two_commits().flip(1, 30).end();
    Directory::of([flipped]).ours().refused(&["bad checksum", "the end-of-log line"]);
    // The same over files.
    let second = Segment::new(0, 2).starting_at(3).end();
    Directory::of([two_commits().torn(1), second]).ours().refused(&["LSN 2", "2.s0"]);
}

#[test]
fn a_file_of_an_earlier_run_without_its_end_line_is_refused() {
    let later = || Segment::new(0, 2).of_run(77).commit(&["SET z 1"]);
    Directory::of([two_commits(), later()])
        .ours()
        .refused(&["appendonly.aof.1.s0.incr.aof", "has lost its end-of-log line"]);
    let directory = Directory::of([two_commits().end(), later()]).ours();
    directory.expect(&[("a", "1"), ("b", "2"), ("z", "1")]);
}

#[test]
fn commits_behind_an_end_line_are_refused() {
    let segment = two_commits().end().commit(&["SET c 3"]);
    Directory::of([segment]).ours().refused(&["appendonly.aof.1.s0", "put together"]);
    let mut wrong = two_commits();
    wrong.push_end(1);
    Directory::of([wrong]).ours().refused(&["LSN 1", "LSN 2", "put together"]);
}

#[test]
fn unlisted_files_of_ours_are_leftovers() {
    let directory = Directory::of([two_commits()]).ours();
    let stray = Segment::new(0, 5).commit(&["SET stray 1"]);
    directory.disk.put(&stray.name(), &stray.bytes);
    let summary = directory.expect(&[("a", "1"), ("b", "2")]);
    assert_eq!(summary.leftovers, 1);
    assert!(directory.disk.bytes(&stray.name()).is_some(), "deleted before anything is stable");
}

#[test]
fn epochs_are_replayed_in_order_and_global_commands_between_them() {
    let global = |number, line: &str| {
        Segment::new(GLOBAL_SHARD, number).starting_at(number).commit(&[line]).end()
    };
    let directory = Directory::of([
        Segment::new(0, 1).commit(&["SET a 1"]),
        Segment::new(1, 2).commit(&["SET b 2"]),
        global(3, "FLUSHDB"),
        Segment::new(0, 4).starting_at(2).commit(&["SET c 3"]),
        global(5, "SWAPDB 0 1"),
        Segment::new(1, 6).starting_at(2).commit(&["SET d 4"]),
    ])
    .ours();
    directory.expect(&[("1:c", "3"), ("d", "4")]);
}

#[test]
fn a_damaged_global_segment_is_rot() {
    let global =
        Segment::new(GLOBAL_SHARD, 3).starting_at(3).commit(&["FLUSHDB"]).end().flip(0, 30);
    let directory = Directory::of([Segment::new(0, 1).commit(&["SET a 1"]), global]).ours();
    directory.refused(&["appendonly.aof.3.g.incr.aof", "bad checksum", "global command"]);
}

#[test]
fn a_tail_lost_before_a_global_command_is_rot() {
    let global = Segment::new(GLOBAL_SHARD, 3).starting_at(3).commit(&["SWAPDB 0 1"]).end();
    let mut next = Segment::new(0, 4).starting_at(3);
    next.first_lsn = Some(3);
    let directory = Directory::of([two_commits().torn(1), global, next]).ours();
    directory.refused(&["LSN 2", "the manifest says"]);
}

#[test]
fn a_generation_that_began_late_needs_nothing_before_it() {
    let mut first = Segment::new(0, 4).starting_at(501).claim(500).commit(&["SET a 1"]);
    first.first_lsn = Some(501);
    let directory = Directory::of([first]).ours();
    directory.expect(&[("a", "1")]);
}

#[test]
fn many_keys_on_many_shards_are_loaded_in_the_order_they_were_written_in() {
    let mut directory = Directory::new();
    for shard in 0..5 {
        let mut first = Segment::new(shard, 2 * u64::from(shard) + 1);
        let mut second = Segment::new(shard, 2 * u64::from(shard) + 20).starting_at(101);
        for round in 0..100 {
            let line = format!("SET k{shard}:{} {round}", round % 10);
            first.push_commit(&body(&[&line]), 1);
            let line = format!("APPEND k{shard}:{} +{round}", round % 10);
            second.push_commit(&body(&[&line]), 1);
        }
        directory.add(&first);
        directory.add(&second);
    }
    let value =
        |n: usize| (0..10).fold(format!("{}", 90 + n), |v, i| format!("{v}+{}", i * 10 + n));
    let mut expected = Vec::new();
    for shard in 0..5 {
        expected.extend((0..10).map(|n| (format!("k{shard}:{n}"), value(n))));
    }
    let expected: Vec<(&str, &str)> = expected.iter().map(|(k, v)| (&**k, &**v)).collect();
    directory.ours().expect(&expected);
}

#[test]
fn nothing_expires_while_it_is_replayed() {
    let lines = ["SET k 5 PXAT 1000", "INCRBY k 1"];
    let directory = Directory::of([Segment::new(0, 1).commit(&lines)]).ours();
    let (keys, _) = directory.recover(2).unwrap();
    let expected = (("6".to_owned(), Some(1000)), 1);
    assert_eq!((keys[&(0, "k".to_owned())].clone(), keys.len()), expected);
}

#[test]
fn a_stock_directory_without_a_base_loads() {
    let log = [body(&["MSET a 1 b 2 c 3"]), resp("DEL b"), resp("SELECT 2"), resp("SET z 1")];
    let mut directory = Directory::new();
    directory.add_file("appendonly.aof.1.incr.aof", Kind::Incr, &log[..2].concat());
    directory.add_file("appendonly.aof.2.incr.aof", Kind::Incr, &log[2..].concat());
    directory.stocks().expect(&[("2:z", "1"), ("a", "1"), ("c", "3")]);
}

#[test]
fn a_stock_file_is_cut_where_stock_would_cut_it() {
    let with_tail = |tail: &[u8]| {
        let mut directory = Directory::new();
        directory.add_file("appendonly.aof.1.incr.aof", Kind::Incr, &body(&["SET a 1"]));
        let bytes = [&body(&["SET b 2"]), tail].concat();
        directory.add_file("appendonly.aof.2.incr.aof", Kind::Incr, &bytes);
        directory.stocks()
    };
    let expected = [("a", "1"), ("b", "2")];
    let torn = resp("SET c 3");
    with_tail(&torn[..torn.len() - 1]).expect(&expected);
    with_tail(&[resp("MULTI"), resp("SET c 3")].concat()).expect(&expected);
    with_tail(b"garbage").refused(&["appendonly.aof.2.incr.aof", "redis-check-aof"]);
    // In a file that is not the last one stock refuses, too.
    let mut directory = Directory::new();
    directory.add_file("appendonly.aof.1.incr.aof", Kind::Incr, &torn[..torn.len() - 1]);
    directory.add_file("appendonly.aof.2.incr.aof", Kind::Incr, b"");
    directory.stocks().refused(&["appendonly.aof.1.incr.aof", "cut off"]);
}

/// An RDB without keys, checksum off.
const EMPTY_RDB: &[u8] = b"REDIS0010\xfa\x09redis-ver\x067.0.15\xff\0\0\0\0\0\0\0\0";

#[test]
fn an_rdb_base_is_loaded_and_what_it_holds_that_is_not_is_refused_by_name() {
    let with_base = |base: &[u8]| {
        let mut directory = Directory::new();
        directory.add_file("appendonly.aof.1.base.rdb", Kind::Base, base);
        directory.add_file("appendonly.aof.2.incr.aof", Kind::Incr, &body(&["SET a 1"]));
        directory.stocks()
    };
    with_base(EMPTY_RDB).expect(&[("a", "1")]);
    let behind = [EMPTY_RDB, &resp("SET b 2")].concat();
    with_base(&behind).expect(&[("a", "1"), ("b", "2")]);
    with_base(&body(&["SET b 2"])).expect(&[("a", "1"), ("b", "2")]);
    let rdb = |content: &[u8]| {
        let frame: [&[u8]; 3] = [b"REDIS0010\xfe\0", content, b"\xff\0\0\0\0\0\0\0\0"];
        frame.concat()
    };
    with_base(&rdb(b"\0\x01k\x01v")).expect(&[("a", "1"), ("k", "v")]);
    // A log goes on from what its base says.
    let over = [rdb(b"\0\x01a\x01v\0\x01k\x01v"), resp("APPEND k w")].concat();
    with_base(&over).expect(&[("a", "1"), ("k", "vw")]);
    let base = "appendonly.aof.1.base.rdb";
    let twice = b"\0\x01k\x01v\0\x01k\x01w";
    with_base(&rdb(twice)).refused(&[
        base,
        "offset 16",
        "key 'k' of database 0 comes a second time",
    ]);
    let fields = b"\x18\x01\0\0\0\0\0\0\0\x01\x02\x01f\x01v";
    with_base(&rdb(&[b"\x18\x01h", &fields[1..]].concat())).refused(&[
        base,
        "offset 11",
        "deadlines of fields",
    ]);
    with_base(&rdb(b"\x02\x01s\x02\x01a\x01a")).refused(&[base, "offset 11", "comes twice"]);
    with_base(&rdb(b"\xfe\x10\0\x01k\x01v")).refused(&[base, "key 'k' is in database 16"]);
    with_base(&rdb(b"\0\x01k")).refused(&[base, "not a readable RDB file", "value of type 0"]);
    with_base(&EMPTY_RDB[..20]).refused(&[base, "offset 20", "it ends where"]);
}

#[test]
fn a_command_nobody_knows_is_refused_by_name_and_place() {
    let mut directory = Directory::new();
    let log = body(&["SET a 1", "NOSUCH x"]);
    directory.add_file("appendonly.aof.1.incr.aof", Kind::Incr, &log);
    let offset = body(&["SET a 1"]).len();
    let error = directory.stocks().recover(1).unwrap_err().to_string();
    assert!(error.contains(&format!("at offset {offset}")) && error.contains("NOSUCH"), "{error}");
}

/// What a stock server appends.
fn stock_tail() -> Vec<u8> {
    [body(&["SET a new"]), resp("MSET s 1 t 2")].concat()
}

#[test]
fn what_stock_appended_behind_the_end_line_is_replayed_last() {
    let segment = two_commits().end().raw(&stock_tail());
    let other = Segment::new(1, 2).commit(&["SET c 3"]);
    // Not the last file listed: nobody appends there, but it was the last one once.
    let run_a = Segment::new(1, 1).commit(&["SET c 3"]).end();
    let mut last = Segment { number: 2, ..two_commits() };
    last.bytes.clear();
    last.offsets.clear();
    last.next = 1;
    let last = last.commit(&["SET a 1", "SET b 2"]).end().raw(&stock_tail());
    let next_run = Segment::new(0, 3).of_run(99).commit(&["SET b newest"]);
    let directory = Directory::of([run_a, last, next_run]).ours();
    let expected = [("a", "new"), ("b", "newest"), ("c", "3"), ("s", "1"), ("t", "2")];
    directory.expect(&expected);
    // In the middle of a run its place is unknown.
    Directory::of([segment, other]).ours().refused(&["appendonly.aof.1.s0", "order"]);
}

#[test]
fn what_stock_appended_to_an_unrecovered_directory_is_replayed_last() {
    let expected = [("a", "new"), ("b", "2"), ("s", "1"), ("t", "2")];
    let buffered = || two_commits().raw(&stock_tail());
    let summary = Directory::of([buffered()]).ours().expect(&expected);
    assert_eq!(summary.taken_over.as_deref(), Some("appendonly.aof.1.s0.incr.aof"));
    let direct = || {
        let segment = Segment::direct(0, 1).commit(&["SET a 1"]).claim(1).commit(&["SET b 2"]);
        segment.filled(1 << 16).raw(&stock_tail())
    };
    Directory::of([direct()]).ours().expect(&expected);
    // Redis 8 has rewritten the manifest, so nothing says how long the file was.
    Directory::of([direct()]).stocks().expect(&expected);
    // A torn last command of the stock server's is cut off like stock would.
    let torn = [stock_tail(), b"*3\r\n$3\r\nSET".to_vec()].concat();
    let segment = Segment::direct(0, 1).commit(&["SET a 1", "SET b 2"]).filled(8192).raw(&torn);
    Directory::of([segment]).ours().expect(&expected);
    Directory::of([two_commits().raw(&torn)]).ours().expect(&expected);
    let open = [stock_tail(), resp("MULTI"), resp("SET never 1")].concat();
    Directory::of([two_commits().raw(&open)]).ours().expect(&expected);
    Directory::of([two_commits().end().raw(&open)]).ours().expect(&expected);
}

#[test]
fn what_no_stock_server_can_have_appended_is_the_rest_of_a_torn_commit() {
    // A server that has just started selects its database first.
    let summary = Directory::of([two_commits().raw(&resp("SET a new"))]).ours();
    assert_eq!(summary.expect(&[("a", "1"), ("b", "2")]).cuts.len(), 1);
    // What it appended behind damage is not dropped.
    let words = ["Redis server appended", "appendonly.aof.1.s0"];
    let damaged = || two_commits().flip(1, 30);
    Directory::of([damaged().raw(&stock_tail())]).ours().refused(&words);
    let later = damaged().commit(&["SET c 3"]).raw(&stock_tail());
    Directory::of([later]).ours().refused(&words);
    let torn = Segment::direct(0, 1).commit(&["SET a 1"]).claim(1).commit(&["SET b 2"]).flip(1, 30);
    let taken = torn.filled(1 << 16).raw(&stock_tail());
    Directory::of([taken]).ours().refused(&words);
}

#[test]
fn what_stock_appended_over_a_torn_log_is_refused() {
    let torn = Segment::new(1, 1).commit(&["SET x 1"]).torn(3);
    let taken = Segment { number: 2, ..Segment::new(0, 2) }.commit(&["SET a 1"]).raw(&stock_tail());
    let directory = Directory::of([torn, taken]).ours();
    directory.refused(&["appendonly.aof.2.s0", "Redis server appended", "appendonly.aof.1.s1"]);
}

#[test]
fn what_stock_appended_behind_the_whole_commands_of_a_torn_commit_is_not_dropped() {
    let whole = body(&["SET b 2", "SET c 3"]);
    let half = body(&["SET b 2"]).len();
    let mut segment = Segment::new(0, 1).commit(&["SET a 1"]).claim(1);
    segment.push_commit(&whole, 2);
    let left = segment.torn(whole.len() - half);
    let stock = |tail: &[u8]| Segment { bytes: left.bytes.clone(), ..Segment::new(0, 1) }.raw(tail);
    let words = ["appendonly.aof.1.s0", "Redis server appended", "BGREWRITEAOF"];
    Directory::of([stock(&stock_tail())]).ours().refused(&words);
    // Without a stock server: torn at a command's end, and torn while it went over databases.
    Directory::of([stock(b"")]).ours().expect(&[("a", "1")]);
    let mut databases = Segment::new(0, 1).commit(&["SET a 1"]);
    databases.push_commit(&[body(&["SET b 2"]), resp("SELECT 1"), resp("SET c 3")].concat(), 2);
    let flipped = databases.flip(1, body(&["SET b 2"]).len() - 3);
    Directory::of([flipped]).ours().expect(&[("a", "1")]);
}

#[test]
fn the_rest_of_a_torn_commit_is_not_taken_for_a_stock_servers() {
    // The block with the header did not land; the next one begins at a command's boundary.
    let mut commit = Segment::direct(0, 1).commit(&["SET a 1"]).claim(1);
    let pad = "x".repeat(4096 - 177 - 64);
    commit.push_commit(&body(&[&format!("SET b {pad}")]), 1);
    let second = commit.offsets[1];
    let rest = [body(&["SET c 3"]), vec![]].concat();
    let mut bytes = commit.bytes[..second].to_vec();
    bytes.extend_from_slice(&quire_engine::aof::header::filler(4096));
    bytes.extend_from_slice(&rest);
    let segment = Segment { bytes, ..Segment::direct(0, 1) };
    let segment = {
        let used = segment.bytes.len();
        let line = 512 - used % 512;
        let mut padded = segment;
        padded.bytes.push(b'#');
        padded.bytes.extend(std::iter::repeat_n(b'.', line - 2));
        padded.bytes.push(b'\n');
        padded.filled(1 << 16)
    };
    let bytes = segment.bytes.clone();
    Directory::of([segment]).ours().expect(&[("a", "1")]);
    // Nor when nothing says how long the file was.
    let unknown = Segment { bytes, ..Segment::direct(0, 1) };
    Directory::of([unknown]).stocks().expect(&[("a", "1")]);
}

#[test]
fn a_file_that_holds_our_commits_under_a_foreign_name_is_refused() {
    let mut directory = Directory::new();
    directory.add_file("appendonly.aof.1.incr.aof", Kind::Incr, &two_commits().bytes);
    directory.stocks().refused(&["appendonly.aof.1.incr.aof", "another run, shard or file"]);
}

#[test]
fn a_manifest_a_stock_server_rewrote_loses_nothing() {
    let directory = Directory::of([
        two_commits(),
        Segment::new(1, 2).starting_at(501).claim(500).commit(&["SET c 3"]),
        Segment::direct(2, 3).filled(8192),
    ])
    .stocks();
    let summary = directory.expect(&[("a", "1"), ("b", "2"), ("c", "3")]);
    assert!(!summary.ours);
    // From now on the manifest is ours again, and knows where the second log begins.
    opened(&directory.disk);
    let (keys, summary) = directory.recover(2).unwrap();
    assert!(summary.ours && keys.len() == 3, "{keys:?}");
}
