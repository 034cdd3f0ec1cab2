//! Effects as the RESP text that stock Redis reads: `*3\r\n$3\r\nSET\r\n...`.
//!
//! Pure; room is reserved once per effect and then filled without further checks.

use super::buffer::{AlignedBuf, Spare};
use crate::effect::{Deadline, Effect};

/// `MULTI`, as a command.
pub(super) const MULTI: &[u8] = b"*1\r\n$5\r\nMULTI\r\n";
/// `EXEC`, as a command.
pub(super) const EXEC: &[u8] = b"*1\r\n$4\r\nEXEC\r\n";

/// Most bytes a header `$<n>\r\n` or `*<n>\r\n` takes.
const COUNT_BYTES_MAX: usize = 1 + 20 + 2;
/// Most bytes an integer takes as a bulk string.
const BULK_INT_BYTES_MAX: usize = COUNT_BYTES_MAX + 20 + 2;
/// Longest fixed text in front of the arguments of an effect, with what may follow them.
const FIXED_BYTES_MAX: usize = 64;

/// Upper bound of what a command of `args` arguments with `bytes` bytes together takes in the
/// log, framing, SELECT, MULTI and EXEC included, bytes.
pub fn logged_bytes_max(args: usize, bytes: usize) -> usize {
    bytes + (args + 1) * (COUNT_BYTES_MAX + 2) + 2 * FIXED_BYTES_MAX
}

const fn bulk_bytes_max(len: usize) -> usize {
    COUNT_BYTES_MAX + len + 2
}

/// # Safety
/// Needs `COUNT_BYTES_MAX` bytes of room.
#[inline(always)]
unsafe fn put_count(to: &mut Spare<'_>, kind: u8, n: usize) {
    // SAFETY: 4 or 5 bytes, or 1 + 20 + 2 at most: within the caller's promise.
    unsafe {
        if n < 10 {
            to.put(&[kind, b'0' + n as u8, b'\r', b'\n']);
        } else if n < 100 {
            to.put(&[kind, b'0' + (n / 10) as u8, b'0' + (n % 10) as u8, b'\r', b'\n']);
        } else {
            let mut digits = itoa::Buffer::new();
            to.put(&[kind]);
            to.put(digits.format(n).as_bytes());
            to.put(b"\r\n");
        }
    }
}

/// # Safety
/// Needs `bulk_bytes_max(bytes.len())` bytes of room.
#[inline(always)]
unsafe fn put_bulk(to: &mut Spare<'_>, bytes: &[u8]) {
    // SAFETY: a count, the bytes, two more: what the caller promised.
    unsafe {
        put_count(to, b'$', bytes.len());
        to.put(bytes);
        to.put(b"\r\n");
    }
}

/// # Safety
/// Needs `BULK_INT_BYTES_MAX` bytes of room.
#[inline]
unsafe fn put_bulk_int(to: &mut Spare<'_>, n: i64) {
    let mut digits = itoa::Buffer::new();
    // SAFETY: an i64 has at most 20 characters.
    unsafe { put_bulk(to, digits.format(n).as_bytes()) };
}

/// Appends `SELECT db`.
pub(super) fn select(buf: &mut AlignedBuf, db: u16) {
    let mut to = buf.spare(FIXED_BYTES_MAX + BULK_INT_BYTES_MAX);
    // SAFETY: the fixed text is shorter than its bound, the number within its own.
    unsafe {
        to.put(b"*2\r\n$6\r\nSELECT\r\n");
        put_bulk_int(&mut to, i64::from(db));
    }
    to.finish();
}

/// Appends an effect.
#[inline]
pub(super) fn effect(buf: &mut AlignedBuf, effect: &Effect<'_>) {
    match *effect {
        Effect::Set { key, value, deadline } => set(buf, key, value, deadline),
        Effect::Del { key } => del(buf, key),
        Effect::ExpireAt { key, at_ms } => {
            let mut to =
                buf.spare(FIXED_BYTES_MAX + bulk_bytes_max(key.len()) + BULK_INT_BYTES_MAX);
            // SAFETY: each part within its bound.
            unsafe {
                to.put(b"*3\r\n$9\r\nPEXPIREAT\r\n");
                put_bulk(&mut to, key);
                put_bulk_int(&mut to, at_ms);
            }
            to.finish();
        }
        Effect::Persist { key } => {
            let mut to = buf.spare(FIXED_BYTES_MAX + bulk_bytes_max(key.len()));
            // SAFETY: each part within its bound.
            unsafe {
                to.put(b"*2\r\n$7\r\nPERSIST\r\n");
                put_bulk(&mut to, key);
            }
            to.finish();
        }
        Effect::Verbatim { args } => command(buf, args.len(), args.iter_from(0)),
        Effect::Parts { parts } => command(buf, parts.len(), parts.iter().copied()),
    }
}

#[inline]
fn set(buf: &mut AlignedBuf, key: &[u8], value: &[u8], deadline: Deadline) {
    let room = FIXED_BYTES_MAX
        + bulk_bytes_max(key.len())
        + bulk_bytes_max(value.len())
        + BULK_INT_BYTES_MAX;
    let mut to = buf.spare(room);
    // SAFETY: key, value and number within their bounds; the fixed texts of a branch are together
    // shorter than FIXED_BYTES_MAX.
    unsafe {
        match deadline {
            Deadline::None => to.put(b"*3\r\n$3\r\nSET\r\n"),
            Deadline::Keep => to.put(b"*4\r\n$3\r\nSET\r\n"),
            Deadline::At(_) => to.put(b"*5\r\n$3\r\nSET\r\n"),
        }
        put_bulk(&mut to, key);
        put_bulk(&mut to, value);
        match deadline {
            Deadline::None => {}
            Deadline::Keep => to.put(b"$7\r\nKEEPTTL\r\n"),
            Deadline::At(at_ms) => {
                to.put(b"$4\r\nPXAT\r\n");
                put_bulk_int(&mut to, at_ms);
            }
        }
    }
    to.finish();
}

/// Appends `DEL key`.
pub(super) fn del(buf: &mut AlignedBuf, key: &[u8]) {
    let mut to = buf.spare(FIXED_BYTES_MAX + bulk_bytes_max(key.len()));
    // SAFETY: each part within its bound.
    unsafe {
        to.put(b"*2\r\n$3\r\nDEL\r\n");
        put_bulk(&mut to, key);
    }
    to.finish();
}

fn command<'a>(buf: &mut AlignedBuf, count: usize, parts: impl Iterator<Item = &'a [u8]>) {
    let mut to = buf.spare(COUNT_BYTES_MAX);
    // SAFETY: one count.
    unsafe { put_count(&mut to, b'*', count) };
    to.finish();
    for part in parts {
        let mut to = buf.spare(bulk_bytes_max(part.len()));
        // SAFETY: one bulk string of this length.
        unsafe { put_bulk(&mut to, part) };
        to.finish();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::command::OwnedArgs;

    fn text(e: Effect<'_>) -> String {
        let mut buf = AlignedBuf::new();
        effect(&mut buf, &e);
        String::from_utf8(buf.as_slice().to_vec()).unwrap()
    }

    #[test]
    fn effects_are_the_commands_stock_redis_reads() {
        let (key, value) = (b"k".as_slice(), b"va\r\n".as_slice());
        for (e, expected) in [
            (
                Effect::Set { key, value, deadline: Deadline::None },
                "*3\r\n$3\r\nSET\r\n$1\r\nk\r\n$4\r\nva\r\n\r\n",
            ),
            (
                Effect::Set { key, value, deadline: Deadline::Keep },
                "*4\r\n$3\r\nSET\r\n$1\r\nk\r\n$4\r\nva\r\n\r\n$7\r\nKEEPTTL\r\n",
            ),
            (
                Effect::Set { key, value, deadline: Deadline::At(-5) },
                "*5\r\n$3\r\nSET\r\n$1\r\nk\r\n$4\r\nva\r\n\r\n$4\r\nPXAT\r\n$2\r\n-5\r\n",
            ),
            (Effect::Del { key }, "*2\r\n$3\r\nDEL\r\n$1\r\nk\r\n"),
            (
                Effect::ExpireAt { key, at_ms: i64::MIN },
                "*3\r\n$9\r\nPEXPIREAT\r\n$1\r\nk\r\n$20\r\n-9223372036854775808\r\n",
            ),
            (Effect::Persist { key }, "*2\r\n$7\r\nPERSIST\r\n$1\r\nk\r\n"),
            (
                Effect::Parts { parts: &[b"INCRBY", key, b"12"] },
                "*3\r\n$6\r\nINCRBY\r\n$1\r\nk\r\n$2\r\n12\r\n",
            ),
        ] {
            assert_eq!(text(e), expected);
        }
        let args = OwnedArgs::from_slices(&["APPEND", "k", ""]);
        assert_eq!(
            text(Effect::Verbatim { args: args.as_args() }),
            "*3\r\n$6\r\nAPPEND\r\n$1\r\nk\r\n$0\r\n\r\n"
        );
    }

    #[test]
    fn lengths_of_any_number_of_digits_are_exact() {
        for len in [0, 9, 10, 99, 100, 999, 1000, 123_456] {
            let value = vec![b'v'; len];
            let logged = text(Effect::Set { key: b"k", value: &value, deadline: Deadline::None });
            assert!(logged.contains(&format!("\r\n${len}\r\n{}\r\n", "v".repeat(len))), "{len}");
            assert!(logged.len() <= logged_bytes_max(3, len + 4));
        }
    }
}
