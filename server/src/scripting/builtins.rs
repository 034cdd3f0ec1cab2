//! Lua's own functions that are not fit for strangers' code, made anew.
//!
//! `load` and `loadstring` take source text only: compiled code is not verified. `unpack` checks its range.
//! What catches errors (`pcall`, `xpcall`, `coroutine.resume`) does not catch a script's end. Random
//! numbers are Redis'.
//!
//! SAFETY (of each function): Lua calls it with a state that is alive, on its thread, and with room for
//! 20 values. An error leaves by a jump over its frame, which owns nothing that would have to be
//! dropped.

use super::{
    context,
    stack::{Raw, upvalue},
};
use mlua::ffi;
use std::ffi::c_int;

/// Raises the error on top.
unsafe fn raise(raw: Raw) -> c_int {
    // SAFETY: see above; there is a value on top.
    unsafe { ffi::lua_error(raw) }
}

/// As Redis' own: the text of an error table is what is caught.
///
/// # Safety
/// Lua calls it.
pub unsafe extern "C-unwind" fn pcall(raw: Raw) -> c_int {
    // SAFETY: see above.
    unsafe {
        ffi::luaL_checkany(raw, 1);
        let arguments = ffi::lua_gettop(raw) - 1;
        ffi::lua_pushboolean(raw, 1);
        ffi::lua_insert(raw, 1);
        if ffi::lua_pcall(raw, arguments, ffi::LUA_MULTRET, 0) != 0 {
            if context::is_stopped() {
                return raise(raw);
            }
            ffi::lua_remove(raw, 1);
            if ffi::lua_type(raw, -1) == ffi::LUA_TTABLE {
                ffi::lua_pushlstring_(raw, c"err".as_ptr(), 3);
                ffi::lua_rawget_(raw, -2);
                if ffi::lua_isstring(raw, -1) != 0 {
                    ffi::lua_replace(raw, -2);
                } else {
                    ffi::lua_settop(raw, -2);
                }
            }
            ffi::lua_pushboolean(raw, 0);
            ffi::lua_insert(raw, 1);
        }
        ffi::lua_gettop(raw)
    }
}

/// Lua's own, which does not catch a script's end.
///
/// # Safety
/// Lua calls it.
pub unsafe extern "C-unwind" fn xpcall(raw: Raw) -> c_int {
    // SAFETY: see above.
    unsafe {
        ffi::luaL_checkany(raw, 2);
        ffi::lua_settop(raw, 2);
        ffi::lua_insert(raw, 1);
        let status = ffi::lua_pcall(raw, 0, ffi::LUA_MULTRET, 1);
        if status != 0 && context::is_stopped() {
            return raise(raw);
        }
        ffi::lua_pushboolean(raw, c_int::from(status == 0));
        ffi::lua_replace(raw, 1);
        ffi::lua_gettop(raw)
    }
}

/// Lua's own is the upvalue.
///
/// # Safety
/// Lua calls it.
pub unsafe extern "C-unwind" fn resume(raw: Raw) -> c_int {
    // SAFETY: see above.
    unsafe {
        let arguments = ffi::lua_gettop(raw);
        ffi::lua_pushvalue(raw, upvalue(1));
        ffi::lua_insert(raw, 1);
        ffi::lua_call(raw, arguments, ffi::LUA_MULTRET);
        if context::is_stopped() {
            ffi::lua_settop(raw, -1);
            return raise(raw);
        }
        ffi::lua_gettop(raw)
    }
}

/// Compiles `source` under `name`; both are on the stack. True when the function is on top.
///
/// ORDER: the name as Lua's parser sees it, cut at its first zero, is pushed before and stays there
/// meanwhile: the parser refers to it where the collector does not look.
unsafe fn compile(raw: Raw, source: &[u8], name: *const std::ffi::c_char) -> bool {
    // SAFETY: see above; the source is on the stack.
    unsafe {
        ffi::lua_pushstring_(raw, name);
        if source.first() == Some(&ffi::LUA_SIGNATURE[0]) {
            ffi::lua_pushstring_(raw, c"compiled code is not loaded".as_ptr());
            return false;
        }
        let status = ffi::luaL_loadbuffer(raw, source.as_ptr().cast(), source.len(), name);
        status == 0
    }
}

unsafe fn loaded(raw: Raw, is_done: bool) -> c_int {
    // SAFETY: see above.
    unsafe {
        if is_done {
            return 1;
        }
        ffi::lua_pushnil(raw);
        ffi::lua_insert(raw, -2);
        2
    }
}

/// Compiles a string.
///
/// # Safety
/// Lua calls it.
pub unsafe extern "C-unwind" fn load_string(raw: Raw) -> c_int {
    // SAFETY: see above.
    unsafe {
        let mut len = 0;
        let source = ffi::luaL_checklstring(raw, 1, &raw mut len);
        let name = ffi::luaL_optlstring(raw, 2, source, std::ptr::null_mut());
        let source = std::slice::from_raw_parts(source.cast(), len);
        let is_done = compile(raw, source, name);
        loaded(raw, is_done)
    }
}

/// The pieces that a function gives, one behind the other.
///
/// # Safety
/// Lua calls it.
pub unsafe extern "C-unwind" fn load(raw: Raw) -> c_int {
    // SAFETY: see above.
    unsafe {
        let name = ffi::luaL_optlstring(raw, 2, c"=(load)".as_ptr(), std::ptr::null_mut());
        ffi::luaL_checktype(raw, 1, ffi::LUA_TFUNCTION);
        ffi::lua_settop(raw, 2);
        ffi::lua_pushlstring_(raw, name, 0);
        loop {
            ffi::lua_pushvalue(raw, 1);
            if ffi::lua_pcall(raw, 0, 1, 0) != 0 {
                if context::is_stopped() {
                    return raise(raw);
                }
                return loaded(raw, false);
            }
            if ffi::lua_type(raw, -1) == ffi::LUA_TNIL {
                ffi::lua_settop(raw, -2);
                break;
            }
            if ffi::lua_isstring(raw, -1) == 0 {
                ffi::lua_pushstring_(raw, c"reader function must return a string".as_ptr());
                return loaded(raw, false);
            }
            if ffi::lua_objlen(raw, -1) == 0 {
                ffi::lua_settop(raw, -2);
                break;
            }
            ffi::lua_concat(raw, 2);
        }
        let mut len = 0;
        let source = ffi::lua_tolstring(raw, -1, &raw mut len);
        let is_done = compile(raw, std::slice::from_raw_parts(source.cast(), len), name);
        loaded(raw, is_done)
    }
}

/// The elements of a list, as many values as there is room for.
///
/// # Safety
/// Lua calls it.
pub unsafe extern "C-unwind" fn unpack(raw: Raw) -> c_int {
    // SAFETY: see above.
    unsafe {
        ffi::luaL_checktype(raw, 1, ffi::LUA_TTABLE);
        let int = |index, default| match ffi::lua_type(raw, index) <= ffi::LUA_TNIL {
            true => default,
            false => ffi::luaL_checkinteger(raw, index) as i32,
        };
        let first = int(2, 1);
        let last = int(3, ffi::lua_objlen(raw, 1) as i32);
        if first > last {
            return 0;
        }
        let many = i64::from(last) - i64::from(first) + 1;
        if many >= i64::from(i32::MAX) || ffi::lua_checkstack(raw, many as c_int) == 0 {
            return ffi::luaL_error(raw, c"too many results to unpack".as_ptr());
        }
        for n in first..=last {
            ffi::lua_rawgeti_(raw, 1, n);
        }
        many as c_int
    }
}

/// `math.random`
///
/// # Safety
/// Lua calls it.
pub unsafe extern "C-unwind" fn random(raw: Raw) -> c_int {
    // SAFETY: see above.
    unsafe {
        if !context::is_running() {
            let text = c"math.random can only be called inside a script invocation";
            return ffi::luaL_error(raw, text.as_ptr());
        }
        const MAX: u32 = i32::MAX as u32;
        let r = f64::from(context::next_random() % MAX) / f64::from(MAX);
        let limit = |index| ffi::luaL_checkinteger(raw, index) as i32;
        let number = match ffi::lua_gettop(raw) {
            0 => r,
            1 => {
                let upper = limit(1);
                if upper < 1 {
                    return ffi::luaL_argerror(raw, 1, c"interval is empty".as_ptr());
                }
                (r * f64::from(upper)).floor() + 1.0
            }
            2 => {
                let (lower, upper) = (limit(1), limit(2));
                if lower > upper {
                    return ffi::luaL_argerror(raw, 2, c"interval is empty".as_ptr());
                }
                let width = upper.wrapping_sub(lower).wrapping_add(1);
                (r * f64::from(width)).floor() + f64::from(lower)
            }
            _ => return ffi::luaL_error(raw, c"wrong number of arguments".as_ptr()),
        };
        ffi::lua_pushnumber(raw, number);
        1
    }
}

/// `math.randomseed`
///
/// # Safety
/// Lua calls it.
pub unsafe extern "C-unwind" fn random_seed(raw: Raw) -> c_int {
    // SAFETY: see above.
    unsafe {
        if !context::is_running() {
            let text = c"math.randomseed can only be called inside a script invocation";
            return ffi::luaL_error(raw, text.as_ptr());
        }
        context::seed_random(ffi::luaL_checkinteger(raw, 1) as i32);
        0
    }
}
