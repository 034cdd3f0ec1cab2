//! The table `redis` that scripts find, and the one that libraries find while they are loaded.

use super::{
    call,
    context::with_run,
    convert::push_error,
    functions::register_function,
    registry::sha1_hex,
    stack::{Kind, Outcome, Stack, lua_function},
};
use crate::families::REDIS_VERSION;
use mlua::ffi::lua_CFunction;

/// `REDIS_VERSION` as a number: one byte for each of its parts.
const REDIS_VERSION_NUM: f64 = 0x0007_000F as f64;
/// `REPL_*`: where a script's writes go. There are no replicas, and what a script has written is
/// always logged: otherwise a restart would bring back what had been changed.
const REPLICATION: [(&[u8], f64); 5] = [
    (b"REPL_NONE", 0.0),
    (b"REPL_AOF", 1.0),
    (b"REPL_SLAVE", 2.0),
    (b"REPL_REPLICA", 2.0),
    (b"REPL_ALL", 3.0),
];
const LEVELS: [&[u8]; 4] = [b"LOG_DEBUG", b"LOG_VERBOSE", b"LOG_NOTICE", b"LOG_WARNING"];

lua_function!(call_raw, call::call);
lua_function!(pcall_raw, call::pcall);
lua_function!(may_call_raw, call::may_call);
lua_function!(log_raw, log);
lua_function!(set_resp_raw, set_resp);
lua_function!(sha1hex_raw, sha1hex);
lua_function!(error_reply_raw, error_reply);
lua_function!(status_reply_raw, status_reply);
lua_function!(set_repl_raw, set_repl);
lua_function!(yes_raw, yes);
lua_function!(no_raw, no);
lua_function!(nothing_raw, nothing);
lua_function!(register_function_raw, register_function);

/// Pushes the table of scripts; `for_eval` with what only EVAL's have.
pub fn push_for_scripts(stack: &mut Stack, for_eval: bool) {
    stack.push_table(0, 32);
    let functions: [(&[u8], lua_CFunction); 8] = [
        (b"call", call_raw),
        (b"pcall", pcall_raw),
        (b"setresp", set_resp_raw),
        (b"sha1hex", sha1hex_raw),
        (b"error_reply", error_reply_raw),
        (b"status_reply", status_reply_raw),
        (b"set_repl", set_repl_raw),
        (b"acl_check_cmd", may_call_raw),
    ];
    set_functions(stack, &functions);
    if for_eval {
        // There is no debugger: no line is a breakpoint, nothing is shown.
        let functions: [(&[u8], lua_CFunction); 3] =
            [(b"breakpoint", no_raw), (b"debug", nothing_raw), (b"replicate_commands", yes_raw)];
        set_functions(stack, &functions);
    }
    for (name, number) in REPLICATION {
        stack.push_number(number);
        stack.set_raw_field(-2, name);
    }
    set_shared_fields(stack);
}

/// Pushes the table of libraries being loaded.
pub fn push_for_loading(stack: &mut Stack) {
    stack.push_table(0, 8);
    set_functions(stack, &[(b"register_function", register_function_raw)]);
    set_shared_fields(stack);
}

fn set_functions(stack: &mut Stack, functions: &[(&[u8], lua_CFunction)]) {
    for (name, function) in functions {
        stack.push_function(*function, 0);
        stack.set_raw_field(-2, name);
    }
}

/// What both tables have.
fn set_shared_fields(stack: &mut Stack) {
    set_functions(stack, &[(b"log", log_raw)]);
    for (level, name) in LEVELS.into_iter().enumerate() {
        stack.push_number(level as f64);
        stack.set_raw_field(-2, name);
    }
    stack.push_bytes(REDIS_VERSION.as_bytes());
    stack.set_raw_field(-2, b"REDIS_VERSION");
    stack.push_number(REDIS_VERSION_NUM);
    stack.set_raw_field(-2, b"REDIS_VERSION_NUM");
}

fn fail(stack: &mut Stack, text: &[u8]) -> Outcome {
    push_error(stack, text);
    Outcome::Raise
}

fn yes(stack: &mut Stack) -> Outcome {
    stack.push_bool(true);
    Outcome::Values(1)
}

fn no(stack: &mut Stack) -> Outcome {
    stack.push_bool(false);
    Outcome::Values(1)
}

fn nothing(_stack: &mut Stack) -> Outcome {
    Outcome::Values(0)
}

/// `redis.log(level, text ..)`
fn log(stack: &mut Stack) -> Outcome {
    let n = stack.top();
    if n < 2 {
        return fail(stack, b"redis.log() requires two arguments or more.");
    }
    if !stack.is_number(1) {
        return fail(stack, b"First argument must be a number (log level).");
    }
    let level = stack.number(1) as i32;
    if !(0..=3).contains(&level) {
        return fail(stack, b"Invalid debug level.");
    }
    let mut text = Vec::new();
    for index in 2..=n {
        if let Some(word) = stack.text(index) {
            if index > 2 {
                text.push(b' ');
            }
            text.extend_from_slice(word);
        }
    }
    let text = String::from_utf8_lossy(&text);
    match level {
        0 => tracing::trace!("{text}"),
        1 => tracing::debug!("{text}"),
        2 => tracing::info!("{text}"),
        _ => tracing::warn!("{text}"),
    }
    Outcome::Values(0)
}

/// `redis.setresp(2|3)`
fn set_resp(stack: &mut Stack) -> Outcome {
    let (n, version) = (stack.top(), stack.number(1) as i32);
    let result = with_run(|run| {
        if n != 1 {
            return Err(&b"redis.setresp() requires one argument."[..]);
        }
        if version != 2 && version != 3 {
            return Err(b"RESP version must be 2 or 3.");
        }
        run.client.session.resp3 = version == 3;
        Ok(())
    });
    match result {
        None => fail(stack, b"redis.setresp can only be called inside a script invocation"),
        Some(Err(text)) => fail(stack, text),
        Some(Ok(())) => Outcome::Values(0),
    }
}

/// `redis.set_repl(where)`: see [`REPLICATION`].
fn set_repl(stack: &mut Stack) -> Outcome {
    if !super::context::is_running() {
        return fail(stack, b"redis.set_repl can only be called inside a script invocation");
    }
    if stack.top() != 1 {
        return fail(stack, b"redis.set_repl() requires two arguments.");
    }
    if (stack.number(1) as i32) & !3 != 0 {
        let text = b"Invalid replication flags. Use REPL_AOF, REPL_REPLICA, REPL_ALL or REPL_NONE.";
        return fail(stack, text);
    }
    Outcome::Values(0)
}

/// `redis.sha1hex(text)`
fn sha1hex(stack: &mut Stack) -> Outcome {
    if stack.top() != 1 {
        return fail(stack, b"wrong number of arguments");
    }
    let hex = sha1_hex(stack.text(1).unwrap_or_default());
    stack.push_bytes(hex.as_bytes());
    Outcome::Values(1)
}

/// `redis.error_reply(text)`
fn error_reply(stack: &mut Stack) -> Outcome {
    if stack.top() != 1 || stack.kind(1) != Kind::Text {
        push_error(stack, b"wrong number or type of arguments");
        return Outcome::Values(1);
    }
    let text = stack.bytes(1).unwrap_or_default();
    let text = if text.starts_with(b"-") { text.to_vec() } else { [b"-", text].concat() };
    push_error(stack, &text);
    Outcome::Values(1)
}

/// `redis.status_reply(text)`
fn status_reply(stack: &mut Stack) -> Outcome {
    if stack.top() != 1 || stack.kind(1) != Kind::Text {
        push_error(stack, b"wrong number or type of arguments");
        return Outcome::Values(1);
    }
    stack.push_table(0, 1);
    stack.push_copy(1);
    stack.set_raw_field(-2, b"ok");
    Outcome::Values(1)
}
