//! One Lua interpreter of one core: made, given scripts, called.
//!
//! A core has two, as Redis has: one for EVAL, one for functions. Neither ever leaves its thread.
//! A script cannot change what the next one finds ([`super::sandbox`]); what is left of it is
//! memory, until the collector has been by.

use super::{
    api,
    context::{self, Run, is_stopped},
    convert::{self, Failure},
    functions::{Loading, Registered},
    header, libraries, limits,
    sandbox::{self, is_shield},
    shelf::{Function, Library},
    stack::{GLOBALS, Kind, Outcome, Raw, Stack, lua_function},
};
use mlua::{Lua, LuaOptions, StdLib};
use quire_engine::command::CommandError;
use std::{
    ffi::{CStr, c_int},
    time::Instant,
};

/// Calls after which the collector takes a step.
const COLLECT_EVERY: u32 = 50;

/// The source that errors name.
const SCRIPT_NAME: &CStr = c"@user_script";
/// The same of functions.
const FUNCTION_NAME: &CStr = c"@user_function";

/// An interpreter.
pub struct Interpreter {
    /// Owns the state.
    _lua: Lua,
    raw: Raw,
    /// What scripts see as globals, where the registry keeps it.
    globals: c_int,
    /// What a library sees while it is loaded; nothing in an interpreter of EVAL.
    while_loading: Option<c_int>,
    /// The function that sees errors first.
    handler: c_int,
    calls: u32,
}

lua_function!(handler_raw, see_error);

/// Adds to an error where it happened.
fn see_error(stack: &mut Stack) -> Outcome {
    let place = stack.caller();
    stack.set_top(1);
    if stack.kind(1) != Kind::Table || is_shield(stack, 1) {
        let text = match stack.kind(1) {
            Kind::Boolean if stack.boolean(1) => b"true".to_vec(),
            Kind::Boolean => b"false".to_vec(),
            Kind::Nil => b"nil".to_vec(),
            _ => stack.text(1).map_or_else(|| b"(error object)".to_vec(), <[u8]>::to_vec),
        };
        stack.push_table(0, 4);
        stack.push_bytes(&[b"ERR ", text.as_slice()].concat());
        stack.set_raw_field(-2, b"err");
    }
    if let Some((source, line)) = place {
        stack.push_bytes(&source);
        stack.set_raw_field(-2, b"source");
        stack.push_number(f64::from(line));
        stack.set_raw_field(-2, b"line");
    }
    Outcome::Values(1)
}

/// What became of a call.
pub enum Called {
    /// The result is on the stack.
    Done,
    /// It has ended with an error.
    Failed(Failure),
    /// The interpreter itself has given up, with this text.
    Broken(Vec<u8>),
}

impl Interpreter {
    /// An interpreter for EVAL, or one for functions.
    ///
    /// # Errors
    /// The text of what went wrong while it was made.
    pub fn new(for_eval: bool) -> Result<Self, String> {
        let libraries = StdLib::TABLE | StdLib::STRING | StdLib::MATH;
        let options = LuaOptions::new().catch_rust_panics(false);
        // SAFETY: none of these libraries loads code from outside.
        let lua = unsafe { Lua::unsafe_new_with(libraries, options) };
        libraries::install(&lua).map_err(|error| error.to_string())?;
        let mut raw: Raw = std::ptr::null_mut();
        // SAFETY: nothing is done but to note the state.
        unsafe { lua.exec_raw::<()>((), |state| raw = state) }.map_err(|e| e.to_string())?;
        // SAFETY: the state lives as long as `lua`, which is kept beside it.
        let mut stack = unsafe { Stack::of(raw) };
        sandbox::begin(&mut stack);
        sandbox::restrict(&mut stack);
        api::push_for_scripts(&mut stack, for_eval);
        stack.set_raw_field(-2, b"redis");
        stack.pop(1);
        let globals = sandbox::close(&mut stack);
        let while_loading = (!for_eval).then(|| {
            stack.push_table(0, 1);
            api::push_for_loading(&mut stack);
            sandbox::refuse_unknown(&mut stack);
            sandbox::shield(&mut stack);
            stack.set_raw_field(-2, b"redis");
            sandbox::refuse_unknown(&mut stack);
            stack.keep()
        });
        stack.push_function(handler_raw, 0);
        let handler = stack.keep();
        stack.set_top(0);
        Ok(Self { _lua: lua, raw, globals, while_loading, handler, calls: 0 })
    }

    /// Its stack. Values that are pushed are taken off before it is used again.
    pub fn stack(&mut self) -> Stack {
        // SAFETY: the state lives as long as this interpreter; it is never sent to another thread.
        unsafe { Stack::of(self.raw) }
    }

    /// Bytes it holds.
    pub fn memory_bytes(&mut self) -> u64 {
        self.stack().memory_bytes()
    }

    /// Compiles a script; where the registry keeps it.
    ///
    /// # Errors
    /// Lua's text.
    pub fn compile(&mut self, code: &[u8], for_eval: bool) -> Result<c_int, Vec<u8>> {
        let name = if for_eval { SCRIPT_NAME } else { FUNCTION_NAME };
        let mut stack = self.stack();
        if stack.compile(code, name) {
            return Ok(stack.keep());
        }
        let text = stack.text(-1).unwrap_or_default().to_vec();
        stack.pop(1);
        Err(text)
    }

    /// Forgets a function.
    fn forget(&mut self, function: c_int) {
        self.stack().forget(function);
    }

    /// Loads a library: what it registers, and where the registry keeps its functions. `is_taken`
    /// says which names are.
    ///
    /// # Errors
    /// Redis' texts.
    pub fn load_library(
        &mut self,
        source: &[u8],
        is_taken: impl Fn(&[u8]) -> bool,
        until: Option<Instant>,
    ) -> Result<(Library, Vec<c_int>), CommandError> {
        let header::Library { engine, name, code } = header::of_library(source)?;
        header::check_name(&name)?;
        if !engine.eq_ignore_ascii_case(b"lua") {
            return Err(CommandError::quoting("ERR Engine '", &engine, "' not found"));
        }
        if is_taken(&name) {
            return Err(CommandError::quoting("ERR Library '", &name, "' already exists"));
        }
        let failed =
            |before: &str, text: &[u8]| CommandError::of_bytes([before.as_bytes(), text].concat());
        let code = self
            .compile(code, false)
            .map_err(|text| failed("ERR Error compiling function: ", &text))?;
        let mut loading = Loading { functions: Vec::new(), until };
        let called = self.load(code, &mut loading);
        self.forget(code);
        let error = match called {
            Called::Done if loading.functions.is_empty() => {
                Some(CommandError::new("ERR No functions registered"))
            }
            Called::Done => None,
            Called::Failed(Failure { text, .. }) | Called::Broken(text) => {
                Some(failed("ERR Error registering functions: ", &text))
            }
        };
        let callbacks = loading.functions.iter().map(|function| function.callback).collect();
        if let Some(error) = error {
            for function in &loading.functions {
                self.forget(function.callback);
            }
            return Err(error);
        }
        let function = |registered: Registered| {
            let Registered { name, description, flags, .. } = registered;
            Function { name, description, flags }
        };
        let functions = loading.functions.into_iter().map(function).collect();
        Ok((Library { name, source: source.into(), functions }, callbacks))
    }

    /// Runs library code; what it sees as globals is what libraries do.
    fn load(&mut self, code: c_int, loading: &mut Loading) -> Called {
        self.show_globals(self.while_loading.unwrap_or(self.globals));
        let mut stack = self.stack();
        stack.push_kept(code);
        limits::watch_loading(&mut stack);
        let done = context::enter_loading(loading, || stack.protected_call(0, 0, 0));
        limits::watch_no_more(&mut stack);
        let called = if done {
            Called::Done
        } else {
            let called = self.failed(false);
            self.stack().pop(1);
            called
        };
        self.show_globals(self.globals);
        called
    }

    /// Has scripts see that table behind their globals.
    fn show_globals(&mut self, globals: c_int) {
        let mut stack = self.stack();
        stack.push_copy(GLOBALS);
        if stack.metatable(-1) {
            stack.push_kept(globals);
            stack.set_raw_field(-2, b"__index");
            stack.pop(1);
        }
        stack.pop(1);
    }

    /// Calls a script: KEYS and ARGV are globals of EVAL's, arguments of functions. When it is done
    /// its result is on the stack.
    pub fn call<'k>(
        &mut self,
        function: c_int,
        keys: impl Iterator<Item = &'k [u8]>,
        arguments: impl Iterator<Item = &'k [u8]>,
        run: &mut Run<'_>,
    ) -> Called {
        let mut stack = self.stack();
        stack.push_kept(self.handler);
        if run.is_eval {
            stack.push_kept(self.globals);
            push_list(&mut stack, keys);
            stack.set_raw_field(-2, b"KEYS");
            push_list(&mut stack, arguments);
            stack.set_raw_field(-2, b"ARGV");
            stack.pop(1);
            stack.push_kept(function);
        } else {
            stack.push_kept(function);
            push_list(&mut stack, keys);
            push_list(&mut stack, arguments);
        }
        let arguments = if run.is_eval { 0 } else { 2 };
        let is_limited = run.core.live.busy_reply_threshold > 0;
        if is_limited {
            limits::watch_script(&mut stack);
        }
        let done = context::enter(run, || stack.protected_call(arguments, 1, 1));
        if is_limited {
            limits::watch_no_more(&mut stack);
        }
        self.calls += 1;
        if self.calls.is_multiple_of(COLLECT_EVERY) {
            stack.collect_some(COLLECT_EVERY as c_int);
        }
        if done {
            return Called::Done;
        }
        let called = self.failed(true);
        self.stack().set_top(0);
        called
    }

    /// Reads the error on top.
    fn failed(&mut self, is_seen: bool) -> Called {
        debug_assert!(!is_stopped(), "nothing runs any more");
        let mut stack = self.stack();
        if stack.kind(-1) == Kind::Table {
            return Called::Failed(convert::failure(&mut stack));
        }
        let text = stack.text(-1).map(<[u8]>::to_vec);
        match (is_seen, text) {
            // What the handler has not seen: it had no memory or stack left itself.
            (true, text) => Called::Broken(text.unwrap_or_else(|| b"execution failure".to_vec())),
            (false, text) => {
                let text = [b"ERR ", text.unwrap_or_default().as_slice()].concat();
                Called::Failed(Failure { text, ..Failure::default() })
            }
        }
    }
}

fn push_list<'k>(stack: &mut Stack, list: impl Iterator<Item = &'k [u8]>) {
    stack.push_table(list.size_hint().0, 0);
    for (n, item) in (1..).zip(list) {
        stack.push_bytes(item);
        stack.set_raw_element(-2, n);
    }
}
