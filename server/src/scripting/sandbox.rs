//! What scripts can reach, and that they cannot change it.
//!
//! Redis' Lua has tables that are read only; plain Lua 5.1 has not. Here a table that must not
//! change is *shielded*: scripts get an empty table whose metatable reads from the real one and
//! refuses writes, and the real one is reachable from no script. Functions that go past metatables
//! (`rawset`, `next`, `setmetatable` ..) are replaced by ones that know the shields, so that scripts see
//! no difference: the same texts, the same pairs.

use super::{
    builtins::{load, load_string, pcall, random, random_seed, resume, unpack, xpcall},
    stack::{GLOBALS, Kind, Outcome, REGISTRY, Raw, Stack, lua_function, upvalue},
};
use mlua::ffi;
use std::ffi::{CStr, c_int};

/// Where the table of shields lies in the registry: shield -> what it shields.
const SHIELDS: &[u8] = b"shields";

/// Globals that scripts keep; everything else of Lua's goes.
const KEPT: [&str; 32] = [
    "string",
    "cjson",
    "bit",
    "cmsgpack",
    "math",
    "table",
    "struct",
    "redis",
    "xpcall",
    "tostring",
    "setmetatable",
    "next",
    "assert",
    "tonumber",
    "rawequal",
    "collectgarbage",
    "getmetatable",
    "rawset",
    "pcall",
    "coroutine",
    "type",
    "_G",
    "select",
    "unpack",
    "gcinfo",
    "pairs",
    "rawget",
    "loadstring",
    "ipairs",
    "_VERSION",
    "load",
    "error",
];

/// The text when a script changes what it must not.
const READ_ONLY: &CStr = c"Attempt to modify a readonly table";

lua_function!(refuse_write_raw, refuse_write);
lua_function!(undefined_raw, undefined);

fn refuse_write(stack: &mut Stack) -> Outcome {
    stack.push_complaint(READ_ONLY.to_bytes());
    Outcome::Raise
}

/// `__index` of the globals: there is no such thing.
fn undefined(stack: &mut Stack) -> Outcome {
    let text = match (stack.top(), stack.text(-1)) {
        (2, Some(name)) => {
            let before = b"Script attempted to access nonexistent global variable '";
            [&before[..], name, b"'"].concat()
        }
        (2, None) => {
            b"Second argument to luaProtectedTableError must be a string or number".to_vec()
        }
        _ => b"Wrong number of arguments to luaProtectedTableError".to_vec(),
    };
    stack.push_complaint(&text);
    Outcome::Raise
}

/// Pushes what the table at `index` shields; false, and nothing, when it is no shield.
fn unshielded(stack: &mut Stack, index: c_int) -> bool {
    if stack.kind(index) != Kind::Table {
        return false;
    }
    stack.push_copy(index);
    stack.raw_get(upvalue(1));
    if stack.kind(-1) == Kind::Nil {
        stack.pop(1);
        return false;
    }
    true
}

/// As [`unshielded`], without pushing anything, anywhere.
pub fn is_shield(stack: &mut Stack, index: c_int) -> bool {
    if stack.kind(index) != Kind::Table {
        return false;
    }
    let index = stack.absolute(index);
    stack.raw_field(REGISTRY, SHIELDS);
    stack.push_copy(index);
    stack.raw_get(-2);
    let is_one = stack.kind(-1) != Kind::Nil;
    stack.pop(2);
    is_one
}

/// Replaces the table on top by a shield of it.
pub fn shield(stack: &mut Stack) {
    stack.push_table(0, 0);
    stack.push_table(0, 2);
    stack.push_copy(-3);
    stack.set_raw_field(-2, b"__index");
    stack.push_function(refuse_write_raw, 0);
    stack.set_raw_field(-2, b"__newindex");
    stack.set_metatable(-2);
    // Real, shield: noted, and the real one goes from the stack.
    stack.raw_field(REGISTRY, SHIELDS);
    stack.push_copy(-2);
    stack.push_copy(-4);
    stack.raw_set(-3);
    stack.pop(1);
    stack.remove(-2);
}

/// Has reading what the table on top has not raise an error.
pub fn refuse_unknown(stack: &mut Stack) {
    stack.push_table(0, 2);
    stack.push_function(undefined_raw, 0);
    stack.set_raw_field(-2, b"__index");
    // What scripts get of it.
    stack.push_copy(-1);
    shield(stack);
    stack.set_raw_field(-2, b"__metatable");
    stack.set_metatable(-2);
}

/// Prepares the globals before anything is put into them: shields can be made from now on.
pub fn begin(stack: &mut Stack) {
    stack.push_table(0, 0);
    stack.set_raw_field(REGISTRY, SHIELDS);
}

/// Takes away what scripts must not have and replaces what would go past the shields; leaves the
/// globals on top.
pub fn restrict(stack: &mut Stack) {
    stack.push_copy(GLOBALS);
    let mut gone = Vec::new();
    stack.push_nil();
    while stack.next(-2) {
        stack.pop(1);
        let name = stack.bytes(-1).unwrap_or_default().to_vec();
        if !KEPT.iter().any(|kept| kept.as_bytes() == name) {
            gone.push(name);
        }
    }
    for name in gone {
        stack.push_nil();
        stack.set_raw_field(-2, &name);
    }
    let functions: [(&[u8], ffi::lua_CFunction); 11] = [
        (b"pcall", pcall),
        (b"xpcall", xpcall),
        (b"setmetatable", set_metatable),
        (b"getmetatable", get_metatable_raw),
        (b"rawset", raw_set),
        (b"rawget", raw_get_raw),
        (b"next", next),
        (b"pairs", pairs),
        (b"load", load),
        (b"loadstring", load_string),
        (b"unpack", unpack),
    ];
    for (name, function) in functions {
        set_function(stack, name, function);
    }
    stack.raw_field(-1, b"table");
    set_function(stack, b"insert", table_insert);
    stack.pop(1);
    stack.raw_field(-1, b"math");
    for (name, function) in
        [(&b"random"[..], random as ffi::lua_CFunction), (b"randomseed", random_seed)]
    {
        set_function(stack, name, function);
    }
    stack.pop(1);
    stack.raw_field(-1, b"coroutine");
    stack.raw_field(-1, b"resume");
    stack.push_function(resume, 1);
    stack.set_raw_field(-2, b"resume");
    stack.pop(1);
}

/// Sets a field of the table on top to a function that knows the shields.
fn set_function(stack: &mut Stack, name: &[u8], function: ffi::lua_CFunction) {
    stack.raw_field(REGISTRY, SHIELDS);
    if name == b"pairs" {
        // What it gives to the loop.
        stack.raw_field(-2, b"next");
        stack.push_function(function, 2);
    } else {
        stack.push_function(function, 1);
    }
    stack.set_raw_field(-2, name);
}

/// Shields every library and the globals themselves, which stay reachable for the server under the
/// number that is returned.
pub fn close(stack: &mut Stack) -> c_int {
    stack.push_copy(GLOBALS);
    for name in
        ["string", "table", "math", "coroutine", "redis", "cjson", "cmsgpack", "bit", "struct"]
    {
        stack.raw_field(-1, name.as_bytes());
        if stack.kind(-1) == Kind::Table {
            shield(stack);
            stack.set_raw_field(-2, name.as_bytes());
        } else {
            stack.pop(1);
        }
    }
    // Methods of strings are found through the shield too.
    stack.push_bytes(b"");
    if stack.metatable(-1) {
        stack.raw_field(-3, b"string");
        stack.set_raw_field(-2, b"__index");
        stack.push_copy(-1);
        shield(stack);
        stack.set_raw_field(-2, b"__metatable");
        stack.pop(1);
    }
    stack.pop(1);
    refuse_unknown(stack);
    stack.push_copy(-1);
    shield(stack);
    stack.push_copy(-1);
    stack.set_raw_field(-3, b"_G");
    // From here on functions are compiled with the shield as their globals.
    stack.replace(GLOBALS);
    stack.keep()
}

// Functions in Lua's own way, which may raise errors anywhere.
//
// SAFETY (of each): Lua calls them with a state that is alive, on its thread, and with room for 20
// values. An error leaves by a jump over this frame and over those of the methods called from it,
// none of which owns anything that would have to be dropped.

unsafe fn raise_read_only(raw: Raw) -> c_int {
    // SAFETY: see above.
    unsafe {
        ffi::lua_pushstring_(raw, READ_ONLY.as_ptr());
        ffi::lua_error(raw)
    }
}

/// True when the value at `index` is a shield.
unsafe fn is_shielded(raw: Raw, index: c_int) -> bool {
    // SAFETY: see above; the first upvalue is the table of shields.
    unsafe {
        ffi::lua_pushvalue(raw, index);
        ffi::lua_rawget_(raw, upvalue(1));
        let is_one = ffi::lua_type(raw, -1) != ffi::LUA_TNIL;
        ffi::lua_settop(raw, -2);
        is_one
    }
}

unsafe extern "C-unwind" fn set_metatable(raw: Raw) -> c_int {
    // SAFETY: see above.
    unsafe {
        let kind = ffi::lua_type(raw, 2);
        ffi::luaL_checktype(raw, 1, ffi::LUA_TTABLE);
        if kind != ffi::LUA_TNIL && kind != ffi::LUA_TTABLE {
            return ffi::luaL_argerror(raw, 2, c"nil or table expected".as_ptr());
        }
        if is_shielded(raw, 1) {
            return raise_read_only(raw);
        }
        if ffi::luaL_getmetafield_(raw, 1, c"__metatable".as_ptr()) != 0 {
            return ffi::luaL_error(raw, c"cannot change a protected metatable".as_ptr());
        }
        ffi::lua_settop(raw, 2);
        ffi::lua_setmetatable(raw, 1);
        1
    }
}

lua_function!(get_metatable_raw, get_metatable);
lua_function!(raw_get_raw, raw_get);

fn get_metatable(stack: &mut Stack) -> Outcome {
    if stack.top() == 0 {
        stack.push_complaint(b"bad argument #1 to 'getmetatable' (value expected)");
        return Outcome::Raise;
    }
    stack.set_top(1);
    if unshielded(stack, 1) {
        stack.remove(1);
    }
    if !stack.metatable(1) {
        stack.push_nil();
        return Outcome::Values(1);
    }
    stack.raw_field(-1, b"__metatable");
    if stack.kind(-1) == Kind::Nil {
        stack.pop(1);
    }
    Outcome::Values(1)
}

fn raw_get(stack: &mut Stack) -> Outcome {
    if stack.kind(1) != Kind::Table || stack.top() < 2 {
        stack.push_complaint(b"bad argument #1 to 'rawget' (table expected)");
        return Outcome::Raise;
    }
    stack.set_top(2);
    if unshielded(stack, 1) {
        stack.replace(1);
    }
    stack.raw_get(1);
    Outcome::Values(1)
}

unsafe extern "C-unwind" fn raw_set(raw: Raw) -> c_int {
    // SAFETY: see above.
    unsafe {
        ffi::luaL_checktype(raw, 1, ffi::LUA_TTABLE);
        ffi::luaL_checkany(raw, 2);
        ffi::luaL_checkany(raw, 3);
        ffi::lua_settop(raw, 3);
        if is_shielded(raw, 1) {
            return raise_read_only(raw);
        }
        ffi::lua_rawset(raw, 1);
        1
    }
}

unsafe extern "C-unwind" fn next(raw: Raw) -> c_int {
    // SAFETY: see above.
    unsafe {
        ffi::luaL_checktype(raw, 1, ffi::LUA_TTABLE);
        ffi::lua_settop(raw, 2);
        ffi::lua_pushvalue(raw, 1);
        ffi::lua_rawget_(raw, upvalue(1));
        if ffi::lua_type(raw, -1) == ffi::LUA_TNIL {
            ffi::lua_settop(raw, -2);
        } else {
            ffi::lua_replace(raw, 1);
        }
        if ffi::lua_next(raw, 1) != 0 {
            return 2;
        }
        ffi::lua_pushnil(raw);
        1
    }
}

unsafe extern "C-unwind" fn pairs(raw: Raw) -> c_int {
    // SAFETY: see above; the second upvalue is `next`.
    unsafe {
        ffi::luaL_checktype(raw, 1, ffi::LUA_TTABLE);
        ffi::lua_pushvalue(raw, upvalue(2));
        ffi::lua_pushvalue(raw, 1);
        ffi::lua_pushnil(raw);
        3
    }
}

unsafe extern "C-unwind" fn table_insert(raw: Raw) -> c_int {
    // SAFETY: see above.
    unsafe {
        ffi::luaL_checktype(raw, 1, ffi::LUA_TTABLE);
        if is_shielded(raw, 1) {
            return raise_read_only(raw);
        }
        let end = ffi::lua_objlen(raw, 1) as c_int + 1;
        match ffi::lua_gettop(raw) {
            2 => ffi::lua_rawseti_(raw, 1, end),
            3 => {
                let at = ffi::luaL_checkinteger(raw, 2) as c_int;
                let end = end.max(at);
                for n in ((at + 1)..=end).rev() {
                    ffi::lua_rawgeti_(raw, 1, n - 1);
                    ffi::lua_rawseti_(raw, 1, n);
                }
                ffi::lua_rawseti_(raw, 1, at);
            }
            _ => {
                return ffi::luaL_error(raw, c"wrong number of arguments to 'insert'".as_ptr());
            }
        }
        0
    }
}
