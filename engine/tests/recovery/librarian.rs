//! The librarian when operations fail: the old manifest stays in force, or it says so.

use super::builder::recover_disk;
use quire_engine::{
    aof::{RetiredSegment, WantSegment},
    io::{
        Method, Storage,
        sim::{Op, SimDisk, run},
    },
    manifest::{Event, Librarian, Names, Position, Request, Trailer, Wanted, load},
    recovery::{Opening, Progress, open, recover},
};

type Opened = quire_engine::recovery::Opened<SimDisk>;

const SEGMENT: WantSegment = WantSegment { method: Method::Direct, bytes: 8192 };

pub fn opened(disk: &SimDisk) -> Opened {
    let progress = Progress::new();
    let recovered = run(recover(disk, &super::builder::options(2), &progress)).unwrap();
    let (_, _, closed) = recovered.split();
    let opening = Opening {
        directory: "/data/log".into(),
        names: Names::default(),
        run: 5,
        shards: vec![SEGMENT; 2],
    };
    run(open(disk.clone(), closed, opening, &progress)).unwrap()
}

fn ask(librarian: &mut Librarian<SimDisk>, request: Request) -> Event {
    let mut events = run(librarian.handle(vec![request]));
    events.remove(0)
}

fn prepare(shard: u16) -> Request {
    Request::Prepare(Wanted { shard, segment: SEGMENT })
}

fn positions(opened: &Opened) -> Vec<Position> {
    let position = |(shard, (_, next)): (u16, &(_, quire_engine::aof::OpenSegment))| Position {
        shard,
        last_lsn: 0,
        next: next.seq,
    };
    (0..).zip(&opened.segments).map(position).collect()
}

/// A snapshot without keys becomes the base.
fn checkpoint(disk: &SimDisk, positions: Vec<Position>, epoch: u64) -> Request {
    let draft = Names::default().draft();
    disk.put(&draft, &[b"REDIS0010\xFF".as_slice(), &[0; 8]].concat());
    Request::Checkpoint { draft, positions, epoch }
}

/// The names of the files without what they have in common.
fn short(names: Vec<String>) -> Vec<String> {
    let short = |name: String| name.replace("appendonly.aof.", "").replace(".incr.aof", "");
    names.into_iter().map(short).collect()
}

/// The manifest on the disk is whole, and all it lists is there.
fn listed(disk: &SimDisk) -> Vec<String> {
    let (manifest, trailer) = run(load(disk, &Names::default())).unwrap().unwrap();
    assert_eq!(trailer, Trailer::Valid);
    let names: Vec<String> = manifest.files.into_iter().map(|entry| entry.name).collect();
    for name in &names {
        assert!(disk.bytes(name).is_some(), "{name} is listed and not there");
    }
    names
}

#[test]
fn a_full_disk_fails_a_segment_cleanly_and_the_next_one_has_a_new_number() {
    let disk = SimDisk::new();
    let mut opened = opened(&disk);
    let before = listed(&disk);
    let used = disk.used();
    disk.set_capacity(Some(used + 4096));
    for _ in 0..2 {
        match ask(&mut opened.librarian, prepare(1)) {
            Event::PrepareFailed { shard: 1, error } => assert_eq!(error.errno, libc::ENOSPC),
            other => panic!("{other:?}"),
        }
        assert_eq!(disk.used(), used, "space is kept by a file nobody can use");
    }
    assert_eq!(listed(&disk), before);
    disk.set_capacity(None);
    match ask(&mut opened.librarian, prepare(1)) {
        Event::Prepared { shard: 1, segment } => {
            assert_eq!(segment.seq, 7, "numbers 5 and 6 were used up");
            assert_eq!(segment.path.to_str(), Some("/data/log/appendonly.aof.7.s1.incr.aof"));
            assert_eq!(segment.capacity, 8192);
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn segments_asked_for_together_share_one_switch() {
    let cost = |requests: Vec<Request>| {
        let disk = SimDisk::new();
        let mut opened = opened(&disk);
        let before = disk.operations();
        assert_eq!(run(opened.librarian.handle(requests.clone())).len(), requests.len());
        disk.operations() - before
    };
    let one = cost(vec![prepare(0)]);
    let switch = 5; // sync_dir, write, sync, rename (create is one, too), sync_dir
    assert!(cost(vec![prepare(0), prepare(1)]) <= 2 * one - switch);
}

#[test]
fn after_a_failed_directory_sync_nothing_is_believed_any_more() {
    for nth in [1, 2] {
        let disk = SimDisk::new();
        let mut opened = opened(&disk);
        disk.fail(Op::SyncDir, nth, libc::EIO);
        let failed = ask(&mut opened.librarian, prepare(0));
        assert!(matches!(failed, Event::PrepareFailed { .. }), "{failed:?}");
        let positions = positions(&opened);
        let later = ask(&mut opened.librarian, Request::NewGeneration { positions });
        assert!(matches!(later, Event::Failed { .. }), "{later:?}");
        let later = ask(&mut opened.librarian, prepare(1));
        assert!(matches!(later, Event::PrepareFailed { .. }), "{later:?}");
        listed(&disk);
    }
}

const REQUESTS: [&str; 6] = ["prepare", "retire", "discard", "global", "generation", "checkpoint"];

fn request(what: &str, disk: &SimDisk, opened: &Opened) -> Request {
    let (first, next) = opened.segments[0].clone();
    let retired = |segment, end| Request::Retire {
        shard: 0,
        segment: RetiredSegment { segment, end, last_lsn: 0 },
    };
    let positions = positions(opened);
    match what {
        "prepare" => prepare(0),
        "retire" => retired(first, 4096),
        "discard" => retired(next, 0),
        "global" => Request::Global { commands: super::builder::resp("SWAPDB 0 1"), positions },
        "checkpoint" => checkpoint(disk, positions, 1),
        _ => Request::NewGeneration { positions },
    }
}

/// Whatever names and bytes a power cut leaves, in order or not, the next start has a log.
#[test]
fn a_power_cut_anywhere_in_a_change_of_the_directory_leaves_one_that_is_recovered() {
    for what in REQUESTS {
        for operation in 1.. {
            let disk = SimDisk::new();
            let mut opened = opened(&disk);
            let request = request(what, &disk, &opened);
            disk.crash_after(operation);
            ask(&mut opened.librarian, request);
            for seed in 0..16 {
                for image in [disk.survivor(seed), disk.unordered_survivor(seed)] {
                    let error = recover_disk(&image, 2).err().map(|error| error.to_string());
                    assert_eq!(error, None, "{what}, operation {operation}, seed {seed}");
                }
            }
            if !disk.crashed() {
                break;
            }
        }
    }
}

#[test]
fn whatever_fails_the_directory_stays_recoverable_and_the_answer_true() {
    for op in [Op::Write, Op::Sync, Op::Name, Op::SyncDir] {
        for nth in 1..=4 {
            for what in REQUESTS {
                let disk = SimDisk::new();
                let mut opened = opened(&disk);
                let before = listed(&disk);
                let request = request(what, &disk, &opened);
                disk.fail(op, nth, libc::EIO);
                let event = ask(&mut opened.librarian, request);
                let after = listed(&disk);
                let context = format!("{what}, {op:?} number {nth} failed: {event:?}");
                match event {
                    Event::PrepareFailed { .. } | Event::Refused { .. } if op != Op::SyncDir => {
                        assert_eq!(after, before, "{context}");
                    }
                    Event::Refused { .. } => panic!("{context}: a lie"),
                    // Nothing failed, or a deletion afterwards, or nobody knows.
                    _ => {}
                }
                for image in [disk.killed(), disk.survivor(nth)] {
                    let recovered = recover_disk(&image, 2);
                    assert!(recovered.is_ok(), "{context}: {}", recovered.err().unwrap());
                }
            }
        }
    }
}

#[test]
fn a_segment_that_was_never_written_is_deleted_when_it_is_retired() {
    let disk = SimDisk::new();
    let mut opened = opened(&disk);
    let (_, next) = opened.segments[1].clone();
    let name = "appendonly.aof.4.s1.incr.aof";
    assert!(listed(&disk).iter().any(|listed| listed == name));
    let segment = RetiredSegment { segment: next, end: 0, last_lsn: 9 };
    ask(&mut opened.librarian, Request::Retire { shard: 1, segment });
    assert!(!listed(&disk).iter().any(|listed| listed == name));
    assert!(disk.bytes(name).is_none());
}

#[test]
fn an_emptied_data_set_keeps_only_the_next_segments_and_whatever_was_prepared_after_them() {
    let disk = SimDisk::new();
    let mut opened = opened(&disk);
    ask(&mut opened.librarian, prepare(1));
    let positions = positions(&opened);
    ask(&mut opened.librarian, Request::NewGeneration { positions });
    let numbers = ["3.s0", "4.s1", "5.s1"];
    let expected: Vec<String> =
        numbers.iter().map(|n| format!("appendonly.aof.{n}.incr.aof")).collect();
    assert_eq!(listed(&disk), expected);
    let files = run(disk.list()).unwrap();
    assert_eq!(files.len(), 4, "{files:?}");
    // The files that went while they were in use are only closed.
    let (first, _) = opened.segments[0].clone();
    let segment = RetiredSegment { segment: first, end: 4096, last_lsn: 0 };
    let event = ask(&mut opened.librarian, Request::Retire { shard: 0, segment });
    assert!(matches!(event, Event::Retired { number: 1 }), "{event:?}");
}

#[test]
fn a_global_command_stands_before_everything_prepared_for_later() {
    let disk = SimDisk::new();
    let mut opened = opened(&disk);
    ask(&mut opened.librarian, prepare(1));
    let positions = positions(&opened);
    let commands = super::builder::resp("SWAPDB 0 1");
    let event = ask(&mut opened.librarian, Request::Global { commands, positions });
    assert!(matches!(event, Event::GlobalDone { epoch: 2 }), "{event:?}");
    let order: Vec<String> = listed(&disk)
        .into_iter()
        .map(|name| name.replace("appendonly.aof.", "").replace(".incr.aof", ""))
        .collect();
    assert_eq!(order, ["1.s0", "2.s1", "6.g", "3.s0", "4.s1", "5.s1"]);
    let (manifest, _) = run(load(&disk, &Names::default())).unwrap().unwrap();
    let seqs: Vec<u64> = manifest.files.iter().map(|entry| entry.seq).collect();
    assert!(seqs.is_sorted_by(|a, b| a < b), "{seqs:?}");
}

#[test]
fn the_first_lsn_of_a_generation_outlives_the_segment_it_was_said_of() {
    let disk = SimDisk::new();
    let mut opened = opened(&disk);
    ask(&mut opened.librarian, prepare(0));
    let mut positions = positions(&opened);
    positions[0].last_lsn = 16;
    ask(&mut opened.librarian, Request::NewGeneration { positions });
    let (_, next) = opened.segments[0].clone();
    let segment = RetiredSegment { segment: next, end: 0, last_lsn: 16 };
    ask(&mut opened.librarian, Request::Retire { shard: 0, segment });
    let (manifest, _) = run(load(&disk, &Names::default())).unwrap().unwrap();
    let first: Vec<_> =
        manifest.files.iter().map(|e| (e.name.contains("5.s0"), e.first_lsn)).collect();
    assert_eq!(first, [(false, Some(1)), (true, Some(17))]);
}

#[test]
fn a_checkpoint_lists_the_base_what_the_shards_went_on_in_and_nothing_else() {
    let disk = SimDisk::new();
    let mut opened = opened(&disk);
    let at_cut = positions(&opened);
    // Behind the cut: a rotation and a global command.
    ask(&mut opened.librarian, prepare(0));
    ask(&mut opened.librarian, prepare(1));
    let next = |shard, next| Position { shard, last_lsn: 9, next };
    let commands = super::builder::resp("SWAPDB 0 1");
    let request = Request::Global { commands, positions: vec![next(0, 5), next(1, 6)] };
    ask(&mut opened.librarian, request);
    assert_eq!(short(listed(&disk)), ["1.s0", "2.s1", "3.s0", "4.s1", "7.g", "5.s0", "6.s1"]);
    let done = ask(&mut opened.librarian, checkpoint(&disk, at_cut, 1));
    let Event::CheckpointDone { file: base } = done else { panic!("{done:?}") };
    assert_eq!(base, "appendonly.aof.10.all.base.rdb");
    let expected = ["10.all.base.rdb", "3.s0", "4.s1", "7.g", "5.s0", "6.s1"];
    assert_eq!(short(listed(&disk)), expected);
    // The next one drops the global command and the base of the first.
    let request = checkpoint(&disk, vec![next(0, 5), next(1, 6)], 2);
    ask(&mut opened.librarian, request);
    assert_eq!(short(listed(&disk)), ["11.all.base.rdb", "5.s0", "6.s1"]);
    let files = run(disk.list()).unwrap();
    assert_eq!(files.len(), 4, "{files:?}");
    let (manifest, _) = run(load(&disk, &Names::default())).unwrap().unwrap();
    let first: Vec<_> = manifest.files.iter().map(|entry| entry.first_lsn).collect();
    assert_eq!(first, [None, Some(10), Some(10)]);
}

#[test]
fn files_of_a_stock_server_are_history_until_they_are_gone() {
    let empty_rdb = [b"REDIS0010\xFF".as_slice(), &[0; 8]].concat();
    let taken_over = || {
        let disk = SimDisk::new();
        let lines = "file appendonly.aof.1.base.rdb seq 1 type b\n\
                     file appendonly.aof.1.incr.aof seq 1 type i\n";
        disk.put("appendonly.aof.manifest", lines.as_bytes());
        disk.put("appendonly.aof.1.base.rdb", &empty_rdb);
        disk.put("appendonly.aof.1.incr.aof", &super::builder::resp("SET k v"));
        let opened = opened(&disk);
        (disk, opened)
    };
    for what in ["checkpoint", "generation"] {
        let mut operation = 0;
        loop {
            operation += 1;
            let (disk, mut running) = taken_over();
            let positions = positions(&running);
            let request = match what {
                "checkpoint" => checkpoint(&disk, positions, 1),
                _ => Request::NewGeneration { positions },
            };
            disk.crash_after(operation);
            run(running.librarian.handle(vec![request]));
            let is_over = !disk.crashed();
            for image in [disk.killed(), disk.survivor(operation)] {
                // The next start keeps them or finishes their removal.
                drop(opened(&image));
                let listed = listed(&image);
                for (name, _) in run(image.list()).unwrap() {
                    let known = name == "appendonly.aof.manifest" || listed.contains(&name);
                    assert!(known, "{what} crashed after operation {operation}: {name} leaks");
                }
                let stock = listed.iter().any(|name| name == "appendonly.aof.1.incr.aof");
                assert!(!stock || !is_over, "{what}: {listed:?}");
            }
            if is_over {
                break;
            }
        }
        assert!(operation > 8, "{what}: only {operation} operations");
    }
}

#[test]
fn what_was_gone_on_in_at_the_cut_may_have_been_left_empty_and_gone() {
    let disk = SimDisk::new();
    let mut opened = opened(&disk);
    let at_cut: Vec<Position> =
        positions(&opened).into_iter().map(|p| Position { last_lsn: 7, ..p }).collect();
    ask(&mut opened.librarian, prepare(0));
    ask(&mut opened.librarian, prepare(1));
    let next = |shard, next| Position { shard, last_lsn: 7, next };
    let commands = super::builder::resp("SWAPDB 0 1");
    let request = Request::Global { commands, positions: vec![next(0, 5), next(1, 6)] };
    ask(&mut opened.librarian, request);
    for (shard, (_, segment)) in (0..).zip(opened.segments.clone()) {
        let segment = RetiredSegment { segment, end: 0, last_lsn: 7 };
        ask(&mut opened.librarian, Request::Retire { shard, segment });
    }
    ask(&mut opened.librarian, checkpoint(&disk, at_cut, 1));
    assert_eq!(short(listed(&disk)), ["10.all.base.rdb", "7.g", "5.s0", "6.s1"]);
    let (manifest, _) = run(load(&disk, &Names::default())).unwrap().unwrap();
    let first: Vec<_> = manifest.files.iter().map(|entry| entry.first_lsn).collect();
    assert_eq!(first, [None, None, Some(8), Some(8)]);
}
