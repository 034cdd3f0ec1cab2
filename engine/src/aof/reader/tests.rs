//! Tests of the segment reader: chunks, damage, copies, fuzzed bytes.

use super::*;
use crate::{
    aof::{CommandReader, Staging, buffer::AlignedBuf, header, header::pad_to_block},
    effect::{Deadline, Effect},
};
use proptest::prelude::*;

const EXPECT: Expect = Expect { shard: 3, seq: 12, run: Some(99), next_lsn: Some(1) };

/// A segment of commits with these numbers of batches; offsets of the commits with it.
fn segment(commits: &[u8], padded: bool) -> (Vec<u8>, Vec<u64>) {
    let mut staging = Staging::new(EXPECT.shard, 99);
    let (mut bytes, mut offsets) = (Vec::new(), Vec::new());
    for (i, &batches) in commits.iter().enumerate() {
        for batch in 0..batches {
            staging.begin();
            let value = vec![b'#'; 7 * usize::from(batch) * (i + 1)];
            let key = format!("key{i}-{batch}").into_bytes();
            staging.push(0, Effect::Set { key: &key, value: &value, deadline: Deadline::None });
            staging.end();
        }
        offsets.push(bytes.len() as u64);
        bytes.extend_from_slice(&finished(&mut staging, padded));
    }
    (bytes, offsets)
}

fn finished(staging: &mut Staging, padded: bool) -> Vec<u8> {
    let mut gathered = staging.take(AlignedBuf::new());
    let synced = gathered.first_lsn - 1;
    let (line, body) = gathered.buf.as_mut_slice().split_first_chunk_mut().unwrap();
    let header = Header {
        run: 99,
        shard: EXPECT.shard,
        seq: EXPECT.seq,
        first_lsn: gathered.first_lsn,
        batches: gathered.batches,
        body_bytes: body.len() as u64,
        synced,
    };
    header.encode(line, body);
    if padded {
        pad_to_block(&mut gathered.buf);
    }
    gathered.buf.as_slice().to_vec()
}

/// Everything a reader says, `chunk` bytes at a time; after damage up to `resyncs` times on.
fn read(bytes: &[u8], expect: Expect, chunk: usize, mut resyncs: usize) -> Vec<String> {
    let mut reader = SegmentReader::new(expect, bytes.len() as u64);
    let mut said = Vec::new();
    loop {
        let line = match reader.next_item() {
            Item::More => {
                assert!(reader.wanted() > 0, "more wanted at the end");
                let at = reader.fed() as usize;
                reader.feed(&bytes[at..(at + chunk).min(bytes.len())]);
                continue;
            }
            Item::Commit { offset, header, body } => {
                let mut commands = CommandReader::new(body);
                let mut count = 0;
                while commands.next_command().unwrap().is_some() {
                    count += 1;
                }
                format!("commit {}+{} at {offset}, {count}", header.first_lsn, header.batches)
            }
            Item::EndOfLog { end, .. } => format!("end of log {}", end.last_lsn),
            Item::Command { offset, args, .. } => {
                format!("command {} at {offset}", String::from_utf8_lossy(args.get(0)))
            }
            Item::Bad { offset, fault } => {
                said.push(format!("bad at {offset}: {fault}"));
                if resyncs == 0 {
                    return said;
                }
                resyncs -= 1;
                reader.resync();
                continue;
            }
            Item::End => return said,
        };
        said.push(line);
    }
}

#[test]
fn commits_are_read_whatever_the_chunks_and_the_padding() {
    for padded in [true, false] {
        let (bytes, offsets) = segment(&[1, 3, 0, 40], padded);
        let expected: Vec<String> = [(1, 1, 2), (2, 3, 4), (5, 0, 0), (5, 40, 41)]
            .iter()
            .zip(&offsets)
            .map(|((lsn, n, commands), at)| format!("commit {lsn}+{n} at {at}, {commands}"))
            .collect();
        for chunk in [1, 7, 512, 4096, 1 << 20] {
            assert_eq!(read(&bytes, EXPECT, chunk, 0), expected);
        }
    }
}

#[test]
fn commits_of_another_run_shard_or_file_are_never_accepted() {
    let (bytes, _) = segment(&[1], true);
    for (expect, fault) in [
        (Expect { run: Some(98), ..EXPECT }, "commit of another run, shard or file"),
        (Expect { shard: 2, ..EXPECT }, "commit of another run, shard or file"),
        (Expect { seq: 13, ..EXPECT }, "commit of another run, shard or file"),
        (Expect { next_lsn: Some(2), ..EXPECT }, "commit with LSN 1 where LSN 2 was due"),
    ] {
        assert_eq!(read(&bytes, expect, 4096, 0), [format!("bad at 0: {fault}")]);
    }
    let open = Expect { run: None, next_lsn: None, ..EXPECT };
    assert_eq!(read(&bytes, open, 4096, 0), ["commit 1+1 at 0, 2"]);
}

#[test]
fn behind_damage_the_later_valid_commits_are_found() {
    for padded in [true, false] {
        let (mut bytes, offsets) = segment(&[2, 2, 2, 2], padded);
        let bad = offsets[1] as usize + HEADER_BYTES + 3;
        bytes[bad] ^= 1;
        let said = read(&bytes, EXPECT, 100, 9);
        assert_eq!(said.len(), 4, "{said:?}");
        assert_eq!(said[1], format!("bad at {}: commit of LSN 3 has a bad checksum", offsets[1]));
        assert_eq!(said[2], format!("commit 5+2 at {}, 3", offsets[2]));
        assert_eq!(said[3], format!("commit 7+2 at {}, 3", offsets[3]));
    }
}

#[test]
fn a_lost_commit_is_a_gap_and_its_successor_is_found() {
    let (bytes, offsets) = segment(&[2, 2, 2], true);
    let mut holed = bytes;
    let hole = offsets[1] as usize..offsets[2] as usize;
    holed[hole.clone()].copy_from_slice(&header::filler(hole.len()));
    let said = read(&holed, EXPECT, 4096, 1);
    assert_eq!(said[1], format!("bad at {}: commit with LSN 5 where LSN 3 was due", offsets[2]));
    assert_eq!(said[2], format!("commit 5+2 at {}, 3", offsets[2]));
    // A hole of zeros, as file systems leave them.
    holed[hole].fill(0);
    let said = read(&holed, EXPECT, 4096, 1);
    assert_eq!(said[1], format!("bad at {}: neither annotation nor command", offsets[1]));
    assert_eq!(said[2], format!("commit 5+2 at {}, 3", offsets[2]));
}

#[test]
fn a_copy_of_the_log_inside_a_value_is_never_taken_for_a_later_commit() {
    let (early, _) = segment(&[1, 1], false);
    let mut staging = Staging::new(EXPECT.shard, 99);
    let mut bytes = Vec::new();
    for value in [b"x".as_slice(), b"y", &early] {
        staging.begin();
        staging.push(0, Effect::Set { key: b"k", value, deadline: Deadline::None });
        staging.end();
        bytes.extend_from_slice(&finished(&mut staging, false));
    }
    *bytes.last_mut().unwrap() ^= 1;
    let said = read(&bytes, EXPECT, 4096, 9);
    assert_eq!(said.len(), 3, "{said:?}");
    assert!(said[2].ends_with("commit of LSN 3 has a bad checksum"), "{said:?}");
}

#[test]
fn stocks_commands_are_accepted_behind_the_end_line_and_no_commit_is() {
    let (mut bytes, _) = segment(&[2], true);
    let end = EndLine { run: 99, shard: 3, seq: 12, last_lsn: 2 };
    bytes.extend_from_slice(&end.encode());
    let stock = bytes.len();
    bytes.extend_from_slice(b"*2\r\n$6\r\nSELECT\r\n$1\r\n0\r\n*1\r\n$4\r\nPING\r\n");
    let expected = [
        "commit 1+2 at 0, 3".to_owned(),
        "end of log 2".to_owned(),
        format!("command SELECT at {stock}"),
        format!("command PING at {}", stock + 23),
    ];
    assert_eq!(read(&bytes, EXPECT, 5, 0), expected);
    let at = bytes.len();
    let mut staging = Staging::new(EXPECT.shard, 99);
    staging.push(0, Effect::Del { key: b"k" });
    staging.push(0, Effect::Del { key: b"k" });
    staging.take(AlignedBuf::new());
    staging.push(0, Effect::Del { key: b"k" });
    bytes.extend_from_slice(&finished(&mut staging, true));
    assert_eq!(
        read(&bytes, EXPECT, 5, 0).last().unwrap(),
        &format!("bad at {at}: commit behind the end-of-log line")
    );
    let wrong = EndLine { last_lsn: 3, ..end };
    let (mut bytes, _) = segment(&[2], true);
    bytes.extend_from_slice(&wrong.encode());
    assert_eq!(read(&bytes, EXPECT, 5, 0)[1], "bad at 4096: unreadable end-of-log line");
}

#[test]
fn a_header_that_promises_more_than_the_file_holds_gathers_nothing() {
    let huge = Header {
        run: 99,
        shard: 3,
        seq: 12,
        first_lsn: 1,
        batches: 1,
        body_bytes: 1 << 60,
        synced: 0,
    };
    let mut line = [0; HEADER_BYTES];
    Header { body_bytes: 0, ..huge }.encode(&mut line, b"");
    let digits = format!("{:016x}", 1u64 << 60);
    let at = 4 + 17 + 5 + 17 + 17 + 9;
    line[at..at + 16].copy_from_slice(digits.as_bytes());
    let said = read(&line, EXPECT, 16, 0);
    assert_eq!(said, ["bad at 0: commit of LSN 1 is cut off"]);
    let bulk = b"*2\r\n$3\r\nSET\r\n$4000000000\r\nabc";
    assert_eq!(read(bulk, EXPECT, 3, 0), ["bad at 0: command or line is cut off"]);
}

fn commits_of(said: &[String]) -> Vec<&String> {
    said.iter().filter(|s| s.starts_with("commit ")).collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn random_bytes_never_panic(bytes in proptest::collection::vec(any::<u8>(), 0..2000), chunk in 1usize..300) {
        read(&bytes, EXPECT, chunk, 50);
        read(&bytes, Expect { run: None, next_lsn: None, ..EXPECT }, chunk, 50);
    }

    #[test]
    fn text_that_looks_like_a_log_never_panics(
        parts in proptest::collection::vec(prop_oneof![
            Just("#Q1 "), Just("#E1 "), Just("*2\r\n"), Just("$3\r\n"), Just("SET"), Just("\r\n"),
            Just("\n"), Just("0000000000000000 "), Just("ffffffffffffffff "), Just("#"), Just("$99999999\r\n"),
        ], 0..60),
        chunk in 1usize..50,
    ) {
        read(parts.concat().as_bytes(), EXPECT, chunk, 50);
    }

    #[test]
    fn any_truncation_yields_a_prefix_of_the_commits(
        commits in proptest::collection::vec(0u8..6, 1..6), padded: bool, cut in any::<prop::sample::Index>(),
    ) {
        let (bytes, offsets) = segment(&commits, padded);
        let whole = read(&bytes, EXPECT, 4096, 0);
        let len = cut.index(bytes.len() + 1);
        let said = read(&bytes[..len], EXPECT, 4096, 9);
        let said = commits_of(&said);
        prop_assert_eq!(&whole.iter().take(said.len()).collect::<Vec<_>>(), &said);
        let complete = offsets.iter().skip(1).filter(|&&at| at <= len as u64).count();
        prop_assert!(said.len() >= complete);
    }

    #[test]
    fn any_mutation_yields_only_commits_that_were_written(
        commits in proptest::collection::vec(0u8..6, 1..6), padded: bool,
        changes in proptest::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..5),
        chunk in 1usize..5000,
    ) {
        let (mut bytes, _) = segment(&commits, padded);
        let whole = read(&bytes, EXPECT, 4096, 0);
        for (at, value) in changes {
            let at = at.index(bytes.len());
            bytes[at] = value;
        }
        let said = read(&bytes, EXPECT, chunk, 50);
        for line in commits_of(&said) {
            prop_assert!(whole.contains(line), "{} of {:?}", line, said);
        }
    }
}
