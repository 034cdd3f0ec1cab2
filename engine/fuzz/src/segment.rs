//! Any bytes are a segment that is read or called bad at a place; what is accepted is contiguous
//! and checksummed, however it is fed, and its commands are replayed or refused.

use super::driver::DATABASES;
use quire_engine::{
    aof::{
        CommandReader, Lsn, Staging,
        header::{END_BYTES, END_MAGIC, EndLine, HEADER_BYTES, HEADER_MAGIC, Header},
        reader::{Expect, Item, SegmentReader},
    },
    command::Args,
    keyspace::KeyHasher,
    shard::Shard,
};

const EXPECT: Expect = Expect { shard: 3, seq: 12, run: None, next_lsn: Some(1) };
const RUN: u64 = 99;
/// Damage that is passed before a read ends.
const RESYNCS: usize = 8;

/// Takes any bytes: how, then a segment. Bit 0 of `how` makes checksums right, bit 1 the lengths
/// of bodies, bit 2 their run, shard, file and numbers.
///
/// # Panics
/// When a promise is broken.
pub fn any_bytes(data: &[u8]) {
    let Some((&how, bytes)) = data.split_first() else { return };
    let mut bytes = bytes.to_vec();
    mend(&mut bytes, how);
    let whole = read(&bytes, bytes.len().max(1));
    for piece in [1 + usize::from(how >> 3), 4096] {
        assert_eq!(read(&bytes, piece), whole, "pieces of {piece} do not matter");
    }
    replay(&bytes);
}

/// Makes of lines that look like headers what `how` asks for.
fn mend(bytes: &mut [u8], how: u8) {
    let begins = |bytes: &[u8], at: usize, magic: &[u8]| {
        (at == 0 || bytes[at - 1] == b'\n') && bytes[at..].starts_with(magic)
    };
    let places: Vec<usize> = (0..bytes.len())
        .filter(|&at| begins(bytes, at, HEADER_MAGIC) || begins(bytes, at, END_MAGIC))
        .collect();
    let mut next_lsn: Lsn = 1;
    for (index, &at) in places.iter().enumerate() {
        let end = places.get(index + 1).copied().unwrap_or(bytes.len());
        let this = &mut bytes[at..end];
        if this.starts_with(END_MAGIC) {
            if how & 4 != 0 && this.len() >= END_BYTES {
                let line = EndLine { run: RUN, shard: 3, seq: 12, last_lsn: next_lsn - 1 };
                this[..END_BYTES].copy_from_slice(&line.encode());
            }
            continue;
        }
        let Some(read) = this.get(..HEADER_BYTES).and_then(Header::parse) else { continue };
        let mut header = read.header;
        if how & 2 != 0 {
            header.body_bytes = (this.len() - HEADER_BYTES) as u64;
        }
        if how & 4 != 0 {
            header.batches %= 5;
            header = Header { run: RUN, shard: 3, seq: 12, first_lsn: next_lsn, ..header };
        }
        next_lsn = header.next_lsn();
        let Some((line, body)) = this.split_first_chunk_mut::<HEADER_BYTES>() else { continue };
        let body_bytes = usize::try_from(header.body_bytes).unwrap_or(usize::MAX);
        if how & 1 != 0
            && let Some(body) = body.get(..body_bytes)
        {
            header.encode(line, body);
        }
    }
}

/// What a reader says of the bytes, fed `piece` at a time.
fn read(bytes: &[u8], piece: usize) -> Vec<String> {
    let mut reader = SegmentReader::new(EXPECT, bytes.len() as u64);
    let mut said = Vec::new();
    let (mut resyncs, mut due, mut accepted) = (0, EXPECT.next_lsn, 0);
    loop {
        let line = match reader.next_item() {
            Item::More => {
                assert!(reader.wanted() > 0, "more is wanted at the end");
                let at = reader.fed() as usize;
                reader.feed(&bytes[at..(at + piece).min(bytes.len())]);
                continue;
            }
            Item::Commit { offset, header, body } => {
                let at = offset as usize;
                assert_eq!(body, &bytes[at + HEADER_BYTES..][..body.len()]);
                let mut line = [0; HEADER_BYTES];
                header.encode(&mut line, body);
                assert_eq!(line, bytes[at..at + HEADER_BYTES], "it is what was written");
                assert_eq!((header.shard, header.seq), (EXPECT.shard, EXPECT.seq));
                let gap = resyncs > 0 && due < Some(header.first_lsn);
                assert!(due == Some(header.first_lsn) || gap, "commits follow each other");
                due = Some(header.next_lsn());
                format!("commit {header:?} at {offset}")
            }
            Item::EndOfLog { offset, end } => {
                due = Some(end.last_lsn + 1);
                format!("end {end:?} at {offset}")
            }
            Item::Command { offset, bytes, args } => {
                format!("command at {offset}+{bytes}: {} words", args.len())
            }
            Item::Bad { offset, fault } => {
                said.push(format!("bad at {offset}: {fault}"));
                if resyncs == RESYNCS {
                    return said;
                }
                resyncs += 1;
                reader.resync();
                continue;
            }
            Item::End => return said,
        };
        said.push(line);
        assert!(reader.accepted_end() > accepted, "every item takes bytes");
        accepted = reader.accepted_end();
        assert!(accepted <= bytes.len() as u64);
    }
}

/// Replays what stands before the first damage; what fails is refused in words.
fn replay(bytes: &[u8]) {
    let mut reader = SegmentReader::new(EXPECT, bytes.len() as u64);
    reader.feed(bytes);
    let mut shard = Shard::new(0, 1, DATABASES, KeyHasher::fixed(), Staging::disabled(), 7);
    let mut db = 0;
    loop {
        match reader.next_item() {
            Item::Commit { body, .. } => {
                let mut commands = CommandReader::new(body);
                while let Ok(Some(args)) = commands.next_command() {
                    replay_one(&mut shard, args, &mut db);
                }
            }
            Item::Command { args, .. } => replay_one(&mut shard, args, &mut db),
            Item::EndOfLog { .. } => {}
            Item::More | Item::Bad { .. } | Item::End => return,
        }
    }
}

fn replay_one(shard: &mut Shard, args: Args<'_>, db: &mut usize) {
    // Half a gigabyte of zeroes is what some may ask for, and no finding.
    let is_far = |arg: &[u8]| arg.iter().filter(|b| b.is_ascii_digit()).count() > 6;
    let grows = [b"SETRANGE".as_slice(), b"SETBIT", b"BITFIELD"];
    let grows = grows.iter().any(|name| args.get(0).eq_ignore_ascii_case(name));
    if !args.is_empty() && grows && args.iter_from(1).any(is_far) {
        return;
    }
    if let Err(error) = shard.replay(args, db, 1_700_000_000_000) {
        assert!(!error.to_string().is_empty());
    }
}
