//! Commands while somebody monitors or clients are paused: the way that is almost never taken.
//!
//! Monitors see a command when it is taken up, by whichever core; the lines a core has gathered
//! in a turn go to monitors on other cores by mail. A command that must wait for the end of a
//! pause parks its connection.

use super::{
    Taken, redact,
    table::{self, Target},
};
use crate::{
    families::ServerSpec,
    net::connection::{Connection, Parked},
    observe::slowlog::REDACTED,
    runtime::{
        attention::{Scope, Watch},
        control::Control,
        core::Core,
    },
    scripting::known_flags,
    session::Peer,
};
use quire_engine::command::{Args, CommandSpec, Flags, OwnedArgs};
use std::{
    fmt::Write as _,
    time::{SystemTime, UNIX_EPOCH},
};

impl Core {
    /// A shard's command, admitted as far as it is known to be one.
    #[cold]
    pub fn attend(
        &mut self,
        conn: &mut Connection,
        spec: &'static CommandSpec,
        id: u16,
        args: Args<'_>,
    ) -> Taken {
        if self.waits_for_pause(conn, spec.flags) {
            return Taken::NotYet;
        }
        if let Some(error) = self.busy_refusal(spec, args) {
            return self.reject(conn, id, error);
        }
        let taken = self.route(conn, spec, id, args);
        if taken != Taken::NotYet {
            self.show_monitors(conn, spec.flags, args);
        }
        taken
    }

    /// What a command of the server may do, as far as that is known before: EXEC what was queued, a
    /// script what it says of itself.
    pub fn flags_of(&self, conn: &Connection, spec: &ServerSpec, args: Args<'_>) -> Flags {
        match &conn.multi {
            Some(multi) if spec.name == "exec" => spec.flags.with(multi.flags),
            _ => match known_flags(&self.shared, spec.name, args) {
                Some(script) => script.of_command(spec.flags),
                None => spec.flags,
            },
        }
    }

    /// Parks the connection if its command has to wait for the end of a pause.
    pub fn waits_for_pause(&mut self, conn: &mut Connection, flags: Flags) -> bool {
        let Some(pause) = self.watch.pause else { return false };
        let may_write = flags.has(Flags::WRITE) || flags.has(Flags::MAY_REPLICATE);
        let waits = pause.until > self.now
            && (pause.scope == Scope::Everything || may_write)
            && !conn.session.is_monitor;
        if waits {
            conn.parked = Parked::Paused;
            self.paused.push(conn.index);
            self.cell().stats.blocked.add(1);
        }
        waits
    }

    /// Once a turn: takes over who monitors and what is paused; those whose wait is over go on.
    #[cold]
    pub fn refresh_attention(&mut self) {
        let generation = self.shared.attention.generation();
        let mut is_changed = generation != self.attention_generation;
        if is_changed {
            self.attention_generation = generation;
            self.watch = self.shared.attention.watch();
        }
        if self.watch.pause.is_some_and(|pause| pause.until <= self.now) {
            self.watch.pause = None;
            is_changed = true;
        }
        if !is_changed {
            return;
        }
        let Watch { monitors, pause } = &self.watch;
        self.is_attentive = !monitors.is_empty() || pause.is_some() || self.shared.busy.any();
        if let Some(shard) = self.shard.as_mut() {
            // What expires during a pause is not there any more, but is not removed yet.
            shard.keeps_expired = pause.is_some();
        }
        // A narrower pause may be in force: whoever still has to wait parks again.
        for index in std::mem::take(&mut self.paused) {
            let Some(mut conn) = self.conns[index as usize].take() else { continue };
            if conn.parked == Parked::Paused {
                self.unpark(&mut conn);
            }
            self.conns[index as usize] = Some(conn);
        }
    }

    /// Shows a command to whoever monitors.
    #[cold]
    pub fn show_monitors(&mut self, conn: &Connection, flags: Flags, args: Args<'_>) {
        if self.watch.monitors.is_empty()
            || flags.has(Flags::ADMIN)
            || flags.has(Flags::SKIP_MONITOR)
        {
            return;
        }
        let peer = match &conn.session.peer {
            Peer::Unix(path) => format!("unix:{path}"),
            peer @ (Peer::Tcp { .. } | Peer::Script) => peer.remote_address(),
        };
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        write_line(now.as_micros(), conn.session.db, &peer, args, &mut self.monitor_lines);
    }

    /// Shows what a transaction executes elsewhere.
    #[cold]
    pub fn show_queued(&mut self, conn: &Connection, commands: &[OwnedArgs]) {
        commands.iter().for_each(|args| self.show_queued_one(conn, args.as_args()));
    }

    /// Shows a command of a transaction.
    #[cold]
    pub fn show_queued_one(&mut self, conn: &Connection, args: Args<'_>) {
        let flags = match table::lookup(args) {
            Some(Target::Shard { spec, .. }) => spec.flags,
            Some(Target::Server { spec, .. }) => {
                spec.resolve(args).map_or(spec.flags, |(spec, _)| spec.flags)
            }
            None => return,
        };
        self.show_monitors(conn, flags, args);
    }

    /// End of turn: the lines of this turn go to every monitor.
    pub fn send_monitor_lines(&mut self) {
        if self.monitor_lines.is_empty() {
            return;
        }
        let lines = std::mem::take(&mut self.monitor_lines);
        for core in 0..self.watch.monitors.len() {
            if core != usize::from(self.id) && self.watch.monitors[core] > 0 {
                self.shared.cores[core].mailbox.post(Control::Monitored(lines.clone()));
            }
        }
        self.monitored(&lines);
    }

    /// Lines for the monitors of this core.
    pub fn monitored(&mut self, lines: &[u8]) {
        for at in 0..self.monitors.len() {
            let index = self.monitors[at] as usize;
            let Some(mut conn) = self.conns[index].take() else { continue };
            if !conn.closing {
                conn.out.buf.extend_from_slice(lines);
            }
            self.put_back(conn);
        }
    }

    /// A connection starts or ends to monitor.
    pub fn set_monitor(&mut self, conn: &mut Connection, yes: bool) {
        if conn.session.is_monitor == yes {
            return;
        }
        conn.session.is_monitor = yes;
        self.monitors.retain(|index| *index != conn.index);
        if yes {
            self.monitors.push(conn.index);
        }
        self.shared.attention.set_monitors(usize::from(self.id), self.monitors.len());
        // Commands of this very turn are seen too.
        self.refresh_attention();
    }
}

/// One line of MONITOR: time, database and client, arguments.
fn write_line(us: u128, db: usize, peer: &str, args: Args<'_>, out: &mut Vec<u8>) {
    let hidden = redact::hidden(args);
    let mut line = format!("+{}.{:06} [{db} {peer}]", us / 1_000_000, us % 1_000_000);
    for (at, arg) in args.iter_from(0).enumerate() {
        line.push(' ');
        quote(if hidden.contains(&at) { REDACTED } else { arg }, &mut line);
    }
    line.push_str("\r\n");
    out.extend_from_slice(line.as_bytes());
}

/// Bytes in double quotes, as Redis writes them.
fn quote(bytes: &[u8], line: &mut String) {
    line.push('"');
    for &byte in bytes {
        match byte {
            b'\\' | b'"' => line.extend(['\\', char::from(byte)]),
            b'\n' => line.push_str("\\n"),
            b'\r' => line.push_str("\\r"),
            b'\t' => line.push_str("\\t"),
            0x07 => line.push_str("\\a"),
            0x08 => line.push_str("\\b"),
            b' '..=b'~' => line.push(char::from(byte)),
            // Writing to a String cannot fail.
            _ => _ = write!(line, "\\x{byte:02x}"),
        }
    }
    line.push('"');
}

#[cfg(test)]
mod tests {
    use super::*;
    use quire_engine::command::OwnedArgs;

    #[test]
    fn a_line_is_that_of_redis() {
        let args = OwnedArgs::from_slices(&[&b"set"[..], b"k\x00\xff\"", b"a\\\r\n\t\x07\x08 b"]);
        let mut out = Vec::new();
        write_line(1_700_000_000_000_042, 3, "127.0.0.1:5", args.as_args(), &mut out);
        let expected =
            r#"+1700000000.000042 [3 127.0.0.1:5] "set" "k\x00\xff\"" "a\\\r\n\t\a\b b""#;
        assert_eq!(out, format!("{expected}\r\n").into_bytes());
        let args = OwnedArgs::from_slices(&["auth", "secret"]);
        out.clear();
        write_line(0, 0, "unix:/s", args.as_args(), &mut out);
        assert_eq!(out, b"+0.000000 [0 unix:/s] \"auth\" \"(redacted)\"\r\n");
    }
}
