//! Why a configuration is refused: where it says so, which directive, and what is allowed.

use std::{fmt, path::PathBuf};

/// Where a line of configuration comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Origin {
    /// A file and a line of it, from 1.
    File(PathBuf, usize),
    /// Standard input and a line of it, from 1.
    StandardInput(usize),
    /// An argument of the program.
    CommandLine,
    /// No single line.
    Whole,
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File(path, line) => write!(f, "{}:{line}", path.display()),
            Self::StandardInput(line) => write!(f, "standard input:{line}"),
            Self::CommandLine => f.write_str("command line"),
            Self::Whole => f.write_str("configuration"),
        }
    }
}

/// A configuration that cannot be obeyed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConfigError {
    /// Where.
    pub origin: Origin,
    /// The directive; empty where the line has none.
    pub directive: String,
    /// What is wrong, and what would be right.
    pub reason: String,
}

impl ConfigError {
    /// An error of a directive at a line.
    pub fn at(origin: &Origin, directive: &str, reason: impl Into<String>) -> Self {
        Self { origin: origin.clone(), directive: directive.to_owned(), reason: reason.into() }
    }

    /// An error that shows only when everything is put together.
    pub fn whole(directive: &str, reason: impl Into<String>) -> Self {
        Self::at(&Origin::Whole, directive, reason)
    }
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: ", self.origin)?;
        if !self.directive.is_empty() {
            write!(f, "{}: ", self.directive)?;
        }
        f.write_str(&self.reason)
    }
}

impl std::error::Error for ConfigError {}
