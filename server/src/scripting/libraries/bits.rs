//! `bit`: operations on 32 bits.
//!
//! Arguments are numbers; their fraction is rounded and whatever lies above 32 bits falls away.
//! Results are signed.

use super::call::{self, Call, Constant, Fault, Library, Outcome};

const LIBRARY: Library<()> = Library {
    routines: &[
        (c"tobit", |call| unary(call, |bits| bits)),
        (c"bnot", |call| unary(call, |bits| !bits)),
        (c"bswap", |call| unary(call, u32::swap_bytes)),
        (c"band", |call| fold(call, |left, right| left & right)),
        (c"bor", |call| fold(call, |left, right| left | right)),
        (c"bxor", |call| fold(call, |left, right| left ^ right)),
        (c"lshift", |call| shift(call, |bits, count| bits << count)),
        (c"rshift", |call| shift(call, |bits, count| bits >> count)),
        (c"arshift", |call| {
            shift(call, |bits, count| (bits.cast_signed() >> count).cast_unsigned())
        }),
        (c"rol", |call| shift(call, u32::rotate_left)),
        (c"ror", |call| shift(call, u32::rotate_right)),
        (c"tohex", to_hex),
    ],
    constants: &[] as &[(_, Constant)],
};

/// Gives `lua` the global `bit`.
///
/// # Errors
/// Those of the interpreter, when it has no memory left.
pub fn install(lua: &mlua::Lua) -> mlua::Result<()> {
    call::install(lua, c"bit", &LIBRARY, ())
}

/// The bits of an argument.
fn bits(call: &Call<'_, ()>, argument: i32) -> Result<u32, Fault> {
    // Adding 1.5 * 2^52 rounds to an integer and leaves its low bits at the end of the mantissa.
    const SHIFTER: f64 = 6_755_399_441_055_744.0;
    Ok((call.number(argument)? + SHIFTER).to_bits() as u32)
}

fn answer(call: &mut Call<'_, ()>, bits: u32) -> Outcome {
    call.push_number(f64::from(bits.cast_signed()))?;
    Ok(1)
}

fn unary(call: &mut Call<'_, ()>, operation: fn(u32) -> u32) -> Outcome {
    let bits = bits(call, 1)?;
    answer(call, operation(bits))
}

fn fold(call: &mut Call<'_, ()>, operation: fn(u32, u32) -> u32) -> Outcome {
    let mut result = bits(call, 1)?;
    // From the last to the second: of several bad arguments the last is the one complained about.
    for argument in (2..=call.arguments()).rev() {
        result = operation(result, bits(call, argument)?);
    }
    answer(call, result)
}

fn shift(call: &mut Call<'_, ()>, operation: fn(u32, u32) -> u32) -> Outcome {
    let value = bits(call, 1)?;
    let count = bits(call, 2)? & 31;
    answer(call, operation(value, count))
}

fn to_hex(call: &mut Call<'_, ()>) -> Outcome {
    let value = bits(call, 1)?;
    let wanted = if call.arguments() < 2 { 8 } else { bits(call, 2)?.cast_signed() };
    let digits = wanted.unsigned_abs().min(8) as usize;
    let text = if wanted < 0 { format!("{value:08X}") } else { format!("{value:08x}") };
    call.push_bytes(&text.as_bytes()[8 - digits..])?;
    Ok(1)
}
