//! `redis.call`: a script's command, checked, executed, its reply made a Lua value.
//!
//! The command takes the ordinary way of a transaction's (`dispatch/route`): all its shards are at
//! hand, so it is executed at once. What a script may do is decided here, in Redis' order: is there
//! such a command, may scripts use it, may this one write, is there memory, are its keys here.

use super::{
    context::{self, Held, Run, Stop, with_run},
    convert::{mark_counted, push_error, push_reply},
    stack::{Kind, Outcome, Stack},
};
use crate::{
    dispatch::table::{self, Target},
    runtime::core::Core,
};
use quire_engine::command::{Args, Fanout, Flags, KeySpec};
use std::sync::atomic::Ordering;

/// Why a command was not executed: the text a script gets.
type Refusal = &'static [u8];

const UNKNOWN: Refusal = b"Unknown Redis command called from script";
const WRONG_COUNT: Refusal = b"Wrong number of args calling Redis command from script";
const FORBIDDEN: Refusal = b"This Redis command is not allowed from script";
const READ_ONLY: Refusal = b"Write commands are not allowed from read-only scripts.";
const TOO_LATE: Refusal = b"-CROSSSHARD Script attempted to access a key of another shard after \
      it had written: name the key among the script's KEYS, or give it the same {hash tag}";

/// `redis.call`
pub fn call(stack: &mut Stack) -> Outcome {
    run_command(stack, true)
}

/// `redis.pcall`
pub fn pcall(stack: &mut Stack) -> Outcome {
    run_command(stack, false)
}

fn run_command(stack: &mut Stack, raises: bool) -> Outcome {
    let is_error = with_run(|run| {
        if let Err(text) = gather(stack, run) {
            stack.set_top(0);
            push_error(stack, text);
            return true;
        }
        stack.set_top(0);
        if run.stop.is_some() {
            context::stop();
            push_error(stack, b"the script is being stopped");
            return true;
        }
        match run.execute() {
            Ok(()) => {
                let reply = run.client.out.buf.as_slice();
                let is_error = reply.first() == Some(&b'-');
                if !push_reply(stack, reply) {
                    stack.set_top(0);
                    push_error(stack, b"reached lua stack limit");
                    return true;
                }
                is_error
            }
            Err(text) => {
                push_error(stack, &text);
                mark_counted(stack);
                true
            }
        }
    });
    match is_error {
        None => {
            push_error(stack, b"redis.call/pcall can only be called inside a script invocation");
            Outcome::Raise
        }
        Some(true) if raises || context::is_stopped() => Outcome::Raise,
        Some(_) => Outcome::Values(1),
    }
}

/// Reads a command line from the stack.
pub fn gather(stack: &Stack, run: &mut Run<'_>) -> Result<(), Refusal> {
    let n = stack.top();
    if n == 0 {
        return Err(b"Please specify at least one argument for this redis lib call");
    }
    run.args.clear();
    for index in 1..=n {
        match stack.kind(index) {
            Kind::Text => run.args.push(stack.bytes(index).unwrap_or_default()),
            Kind::Number => push_number(run, stack.number(index)),
            _ => return Err(b"Lua redis lib command arguments must be strings or integers"),
        }
    }
    Ok(())
}

/// A number as an argument: 17 digits, as Redis writes it.
fn push_number(run: &mut Run<'_>, number: f64) {
    if number.fract() == 0.0 && number.abs() < 1e15 && (number != 0.0 || number.is_sign_positive())
    {
        run.args.push(itoa::Buffer::new().format(number as i64).as_bytes());
        return;
    }
    let mut text = [0u8; 64];
    // SAFETY: the buffer is valid for its length, the format takes one double.
    let len =
        unsafe { libc::snprintf(text.as_mut_ptr().cast(), text.len(), c"%.17g".as_ptr(), number) };
    let len = usize::try_from(len).unwrap_or(0).min(text.len() - 1);
    run.args.push(&text[..len]);
}

impl Run<'_> {
    /// Executes the command that has been gathered: its reply is in the client's output.
    fn execute(&mut self) -> Result<(), Vec<u8>> {
        self.client.out.buf.clear();
        let args = std::mem::take(&mut self.args);
        let result = self.execute_args(args.as_args());
        self.args = args;
        result
    }

    fn execute_args(&mut self, args: Args<'_>) -> Result<(), Vec<u8>> {
        let target = table::lookup(args);
        let (flags, id) = match target {
            None => return Err(self.refuse(None, UNKNOWN)),
            Some(Target::Shard { spec, id }) => {
                if table::is_container(id) {
                    return Err(self.refuse(None, UNKNOWN));
                }
                if !spec.accepts(args.len()) {
                    return Err(self.refuse(Some(id), WRONG_COUNT));
                }
                (spec.flags, id)
            }
            Some(Target::Server { spec, id }) => match spec.resolve(args) {
                Ok((spec, offset)) => (spec.flags, id + offset),
                Err((_, None)) => return Err(self.refuse(None, UNKNOWN)),
                Err((_, Some(offset))) => return Err(self.refuse(Some(id + offset), WRONG_COUNT)),
            },
        };
        if flags.has(Flags::NOSCRIPT) && !self.may_debug(args) {
            return Err(self.refuse(Some(id), FORBIDDEN));
        }
        if flags.has(Flags::BLOCKING) && blocks(args) {
            let name = args.get(0);
            let text = b" command is not allowed with BLOCK option from scripts";
            return Err(self.refuse(Some(id), &[name, &text[..]].concat()));
        }
        self.may_write(id, flags)?;
        let writes = flags.has(Flags::WRITE);
        if !self.reaches(&target, args) {
            self.lesson.goes_far();
            if self.has_written {
                return Err(self.refuse(Some(id), TOO_LATE));
            }
            return Err(self.run_again());
        }
        if self.lesson.is_open() {
            self.look_at(&target, args);
        }
        if writes && !self.has_written {
            // ORDER: now it can still be begun again.
            if self.held != Held::All && self.lesson.may_go_far() {
                return Err(self.run_again());
            }
            if !self.may_begin_to_write() {
                context::stop();
                return Err(b"Script killed by user with SCRIPT KILL...".to_vec());
            }
            self.has_written = true;
        }
        self.core.timings.start();
        match target {
            Some(Target::Shard { spec, id }) => {
                self.core.route(self.client, spec, id, args);
                if self.core.is_attentive {
                    self.core.show_monitors(self.client, spec.flags, args);
                }
            }
            Some(Target::Server { spec, id }) => {
                self.core.run_server_command(self.client, spec, id, args);
                if self.core.is_attentive {
                    self.core.show_monitors(self.client, flags, args);
                }
            }
            None => {}
        }
        Ok(())
    }

    /// Ends the script, which has done nothing yet: it begins again with all shards.
    #[cold]
    fn run_again(&mut self) -> Vec<u8> {
        self.stop = Some(Stop::NeedsAll);
        context::stop();
        b"the script is run again with all shards".to_vec()
    }

    /// Learns from a command whether the script keeps to its keys.
    fn look_at(&mut self, target: &Option<Target>, args: Args<'_>) {
        match target {
            Some(Target::Shard { spec, .. }) => match spec.fanout {
                Fanout::EveryShardSum
                | Fanout::EveryShardJoin
                | Fanout::EveryShardDraw
                | Fanout::Cursor => self.lesson.goes_far(),
                Fanout::Lookups if self.core.looks_elsewhere(args) => self.lesson.goes_far(),
                _ => self.lesson.touches(spec.keys.positions(args).map(|at| args.get(at))),
            },
            Some(Target::Server { spec, .. }) if Core::concerns_all_shards(spec) => {
                self.lesson.goes_far();
            }
            Some(Target::Server { .. }) | None => {}
        }
    }

    /// Whether it is DEBUG, and somebody has opened that to scripts: what needs nothing but the
    /// core that the script runs on.
    #[cold]
    fn may_debug(&self, args: Args<'_>) -> bool {
        let is = |at: usize, word: &str| {
            args.try_get(at).is_some_and(|arg| arg.eq_ignore_ascii_case(word.as_bytes()))
        };
        self.core.shared.scripts_debug.load(Ordering::Relaxed)
            && is(0, "debug")
            && ["error", "log", "protocol", "sleep"].iter().any(|word| is(1, word))
    }

    /// Refuses a command; it is counted as such.
    fn refuse(&mut self, id: Option<u16>, text: &[u8]) -> Vec<u8> {
        if let Some(id) = id {
            self.core.timings.rejected(id);
        }
        let code = match text.strip_prefix(b"-") {
            Some(rest) => rest.split(|&b| b == b' ').next().unwrap_or_default(),
            None => b"ERR",
        };
        self.core.errors.add(&String::from_utf8_lossy(code), 1);
        text.to_vec()
    }

    /// Whether a command with these flags may run now.
    fn may_write(&mut self, id: u16, flags: Flags) -> Result<(), Vec<u8>> {
        let may = flags.has(Flags::WRITE) || flags.has(Flags::MAY_REPLICATE);
        if self.read_only && may {
            return Err(self.refuse(Some(id), READ_ONLY));
        }
        // What has begun to write is not stopped half way.
        if self.has_written || !flags.has(Flags::WRITE) {
            return Ok(());
        }
        if self.was_full && !self.allows_oom && flags.has(Flags::DENYOOM) {
            let text = b"-OOM command not allowed when used memory > 'maxmemory'.";
            return Err(self.refuse(Some(id), text));
        }
        let log = self.core.shard.as_ref().map_or(Ok(()), |shard| shard.staging.admit(0));
        log.map_err(|error| self.refuse(Some(id), &[b"-", error.text()].concat()))
    }

    /// True when everything that the command touches is at hand.
    fn reaches(&self, target: &Option<Target>, args: Args<'_>) -> bool {
        if self.held == Held::All {
            return true;
        }
        match target {
            Some(Target::Shard { spec, .. }) => match spec.fanout {
                Fanout::EveryShardSum | Fanout::EveryShardJoin | Fanout::EveryShardDraw => false,
                Fanout::Lookups if self.core.looks_elsewhere(args) => false,
                Fanout::Cursor => self.held.has(self.core.shard_of_cursor(args)),
                _ if spec.keys == KeySpec::ONE => self.held.has(self.core.owner_of(args.get(1))),
                _ => {
                    let mut keys = spec.keys.positions(args).map(|at| args.get(at));
                    keys.all(|key| self.held.has(self.core.owner_of(key)))
                }
            },
            Some(Target::Server { spec, .. }) => !Core::concerns_all_shards(spec),
            None => true,
        }
    }
}

/// Whether XREAD or XREADGROUP is asked to block. Others that do are not for scripts at all.
fn blocks(args: Args<'_>) -> bool {
    let is = |arg: &[u8], word: &[u8]| arg.eq_ignore_ascii_case(word);
    let options = args.iter_from(1).take_while(|arg| !is(arg, b"streams"));
    options.into_iter().any(|arg| is(arg, b"block"))
}

/// `redis.acl_check_cmd`: whether the command is one that the client may run. Every client may run
/// every command here.
pub fn may_call(stack: &mut Stack) -> Outcome {
    let found = with_run(|run| gather(stack, run).map(|()| is_known(run.args.as_args())));
    stack.set_top(0);
    match found {
        None => {
            push_error(stack, b"redis.acl_check_cmd can only be called inside a script invocation");
        }
        Some(Err(text)) => push_error(stack, text),
        Some(Ok(false)) => push_error(stack, b"Invalid command passed to redis.acl_check_cmd()"),
        Some(Ok(true)) => {
            stack.push_bool(true);
            return Outcome::Values(1);
        }
    }
    Outcome::Raise
}

fn is_known(args: Args<'_>) -> bool {
    match table::lookup(args) {
        None => false,
        Some(Target::Shard { id, .. }) => !table::is_container(id),
        Some(Target::Server { spec, .. }) => !matches!(spec.resolve(args), Err((_, None))),
    }
}
