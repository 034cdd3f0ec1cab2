//! The first lines of the log: what runs here, with which configuration, where.

use crate::config::Config;
use std::{
    io::{IsTerminal, Write},
    path::Path,
};

/// Logs what is about to run; `cpus` as far as shards are pinned.
pub fn say(config: &Config, file: Option<&Path>, cpus: &[Option<usize>]) {
    tracing::info!(
        "Quire version={}, Redis compatibility=7.0, bits={}, pid={}, just started",
        env!("CARGO_PKG_VERSION"),
        usize::BITS,
        std::process::id()
    );
    match file {
        Some(file) => tracing::info!("Configuration loaded: {}", file.display()),
        None => tracing::warn!(
            "Warning: no config file specified, using the default config. In order to specify a \
             config file use quire-server /path/to/quire.conf"
        ),
    }
    let pinned: Vec<String> = cpus.iter().flatten().map(ToString::to_string).collect();
    let place = if pinned.is_empty() {
        "not pinned".to_owned()
    } else {
        format!("pinned to CPUs {}", pinned.join(","))
    };
    tracing::info!("Running {} shards, {place}, port={}", config.shards, config.port);
    let is_watched =
        config.logfile.is_empty() && !config.syslog_enabled && std::io::stdout().is_terminal();
    if config.always_show_logo || is_watched {
        // A log that cannot be written is no reason not to start.
        let _ = std::io::stdout().write_all(logo(config).as_bytes());
    }
}

/// Leaves, stitched together.
fn logo(config: &Config) -> String {
    format!(
        r"
      ______ ______
    _/      Y      \_     Quire {version}
   // ~~ ~~ | ~~ ~~ \\
  // ~ ~ ~~ | ~~~ ~~ \\   Port: {port}
 //________.|.________\\  PID: {pid}
 `---------`-'---------'  Shards: {shards}

",
        version = env!("CARGO_PKG_VERSION"),
        port = config.port,
        pid = std::process::id(),
        shards = config.shards,
    )
}
