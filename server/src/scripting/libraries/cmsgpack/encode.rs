//! Values to MessagePack.
//!
//! Numbers that are integers of 64 bits take the shortest integer form, others a float of 4 bytes
//! if that loses nothing, else of 8. A table is an array if its keys are the numbers from 1 up to their
//! count, else a map; the empty one is an array. Below [`DEPTH_MAX`] levels tables are written as
//! nil, which ends tables that contain themselves. What has no form is nil.

use super::super::call::{Call, Fault, Kind, Outcome, RESULT_BYTES_MAX};
use super::super::numbers;

/// Levels of tables that are written.
const DEPTH_MAX: usize = 16;

pub(super) fn pack(call: &mut Call<'_, ()>) -> Outcome {
    let count = call.arguments();
    if count == 0 {
        return Err(Fault::argument(0, "MessagePack pack needs input."));
    }
    if !call.reserve(count) {
        return Err(Fault::argument(0, "Too many arguments for MessagePack pack."));
    }
    let mut out = Vec::new();
    for argument in 1..=count {
        call.push_copy(argument)?;
        put_value(call, &mut out, 0)?;
    }
    call.push_bytes(&out)?;
    Ok(1)
}

/// Pops a value and appends it.
fn put_value(call: &mut Call<'_, ()>, out: &mut Vec<u8>, level: usize) -> Result<(), Fault> {
    if out.len() > RESULT_BYTES_MAX {
        return Err(Fault::error("packed value is too large"));
    }
    match call.kind(-1) {
        Kind::String => call.with_bytes(-1, |bytes| put_bytes(out, bytes)),
        Kind::Boolean => out.push(if call.to_boolean(-1) { 0xc3 } else { 0xc2 }),
        Kind::Number => put_number(out, call.to_number(-1)),
        Kind::Table if level < DEPTH_MAX => put_table(call, out, level)?,
        Kind::Table | Kind::Nil | Kind::Null | Kind::Other => out.push(0xc0),
    }
    call.pop(1);
    Ok(())
}

/// Appends the table on top, which stays there.
fn put_table(call: &mut Call<'_, ()>, out: &mut Vec<u8>, level: usize) -> Result<(), Fault> {
    if !call.reserve(4) {
        return Err(Fault::stack("in function table_is_an_array"));
    }
    let table = call.top();
    let (pairs, is_array) = survey(call, table)?;
    if is_array {
        let length = call.length(table);
        put_header(out, length, 0x90, 0xdc);
        for index in 1..=length {
            let Ok(index) = i32::try_from(index) else {
                return Err(Fault::error("packed value is too large"));
            };
            call.push_element(table, index)?;
            put_value(call, out, level + 1)?;
        }
        return Ok(());
    }
    put_header(out, pairs, 0x80, 0xde);
    call.push_nil()?;
    while call.next(table)? {
        call.push_copy(-2)?;
        put_value(call, out, level + 1)?;
        put_value(call, out, level + 1)?;
    }
    Ok(())
}

/// Number of pairs of a table, and whether it is an array.
fn survey(call: &mut Call<'_, ()>, table: i32) -> Result<(usize, bool), Fault> {
    let mut pairs = 0;
    let mut largest = 0;
    let mut is_array = true;
    call.push_nil()?;
    while call.next(table)? {
        call.pop(1);
        pairs += 1;
        if !is_array {
            continue;
        }
        let key = call.to_number(-1);
        let whole = numbers::to_i32(key);
        if call.kind(-1) != Kind::Number || key <= 0.0 || f64::from(whole) != key {
            is_array = false;
        } else {
            largest = largest.max(whole as usize);
        }
    }
    Ok((pairs, is_array && largest == pairs))
}

fn put_number(out: &mut Vec<u8>, number: f64) {
    let whole = numbers::to_i64(number);
    if whole as f64 == number {
        put_integer(out, whole);
        return;
    }
    let short = number as f32;
    if f64::from(short) == number {
        out.push(0xca);
        out.extend_from_slice(&short.to_be_bytes());
    } else {
        out.push(0xcb);
        out.extend_from_slice(&number.to_be_bytes());
    }
}

fn put_integer(out: &mut Vec<u8>, number: i64) {
    let bytes = number.to_be_bytes();
    let (mark, length): (u8, usize) = match number {
        -32..=0x7f => {
            out.push(bytes[7]);
            return;
        }
        0x80..=0xff => (0xcc, 1),
        0x100..=0xffff => (0xcd, 2),
        0x1_0000..=0xffff_ffff => (0xce, 4),
        0x1_0000_0000.. => (0xcf, 8),
        -0x80..-32 => (0xd0, 1),
        -0x8000..-0x80 => (0xd1, 2),
        -0x8000_0000..-0x8000 => (0xd2, 4),
        ..-0x8000_0000 => (0xd3, 8),
    };
    out.push(mark);
    out.extend_from_slice(&bytes[8 - length..]);
}

fn put_bytes(out: &mut Vec<u8>, bytes: &[u8]) {
    let length = bytes.len();
    match length {
        0..32 => out.push(0xa0 | length as u8),
        32..=0xff => out.extend_from_slice(&[0xd9, length as u8]),
        0x100..=0xffff => {
            out.push(0xda);
            out.extend_from_slice(&(length as u16).to_be_bytes());
        }
        _ => {
            out.push(0xdb);
            out.extend_from_slice(&(length as u32).to_be_bytes());
        }
    }
    out.extend_from_slice(bytes);
}

/// The header of an array or map: `short` holds up to 15, `long` is the 16-bit form, followed by
/// the 32-bit one.
fn put_header(out: &mut Vec<u8>, length: usize, short: u8, long: u8) {
    match length {
        0..16 => out.push(short | length as u8),
        16..=0xffff => {
            out.push(long);
            out.extend_from_slice(&(length as u16).to_be_bytes());
        }
        _ => {
            out.push(long + 1);
            out.extend_from_slice(&(length as u32).to_be_bytes());
        }
    }
}
