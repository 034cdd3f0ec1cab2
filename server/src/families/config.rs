//! CONFIG GET, SET, REWRITE, RESETSTAT: the configuration of the running server.

use super::{ServerSpec, Step, allows, connection::authenticate, help, server_row};
use crate::{
    config::{Config, replace_file, rewritten},
    dispatch::everywhere::Task,
    net::{
        connection::Connection,
        listener::{self, Tcp},
    },
    observe::log,
    process::{crash, kernel, title},
    runtime::{
        control::{Control, Origin, Wish},
        core::Core,
        preflight,
        shared::Shared,
    },
};
use quire_engine::command::{Args, CommandError, ErrorCounts, Flags, Reply};
use std::sync::atomic::Ordering;

const ADMIN: Flags = Flags::ADMIN.with(Flags::NOSCRIPT).with(Flags::LOADING).with(Flags::STALE);

pub(super) const SPECS: &[ServerSpec] = &[ServerSpec {
    complexity: "Depends on subcommand.",
    subcommands: &[
        ServerSpec {
            complexity: "O(N) when N is the number of configuration parameters provided",
            ..server_row("config|get", -3, ADMIN, "2.0.0", "Values of directives", get)
        },
        ServerSpec {
            complexity: "O(N) when N is the number of configuration parameters provided",
            ..server_row("config|set", -4, ADMIN, "2.0.0", "Changes directives", set)
        },
        ServerSpec {
            complexity: "O(N) where N is the number of commands",
            ..server_row("config|resetstat", 2, ADMIN, "2.0.0", "Sets counts back", resetstat)
        },
        server_row(
            "config|rewrite",
            2,
            ADMIN,
            "2.8.0",
            "Brings the configuration file up to date",
            rewrite,
        ),
        server_row(
            "config|help",
            2,
            Flags::LOADING.with(Flags::STALE),
            "5.0.0",
            "What CONFIG can do",
            config_help,
        ),
    ],
    ..server_row(
        "config",
        -2,
        Flags(0),
        "2.0.0",
        "Commands about the configuration",
        help::bare_container,
    )
}];

fn get(
    core: &mut Core,
    conn: &mut Connection,
    args: Args<'_>,
    out: &mut Vec<u8>,
) -> Result<Step, CommandError> {
    let found = core.shared.config.get(args.iter_from(2));
    let mut reply = Reply::new(out, conn.session.resp3);
    reply.map(found.len());
    for (name, value) in found {
        reply.bulk(&name);
        reply.bulk(&value);
    }
    Ok(Step::Reply)
}

fn set(
    core: &mut Core,
    conn: &mut Connection,
    args: Args<'_>,
    out: &mut Vec<u8>,
) -> Result<Step, CommandError> {
    if args.len() % 2 == 1 {
        return Err(CommandError::SYNTAX);
    }
    let pairs: Vec<(&[u8], &[u8])> =
        (2..args.len()).step_by(2).map(|at| (args.get(at), args.get(at + 1))).collect();
    let appends = pairs.iter().find(|(name, _)| name.eq_ignore_ascii_case(b"appendonly"));
    if let Some((_, value)) = appends
        && let Some(on) = yes_or_no(value)
        && on != core.live.appendonly
    {
        if pairs.len() > 1 {
            return Err(CommandError::new(
                "ERR CONFIG SET failed (possibly related to argument 'appendonly') - it is set by \
                 itself: a base of all keys is written first",
            ));
        }
        return Ok(Step::Wish(Wish::Log(on)));
    }
    let shared = &core.shared;
    let may_protected = allows(core.live.enable_protected_configs, conn);
    shared
        .config
        .set(&pairs, may_protected, |old, new| apply(shared, old, new))
        .map_err(|error| CommandError::owned(error.to_string()))?;
    // This very command is noted or not as its own settings say, and the next one goes by them.
    core.adopt_settings();
    Reply::new(out, conn.session.resp3).ok();
    Ok(Step::Reply)
}

fn yes_or_no(value: &[u8]) -> Option<bool> {
    let is = |word: &[u8]| value.eq_ignore_ascii_case(word);
    if is(b"yes") { Some(true) } else { is(b"no").then_some(false) }
}

fn resetstat(
    _core: &mut Core,
    _conn: &mut Connection,
    _args: Args<'_>,
    _out: &mut Vec<u8>,
) -> Result<Step, CommandError> {
    Ok(Step::Everywhere(Task::ResetStat))
}

/// This core's part of CONFIG RESETSTAT. What all cores count together is set back when every
/// core has published its counts.
pub fn reset_here(core: &mut Core) {
    core.timings.reset();
    core.errors = ErrorCounts::default();
    if let Some(shard) = core.shard.as_mut() {
        shard.stats.errors = ErrorCounts::default();
        shard.stats.failed = ErrorCounts::default();
        shard.stats.refused = ErrorCounts::default();
    }
    core.publish_figures();
}

/// What takes more than reading the new value: all of it, or nothing.
fn apply(shared: &Shared, old: &Config, new: &mut Config) -> Result<(), (&'static str, String)> {
    if let Err(refusal) = apply_what_may_fail(shared, old, new) {
        // Both did nothing if they were not reached.
        let _ = kernel::apply_oom_score(old);
        let _ = std::env::set_current_dir(&old.dir);
        return Err(refusal);
    }
    if new.crash_log_enabled != old.crash_log_enabled {
        crash::enable(new.crash_log_enabled);
    }
    if new.set_proc_title {
        title::show(new, shared.options.config_file.as_deref());
    }
    log::configure(new);
    Ok(())
}

fn apply_what_may_fail(
    shared: &Shared,
    old: &Config,
    new: &mut Config,
) -> Result<(), (&'static str, String)> {
    if new.maxclients > old.maxclients {
        fit_clients(new).map_err(|reason| ("maxclients", reason))?;
    }
    if new.dir != old.dir {
        let has_log = new.appendonly || shared.log_begins.load(Ordering::Acquire);
        move_to(new, has_log).map_err(|reason| ("dir", reason))?;
    }
    let oom = |config: &Config| (config.oom_score_adj, config.oom_score_adj_values);
    if oom(new) != oom(old) {
        kernel::apply_oom_score(new).map_err(|reason| ("oom-score-adj", reason))?;
    }
    // Last: it undoes itself, but others do not undo it.
    if (new.port, &new.bind) != (old.port, &old.bind) {
        let tcp = (Tcp::of(old), Tcp::of(new));
        let changed = listener::change(&mut shared.listeners(), tcp.0, tcp.1);
        // After an error, too: what was closed has been opened anew.
        shared.cores[0].mailbox.post(Control::Listen);
        changed.map_err(|error| {
            tracing::warn!("Failed listening on {}: {}", error.place, error.source);
            if new.port == old.port {
                ("bind", "Failed to bind to specified addresses.".to_owned())
            } else {
                ("port", "Unable to listen on this port. Check server logs.".to_owned())
            }
        })?;
    }
    Ok(())
}

/// Raises the limit of open files for more clients.
fn fit_clients(new: &Config) -> Result<(), String> {
    let needs = preflight::Needs {
        shards: new.shards,
        storage_threads: new.storage_threads,
        maxclients: new.maxclients,
    };
    let granted = preflight::fit_files(needs).map_err(|refusal| refusal.to_string())?.maxclients;
    if granted < new.maxclients {
        return Err(format!(
            "The operating system is not able to handle the specified number of clients, try with \
             {granted}"
        ));
    }
    Ok(())
}

/// Changes the working directory.
fn move_to(config: &mut Config, has_log: bool) -> Result<(), String> {
    if has_log {
        return Err("the log lives below dir and stays there: set appendonly no first, or stop \
                    the server to move it"
            .to_owned());
    }
    let moved = std::env::set_current_dir(&config.dir).and_then(|()| std::env::current_dir());
    config.dir = moved.map_err(|error| preflight::reason(&error))?;
    Ok(())
}

fn rewrite(
    core: &mut Core,
    _conn: &mut Connection,
    _args: Args<'_>,
    _out: &mut Vec<u8>,
) -> Result<Step, CommandError> {
    if core.shared.options.config_file.is_none() {
        return Err(CommandError::new("ERR The server is running without a config file"));
    }
    Ok(Step::RewriteConfig { all: false })
}

/// Enough for formatting some hundred lines.
const REWRITE_STACK_BYTES: usize = 256 * 1024;

/// Rewrites the file; the error is a reply.
fn rewrite_file(path: &std::path::Path, config: &Config, all: bool) -> Result<(), String> {
    match replace_file(path, |old| rewritten(old, config, all)) {
        Ok(()) => {
            tracing::warn!("CONFIG REWRITE executed with success.");
            Ok(())
        }
        Err(error) => {
            let reason = preflight::reason(&error);
            tracing::warn!("CONFIG REWRITE failed: {}: {reason}", path.display());
            Err(format!("ERR Rewriting config file: {reason}"))
        }
    }
}

impl Core {
    /// Has the configuration file rewritten by a thread of its own, since that waits for the
    /// disk; the connection's reply comes when it is done.
    pub fn start_rewrite(&mut self, conn: &mut Connection, all: bool) {
        let seq = conn.open_slot(self.id);
        let origin =
            Origin { core: self.id as usize, conn: conn.index, client: conn.session.id, seq };
        let shared = std::sync::Arc::clone(&self.shared);
        let path = shared.options.config_file.clone().unwrap_or_default();
        let thread = std::thread::Builder::new().name("config-rewrite".to_owned());
        let thread = thread.stack_size(REWRITE_STACK_BYTES);
        let spawned = thread.spawn(move || {
            // Two at a time would both be whole, but the older one could win.
            static ONE: std::sync::Mutex<()> = std::sync::Mutex::new(());
            let _one = ONE.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
            let result = rewrite_file(&path, &shared.config.load(), all);
            let done = Control::GlobalDone { origin, result, gates: Vec::new() };
            shared.cores[origin.core].mailbox.post(done);
        });
        if let Err(error) = spawned {
            let result = Err(format!("ERR Rewriting config file: {}", preflight::reason(&error)));
            // By mail: this connection is being served, so it cannot be found before its turn ends.
            let done = Control::GlobalDone { origin, result, gates: Vec::new() };
            self.shared.cores[origin.core].mailbox.post(done);
        }
    }

    /// Goes by the settings in force from now on.
    pub fn adopt_settings(&mut self) {
        self.live = self.shared.config.load();
        if let Some(shard) = self.shard.as_mut() {
            shard.limits = self.live.limits;
            shard.lazy = self.live.lazyfree;
        }
        self.timings.set(self.slow_from(), self.live.latency_tracking);
        self.tell_second();
    }

    /// Brings what connections keep of the settings in line with new ones.
    pub fn settings_changed(&mut self) {
        self.limit_changed();
        self.clients_limit_changed();
        let is_open = self.live.requirepass.is_empty();
        for conn in self.conns.iter_mut().flatten() {
            // The range of the directive fits.
            conn.parser.set_proto_max_bulk_len(self.live.proto_max_bulk_len as u32);
            if is_open {
                // Nobody is asked for a password any more.
                authenticate(conn, true);
            }
        }
    }
}

fn config_help(
    _core: &mut Core,
    conn: &mut Connection,
    _args: Args<'_>,
    out: &mut Vec<u8>,
) -> Result<Step, CommandError> {
    let lines = [
        "GET <pattern>",
        "    Return parameters matching the glob-like <pattern> and their values.",
        "SET <directive> <value>",
        "    Set the configuration <directive> to <value>.",
        "RESETSTAT",
        "    Reset statistics reported by the INFO command.",
        "REWRITE",
        "    Rewrite the configuration file.",
    ];
    help::write("CONFIG", &lines, conn, out);
    Ok(Step::Reply)
}
