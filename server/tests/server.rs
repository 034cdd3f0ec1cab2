//! The single test binary of the server: it starts the real program, and stock Redis beside it.
//!
//! Needs redis-server 7, redis-cli, redis-benchmark, redis-check-aof and redis-py; where one is
//! missing, the tests fail and say so. `bash .ci/test` installs them.

mod support; // processes, a client, the model of what was acknowledged

mod backups; // BACKUP: all keys at one moment, or nothing
mod blocking; // clients that wait for keys, beside stock Redis
mod check; // quire-check: damage made by hand, what it says, what its repair makes of it
mod clients; // programs people use: redis-cli, redis-benchmark, redis-py
mod compatibility; // the page of what differs names every command that is missing
mod configuration; // redis.conf, CONFIG, the log, the process and its supervisor
mod deltas; // checkpoints of what has changed: files, restarts, stock Redis, what makes a base of them
mod differential; // random scripts: no reply differs from stock Redis
mod disk; // a full disk, a disk that reports errors
mod families; // commands about connections and the server, compared with stock Redis
mod fuzzing; // what fuzzers run, on their seeds
mod histories; // one order of all operations explains what every connection was answered
mod interchange; // directories that move between Quire and stock Redis
mod kill; // kill -9 under load, restart, nothing acknowledged is missing
mod memory; // the limit of memory holds, whatever is evicted; what is said of memory is true
mod modes; // the four modes of persistence, each through kills, shard counts and stock Redis
mod observing; // slow log, MONITOR, pauses, waits, counts over all shards
mod packaging; // the systemd unit, the filter for containers
mod refusal; // starts that must not happen, and the sentence that says why
mod reloading; // DEBUG RELOAD and LOADAOF: data, log and files agree
mod saving; // snapshots and checkpoints of a running server
mod scattered; // keys of one command on several shards
mod scripting; // Lua: as in stock Redis, atomic, stopped when it takes too long
mod stress; // sleeping and waking of the loop under bursts and gaps
mod switching; // a log that begins and ends while the server runs
mod transactions; // MULTI, EXEC, WATCH: whole or not at all, for everybody and over a crash
mod wire; // bytes on the wire, compared with stock Redis
