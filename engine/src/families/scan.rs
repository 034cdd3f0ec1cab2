//! What the scanning commands share: their options, their cursor, their reply.

use crate::{
    command::{Args, CommandError, Reply},
    glob,
    keyspace::canonical_int,
};

/// Entries a step looks at when COUNT does not say otherwise.
const SCAN_ENTRIES: usize = 10;

/// Texts of a reply whose number is only known at the end.
#[derive(Default)]
pub(super) struct Found {
    count: usize,
    bulks: Vec<u8>,
}

impl Found {
    pub(super) fn push(&mut self, key: &[u8]) {
        self.count += 1;
        // A bulk string looks the same in both protocols.
        Reply::new(&mut self.bulks, false).bulk(key);
    }

    pub(super) fn reply(&self, reply: &mut Reply<'_>) {
        reply.array(self.count);
        reply.raw(&self.bulks);
    }

    /// As the reply of a scan whose next cursor this is.
    pub(super) fn reply_step(&self, next: u64, reply: &mut Reply<'_>) {
        reply.array(2);
        reply.bulk(itoa::Buffer::new().format(next).as_bytes());
        self.reply(reply);
    }
}

/// What SCAN, HSCAN, SSCAN and ZSCAN were asked for.
pub(super) struct ScanOptions<'a> {
    /// Glob, None for everything.
    pub(super) pattern: Option<&'a [u8]>,
    /// Entries looked at, about.
    pub(super) entries: usize,
    /// SCAN only.
    pub(super) type_name: Option<&'a [u8]>,
}

impl<'a> ScanOptions<'a> {
    /// From the options at `from` on. `keys`: of SCAN, which has one more.
    pub(super) fn parse(args: Args<'a>, from: usize, keys: bool) -> Result<Self, CommandError> {
        let mut options = Self { pattern: None, entries: SCAN_ENTRIES, type_name: None };
        for at in (from..args.len()).step_by(2) {
            let option = args.get(at);
            let value = args.try_get(at + 1).ok_or(CommandError::SYNTAX)?;
            let is = |name: &str| option.eq_ignore_ascii_case(name.as_bytes());
            if is("count") {
                let n = canonical_int(value).ok_or(CommandError::NOT_AN_INTEGER)?;
                options.entries = usize::try_from(n)
                    .ok()
                    .filter(|&entries| entries > 0)
                    .ok_or(CommandError::SYNTAX)?;
            } else if is("match") {
                options.pattern = (value != b"*").then_some(value);
            } else if keys && is("type") {
                options.type_name = Some(value);
            } else {
                return Err(CommandError::SYNTAX);
            }
        }
        Ok(options)
    }

    /// True when a text matches the pattern.
    #[inline]
    pub(super) fn matches(&self, text: &[u8]) -> bool {
        self.pattern.is_none_or(|pattern| glob::matches(pattern, text))
    }
}

/// A cursor as C's `strtoul` reads it: a sign and nothing are fine, overflow is not.
pub fn parse_cursor(text: &[u8]) -> Result<u64, CommandError> {
    const INVALID: CommandError = CommandError::new("ERR invalid cursor");
    let (negative, digits) = match text {
        [] => return Ok(0),
        [b'-', rest @ ..] => (true, rest),
        [b'+', rest @ ..] => (false, rest),
        _ => (false, text),
    };
    if digits.is_empty() || !digits.iter().all(u8::is_ascii_digit) {
        return Err(INVALID);
    }
    let n = digits
        .iter()
        .try_fold(0u64, |n, digit| n.checked_mul(10)?.checked_add(u64::from(digit - b'0')))
        .ok_or(INVALID)?;
    Ok(if negative { n.wrapping_neg() } else { n })
}
