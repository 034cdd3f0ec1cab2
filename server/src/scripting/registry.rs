//! The scripts that all cores know, by the SHA1 of their text.
//!
//! A list that is read far more often than it is written: a core that has compiled a script looks at
//! nothing but the generation. Scripts are not persisted, as in Redis. SCRIPT FLUSH begins a new
//! generation: whoever sees it forgets what it has compiled, before the next script it runs.

use super::header::{ScriptFlags, of_script};
use quire_engine::command::CommandError;
use sha1::{Digest, Sha1};
use std::{
    collections::HashMap,
    sync::{
        Arc, PoisonError, RwLock,
        atomic::{AtomicU64, Ordering},
    },
};

/// SHA1 of a script's text.
pub type Sha = [u8; 20];

/// SHA1 of a text.
pub fn sha1(text: &[u8]) -> Sha {
    Sha1::digest(text).into()
}

/// SHA1 of a text, 40 hex digits.
pub fn sha1_hex(text: &[u8]) -> String {
    to_hex(&sha1(text))
}

/// 40 hex digits, lower case.
pub fn to_hex(sha: &Sha) -> String {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let digit = |n: u8| char::from(DIGITS[usize::from(n)]);
    sha.iter().flat_map(|&byte| [digit(byte >> 4), digit(byte & 15)]).collect()
}

/// Back from hex digits in any case; None: it is no SHA1.
pub fn from_hex(hex: &[u8]) -> Option<Sha> {
    let mut sha = Sha::default();
    if hex.len() != 2 * sha.len() {
        return None;
    }
    for (byte, digits) in sha.iter_mut().zip(hex.chunks_exact(2)) {
        let value = |digit: u8| char::from(digit).to_digit(16);
        *byte = (value(digits[0])? * 16 + value(digits[1])?) as u8;
    }
    Some(sha)
}

/// A script.
#[derive(Debug)]
pub struct Script {
    /// Its whole text.
    pub source: Box<[u8]>,
    /// What it says of itself.
    pub flags: ScriptFlags,
}

impl Script {
    /// From its text.
    ///
    /// # Errors
    /// A first line that is none.
    pub fn new(source: &[u8]) -> Result<Self, CommandError> {
        let (flags, _) = of_script(source)?;
        Ok(Self { source: source.into(), flags })
    }

    /// The code: the text without its first line, if that is a special one.
    pub fn code(&self) -> &[u8] {
        of_script(&self.source).map_or(&[], |(_, code)| code)
    }
}

/// The scripts.
#[derive(Debug, Default)]
pub struct Scripts {
    generation: AtomicU64,
    known: RwLock<HashMap<Sha, Arc<Script>>>,
}

impl Scripts {
    /// Grows when all scripts are forgotten.
    #[inline]
    pub fn generation(&self) -> u64 {
        self.generation.load(Ordering::Acquire)
    }

    /// The script of that SHA1.
    pub fn get(&self, sha: &Sha) -> Option<Arc<Script>> {
        self.known.read().unwrap_or_else(PoisonError::into_inner).get(sha).cloned()
    }

    /// Adds a script that compiles.
    pub fn add(&self, sha: Sha, script: Arc<Script>) {
        let mut known = self.known.write().unwrap_or_else(PoisonError::into_inner);
        known.entry(sha).or_insert(script);
    }

    /// Forgets all.
    pub fn flush(&self) {
        let mut known = self.known.write().unwrap_or_else(PoisonError::into_inner);
        let gone = std::mem::take(&mut *known);
        // ORDER: while the list is held: whoever sees the new generation finds it empty.
        self.generation.fetch_add(1, Ordering::AcqRel);
        drop(known);
        drop(gone);
    }

    /// How many there are, and the bytes they take.
    pub fn figures(&self) -> (u64, u64) {
        let known = self.known.read().unwrap_or_else(PoisonError::into_inner);
        let own = size_of::<Sha>() + size_of::<Arc<Script>>() + size_of::<Script>();
        let bytes = known.values().map(|script| script.source.len() + own).sum::<usize>();
        (known.len() as u64, bytes as u64)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn digests_are_those_of_redis_in_any_case() {
        let hex = sha1_hex(b"return 1");
        assert_eq!(hex, "e0e1f9fabfc9d4800c877a703b823ac0578ff8db");
        assert_eq!(from_hex(hex.to_uppercase().as_bytes()), Some(sha1(b"return 1")));
        assert_eq!(from_hex(b"e0"), None);
        assert_eq!(from_hex(&[b'x'; 40]), None);
    }

    #[test]
    fn a_flush_is_seen_by_its_generation() {
        let scripts = Scripts::default();
        let script = Arc::new(Script::new(b"#!lua\nreturn 1").unwrap());
        assert_eq!(script.code(), b"\nreturn 1");
        let before = scripts.generation();
        scripts.add(sha1(&script.source), script);
        assert_eq!(scripts.figures().0, 1);
        scripts.flush();
        assert_ne!(scripts.generation(), before);
        assert_eq!(scripts.figures(), (0, 0));
    }
}
