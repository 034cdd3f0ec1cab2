//! Effects as the log's bytes: plain RESP commands that stock Redis executes.
//!
//! Owns: the canonical command of every effect. Invariant: the bytes depend on the effect alone,
//! so replaying them gives the state that the live command left. Does not know: batches,
//! commits, which database is selected.

use super::{Deadline, Effect};

/// Room that the frame of one effect takes beyond its key, value and arguments, bytes.
/// LIMIT: `*5`, `SET`, `PXAT` and three lengths of at most 20 digits are 112 bytes.
const FRAME_BYTES_MAX: usize = 128;

fn bulk(out: &mut Vec<u8>, bytes: &[u8]) {
    let mut digits = itoa::Buffer::new();
    out.push(b'$');
    out.extend_from_slice(digits.format(bytes.len()).as_bytes());
    out.extend_from_slice(b"\r\n");
    out.extend_from_slice(bytes);
    out.extend_from_slice(b"\r\n");
}

fn bulk_int(out: &mut Vec<u8>, n: i64) {
    let mut digits = itoa::Buffer::new();
    bulk(out, digits.format(n).as_bytes());
}

fn header(out: &mut Vec<u8>, argc: usize) {
    let mut digits = itoa::Buffer::new();
    out.push(b'*');
    out.extend_from_slice(digits.format(argc).as_bytes());
    out.extend_from_slice(b"\r\n");
}

impl<'a> Effect<'a> {
    /// Appends the effect as one RESP command.
    #[inline]
    pub fn encode(&self, out: &mut Vec<u8>) {
        match *self {
            Effect::Set { key, value, deadline } => {
                out.reserve(key.len() + value.len() + FRAME_BYTES_MAX);
                out.extend_from_slice(match deadline {
                    Deadline::None => b"*3\r\n$3\r\nSET\r\n".as_slice(),
                    Deadline::Keep => b"*4\r\n$3\r\nSET\r\n",
                    Deadline::At(_) => b"*5\r\n$3\r\nSET\r\n",
                });
                bulk(out, key);
                bulk(out, value);
                match deadline {
                    Deadline::None => {}
                    Deadline::Keep => out.extend_from_slice(b"$7\r\nKEEPTTL\r\n"),
                    Deadline::At(ms) => {
                        out.extend_from_slice(b"$4\r\nPXAT\r\n");
                        bulk_int(out, ms);
                    }
                }
            }
            Effect::Del { key } => {
                out.reserve(key.len() + FRAME_BYTES_MAX);
                out.extend_from_slice(b"*2\r\n$3\r\nDEL\r\n");
                bulk(out, key);
            }
            Effect::ExpireAt { key, at_ms } => {
                out.reserve(key.len() + FRAME_BYTES_MAX);
                out.extend_from_slice(b"*3\r\n$9\r\nPEXPIREAT\r\n");
                bulk(out, key);
                bulk_int(out, at_ms);
            }
            Effect::Persist { key } => {
                out.reserve(key.len() + FRAME_BYTES_MAX);
                out.extend_from_slice(b"*2\r\n$7\r\nPERSIST\r\n");
                bulk(out, key);
            }
            Effect::Verbatim { args } => {
                header(out, args.len());
                args.iter_from(0).for_each(|arg| bulk(out, arg));
            }
            Effect::Parts { parts } => {
                header(out, parts.len());
                parts.iter().for_each(|part| bulk(out, part));
            }
        }
    }

    /// The one key the effect names: where a verbatim command or one in parts has it, at
    /// position 1.
    pub fn key(&self) -> &'a [u8] {
        match *self {
            Effect::Set { key, .. }
            | Effect::Del { key }
            | Effect::ExpireAt { key, .. }
            | Effect::Persist { key } => key,
            Effect::Verbatim { args } => args.get(1),
            Effect::Parts { parts } => parts[1],
        }
    }
}

/// Appends `SELECT db`, which the commands behind it in a file refer to.
pub fn select(db: u16, out: &mut Vec<u8>) {
    out.extend_from_slice(b"*2\r\n$6\r\nSELECT\r\n");
    bulk_int(out, i64::from(db));
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::command::OwnedArgs;

    fn text(effect: Effect<'_>) -> String {
        let mut out = Vec::new();
        effect.encode(&mut out);
        String::from_utf8(out).unwrap().replace("\r\n", " ")
    }

    #[test]
    fn effects_are_the_commands_that_stock_redis_executes() {
        let (key, value) = (b"k".as_slice(), b"vv".as_slice());
        for (deadline, expected) in [
            (Deadline::None, "*3 $3 SET $1 k $2 vv "),
            (Deadline::Keep, "*4 $3 SET $1 k $2 vv $7 KEEPTTL "),
            (Deadline::At(-12), "*5 $3 SET $1 k $2 vv $4 PXAT $3 -12 "),
        ] {
            assert_eq!(text(Effect::Set { key, value, deadline }), expected);
        }
        assert_eq!(text(Effect::Del { key }), "*2 $3 DEL $1 k ");
        assert_eq!(text(Effect::ExpireAt { key, at_ms: 77 }), "*3 $9 PEXPIREAT $1 k $2 77 ");
        assert_eq!(text(Effect::Persist { key }), "*2 $7 PERSIST $1 k ");
        let args = OwnedArgs::from_slices(&["append", "k", ""]);
        let verbatim = Effect::Verbatim { args: args.as_args() };
        assert_eq!(text(verbatim), "*3 $6 append $1 k $0  ");
        let parts = Effect::Parts { parts: &[b"INCRBY", b"k", b"5"] };
        assert_eq!(text(parts), "*3 $6 INCRBY $1 k $1 5 ");
        for effect in [verbatim, parts, Effect::Del { key }, Effect::Persist { key }] {
            assert_eq!(effect.key(), b"k");
        }
    }

    #[test]
    fn select_is_one_command() {
        let mut out = Vec::new();
        select(15, &mut out);
        assert_eq!(out, b"*2\r\n$6\r\nSELECT\r\n$2\r\n15\r\n");
    }
}
