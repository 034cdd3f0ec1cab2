//! The sparse form: registers as runs.
//!
//! ```text
//! 00nnnnnn            n + 1 registers of 0
//! 01nnnnnn nnnnnnnn   n + 1 registers of 0
//! 1vvvvvnn            n + 1 registers of v + 1
//! ```
//! Which runs a value is cut into is part of the format, since values are compared as strings:
//! an edit splits one run and then joins what can be joined near it, as Redis does.

use super::{Corrupt, HEADER_BYTES, REGISTERS};

/// Highest register value of a run.
pub const VALUE_MAX: u8 = 32;
const LEN_MAX: usize = 4;
const SHORT_ZEROS_MAX: usize = 64;
const LONG_ZEROS_MAX: usize = REGISTERS;
/// Runs looked at for joining after an edit.
const JOINED_RUNS: usize = 5;

/// Registers in a row of the same value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Run {
    /// 0 to [`VALUE_MAX`].
    pub value: u8,
    /// How many registers, at least one.
    pub len: usize,
    /// Bytes of the run: two for many zeros, or else one.
    pub bytes: usize,
}

impl Run {
    fn at(bytes: &[u8], at: usize) -> Option<Run> {
        let byte = *bytes.get(at)?;
        Some(match byte >> 6 {
            0 => Run { value: 0, len: usize::from(byte & 63) + 1, bytes: 1 },
            1 => {
                let low = bytes.get(at + 1).copied().unwrap_or(0);
                let len = usize::from(byte & 63) << 8 | usize::from(low);
                Run { value: 0, len: len + 1, bytes: 2 }
            }
            _ => Run { value: (byte >> 2 & 31) + 1, len: usize::from(byte & 3) + 1, bytes: 1 },
        })
    }
}

/// The runs of a value.
pub fn runs(bytes: &[u8]) -> impl Iterator<Item = Run> {
    let mut at = HEADER_BYTES;
    std::iter::from_fn(move || {
        let run = Run::at(bytes, at)?;
        at += run.bytes;
        Some(run)
    })
}

/// Appends a run of `len` zeros, if any.
pub(super) fn push_zeros(to: &mut Vec<u8>, len: usize) {
    debug_assert!(len <= LONG_ZEROS_MAX);
    match len {
        0 => {}
        1..=SHORT_ZEROS_MAX => to.push(len as u8 - 1),
        _ => to.extend_from_slice(&[0x40 | ((len - 1) >> 8) as u8, (len - 1) as u8]),
    }
}

fn value_run(value: u8, len: usize) -> u8 {
    0x80 | (value - 1) << 2 | (len as u8 - 1)
}

fn push_run(to: &mut Vec<u8>, value: u8, len: usize) {
    if value == 0 {
        push_zeros(to, len);
    } else if len > 0 {
        to.push(value_run(value, len));
    }
}

/// What [`raise`] did.
pub(super) enum Outcome {
    /// The register is not lower.
    NotLower,
    /// It is raised now.
    Raised,
    /// Nothing: the value would become longer than it may.
    TooLong,
}

/// Raises a register to `value`, 1 to [`VALUE_MAX`].
pub(super) fn raise(
    bytes: &mut Vec<u8>,
    index: usize,
    value: u8,
    bytes_max: usize,
) -> Result<Outcome, Corrupt> {
    let (mut at, mut first, mut before) = (HEADER_BYTES, 0, HEADER_BYTES);
    let run = loop {
        let run = Run::at(bytes, at).ok_or(Corrupt)?;
        if index < first + run.len {
            break run;
        }
        before = at;
        at += run.bytes;
        first += run.len;
    };
    if at + run.bytes > bytes.len() {
        return Err(Corrupt);
    }
    if run.value >= value {
        return Ok(Outcome::NotLower);
    }
    if run.len == 1 && run.bytes == 1 {
        bytes[at] = value_run(value, 1);
    } else {
        let mut parts = Vec::with_capacity(5);
        push_run(&mut parts, run.value, index - first);
        parts.push(value_run(value, 1));
        push_run(&mut parts, run.value, first + run.len - 1 - index);
        if parts.len() > run.bytes && bytes.len() + parts.len() - run.bytes > bytes_max {
            return Ok(Outcome::TooLong);
        }
        bytes.splice(at..at + run.bytes, parts);
    }
    join(bytes, before);
    Ok(Outcome::Raised)
}

/// Joins neighbours of the same value among a few runs from `at` on.
fn join(bytes: &mut Vec<u8>, mut at: usize) {
    for _ in 0..JOINED_RUNS {
        let Some(run) = Run::at(bytes, at) else { return };
        let next = Run::at(bytes, at + run.bytes);
        match next {
            Some(next)
                if run.value > 0 && next.value == run.value && run.len + next.len <= LEN_MAX =>
            {
                bytes[at] = value_run(run.value, run.len + next.len);
                bytes.remove(at + 1);
            }
            _ => at += run.bytes,
        }
    }
}
