//! What a directive is: its kind decides how a value is written, checked and shown. Texts of
//! errors are Redis' own, since CONFIG SET gives them to clients; configuration files add what
//! is allowed.

use super::{Config, ConfigError, Line, alias, directives, foreign, rename};
use crate::resp::{split_args, strict_number};
use quire_engine::command::OwnedArgs;

/// When a directive may change.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum When {
    /// In the file and on the command line only.
    Startup,
    /// The same; but where Redis, which may change it or does not know it, would obey, CONFIG SET
    /// of the value there is does, too: clients write back what they have read.
    Restart,
    /// By CONFIG SET too, from clients that `enable-protected-configs` allows.
    Protected,
    /// By CONFIG SET too.
    Anytime,
}

/// How a directive's value is written, and where it is kept.
#[derive(Debug)]
#[expect(missing_docs, reason = "get and set of every kind: read and write the field")]
pub enum Kind {
    /// `yes` or `no`.
    Bool { get: fn(&Config) -> bool, set: fn(&mut Config, bool) },
    /// A whole number.
    Int { min: i64, max: i64, get: fn(&Config) -> i64, set: fn(&mut Config, i64) },
    /// Bytes, with an optional unit: k kb m mb g gb.
    Memory { min: u64, max: u64, get: fn(&Config) -> u64, set: fn(&mut Config, u64) },
    /// A file mode.
    Octal { max: u32, get: fn(&Config) -> u32, set: fn(&mut Config, u32) },
    /// One of `names`, kept as its position.
    Enum { names: &'static [&'static str], get: fn(&Config) -> usize, set: fn(&mut Config, usize) },
    /// Text that `check` accepts.
    Text {
        check: fn(&str) -> Result<(), &'static str>,
        get: fn(&Config) -> String,
        set: fn(&mut Config, String),
    },
    /// Any bytes.
    Bytes { get: fn(&Config) -> &[u8], set: fn(&mut Config, Vec<u8>) },
    /// Several words; `add` is true in a file, where lines of one directive may add up.
    Words {
        get: fn(&Config) -> String,
        set: fn(&mut Config, words: &[&str], add: bool) -> Result<(), String>,
    },
}

/// One directive.
#[derive(Debug)]
pub struct Directive {
    /// Name, lower case.
    pub name: &'static str,
    /// When it may change.
    pub when: When,
    /// How it is written.
    pub kind: Kind,
    /// What it does, for operators.
    pub doc: &'static str,
}

impl Directive {
    /// The value as CONFIG GET shows it.
    pub fn get(&self, config: &Config) -> Vec<u8> {
        match &self.kind {
            Kind::Bool { get, .. } => if get(config) { "yes" } else { "no" }.into(),
            Kind::Int { get, .. } => get(config).to_string().into_bytes(),
            Kind::Memory { get, .. } => get(config).to_string().into_bytes(),
            Kind::Octal { get, .. } => format!("{:o}", get(config)).into_bytes(),
            Kind::Enum { names, get, .. } => names[get(config)].into(),
            Kind::Text { get, .. } | Kind::Words { get, .. } => get(config).into_bytes(),
            Kind::Bytes { get, .. } => get(config).to_vec(),
        }
    }

    /// True when the directive takes several words.
    fn takes_words(&self) -> bool {
        matches!(self.kind, Kind::Words { .. })
    }

    /// Sets the value from its words; `add` as in [`Kind::Words`].
    ///
    /// # Errors
    /// Redis' text of what is wrong.
    fn set(&self, config: &mut Config, words: &[&[u8]], add: bool) -> Result<(), String> {
        if let Kind::Words { set, .. } = &self.kind {
            let words: Result<Vec<&str>, _> =
                words.iter().map(|word| std::str::from_utf8(word)).collect();
            return set(config, &words.map_err(|_| "argument must be UTF-8 text")?, add);
        }
        let [value] = words else { return Err("wrong number of arguments".to_owned()) };
        if let Kind::Bytes { set, .. } = &self.kind {
            set(config, value.to_vec());
            return Ok(());
        }
        let value = std::str::from_utf8(value).map_err(|_| "argument must be UTF-8 text")?;
        self.set_scalar(config, value)
    }

    fn set_scalar(&self, config: &mut Config, value: &str) -> Result<(), String> {
        match &self.kind {
            Kind::Bool { set, .. } => {
                let yes = value.eq_ignore_ascii_case("yes");
                if !yes && !value.eq_ignore_ascii_case("no") {
                    return Err("argument must be 'yes' or 'no'".to_owned());
                }
                set(config, yes);
            }
            &Kind::Int { min, max, set, .. } => {
                let number = strict_number(value.as_bytes())
                    .ok_or("argument couldn't be parsed into an integer")?;
                if number < min || number > max {
                    return Err(format!("argument must be between {min} and {max} inclusive"));
                }
                set(config, number);
            }
            &Kind::Memory { min, max, set, .. } => {
                let bytes = parse_memory(value).ok_or("argument must be a memory value")?;
                if bytes < min || bytes > max {
                    return Err(format!("argument must be between {min} and {max} inclusive"));
                }
                set(config, bytes);
            }
            &Kind::Octal { max, set, .. } => {
                let mode = u32::from_str_radix(value, 8)
                    .map_err(|_| "argument couldn't be parsed as an octal number")?;
                if mode > max {
                    return Err(format!("argument must be between 0 and {max:o} inclusive"));
                }
                set(config, mode);
            }
            Kind::Enum { names, set, .. } => {
                let index = names.iter().position(|name| name.eq_ignore_ascii_case(value));
                set(config, index.ok_or_else(|| one_of(names))?);
            }
            Kind::Text { check, set, .. } => {
                check(value)?;
                set(config, value.to_owned());
            }
            Kind::Bytes { .. } | Kind::Words { .. } => {}
        }
        Ok(())
    }

    /// Sets the value as CONFIG SET does: one argument, which holds all words.
    ///
    /// # Errors
    /// Redis' text of what is wrong.
    pub(super) fn set_from_client(&self, config: &mut Config, value: &[u8]) -> Result<(), String> {
        if !self.takes_words() {
            return self.set(config, &[value], false);
        }
        let words: Vec<&[u8]> =
            value.split(|&b| b == b' ').filter(|word| !word.is_empty()).collect();
        self.set(config, if words.is_empty() { &[b""] } else { &words }, false)
    }

    /// What is allowed, where the text of the error does not say so already.
    fn allowed(&self) -> Option<String> {
        match &self.kind {
            Kind::Int { min, max, .. } => Some(format!("a number from {min} to {max}")),
            Kind::Memory { min, max, .. } => {
                Some(format!("bytes from {min} to {max}, units k kb m mb g gb"))
            }
            Kind::Octal { max, .. } => Some(format!("an octal number from 0 to {max:o}")),
            _ => None,
        }
    }
}

fn one_of(names: &[&str]) -> String {
    format!("argument(s) must be one of the following: {}", names.join(", "))
}

/// Every directive of Quire, by subject.
pub fn groups() -> &'static [(&'static str, &'static [Directive])] {
    directives::GROUPS
}

/// Every directive of Quire.
pub fn table() -> impl Iterator<Item = &'static Directive> {
    groups().iter().flat_map(|(_, rows)| rows.iter())
}

/// The directive of this name, old names included, in any case of letters.
pub fn find(name: &[u8]) -> Option<&'static Directive> {
    let name = str::from_utf8(name).ok()?.to_ascii_lowercase();
    let name = alias::current(&name);
    table().find(|row| row.name == name)
}

/// Obeys one line of a file or of the command line.
pub(super) fn apply_line(config: &mut Config, line: &Line) -> Result<(), ConfigError> {
    let name = line.name();
    let error = |reason: String| ConfigError::at(&line.origin, &name, reason);
    let values: Vec<&[u8]> = line.words[1..].iter().map(Vec::as_slice).collect();
    let Some(row) = find(&line.words[0]) else {
        return match foreign::find(alias::current(&name)) {
            Some(row) => row.check(&values).map_err(error),
            None if name == "rename-command" => rename::add(config, &values).map_err(error),
            None => Err(error(unknown(&name))),
        };
    };
    // One quoted argument may hold all words of a directive with several.
    let mut split = OwnedArgs::new();
    let words = match values.as_slice() {
        [only] if row.takes_words() && !only.is_empty() => {
            split_args(only, &mut split).map_err(|e| error(e.to_string()))?;
            split.as_args().iter_from(0).collect()
        }
        _ => values,
    };
    row.set(config, &words, true).map_err(|reason| match row.allowed() {
        Some(allowed) => error(format!("{reason}; allowed: {allowed}")),
        None => error(reason),
    })
}

fn unknown(name: &str) -> String {
    let names = table().map(|row| row.name);
    let nearest = names.map(|known| (edits(name, known), known)).min();
    match nearest {
        Some((distance, known)) if distance <= 1 + known.len() / 4 => {
            format!("there is no such directive; did you mean `{known}`?")
        }
        _ => "there is no such directive (--help lists all)".to_owned(),
    }
}

/// Levenshtein's distance, bytewise.
fn edits(a: &str, b: &str) -> usize {
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.bytes().enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, y) in b.bytes().enumerate() {
            let changed = diagonal + usize::from(x != y);
            diagonal = row[j + 1];
            row[j + 1] = changed.min(diagonal + 1).min(row[j] + 1);
        }
    }
    row[b.len()]
}

/// Bytes with an optional unit, as Redis reads them: `k` is 1000, `kb` is 1024.
pub(super) fn parse_memory(text: &str) -> Option<u64> {
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    let (number, unit) = text.split_at(digits);
    let factor: u64 = match unit.to_ascii_lowercase().as_str() {
        "" | "b" => 1,
        "k" => 1000,
        "kb" => 1 << 10,
        "m" => 1_000_000,
        "mb" => 1 << 20,
        "g" => 1_000_000_000,
        "gb" => 1 << 30,
        _ => return None,
    };
    number.parse::<u64>().ok()?.checked_mul(factor)
}
