//! `cjson`: values to and from JSON, and what scripts may set about it.
//!
//! Settings belong to the library's table and live as long as the interpreter; `cjson.new` gives
//! a table with settings of its own. Writing is in [`encode`], reading in [`decode`] over [`lexer`].

mod decode;
mod encode;
mod lexer;

use super::call::{self, Call, Constant, Fault, Kind, Library, Outcome};

const LIBRARY: Library<Settings> = Library {
    routines: &[
        (c"encode", encode::encode),
        (c"decode", decode::decode),
        (c"encode_sparse_array", encode_sparse_array),
        (c"encode_max_depth", encode_max_depth),
        (c"decode_max_depth", decode_max_depth),
        (c"encode_number_precision", encode_number_precision),
        (c"encode_keep_buffer", encode_keep_buffer),
        (c"encode_invalid_numbers", encode_invalid_numbers),
        (c"decode_invalid_numbers", decode_invalid_numbers),
        (c"new", new),
    ],
    constants: &[
        (c"null", Constant::Null),
        (c"_NAME", Constant::Text("cjson")),
        (c"_VERSION", Constant::Text("2.1.0")),
    ],
};

/// Bytes of the output buffer that are kept between calls at most.
const KEPT_BYTES_MAX: usize = 1 << 20;

/// Gives `lua` the global `cjson`.
///
/// # Errors
/// Those of the interpreter, when it has no memory left.
pub fn install(lua: &mlua::Lua) -> mlua::Result<()> {
    call::install(lua, c"cjson", &LIBRARY, Settings::default())
}

/// What to do with a number that JSON does not have.
#[derive(Clone, Copy, PartialEq, Eq)]
enum InvalidNumbers {
    /// Refuse it.
    Off,
    /// Write it as C does.
    On,
    /// Write null.
    Null,
}

/// What one library's table has been told.
struct Settings {
    /// Write tables that are too sparse for an array as objects, instead of refusing them.
    sparse_convert: bool,
    /// An array may be this many times longer than it has elements; 0: as long as it likes.
    sparse_ratio: i32,
    /// Arrays up to this length are never too sparse.
    sparse_safe: i32,
    /// Levels of tables that are written.
    encode_depth_max: i32,
    /// Levels of arrays and objects that are read.
    decode_depth_max: i32,
    /// Significant digits of numbers, 1 to 14.
    number_precision: i32,
    encode_invalid: InvalidNumbers,
    /// Read hexadecimal numbers, infinities and the like.
    decode_invalid: bool,
    /// Keep the output buffer for the next call.
    keep_buffer: bool,
    /// The kept output buffer.
    buffer: Vec<u8>,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            sparse_convert: false,
            sparse_ratio: 2,
            sparse_safe: 10,
            encode_depth_max: 1000,
            decode_depth_max: 1000,
            number_precision: 14,
            encode_invalid: InvalidNumbers::Off,
            decode_invalid: true,
            keep_buffer: true,
            buffer: Vec::new(),
        }
    }
}

impl Settings {
    /// An empty buffer, the kept one if there is one.
    fn take_buffer(&mut self) -> Vec<u8> {
        std::mem::take(&mut self.buffer)
    }

    /// Takes a buffer back for the next call.
    fn give_buffer(&mut self, mut buffer: Vec<u8>) {
        if self.keep_buffer && buffer.capacity() <= KEPT_BYTES_MAX {
            buffer.clear();
            self.buffer = buffer;
        }
    }
}

type Settle<'call> = Call<'call, Settings>;

/// Refuses arguments beyond the `most` that a function has.
fn at_most(call: &Settle<'_>, most: i32) -> Result<(), Fault> {
    if call.arguments() > most {
        return Err(Fault::argument(most + 1, "found too many arguments"));
    }
    Ok(())
}

/// Sets an integer if there is an argument, and pushes what it is then.
fn integer_setting(
    call: &mut Settle<'_>,
    argument: i32,
    least: i32,
    most: i32,
    setting: fn(&mut Settings) -> &mut i32,
) -> Result<(), Fault> {
    if call.kind(argument) != Kind::Nil && argument <= call.arguments() {
        let value = call.integer(argument)? as i32;
        if value < least || value > most {
            return Err(Fault::argument(1, format!("expected integer between {least} and {most}")));
        }
        *setting(call.shared) = value;
    }
    let value = *setting(call.shared);
    call.push_number(f64::from(value))
}

/// The choice that an argument makes of `words`, or as a boolean; `None` if there is none.
fn choice(call: &Settle<'_>, argument: i32, words: &[&str]) -> Result<Option<usize>, Fault> {
    if argument > call.arguments() {
        return Ok(None);
    }
    match call.kind(argument) {
        Kind::Nil => Ok(None),
        Kind::Boolean => Ok(Some(usize::from(call.to_boolean(argument)))),
        _ => {
            let bytes = call.bytes(argument)?;
            let bytes = bytes.split(|byte| *byte == 0).next().unwrap_or_default();
            let place = words.iter().position(|word| word.as_bytes() == bytes);
            if place.is_none() {
                let mut text = b"invalid option '".to_vec();
                text.extend_from_slice(bytes);
                text.push(b'\'');
                return Err(Fault::Argument(argument, text));
            }
            Ok(place)
        }
    }
}

/// Sets a switch if there is an argument, and pushes what it is then.
fn switch_setting(
    call: &mut Settle<'_>,
    setting: fn(&mut Settings) -> &mut bool,
) -> Result<(), Fault> {
    if let Some(place) = choice(call, 1, &["off", "on"])? {
        *setting(call.shared) = place == 1;
    }
    let value = *setting(call.shared);
    call.push_boolean(value)
}

fn encode_sparse_array(call: &mut Settle<'_>) -> Outcome {
    at_most(call, 3)?;
    switch_setting(call, |settings| &mut settings.sparse_convert)?;
    integer_setting(call, 2, 0, i32::MAX, |settings| &mut settings.sparse_ratio)?;
    integer_setting(call, 3, 0, i32::MAX, |settings| &mut settings.sparse_safe)?;
    Ok(3)
}

fn encode_max_depth(call: &mut Settle<'_>) -> Outcome {
    at_most(call, 1)?;
    integer_setting(call, 1, 1, i32::MAX, |settings| &mut settings.encode_depth_max)?;
    Ok(1)
}

fn decode_max_depth(call: &mut Settle<'_>) -> Outcome {
    at_most(call, 1)?;
    integer_setting(call, 1, 1, i32::MAX, |settings| &mut settings.decode_depth_max)?;
    Ok(1)
}

fn encode_number_precision(call: &mut Settle<'_>) -> Outcome {
    at_most(call, 1)?;
    integer_setting(call, 1, 1, 14, |settings| &mut settings.number_precision)?;
    Ok(1)
}

fn encode_keep_buffer(call: &mut Settle<'_>) -> Outcome {
    at_most(call, 1)?;
    switch_setting(call, |settings| &mut settings.keep_buffer)?;
    if !call.shared.keep_buffer {
        call.shared.buffer = Vec::new();
    }
    Ok(1)
}

fn encode_invalid_numbers(call: &mut Settle<'_>) -> Outcome {
    at_most(call, 1)?;
    match choice(call, 1, &["off", "on", "null"])? {
        Some(0) => call.shared.encode_invalid = InvalidNumbers::Off,
        Some(1) => call.shared.encode_invalid = InvalidNumbers::On,
        Some(_) => call.shared.encode_invalid = InvalidNumbers::Null,
        None => {}
    }
    match call.shared.encode_invalid {
        InvalidNumbers::Off => call.push_boolean(false)?,
        InvalidNumbers::On => call.push_boolean(true)?,
        InvalidNumbers::Null => call.push_bytes(b"null")?,
    }
    Ok(1)
}

fn decode_invalid_numbers(call: &mut Settle<'_>) -> Outcome {
    at_most(call, 1)?;
    switch_setting(call, |settings| &mut settings.decode_invalid)?;
    Ok(1)
}

fn new(call: &mut Settle<'_>) -> Outcome {
    call.push_library(&LIBRARY, Settings::default())?;
    Ok(1)
}
