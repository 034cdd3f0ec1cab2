//! When a commit was gathered (`aof-timestamp-enabled`): Redis' own annotation, `#TS:<Unix time, s>\r\n`.
//!
//! It stands in a commit's body before its first command, and in front of no commit of the same second
//! on that shard: what has none is of the second that was said last. Covered by the commit's checksum;
//! stock Redis skips it. Times come from the shard's ticks: true to a tenth of a second.

use super::TransactionLine;

/// How the line begins.
const MAGIC: &[u8] = b"#TS:";

/// The line.
pub fn stamp_line(second: u32) -> Vec<u8> {
    format!("#TS:{second}\r\n").into_bytes()
}

/// The second that a commit's body says; None: it says none.
pub fn stamp_of(body: &[u8]) -> Option<u32> {
    let body = match TransactionLine::at_start_of(body) {
        Some(_) => &body[super::transaction::TRANSACTION_BYTES..],
        None => body,
    };
    let rest = body.strip_prefix(MAGIC)?;
    let end = rest.iter().position(|&byte| byte == b'\r')?;
    std::str::from_utf8(&rest[..end]).ok()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stamp_is_read_back_and_nothing_else_is_taken_for_one() {
        let body = [stamp_line(1_700_000_000).as_slice(), b"*1\r\n$4\r\nPING\r\n"].concat();
        assert_eq!(stamp_of(&body), Some(1_700_000_000));
        for other in ["", "*1\r\n", "#TS:x\r\n", "#TS:1", "#T1 ", "#TS:99999999999\r\n"] {
            assert_eq!(stamp_of(other.as_bytes()), None, "{other:?}");
        }
    }
}
