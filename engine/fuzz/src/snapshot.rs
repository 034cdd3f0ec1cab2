//! Any snapshot with an index is loaded or refused, the same on any number of shards; what is
//! loaded by the index is what a server that knows no index loads from the same file.

use super::driver::{DATABASES, Known, content};
use quire_engine::{
    aof::Staging,
    io::{
        Storage,
        sim::{SimDisk, run},
    },
    keyspace::{KeyHasher, Tracking},
    manifest::Names,
    rdb::{RdbFile, crc64},
    recovery::{Options, Progress, recover},
    shard::Shard,
    snapshot::{Chunk, Count, Draft, DraftOptions, Facts, Found, Index},
    types::Limits,
};

const BASE: &str = "appendonly.aof.1.base.rdb";
/// The last bytes of a file: the field that says where the index is, EOF, checksum.
const LAST_BYTES: usize = 25 + 9;
/// The last bytes of a packed file: where its chunks end, where the index's frame begins, a mark.
const PACKED_LAST_BYTES: usize = 24;
const MARK: &[u8] = b"qr-index";
/// The index's field in front of its value's length.
const FIELD: &[u8] = b"\xFA\x0bquire-index\x81";

/// Takes any bytes: how, then chunks and changes of the file that they become, or the file. Bits
/// of `how`: 0 makes the index's checksum right, 1 the file has checksums, 2 the bytes are the file, 3
/// the file is packed.
///
/// # Panics
/// When a promise is broken.
pub fn any_bytes(data: &[u8]) {
    let Some((&how, bytes)) = data.split_first() else { return };
    let mut file =
        if how & 4 == 0 { built(bytes, how & 2 != 0, how & 8 != 0) } else { bytes.to_vec() };
    if how & 1 != 0 {
        mend_index(&mut file);
    }
    let one = load(&file, 1);
    let three = load(&file, 3);
    assert_eq!(one.is_ok(), three.is_ok(), "{one:?} {three:?}");
    let Ok(keys) = one else { return };
    assert_eq!(Ok(&keys), three.as_ref(), "shards do not matter");
    if !has_index(&file) {
        return;
    }
    let other = without_index(&file);
    assert_eq!(Ok(keys), load(&other, 1), "another server finds the same");
}

/// The file of what the bytes say. `flags, keys, u16 length, bytes` is a chunk: bit 0 of `flags`:
/// its last value goes on in the next; bit 1: its keys are counted; `0xFF, u16 place, bits` flips
/// bits of the file, counted from its end.
fn built(mut bytes: &[u8], summed: bool, packed: bool) -> Vec<u8> {
    let (mut chunks, mut flips) = (Vec::new(), Vec::new());
    while let Some((&[flags, keys, low, high], rest)) = bytes.split_first_chunk() {
        if flags == 0xFF {
            flips.push((usize::from(u16::from_le_bytes([keys, low])), high));
            bytes = rest;
            continue;
        }
        let len = usize::from(u16::from_le_bytes([low, high])).min(rest.len());
        let (content, rest) = rest.split_at(len);
        let keys = if flags & 2 != 0 { keys_of(content) } else { u64::from(keys) };
        let count = Count { db: 0, keys, with_deadline: 0 };
        chunks.push(Chunk {
            shard: 0,
            bytes: content.to_vec(),
            counts: vec![count],
            groups: (0, 255),
            continues: flags & 1 != 0,
        });
        bytes = rest;
    }
    if let Some(last) = chunks.last_mut() {
        last.continues = false;
    }
    let disk = SimDisk::new();
    let options = DraftOptions { shards: 1, databases: 1, summed, packed, sync_as_it_grows: false };
    let facts = Facts {
        redis_version: "7.0.15".to_owned(),
        created_s: 0,
        used_memory: 0,
        run: None,
        cut: Vec::new(),
        functions: Vec::new(),
    };
    run(async {
        let mut draft = Draft::begin(&disk, BASE.to_owned(), options).await.expect("a disk");
        for chunk in chunks {
            draft.put(chunk).await.expect("a disk");
        }
        draft.finish(&facts).await.expect("a disk");
    });
    let mut file = disk.bytes(BASE).unwrap_or_default();
    for (place, bits) in flips {
        let end = file.len();
        if let Some(byte) = file.get_mut(end.wrapping_sub(place + 1)) {
            *byte ^= bits;
        }
    }
    file
}

/// Keys that these bytes are the values of; 0 if they are none.
fn keys_of(chunk: &[u8]) -> u64 {
    let alone = [b"REDIS0010", chunk, b"\xFF", &[0; 8]].concat();
    RdbFile::read(&alone, alone.len()).map_or(0, |file| file.keys.len() as u64)
}

/// Makes the checksum of what looks like an index right.
fn mend_index(file: &mut [u8]) {
    if let Some(frame_at) = packed_index_at(file) {
        let (from, to) = (frame_at.saturating_add(8), file.len() - PACKED_LAST_BYTES - 8);
        if from <= to {
            let crc = crc64::update(0, &file[from..to]);
            file[to..to + 8].copy_from_slice(&crc.to_le_bytes());
        }
        return;
    }
    let Some(end) = file.len().checked_sub(LAST_BYTES + 8) else { return };
    let Some(at) = file[..end].windows(FIELD.len()).rposition(|bytes| bytes == FIELD) else {
        return;
    };
    let value = at + FIELD.len() + 8;
    if value > end {
        return;
    }
    let crc = crc64::update(0, &file[value..end]);
    file[end..end + 8].copy_from_slice(&crc.to_le_bytes());
}

/// Where a packed file says that the frame of its index begins.
fn packed_index_at(file: &[u8]) -> Option<usize> {
    let last = file.len().checked_sub(PACKED_LAST_BYTES)?;
    let (at, mark) = file[last + 8..].split_first_chunk::<8>()?;
    // There is room for a checksum in front.
    (mark == MARK && last >= 8).then(|| u64::from_le_bytes(*at) as usize)
}

/// Whether the file is loaded by its index.
fn has_index(file: &[u8]) -> bool {
    let disk = SimDisk::new();
    disk.put(BASE, file);
    let found = run(async {
        let opened = disk.open(BASE).await.expect("a disk");
        Index::find(&disk, &opened, file.len() as u64).await.expect("a disk")
    });
    matches!(found, Found::Index { .. })
}

/// The file with another name for the field that leads to the index, and without a checksum; a packed
/// one with another mark.
fn without_index(file: &[u8]) -> Vec<u8> {
    let mut file = file.to_vec();
    if packed_index_at(&file).is_some() {
        file.pop();
        file.push(0);
        return file;
    }
    let end = file.len() - LAST_BYTES;
    file[end + 2] ^= 1;
    let crc = file.len() - 8;
    file[crc..].fill(0);
    file
}

/// What a server finds whose log has this file as its base.
fn load(file: &[u8], shards: usize) -> Result<Vec<Known>, String> {
    let names = Names::default();
    let disk = SimDisk::new();
    disk.put(BASE, file);
    // As a stock server lists it.
    disk.put(&names.manifest(), format!("file {BASE} seq 1 type b\n").as_bytes());
    let options = Options {
        names,
        shards,
        databases: DATABASES,
        hasher: KeyHasher::fixed(),
        limits: Limits::default(),
        tracking: Tracking::Time,
        now_ms: 1_700_000_000_000,
    };
    let recovered = run(recover(&disk, &options, &Progress::new())).map_err(|error| {
        let text = error.to_string();
        assert!(text.contains(BASE), "the refusal names the file: {text}");
        text
    })?;
    let mut whole = Shard::new(0, 1, DATABASES, KeyHasher::fixed(), Staging::disabled(), 1);
    for keyspace in recovered.keyspaces {
        for db in 0..DATABASES {
            keyspace.db(db).for_each(&mut |entry| {
                let key = whole.keyspace.key(entry.key());
                assert!(whole.keyspace.db(db).get(key).is_none(), "a key on two shards");
                whole.keyspace.db_mut(db).put(key, entry.to_owned_entry());
            });
        }
    }
    Ok(content(&whole))
}
