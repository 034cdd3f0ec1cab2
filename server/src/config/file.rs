//! The syntax of redis.conf: one directive a line, words quoted as in inline commands, `#`
//! comments, `include` in place. Knows no directive but `include`, and `dir`, which moves where
//! relative names of included files start from.

use super::{ConfigError, Origin};
use crate::resp::split_args;
use quire_engine::command::OwnedArgs;
use std::{
    ffi::{CStr, CString, OsStr},
    os::unix::ffi::OsStrExt,
    path::{Path, PathBuf},
};

/// Files may include files this deep: deeper is a file that includes itself.
const INCLUDE_DEPTH_MAX: usize = 16;

/// One directive and its values, with where it was written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Line {
    /// Where.
    pub origin: Origin,
    /// The directive, lower case, then its values; never empty.
    pub words: Vec<Vec<u8>>,
}

impl Line {
    /// From words; `None` when there are none.
    pub fn new(origin: Origin, mut words: Vec<Vec<u8>>) -> Option<Self> {
        words.first_mut()?.make_ascii_lowercase();
        Some(Self { origin, words })
    }

    /// The directive, for people.
    pub fn name(&self) -> String {
        String::from_utf8_lossy(&self.words[0]).into_owned()
    }
}

/// The lines of a file, those of files it includes in their place.
///
/// # Errors
/// A file that cannot be read, an odd quote, an endless inclusion.
pub fn read_file(path: &Path) -> Result<Vec<Line>, ConfigError> {
    let mut reader = Reader::default();
    reader.file(path, &Origin::CommandLine)?;
    Ok(reader.lines)
}

/// The lines of a text; `origin` makes the origin of a line from its number.
///
/// # Errors
/// As [`read_file`].
pub fn read_text(text: &[u8], origin: impl Fn(usize) -> Origin) -> Result<Vec<Line>, ConfigError> {
    let mut reader = Reader::default();
    reader.text(text, &origin)?;
    Ok(reader.lines)
}

#[derive(Default)]
struct Reader {
    lines: Vec<Line>,
    /// Files being read, each included by the one before.
    open: Vec<PathBuf>,
    /// Where relative names start from; empty = the current directory. As in Redis a `dir` line
    /// moves it: the server changes its directory when it reads one.
    base: PathBuf,
}

impl Reader {
    fn file(&mut self, path: &Path, from: &Origin) -> Result<(), ConfigError> {
        let directive = if *from == Origin::CommandLine { "" } else { "include" };
        let failed = |reason: String| ConfigError::at(from, directive, reason);
        let read = std::fs::read(path).map_err(|error| {
            let reason = error.to_string();
            let reason = reason.split(" (os error").next().unwrap_or_default();
            failed(format!("cannot read {}: {reason}", path.display()))
        });
        let text = read?;
        let path = std::fs::canonicalize(path).unwrap_or_else(|_| path.to_owned());
        if self.open.contains(&path) {
            let names = self.open.iter().chain([&path]).map(|p| p.display().to_string());
            let names: Vec<String> = names.collect();
            return Err(failed(format!("a file includes itself: {}", names.join(" -> "))));
        }
        if self.open.len() > INCLUDE_DEPTH_MAX {
            let path = path.display();
            return Err(failed(format!("{path} is included more than {INCLUDE_DEPTH_MAX} deep")));
        }
        self.open.push(path.clone());
        self.text(&text, &|line| Origin::File(path.clone(), line))?;
        self.open.pop();
        Ok(())
    }

    fn text(&mut self, text: &[u8], origin: &dyn Fn(usize) -> Origin) -> Result<(), ConfigError> {
        let mut words = OwnedArgs::new();
        for (index, text) in text.split(|&b| b == b'\n').enumerate() {
            let origin = origin(index + 1);
            let text = text.trim_ascii();
            if text.first() == Some(&b'#') {
                continue;
            }
            words.clear();
            if split_args(text, &mut words).is_err() {
                let reason = format!("unbalanced quotes in `{}`", String::from_utf8_lossy(text));
                return Err(ConfigError::at(&origin, "", reason));
            }
            let words: Vec<Vec<u8>> = words.as_args().iter_from(0).map(<[u8]>::to_vec).collect();
            let Some(line) = Line::new(origin, words) else { continue };
            match (line.words[0].as_slice(), line.words.as_slice()) {
                (b"include", [_, path]) => self.include(path, &line.origin)?,
                (b"include", _) => {
                    return Err(ConfigError::at(&line.origin, "include", "takes one file name"));
                }
                (b"dir", [_, dir]) => {
                    self.base.push(OsStr::from_bytes(dir));
                    self.lines.push(line);
                }
                _ => self.lines.push(line),
            }
        }
        Ok(())
    }

    /// A file, or all that a pattern matches in alphabetical order; a pattern may match none.
    fn include(&mut self, name: &[u8], from: &Origin) -> Result<(), ConfigError> {
        let path = self.base.join(OsStr::from_bytes(name));
        if !name.iter().any(|b| b"*?[".contains(b)) {
            return self.file(&path, from);
        }
        let mut pattern = escaped(self.base.as_os_str().as_bytes());
        if Path::new(OsStr::from_bytes(name)).is_absolute() {
            pattern.clear();
        } else if !pattern.is_empty() {
            pattern.push(b'/');
        }
        pattern.extend_from_slice(name);
        for path in matching(&pattern) {
            self.file(&path, from)?;
        }
        Ok(())
    }
}

/// A path as a pattern that matches it alone.
fn escaped(path: &[u8]) -> Vec<u8> {
    let mut pattern = Vec::with_capacity(path.len());
    for &byte in path {
        if b"*?[\\".contains(&byte) {
            pattern.push(b'\\');
        }
        pattern.push(byte);
    }
    pattern
}

/// The paths a pattern of glob(3) matches, sorted.
fn matching(pattern: &[u8]) -> Vec<PathBuf> {
    let Ok(pattern) = CString::new(pattern) else { return Vec::new() };
    // SAFETY: glob_t is plain numbers and pointers, for which zero is a valid value.
    let mut found: libc::glob_t = unsafe { std::mem::zeroed() };
    // SAFETY: the pattern ends in NUL, `found` is valid, and there is no callback.
    let result = unsafe { libc::glob(pattern.as_ptr(), 0, None, &raw mut found) };
    let mut paths = Vec::new();
    if result == 0 {
        for index in 0..found.gl_pathc {
            // SAFETY: on success gl_pathv holds gl_pathc strings that end in NUL.
            let path = unsafe { CStr::from_ptr(*found.gl_pathv.add(index)) };
            paths.push(PathBuf::from(OsStr::from_bytes(path.to_bytes())));
        }
    }
    // SAFETY: `found` was initialised, by zeroes or by glob, and is not used again.
    unsafe { libc::globfree(&raw mut found) };
    paths
}
