//! The libraries that scripts find beside Lua's own: `bit`, `struct`, `cmsgpack`, `cjson`.
//!
//! They answer what stock Redis 7.0 answers, byte for byte, errors with their positions included.
//! Strings are bytes everywhere. Each library is one folder or file with its `install`; what they
//! know of the interpreter is [`call`]. None of them knows Redis, a shard or a script.
//!
//! LIMIT: whatever a script hands over, work and memory are bounded by the size of its arguments
//! (and of [`call::RESULT_BYTES_MAX`]), and nothing here recurses deeper than sixteen levels.

pub mod bits;
mod call;
pub mod cjson;
pub mod cmsgpack;
mod numbers;
pub mod structs;

/// Gives `lua` all four libraries as globals.
///
/// # Errors
/// Those of the interpreter, when it has no memory left.
pub fn install(lua: &mlua::Lua) -> mlua::Result<()> {
    bits::install(lua)?;
    structs::install(lua)?;
    cmsgpack::install(lua)?;
    cjson::install(lua)
}

#[cfg(test)]
mod tests;
