//! Rows about snapshots and the log's checkpoints.

use super::super::{CheckpointDelta, Kind, RdbCompression};
use super::{
    Directive,
    When::{Anytime, Protected, Startup},
    row,
};

fn file_name(name: &str) -> Result<(), &'static str> {
    match name {
        "" => Err("dbfilename can't be empty"),
        _ if name.contains('/') => Err("dbfilename can't be a path, just a filename"),
        _ => Ok(()),
    }
}

pub(super) static SNAPSHOTS: &[Directive] = &[
    row(
        "save",
        Anytime,
        Kind::Words {
            get: |c| {
                let points: Vec<String> = c.save_points().iter().map(ToString::to_string).collect();
                points.join(" ")
            },
            set: |c, words, add| c.save.set(words, add),
        },
        "<seconds> <changes> ..: write an RDB file when both have passed since the last one; lines \
         add up, \"\" = never. Unless said otherwise: as in Redis without a log, never with one.",
    ),
    row(
        "dbfilename",
        Protected,
        Kind::Text {
            check: file_name,
            get: |c| c.dbfilename.clone(),
            set: |c, v| c.dbfilename = v,
        },
        "Name of the RDB file, in dir: written by SAVE, BGSAVE and save points, loaded at start \
         without a log.",
    ),
    choice!(
        "rdbcompression",
        Anytime,
        RdbCompression,
        rdbcompression,
        "How snapshots are packed: yes = long strings with LZF, as Redis does; no; zstd = the whole \
         file, which makes it smaller, and which stock Redis loads only after `zstd -d`."
    ),
    bool!(
        "rdbchecksum",
        Startup,
        rdbchecksum,
        "Checksums in snapshots: one of the file, and one of each of its chunks."
    ),
    bool!(
        "aof-timestamp-enabled",
        Anytime,
        aof_timestamp_enabled,
        "Say in the log when each second begins (#TS: lines, as Redis'), so that quire-check can take it \
         back to one."
    ),
    bool!(
        "aof-use-rdb-preamble",
        Anytime,
        aof_use_rdb_preamble,
        "Write the log's base as an RDB. With no it is commands: larger, loaded more slowly and by one \
         thread, without checksums, and readable."
    ),
    bool!(
        "stop-writes-on-bgsave-error",
        Anytime,
        stop_writes_on_bgsave_error,
        "Refuse writes while there are save points and the last RDB file could not be written."
    ),
    bool!(
        "rdb-save-incremental-fsync",
        Anytime,
        rdb_save_incremental_fsync,
        "Sync an RDB file every 32 MiB while it is written, so that its end takes no longer."
    ),
    bool!(
        "aof-rewrite-incremental-fsync",
        Anytime,
        aof_rewrite_incremental_fsync,
        "The same with a base of the log."
    ),
    int!(
        "auto-aof-rewrite-percentage",
        Anytime,
        0..=i32::MAX as i64,
        auto_aof_rewrite_percentage,
        "Write a new base when the log has grown by so many percent since the last; 0 = never."
    ),
    memory!(
        "auto-aof-rewrite-min-size",
        Anytime,
        0,
        i64::MAX as u64,
        auto_aof_rewrite_min_size,
        "Never by itself below this size of the log, bytes."
    ),
    bool!(
        "no-appendfsync-on-rewrite",
        Anytime,
        no_appendfsync_on_rewrite,
        "While a snapshot is written, sync the logs of shards under everysec as under no. \
         Unlike in Redis shards under always go on syncing: a reply means what it says."
    ),
    choice!(
        "checkpoint-delta",
        Anytime,
        CheckpointDelta,
        checkpoint_delta,
        "Whether a checkpoint of the log writes what has changed since its base (a delta) instead of \
         a new base: auto = while that is less than 30 % of the base; always; never. Where not all \
         of it is known, after FLUSHDB or SWAPDB for one, it is a base all the same."
    ),
];
