//! What clients were told survives every crash: the log of one shard on the simulated disk,
//! killed and cut off from power after every operation.

mod faults;
mod order;
pub mod rig;

use quire_engine::{
    aof::FsyncPolicy,
    io::sim::{Dice, SimDisk},
};
use rig::{Rig, recovered};

/// Lives a random life up to `turns` turns or the crash.
fn live(seed: u64, policy: FsyncPolicy, mixed: bool, turns: usize, crash: Option<u64>) -> Rig {
    let mut rig = Rig::new(policy);
    if let Some(operation) = crash {
        rig.disk.crash_after(operation);
    }
    let mut dice = Dice::new(seed);
    for _ in 0..turns {
        rig.random_turn(&mut dice, mixed);
        if rig.disk.crashed() {
            break;
        }
    }
    rig
}

/// Checks the promises against what both kinds of crash leave now.
fn check(rig: &mut Rig, seed: u64, what: &str) {
    let (issued, replied, synced) = (rig.issued(), rig.replied, rig.promised_synced);
    for cut in 0..3 {
        let left = recovered(&rig.disk.survivor(seed.wrapping_mul(31).wrapping_add(cut)));
        assert!(
            synced <= left && left <= issued,
            "{what}: {synced} promised, {left} recovered of {issued} after a power cut, dice {cut}"
        );
    }
    rig.ring.abandon(seed.is_multiple_of(2));
    let left = recovered(&rig.disk.killed());
    assert!(
        replied <= left && left <= issued,
        "{what}: {replied} replied, {left} recovered of {issued} after a kill"
    );
}

fn crash_everywhere(policy: FsyncPolicy, mixed: bool, seeds: std::ops::Range<u64>) {
    const TURNS: usize = 120;
    for seed in seeds {
        let whole = live(seed, policy, mixed, TURNS, None);
        let operations = whole.disk.operations() - Rig::new(policy).disk.operations();
        assert!(operations > 20, "seed {seed}: a life without operations proves nothing");
        for operation in 1..=operations {
            let mut rig = live(seed, policy, mixed, TURNS, Some(operation));
            assert!(rig.disk.crashed());
            let what = format!("{} seed {seed} crash after {operation}", policy.name());
            check(&mut rig, seed + operation, &what);
        }
        let what = format!("{} seed {seed} at the end", policy.name());
        check(&mut live(seed, policy, mixed, TURNS, None), seed, &what);
    }
}

#[test]
fn always_keeps_what_was_acknowledged_through_every_crash() {
    crash_everywhere(FsyncPolicy::Always, false, 0..4);
}

#[test]
fn everysec_keeps_what_was_acknowledged_through_every_kill_and_synced_through_every_power_cut() {
    crash_everywhere(FsyncPolicy::EverySec, false, 100..104);
}

#[test]
fn no_keeps_what_was_acknowledged_through_every_kill() {
    crash_everywhere(FsyncPolicy::No, false, 200..204);
}

#[test]
fn changing_policies_keep_each_reply_at_the_level_it_was_given() {
    crash_everywhere(FsyncPolicy::EverySec, true, 300..308);
}

#[test]
fn a_random_life_ends_with_everything_written_and_synced() {
    for seed in 400..430 {
        let policy = FsyncPolicy::ALL[seed as usize % 3];
        let mut rig = live(seed, policy, true, 300, None);
        assert!(rig.writer.stats().rotations > 2, "seed {seed}: lives too short to rotate");
        rig.writer.start_finish();
        rig.settle_down();
        assert!(rig.writer.is_finished(), "seed {seed}: {:?}", rig.writer.failed());
        assert_eq!(rig.writer.synced(), rig.issued());
        let disk: &SimDisk = &rig.disk;
        assert_eq!(recovered(&disk.survivor(seed)), rig.issued());
    }
}
