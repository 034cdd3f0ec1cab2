//! The syntax of redis.conf: one directive a line, words quoted as in inline commands, `#`
//! comments, `include` in place. Knows no directive but `include`.

use super::{ConfigError, Origin};
use crate::resp::split_args;
use quire_engine::command::OwnedArgs;
use std::path::Path;

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
    let mut lines = Vec::new();
    include(path, &Origin::CommandLine, 0, &mut lines)?;
    Ok(lines)
}

/// The lines of a text; `origin` makes the origin of a line from its number.
///
/// # Errors
/// As [`read_file`].
pub fn read_text(text: &[u8], origin: impl Fn(usize) -> Origin) -> Result<Vec<Line>, ConfigError> {
    let mut lines = Vec::new();
    read_into(text, &origin, 0, &mut lines)?;
    Ok(lines)
}

fn include(
    path: &Path,
    from: &Origin,
    depth: usize,
    lines: &mut Vec<Line>,
) -> Result<(), ConfigError> {
    if depth > INCLUDE_DEPTH_MAX {
        let reason =
            format!("{} is included more than {INCLUDE_DEPTH_MAX} files deep", path.display());
        return Err(ConfigError::at(from, "include", reason));
    }
    let text = std::fs::read(path).map_err(|error| {
        let directive = if depth == 0 { "" } else { "include" };
        let reason = error.to_string();
        let reason = reason.split(" (os error").next().unwrap_or_default();
        ConfigError::at(from, directive, format!("cannot read {}: {reason}", path.display()))
    })?;
    read_into(&text, &|line| Origin::File(path.to_owned(), line), depth, lines)
}

fn read_into(
    text: &[u8],
    origin: &impl Fn(usize) -> Origin,
    depth: usize,
    lines: &mut Vec<Line>,
) -> Result<(), ConfigError> {
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
        if line.words[0] != b"include" {
            lines.push(line);
            continue;
        }
        let [_, path] = line.words.as_slice() else {
            return Err(ConfigError::at(&line.origin, "include", "takes one file name"));
        };
        let path = String::from_utf8_lossy(path);
        if path.contains(['*', '?', '[']) {
            let reason = "patterns are not supported: include every file by its name";
            return Err(ConfigError::at(&line.origin, "include", reason));
        }
        include(Path::new(path.as_ref()), &line.origin, depth + 1, lines)?;
    }
    Ok(())
}
