//! Functions of libraries: what a library registers while it is loaded.
//!
//! A library is code that is run once, alone, to register functions. It finds `redis.register_function`
//! and the log, nothing else: neither commands nor Lua's libraries, so that it has no effect but
//! its functions. It has half a second.

use super::{
    context::with_loading,
    convert::push_error,
    header::{ScriptFlags, check_name},
    stack::{Kind, Outcome, Stack},
};
use std::{ffi::c_int, time::Instant};

/// A function that a library has registered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Registered {
    /// Name.
    pub name: Vec<u8>,
    /// What it says of itself.
    pub description: Option<Vec<u8>>,
    /// What it does not do, and what it may.
    pub flags: ScriptFlags,
    /// Where the registry keeps it.
    pub callback: c_int,
}

/// A library being loaded.
#[derive(Debug)]
pub struct Loading {
    /// What it has registered.
    pub functions: Vec<Registered>,
    /// When it must have ended; None: whenever it does.
    pub until: Option<Instant>,
}

/// What a function is registered with, as far as it is known.
#[derive(Default)]
struct Draft {
    name: Option<Vec<u8>>,
    description: Option<Vec<u8>>,
    flags: ScriptFlags,
    callback: Option<c_int>,
}

/// `redis.register_function`
pub fn register_function(stack: &mut Stack) -> Outcome {
    let mut draft = Draft::default();
    let is_loading = with_loading(|_| ()).is_some();
    let read = match (is_loading, stack.top()) {
        (false, _) => {
            Err("redis.register_function can only be called on FUNCTION LOAD command".to_owned())
        }
        (true, 1) => read_named(stack, &mut draft),
        (true, 2) => read_positional(stack, &mut draft),
        (true, _) => Err("wrong number of arguments to redis.register_function".to_owned()),
    };
    let registered = read.and_then(|()| register(&draft));
    let Err(text) = registered else { return Outcome::Values(0) };
    if let Some(callback) = draft.callback {
        stack.forget(callback);
    }
    push_error(stack, text.as_bytes());
    Outcome::Raise
}

fn register(draft: &Draft) -> Result<(), String> {
    let name =
        draft.name.clone().ok_or("redis.register_function must get a function name argument")?;
    let callback = draft.callback.ok_or("redis.register_function must get a callback argument")?;
    if let Err(error) = check_name(&name) {
        return Err(error.to_string().trim_start_matches("ERR ").to_owned());
    }
    with_loading(|loading| {
        if loading.functions.iter().any(|known| known.name == name) {
            return Err("Function already exists in the library".to_owned());
        }
        let (description, flags) = (draft.description.clone(), draft.flags);
        loading.functions.push(Registered { name, description, flags, callback });
        Ok(())
    })
    .unwrap_or(Ok(()))
}

fn read_positional(stack: &mut Stack, draft: &mut Draft) -> Result<(), String> {
    let name = stack.text(1).map(<[u8]>::to_vec);
    draft.name = Some(name.ok_or("first argument to redis.register_function must be a string")?);
    if stack.kind(2) != Kind::Function {
        return Err("second argument to redis.register_function must be a function".to_owned());
    }
    draft.callback = Some(stack.keep());
    Ok(())
}

fn read_named(stack: &mut Stack, draft: &mut Draft) -> Result<(), String> {
    if stack.kind(1) != Kind::Table {
        return Err(
            "calling redis.register_function with a single argument is only applicable to \
                    Lua table (representing named arguments)."
                .to_owned(),
        );
    }
    stack.push_nil();
    while stack.next(1) {
        // The key stays what it is: a number that became a string would end the walk.
        let Some(key) = stack.bytes(-2).map(<[u8]>::to_ascii_lowercase) else {
            return Err(
                "named argument key given to redis.register_function is not a string".to_owned()
            );
        };
        let must_be = |what: &str| {
            let name = String::from_utf8_lossy(&key);
            format!("{name} argument given to redis.register_function must be a {what}")
        };
        match key.as_slice() {
            b"function_name" => {
                let text = stack.text(-1).map(<[u8]>::to_vec);
                draft.name = Some(text.ok_or_else(|| must_be("string"))?);
            }
            b"description" => {
                let text = stack.text(-1).map(<[u8]>::to_vec);
                draft.description = Some(text.ok_or_else(|| must_be("string"))?);
            }
            b"callback" => {
                if stack.kind(-1) != Kind::Function {
                    return Err(must_be("function"));
                }
                draft.callback = Some(stack.keep());
                // Keeping it has taken it off.
                continue;
            }
            b"flags" => {
                if stack.kind(-1) != Kind::Table {
                    return Err("flags argument to redis.register_function must be a table \
                                representing function flags"
                        .to_owned());
                }
                draft.flags = read_flags(stack).ok_or("unknown flag given")?;
            }
            _ => return Err("unknown argument given to redis.register_function".to_owned()),
        }
        stack.pop(1);
    }
    Ok(())
}

/// The flags in the table on top; None: one is unknown.
fn read_flags(stack: &mut Stack) -> Option<ScriptFlags> {
    let mut flags = ScriptFlags::default();
    for n in 1.. {
        stack.raw_element(-1, n);
        if stack.kind(-1) == Kind::Nil {
            stack.pop(1);
            break;
        }
        let is_known = stack.text(-1).is_some_and(|name| flags.set(name, true));
        stack.pop(1);
        if !is_known {
            return None;
        }
    }
    Some(flags)
}
