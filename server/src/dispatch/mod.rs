//! One request's path: parse, look up, admit, route, execute or send, reply in order.
//!
//! Order in a pipeline: a write goes out only after the connection's earlier commands on *other*
//! shards have executed; reads go at once; commands about the connection or the server wait for
//! everything before them. A command that may not run yet parks its connection: the bytes stay
//! where they are and are looked at again when something came back.

pub mod account;
pub mod attend;
pub mod backup;
pub mod blocking;
mod busy;
pub mod checkpoint;
pub mod cut;
pub mod everywhere;
pub mod foresight;
pub mod gather;
pub mod global;
pub mod hop;
mod leaving;
pub mod parcels;
mod reads;
pub mod redact;
mod reload;
pub mod route;
mod saving_rules;
pub mod scripts;
pub mod steps;
mod streams;
pub mod switching;
pub mod table;
pub mod transaction;

use crate::{
    families::{ServerSpec, Step},
    net::connection::{Connection, Parked},
    resp::Parsed,
    runtime::core::Core,
    session::ReplyMode,
};
use quire_engine::command::{Args, CommandError, CommandSpec, Flags, OwnedArgs, Reply, quoted};
use table::Target;

/// Bytes of a connection's buffers from which on a receive is told to the limit of memory.
const BIG_BUFFERS: usize = 16 * 1024;

/// What became of one command.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Taken {
    /// Executed, sent on, or refused: its bytes are consumed.
    Yes,
    /// The connection is parked; the same bytes come again.
    NotYet,
    /// Its bytes are consumed, and the connection is parked until it has been carried out.
    Waits,
}

impl Core {
    /// New bytes of a connection.
    pub fn feed(&mut self, conn: &mut Connection, data: &[u8]) {
        if conn.input.is_empty() && conn.parked == Parked::No {
            let used = self.consume(conn, data);
            conn.input.extend_from_slice(&data[used..]);
        } else {
            if conn.input.capacity() == 0 {
                conn.input.reserve(conn.input_need.min(1 << 20));
            }
            conn.input.extend_from_slice(data);
            if !self.is_crowded(conn) {
                self.process_input(conn);
            }
        }
        let held = conn.input.len() + conn.out.buf.len();
        if held > BIG_BUFFERS
            && let Some(shard) = self.shard.as_mut()
        {
            // What clients' buffers took since the shard last looked counts as a write's bytes.
            shard.spend_room(held);
        }
        let limit = self.live.client_query_buffer_limit as usize;
        if conn.input.len() - conn.input_at > limit && !conn.closing {
            tracing::warn!(
                "Closing client that reached max query buffer length: id={} ({} bytes)",
                conn.session.id,
                conn.input.len()
            );
            self.begin_close(conn);
        }
    }

    /// Works on buffered input as far as it goes.
    pub fn process_input(&mut self, conn: &mut Connection) {
        if conn.parked != Parked::No || conn.input.len() - conn.input_at < conn.input_need {
            return;
        }
        let input = std::mem::take(&mut conn.input);
        let at = conn.input_at;
        conn.input_at = at + self.consume(conn, &input[at..]);
        conn.input = input;
        if conn.input_at == conn.input.len() {
            conn.input.clear();
            conn.input_at = 0;
            if conn.input.capacity() > 64 * 1024 {
                conn.input = Vec::new();
            }
        } else if conn.input_at > conn.input.len() / 2 {
            // Moved at most once per byte on average: half of it is gone.
            conn.input.drain(..conn.input_at);
            conn.input_at = 0;
        }
    }

    /// Executes the commands at the start of `data`; how many bytes they took.
    fn consume(&mut self, conn: &mut Connection, data: &[u8]) -> usize {
        let mut at = 0;
        let mut foreseen = 0;
        conn.input_need = 0;
        let mut spans = std::mem::take(&mut self.spans);
        self.timings.start();
        while at < data.len() && !conn.close_after_reply && !conn.closing && !self.frozen {
            let rest = &data[at..];
            let (taken, consumed) = match conn.parser.parse(rest, &mut spans) {
                Parsed::Complete { consumed } => {
                    (self.command(conn, Args::new(rest, &spans)), consumed)
                }
                Parsed::Inline { consumed } => {
                    let parts: Vec<&[u8]> = conn.parser.inline_args().iter_from(0).collect();
                    let args = OwnedArgs::from_slices(&parts);
                    (self.command(conn, args.as_args()), consumed)
                }
                Parsed::Nothing { consumed } => (Taken::Yes, consumed),
                Parsed::Incomplete { need } => {
                    conn.input_need = if at == 0 { rest.len() + need } else { 0 };
                    break;
                }
                Parsed::Error(error) => {
                    let mut reply = Vec::new();
                    error.write_reply(&mut reply);
                    self.errors.add("ERR", 1);
                    self.append_reply(conn, &reply);
                    conn.close_after_reply = true;
                    break;
                }
            };
            if taken == Taken::NotYet {
                break;
            }
            at += consumed;
            if taken == Taken::Waits || self.is_crowded(conn) {
                break;
            }
            if at >= foreseen && at < data.len() {
                foreseen = at + self.foresee_pipeline(conn, &data[at..]);
            }
        }
        self.spans = spans;
        if self.frozen && at < data.len() {
            if self.is_serving_busy {
                return at + self.consume_busy(conn, &data[at..]);
            }
            self.hold_input(conn);
        }
        at
    }

    /// One whole command.
    #[inline]
    fn command(&mut self, conn: &mut Connection, args: Args<'_>) -> Taken {
        let target = table::lookup(args);
        if conn.multi.as_ref().is_some_and(|multi| multi.is_open)
            && let Some(taken) = self.queue_command(conn, target, args)
        {
            return taken;
        }
        let Some(target) = target else {
            if is_http(args.get(0)) {
                return self.abort_http(conn);
            }
            conn.session.last_command = NO_COMMAND;
            return self.refuse(conn, |core, _| core.unknown_command(args));
        };
        match target {
            Target::Shard { spec, id } => {
                if !spec.accepts(args.len()) {
                    return self.reject(conn, id, CommandError::arity(spec.name));
                }
                if !conn.session.authenticated {
                    return self.reject(conn, id, NOAUTH);
                }
                if self.shard.is_none() {
                    return self.reject(conn, id, LOADING);
                }
                let taken = if self.is_attentive {
                    self.attend(conn, spec, id, args)
                } else {
                    self.route(conn, spec, id, args)
                };
                if taken != Taken::NotYet {
                    self.note_command(conn, spec.name);
                }
                taken
            }
            Target::Server { spec, id } => self.server_command(conn, spec, id, args),
        }
    }

    /// Closes a connection on which a browser was made to speak: it would run as commands what
    /// somebody else's page put into the request's body. Nothing is answered.
    #[cold]
    fn abort_http(&mut self, conn: &mut Connection) -> Taken {
        tracing::warn!(
            "Possible SECURITY ATTACK detected: somebody sends POST or Host: commands, as in \
             Cross Protocol Scripting. Connection id={} aborted",
            conn.session.id
        );
        self.begin_close(conn);
        Taken::Yes
    }

    #[inline]
    fn note_command(&mut self, conn: &mut Connection, name: &'static str) {
        conn.session.last_ms = self.now_ms;
        conn.session.last_command = name;
        conn.session.commands += 1;
        self.commands += 1;
    }

    pub(super) fn server_command(
        &mut self,
        conn: &mut Connection,
        spec: &'static ServerSpec,
        id: u16,
        args: Args<'_>,
    ) -> Taken {
        // What commands have done for clients that waited is done, to everybody's eyes.
        self.deliver_served();
        // So is what a limit asks for: clients that are closed are not seen any more.
        if !self.executing {
            self.keep_clients_limit();
        }
        // Barriers: they see, and are seen by, everything before and after them.
        if conn.outstanding > 0 || !conn.slots.is_empty() {
            conn.parked = Parked::Order(None);
            return Taken::NotYet;
        }
        let (spec, id) = match spec.resolve(args) {
            Ok((spec, offset)) => (spec, id + offset),
            Err((error, None)) => {
                conn.session.last_command = NO_COMMAND;
                return self.refuse(conn, |_, _| error);
            }
            Err((error, Some(_))) if spec.name == "exec" => {
                self.discard(conn);
                return self.reject(conn, id, transaction::aborted_by(&error));
            }
            Err((error, Some(offset))) => return self.reject(conn, id + offset, error),
        };
        if !conn.session.authenticated && !spec.flags.has(Flags::NO_AUTH) {
            return self.reject(conn, id, NOAUTH);
        }
        if self.shard.is_none() && !spec.flags.has(Flags::LOADING) && !self.is_serving_busy {
            return self.reject(conn, id, LOADING);
        }
        if self.is_attentive {
            let flags = self.flags_of(conn, spec, args);
            if self.waits_for_pause(conn, flags) {
                return Taken::NotYet;
            }
            // EXEC is seen behind what it executes.
            if spec.name != "exec" {
                self.show_monitors(conn, spec.flags, args);
            }
        }
        self.note_command(conn, spec.name);
        let mode = conn.session.reply_mode;
        let begun = self.timings.begun();
        let at = conn.out.buf.len();
        let mut out = std::mem::take(&mut conn.out.buf);
        let step = (spec.run)(self, conn, args, &mut out);
        conn.out.buf = out;
        let step = match step {
            Ok(step) if self.is_attentive => self.busy_step(spec, step).map_or(Ok(step), Err),
            step => step,
        };
        let step = match step {
            Ok(step) => step,
            Err(error) => {
                conn.out.buf.truncate(at);
                self.count_error(&error);
                self.timings.failed(id);
                Reply::new(&mut conn.out.buf, conn.session.resp3).error(error.text());
                Step::Reply
            }
        };
        // CLIENT REPLY itself changes the mode and writes only what it wants to be seen.
        if mode != ReplyMode::On && conn.session.reply_mode == mode {
            conn.out.buf.truncate(at);
            if mode == ReplyMode::Skip {
                conn.session.reply_mode = ReplyMode::On;
            }
        }
        let mut taken = Taken::Yes;
        match step {
            Step::Reply => {}
            Step::CloseAfterReply => conn.close_after_reply = true,
            Step::Close => self.begin_close(conn),
            Step::Blocked => {
                conn.parked = Parked::Blocked;
                self.cell().stats.blocked.add(1);
                taken = Taken::Waits;
            }
            Step::Everywhere(task) => self.run_everywhere(conn, task, args),
            Step::Global(op) => {
                self.start_global(conn, op);
                taken = Taken::Waits;
            }
            Step::Wish(wish) => {
                self.start_wish(conn, wish);
                taken = Taken::Waits;
            }
            Step::RewriteConfig { all } => self.start_rewrite(conn, all),
            Step::Exec => taken = self.exec(conn, id, args),
            Step::Watch => self.watch_keys(conn, args),
            Step::Functions => self.change_functions(conn, args),
            Step::Script => {
                taken = self.start_script(conn, spec, id, args);
                if taken != Taken::Yes {
                    // It is counted when it has been executed.
                    return taken;
                }
            }
        }
        let ticks = self.timings.since(begun);
        self.account(conn, id, spec.flags, args, ticks);
        taken
    }

    /// True when this command's reply is not to be sent; a skip is used up.
    #[inline]
    pub fn muted(conn: &mut Connection) -> bool {
        match conn.session.reply_mode {
            ReplyMode::On => false,
            ReplyMode::Off => true,
            ReplyMode::Skip => {
                conn.session.reply_mode = ReplyMode::On;
                true
            }
        }
    }

    /// Answers a command with an error instead of executing it.
    #[cold]
    pub fn reject(&mut self, conn: &mut Connection, id: u16, error: CommandError) -> Taken {
        self.timings.rejected(id);
        conn.session.last_command = table::names()[usize::from(id)];
        self.refuse(conn, |_, _| error)
    }

    /// Answers with an error, in order.
    #[cold]
    pub fn refuse(
        &mut self,
        conn: &mut Connection,
        error: impl FnOnce(&mut Self, &Connection) -> CommandError,
    ) -> Taken {
        let error = error(self, conn);
        self.count_error(&error);
        if !Self::muted(conn) {
            self.reply_error(conn, error.text());
        }
        Taken::Yes
    }

    fn reply_error(&mut self, conn: &mut Connection, text: &[u8]) {
        let mut reply = Vec::new();
        Reply::new(&mut reply, conn.session.resp3).error(text);
        self.append_reply(conn, &reply);
    }

    /// A whole reply that waits for nothing, behind those of earlier commands.
    pub fn append_reply(&mut self, conn: &mut Connection, reply: &[u8]) {
        if conn.is_direct() {
            conn.out.buf.extend_from_slice(reply);
        } else {
            let seq = conn.open_slot(self.id);
            conn.fill_slot(seq, (self.id, 0), reply, self.turn);
        }
    }

    /// Counts an error reply.
    pub fn count_error(&mut self, error: &CommandError) {
        self.errors.add(error.code(), 1);
    }

    pub(super) fn unknown_command(&self, args: Args<'_>) -> CommandError {
        // Redis' text: the name and the first arguments, both cut to 128 bytes in all.
        let mut list = Vec::new();
        for arg in args.iter_from(1) {
            if list.len() >= 128 {
                break;
            }
            list.extend_from_slice(&[b"'", quoted(arg, 128 - list.len()), b"' "].concat());
        }
        let name = quoted(args.get(0), 128);
        let parts: [&[u8]; 4] =
            [b"ERR unknown command '", name, b"', with args beginning with: ", &list];
        CommandError::of_bytes(parts.concat())
    }

    /// Looks again at connections that were parked and may go on.
    pub fn resume_parked(&mut self) {
        if self.resume.is_empty() {
            return;
        }
        for index in std::mem::take(&mut self.resume) {
            let Some(mut conn) = self.conns[index as usize].take() else { continue };
            self.process_input(&mut conn);
            conn.close_after_reply |= conn.ended && conn.parked == Parked::No;
            self.put_back(conn);
            self.resume_receive(index);
        }
    }

    /// A connection that was counted as blocked is no longer.
    pub fn no_longer_blocked(&self) {
        let blocked = &self.cell().stats.blocked;
        blocked.set(blocked.get().saturating_sub(1));
    }

    /// Lets a parked connection go on in this turn.
    pub fn unpark(&mut self, conn: &mut Connection) {
        if matches!(conn.parked, Parked::Blocked | Parked::Paused) {
            self.no_longer_blocked();
        }
        conn.parked = Parked::No;
        conn.input_need = 0;
        if conn.input.len() > conn.input_at || !conn.receiving {
            self.resume.push(conn.index);
        }
    }
}

/// What CLIENT LIST shows as the last command when it was none, or none has come.
pub const NO_COMMAND: &str = "NULL";
/// Before AUTH.
pub const NOAUTH: CommandError = CommandError::new("NOAUTH Authentication required.");
/// During recovery.
pub const LOADING: CommandError =
    CommandError::new("LOADING Redis is loading the dataset in memory");

/// True for lines only HTTP clients send.
fn is_http(name: &[u8]) -> bool {
    name.eq_ignore_ascii_case(b"post") || name.eq_ignore_ascii_case(b"host:")
}

/// True for commands that change data.
#[inline]
pub fn is_write(spec: &CommandSpec) -> bool {
    spec.flags.has(Flags::WRITE)
}
