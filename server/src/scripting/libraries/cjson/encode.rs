//! Values to JSON.
//!
//! A table whose keys are whole numbers from 1 on is an array up to the largest of them, with null
//! where it has none, unless it is too sparse; any other one is an object, the empty one too.
//! Tables that are open lie on the interpreter's stack, so nothing here recurses.

use super::super::call::{Call, Fault, Kind, Outcome, RESULT_BYTES_MAX};
use super::super::numbers;
use super::{InvalidNumbers, Settings};

type Encode<'call> = Call<'call, Settings>;

/// A table that is being written; it is on the stack, an object's current key above it.
enum Open {
    Array { table: i32, index: i32, length: i32 },
    Object { table: i32, first: bool },
}

pub(super) fn encode(call: &mut Encode<'_>) -> Outcome {
    if call.arguments() != 1 {
        return Err(Fault::argument(1, "expected 1 argument"));
    }
    let mut out = call.shared.take_buffer();
    let written = put_value(call, &mut out);
    let pushed = written.and_then(|()| call.push_bytes(&out));
    call.shared.give_buffer(out);
    pushed.map(|()| 1)
}

/// Appends the value on top and pops it, unless it is the argument.
fn put_value(call: &mut Encode<'_>, out: &mut Vec<u8>) -> Result<(), Fault> {
    let mut open: Vec<Open> = Vec::new();
    loop {
        // The value on top: written and popped, or a table that is opened and stays.
        if call.kind(-1) == Kind::Table {
            open.push(begin_table(call, out, open.len())?);
        } else {
            put_scalar(call, out)?;
            call.pop(1);
        }
        if out.len() > RESULT_BYTES_MAX {
            return Err(Fault::error("Cannot serialise, result is too large"));
        }
        // The next value of the innermost table that has one.
        loop {
            let Some(table) = open.last_mut() else {
                return Ok(());
            };
            if push_next(call, out, table)? {
                break;
            }
            call.pop(1);
            open.pop();
        }
    }
}

fn begin_table(call: &mut Encode<'_>, out: &mut Vec<u8>, level: usize) -> Result<Open, Fault> {
    let depth = level + 1;
    if depth > call.shared.encode_depth_max as usize || !call.reserve(3) {
        return Err(Fault::error(format!("Cannot serialise, excessive nesting ({depth})")));
    }
    let table = call.top();
    match array_length(call, table)? {
        Some(length @ 1..) => {
            out.push(b'[');
            Ok(Open::Array { table, index: 0, length })
        }
        _ => {
            out.push(b'{');
            call.push_nil()?;
            Ok(Open::Object { table, first: true })
        }
    }
}

/// Pushes the next value of a table and appends what stands before it; false after having ended it.
fn push_next(call: &mut Encode<'_>, out: &mut Vec<u8>, open: &mut Open) -> Result<bool, Fault> {
    match open {
        Open::Array { table, index, length } => {
            if index == length {
                out.push(b']');
                return Ok(false);
            }
            if *index > 0 {
                out.push(b',');
            }
            *index += 1;
            call.push_element(*table, *index)?;
        }
        Open::Object { table, first } => {
            if !call.next(*table)? {
                out.push(b'}');
                return Ok(false);
            }
            if !std::mem::take(first) {
                out.push(b',');
            }
            match call.kind(-2) {
                Kind::Number => {
                    out.push(b'"');
                    put_number(call, out, -2)?;
                    out.push(b'"');
                }
                Kind::String => call.with_bytes(-2, |bytes| put_string(out, bytes)),
                _ => {
                    return Err(refusal(call, -2, "table key must be a number or string"));
                }
            }
            out.push(b':');
        }
    }
    Ok(true)
}

fn refusal(call: &Encode<'_>, position: i32, reason: &str) -> Fault {
    Fault::error(format!("Cannot serialise {}: {reason}", call.type_name(position)))
}

fn put_scalar(call: &Encode<'_>, out: &mut Vec<u8>) -> Result<(), Fault> {
    match call.kind(-1) {
        Kind::String => call.with_bytes(-1, |bytes| put_string(out, bytes)),
        Kind::Number => put_number(call, out, -1)?,
        Kind::Boolean if call.to_boolean(-1) => out.extend_from_slice(b"true"),
        Kind::Boolean => out.extend_from_slice(b"false"),
        Kind::Nil | Kind::Null => out.extend_from_slice(b"null"),
        Kind::Table | Kind::Other => return Err(refusal(call, -1, "type not supported")),
    }
    Ok(())
}

/// The largest key of a table that is an array, `None` if it is to be an object.
fn array_length(call: &mut Encode<'_>, table: i32) -> Result<Option<i32>, Fault> {
    let mut largest = 0_i32;
    let mut items = 0_i64;
    call.push_nil()?;
    while call.next(table)? {
        let key = call.to_number(-2);
        let whole = call.kind(-2) == Kind::Number && key >= 1.0 && key.floor() == key;
        if !whole {
            call.pop(2);
            return Ok(None);
        }
        call.pop(1);
        if key > f64::from(largest) {
            largest = numbers::to_i32(key);
        }
        items += 1;
    }
    let settings = &call.shared;
    let longest = items.saturating_mul(i64::from(settings.sparse_ratio));
    if settings.sparse_ratio > 0 && i64::from(largest) > longest && largest > settings.sparse_safe {
        if !settings.sparse_convert {
            return Err(refusal(call, table, "excessively sparse array"));
        }
        return Ok(None);
    }
    Ok(Some(largest))
}

fn put_number(call: &Encode<'_>, out: &mut Vec<u8>, position: i32) -> Result<(), Fault> {
    let number = call.to_number(position);
    if !number.is_finite() {
        match call.shared.encode_invalid {
            InvalidNumbers::Off => {
                return Err(refusal(call, position, "must not be NaN or Inf"));
            }
            InvalidNumbers::On if number.is_nan() => {
                out.extend_from_slice(b"nan");
                return Ok(());
            }
            InvalidNumbers::On => {}
            InvalidNumbers::Null => {
                out.extend_from_slice(b"null");
                return Ok(());
            }
        }
    }
    numbers::append_general(out, number, call.shared.number_precision as usize);
    Ok(())
}

/// Appends a string in quotes; bytes above 127 are left as they are.
fn put_string(out: &mut Vec<u8>, bytes: &[u8]) {
    out.reserve(bytes.len() + 2);
    out.push(b'"');
    for byte in bytes {
        let short = match byte {
            b'"' | b'\\' | b'/' => *byte,
            0x08 => b'b',
            b'\t' => b't',
            b'\n' => b'n',
            0x0c => b'f',
            b'\r' => b'r',
            0..=0x1f | 0x7f => {
                const DIGITS: &[u8; 16] = b"0123456789abcdef";
                let high = DIGITS[usize::from(byte >> 4)];
                let low = DIGITS[usize::from(byte & 15)];
                out.extend_from_slice(&[b'\\', b'u', b'0', b'0', high, low]);
                continue;
            }
            _ => {
                out.push(*byte);
                continue;
            }
        };
        out.extend_from_slice(&[b'\\', short]);
    }
    out.push(b'"');
}
