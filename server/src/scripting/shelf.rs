//! The function libraries that all cores know, and how they change.
//!
//! A whole set that is replaced by another: whoever runs a function sees one set from its beginning to
//! its end. Changes are made on shard 0 only (`families/functions.rs`), one after the other, and logged
//! there; a generation says that there has been one.

use super::header::ScriptFlags;
use quire_engine::command::CommandError;
use std::{
    collections::{BTreeMap, HashMap},
    sync::{
        Arc, PoisonError, RwLock,
        atomic::{AtomicU64, Ordering},
    },
};

/// A function.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Function {
    /// Name.
    pub name: Vec<u8>,
    /// What it says of itself.
    pub description: Option<Vec<u8>>,
    /// What it does not do, and what it may.
    pub flags: ScriptFlags,
}

/// A library.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Library {
    /// Name.
    pub name: Vec<u8>,
    /// Its whole text.
    pub source: Box<[u8]>,
    /// Its functions.
    pub functions: Vec<Function>,
}

/// A set of libraries, whose functions have different names.
#[derive(Debug, Clone, Default)]
pub struct Shelf {
    libraries: BTreeMap<Vec<u8>, Arc<Library>>,
    /// By name in lower case: functions are called in any case.
    functions: HashMap<Vec<u8>, Arc<Library>>,
}

impl Shelf {
    /// The libraries, by name.
    pub fn libraries(&self) -> impl Iterator<Item = &Arc<Library>> {
        self.libraries.values()
    }

    /// How many libraries and functions there are.
    pub fn counts(&self) -> (usize, usize) {
        (self.libraries.len(), self.functions.len())
    }

    /// The library that a function is of.
    pub fn of_function(&self, name: &[u8]) -> Option<&Arc<Library>> {
        self.functions.get(&name.to_ascii_lowercase())
    }

    /// True when there is such a library.
    pub fn has(&self, name: &[u8]) -> bool {
        self.libraries.contains_key(name)
    }

    /// Adds a library, in the place of one of its name.
    ///
    /// # Errors
    /// A function of another library has the name of one of its. Nothing has changed then.
    pub fn put(&mut self, library: Arc<Library>) -> Result<(), CommandError> {
        let is_other = |function: &&Function| {
            self.of_function(&function.name).is_some_and(|of| of.name != library.name)
        };
        if let Some(function) = library.functions.iter().find(is_other) {
            let text = "ERR Function ";
            return Err(CommandError::quoting(text, &function.name, " already exists"));
        }
        self.remove(&library.name);
        for function in &library.functions {
            self.functions.insert(function.name.to_ascii_lowercase(), Arc::clone(&library));
        }
        self.libraries.insert(library.name.clone(), library);
        Ok(())
    }

    /// Takes a library out; false when there is none.
    pub fn remove(&mut self, name: &[u8]) -> bool {
        let Some(library) = self.libraries.remove(name) else { return false };
        for function in &library.functions {
            self.functions.remove(&function.name.to_ascii_lowercase());
        }
        true
    }

    /// Adds all of another set, in the place of those of the same names if `replaces`.
    ///
    /// # Errors
    /// A library, or a function, of that name is there. Nothing has changed then.
    pub fn join(&mut self, other: &Shelf, replaces: bool) -> Result<(), CommandError> {
        let mut joined = self.clone();
        for library in other.libraries() {
            if joined.has(&library.name) && !replaces {
                let text = "ERR Library ";
                return Err(CommandError::quoting(text, &library.name, " already exists"));
            }
            joined.remove(&library.name);
        }
        for library in other.libraries() {
            joined.put(Arc::clone(library))?;
        }
        *self = joined;
        Ok(())
    }
}

/// The set in force.
#[derive(Debug, Default)]
pub struct Libraries {
    generation: AtomicU64,
    /// LSN of the last change, in the log of shard 0.
    lsn: AtomicU64,
    shelf: RwLock<Arc<Shelf>>,
}

impl Libraries {
    /// Grows with every change.
    #[inline]
    pub fn generation(&self) -> u64 {
        self.generation.load(Ordering::Acquire)
    }

    /// What whoever runs a function must wait for, in the log of shard 0: nobody sees a function
    /// work that a crash could take back.
    #[inline]
    pub fn lsn(&self) -> u64 {
        self.lsn.load(Ordering::Acquire)
    }

    /// The set.
    pub fn shelf(&self) -> Arc<Shelf> {
        Arc::clone(&self.shelf.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Another set, whose change has that LSN.
    pub fn replace(&self, shelf: Shelf, lsn: u64) {
        let mut current = self.shelf.write().unwrap_or_else(PoisonError::into_inner);
        *current = Arc::new(shelf);
        // ORDER: the LSN before the generation: whoever sees the change knows what it waits for.
        self.lsn.fetch_max(lsn, Ordering::AcqRel);
        self.generation.fetch_add(1, Ordering::AcqRel);
    }

    /// Bytes that the texts take.
    pub fn bytes(&self) -> u64 {
        let of = |library: &Arc<Library>| library.source.len() + size_of::<Library>();
        self.shelf().libraries().map(of).sum::<usize>() as u64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn library(name: &str, functions: &[&str]) -> Arc<Library> {
        let of = |name: &&str| Function {
            name: name.as_bytes().to_vec(),
            description: None,
            flags: ScriptFlags::default(),
        };
        let functions = functions.iter().map(of).collect();
        Arc::new(Library { name: name.into(), source: Box::default(), functions })
    }

    #[test]
    fn a_name_is_of_one_function_and_what_is_refused_changes_nothing() {
        let mut shelf = Shelf::default();
        shelf.put(library("a", &["f", "g"])).unwrap();
        let error = shelf.put(library("b", &["h", "g"])).unwrap_err();
        assert_eq!(error.to_string(), "ERR Function g already exists");
        assert_eq!(shelf.counts(), (1, 2));
        shelf.put(library("a", &["i"])).unwrap();
        assert_eq!(shelf.counts(), (1, 1));
        assert!(shelf.of_function(b"f").is_none() && shelf.of_function(b"I").is_some());
        let mut other = Shelf::default();
        other.put(library("a", &["x"])).unwrap();
        other.put(library("c", &["y"])).unwrap();
        assert_eq!(shelf.join(&other, false).unwrap_err().code(), "ERR");
        assert_eq!(shelf.counts(), (1, 1));
        shelf.join(&other, true).unwrap();
        assert_eq!(shelf.counts(), (2, 2));
        assert!(shelf.remove(b"a") && !shelf.remove(b"a"));
    }
}
