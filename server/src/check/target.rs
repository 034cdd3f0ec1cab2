//! Which directory is meant, and what its files are called.

use super::Arguments;
use crate::config::{Config, read_file};
use quire_engine::manifest::Names;
use std::path::{Path, PathBuf};

/// What is to be checked.
#[derive(Debug)]
pub struct Target {
    /// The log directory.
    pub directory: PathBuf,
    /// Names of its files.
    pub names: Names,
    /// Databases a server would have.
    pub databases: usize,
}

/// Settles it.
///
/// # Errors
/// One sentence: what is missing, and what to give instead.
pub fn target(arguments: &Arguments) -> Result<Target, String> {
    let databases = |default| arguments.databases.unwrap_or(default) as usize;
    if let Some(file) = &arguments.config {
        let lines = read_file(file).map_err(|error| error.to_string())?;
        let config = Config::from_lines(&lines).map_err(|error| error.to_string())?;
        let directory = config.dir.join(&config.appenddirname);
        let names = names(&config.appendfilename)?;
        let databases = databases(config.databases);
        return existing(Target { directory, names, databases });
    }
    let Some(path) = &arguments.path else {
        return Err("which directory? Give it, or --config FILE (see --help)".to_owned());
    };
    let file_name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
    if let (true, Some(stem)) = (path.is_file(), file_name.strip_suffix(".manifest")) {
        // As redis-check-aof is called.
        let directory = path.parent().map(Path::to_owned).unwrap_or_default();
        return Ok(Target { directory, names: names(stem)?, databases: databases(16) });
    }
    let names = names(&arguments.appendfilename)?;
    let inside = path.join("appendonlydir");
    let directory = if holds_log(path, &names) || !inside.is_dir() { path } else { &inside };
    existing(Target { directory: directory.clone(), names, databases: databases(16) })
}

fn names(stem: &str) -> Result<Names, String> {
    let reason = "it must be a plain file name without spaces and quotes";
    Names::new(stem).ok_or_else(|| format!("appendfilename `{stem}`: {reason}"))
}

/// A directory without a log is a mistyped path more often than a fresh start.
fn existing(target: Target) -> Result<Target, String> {
    let Target { directory, names, .. } = &target;
    if !directory.is_dir() {
        return Err(format!("{} is not a directory", directory.display()));
    }
    if !holds_log(directory, names) {
        let stem = names.stem();
        return Err(format!(
            "there is no log here: {} holds no file {stem}.*; is it the log directory, and is \
             appendfilename {stem}?",
            directory.display()
        ));
    }
    Ok(target)
}

fn holds_log(directory: &Path, names: &Names) -> bool {
    let Ok(entries) = std::fs::read_dir(directory) else { return false };
    entries.flatten().any(|entry| {
        let name = entry.file_name();
        let name = name.to_str().unwrap_or_default();
        entry.path().is_file() && (name == names.manifest() || names.is_log_file(name))
    })
}
