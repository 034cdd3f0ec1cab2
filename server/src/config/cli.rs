//! The command line, as redis-server reads it:
//! `quire-server [file.conf] [-] [--directive value ...] ...`
//!
//! Directives of the command line count after those of the file and of standard input. A word
//! that starts with `--` opens a directive unless the directive before it still lacks its first
//! value, so `--requirepass --secret` is a password; `--save` may stand without a value.

use super::{ConfigError, Line, Origin, read_file, read_text};
use crate::resp::split_args;
use quire_engine::command::OwnedArgs;
use std::{ffi::OsString, io::Read, os::unix::ffi::OsStringExt, path::PathBuf};

/// What the command line asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Invocation {
    /// Run with these lines of configuration.
    Run {
        /// The configuration file, absolute, if one was named.
        file: Option<PathBuf>,
        /// All lines, in the order in which they count.
        lines: Vec<Line>,
    },
    /// Look whether these lines and this system would do, and start nothing.
    Check {
        /// As in [`Self::Run`].
        file: Option<PathBuf>,
        /// As in [`Self::Run`].
        lines: Vec<Line>,
    },
    /// Print [`super::usage`].
    Help,
    /// Print [`super::markdown`].
    Reference,
    /// Print the version.
    Version,
}

/// Reads the arguments (without the program's name), the file they name, and standard input if
/// they say `-`.
///
/// # Errors
/// A file that cannot be read, an odd quote.
pub fn parse_arguments(arguments: Vec<OsString>) -> Result<Invocation, ConfigError> {
    let arguments: Vec<Vec<u8>> = arguments.into_iter().map(OsString::into_vec).collect();
    match arguments.first().map(Vec::as_slice) {
        Some(b"-v" | b"--version") => return Ok(Invocation::Version),
        Some(b"-h" | b"--help") => return Ok(Invocation::Help),
        Some(b"--reference") => return Ok(Invocation::Reference),
        Some(b"--check") => {
            let (file, lines) = gather(&arguments[1..])?;
            return Ok(Invocation::Check { file, lines });
        }
        _ => {}
    }
    let (file, lines) = gather(&arguments)?;
    Ok(Invocation::Run { file, lines })
}

/// The lines of the file, of standard input and of the arguments.
fn gather(arguments: &[Vec<u8>]) -> Result<(Option<PathBuf>, Vec<Line>), ConfigError> {
    let file = arguments
        .first()
        .filter(|first| !first.starts_with(b"-"))
        .map(|first| PathBuf::from(OsString::from_vec(first.clone())));
    let (from_stdin, options) = option_lines(&arguments[usize::from(file.is_some())..])?;
    let mut lines = Vec::new();
    if let Some(path) = &file {
        lines.extend(read_file(path)?);
    }
    if from_stdin {
        let mut text = Vec::new();
        std::io::stdin().read_to_end(&mut text).map_err(|error| {
            ConfigError::at(&Origin::StandardInput(1), "", format!("cannot be read: {error}"))
        })?;
        lines.extend(read_text(&text, Origin::StandardInput)?);
    }
    lines.extend(options);
    let file = file.map(|path| std::path::absolute(&path).unwrap_or(path));
    Ok((file, lines))
}

/// The directives among the arguments, and whether standard input is to be read.
fn option_lines(arguments: &[Vec<u8>]) -> Result<(bool, Vec<Line>), ConfigError> {
    let mut from_stdin = false;
    let mut commands: Vec<Vec<Vec<u8>>> = Vec::new();
    let mut has_value = true;
    for (index, argument) in arguments.iter().enumerate() {
        let is_last = index + 1 == arguments.len();
        if argument == b"-" && (index == 0 || is_last) {
            from_stdin = true;
        } else if has_value && let Some(option) = argument.strip_prefix(b"--") {
            let mut words = OwnedArgs::new();
            split_args(option, &mut words).map_err(|error| {
                let name = String::from_utf8_lossy(option);
                ConfigError::at(&Origin::CommandLine, &name, error.to_string())
            })?;
            let mut words: Vec<_> = words.as_args().iter_from(0).map(<[u8]>::to_vec).collect();
            has_value = words.len() != 1;
            let opens_next = arguments.get(index + 1).is_some_and(|next| next.starts_with(b"--"));
            if words.len() == 1 && words[0].eq_ignore_ascii_case(b"save") && (is_last || opens_next)
            {
                words.push(Vec::new());
                has_value = true;
            }
            commands.push(words);
        } else if let Some(command) = commands.last_mut() {
            command.push(argument.clone());
            has_value = true;
        } else {
            let reason = format!(
                "`{}` is neither a configuration file nor a --directive",
                String::from_utf8_lossy(argument)
            );
            return Err(ConfigError::at(&Origin::CommandLine, "", reason));
        }
    }
    let lines =
        commands.into_iter().filter_map(|words| Line::new(Origin::CommandLine, words)).collect();
    Ok((from_stdin, lines))
}
