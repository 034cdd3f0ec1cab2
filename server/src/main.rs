//! The server's entry: arguments, configuration, preflight, start, exit code.

use quire_server::{
    config::{Config, Invocation, command_names, markdown, parse_arguments, usage},
    dispatch::table,
    observe::{account::Counted, log},
    process::{banner, crash, kernel, notify, title},
    runtime::{affinity::Cpus, preflight},
    start,
};
use std::{io::Write, process::ExitCode};

#[global_allocator]
static ALLOCATOR: Counted = Counted;

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
    let called = std::env::args_os().next().unwrap_or_default();
    let arguments = std::env::args_os().skip(1).collect();
    let (file, lines, only_check) = match parse_arguments(arguments).map_err(|e| e.to_string())? {
        Invocation::Run { file, lines } => (file, lines, false),
        Invocation::Check { file, lines } => (file, lines, true),
        Invocation::Reference => {
            print!("{}", markdown());
            return Ok(0);
        }
        Invocation::Help => {
            print!("{}", usage());
            return Ok(0);
        }
        Invocation::Version => {
            println!("Quire server v={} (compatible with Redis 7.0)", env!("CARGO_PKG_VERSION"));
            return Ok(0);
        }
    };
    let mut config = Config::from_lines(&lines).map_err(|e| e.to_string())?;
    let cpus = Cpus::detect().named_by(&config.server_cpulist)?;
    config.resolve(cpus.usable()).map_err(|e| e.to_string())?;
    if !config.rename_command.is_empty() {
        table::rename(command_names(&config)?);
    }
    config.dir = std::path::absolute(&config.dir)
        .map_err(|e| format!("dir {}: {e}", config.dir.display()))?;
    std::env::set_current_dir(&config.dir)
        .map_err(|e| format!("cannot change to dir {}: {e}", config.dir.display()))?;
    if only_check {
        return check(&config);
    }
    if config.set_proc_title {
        title::claim(&called.to_string_lossy());
        title::show(&config, file.as_deref());
    }
    log::start(&config)?;
    log::log_panics();
    crash::report_to(&config.logfile);
    crash::enable(config.crash_log_enabled);
    notify::find(config.supervised);
    let plan = cpus.plan(config.shards as usize);
    banner::say(&config, file.as_deref(), &plan.cpus);
    for warning in plan.warnings {
        tracing::warn!("{warning}");
    }
    kernel::apply_oom_score(&config)?;
    if config.disable_thp {
        kernel::disable_huge_pages();
    }
    let granted = preflight::check(needs(&config)).map_err(|refusal| refusal.to_string())?;
    for warning in granted.notes {
        tracing::warn!("{warning}");
    }
    config.maxclients = granted.maxclients;
    start::run(config, file, plan.cpus)
}

fn needs(config: &Config) -> preflight::Needs {
    preflight::Needs {
        shards: config.shards,
        storage_threads: config.storage_threads,
        maxclients: config.maxclients,
    }
}

/// `--check`: the configuration is good by now; is the system?
fn check(config: &Config) -> Result<i32, String> {
    let granted = preflight::check(needs(config)).map_err(|refusal| refusal.to_string())?;
    for note in granted.notes {
        println!("note: {note}");
    }
    println!(
        "The configuration is good, and the system has what it takes: {} shards, {} clients, data \
         below {}",
        config.shards,
        granted.maxclients,
        config.dir.display()
    );
    Ok(0)
}
