//! DEBUG PROTOCOL: a reply of every type there is, for authors of clients to try.

use quire_engine::command::{CommandError, Reply};

const BIG_NUMBER: &str = "1234567999999999999999999999999999999";

/// Writes the reply of that type.
#[expect(clippy::approx_constant, reason = "Redis' test value, not pi")]
pub(super) fn write(kind: &[u8], reply: &mut Reply<'_>) -> Result<(), CommandError> {
    let three = |reply: &mut Reply<'_>| (0..3).for_each(|n| reply.int(n));
    match kind.to_ascii_lowercase().as_slice() {
        b"string" => reply.bulk(b"Hello World"),
        b"integer" => reply.int(12345),
        b"double" => reply.double(3.141),
        b"bignum" if reply.is_resp3() => reply.raw(format!("({BIG_NUMBER}\r\n").as_bytes()),
        b"bignum" => reply.bulk(BIG_NUMBER.as_bytes()),
        b"null" => reply.null(),
        b"array" => {
            reply.array(3);
            three(reply);
        }
        b"set" => {
            reply.set(3);
            three(reply);
        }
        b"map" => {
            reply.map(3);
            for n in 0..3 {
                reply.int(n);
                reply.bool(n == 1);
            }
        }
        b"attrib" => {
            if reply.is_resp3() {
                reply.raw(b"|1\r\n");
                reply.bulk(b"key-popularity");
                reply.array(2);
                reply.bulk(b"key:123");
                reply.int(90);
            }
            // An attribute stands before a reply, it is none.
            reply.bulk(b"Some real reply following the attribute");
        }
        b"push" => {
            if !reply.is_resp3() {
                return Err(CommandError::new("ERR RESP2 is not supported by this command"));
            }
            reply.push(2);
            reply.bulk(b"server-cpu-usage");
            reply.int(42);
            // Nor is a push message.
            reply.bulk(b"Some real reply following the push reply");
        }
        b"verbatim" => reply.verbatim("txt", b"This is a verbatim\nstring"),
        b"true" => reply.bool(true),
        b"false" => reply.bool(false),
        _ => {
            return Err(CommandError::new(
                "ERR Wrong protocol type name. Please use one of the following: \
                 string|integer|double|bignum|null|array|set|map|attrib|push|verbatim|true|false",
            ));
        }
    }
    Ok(())
}
