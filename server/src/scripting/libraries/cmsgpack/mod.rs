//! `cmsgpack`: values to and from MessagePack.
//!
//! `pack` writes each of its arguments ([`encode`]); `unpack` and its two limited forms read as many values as
//! there are ([`decode`]).

mod decode;
mod encode;

use super::call::{self, Constant, Library};

const LIBRARY: Library<()> = Library {
    routines: &[
        (c"pack", encode::pack),
        (c"unpack", decode::unpack),
        (c"unpack_one", decode::unpack_one),
        (c"unpack_limit", decode::unpack_limit),
    ],
    constants: &[
        (c"_NAME", Constant::Text("cmsgpack")),
        (c"_VERSION", Constant::Text("lua-cmsgpack 0.4.0")),
        (c"_COPYRIGHT", Constant::Text("Copyright (C) 2012, Salvatore Sanfilippo")),
        (c"_DESCRIPTION", Constant::Text("MessagePack C implementation for Lua")),
    ],
};

/// Gives `lua` the global `cmsgpack`.
///
/// # Errors
/// Those of the interpreter, when it has no memory left.
pub fn install(lua: &mlua::Lua) -> mlua::Result<()> {
    call::install(lua, c"cmsgpack", &LIBRARY, ())
}
