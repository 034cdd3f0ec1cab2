//! COMMAND: what commands there are, from the rows themselves.

use super::{
    ServerSpec, Step,
    catalog::{self, Entry},
    help, key_flags, server_row,
};
use crate::{net::connection::Connection, runtime::core::Core};
use quire_engine::{
    command::{Args, CommandError, Flags, KeySpec, Reply},
    glob,
    keyspace::canonical_int,
};

const PLAIN: Flags = Flags::LOADING.with(Flags::STALE);
const CONNECTION: &[&str] = &["@connection"];

/// A sub-command; all of them are of category `@connection`.
const fn row(
    name: &'static str,
    arity: i16,
    since: &'static str,
    summary: &'static str,
    run: super::ServerFn,
) -> ServerSpec {
    ServerSpec {
        acl: CONNECTION,
        complexity: "O(N) where N is the number of commands looked up",
        ..server_row(name, arity, PLAIN, since, summary, run)
    }
}

pub(super) const SPECS: &[ServerSpec] = &[ServerSpec {
    subcommands: &[
        ServerSpec {
            complexity: "O(1)",
            ..row("command|count", 2, "2.8.13", "The number of commands", count)
        },
        row("command|info", -2, "2.8.13", "Commands in detail", info),
        row("command|docs", -2, "7.0.0", "Commands explained", docs),
        row("command|list", -2, "7.0.0", "Names of commands", list),
        ServerSpec {
            complexity: "O(N) where N is the number of arguments to the command",
            ..row("command|getkeys", -4, "2.8.13", "The keys of a command line", getkeys)
        },
        ServerSpec {
            complexity: "O(N) where N is the number of arguments to the command",
            ..row(
                "command|getkeysandflags",
                -4,
                "7.0.0",
                "The keys of a command line and what is done with them",
                getkeysandflags,
            )
        },
        ServerSpec {
            complexity: "O(1)",
            ..row("command|help", 2, "5.0.0", "What COMMAND can do", command_help)
        },
    ],
    ..row("command", -1, "2.8.13", "All commands in detail", command)
}];

fn command(
    _core: &mut Core,
    conn: &mut Connection,
    _args: Args<'_>,
    out: &mut Vec<u8>,
) -> Result<Step, CommandError> {
    write_all_infos(&mut Reply::new(out, conn.session.resp3));
    Ok(Step::Reply)
}

fn write_all_infos(reply: &mut Reply<'_>) {
    reply.array(catalog::entries().count());
    for entry in catalog::entries() {
        write_info(entry, reply);
    }
}

fn count(
    _core: &mut Core,
    conn: &mut Connection,
    _args: Args<'_>,
    out: &mut Vec<u8>,
) -> Result<Step, CommandError> {
    Reply::new(out, conn.session.resp3).int(catalog::entries().count() as i64);
    Ok(Step::Reply)
}

fn info(
    _core: &mut Core,
    conn: &mut Connection,
    args: Args<'_>,
    out: &mut Vec<u8>,
) -> Result<Step, CommandError> {
    let mut reply = Reply::new(out, conn.session.resp3);
    if args.len() == 2 {
        write_all_infos(&mut reply);
        return Ok(Step::Reply);
    }
    reply.array(args.len() - 2);
    for name in args.iter_from(2) {
        match catalog::find(name) {
            Some(entry) => write_info(entry, &mut reply),
            None => reply.null(),
        }
    }
    Ok(Step::Reply)
}

fn write_info(entry: Entry, reply: &mut Reply<'_>) {
    // The keys as COMMAND told them before key specifications: first, last, step.
    let (first, last, step) = match entry.keys {
        KeySpec::Range { first, last, step } => (first.into(), last.into(), step.into()),
        KeySpec::TargetCounted { .. } | KeySpec::Stored { .. } | KeySpec::OneAndPatterns => {
            (1, 1, 1)
        }
        KeySpec::None | KeySpec::Counted { .. } | KeySpec::Streams { .. } => (0, 0, 0),
    };
    reply.array(10);
    reply.bulk(entry.name.as_bytes());
    reply.int(entry.arity.into());
    write_names(&entry.flag_names(), reply);
    reply.int(first);
    reply.int(last);
    reply.int(step);
    write_names(&entry.categories(), reply);
    // Tips: none.
    reply.array(0);
    write_key_specs(entry, reply);
    let subcommands = entry.subcommands();
    reply.array(subcommands.len());
    for sub in subcommands {
        write_info(sub, reply);
    }
}

/// A set of simple strings.
fn write_names(names: &[&str], reply: &mut Reply<'_>) {
    reply.set(names.len());
    for name in names {
        reply.simple(name);
    }
}

const BY_AND_GET: &str = "For the optional BY/GET keyword. It is marked 'unknown' because the key names derive from the content of the key we sort";
const SORTED_TO: &str = "For the optional STORE keyword. It is marked 'unknown' because the keyword can appear anywhere in the argument array";

/// Keys that no rule finds.
fn write_unknown_spec(note: &str, words: &[&str], reply: &mut Reply<'_>) {
    reply.map(4);
    reply.bulk(b"notes");
    reply.bulk(note.as_bytes());
    reply.bulk(b"flags");
    write_names(words, reply);
    for part in ["begin_search", "find_keys"] {
        reply.bulk(part.as_bytes());
        reply.map(2);
        reply.bulk(b"type");
        reply.bulk(b"unknown");
        reply.bulk(b"spec");
        reply.map(0);
    }
}

/// One key specification; two where the command does different things with its keys.
fn write_key_specs(entry: Entry, reply: &mut Reply<'_>) {
    let (first_words, other_words) = key_flags::of(&entry);
    if let "sort" | "sort_ro" = entry.name {
        let stores = entry.name == "sort";
        reply.set(2 + usize::from(stores));
        write_spec_of(KeySpec::ONE, first_words, reply);
        write_unknown_spec(BY_AND_GET, first_words, reply);
        if stores {
            write_unknown_spec(SORTED_TO, other_words, reply);
        }
        return;
    }
    if first_words == other_words || entry.keys == KeySpec::None {
        return write_key_spec(entry.keys, first_words, reply);
    }
    let (alone, others) = match entry.keys {
        KeySpec::Range { first, last, step } => (
            KeySpec::Range { first, last: first as i16, step: 1 },
            KeySpec::Range { first: first + step, last, step },
        ),
        KeySpec::TargetCounted { count } => (KeySpec::ONE, KeySpec::Counted { count }),
        KeySpec::Stored { from } => {
            reply.set(3);
            write_spec_of(KeySpec::ONE, first_words, reply);
            for keyword in ["STORE", "STOREDIST"] {
                let figures = [("lastkey", 0), ("keystep", 1), ("limit", 0)];
                let begin = Begin::Keyword(keyword, from.into());
                write_spec(begin, "range", figures, other_words, reply);
            }
            return;
        }
        KeySpec::None
        | KeySpec::Counted { .. }
        | KeySpec::Streams { .. }
        | KeySpec::OneAndPatterns => {
            return write_key_spec(entry.keys, first_words, reply);
        }
    };
    reply.set(2);
    write_spec_of(alone, first_words, reply);
    write_spec_of(others, other_words, reply);
}

fn write_key_spec(keys: KeySpec, words: &[&str], reply: &mut Reply<'_>) {
    if keys == KeySpec::None {
        return reply.set(0);
    }
    reply.set(1);
    write_spec_of(keys, words, reply);
}

fn write_spec_of(keys: KeySpec, words: &[&str], reply: &mut Reply<'_>) {
    let (begin, kind, figures): (i64, &str, [(&str, i64); 3]) = match keys {
        KeySpec::None | KeySpec::Stored { .. } | KeySpec::OneAndPatterns => return,
        KeySpec::Range { first, last, step } => {
            let (first, last) = (i64::from(first), i64::from(last));
            // The last key counts from the first one, or from the end.
            let last = if last < 0 { last } else { last - first };
            (first, "range", [("lastkey", last), ("keystep", step.into()), ("limit", 0)])
        }
        KeySpec::Counted { count } | KeySpec::TargetCounted { count } => {
            (count.into(), "keynum", [("keynumidx", 0), ("firstkey", 1), ("keystep", 1)])
        }
        // Up to the end, and of that the first half.
        KeySpec::Streams { from } => {
            let figures = [("lastkey", -1), ("keystep", 1), ("limit", 2)];
            return write_spec(
                Begin::Keyword("STREAMS", from.into()),
                "range",
                figures,
                words,
                reply,
            );
        }
    };
    write_spec(Begin::Index(begin), kind, figures, words, reply);
}

/// Where a search for keys begins.
#[derive(Clone, Copy)]
enum Begin {
    /// At a position.
    Index(i64),
    /// Behind a word, looked for from a position on.
    Keyword(&'static str, i64),
}

fn write_spec(
    begin: Begin,
    kind: &str,
    figures: [(&str, i64); 3],
    words: &[&str],
    reply: &mut Reply<'_>,
) {
    reply.map(3);
    reply.bulk(b"flags");
    write_names(words, reply);
    reply.bulk(b"begin_search");
    reply.map(2);
    reply.bulk(b"type");
    match begin {
        Begin::Index(at) => {
            reply.bulk(b"index");
            reply.bulk(b"spec");
            reply.map(1);
            reply.bulk(b"index");
            reply.int(at);
        }
        Begin::Keyword(keyword, from) => {
            reply.bulk(b"keyword");
            reply.bulk(b"spec");
            reply.map(2);
            reply.bulk(b"keyword");
            reply.bulk(keyword.as_bytes());
            reply.bulk(b"startfrom");
            reply.int(from);
        }
    }
    reply.bulk(b"find_keys");
    reply.map(2);
    reply.bulk(b"type");
    reply.bulk(kind.as_bytes());
    reply.bulk(b"spec");
    reply.map(3);
    for (name, figure) in figures {
        reply.bulk(name.as_bytes());
        reply.int(figure);
    }
}

fn docs(
    _core: &mut Core,
    conn: &mut Connection,
    args: Args<'_>,
    out: &mut Vec<u8>,
) -> Result<Step, CommandError> {
    let wanted: Vec<Entry> = if args.len() == 2 {
        catalog::entries().collect()
    } else {
        args.iter_from(2).filter_map(catalog::find).collect()
    };
    write_docs(&wanted, &mut Reply::new(out, conn.session.resp3));
    Ok(Step::Reply)
}

fn write_docs(entries: &[Entry], reply: &mut Reply<'_>) {
    reply.map(entries.len());
    for entry in entries {
        reply.bulk(entry.name.as_bytes());
        let subcommands = entry.subcommands();
        reply.map(if subcommands.is_empty() { 4 } else { 5 });
        for (name, text) in [
            ("summary", entry.summary),
            ("since", entry.since),
            ("group", entry.group.name()),
            ("complexity", entry.complexity),
        ] {
            reply.bulk(name.as_bytes());
            reply.bulk(text.as_bytes());
        }
        if !subcommands.is_empty() {
            reply.bulk(b"subcommands");
            write_docs(&subcommands, reply);
        }
    }
}

fn list(
    _core: &mut Core,
    conn: &mut Connection,
    args: Args<'_>,
    out: &mut Vec<u8>,
) -> Result<Step, CommandError> {
    let keeps: Box<dyn Fn(&Entry) -> bool> = match args.len() {
        2 => Box::new(|_| true),
        5 if args.get(2).eq_ignore_ascii_case(b"filterby") => {
            let value = args.get(4).to_ascii_lowercase();
            match args.get(3).to_ascii_lowercase().as_slice() {
                // There are no modules, hence no commands of any.
                b"module" => Box::new(|_| false),
                b"aclcat" => Box::new(move |entry| {
                    let is = |name: &&str| name.as_bytes()[1..] == value[..];
                    entry.categories().iter().any(is)
                }),
                b"pattern" => Box::new(move |entry| glob::matches(&value, entry.name.as_bytes())),
                _ => return Err(CommandError::SYNTAX),
            }
        }
        _ => return Err(CommandError::SYNTAX),
    };
    let names: Vec<&str> = catalog::entries()
        .flat_map(|entry| std::iter::once(entry).chain(entry.subcommands()))
        .filter(|entry| keeps(entry))
        .map(|entry| entry.name)
        .collect();
    let mut reply = Reply::new(out, conn.session.resp3);
    reply.array(names.len());
    for name in names {
        reply.bulk(name.as_bytes());
    }
    Ok(Step::Reply)
}

fn getkeys(
    _core: &mut Core,
    conn: &mut Connection,
    args: Args<'_>,
    out: &mut Vec<u8>,
) -> Result<Step, CommandError> {
    let line = args.skip(2);
    let (_, keys) = keys_of(line)?;
    let mut reply = Reply::new(out, conn.session.resp3);
    reply.array(keys.len());
    for at in keys {
        reply.bulk(line.get(at));
    }
    Ok(Step::Reply)
}

fn getkeysandflags(
    _core: &mut Core,
    conn: &mut Connection,
    args: Args<'_>,
    out: &mut Vec<u8>,
) -> Result<Step, CommandError> {
    let line = args.skip(2);
    let (entry, keys) = keys_of(line)?;
    let (first, others) = key_flags::of_line(&entry, line);
    let mut reply = Reply::new(out, conn.session.resp3);
    reply.array(keys.len());
    for (number, at) in keys.into_iter().enumerate() {
        reply.array(2);
        reply.bulk(line.get(at));
        write_names(if number == 0 { first } else { others }, &mut reply);
    }
    Ok(Step::Reply)
}

/// The command of a command line and the positions of its keys.
fn keys_of(line: Args<'_>) -> Result<(Entry, Vec<usize>), CommandError> {
    // A container's sub-command is its second word here, not `config|get`.
    let is_one_word = !line.get(0).contains(&b'|');
    let entry = catalog::find(line.get(0))
        .filter(|_| is_one_word)
        .and_then(|entry| entry.resolve(line))
        .ok_or(CommandError::new("ERR Invalid command specified"))?;
    if entry.keys == KeySpec::None {
        return Err(CommandError::new("ERR The command has no key arguments"));
    }
    if !entry.accepts(line.len()) {
        return Err(CommandError::new("ERR Invalid number of arguments specified for command"));
    }
    let mut keys: Vec<usize> = entry.keys.positions(line).collect();
    let all_there = match entry.keys {
        KeySpec::Counted { count } | KeySpec::TargetCounted { count } => {
            let targets = usize::from(matches!(entry.keys, KeySpec::TargetCounted { .. }));
            let said = canonical_int(line.get(usize::from(count)));
            said.is_some_and(|said| said > 0 && said == (keys.len() - targets) as i64)
        }
        // A command that does another thing with its first key wants others too.
        KeySpec::Range { .. } if keys.len() == 1 => {
            let (first, others) = key_flags::of(&entry);
            first == others
        }
        _ => true,
    };
    if keys.is_empty() || !all_there {
        if entry.flags.has(Flags::NO_MANDATORY_KEYS) {
            keys.clear();
            return Ok((entry, keys));
        }
        return Err(CommandError::new("ERR Invalid arguments specified for command"));
    }
    Ok((entry, keys))
}

fn command_help(
    _core: &mut Core,
    conn: &mut Connection,
    _args: Args<'_>,
    out: &mut Vec<u8>,
) -> Result<Step, CommandError> {
    let lines = [
        "(no subcommand)",
        "    Return details about all commands.",
        "COUNT",
        "    Return the total number of commands in this server.",
        "LIST",
        "    Return a list of all commands in this server.",
        "INFO [<command-name> ...]",
        "    Return details about multiple commands.",
        "    If no command names are given, details for all commands are returned.",
        "DOCS [<command-name> ...]",
        "    Return documentation details about multiple commands.",
        "    If no command names are given, documentation details for all",
        "    commands are returned.",
        "GETKEYS <full-command>",
        "    Return the keys from a full command.",
        "GETKEYSANDFLAGS <full-command>",
        "    Return the keys and the access flags from a full command.",
    ];
    help::write("COMMAND", &lines, conn, out);
    Ok(Step::Reply)
}

#[cfg(test)]
mod tests {
    use super::*;
    use quire_engine::command::OwnedArgs;

    fn keys(line: &str) -> Result<Vec<usize>, String> {
        let args = OwnedArgs::from_slices(&line.split(' ').collect::<Vec<_>>());
        keys_of(args.as_args()).map(|(_, keys)| keys).map_err(|error| error.to_string())
    }

    #[test]
    fn keys_are_where_the_rows_say() {
        assert_eq!(keys("get a"), Ok(vec![1]));
        assert_eq!(keys("MSET a 1 b 2"), Ok(vec![1, 3]));
        assert_eq!(keys("del a b c"), Ok(vec![1, 2, 3]));
        assert_eq!(keys("object encoding a"), Ok(vec![2]));
        let error = |line: &str| keys(line).unwrap_err();
        assert_eq!(error("nope a"), "ERR Invalid command specified");
        assert_eq!(error("object nope a"), "ERR Invalid command specified");
        assert_eq!(error("ping a"), "ERR The command has no key arguments");
        assert_eq!(error("get a b"), "ERR Invalid number of arguments specified for command");
    }

    #[test]
    fn info_of_get_is_that_of_redis() {
        let entry = catalog::find(b"GET").unwrap();
        let mut out = Vec::new();
        write_info(entry, &mut Reply::new(&mut out, false));
        let text = String::from_utf8(out).unwrap();
        let expected = "*10\r\n$3\r\nget\r\n:2\r\n*2\r\n+readonly\r\n+fast\r\n:1\r\n:1\r\n:1\r\n\
                        *3\r\n+@read\r\n+@string\r\n+@fast\r\n*0\r\n*1\r\n*6\r\n$5\r\nflags\r\n";
        assert!(text.starts_with(expected), "{text}");
    }
}
