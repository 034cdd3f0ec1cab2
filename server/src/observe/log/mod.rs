//! The log for operators: one line an event, on standard output or at the end of a file, and to
//! syslog if asked. `line.rs` knows what a line looks like, docs/operations.md what each means.
//!
//! Events come from `tracing`. Redis' four levels are `error!`/`warn!` = warning (`#`), `info!` =
//! notice (`*`), `debug!` = verbose (`-`), `trace!` = debug (`.`). The file is opened for every
//! line, as Redis does, so that it can be rotated by renaming. Libraries' chatter below warning
//! is left out except at level debug.

mod line;
mod syslog;

use crate::config::{Config, LogFormat, LogLevel};
use line::Place;
use std::{
    fs::OpenOptions,
    io::{self, Write as _},
    path::PathBuf,
    sync::atomic::{AtomicU8, Ordering},
};
use syslog::Syslog;
use tracing::{Event, Level, Metadata, Subscriber, subscriber::Interest};
use tracing_subscriber::layer::{Context, Layer, SubscriberExt};

/// The least of [`LogLevel`] that is written now.
static THRESHOLD: AtomicU8 = AtomicU8::new(LogLevel::Notice as u8);

/// The [`LogFormat`] of lines now.
static FORMAT: AtomicU8 = AtomicU8::new(LogFormat::Text as u8);

/// Starts logging as the configuration says. An empty `logfile` is standard output; a relative one
/// counts from the current directory.
///
/// # Errors
/// The file cannot be written.
pub fn start(config: &Config) -> Result<(), String> {
    let logfile = &config.logfile;
    let sink = if logfile.is_empty() {
        Sink::Stdout
    } else {
        Sink::File(std::path::absolute(logfile).unwrap_or_else(|_| logfile.into()))
    };
    sink.check().map_err(|error| format!("Can't open the log file {logfile}: {error}"))?;
    configure(config);
    let syslog =
        config.syslog_enabled.then(|| Syslog::new(&config.syslog_ident, config.syslog_facility));
    let subscriber = tracing_subscriber::registry().with(Lines { sink, syslog });
    // Fails only when logging was started before, by another server in the same process.
    let _ = tracing::subscriber::set_global_default(subscriber);
    Ok(())
}

/// Obeys what may change while the server runs: how much is logged, and how it looks.
pub fn configure(config: &Config) {
    THRESHOLD.store(config.loglevel as u8, Ordering::Relaxed);
    FORMAT.store(config.log_format as u8, Ordering::Relaxed);
}

/// Panics are logged, where they happened included; then whatever happened on panics before.
pub fn log_panics() {
    let previous = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |info| {
        tracing::error!("Quire crashed: {info}");
        previous(info);
    }));
}

#[derive(Debug)]
enum Sink {
    Stdout,
    File(PathBuf),
    #[cfg(test)]
    Memory(std::sync::Arc<std::sync::Mutex<Vec<u8>>>),
}

impl Sink {
    fn check(&self) -> io::Result<()> {
        match self {
            Self::File(path) => OpenOptions::new().append(true).create(true).open(path).map(drop),
            _ => Ok(()),
        }
    }

    /// One call, one line: lines of several threads never mix.
    fn write(&self, line: &[u8]) -> io::Result<()> {
        match self {
            Self::Stdout => io::stdout().lock().write_all(line),
            Self::File(path) => {
                OpenOptions::new().append(true).create(true).open(path)?.write_all(line)
            }
            #[cfg(test)]
            Self::Memory(bytes) => {
                bytes.lock().unwrap().extend_from_slice(line);
                Ok(())
            }
        }
    }
}

#[derive(Debug)]
struct Lines {
    sink: Sink,
    syslog: Option<Syslog>,
}

fn redis_level(level: Level) -> LogLevel {
    match level {
        Level::ERROR | Level::WARN => LogLevel::Warning,
        Level::INFO => LogLevel::Notice,
        Level::DEBUG => LogLevel::Verbose,
        _ => LogLevel::Debug,
    }
}

fn is_wanted(metadata: &Metadata<'_>, threshold: u8) -> bool {
    let level = redis_level(*metadata.level());
    let is_ours = metadata.target().starts_with("quire");
    let is_chatter = !is_ours && level < LogLevel::Warning;
    level as u8 >= threshold && (!is_chatter || threshold == LogLevel::Debug as u8)
}

impl<S: Subscriber> Layer<S> for Lines {
    fn register_callsite(&self, _: &'static Metadata<'static>) -> Interest {
        // The threshold may change: never decide once and for all.
        Interest::sometimes()
    }

    fn enabled(&self, metadata: &Metadata<'_>, _: Context<'_, S>) -> bool {
        is_wanted(metadata, THRESHOLD.load(Ordering::Relaxed))
    }

    fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
        let level = redis_level(*event.metadata().level());
        let (place, text) = (Place::current(), line::text_of(event));
        let format = LogFormat::ALL[FORMAT.load(Ordering::Relaxed) as usize];
        let line = line::line(format, level, &place, &text);
        // There is nobody left to tell when the log cannot be written.
        let _ = self.sink.write(line.as_bytes());
        if let Some(syslog) = &self.syslog {
            syslog.send(level, place.since_epoch, &text);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::{Arc, Mutex};

    #[test]
    fn lines_look_like_redis_lines_and_levels_change_at_run_time() {
        let bytes = Arc::new(Mutex::new(Vec::new()));
        let lines = Lines { sink: Sink::Memory(Arc::clone(&bytes)), syslog: None };
        tracing::subscriber::with_default(tracing_subscriber::registry().with(lines), || {
            for level in [LogLevel::Notice, LogLevel::Debug, LogLevel::Warning] {
                configure(&Config { loglevel: level, ..Config::default() });
                tracing::warn!("low\nmemory {}", 1);
                tracing::info!(shards = 4, text = "a", "started");
                tracing::debug!("client connected");
                tracing::trace!("detail");
                tracing::info!(target: "glommio", "chatter");
            }
        });
        let text = String::from_utf8(bytes.lock().unwrap().clone()).unwrap();
        let pid = std::process::id().to_string();
        let mut messages = Vec::new();
        for line in text.lines() {
            // 123:M 01 Jan 2030 12:34:56.789 * [thread] message
            let mut words = line.splitn(7, ' ');
            assert_eq!(words.next(), Some(format!("{pid}:M").as_str()));
            let date: Vec<_> = words.by_ref().take(4).collect();
            assert_eq!(date[3].len(), "12:34:56.789".len(), "{line}");
            let rest = words.collect::<Vec<_>>().join(" ");
            let (before, message) = rest.split_once("] ").unwrap();
            messages.push(format!("{} {message}", &before[..1]));
        }
        assert_eq!(
            messages,
            [
                "# low memory 1",
                "* started shards=4 text=a",
                "# low memory 1",
                "* started shards=4 text=a",
                "- client connected",
                ". detail",
                "* chatter",
                "# low memory 1",
            ]
        );
    }

    #[test]
    fn a_log_file_that_cannot_be_written_is_refused() {
        let config = Config { logfile: "/nowhere/quire.log".to_owned(), ..Config::default() };
        let error = start(&config).unwrap_err();
        assert!(error.starts_with("Can't open the log file /nowhere/quire.log: No such"));
    }

    #[test]
    fn a_renamed_log_file_is_made_anew() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("quire.log");
        let sink = Sink::File(path.clone());
        sink.write(b"one\n").unwrap();
        std::fs::rename(&path, dir.path().join("old")).unwrap();
        sink.write(b"two\n").unwrap();
        sink.write(b"three\n").unwrap();
        assert_eq!(std::fs::read_to_string(path).unwrap(), "two\nthree\n");
    }
}
