//! `--dump`: what stands in one file, a line per item.

use super::json::Json;
use quire_engine::{
    aof::{CommandReader, TransactionLine},
    command::Args,
    io::system::{SystemStorage, run_ready},
    manifest::Names,
    recovery::check::{Seen, dump},
};
use std::{
    io::{BufWriter, Write},
    path::Path,
};

/// Prints the items of `file`, with their commands if wanted; as JSON, one document a line.
///
/// # Errors
/// One sentence.
pub fn print(
    directory: &Path,
    names: &Names,
    file: &str,
    commands: bool,
    json: bool,
) -> Result<(), String> {
    if Path::new(file).components().count() != 1 {
        return Err(format!("--dump {file}: name a file of the log directory, not a path"));
    }
    let storage = SystemStorage::read_only(directory);
    let mut out = BufWriter::new(std::io::stdout().lock());
    let dumped = run_ready(dump(&storage, names, file, |seen| {
        let item = if json { writeln!(out, "{}", item_json(&seen, commands)) } else { Ok(()) };
        let line = if json { Ok(()) } else { print_line(&mut out, &seen, commands) };
        // Whoever reads has heard enough.
        item.and(line).is_ok()
    }));
    let _ = out.flush();
    dumped.map_err(|error| error.to_string())
}

fn print_line(out: &mut impl Write, seen: &Seen<'_>, commands: bool) -> std::io::Result<()> {
    match seen {
        Seen::Commit { offset, header, body } => {
            let (first, last) = (header.first_lsn, header.last_lsn());
            let (batches, bytes, synced) = (header.batches, header.body_bytes, header.synced);
            writeln!(
                out,
                "{offset:>12}  commit   LSN {first}-{last}, {batches} batches, {bytes} bytes, \
                 synced {synced}, run {:016x}",
                header.run
            )?;
            if let Some(TransactionLine { transaction, stable_below }) = seen.transaction() {
                let shards: Vec<_> =
                    transaction.participants.iter().map(|s| s.to_string()).collect();
                writeln!(
                    out,
                    "{:>12}    transaction {} of shards {}, all below {stable_below} stable",
                    "",
                    transaction.id,
                    shards.join(", ")
                )?;
            }
            if commands {
                for command in texts(body) {
                    writeln!(out, "{:>12}    {command}", "")?;
                }
            }
            Ok(())
        }
        Seen::Command { offset, bytes, args } => {
            writeln!(out, "{offset:>12}  command  {bytes} bytes: {}", text(*args))
        }
        Seen::End { offset, line, .. } => {
            let (lsn, run) = (line.last_lsn, line.run);
            writeln!(out, "{offset:>12}  end      behind LSN {lsn}, run {run:016x}")
        }
        Seen::Damage { offset, fault } => writeln!(out, "{offset:>12}  DAMAGE   {fault}"),
    }
}

fn item_json(seen: &Seen<'_>, commands: bool) -> Json {
    let mut fields: Vec<(&'static str, Json)> = Vec::new();
    match seen {
        Seen::Commit { offset, header, body } => {
            fields.extend([
                ("item", "commit".into()),
                ("offset", (*offset).into()),
                ("first_lsn", header.first_lsn.into()),
                ("last_lsn", header.last_lsn().into()),
                ("batches", u64::from(header.batches).into()),
                ("bytes", header.body_bytes.into()),
                ("synced", header.synced.into()),
                ("run", format!("{:016x}", header.run).into()),
            ]);
            if let Some(TransactionLine { transaction, stable_below }) = seen.transaction() {
                let shards = transaction.participants.iter().map(|shard| (shard as u64).into());
                let line = vec![
                    ("id", transaction.id.into()),
                    ("shards", shards.collect()),
                    ("stable_below", stable_below.into()),
                ];
                fields.push(("transaction", Json::Object(line)));
            }
            if commands {
                fields.push(("commands", texts(body).into_iter().map(Json::from).collect()));
            }
        }
        Seen::Command { offset, bytes, args } => fields.extend([
            ("item", "command".into()),
            ("offset", (*offset).into()),
            ("bytes", (*bytes).into()),
            ("command", text(*args).into()),
        ]),
        Seen::End { offset, bytes, line } => fields.extend([
            ("item", "end".into()),
            ("offset", (*offset).into()),
            ("bytes", (*bytes).into()),
            ("last_lsn", line.last_lsn.into()),
            ("run", format!("{:016x}", line.run).into()),
        ]),
        Seen::Damage { offset, fault } => fields.extend([
            ("item", "damage".into()),
            ("offset", (*offset).into()),
            ("what", fault.to_string().into()),
        ]),
    }
    Json::Object(fields)
}

fn texts(body: &[u8]) -> Vec<String> {
    let mut commands = CommandReader::new(body);
    let mut texts = Vec::new();
    while let Ok(Some(args)) = commands.next_command() {
        texts.push(text(args));
    }
    texts
}

/// A command as redis-cli would take it.
fn text(args: Args<'_>) -> String {
    let plain = |word: &[u8]| {
        !word.is_empty() && word.iter().all(|b| b.is_ascii_graphic() && !b"\"'\\".contains(b))
    };
    let words = args.iter_from(0).map(|word| {
        let escaped = word.escape_ascii().to_string();
        if plain(word) { escaped } else { format!("\"{}\"", escaped.replace("\\'", "'")) }
    });
    words.collect::<Vec<_>>().join(" ")
}
