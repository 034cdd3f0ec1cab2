//! The configuration of a running server: CONFIG GET and CONFIG SET.
//!
//! One `Arc<Config>` for all cores behind a lock nobody holds for long, and a generation number.
//! A core compares the number once a turn and fetches the new `Arc` only when it changed.
//! CONFIG SET is all or nothing: everything is checked on a copy, then applied, then published.

use super::{Config, Directive, When, alias, directive, foreign};
use quire_engine::glob;
use std::{
    fmt,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
};

/// What Redis says of a directive that only a start can change.
const IMMUTABLE: &str = "can't set immutable config";

/// Why CONFIG SET did nothing. `Display` is Redis' error reply without the leading `-`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SetError {
    /// There is no such directive.
    Unknown(String),
    /// The directive's value was not accepted, or could not be applied.
    Failed {
        /// The directive.
        name: String,
        /// Why.
        reason: String,
    },
}

impl fmt::Display for SetError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unknown(name) => {
                write!(f, "ERR Unknown option or number of arguments for CONFIG SET - '{name}'")
            }
            Self::Failed { name, reason } => write!(
                f,
                "ERR CONFIG SET failed (possibly related to argument '{name}') - {reason}"
            ),
        }
    }
}

impl std::error::Error for SetError {}

impl SetError {
    fn failed(name: &str, reason: impl Into<String>) -> Self {
        Self::Failed { name: name.to_owned(), reason: reason.into() }
    }
}

/// The configuration all cores share.
#[derive(Debug)]
pub struct LiveConfig {
    current: Mutex<Arc<Config>>,
    generation: AtomicU64,
}

impl LiveConfig {
    /// From a resolved configuration.
    pub fn new(config: Config) -> Self {
        Self { current: Mutex::new(Arc::new(config)), generation: AtomicU64::new(1) }
    }

    /// Changes whenever [`Self::load`] would return something else; starts at 1.
    #[inline]
    pub fn generation(&self) -> u64 {
        self.generation.load(Ordering::Acquire)
    }

    /// The configuration now.
    pub fn load(&self) -> Arc<Config> {
        Arc::clone(&self.lock())
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Arc<Config>> {
        // Whoever panicked holding it did not get to change it: it is replaced whole.
        self.current.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Names and values of the directives that any of `patterns` names, each once. A name without
    /// wildcards is given back as it was written.
    pub fn get<'p>(&self, patterns: impl Iterator<Item = &'p [u8]>) -> Vec<(Vec<u8>, Vec<u8>)> {
        let config = self.load();
        let mut found: Vec<(Vec<u8>, Vec<u8>)> = Vec::new();
        let mut add = |name: Vec<u8>, value: Vec<u8>| {
            if !found.iter().any(|(known, _)| known.eq_ignore_ascii_case(&name)) {
                found.push((name, value));
            }
        };
        for pattern in patterns {
            let lower = pattern.to_ascii_lowercase();
            let has_wildcard = pattern.iter().any(|b| b"*?[".contains(b));
            let names = |name: &str| {
                if has_wildcard {
                    glob::matches(&lower, name.as_bytes())
                } else {
                    lower == name.as_bytes()
                }
            };
            let shown = |name: &str| {
                if has_wildcard { name.as_bytes().to_vec() } else { pattern.to_vec() }
            };
            for row in directive::table().filter(|row| names(row.name)) {
                add(shown(row.name), row.get(&config));
            }
            for row in foreign::TABLE.iter().filter(|row| names(row.name)) {
                if let Some(value) = row.value()
                    && !(has_wildcard && row.is_hidden)
                {
                    add(shown(row.name), value.into());
                }
            }
            for (old, now) in alias::ALIASES.iter().filter(|(old, _)| names(old)) {
                if let Some(row) = directive::find(now.as_bytes()) {
                    add(shown(old), row.get(&config));
                } else if let Some(value) = foreign::find(now).and_then(|row| row.value()) {
                    add(shown(old), value.into());
                }
            }
        }
        found
    }

    /// Sets all of `pairs`, or none; protected directives only if `may_protected`. `apply` is called with the old and the new configuration
    /// before the new one is published; it does what takes more than reading it and may refuse,
    /// naming the directive and the reason.
    ///
    /// # Errors
    /// The first pair that cannot be obeyed.
    pub fn set(
        &self,
        pairs: &[(&[u8], &[u8])],
        may_protected: bool,
        apply: impl FnOnce(&Config, &mut Config) -> Result<(), (&'static str, String)>,
    ) -> Result<(), SetError> {
        let mut current = self.lock();
        let mut changed = Config::clone(&current);
        let rows = find_all(pairs, may_protected)?;
        for (row, (name, value)) in rows.iter().zip(pairs) {
            match row {
                Row::Own(row) => {
                    row.set_from_client(&mut changed, value)
                        .map_err(|reason| SetError::failed(row.name, reason))?;
                    if row.when == When::Restart && row.get(&changed) != row.get(&current) {
                        return Err(SetError::failed(&String::from_utf8_lossy(name), IMMUTABLE));
                    }
                }
                Row::Foreign(row) => {
                    row.check(&[value]).map_err(|reason| SetError::failed(row.name, reason))?;
                }
            }
        }
        apply(&current, &mut changed).map_err(|(name, reason)| SetError::failed(name, reason))?;
        *current = Arc::new(changed);
        // ORDER: after the new configuration is in place, while the lock is still held.
        self.generation.fetch_add(1, Ordering::Release);
        Ok(())
    }
}

#[derive(Clone, Copy)]
enum Row {
    Own(&'static Directive),
    Foreign(&'static foreign::Foreign),
}

impl Row {
    fn name(self) -> &'static str {
        match self {
            Row::Own(row) => row.name,
            Row::Foreign(row) => row.name,
        }
    }

    fn when(self) -> When {
        match self {
            Row::Own(row) => row.when,
            Row::Foreign(row) => row.when,
        }
    }
}

/// The rows of all names, before any value is looked at.
fn find_all(pairs: &[(&[u8], &[u8])], may_protected: bool) -> Result<Vec<Row>, SetError> {
    let mut rows: Vec<Row> = Vec::with_capacity(pairs.len());
    for (name, _) in pairs {
        let text = String::from_utf8_lossy(name).into_owned();
        let lower = text.to_ascii_lowercase();
        let foreign = || foreign::find(alias::current(&lower)).map(Row::Foreign);
        let row = directive::find(name).map(Row::Own).or_else(foreign);
        let row = row.ok_or_else(|| SetError::Unknown(text.clone()))?;
        match row.when() {
            When::Startup => return Err(SetError::failed(&text, IMMUTABLE)),
            When::Protected if !may_protected => {
                return Err(SetError::failed(&text, "can't set protected config"));
            }
            When::Restart | When::Protected | When::Anytime => {}
        }
        if rows.iter().any(|known| known.name() == row.name()) {
            return Err(SetError::failed(&text, "duplicate parameter"));
        }
        rows.push(row);
    }
    Ok(rows)
}
