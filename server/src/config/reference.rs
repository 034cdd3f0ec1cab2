//! What there is to configure, for people: the text of `--help`, and docs/configuration.md.

use super::{Config, Directive, When, alias, directive, foreign, foreign::Accepts};
use std::fmt::Write;

/// The text of `--help`: how to call, and every directive with its default.
pub fn usage() -> String {
    let mut text = String::from(
        "Usage: quire-server [/path/to/quire.conf] [-] [--directive value ...] ...\n\
         \x20      quire-server --check [/path/to/quire.conf] [--directive value ...] ...\n\
         \x20      quire-server -v | --version\n\
         \x20      quire-server -h | --help\n\n\
         Directives are those of redis.conf; `-` reads more of them from standard input.\n\
         Arguments count after the file. --check reads the configuration, asks the system for\n\
         what it needs (io_uring, locked memory, open files) and starts nothing.\n\n\
         Examples:\n\
         \x20      quire-server (with the defaults)\n\
         \x20      quire-server /etc/quire/durable.conf\n\
         \x20      quire-server --port 7000 --save \"\" --appendfsync always\n\
         \x20      quire-server /etc/quire/default.conf --port 7000 --shards 4\n\
         \x20      echo 'timeout 60' | quire-server - --loglevel verbose\n\n\
         Directives and their defaults (* = can be changed by CONFIG SET):\n",
    );
    for (title, rows) in directive::groups() {
        // Writing to a String cannot fail.
        let _ = writeln!(text, "\n{title}");
        for row in *rows {
            let mark = if matches!(row.when, When::Startup | When::Restart) { ' ' } else { '*' };
            let _ = writeln!(text, "{mark} {} {}\n      {}", row.name, default_of(row), row.doc);
        }
    }
    text.push_str(
        "\nOnly in files and arguments\n\
         \x20 include FILE\n      Reads FILE, or every file a pattern matches, in its place.\n\
         \x20 rename-command NAME NEW-NAME\n      Has a command called by another name; \"\" = by \
         none.\n\n\
         Every other directive of Redis 7.0 is accepted with the value that asks for nothing and\n\
         refused with a reason otherwise; docs/configuration.md lists them.\n",
    );
    text
}

/// The default as a file would say it.
fn default_of(row: &Directive) -> String {
    let value = String::from_utf8_lossy(&row.get(&Config::default())).into_owned();
    match (row.name, value.as_str()) {
        ("shards", _) => "0 (one per usable CPU)".to_owned(),
        (_, "") => "\"\"".to_owned(),
        _ => value,
    }
}

/// docs/configuration.md.
pub fn markdown() -> String {
    let mut text = String::from(
        "# Configuration\n\n\
         Written by `quire-server --reference`; a test compares.\n\n\
         The syntax is that of `redis.conf`. A directive either acts or is refused, with file, line \
         and reason. Arguments of the program (`--port 7000`) count after the file.\n\n\
         ## What acts\n\n\
         \"When\" says whether CONFIG SET may change it: *start* = no, *protected* = if \
         `enable-protected-configs` allows it.\n",
    );
    for (title, rows) in directive::groups() {
        // Writing to a String cannot fail.
        let _ =
            write!(text, "\n### {title}\n\n| directive | default | when | |\n|---|---|---|---|\n");
        for row in *rows {
            let when = match row.when {
                When::Startup | When::Restart => "start",
                When::Protected => "protected",
                When::Anytime => "any time",
            };
            let (name, default, doc) =
                (row.name, default_of(row), row.doc.replace('|', "\\|").replace('<', "\\<"));
            let _ = writeln!(text, "| `{name}` | `{default}` | {when} | {doc} |");
        }
    }
    text.push_str(
        "\n### Only in files and arguments\n\n\
         `include FILE` reads a file, or every file a pattern matches in alphabetical order, in its \
         place; relative names count from the current directory, which a `dir` line changes. \
         `rename-command NAME NEW-NAME` has a command called by another name, or by none (`\"\"`).\n\n\
         ## Directives of Redis 7.0 that are accepted with one value\n\n\
         What they are about does not exist here (yet), so only the value that asks for nothing is \
         true. CONFIG GET shows it; CONFIG SET and files are refused with the reason when they ask \
         for another.\n\n| directive | value | why |\n|---|---|---|\n",
    );
    for row in foreign::TABLE {
        let values = match row.accepts {
            Accepts::Only(values) => {
                let shown = values.iter().map(|v| if v.is_empty() { "\"\"" } else { v });
                shown.map(|v| format!("`{v}`")).collect::<Vec<_>>().join(", ")
            }
            Accepts::Anything => "any".to_owned(),
            Accepts::Nothing => "refused".to_owned(),
        };
        let _ = writeln!(text, "| `{}` | {values} | {} |", row.name, row.why);
    }
    text.push_str("\n## Old names\n\n| old | now |\n|---|---|\n");
    for (old, now) in alias::ALIASES {
        let _ = writeln!(text, "| `{old}` | `{now}` |");
    }
    text
}
