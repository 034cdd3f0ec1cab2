//! Hand-built directories: which transactions recovery keeps, and where it cuts.

use super::super::{
    builder::{contents, owned, recover_disk, resp},
    check::{copy, look},
    segments::{Directory, Segment},
};
use quire_engine::{
    aof::{Participants, Transaction},
    io::sim::{SimDisk, run},
    manifest::{GLOBAL_SHARD, Names},
    recovery::check::{State, carry_out},
};

fn of(segments: impl IntoIterator<Item = Segment>) -> Directory {
    Directory::of(segments).ours()
}

#[test]
fn a_transaction_on_all_its_shards_is_kept_and_a_marker_counts() {
    let summary = of([
        Segment::new(0, 1).commit(&["SET a 1"]).part(1, 0, &[0, 1], &["SET a 2"]),
        Segment::new(1, 2).part(1, 0, &[0, 1], &[]).commit(&["SET b 3"]),
    ])
    .expect(&[("a", "2"), ("b", "3")]);
    assert_eq!(summary.transaction_cuts, []);
}

#[test]
fn a_transaction_that_one_shard_lacks_goes_with_all_that_follows_it() {
    let summary = of([
        Segment::new(0, 1)
            .commit(&["SET a 1"])
            .part(1, 0, &[0, 1], &["SET a 2"])
            .commit(&["SET a 3", "SET aa 4"]),
        Segment::new(1, 2).commit(&["SET b 5"]),
    ])
    .expect(&[("a", "1"), ("b", "5")]);
    let [cut] = &summary.transaction_cuts[..] else { panic!("{:?}", summary.transaction_cuts) };
    assert_eq!((cut.shard, cut.id, cut.missing_on, cut.last_lsn, cut.commits), (0, 1, 1, 1, 2));
    let text = summary.lines().join("\n");
    assert!(text.contains("transaction 1 had not reached the log of shard 1"), "{text}");
}

#[test]
fn what_goes_takes_other_transactions_with_it() {
    // 1 is missing on shard 3, which takes 2 on shard 1, which takes it on shard 2; 3 stays.
    of([
        Segment::new(0, 1).part(1, 0, &[0, 3], &["SET a 1"]).part(2, 0, &[0, 1], &["SET a 2"]),
        Segment::new(1, 2).commit(&["SET b 0"]).part(2, 0, &[0, 1], &["SET b 2"]).part(
            4,
            0,
            &[1, 2],
            &["SET b 4"],
        ),
        Segment::new(2, 3)
            .part(3, 0, &[2, 4], &["SET c 3"])
            .part(4, 0, &[1, 2], &["SET c 4"])
            .commit(&["SET cc 5"]),
        Segment::new(3, 4).commit(&["SET d 0"]),
        Segment::new(4, 5).part(3, 0, &[2, 4], &["SET e 3"]),
    ])
    .expect(&[("b", "0"), ("c", "3"), ("d", "0"), ("e", "3")]);
}

#[test]
fn a_log_that_holds_a_later_transaction_needs_no_earlier_one() {
    // Shard 1's part of transaction 1 is in a base.
    let mut later = Segment::new(1, 2).starting_at(5).part(2, 0, &[0, 1], &["SET b 2"]);
    later.first_lsn = Some(5);
    of([
        Segment::new(0, 1).part(1, 0, &[0, 1], &["SET a 1"]).part(2, 0, &[0, 1], &["SET a 2"]),
        later,
    ])
    .expect(&[("a", "2"), ("b", "2")]);
}

#[test]
fn a_transaction_that_was_stable_and_is_gone_is_refused_as_rot_is() {
    let directory = || {
        of([
            Segment::new(0, 1).part(1, 1, &[0, 1], &["SET a 1"]).part(2, 2, &[0, 2], &["SET a 2"]),
            Segment::new(1, 2).commit(&["SET b 1"]),
            Segment::new(2, 3).part(2, 2, &[0, 2], &["SET c 2"]),
        ])
    };
    directory().refused(&["appendonly.aof.2.s1", "log of shard 1 ends before transaction 1"]);
    // The offline check says the same, and cuts only when the loss is accepted.
    let disk = directory().disk;
    let checked = look(&disk);
    assert_eq!(checked.report.findings[0].kind, "lost-transaction");
    let names = Names::default();
    assert!(run(checked.repair(&disk, &names, false)).is_err());
    let repair = run(checked.repair(&disk, &names, true)).unwrap();
    run(carry_out(&disk, &names, &checked, &repair)).unwrap();
    assert_eq!(look(&disk).report.state(), State::Clean);
    let (keys, _) = recover_disk(&disk, 2).unwrap();
    assert_eq!(super::flat_keys(&keys), owned(&[("b", "1")]));
}

#[test]
fn many_stable_transactions_are_forgotten_and_still_must_be_there() {
    let part = |segment: Segment, id: u64| segment.part(id, id, &[0, 1], &[]);
    let log = |shard: u16, upto| (1..=upto).fold(Segment::new(shard, u64::from(shard) + 1), part);
    of([log(0, 50), log(1, 50)]).expect(&[]);
    // One behind is what a crash does; two is not, since the last one says that 49 was stable.
    let summary = of([log(0, 50), log(1, 49)]).expect(&[]);
    assert_eq!(summary.transaction_cuts.len(), 1);
    of([log(0, 50), log(1, 48)]).refused(&["shard 1 ends before transaction 49"]);
    // Also one that is named only by those that are forgotten.
    let then = |segment, ids: std::ops::RangeInclusive<u64>| {
        ids.fold(segment, |segment: Segment, id| segment.part(id, id, &[0, 2], &[]))
    };
    let [first, third] = [then(log(0, 10), 11..=20), then(Segment::new(2, 3), 11..=20)];
    of([first, log(1, 8), third]).refused(&["shard 1 ends before transaction 10"]);
    // A shard without any log has lost all of them.
    of([log(0, 50)]).refused(&["shard 1 ends before transaction 49"]);
}

#[test]
fn only_the_last_run_is_looked_at() {
    let summary = of([
        Segment::new(0, 1).of_run(3).part(9, 0, &[0, 1], &["SET a 1"]).end(),
        Segment::new(0, 2).of_run(4).part(1, 0, &[0, 1], &["SET b 2"]),
        Segment::new(1, 3).of_run(4).part(1, 0, &[0, 1], &["SET c 3"]),
    ])
    .expect(&[("a", "1"), ("b", "2"), ("c", "3")]);
    assert_eq!(summary.transaction_cuts, []);
}

/// Shard 0's log over three files, cut in the first; what follows claims to be stable.
fn rotated() -> Directory {
    let first = Segment::new(0, 1).commit(&["SET a 1"]).part(1, 0, &[0, 1], &["SET a 2"]).end();
    let second = Segment::direct(0, 3).starting_at(3).claim(2).commit(&["SET b 3"]).claim(3);
    let third = Segment::new(0, 4).starting_at(5).claim(4).commit(&["SET d 5"]);
    of([
        first,
        Segment::direct(1, 2).commit(&["SET c 1"]).filled(1 << 13),
        second.part(2, 0, &[0, 2], &["SET b 4"]).filled(1 << 14),
        Segment::new(2, 5).commit(&["SET e 1"]).part(2, 0, &[0, 2], &["SET e 2"]),
        third,
    ])
}

#[test]
fn a_cut_reaches_back_over_rotations_and_a_crash_anywhere_in_it_changes_nothing() {
    let expected = owned(&[("a", "1"), ("c", "1"), ("e", "1")]);
    rotated().expect(&[("a", "1"), ("c", "1"), ("e", "1")]);
    let whole = rotated().disk;
    recover_disk(&whole, 2).unwrap();
    let operations = whole.operations();
    assert!(operations > 15, "only {operations} operations");
    for at in 1..=operations {
        let disk = rotated().disk;
        disk.crash_after(at);
        let _ = recover_disk(&disk, 2);
        for seed in 0..12 {
            let image = if seed == 0 { disk.killed() } else { disk.survivor(at * 31 + seed) };
            let what = format!("crash after {at}, dice {seed}");
            let (keys, _) =
                recover_disk(&image, 3).unwrap_or_else(|error| panic!("{what}: {error}"));
            assert_eq!(super::flat_keys(&keys), expected, "{what}");
        }
    }
}

#[test]
fn a_cut_never_reaches_behind_a_global_command() {
    let global = Segment::new(GLOBAL_SHARD, 3).starting_at(1).commit(&["SWAPDB 0 1"]).end();
    of([
        Segment::new(0, 1).part(1, 0, &[0, 1], &["SET a 1"]).end(),
        Segment::new(1, 2).commit(&["SET b 1"]).end(),
        global,
        Segment::new(0, 4).starting_at(2).commit(&["SET a 2"]),
    ])
    .refused(&["appendonly.aof.1.s0", "shard 1 ends before transaction 1", "aof.3.g.incr"]);
}

#[test]
fn what_a_stock_server_has_loaded_stays_and_goes_on_staying() {
    let appended = [resp("SELECT 0"), resp("SET z 9")].concat();
    let directory = of([
        Segment::new(1, 2).commit(&["SET b 1"]),
        Segment::new(0, 1).part(1, 0, &[0, 1], &["SET a 1"]).commit(&["SET aa 2"]).raw(&appended),
    ]);
    // `expect` recovers twice: the second time an end-of-log line stands behind the commands.
    let summary = directory.expect(&[("a", "1"), ("aa", "2"), ("b", "1"), ("z", "9")]);
    assert_eq!((summary.torn_history, summary.transaction_cuts.len()), (Some(1), 0));
    assert!(summary.lines().join("\n").contains("a Redis server has loaded it"));
}

#[test]
fn the_offline_check_tells_a_cut_and_carries_it_out() {
    let disk = rotated().disk;
    let before = contents(&disk);
    let checked = look(&disk);
    assert_eq!(contents(&disk), before);
    assert_eq!(checked.report.state(), State::Torn);
    let told: Vec<_> = checked.report.findings.iter().map(|f| (f.kind, f.shard)).collect();
    assert_eq!(told, [("incomplete-transaction", Some(0)), ("incomplete-transaction", Some(2))]);
    let lost = checked.report.findings[0].lost.unwrap();
    assert_eq!((lost.first, lost.last, lost.commits), (2, Some(5), 4));
    let shards: Vec<_> =
        checked.report.shards.iter().map(|s| (s.transactions, s.settled)).collect();
    assert_eq!(shards, [(2, Some(1)), (0, Some(1)), (1, Some(1))]);
    let names = Names::default();
    let repaired = copy(&disk);
    let repair = run(checked.repair(&repaired, &names, false)).unwrap();
    run(carry_out(&repaired, &names, &checked, &repair)).unwrap();
    assert_eq!(look(&repaired).report.state(), State::Clean);
    assert_eq!(recover_disk(&repaired, 2).unwrap().0, recover_disk(&disk, 2).unwrap().0);
}

#[test]
fn a_line_that_no_participant_is_named_in_is_nothing_to_wait_for() {
    let nobody = Transaction { id: 1, participants: Participants::default() };
    assert!(nobody.participants.is_empty());
    let disk: SimDisk = of([Segment::new(0, 1).part(1, 0, &[], &["SET a 1"])]).disk;
    assert_eq!(recover_disk(&disk, 1).unwrap().1.transaction_cuts, []);
}
