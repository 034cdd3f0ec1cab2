//! All commands of the engine in one slice, and how they are found.
//!
//! Owns: the dense numbering of commands (for counters) and the lookup by name.

use crate::{
    command::{Args, CommandSpec, KeySpec, NameIndex},
    families,
};

const COUNT: usize = {
    let mut count = 0;
    let mut family = 0;
    while family < families::ALL.len() {
        count += families::ALL[family].len();
        family += 1;
    }
    count
};

const fn gather() -> [&'static CommandSpec; COUNT] {
    let mut all = [&families::ALL[0][0]; COUNT];
    let (mut id, mut family) = (0, 0);
    while family < families::ALL.len() {
        let mut row = 0;
        while row < families::ALL[family].len() {
            all[id] = &families::ALL[family][row];
            id += 1;
            row += 1;
        }
        family += 1;
    }
    all
}

const fn names() -> [&'static str; COUNT] {
    let mut names = [""; COUNT];
    let mut id = 0;
    while id < COUNT {
        names[id] = ALL[id].name;
        id += 1;
    }
    names
}

const ALL: [&CommandSpec; COUNT] = gather();

/// Every command of the engine; the position is the command's number.
pub static SPECS: [&CommandSpec; COUNT] = ALL;

static INDEX: NameIndex<1024> = NameIndex::new(&names());

/// The number of the command of that name, in any case. Sub-commands are found by their
/// container's name and [`find_sub`].
#[inline]
pub fn find(name: &[u8]) -> Option<u16> {
    INDEX.find(name)
}

/// The row of the command of that name, in any case.
#[inline]
pub fn lookup(name: &[u8]) -> Option<&'static CommandSpec> {
    find(name).map(|id| SPECS[id as usize])
}

/// The number of a container's sub-command, in any case. A container's own row answers for
/// sub-commands that do not exist.
pub fn find_sub(container: &CommandSpec, sub: &[u8]) -> Option<u16> {
    let id = SPECS.iter().position(|spec| {
        spec.name
            .strip_prefix(container.name)
            .and_then(|rest| rest.strip_prefix('|'))
            .is_some_and(|name| name.as_bytes().eq_ignore_ascii_case(sub))
    });
    id.map(|id| id as u16)
}

/// The row of a command line: of the sub-command where there is one of that name.
pub fn resolve(args: Args<'_>) -> Option<&'static CommandSpec> {
    let spec = lookup(args.try_get(0)?)?;
    // Containers take a sub-command and have no keys themselves: others are not searched for.
    if spec.arity != -2 || spec.keys != KeySpec::None {
        return Some(spec);
    }
    let sub = args.try_get(1).and_then(|name| find_sub(spec, name));
    Some(sub.map_or(spec, |id| SPECS[id as usize]))
}

/// True when the command has sub-commands: its second argument chooses the row.
pub fn is_container(spec: &CommandSpec) -> bool {
    SPECS
        .iter()
        .any(|other| other.name.strip_prefix(spec.name).is_some_and(|rest| rest.starts_with('|')))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_command_is_found_in_any_case_and_nothing_else_is() {
        for (id, spec) in SPECS.iter().enumerate() {
            if let Some((container, sub)) = spec.name.split_once('|') {
                let container = lookup(container.as_bytes()).expect("containers have a row");
                assert!(is_container(container));
                let found = find_sub(container, sub.to_ascii_uppercase().as_bytes());
                assert_eq!(found, Some(id as u16), "{}", spec.name);
                continue;
            }
            for name in [spec.name.to_owned(), spec.name.to_ascii_uppercase()] {
                assert_eq!(find(name.as_bytes()), Some(id as u16), "{name}");
            }
            let longer = format!("{}x", spec.name);
            let known = SPECS.iter().any(|other| other.name == longer);
            assert_eq!(find(longer.as_bytes()).is_some(), known, "{longer}");
        }
        for name in ["", "nope", "getgetgetgetgetgetget", "g t", "\u{7}et"] {
            assert_eq!(find(name.as_bytes()), None, "{name:?}");
        }
    }

    #[test]
    fn rows_are_complete() {
        for spec in SPECS {
            assert_eq!(spec.name, spec.name.to_ascii_lowercase());
            assert!(!spec.summary.is_empty() && !spec.complexity.is_empty(), "{}", spec.name);
            for example in spec.examples {
                assert!(spec.accepts(example.split(' ').count()), "{example}");
            }
        }
    }
}
