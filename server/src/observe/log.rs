//! The log for operators: lines as Redis writes them, `pid:M date level message`, on standard
//! output or at the end of a file.
//!
//! Events come from `tracing`. Redis' four levels are `error!`/`warn!` = warning (`#`), `info!` =
//! notice (`*`), `debug!` = verbose (`-`), `trace!` = debug (`.`). The file is opened for every
//! line, as Redis does, so that it can be rotated by renaming. Libraries' chatter below warning
//! is left out except at level debug.

use crate::config::LogLevel;
use std::{
    fmt::{self, Write as _},
    fs::OpenOptions,
    io::{self, Write as _},
    path::PathBuf,
    sync::atomic::{AtomicU8, Ordering},
};
use tracing::{
    Event, Level, Metadata, Subscriber,
    field::{Field, Visit},
    subscriber::Interest,
};
use tracing_subscriber::layer::{Context, Layer, SubscriberExt};

/// The least of [`LogLevel`] that is written now.
static THRESHOLD: AtomicU8 = AtomicU8::new(LogLevel::Notice as u8);

/// Starts logging. An empty `logfile` is standard output.
///
/// # Errors
/// The file cannot be written.
pub fn start(level: LogLevel, logfile: &str) -> Result<(), String> {
    let sink = if logfile.is_empty() { Sink::Stdout } else { Sink::File(logfile.into()) };
    sink.check().map_err(|error| format!("Can't open the log file {logfile}: {error}"))?;
    set_level(level);
    let subscriber = tracing_subscriber::registry().with(Lines { sink });
    // Fails only when logging was started before, by another server in the same process.
    let _ = tracing::subscriber::set_global_default(subscriber);
    Ok(())
}

/// Changes how much is logged.
pub fn set_level(level: LogLevel) {
    THRESHOLD.store(level as u8, Ordering::Relaxed);
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
        let sign = match redis_level(*event.metadata().level()) {
            LogLevel::Debug => '.',
            LogLevel::Verbose => '-',
            LogLevel::Notice => '*',
            LogLevel::Warning => '#',
        };
        let mut line = Line(format!("{}:M {} {sign} ", std::process::id(), now()));
        event.record(&mut line);
        line.0.push('\n');
        // There is nobody left to tell when the log cannot be written.
        let _ = self.sink.write(line.0.as_bytes());
    }
}

/// The text of an event: its message, then its fields as ` name=value`.
struct Line(String);

impl fmt::Write for Line {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        // What clients send must not look like lines of the log.
        self.0.extend(text.chars().map(|c| if c.is_control() { ' ' } else { c }));
        Ok(())
    }
}

impl Visit for Line {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        // Writing to a String cannot fail.
        let _ = if field.name() == "message" {
            write!(self, "{value:?}")
        } else {
            write!(self, " {}={value:?}", field.name())
        };
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.record_debug(field, &format_args!("{value}"));
    }
}

/// Local time as `01 Jan 2030 12:34:56.789`.
fn now() -> String {
    let since_epoch =
        std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
    // Seconds since 1970 fit.
    let seconds = since_epoch.as_secs() as libc::time_t;
    // SAFETY: tm is plain numbers and a pointer, for which zero is a valid value.
    let mut tm: libc::tm = unsafe { std::mem::zeroed() };
    // SAFETY: both pointers are valid for the call; localtime_r writes one tm.
    unsafe { libc::localtime_r(&raw const seconds, &raw mut tm) };
    let month =
        ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
    let month = month.get(tm.tm_mon as usize).copied().unwrap_or("???");
    format!(
        "{:02} {month} {} {:02}:{:02}:{:02}.{:03}",
        tm.tm_mday,
        tm.tm_year + 1900,
        tm.tm_hour,
        tm.tm_min,
        tm.tm_sec,
        since_epoch.subsec_millis()
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::{Arc, Mutex};

    #[test]
    fn lines_look_like_redis_lines_and_levels_change_at_run_time() {
        let bytes = Arc::new(Mutex::new(Vec::new()));
        let lines = Lines { sink: Sink::Memory(Arc::clone(&bytes)) };
        tracing::subscriber::with_default(tracing_subscriber::registry().with(lines), || {
            for level in [LogLevel::Notice, LogLevel::Debug, LogLevel::Warning] {
                set_level(level);
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
            // 123:M 01 Jan 2030 12:34:56.789 * message
            let mut words = line.splitn(7, ' ');
            assert_eq!(words.next(), Some(format!("{pid}:M").as_str()));
            let date: Vec<_> = words.by_ref().take(4).collect();
            assert_eq!(date[3].len(), "12:34:56.789".len(), "{line}");
            messages.push(words.collect::<Vec<_>>().join(" "));
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
        let error = start(LogLevel::Notice, "/nowhere/quire.log").unwrap_err();
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
