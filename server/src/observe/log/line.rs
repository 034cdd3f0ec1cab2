//! One event as one line: as Redis writes them, or as a JSON object.
//!
//! Every line says when, how important, and on which thread (for shards: which). What clients
//! send cannot look like a line of its own: control characters never come out as they are.

use crate::config::{LogFormat, LogLevel};
use std::{
    fmt::{self, Write as _},
    time::Duration,
};
use tracing::{
    Event,
    field::{Field, Visit},
};

/// When and where an event happened.
#[derive(Debug, Clone)]
pub(super) struct Place {
    /// Time since 1970.
    pub since_epoch: Duration,
    /// The process.
    pub pid: u32,
    /// The thread's name.
    pub thread: String,
}

impl Place {
    /// Here and now.
    pub fn current() -> Self {
        let since_epoch =
            std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
        let thread = std::thread::current().name().unwrap_or("unnamed").to_owned();
        Self { since_epoch, pid: std::process::id(), thread }
    }

    /// The shard whose thread it is.
    fn shard(&self) -> Option<&str> {
        let number = self.thread.strip_prefix("shard-")?;
        number.bytes().all(|b| b.is_ascii_digit()).then_some(number)
    }
}

/// What an event says: its message, then its fields as ` name=value`; no control characters.
pub(super) fn text_of(event: &Event<'_>) -> String {
    let mut text = Text(String::new());
    event.record(&mut text);
    text.0
}

/// The line, its end included.
pub(super) fn line(format: LogFormat, level: LogLevel, place: &Place, text: &str) -> String {
    match format {
        LogFormat::Text => as_text(level, place, text),
        LogFormat::Json => as_json(level, place, text),
    }
}

fn as_text(level: LogLevel, place: &Place, text: &str) -> String {
    let sign = match level {
        LogLevel::Debug => '.',
        LogLevel::Verbose => '-',
        LogLevel::Notice => '*',
        LogLevel::Warning => '#',
    };
    let thread = match place.shard() {
        Some(number) => format!("shard {number}"),
        None => place.thread.clone(),
    };
    let tm = calendar(place.since_epoch, Zone::Local);
    let month =
        ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
    let month = month.get(tm.tm_mon as usize).copied().unwrap_or("???");
    format!(
        "{}:M {:02} {month} {} {:02}:{:02}:{:02}.{:03} {sign} [{thread}] {text}\n",
        place.pid,
        tm.tm_mday,
        tm.tm_year + 1900,
        tm.tm_hour,
        tm.tm_min,
        tm.tm_sec,
        place.since_epoch.subsec_millis()
    )
}

fn as_json(level: LogLevel, place: &Place, text: &str) -> String {
    let tm = calendar(place.since_epoch, Zone::Utc);
    let mut line = format!(
        "{{\"time\":\"{}-{:02}-{:02}T{:02}:{:02}:{:02}.{:03}Z\",\"level\":\"{}\",\"pid\":{},\
         \"thread\":",
        tm.tm_year + 1900,
        tm.tm_mon + 1,
        tm.tm_mday,
        tm.tm_hour,
        tm.tm_min,
        tm.tm_sec,
        place.since_epoch.subsec_millis(),
        LogLevel::NAMES[level as usize],
        place.pid
    );
    push_json_string(&mut line, &place.thread);
    if let Some(shard) = place.shard() {
        line.push_str(",\"shard\":");
        line.push_str(shard);
    }
    line.push_str(",\"message\":");
    push_json_string(&mut line, text);
    line.push_str("}\n");
    line
}

fn push_json_string(line: &mut String, text: &str) {
    line.push('"');
    for c in text.chars() {
        match c {
            '"' | '\\' => line.extend(['\\', c]),
            c if c.is_control() => {
                // Writing to a String cannot fail.
                let _ = write!(line, "\\u{:04x}", u32::from(c));
            }
            c => line.push(c),
        }
    }
    line.push('"');
}

struct Text(String);

impl fmt::Write for Text {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        self.0.extend(text.chars().map(|c| if c.is_control() { ' ' } else { c }));
        Ok(())
    }
}

impl Visit for Text {
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

#[derive(Debug, Clone, Copy)]
pub(super) enum Zone {
    Local,
    Utc,
}

/// Date and time of day.
pub(super) fn calendar(since_epoch: Duration, zone: Zone) -> libc::tm {
    // Seconds since 1970 fit.
    let seconds = since_epoch.as_secs() as libc::time_t;
    // SAFETY: tm is plain numbers and a pointer, for which zero is a valid value.
    let mut tm: libc::tm = unsafe { std::mem::zeroed() };
    match zone {
        // SAFETY: both pointers are valid for the call; localtime_r writes one tm.
        Zone::Local => unsafe { libc::localtime_r(&raw const seconds, &raw mut tm) },
        // SAFETY: as above.
        Zone::Utc => unsafe { libc::gmtime_r(&raw const seconds, &raw mut tm) },
    };
    tm
}

#[cfg(test)]
mod tests {
    use super::*;

    fn place(thread: &str) -> Place {
        let since_epoch = Duration::from_millis(1_764_062_762_007);
        Place { since_epoch, pid: 42, thread: thread.to_owned() }
    }

    #[test]
    fn a_line_names_time_level_process_and_shard() {
        let text = as_text(LogLevel::Warning, &place("shard-12"), "disk full");
        assert!(text.starts_with("42:M ") && text.ends_with(".007 # [shard 12] disk full\n"));
        assert!(
            as_text(LogLevel::Notice, &place("librarian"), "x").ends_with(" * [librarian] x\n")
        );
        assert_eq!(
            as_json(LogLevel::Warning, &place("shard-12"), "disk full"),
            "{\"time\":\"2025-11-25T09:26:02.007Z\",\"level\":\"warning\",\"pid\":42,\
             \"thread\":\"shard-12\",\"shard\":12,\"message\":\"disk full\"}\n"
        );
    }

    #[test]
    fn json_stays_json_whatever_is_said() {
        let line = as_json(LogLevel::Debug, &place("shard-x"), "a\"b\\c\n\u{7f}\u{e4}");
        assert!(line.contains("\"message\":\"a\\\"b\\\\c\\u000a\\u007f\u{e4}\"}"), "{line}");
        assert!(!line.contains("\"shard\":"), "{line}");
        assert_eq!(line.lines().count(), 1);
    }
}
