//! The server's entry: arguments, configuration, preflight, start, exit code.

use quire_server::{
    config::{Config, Invocation, command_names, parse_arguments, usage},
    dispatch::table,
    observe::log,
    runtime::{affinity::Cpus, preflight},
    start,
};
use std::{io::Write, process::ExitCode};

#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

fn main() -> ExitCode {
    match serve() {
        Ok(code) => ExitCode::from(code as u8),
        Err(text) => {
            let _ = writeln!(std::io::stderr(), "quire-server: {text}");
            ExitCode::FAILURE
        }
    }
}

fn serve() -> Result<i32, String> {
    let arguments = std::env::args_os().skip(1).collect();
    let (file, lines) = match parse_arguments(arguments).map_err(|e| e.to_string())? {
        Invocation::Run { file, lines } => (file, lines),
        Invocation::Help => {
            print!("{}", usage());
            return Ok(0);
        }
        Invocation::Version => {
            println!("Quire server v={} (compatible with Redis 7.0)", env!("CARGO_PKG_VERSION"));
            return Ok(0);
        }
    };
    let cpus = Cpus::detect();
    let mut config = Config::from_lines(&lines).map_err(|e| e.to_string())?;
    config.resolve(cpus.usable()).map_err(|e| e.to_string())?;
    if !config.rename_command.is_empty() {
        table::rename(command_names(&config)?);
    }
    config.dir = std::path::absolute(&config.dir)
        .map_err(|e| format!("dir {}: {e}", config.dir.display()))?;
    std::env::set_current_dir(&config.dir)
        .map_err(|e| format!("cannot change to dir {}: {e}", config.dir.display()))?;
    log::start(config.loglevel, &config.logfile)?;
    log::log_panics();
    let needs = preflight::Needs {
        shards: config.shards,
        storage_threads: config.storage_threads,
        maxclients: config.maxclients,
    };
    let granted = preflight::check(needs).map_err(|refusal| refusal.to_string())?;
    for warning in granted.notes {
        tracing::warn!("{warning}");
    }
    config.maxclients = granted.maxclients;
    let plan = cpus.plan(config.shards as usize);
    for warning in plan.warnings {
        tracing::warn!("{warning}");
    }
    start::run(config, file, plan.cpus)
}
