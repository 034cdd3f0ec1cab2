//! docs/compatibility.md names exactly the commands that stock Redis has and Quire has not.

use crate::support::{
    client::Reply,
    process::{Launch, ServerProcess, fresh_dir},
};
use std::{
    collections::{BTreeMap, BTreeSet},
    fmt::Write as _,
    fs,
    path::Path,
};

const BEGIN: &str = "<!-- written by a test: begin -->\n";
const END: &str = "<!-- written by a test: end -->\n";

fn elements(reply: Reply) -> Vec<Reply> {
    match reply {
        Reply::Array(elements) => elements,
        other => panic!("a list was expected, not {other:?}"),
    }
}

/// Commands, and sub-commands behind a bar.
fn commands(server: &ServerProcess) -> BTreeSet<String> {
    let listed = elements(server.client().ask(&["COMMAND", "LIST"]));
    listed.iter().map(Reply::text).collect()
}

/// The group that a server's documentation puts a command in.
fn group(server: &ServerProcess, command: &str) -> String {
    let docs = elements(server.client().ask(&["COMMAND", "DOCS", command])).remove(1);
    let fields = elements(docs);
    let is_group = |field: &Reply| matches!(field, Reply::Bulk(name) if name == b"group");
    let at = fields.iter().position(is_group).expect("every command has a group");
    fields[at + 1].text()
}

#[test]
fn the_page_names_the_commands_that_only_stock_redis_has() {
    let dir = fresh_dir();
    let redis_dir = dir.path().join("redis");
    fs::create_dir(&redis_dir).expect("the directory is fresh");
    let quire = Launch::quire(dir.path()).with(&["--appendonly", "no"]).start();
    let redis = Launch::redis(&redis_dir).with(&["--appendonly", "no"]).start();
    let (ours, theirs) = (commands(&quire), commands(&redis));
    let mut groups: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for name in theirs.difference(&ours) {
        let container = name.split('|').next().unwrap_or_default();
        // A missing container says it for its sub-commands.
        if name == container || ours.contains(container) {
            let shown = format!("`{}`", name.replace('|', " ").to_uppercase());
            groups.entry(group(&redis, container)).or_default().push(shown);
        }
    }
    let mut block = String::from("| group | not here |\n|---|---|\n");
    for (group, names) in groups {
        writeln!(block, "| {group} | {} |", names.join(", ")).expect("a String takes all");
    }
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/compatibility.md");
    let page = fs::read_to_string(&path).expect("the page is there");
    let written = page.split_once(BEGIN).and_then(|(_, rest)| Some(rest.split_once(END)?.0));
    assert!(
        written == Some(block.as_str()),
        "bring {} up to date: between the two marks must stand\n\n{block}",
        path.display()
    );
}
