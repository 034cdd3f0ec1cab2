//! What a data set consists of, for people and as JSON.

use super::{human::size, json::Json};
use quire_engine::recovery::check::{Big, Loaded, OfDatabase, OfType, Statistics};
use std::fmt::{self, Write as _};

/// The lines of a report.
pub fn text(loaded: &Loaded) -> String {
    let mut text = String::new();
    // Writing to a String cannot fail.
    let _ = write_all(&mut text, &loaded.statistics);
    text
}

fn write_all(out: &mut String, statistics: &Statistics) -> fmt::Result {
    let Statistics { types, databases, groups, biggest } = statistics;
    for OfType { kind, keys, elements, memory_bytes } in types {
        let what = if kind.name() == "string" { "bytes" } else { "elements" };
        let memory = size(*memory_bytes);
        writeln!(out, "  {:<8}{keys} keys, {elements} {what}, {memory} in memory", kind.name())?;
    }
    for OfDatabase { db, keys, with_deadline, expired } in databases {
        let deadlines = format!("{with_deadline} with a deadline, {expired} of them passed");
        writeln!(out, "  database {db}: {keys} keys, {deadlines}")?;
    }
    let filled: Vec<u64> = groups.iter().copied().filter(|&keys| keys > 0).collect();
    if let (Some(least), Some(most)) = (filled.iter().min(), filled.iter().max()) {
        let count = filled.len();
        writeln!(out, "  slot groups: {count} hold keys, {least} to {most} keys each")?;
    }
    for Big { db, key, kind, elements, memory_bytes } in biggest {
        let (memory, kind, key) = (size(*memory_bytes), kind.name(), key.escape_ascii());
        writeln!(out, "  big: {memory} {kind} of {elements}, database {db}, '{key}'")?;
    }
    Ok(())
}

/// The fields of `loaded` in a document.
pub fn document(loaded: &Loaded) -> Json {
    let Statistics { types, databases, groups, biggest } = &loaded.statistics;
    let of_type = |of: &OfType| {
        Json::Object(vec![
            ("type", of.kind.name().into()),
            ("keys", of.keys.into()),
            ("elements", of.elements.into()),
            ("memory_bytes", of.memory_bytes.into()),
        ])
    };
    let of_database = |of: &OfDatabase| {
        Json::Object(vec![
            ("db", (of.db as u64).into()),
            ("keys", of.keys.into()),
            ("with_deadline", of.with_deadline.into()),
            ("expired", of.expired.into()),
        ])
    };
    let big = |big: &Big| {
        Json::Object(vec![
            ("db", (big.db as u64).into()),
            ("key", big.key.escape_ascii().to_string().into()),
            ("type", big.kind.name().into()),
            ("elements", big.elements.into()),
            ("memory_bytes", big.memory_bytes.into()),
        ])
    };
    Json::Object(vec![
        ("keys", loaded.keys.into()),
        ("commands", loaded.commands.into()),
        ("digest", loaded.digest.as_str().into()),
        ("types", types.iter().map(of_type).collect()),
        ("databases", databases.iter().map(of_database).collect()),
        ("groups", groups.iter().map(|&keys| keys.into()).collect()),
        ("biggest", biggest.iter().map(big).collect()),
    ])
}
