//! Running one script on the shards that are at hand.

use super::{
    context::{Held, Name, Run, Stop},
    convert::{Failure, write_value},
    header::ScriptFlags,
    reach::Lesson,
    registry::{Script, Scripts, Sha, from_hex, sha1},
    shelf::Libraries,
    state::{Called, Interpreter},
};
use crate::{
    net::connection::Connection,
    runtime::core::Core,
    session::{Peer, Session},
};
use quire_engine::{
    command::{Args, CommandError, OwnedArgs, Reply},
    keyspace::canonical_int as parse_i64,
};
use std::{collections::HashMap, ffi::c_int, fs::File, os::fd::OwnedFd, sync::Arc, time::Instant};

const NO_SCRIPT: CommandError = CommandError::new("NOSCRIPT No matching script. Please use EVAL.");

const NO_FUNCTION: CommandError = CommandError::new("ERR Function not found");

/// A command that runs a script, read.
#[derive(Debug, Clone, Copy)]
pub struct Invocation<'a> {
    /// The whole command.
    pub command: Args<'a>,
    /// How the script is named.
    pub subject: Subject<'a>,
    /// The variant that may not write.
    pub read_only: bool,
    keys: usize,
}

/// How a script is named.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Subject<'a> {
    /// By its text.
    Text(&'a [u8]),
    /// By its SHA1, if that is one.
    Sha(Option<Sha>),
    /// By the name of a function.
    Function(&'a [u8]),
}

impl<'a> Invocation<'a> {
    /// Reads the arguments of the command of that own name.
    ///
    /// # Errors
    /// Redis' texts: a number of keys that is none, or not the number of keys.
    pub fn read(name: &str, command: Args<'a>) -> Result<Self, CommandError> {
        let read_only = name.ends_with("_ro");
        let argument = command.get(1);
        let subject = match name.trim_end_matches("_ro") {
            "eval" => Subject::Text(argument),
            "evalsha" if argument.len() != 40 => return Err(NO_SCRIPT),
            "evalsha" => Subject::Sha(from_hex(argument)),
            _ => Subject::Function(argument),
        };
        let keys = parse_i64(command.get(2)).ok_or(match subject {
            Subject::Function(_) => CommandError::new("ERR Bad number of keys provided"),
            _ => CommandError::NOT_AN_INTEGER,
        })?;
        if keys > command.len() as i64 - 3 {
            return Err(CommandError::new(
                "ERR Number of keys can't be greater than number of args",
            ));
        }
        let keys = usize::try_from(keys)
            .map_err(|_| CommandError::new("ERR Number of keys can't be negative"))?;
        Ok(Self { command, subject, read_only, keys })
    }

    /// The keys it declares.
    pub fn keys(&self) -> impl Iterator<Item = &'a [u8]> + use<'a> {
        self.command.iter_from(3).take(self.keys)
    }

    fn arguments(&self) -> impl Iterator<Item = &'a [u8]> + use<'a> {
        self.command.iter_from(3 + self.keys)
    }
}

/// What became of a script.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ran {
    /// Its reply is written; true when that is an error.
    Done(bool),
    /// It needs shards that are not at hand; nothing has been done.
    NeedsAll,
}

#[derive(Debug, Clone, Copy)]
struct Compiled {
    function: c_int,
    flags: ScriptFlags,
}

/// What a core keeps for scripts.
#[derive(Default)]
pub struct Scripting {
    eval: Option<Interpreter>,
    /// What `eval` has compiled.
    compiled: HashMap<Sha, Compiled>,
    /// The generation of scripts that is from.
    generation: u64,
    /// The interpreter of functions.
    functions: Option<Interpreter>,
    /// Functions that it has loaded, by name in lower case.
    loaded: HashMap<Vec<u8>, Compiled>,
    /// The generation of libraries that those are from.
    shelf_generation: u64,
    /// The client that commands of scripts are executed for.
    client: Option<Box<Connection>>,
    /// Memory of command lines.
    args: OwnedArgs,
    /// Memory of lessons.
    slots: Vec<u16>,
}

impl Scripting {
    /// Bytes that EVAL's interpreter holds.
    pub fn eval_bytes(&mut self) -> u64 {
        self.eval.as_mut().map_or(0, Interpreter::memory_bytes)
    }

    /// Bytes that the functions' interpreter holds.
    pub fn function_bytes(&mut self) -> u64 {
        self.functions.as_mut().map_or(0, Interpreter::memory_bytes)
    }

    /// The function of that name, loaded.
    fn find_function(
        &mut self,
        libraries: &Libraries,
        name: &[u8],
    ) -> Result<Compiled, CommandError> {
        let generation = libraries.generation();
        if generation != self.shelf_generation {
            self.shelf_generation = generation;
            self.loaded.clear();
            self.functions = None;
        }
        if let Some(compiled) = self.loaded.get(name) {
            return Ok(*compiled);
        }
        let lower = name.to_ascii_lowercase();
        if let Some(compiled) = self.loaded.get(&lower) {
            return Ok(*compiled);
        }
        let shelf = libraries.shelf();
        let library = shelf.of_function(name).ok_or(NO_FUNCTION)?;
        if self.functions.is_none() {
            let made = Interpreter::new(false);
            let refused = |text| CommandError::owned(format!("ERR Cannot start Lua: {text}"));
            self.functions = Some(made.map_err(refused)?);
        }
        let interpreter = self.functions.as_mut().ok_or(NO_FUNCTION)?;
        let (library, callbacks) = interpreter.load_library(&library.source, |_| false, None)?;
        for (function, callback) in library.functions.into_iter().zip(callbacks) {
            let compiled = Compiled { function: callback, flags: function.flags };
            self.loaded.insert(function.name.to_ascii_lowercase(), compiled);
        }
        self.loaded.get(&lower).copied().ok_or(NO_FUNCTION)
    }

    /// Compiles a script, unless that has been done, and has everybody know it; its SHA1.
    ///
    /// # Errors
    /// Why it is no script.
    pub fn add(&mut self, scripts: &Scripts, source: &[u8]) -> Result<Sha, CommandError> {
        let sha = sha1(source);
        self.find(scripts, sha, Some(source)).map(|_| sha)
    }

    /// The script of that SHA1, compiled.
    fn find(
        &mut self,
        scripts: &Scripts,
        sha: Sha,
        source: Option<&[u8]>,
    ) -> Result<Compiled, CommandError> {
        let generation = scripts.generation();
        if generation != self.generation {
            self.generation = generation;
            self.compiled.clear();
            self.eval = None;
        }
        if let Some(compiled) = self.compiled.get(&sha) {
            return Ok(*compiled);
        }
        let script = match (scripts.get(&sha), source) {
            (Some(script), _) => script,
            (None, Some(source)) => Arc::new(Script::new(source)?),
            (None, None) => return Err(NO_SCRIPT),
        };
        let function = self.interpreter()?.compile(script.code(), true).map_err(|text| {
            let before = b"ERR Error compiling script (new function): ";
            CommandError::of_bytes([&before[..], &text].concat())
        })?;
        let compiled = Compiled { function, flags: script.flags };
        self.compiled.insert(sha, compiled);
        scripts.add(sha, script);
        Ok(compiled)
    }

    fn interpreter(&mut self) -> Result<&mut Interpreter, CommandError> {
        if self.eval.is_none() {
            let made = Interpreter::new(true);
            let refused = |text| CommandError::owned(format!("ERR Cannot start Lua: {text}"));
            self.eval = Some(made.map_err(refused)?);
        }
        self.eval.as_mut().ok_or(NO_SCRIPT)
    }
}

/// A client for scripts: no socket behind it, nobody reads what it is sent.
fn client(core: &Core) -> Result<Box<Connection>, CommandError> {
    let nowhere = File::options().read(true).write(true).open("/dev/null");
    let fd = OwnedFd::from(nowhere.map_err(|error| {
        CommandError::owned(format!("ERR Cannot run a script: /dev/null: {error}"))
    })?);
    let session = Session::new(0, true, Peer::Script, core.now, core.now_ms);
    Ok(Box::new(Connection::new(fd, u32::MAX, u32::MAX, session, 0)))
}

impl Core {
    /// Runs a script on `held` shards, whose transactions have begun, for a client that has selected
    /// `db`; writes its reply.
    pub fn run_script(
        &mut self,
        invocation: &Invocation<'_>,
        held: &Held,
        db: usize,
        resp3: bool,
        out: &mut Vec<u8>,
    ) -> Ran {
        let mut scripting = self.scripting.take().unwrap_or_default();
        let result = self.run_with(&mut scripting, invocation, held, db, resp3, out);
        self.scripting = Some(scripting);
        result.unwrap_or_else(|error| {
            self.count_error(&error);
            Reply::new(out, resp3).error(error.text());
            Ran::Done(true)
        })
    }

    fn run_with(
        &mut self,
        scripting: &mut Scripting,
        invocation: &Invocation<'_>,
        held: &Held,
        db: usize,
        resp3: bool,
        out: &mut Vec<u8>,
    ) -> Result<Ran, CommandError> {
        let shared = Arc::clone(&self.shared);
        let (name, compiled) = match invocation.subject {
            Subject::Text(source) => {
                let sha = sha1(source);
                (Name::Script(sha), scripting.find(&shared.scripts, sha, Some(source))?)
            }
            Subject::Sha(sha) => {
                let sha = sha.ok_or(NO_SCRIPT)?;
                (Name::Script(sha), scripting.find(&shared.scripts, sha, None)?)
            }
            Subject::Function(name) => {
                (Name::Function(name), scripting.find_function(&shared.libraries, name)?)
            }
        };
        let reach = match name {
            Name::Script(sha) => shared.reaches.of_script(&sha),
            Name::Function(name) => shared.reaches.of_function(name, shared.libraries.generation()),
        };
        let is_split = self.shards() > 1;
        if is_split && reach.is_far() && *held != Held::All {
            return Ok(Ran::NeedsAll);
        }
        let flags = compiled.flags;
        let was_full = self.admit_script(flags, invocation.read_only)?;
        let mut client = match scripting.client.take() {
            Some(client) => client,
            None => client(self)?,
        };
        client.session.db = db;
        client.session.resp3 = false;
        let is_eval = matches!(name, Name::Script(_));
        let interpreter = match name {
            Name::Script(_) => scripting.eval.as_mut(),
            Name::Function(_) => scripting.functions.as_mut(),
        };
        let Some(interpreter) = interpreter else { return Err(NO_SCRIPT) };
        let outer = std::mem::replace(&mut self.executing, true);
        let mut run = Run {
            core: self,
            client: &mut client,
            held: held.clone(),
            args: std::mem::take(&mut scripting.args),
            is_eval,
            name,
            command: invocation.command,
            read_only: invocation.read_only || (!flags.is_plain && flags.no_writes()),
            allows_oom: flags.allows_oom(),
            was_full,
            has_written: false,
            began: Instant::now(),
            is_busy: false,
            stop: None,
            lesson: Lesson::new(
                reach,
                is_split,
                *held == Held::All,
                invocation.keys(),
                std::mem::take(&mut scripting.slots),
            ),
        };
        // What has begun to write is not stopped for want of memory: that was looked at before.
        run.core.mark_parts(held, true);
        let called = interpreter.call(
            compiled.function,
            invocation.keys(),
            invocation.arguments(),
            &mut run,
        );
        run.end();
        run.core.mark_parts(held, false);
        let Run { stop, lesson, has_written, args, .. } = run;
        scripting.args = args;
        let is_whole = stop.is_none() && matches!(called, Called::Done);
        scripting.slots = lesson.learn(&shared.reaches, is_whole, has_written);
        self.executing = outer;
        let ran = if stop == Some(Stop::NeedsAll) {
            interpreter.stack().set_top(0);
            Ran::NeedsAll
        } else {
            let is_new = client.session.resp3;
            Ran::Done(self.write_result(interpreter, called, name, is_new, resp3, out))
        };
        scripting.client = Some(client);
        Ok(ran)
    }

    fn mark_parts(&mut self, held: &Held, are_parts: bool) {
        for id in (0..self.shards() as u16).filter(|&id| held.has(id)) {
            if let Some(shard) = self.shard_at(id) {
                shard.is_part = are_parts;
                shard.is_scripted = are_parts;
            }
        }
    }

    /// Whether a script with these flags may run; whether memory is full.
    fn admit_script(&mut self, flags: ScriptFlags, read_only: bool) -> Result<bool, CommandError> {
        let Some(shard) = self.shard.as_mut() else { return Err(crate::dispatch::LOADING) };
        let is_full = !shard.has_memory();
        if flags.is_plain || flags.no_writes() {
            return Ok(is_full);
        }
        if is_full && !flags.allows_oom() {
            return Err(CommandError::OUT_OF_MEMORY);
        }
        shard.staging.admit(0)?;
        if read_only {
            return Err(CommandError::new(
                "ERR Can not execute a script with write flag using *_ro command.",
            ));
        }
        Ok(is_full)
    }

    /// Writes a script's reply; true when that is an error.
    fn write_result(
        &mut self,
        interpreter: &mut Interpreter,
        called: Called,
        name: Name<'_>,
        is_new: bool,
        resp3: bool,
        out: &mut Vec<u8>,
    ) -> bool {
        // The script has failed whatever it was; the error is counted only once.
        let mut is_new_error = true;
        let error = match called {
            Called::Done => {
                let mut has_failed = false;
                let mut stack = interpreter.stack();
                let mut errors = Vec::new();
                let mut failed = |failure: &Failure| {
                    has_failed = true;
                    if !failure.is_counted {
                        errors.push(failure.text.clone());
                    }
                };
                write_value(&mut stack, out, resp3, is_new, &mut failed);
                stack.set_top(0);
                for text in errors {
                    self.count_error(&CommandError::of_bytes(text));
                }
                return has_failed;
            }
            Called::Failed(Failure { text, place, is_counted }) => {
                is_new_error = !is_counted;
                match place {
                    None => text,
                    Some((source, line)) => {
                        let place = [&b", on "[..], &source, b":", &line, b"."].concat();
                        let name = format!(" script: {name}");
                        [text.as_slice(), name.as_bytes(), &place].concat()
                    }
                }
            }
            Called::Broken(text) => {
                let text = &text[..text.len().min(100)];
                [format!("ERR Error running script {name}, ").as_bytes(), text].concat()
            }
        };
        let error = CommandError::of_bytes(error);
        if is_new_error {
            self.count_error(&error);
        }
        Reply::new(out, resp3).error(error.text());
        true
    }
}
