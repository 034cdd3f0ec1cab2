//! The options SET and GETEX share, and how Redis reads points in time.
//!
//! Owns: which options exclude which; overflow rules of deadlines. A later option of the same
//! unit replaces an earlier one (`EX 1 EX 2`), as in Redis.

use crate::{
    command::{Args, CommandError},
    effect::Deadline,
    keyspace::canonical_int,
};

/// Unit of a time in a command.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TimeUnit {
    /// Seconds.
    Seconds,
    /// Milliseconds.
    Milliseconds,
}

/// `ERR invalid expire time in 'x' command`
pub fn invalid_expire_time(command: &str) -> CommandError {
    CommandError::owned(format!("ERR invalid expire time in '{command}' command"))
}

/// The absolute deadline, Unix time in ms, that a positive number means: a point in time, or a
/// duration from `from_ms` on.
///
/// # Errors
/// Not an integer, not positive, or beyond 63 bits of milliseconds.
pub fn expire_at_ms(
    command: &str,
    text: &[u8],
    unit: TimeUnit,
    from_ms: Option<i64>,
) -> Result<i64, CommandError> {
    let n = canonical_int(text).ok_or(CommandError::NOT_AN_INTEGER)?;
    let ms = match unit {
        TimeUnit::Seconds => n.checked_mul(1000),
        TimeUnit::Milliseconds => Some(n),
    };
    ms.filter(|&ms| ms > 0)
        .and_then(|ms| ms.checked_add(from_ms.unwrap_or(0)))
        .ok_or_else(|| invalid_expire_time(command))
}

/// What an option says about the key's deadline.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
enum Expiry<'a> {
    /// Nothing was said.
    #[default]
    Unsaid,
    Keep,
    Persist,
    For(TimeUnit, &'a [u8]),
    Until(TimeUnit, &'a [u8]),
}

/// Options of SET or GETEX.
#[derive(Debug, Clone, Copy, Default)]
pub struct SetOptions<'a> {
    /// NX: only a key that does not exist.
    pub only_new: bool,
    /// XX: only a key that exists.
    pub only_existing: bool,
    /// GET: reply with the old value.
    pub get: bool,
    expiry: Expiry<'a>,
}

impl<'a> SetOptions<'a> {
    /// From SET's arguments.
    ///
    /// # Errors
    /// Syntax.
    pub fn parse_set(args: Args<'a>) -> Result<Self, CommandError> {
        let mut options = Self::default();
        let mut at = 3;
        while let Some(option) = args.try_get(at) {
            let is = |name: &str| option.eq_ignore_ascii_case(name.as_bytes());
            if is("nx") && !options.only_existing {
                options.only_new = true;
            } else if is("xx") && !options.only_new {
                options.only_existing = true;
            } else if is("get") {
                options.get = true;
            } else if is("keepttl") && matches!(options.expiry, Expiry::Unsaid | Expiry::Keep) {
                options.expiry = Expiry::Keep;
            } else {
                at += 1;
                options.time(option, args.try_get(at))?;
            }
            at += 1;
        }
        Ok(options)
    }

    /// From GETEX's arguments.
    ///
    /// # Errors
    /// Syntax.
    pub fn parse_getex(args: Args<'a>) -> Result<Self, CommandError> {
        let mut options = Self::default();
        let mut at = 2;
        while let Some(option) = args.try_get(at) {
            let persist = option.eq_ignore_ascii_case(b"persist");
            if persist && matches!(options.expiry, Expiry::Unsaid | Expiry::Persist) {
                options.expiry = Expiry::Persist;
            } else {
                at += 1;
                options.time(option, args.try_get(at))?;
            }
            at += 1;
        }
        Ok(options)
    }

    /// EX, PX, EXAT, PXAT and their argument.
    fn time(&mut self, option: &[u8], text: Option<&'a [u8]>) -> Result<(), CommandError> {
        let text = text.ok_or(CommandError::SYNTAX)?;
        let is = |name: &str| option.eq_ignore_ascii_case(name.as_bytes());
        let expiry = if is("ex") {
            Expiry::For(TimeUnit::Seconds, text)
        } else if is("px") {
            Expiry::For(TimeUnit::Milliseconds, text)
        } else if is("exat") {
            Expiry::Until(TimeUnit::Seconds, text)
        } else if is("pxat") {
            Expiry::Until(TimeUnit::Milliseconds, text)
        } else {
            return Err(CommandError::SYNTAX);
        };
        let compatible = match (self.expiry, expiry) {
            (Expiry::Unsaid, _) => true,
            (Expiry::For(old, _), Expiry::For(new, _)) => old == new,
            (Expiry::Until(old, _), Expiry::Until(new, _)) => old == new,
            _ => false,
        };
        if !compatible {
            return Err(CommandError::SYNTAX);
        }
        self.expiry = expiry;
        Ok(())
    }

    /// GETEX PERSIST.
    pub fn persists(&self) -> bool {
        self.expiry == Expiry::Persist
    }

    /// True for EXAT and PXAT.
    pub fn is_absolute(&self) -> bool {
        matches!(self.expiry, Expiry::Until(..))
    }

    /// The deadline afterwards.
    ///
    /// # Errors
    /// As [`expire_at_ms`].
    pub fn deadline(&self, command: &str, now_ms: i64) -> Result<Deadline, CommandError> {
        Ok(match self.expiry {
            Expiry::Unsaid | Expiry::Persist => Deadline::None,
            Expiry::Keep => Deadline::Keep,
            Expiry::For(unit, text) => {
                Deadline::At(expire_at_ms(command, text, unit, Some(now_ms))?)
            }
            Expiry::Until(unit, text) => Deadline::At(expire_at_ms(command, text, unit, None)?),
        })
    }
}
