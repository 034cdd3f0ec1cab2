//! `struct`: values to and from bytes in the layout of C structures.
//!
//! A format is a sequence of letters, each with an optional size:
//!
//! | letter | value |
//! |---|---|
//! | `b` `B`, `h` `H`, `l` `L`, `T`, `i`n `I`n | integers of 1, 2, 8, 8, n bytes; small letters are signed |
//! | `f` `d` | floats of 4 and 8 bytes |
//! | `s` | bytes up to a zero byte |
//! | `c`n | n bytes; `c0`: all of the argument, or as many as the number before says |
//! | `x` | a byte of padding |
//! | `<` `>` | little, big endian from here on (native: little) |
//! | `!`n | alignment to at most n bytes from here on |
//!
//! Integers longer than 8 bytes have zeros in the bytes that 64 bits do not reach, negative ones too.

use super::call::{self, Call, Constant, Fault, Library, Outcome};
use super::numbers;

/// Longest integer a format may ask for, in bytes.
const INTEGER_BYTES_MAX: usize = 32;
/// Alignment of `!` without a number, in bytes.
const ALIGNMENT_DEFAULT: usize = 8;

const LIBRARY: Library<()> = Library {
    routines: &[(c"pack", pack), (c"unpack", unpack), (c"size", size)],
    constants: &[] as &[(_, Constant)],
};

/// Gives `lua` the global `struct`.
///
/// # Errors
/// Those of the interpreter, when it has no memory left.
pub fn install(lua: &mlua::Lua) -> mlua::Result<()> {
    call::install(lua, c"struct", &LIBRARY, ())
}

/// A format that is being read.
struct Format<'text> {
    rest: &'text [u8],
    big_endian: bool,
    alignment: usize,
}

/// One letter of a format.
struct Item {
    letter: u8,
    /// Bytes it takes; 0: it depends on the value, or it takes none.
    size: usize,
    /// Bytes of padding before it.
    padding: usize,
}

impl<'text> Format<'text> {
    fn new(text: &'text [u8]) -> Self {
        // A format ends at a zero byte.
        let end = text.iter().position(|byte| *byte == 0);
        Self {
            rest: &text[..end.unwrap_or(text.len())],
            big_endian: cfg!(target_endian = "big"),
            alignment: 1,
        }
    }

    /// The decimal number that follows, `default` if none does.
    fn number(&mut self, default: usize) -> Result<usize, Fault> {
        let mut number = None;
        while let [digit @ b'0'..=b'9', rest @ ..] = self.rest {
            let digit = i32::from(digit - b'0');
            let next = number
                .unwrap_or(0_i32)
                .checked_mul(10)
                .and_then(|tens| tens.checked_add(digit))
                .ok_or_else(|| Fault::error("integral size overflow"))?;
            number = Some(next);
            self.rest = rest;
        }
        Ok(number.map_or(default, |number| number as usize))
    }

    /// The next letter, `offset` bytes into the structure.
    fn next(&mut self, offset: usize) -> Result<Option<Item>, Fault> {
        let [letter, rest @ ..] = self.rest else {
            return Ok(None);
        };
        self.rest = rest;
        let size = match letter {
            b'b' | b'B' | b'x' => 1,
            b'h' | b'H' => 2,
            b'f' => 4,
            b'l' | b'L' | b'T' | b'd' => 8,
            b'c' => self.number(1)?,
            b'i' | b'I' => self.number(4)?,
            _ => 0,
        };
        if matches!(letter, b'i' | b'I') && size > INTEGER_BYTES_MAX {
            return Err(Fault::error(format!(
                "integral size {size} is larger than limit of {INTEGER_BYTES_MAX}"
            )));
        }
        let padding = if size == 0 || *letter == b'c' {
            0
        } else {
            // Sizes need not be powers of two; then this is what the mask gives.
            let aligned = size.min(self.alignment);
            let mask = aligned - 1;
            aligned.wrapping_sub(offset & mask) & mask
        };
        Ok(Some(Item { letter: *letter, size, padding }))
    }

    /// Obeys a letter that is no value.
    fn control(&mut self, letter: u8) -> Result<(), Fault> {
        match letter {
            b' ' => {}
            b'<' => self.big_endian = false,
            b'>' => self.big_endian = true,
            b'!' => {
                let alignment = self.number(ALIGNMENT_DEFAULT)?;
                if !alignment.is_power_of_two() {
                    return Err(Fault::error(format!("alignment {alignment} is not a power of 2")));
                }
                self.alignment = alignment;
            }
            other => {
                let mut text = b"invalid format option '".to_vec();
                text.extend_from_slice(&[other, b'\'']);
                return Err(Fault::Argument(1, text));
            }
        }
        Ok(())
    }
}

fn pack(call: &mut Call<'_, ()>) -> Outcome {
    let mut format = Format::new(call.bytes(1)?);
    // The first missing value is nil, and complained about as that.
    call.push_argument_nil()?;
    let mut out = Vec::new();
    let mut argument = 2;
    while let Some(Item { letter, mut size, padding }) = format.next(out.len())? {
        out.resize(out.len() + padding, 0);
        match letter {
            b'b' | b'B' | b'h' | b'H' | b'l' | b'L' | b'T' | b'i' | b'I' => {
                let number = call.number(argument)?;
                argument += 1;
                put_integer(&mut out, number, size, format.big_endian);
            }
            b'x' => out.push(0),
            b'f' => {
                let number = call.number(argument)? as f32;
                argument += 1;
                let bytes = number.to_bits();
                put(&mut out, u64::from(bytes), 4, format.big_endian);
            }
            b'd' => {
                let number = call.number(argument)?;
                argument += 1;
                put(&mut out, number.to_bits(), 8, format.big_endian);
            }
            b'c' | b's' => {
                let bytes = call.bytes(argument)?;
                argument += 1;
                if size == 0 {
                    size = bytes.len();
                }
                let Some(bytes) = bytes.get(..size) else {
                    return Err(Fault::argument(argument, "string too short"));
                };
                out.extend_from_slice(bytes);
                if letter == b's' {
                    out.push(0);
                }
            }
            other => format.control(other)?,
        }
    }
    call.push_bytes(&out)?;
    Ok(1)
}

fn put_integer(out: &mut Vec<u8>, number: f64, size: usize, big_endian: bool) {
    let value = if number < 0.0 {
        numbers::to_i64(number).cast_unsigned()
    } else {
        numbers::to_u64(number)
    };
    put(out, value, size, big_endian);
}

/// Appends the low `size` bytes of `value`, zeros beyond its eight.
fn put(out: &mut Vec<u8>, value: u64, size: usize, big_endian: bool) {
    let byte = |place: usize| value.to_le_bytes().get(place).copied().unwrap_or(0);
    if big_endian {
        out.extend((0..size).rev().map(byte));
    } else {
        out.extend((0..size).map(byte));
    }
}

fn get(bytes: &[u8], big_endian: bool) -> u64 {
    let add = |value: u64, byte: &u8| (value << 8) | u64::from(*byte);
    if big_endian { bytes.iter().fold(0, add) } else { bytes.iter().rev().fold(0, add) }
}

/// The integer in `bytes`; of more than eight the lowest count.
fn get_integer(bytes: &[u8], big_endian: bool, signed: bool) -> f64 {
    let value = get(bytes, big_endian);
    if !signed {
        return value as f64;
    }
    // Where the sign is; of more than eight bytes the processor takes the place modulo 64.
    let mask = u64::MAX.wrapping_shl((8 * bytes.len() as u32).wrapping_sub(1));
    let value = if value & mask == 0 { value } else { value | mask };
    value.cast_signed() as f64
}

fn unpack(call: &mut Call<'_, ()>) -> Outcome {
    let mut format = Format::new(call.bytes(1)?);
    let data = call.bytes(2)?;
    // A negative start is a huge one.
    let start = call.integer_or(3, 1)?.cast_unsigned() as usize;
    if start == 0 {
        return Err(Fault::argument(3, "offset must be 1 or greater"));
    }
    let mut position = start - 1;
    let first = call.top();
    let short = || Fault::argument(2, "data string too short");
    while let Some(Item { letter, mut size, padding }) = format.next(position)? {
        position = position.wrapping_add(padding);
        let bytes = slice(data, position, size).ok_or_else(short)?;
        if !call.reserve(2) {
            return Err(Fault::stack("too many results"));
        }
        match letter {
            b'b' | b'B' | b'h' | b'H' | b'l' | b'L' | b'T' | b'i' | b'I' => {
                let signed = letter.is_ascii_lowercase();
                call.push_number(get_integer(bytes, format.big_endian, signed))?;
            }
            b'x' => {}
            b'f' => {
                let bits = get(bytes, format.big_endian) as u32;
                call.push_number(f64::from(f32::from_bits(bits)))?;
            }
            b'd' => {
                let bits = get(bytes, format.big_endian);
                call.push_number(f64::from_bits(bits))?;
            }
            b'c' => {
                let mut bytes = bytes;
                if size == 0 {
                    if call.top() == first || !call.is_numeric(-1) {
                        return Err(Fault::error("format 'c0' needs a previous size"));
                    }
                    let wanted = numbers::to_u64(call.to_number(-1));
                    size = usize::try_from(wanted).unwrap_or(usize::MAX);
                    call.pop(1);
                    bytes = slice(data, position, size).ok_or_else(short)?;
                }
                call.push_bytes(bytes)?;
            }
            b's' => {
                let rest = data.get(position..).unwrap_or_default();
                let Some(end) = rest.iter().position(|byte| *byte == 0) else {
                    return Err(Fault::error("unfinished string in data"));
                };
                call.push_bytes(&rest[..end])?;
                size = end + 1;
            }
            other => format.control(other)?,
        }
        position = position.wrapping_add(size);
    }
    call.push_number((position.wrapping_add(1)).cast_signed() as f64)?;
    Ok(call.top() - first)
}

fn slice(data: &[u8], position: usize, size: usize) -> Option<&[u8]> {
    data.get(position..position.checked_add(size)?)
}

fn size(call: &mut Call<'_, ()>) -> Outcome {
    let mut format = Format::new(call.bytes(1)?);
    let mut total = 0_usize;
    while let Some(Item { letter, size, padding }) = format.next(total)? {
        match letter {
            b's' => return Err(Fault::argument(1, "option 's' has no fixed size")),
            b'c' if size == 0 => {
                return Err(Fault::argument(1, "option 'c0' has no fixed size"));
            }
            letter if !letter.is_ascii_alphanumeric() => format.control(letter)?,
            _ => {}
        }
        total = total.wrapping_add(padding).wrapping_add(size);
    }
    call.push_number(total.cast_signed() as f64)?;
    Ok(1)
}
