//! The single test binary of the engine.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod commands; // random commands: a shard answers byte for byte as redis-server does
mod commands_driver; // a shard as a client sees it: names, arity, SELECT, RESP version
mod commands_generator; // random command lines over few keys
mod commands_lists; // random commands on lists, long ones among them, compared with redis-server
mod commands_oracle; // a redis-server of the test's own
mod commands_sorting; // SORT, compared with redis-server
mod commands_streams; // streams: random commands answer as redis-server does, and the log makes them again
mod commands_table; // rows of the table, compared with what redis-server says of itself
mod crash; // acknowledged writes of one log survive every crash of the simulated disk
mod directories; // hand-built log directories, each in one odd state
mod effects; // what is logged makes the same state again
mod fuzzing; // what fuzzers run, on their seeds
mod interop; // redis-server and redis-check-aof read our segments
mod payloads; // what DUMP gives is Redis' own, and read by it
mod rdb; // RDB files: stock Redis' read and written, older encodings, hostile bytes
mod recovery; // recovery under crashes and in whole lives, and the builder of directories
mod snapshots; // snapshot files: stock Redis loads them, crashes and faults leave a whole one
mod storage; // the simulated and the real disk keep the same contract
mod tidy; // house rules of the whole workspace: sizes, names, layers, what may be named where
