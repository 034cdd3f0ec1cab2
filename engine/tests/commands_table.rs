//! The rows of the command table say what `redis-server` 7.0 says about its commands.

use super::{commands_driver::SETTING, commands_oracle::Oracle};
use quire_engine::{
    command::{CommandSpec, Fanout, Flags, Group, KeySpec, OwnedArgs},
    families::table,
};
use std::collections::BTreeSet;

/// A reply, taken apart.
#[derive(Debug, Clone, PartialEq)]
enum Value {
    Text(String),
    Int(i64),
    Array(Vec<Value>),
}

impl Value {
    fn parse(reply: &[u8], at: &mut usize) -> Value {
        let end = *at + reply[*at..].windows(2).position(|w| w == b"\r\n").expect("a line");
        let header = String::from_utf8_lossy(&reply[*at + 1..end]).into_owned();
        let kind = reply[*at];
        *at = end + 2;
        match kind {
            b'*' => {
                let count: usize = header.parse().expect("a number");
                Value::Array((0..count).map(|_| Value::parse(reply, at)).collect())
            }
            b'$' => {
                let len: usize = header.parse().expect("a number");
                let text = String::from_utf8_lossy(&reply[*at..*at + len]).into_owned();
                *at += len + 2;
                Value::Text(text)
            }
            b':' => Value::Int(header.parse().expect("a number")),
            _ => Value::Text(header),
        }
    }

    fn items(&self) -> &[Value] {
        match self {
            Value::Array(items) => items,
            Value::Text(_) | Value::Int(_) => panic!("not an array: {self:?}"),
        }
    }

    fn text(&self) -> &str {
        match self {
            Value::Text(text) => text,
            Value::Array(_) | Value::Int(_) => panic!("not a text: {self:?}"),
        }
    }

    fn texts(&self) -> BTreeSet<&str> {
        self.items().iter().map(Value::text).collect()
    }

    /// A field of a map.
    fn field(&self, name: &str) -> &str {
        let pairs = self.items().chunks(2);
        pairs.into_iter().find(|pair| pair[0].text() == name).expect("the field")[1].text()
    }
}

fn ask(oracle: &mut Oracle, what: &str, name: &str) -> Value {
    oracle.send(&["COMMAND", what, name]);
    Value::parse(&oracle.receive(), &mut 0)
}

/// ACL categories that flags and group imply, with those of the row itself.
fn categories(spec: &CommandSpec) -> BTreeSet<&'static str> {
    let mut categories: BTreeSet<&str> = spec.acl.iter().copied().collect();
    for (flag, name) in [
        (Flags::WRITE, "@write"),
        (Flags::READONLY, "@read"),
        (Flags::FAST, "@fast"),
        (Flags::ADMIN, "@admin"),
    ] {
        if spec.flags.has(flag) {
            categories.insert(name);
        }
    }
    if !spec.flags.has(Flags::FAST) {
        categories.insert("@slow");
    }
    match spec.group {
        Group::String => categories.insert("@string"),
        // A container has no categories of its own.
        // SORT is about what keys hold.
        Group::Generic if !table::is_container(spec) && !spec.name.starts_with("sort") => {
            categories.insert("@keyspace")
        }
        Group::List => categories.insert("@list"),
        Group::Set => categories.insert("@set"),
        Group::SortedSet => categories.insert("@sortedset"),
        Group::Hash => categories.insert("@hash"),
        Group::Stream if !table::is_container(spec) => categories.insert("@stream"),
        Group::Bitmap => categories.insert("@bitmap"),
        Group::Hyperloglog => categories.insert("@hyperloglog"),
        Group::Geo => categories.insert("@geo"),
        _ => false,
    };
    categories
}

fn key_positions(spec: &CommandSpec) -> Value {
    let (first, last, step) = match spec.keys {
        KeySpec::Range { first, last, step } => {
            (i64::from(first), i64::from(last), i64::from(step))
        }
        KeySpec::TargetCounted { .. } | KeySpec::Stored { .. } | KeySpec::OneAndPatterns => {
            (1, 1, 1)
        }
        KeySpec::None | KeySpec::Counted { .. } | KeySpec::Streams { .. } => (0, 0, 0),
    };
    Value::Array([first, last, step].map(Value::Int).to_vec())
}

#[test]
fn rows_say_what_redis_says() {
    let mut oracle = Oracle::start();
    for spec in table::SPECS {
        let info = ask(&mut oracle, "INFO", spec.name);
        let info = info.items()[0].items();
        assert_eq!(info[1], Value::Int(i64::from(spec.arity)), "{}", spec.name);
        let flags = Flags::NAMES.iter().filter(|(flag, _)| spec.flags.has(*flag));
        let flags: BTreeSet<&str> = flags.map(|(_, name)| *name).collect();
        assert_eq!(flags, info[2].texts(), "{}", spec.name);
        assert_eq!(key_positions(spec), Value::Array(info[3..6].to_vec()), "{}", spec.name);
        assert_eq!(categories(spec), info[6].texts(), "{}", spec.name);
        let docs = ask(&mut oracle, "DOCS", spec.name);
        let docs = &docs.items()[1];
        assert_eq!(spec.summary, docs.field("summary"), "{}", spec.name);
        assert_eq!(spec.since, docs.field("since"), "{}", spec.name);
        assert_eq!(spec.group.name(), docs.field("group"), "{}", spec.name);
        assert_eq!(spec.complexity, docs.field("complexity"), "{}", spec.name);
    }
}

#[test]
fn what_writes_with_several_keys_has_a_way_over_several_shards() {
    let several = |spec: &CommandSpec| {
        spec.examples.iter().any(|example| {
            let args = OwnedArgs::from_slices(&example.split(' ').collect::<Vec<_>>());
            spec.keys.positions(args.as_args()).nth(1).is_some()
        })
    };
    for spec in table::SPECS {
        let writes = spec.flags.has(Flags::WRITE);
        // It would run where its first key is, and not find the others.
        assert!(!writes || spec.fanout != Fanout::Whole || !several(spec), "{}", spec.name);
    }
}

#[test]
fn every_example_is_a_line_that_redis_takes() {
    let mut oracle = Oracle::start();
    for spec in table::SPECS {
        for example in spec.examples {
            oracle.line("FLUSHALL");
            for line in SETTING {
                oracle.line(line);
            }
            let reply = oracle.line(example);
            let fine = !reply.starts_with('-') || example.starts_with("OBJECT FREQ");
            assert!(fine, "{example}: {reply}");
            let args = OwnedArgs::from_slices(&example.split(' ').collect::<Vec<_>>());
            let keys = spec.keys.positions(args.as_args()).count();
            assert_eq!(keys > 0, spec.keys != KeySpec::None, "{example}");
        }
    }
}
