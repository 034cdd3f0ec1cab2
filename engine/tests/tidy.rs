//! The house rules as a test, so that nobody has to remember them: file sizes, headers, names,
//! layer order, and what may be named where. Reads the sources of the whole workspace.
//!
//! A rule is a function from one file to findings; each has a test that shows it a bad file.
//! `unwrap` is not here: clippy denies it outside tests; an `expect` says why it cannot fail.

use std::{
    fs,
    path::{Path, PathBuf},
};

/// Longest source file, lines.
const FILE_LINES_MAX: usize = 600;

/// Names that say nothing about what a file owns.
const BANNED_NAMES: &[&str] = &["utils", "util", "helpers", "common", "misc", "manager", "base"];

/// What the production code of each engine module may name from the rest of the crate: whole
/// modules, or single items of a module above it. Modules not listed (slot, number, ..) are the
/// atoms: they may name each other only. `mesh` and `io` know nothing of keys and commands.
const LAYERS: &[(&str, &[&str])] = &[
    ("mesh", &[]),
    ("io", &["atoms"]),
    // A codec: whoever builds values or moves bytes lies above it.
    ("rdb", &["atoms"]),
    // The librarian prepares and seals segments.
    ("manifest", &["atoms", "io", "aof"]),
    // A big collection is a table of entries, and an entry may hold a collection.
    (
        "types",
        &[
            "atoms",
            "keyspace::Handle",
            "keyspace::KeyHasher",
            "keyspace::Shed",
            "keyspace::Str",
            "keyspace::Table",
            "keyspace::Trash",
            "keyspace::Value",
            "keyspace::size_class",
        ],
    ),
    ("keyspace", &["atoms", "types"]),
    // The words of a command (its arguments, its errors) lie below its machinery.
    ("effect", &["atoms", "keyspace", "command::Args", "command::OwnedArgs"]),
    (
        "aof",
        &[
            "atoms",
            "effect",
            "io",
            "command::Args",
            "command::CommandError",
            "command::OwnedArgs",
            "command::Span",
        ],
    ),
    // The context hands handlers their shard's log, counters and random bits.
    (
        "command",
        &[
            "atoms",
            "types",
            "keyspace",
            "effect",
            "aof::Staging",
            "shard::Random",
            "shard::ShardStats",
            "shard::Watches",
        ],
    ),
    ("families", &["atoms", "types", "keyspace", "effect", "command", "rdb", "elements"]),
    ("elements", &["atoms", "types", "keyspace", "rdb"]),
    // A delta's file is what a segment is.
    ("snapshot", &["atoms", "types", "keyspace", "rdb", "elements", "io", "aof::header"]),
    ("shard", &["atoms", "types", "keyspace", "effect", "command", "families", "aof", "snapshot"]),
    (
        "recovery",
        &[
            "atoms", "io", "manifest", "types", "keyspace", "effect", "command", "families", "aof",
            "shard", "rdb", "elements", "snapshot",
        ],
    ),
];

/// Where a word may stand: production code anywhere else must not name it.
const CONFINED: &[(&str, &[&str], &str)] = &[
    ("glommio::", &RUNTIME_FILES, "the runtime stays replaceable"),
    ("io_uring::", &RUNTIME_FILES, "the runtime stays replaceable"),
    (
        "FsyncPolicy::Always",
        &POLICY_FILES,
        "policies are decided in one file; ask the policy a question instead",
    ),
    (
        "FsyncPolicy::EverySecond",
        &POLICY_FILES,
        "policies are decided in one file; ask the policy a question instead",
    ),
    (
        "FsyncPolicy::No",
        &POLICY_FILES,
        "policies are decided in one file; ask the policy a question instead",
    ),
];

const RUNTIME_FILES: [&str; 5] = [
    "engine/src/io/",
    "engine/src/manifest/",
    "engine/src/recovery/",
    "server/src/runtime/",
    "server/src/net/",
];
const POLICY_FILES: [&str; 2] = ["engine/src/aof/policy.rs", "server/src/config/"];

/// One source file of the workspace.
struct Source {
    /// Relative to the workspace, with `/`.
    path: String,
    text: String,
}

impl Source {
    fn is_rust(&self) -> bool {
        self.path.ends_with(".rs")
    }

    /// True for files that hold nothing but tests.
    fn is_test(&self) -> bool {
        self.path.contains("/tests/")
            || self.path.ends_with("/tests.rs")
            || self.path.ends_with("_tests.rs")
    }

    /// Lines of production code with their numbers: no comments, nothing from the first
    /// `#[cfg(test)]` that opens a module on, empty for test files.
    fn production_lines(&self) -> Vec<(usize, &str)> {
        if self.is_test() {
            return Vec::new();
        }
        let lines: Vec<&str> = self.text.lines().collect();
        let tests = lines
            .windows(2)
            .position(|w| {
                w[0].trim() == "#[cfg(test)]" && w[1].contains("mod ") && w[1].ends_with('{')
            })
            .unwrap_or(lines.len());
        (1..).zip(lines).take(tests).map(|(n, line)| (n, without_comment(line))).collect()
    }

    fn finding(&self, line: usize, what: &str) -> String {
        format!("{}:{line}: {what}", self.path)
    }
}

/// The line up to a `//`. A `//` inside a string ends it early, which hides at most the rest of
/// that string.
fn without_comment(line: &str) -> &str {
    line.split("//").next().unwrap_or_default()
}

fn workspace() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .parent()
        .expect("the engine's folder is inside the workspace")
        .to_owned()
}

fn collect(folder: &Path, root: &Path, found: &mut Vec<Source>) {
    let entries = fs::read_dir(folder).unwrap_or_else(|e| panic!("{}: {e}", folder.display()));
    for entry in entries {
        let path = entry.expect("the folder stays readable while the test runs").path();
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        if path.is_dir() {
            // Build outputs and the repository itself are not sources.
            if !name.starts_with("target") && name != ".git" && name != "shared" {
                collect(&path, root, found);
            }
        } else if ["rs", "md", "toml", "conf"].iter().any(|e| name.ends_with(&format!(".{e}"))) {
            let relative = path.strip_prefix(root).expect("found below the root");
            found.push(Source {
                path: relative.to_string_lossy().replace('\\', "/"),
                text: fs::read_to_string(&path)
                    .unwrap_or_else(|e| panic!("{} is not UTF-8 text: {e}", path.display())),
            });
        }
    }
}

fn sources() -> Vec<Source> {
    let root = workspace();
    let mut found = Vec::new();
    collect(&root, &root, &mut found);
    assert!(found.iter().any(|s| s.path == "engine/src/lib.rs"), "the sources were not found");
    found
}

fn check(rule: impl Fn(&Source) -> Vec<String>) {
    let findings: Vec<String> = sources().iter().flat_map(rule).collect();
    assert!(findings.is_empty(), "{} findings:\n{}", findings.len(), findings.join("\n"));
}

fn too_long(source: &Source) -> Vec<String> {
    let lines = source.text.lines().count();
    let long = source.is_rust() && lines > FILE_LINES_MAX;
    long.then(|| source.finding(lines, "longer than 600 lines: it owns more than one thing"))
        .into_iter()
        .collect()
}

fn headless(source: &Source) -> Vec<String> {
    let headless = source.is_rust() && !source.text.starts_with("//! ");
    headless
        .then(|| source.finding(1, "no `//!` header saying what the file owns"))
        .into_iter()
        .collect()
}

fn badly_named(source: &Source) -> Vec<String> {
    let stem = |part: &str| part.split('.').next().unwrap_or_default().to_lowercase();
    let bad = source.is_rust() && source.path.split('/').any(|p| BANNED_NAMES.contains(&&*stem(p)));
    bad.then(|| source.finding(1, "a name that says nothing; name what it owns"))
        .into_iter()
        .collect()
}

fn not_ascii(source: &Source) -> Vec<String> {
    (1..)
        .zip(source.text.lines())
        .filter(|(_, line)| !line.is_ascii() || line.contains('\t'))
        .map(|(n, _)| source.finding(n, "not plain ASCII, or a tab"))
        .collect()
}

/// Spelled in halves, so that this file does not find itself.
fn forbidden_texts() -> [(String, &'static str); 7] {
    [
        (["#[al", "low("].concat(), "use #[expect(lint, reason = \"..\")]"),
        (["#![al", "low("].concat(), "use #![expect(lint, reason = \"..\")]"),
        (["TO", "DO"].concat(), "finish it, or write down where it is tracked"),
        (["FIX", "ME"].concat(), "finish it, or write down where it is tracked"),
        (["unimple", "mented!("].concat(), "no stubs"),
        ([".expect(", "\"\")"].concat(), "say why it cannot fail"),
        (["#[ign", "ore"].concat(), "a test that is skipped proves nothing; .ci/tools installs"),
    ]
}

fn forbidden(source: &Source) -> Vec<String> {
    if !source.is_rust() {
        return Vec::new();
    }
    let texts = forbidden_texts();
    let mut findings = Vec::new();
    for (n, line) in (1..).zip(source.text.lines()) {
        for (text, instead) in &texts {
            if line.contains(text.as_str()) {
                findings.push(source.finding(n, &format!("`{text}`: {instead}")));
            }
        }
        // A statement that computes and forgets: a test that cannot fail.
        if line.trim_start().starts_with("matches!(") && line.trim_end().ends_with(");") {
            findings.push(source.finding(n, "a bare `matches!` asserts nothing"));
        }
    }
    findings
}

fn out_of_place(source: &Source) -> Vec<String> {
    if !source.is_rust() {
        return Vec::new();
    }
    let mut findings = Vec::new();
    for (n, line) in source.production_lines() {
        for (word, allowed, why) in CONFINED {
            if names(line, word) && !allowed.iter().any(|place| source.path.starts_with(place)) {
                findings.push(source.finding(n, &format!("`{word}` named here: {why}")));
            }
        }
    }
    findings
}

/// True when `line` contains `word` and not merely as a part of a longer identifier.
fn names(line: &str, word: &str) -> bool {
    let is_part = |c: char| c.is_alphanumeric() || c == '_';
    line.match_indices(word).any(|(at, _)| {
        let ends = word.ends_with(is_part) && line[at + word.len()..].starts_with(is_part);
        !ends && !line[..at].ends_with(is_part)
    })
}

/// Every path below `crate::` in `text`, cut to two segments: `slot`, `command::Args`.
fn crate_paths(text: &str) -> Vec<String> {
    let mut paths = Vec::new();
    for (at, prefix) in text.match_indices("crate::") {
        let before = text[..at].chars().next_back().unwrap_or(' ');
        if before == '$' || before.is_alphanumeric() || before == '_' {
            continue;
        }
        expand("", &text[at + prefix.len()..], &mut paths);
    }
    paths
}

/// Reads one path or one `{..}` group at the start of `text` and adds its paths.
fn expand(parent: &str, text: &str, paths: &mut Vec<String>) {
    let text = text.trim_start();
    let Some(group) = text.strip_prefix('{') else {
        let end = text.find(|c: char| !c.is_alphanumeric() && c != '_').unwrap_or(text.len());
        let name = &text[..end];
        match text[end..].strip_prefix("::") {
            Some(rest) if parent.is_empty() => expand(name, rest, paths),
            _ if parent.is_empty() => paths.push(name.to_owned()),
            _ => paths.push(format!("{parent}::{name}")),
        }
        return;
    };
    let (mut depth, mut start) = (0, 0);
    for (at, c) in group.char_indices() {
        match c {
            '{' => depth += 1,
            '}' if depth > 0 => depth -= 1,
            ',' | '}' if depth == 0 => {
                let item = group[start..at].trim();
                if !item.is_empty() {
                    expand(parent, item, paths);
                }
                start = at + 1;
                if c == '}' {
                    return;
                }
            }
            _ => {}
        }
    }
}

fn against_the_layers(source: &Source) -> Vec<String> {
    let Some(inside) = source.path.strip_prefix("engine/src/") else { return Vec::new() };
    let module = inside.split(['/', '.']).next().unwrap_or_default();
    if module == "lib" {
        return Vec::new();
    }
    let is_atom = |name: &str| LAYERS.iter().all(|(layer, _)| *layer != name);
    let allowed: &[&str] =
        LAYERS.iter().find(|(layer, _)| *layer == module).map_or(&["atoms"], |(_, list)| list);
    let lines = source.production_lines();
    let code: String = lines.iter().flat_map(|(_, line)| [*line, "\n"]).collect();
    crate_paths(&code)
        .into_iter()
        .filter(|path| {
            let top = path.split("::").next().unwrap_or_default();
            let fine = top == module
                || allowed.contains(&top)
                || allowed.contains(&path.as_str())
                || (is_atom(top) && allowed.contains(&"atoms"));
            !fine
        })
        .map(|path| source.finding(1, &format!("`{module}` must not know `crate::{path}`")))
        .collect()
}

#[test]
fn no_file_is_longer_than_600_lines() {
    check(too_long);
}

#[test]
fn every_file_says_what_it_owns() {
    check(headless);
}

#[test]
fn no_file_is_named_for_nothing() {
    check(badly_named);
}

#[test]
fn sources_are_plain_ascii() {
    check(not_ascii);
}

#[test]
fn no_lint_is_silenced_and_nothing_is_left_unfinished() {
    check(forbidden);
}

#[test]
fn runtime_and_policies_are_named_only_where_they_belong() {
    check(out_of_place);
}

#[test]
fn engine_layers_point_one_way() {
    check(against_the_layers);
}

mod each_rule_finds_a_bad_file {
    use super::{
        Source, against_the_layers, badly_named, crate_paths, forbidden, headless, not_ascii,
        out_of_place, too_long,
    };

    fn source(path: &str, text: &str) -> Source {
        Source { path: path.to_owned(), text: text.to_owned() }
    }

    #[test]
    fn size_header_and_name() {
        let long = source("engine/src/x.rs", &"//! x\n".repeat(601));
        assert_eq!(too_long(&long).len(), 1);
        assert_eq!(headless(&source("engine/src/x.rs", "use std::fmt;\n")).len(), 1);
        assert_eq!(badly_named(&source("server/src/net/utils.rs", "")).len(), 1);
        assert_eq!(badly_named(&source("server/src/common/net.rs", "")).len(), 1);
        assert!(badly_named(&source("server/src/net/baseline.rs", "")).is_empty());
        assert_eq!(
            not_ascii(&source("README.md", "fine\nna\u{ef}ve\n")),
            ["README.md:2: not plain ASCII, or a tab"]
        );
    }

    #[test]
    fn silenced_lints_and_leftovers() {
        for bad in [
            concat!("#[al", "low(dead_code)]"),
            concat!("// TO", "DO later"),
            "    matches!(x, Ok(_));",
            concat!("x.expect(\"", "\")"),
            concat!("#[ign", "ore = \"slow\"]"),
        ] {
            assert_eq!(forbidden(&source("engine/src/x.rs", bad)).len(), 1, "{bad}");
        }
        assert!(forbidden(&source("x.rs", "assert!(matches!(x, Ok(_)));")).is_empty());
    }

    #[test]
    fn words_out_of_place() {
        let text = "//! x\nuse glommio::Task;\n";
        assert_eq!(out_of_place(&source("engine/src/shard/mod.rs", text)).len(), 1);
        assert!(out_of_place(&source("engine/src/io/disk.rs", text)).is_empty());
        let comment = "//! not glommio's business\nstruct NotGlommio;\n";
        assert!(out_of_place(&source("engine/src/shard/mod.rs", comment)).is_empty());
        let policy = "if policy == FsyncPolicy::Always {}";
        assert_eq!(out_of_place(&source("server/src/net/send.rs", policy)).len(), 1);
        let test = "#[cfg(test)]\nmod tests {\n    use glommio::Task;\n}\n";
        assert!(out_of_place(&source("engine/src/shard/mod.rs", test)).is_empty());
    }

    #[test]
    fn arrows_that_point_back() {
        let up = source("engine/src/keyspace/mod.rs", "use crate::{limits, shard::Shard};");
        assert_eq!(
            against_the_layers(&up),
            ["engine/src/keyspace/mod.rs:1: `keyspace` must not know `crate::shard::Shard`"]
        );
        let atom = source("engine/src/slot.rs", "use crate::keyspace::Table;");
        assert_eq!(against_the_layers(&atom).len(), 1);
        let item = source("engine/src/effect/mod.rs", "use crate::command::{Args, Ctx};");
        assert_eq!(
            against_the_layers(&item),
            ["engine/src/effect/mod.rs:1: `effect` must not know `crate::command::Ctx`"]
        );
    }

    #[test]
    fn every_shape_of_path_is_read() {
        let text = "use crate::slot;\nuse crate::{\n    a::{B, c::D},\n    e,\n    self,\n};\n\
                    fn f(x: crate::g::H<'_>) {}\nmacro $crate::not_ours;";
        let mut paths = crate_paths(text);
        paths.sort();
        assert_eq!(paths, ["a::B", "a::c", "e", "g::H", "self", "slot"]);
    }
}
