//! MessagePack to values.
//!
//! Containers that are open lie on the interpreter's stack, so how deep they may be nested is its
//! limit and not this thread's; every value takes at least one byte of input, so a length that
//! lies costs nothing.

use super::super::call::{Call, Fault, Outcome};

pub(super) fn unpack(call: &mut Call<'_, ()>) -> Outcome {
    read_values(call, None, 0)
}

pub(super) fn unpack_one(call: &mut Call<'_, ()>) -> Outcome {
    let offset = call.integer_or(2, 0)?;
    read_values(call, Some(1), offset)
}

pub(super) fn unpack_limit(call: &mut Call<'_, ()>) -> Outcome {
    let limit = call.integer(2)?;
    let offset = call.integer_or(3, 0)?;
    // Nothing from the start on means everything.
    let limit = (limit != 0 || offset != 0).then_some(limit);
    read_values(call, limit, offset)
}

/// Reads `limit` values from `offset` on, all if there is no limit. With one, the first result is the
/// offset behind the last value, -1 at the end.
fn read_values(call: &mut Call<'_, ()>, limit: Option<i64>, offset: i64) -> Outcome {
    let input = call.bytes(1)?;
    let length = input.len();
    if offset < 0 || limit.is_some_and(|limit| limit < 0) {
        // Texts show 32 bits, and the length where they say limit.
        return Err(Fault::error(format!(
            "Invalid request to unpack with offset of {} and limit of {}.",
            offset as i32, length as i32
        )));
    }
    let Some(rest) = input.get(offset as usize..) else {
        return Err(Fault::error(format!(
            "Start offset {} greater than input length {}.",
            offset as i32, length as i32
        )));
    };
    let first = call.top();
    let mut reader = Reader { rest };
    let mut count = 0_i32;
    while !reader.rest.is_empty() && limit.is_none_or(|limit| i64::from(count) < limit) {
        read_value(call, &mut reader)?;
        count += 1;
    }
    if limit.is_some() {
        if !call.reserve(1) {
            return Err(Fault::stack("in function mp_unpack_full"));
        }
        let position =
            if reader.rest.is_empty() { -1.0 } else { (length - reader.rest.len()) as f64 };
        call.push_number(position)?;
        call.insert(first + 1);
        count += 1;
    }
    Ok(count)
}

/// What has not been read.
struct Reader<'input> {
    rest: &'input [u8],
}

impl<'input> Reader<'input> {
    fn take(&mut self, count: usize) -> Result<&'input [u8], Fault> {
        let Some((taken, rest)) = self.rest.split_at_checked(count) else {
            return Err(Fault::error("Missing bytes in input."));
        };
        self.rest = rest;
        Ok(taken)
    }

    /// A big-endian number of `count` bytes.
    fn unsigned(&mut self, count: usize) -> Result<u64, Fault> {
        let bytes = self.take(count)?;
        Ok(bytes.iter().fold(0, |value, byte| (value << 8) | u64::from(*byte)))
    }

    fn signed(&mut self, count: u32) -> Result<i64, Fault> {
        let unused = 64 - 8 * count;
        let value = self.unsigned(count as usize)?;
        Ok((value << unused).cast_signed() >> unused)
    }
}

/// A container that is not full yet. Its table is on the stack, below the key of the value that is
/// being read.
enum Open {
    Array {
        table: i32,
        index: u64,
        length: u64,
    },
    /// `left` counts keys and values.
    Map {
        table: i32,
        left: u64,
    },
}

/// What a mark begins.
enum Begun {
    /// The value is on the stack.
    Whole,
    Array(u64),
    Map(u64),
}

/// Reads one value and pushes it.
fn read_value(call: &mut Call<'_, ()>, reader: &mut Reader<'_>) -> Result<(), Fault> {
    let mut open: Vec<Open> = Vec::new();
    loop {
        match read_mark(call, reader)? {
            Begun::Whole => {}
            Begun::Array(length) => {
                call.push_table()?;
                let table = call.top();
                if !call.reserve(1) {
                    return Err(Fault::stack("in function mp_decode_to_lua_array"));
                }
                if length > 0 {
                    open.push(Open::Array { table, index: 1, length });
                    call.push_number(1.0)?;
                    continue;
                }
            }
            Begun::Map(pairs) => {
                call.push_table()?;
                let table = call.top();
                if pairs > 0 {
                    open.push(Open::Map { table, left: 2 * pairs });
                    continue;
                }
            }
        }
        // A value is on top: it belongs to the innermost container, which may be full by it.
        loop {
            match open.last_mut() {
                None => return Ok(()),
                Some(Open::Array { table, index, length }) => {
                    call.set_pair(*table)?;
                    if index < length {
                        *index += 1;
                        call.push_number(*index as f64)?;
                        break;
                    }
                }
                Some(Open::Map { table, left }) => {
                    *left -= 1;
                    if *left % 2 == 1 {
                        break;
                    }
                    call.set_pair(*table)?;
                    if *left > 0 {
                        break;
                    }
                }
            }
            open.pop();
        }
    }
}

/// Reads a mark with what belongs to it and pushes the value, unless it is a container.
fn read_mark(call: &mut Call<'_, ()>, reader: &mut Reader<'_>) -> Result<Begun, Fault> {
    let mark = reader.take(1)?.first().copied().unwrap_or_default();
    if !call.reserve(1) {
        return Err(Fault::stack(
            "too many return values at once; use unpack_one or unpack_limit instead.",
        ));
    }
    match mark {
        0x00..=0x7f => call.push_number(f64::from(mark))?,
        0xe0..=0xff => call.push_number(f64::from(mark.cast_signed()))?,
        0x80..=0x8f => return Ok(Begun::Map(u64::from(mark & 15))),
        0x90..=0x9f => return Ok(Begun::Array(u64::from(mark & 15))),
        0xa0..=0xbf => call.push_bytes(reader.take(usize::from(mark & 31))?)?,
        0xc0 => call.push_nil()?,
        0xc2 => call.push_boolean(false)?,
        0xc3 => call.push_boolean(true)?,
        0xca => {
            let bits = reader.unsigned(4)? as u32;
            call.push_number(f64::from(f32::from_bits(bits)))?;
        }
        0xcb => {
            let bits = reader.unsigned(8)?;
            call.push_number(f64::from_bits(bits))?;
        }
        0xcc..=0xcf => {
            // As it always was here: eight bytes without sign are read with one.
            let number = reader.unsigned(1 << (mark - 0xcc))?;
            call.push_number(number.cast_signed() as f64)?;
        }
        0xd0..=0xd3 => {
            let number = reader.signed(1 << (mark - 0xd0))?;
            call.push_number(number as f64)?;
        }
        0xd9..=0xdb => {
            let length = reader.unsigned(1 << (mark - 0xd9))?;
            call.push_bytes(reader.take(length as usize)?)?;
        }
        0xdc | 0xdd => return Ok(Begun::Array(reader.unsigned(2 << (mark - 0xdc))?)),
        0xde | 0xdf => return Ok(Begun::Map(reader.unsigned(2 << (mark - 0xde))?)),
        0xc1 | 0xc4..=0xc9 | 0xd4..=0xd8 => {
            return Err(Fault::error("Bad data format in input."));
        }
    }
    Ok(Begun::Whole)
}
