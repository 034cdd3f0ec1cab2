//! The offline check against recovery: it refuses exactly what recovery refuses, loads the same
//! keys, and what it repairs loads the same keys again, however often the repair crashes.

use super::{
    builder::{Simulated, body, contents, options, recover_disk, resp},
    segments::{Directory, Segment},
};
use quire_engine::{
    io::sim::{Dice, SimDisk, run},
    manifest::{GLOBAL_SHARD, Names},
    recovery::{
        Progress, Team,
        check::{Checked, State, carry_out, check, load, set_aside},
    },
};

pub fn look(disk: &SimDisk) -> Checked {
    let team = Team { readers: &Simulated(disk), threads: 2 };
    run(check(disk, &team, &Names::default(), &Progress::new())).unwrap()
}

fn loaded(disk: &SimDisk, checked: &Checked) -> Result<u64, String> {
    let team = Team { readers: &Simulated(disk), threads: 2 };
    let loaded = run(load(disk, &team, checked, &options(2), &Progress::new()));
    loaded.map(|(loaded, _)| loaded.keys).map_err(|error| error.to_string())
}

pub fn copy(disk: &SimDisk) -> SimDisk {
    let copy = SimDisk::new();
    contents(disk).iter().for_each(|(name, bytes)| copy.put(name, bytes));
    copy
}

/// Two runs, both methods, a global command, rotations, a stock server's commands at the end.
fn directory() -> Directory {
    let global = Segment::new(GLOBAL_SHARD, 4).starting_at(4).commit(&["SWAPDB 0 1"]).end();
    let direct = Segment::direct(1, 3).commit(&["SET b 1"]).claim(1).commit(&["SET bb 2"]);
    let mut rotated = Segment::new(0, 6).of_run(9).starting_at(4).claim(3).commit(&["SET g 7"]);
    rotated.synced = 4;
    let rotated = rotated.commit(&["SET h 8"]).commit(&["SET i 9"]);
    let second = Segment::direct(1, 7).of_run(9).commit(&["SET j 10"]).claim(1);
    Directory::of([
        Segment::new(0, 1).commit(&["SET a 1", "SET aa 2"]).claim(2).commit(&["SET aaa 3"]).end(),
        direct.end(),
        global,
        Segment::new(0, 5).of_run(9).commit(&["SET d 4"]).claim(1).commit(&["SET e 5", "SET f 6"]),
        second.commit(&["SET k 11"]).filled(1 << 14),
        rotated.raw(&body(&["SET a new"])).raw(&resp("INCRBY n 5")),
    ])
    .ours()
}

/// One or a few random changes to a few files.
fn mutate(disk: &SimDisk, dice: &mut Dice) {
    for _ in 0..1 + dice.below(3) {
        let files: Vec<_> = contents(disk).into_iter().collect();
        let (name, mut bytes) = files[dice.below(files.len())].clone();
        let at = dice.below(bytes.len().max(1));
        match dice.below(8) {
            0..=2 if !bytes.is_empty() => bytes[at] ^= 1 << dice.below(8),
            3 => bytes.truncate(at),
            4 if !bytes.is_empty() => {
                let end = (at + 1 + dice.below(300)).min(bytes.len());
                bytes[at..end].fill(0);
            }
            5 => bytes.extend_from_slice(&files[dice.below(files.len())].1),
            6 => bytes = files[dice.below(files.len())].1.clone(),
            7 => {
                let end = (at + dice.below(200)).min(bytes.len());
                bytes.drain(at..end);
            }
            _ => {}
        }
        disk.put(&name, &bytes);
    }
}

#[test]
fn whatever_is_mutated_the_check_refuses_what_recovery_refuses_and_repairs_what_it_would_cut() {
    let whole = directory();
    assert!(whole.recover(2).is_ok(), "the directory itself is fine");
    let mut states = [0; 4];
    for seed in 0..3000 {
        let mut dice = Dice::new(seed);
        let disk = copy(&whole.disk);
        mutate(&disk, &mut dice);
        let before = contents(&disk);
        let checked = look(&disk);
        let loaded = loaded(&disk, &checked);
        assert_eq!(contents(&disk), before, "seed {seed}: looking changes nothing");
        let state = checked.report.state();
        states[state as usize] += 1;
        let recovered = recover_disk(&copy(&disk), 2);
        match (&recovered, &loaded) {
            (Ok((keys, summary)), Ok(count)) => {
                assert_eq!(keys.len() as u64, *count, "seed {seed}");
                assert!(state != State::Damaged, "seed {seed}: {:?}", checked.report.findings);
                let cut = !summary.cuts.is_empty();
                assert!(!cut || state == State::Torn, "seed {seed}: a cut that nobody told");
            }
            (Err(_), Err(_)) => {}
            _ => panic!("seed {seed}: {loaded:?}, recovery {:?}", recovered.map(|r| r.1)),
        }
        // With and without loss: what is left loads, and is clean.
        for accept_loss in [false, true] {
            let disk = copy(&disk);
            let Ok(repair) = run(checked.repair(&disk, &Names::default(), accept_loss)) else {
                continue;
            };
            run(carry_out(&disk, &Names::default(), &checked, &repair)).unwrap();
            let again = look(&disk).report;
            let state = again.state();
            let found = (&checked.report.findings, &again.findings, checked.report.ours);
            assert!(state == State::Clean, "seed {seed}, {accept_loss}: {repair:?} {found:#?}");
            if let (Ok((keys, _)), Ok(repaired)) = (&recovered, recover_disk(&disk, 3)) {
                assert_eq!(repaired.0, *keys, "seed {seed}");
            }
        }
    }
    assert!(states.iter().filter(|&&n| n > 20).count() >= 3, "one-sided: {states:?}");
}

/// Shard 0 is torn, shard 1 has lost stable data, a third file is not there.
fn damaged() -> Directory {
    let torn = Segment::new(0, 1).commit(&["SET a 1"]).claim(1).commit(&["SET b 2"]).torn(3);
    let rot = Segment::new(1, 2).commit(&["SET c 3"]).claim(1).commit(&["SET d 4"]);
    let rot = rot.claim(2).commit(&["SET e 5"]).flip(1, 20);
    let later = Segment::new(1, 3).starting_at(4).claim(3).commit(&["SET f 6"]);
    Directory::of([torn, rot, later]).ours()
}

#[test]
fn a_repair_that_crashes_anywhere_is_finished_by_the_next_one_and_loses_nothing_twice() {
    let names = Names::default();
    let expected = ["a", "c"];
    for nth in 0..60 {
        for seed in 0..8 {
            let disk = damaged().disk;
            let aside = SimDisk::new();
            let checked = look(&disk);
            let repair = run(checked.repair(&disk, &names, true)).unwrap();
            let before = contents(&disk);
            disk.crash_after(nth);
            let copied = run(set_aside(&disk, &aside, &names, &repair));
            let done = match copied {
                Ok(_) => run(carry_out(&disk, &names, &checked, &repair)).is_ok(),
                Err(_) => false,
            };
            let survivor = if disk.crashed() { disk.survivor(seed) } else { copy(&disk) };
            if contents(&survivor) != before {
                let copies = contents(&aside.survivor(seed));
                assert_eq!(copies.len(), 1 + 3, "cut before the copies were stable: crash {nth}");
            }
            let checked = look(&survivor);
            let again = run(checked.repair(&survivor, &names, true)).unwrap();
            assert!(!done || again.is_empty(), "crash {nth}: something is left to do");
            run(carry_out(&survivor, &names, &checked, &again)).unwrap();
            let (keys, _) = recover_disk(&survivor, 2).unwrap();
            let found: Vec<_> = keys.keys().map(|(_, key)| key.as_str()).collect();
            assert_eq!(found, expected, "crash {nth}, seed {seed}");
        }
    }
}
