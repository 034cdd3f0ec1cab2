//! RDB files and DUMP payloads, without a server of ours.

mod allocations; // counts the memory a thread takes
mod builder; // files put together byte by byte
mod commands; // DUMP and RESTORE beside redis-server
mod foreign; // every encoding this version does not write
mod hostile; // cut off, changed and made up bytes
mod stock; // files of redis-server, and ours in redis-server

use quire_engine::rdb::{KeyHead, Options, RdbFile, RdbKey, Unwritable, Version, Writer};

const PLAIN: Options = Options { version: Version::Nine, compress: false, checksum: true };
const PACKED: Options = Options { version: Version::Ten, compress: true, checksum: true };

/// A file with these keys.
fn written(keys: &[RdbKey], options: Options) -> Result<Vec<u8>, Unwritable> {
    let mut writer = Writer::new(options);
    for RdbKey { head, value } in keys {
        let KeyHead { db, kind, packed, count, expires_ms, idle_s, freq, offset, .. } = *head;
        let key = head.key.as_slice();
        let head = KeyHead { db, key, kind, packed, count, expires_ms, idle_s, freq, offset };
        writer.value(&head, value)?;
    }
    writer.finish();
    Ok(writer.take())
}

/// Keys without what only the file they came from knows, in an order of their own.
fn neutral(file: &RdbFile) -> Vec<RdbKey> {
    use quire_engine::rdb::RdbValue;
    let mut keys = file.keys.clone();
    for key in &mut keys {
        (key.head.offset, key.head.count, key.head.packed) = (0, None, false);
        match &mut key.value {
            RdbValue::Set(members) => members.sort(),
            RdbValue::Zset(members) => {
                members.sort_by(|a, b| a.1.total_cmp(&b.1).then_with(|| a.0.cmp(&b.0)));
            }
            RdbValue::Hash(fields) => fields.sort(),
            RdbValue::String(_) | RdbValue::List(_) | RdbValue::Stream(_) => {}
        }
    }
    keys.sort_by(|a, b| (a.head.db, &a.head.key).cmp(&(b.head.db, &b.head.key)));
    keys
}
