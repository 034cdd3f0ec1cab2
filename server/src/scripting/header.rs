//! The first line of a script or library: `#!lua name=.. flags=..`, and what flags mean.

use crate::resp::split_args;
use quire_engine::command::{CommandError, Flags as CommandFlags, OwnedArgs};

/// What a script says of itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct ScriptFlags {
    /// Bits of [`ScriptFlags::NAMES`], by their order.
    bits: u8,
    /// It has no first line of that kind: the rules of scripts before Redis 7.
    pub is_plain: bool,
}

impl ScriptFlags {
    /// Every flag, in the order in which FUNCTION LIST shows them.
    pub const NAMES: [&'static str; 5] =
        ["no-writes", "allow-oom", "allow-stale", "no-cluster", "allow-cross-slot-keys"];

    /// No first line.
    pub const PLAIN: Self = Self { bits: 0, is_plain: true };

    /// Sets the flag of that name; false when there is none.
    pub fn set(&mut self, name: &[u8], ignoring_case: bool) -> bool {
        let is_it = |known: &&str| match ignoring_case {
            true => known.as_bytes().eq_ignore_ascii_case(name),
            false => known.as_bytes() == name,
        };
        match Self::NAMES.iter().position(is_it) {
            Some(bit) => {
                self.bits |= 1 << bit;
                true
            }
            None => false,
        }
    }

    fn has(self, bit: u8) -> bool {
        self.bits >> bit & 1 == 1
    }

    /// It does not write.
    pub fn no_writes(self) -> bool {
        self.has(0)
    }

    /// It may run while memory is full.
    pub fn allows_oom(self) -> bool {
        self.has(1)
    }

    /// The names of those that are set.
    pub fn names(self) -> impl Iterator<Item = &'static str> {
        (0..).zip(Self::NAMES).filter(move |(bit, _)| self.has(*bit)).map(|(_, name)| name)
    }

    /// The flags of a command that runs such a script: what is known of the script takes the place of
    /// what could be.
    pub fn of_command(self, command: CommandFlags) -> CommandFlags {
        if self.is_plain {
            return command;
        }
        let mut flags = command.without(CommandFlags::MAY_REPLICATE);
        if !self.no_writes() {
            flags = flags.with(CommandFlags::WRITE);
            if !self.allows_oom() {
                flags = flags.with(CommandFlags::DENYOOM);
            }
        }
        flags
    }
}

/// Splits the first line off: its words, and the rest with its line end, so that lines keep their
/// numbers. None: no such line begins the text, or it does not end, or has unbalanced quotes.
fn first_line(source: &[u8]) -> Option<(Vec<Vec<u8>>, &[u8])> {
    let end = memchr::memchr(b'\n', source)?;
    let mut args = OwnedArgs::new();
    split_args(&source[..end], &mut args).ok()?;
    let words: Vec<Vec<u8>> = args.as_args().iter_from(0).map(<[u8]>::to_vec).collect();
    (!words.is_empty()).then_some((words, &source[end..]))
}

/// Flags and code of a script.
///
/// # Errors
/// Redis' texts, when the first line is not one.
pub fn of_script(source: &[u8]) -> Result<(ScriptFlags, &[u8]), CommandError> {
    if !source.starts_with(b"#!") {
        return Ok((ScriptFlags::PLAIN, source));
    }
    if memchr::memchr(b'\n', source).is_none() {
        return Err(CommandError::new("ERR Invalid script shebang"));
    }
    let (words, code) =
        first_line(source).ok_or(CommandError::new("ERR Invalid engine in script shebang"))?;
    if words[0] != b"#!lua" {
        let before = "ERR Unexpected engine in script shebang: ";
        return Err(CommandError::quoting(before, &words[0], ""));
    }
    let mut flags = ScriptFlags::default();
    for word in &words[1..] {
        let Some(list) = word.strip_prefix(b"flags=") else {
            return Err(CommandError::quoting("ERR Unknown lua shebang option: ", word, ""));
        };
        if list.is_empty() {
            continue;
        }
        for name in list.split(|&b| b == b',') {
            if !flags.set(name, false) {
                let before = "ERR Unexpected flag in script shebang: ";
                return Err(CommandError::quoting(before, name, ""));
            }
        }
    }
    Ok((flags, code))
}

/// What the first line of a library says.
#[derive(Debug, PartialEq, Eq)]
pub struct Library<'a> {
    /// Engine, as it is written.
    pub engine: Vec<u8>,
    /// Name.
    pub name: Vec<u8>,
    /// The code behind the line, its end included.
    pub code: &'a [u8],
}

/// Name and code of a library.
///
/// # Errors
/// Redis' texts, when the first line is not one.
pub fn of_library(source: &[u8]) -> Result<Library<'_>, CommandError> {
    if !source.starts_with(b"#!") {
        return Err(CommandError::new("ERR Missing library metadata"));
    }
    let (words, code) =
        first_line(source).ok_or(CommandError::new("ERR Invalid library metadata"))?;
    let mut name = None;
    for word in &words[1..] {
        if word.len() < 5 || !word[..5].eq_ignore_ascii_case(b"name=") {
            return Err(CommandError::quoting("ERR Invalid metadata value given: ", word, ""));
        }
        if name.replace(word[5..].to_vec()).is_some() {
            return Err(CommandError::new(
                "ERR Invalid metadata value, name argument was given multiple times",
            ));
        }
    }
    let name = name.ok_or(CommandError::new("ERR Library name was not given"))?;
    Ok(Library { engine: words[0][2..].to_vec(), name, code })
}

/// Names of libraries and functions.
///
/// # Errors
/// Redis' text, when it has other characters, or none.
pub fn check_name(name: &[u8]) -> Result<(), CommandError> {
    let is_fine = |b: &u8| b.is_ascii_alphanumeric() || *b == b'_';
    if !name.is_empty() && name.iter().all(is_fine) {
        return Ok(());
    }
    Err(CommandError::new(
        "ERR Library names can only contain letters, numbers, or underscores(_) and must be at \
         least one character long",
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn flags_are_read_and_others_refused() {
        let (flags, code) = of_script(b"#!lua flags=no-writes,allow-oom\nreturn 1").unwrap();
        assert!(flags.no_writes() && flags.allows_oom() && !flags.is_plain);
        assert_eq!(code, b"\nreturn 1");
        assert!(of_script(b"return 1").unwrap().0.is_plain);
        for (source, text) in [
            (&b"#!lua"[..], "ERR Invalid script shebang"),
            (b"#!not-lua\n", "ERR Unexpected engine in script shebang: #!not-lua"),
            (b"#!lua badger=data\n", "ERR Unknown lua shebang option: badger=data"),
            (b"#!lua flags=allow-what\n", "ERR Unexpected flag in script shebang: allow-what"),
        ] {
            assert_eq!(of_script(source).unwrap_err().to_string(), text);
        }
    }

    #[test]
    fn a_library_has_a_name_and_nothing_else() {
        let library = of_library(b"#!LUA NAME=a_1\ncode").unwrap();
        assert_eq!((library.engine, library.name), (b"LUA".to_vec(), b"a_1".to_vec()));
        for (source, text) in [
            (&b"code"[..], "ERR Missing library metadata"),
            (b"#!lua name=a", "ERR Invalid library metadata"),
            (b"#!lua\n", "ERR Library name was not given"),
            (b"#!lua name=a foo=b\n", "ERR Invalid metadata value given: foo=b"),
        ] {
            assert_eq!(of_library(source).unwrap_err().to_string(), text);
        }
        assert!(check_name(b"a-b").is_err() && check_name(b"").is_err());
    }
}
