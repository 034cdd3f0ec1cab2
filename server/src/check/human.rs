//! The report for people: a table of the shards' logs, the findings, one closing sentence.

use super::{run::Outcome, statistics};
use quire_engine::recovery::check::{
    Finding, Removal, Repair, Repairable, Report, Severity, ShardReport, State, Stretch,
};
use std::fmt::{self, Write as _};

/// The whole text.
pub fn text(outcome: &Outcome) -> String {
    let mut text = String::new();
    // Writing to a String cannot fail.
    let _ = write_all(&mut text, outcome);
    text
}

fn write_all(out: &mut String, outcome: &Outcome) -> fmt::Result {
    let Report { manifest, ours, bytes, files, shards, findings } = &outcome.report;
    let whose = match (manifest, ours) {
        (true, true) => "",
        (true, false) => ", manifest not written by Quire",
        (false, _) => ", no readable manifest",
    };
    let (count, dir) = (files.len(), outcome.directory.display());
    writeln!(out, "{dir}: {count} files listed, {}{whose}", size(*bytes))?;
    if !shards.is_empty() {
        table(out, shards)?;
    }
    let (notes, serious): (Vec<_>, Vec<_>) =
        findings.iter().partition(|finding| finding.severity == Severity::Note);
    for finding in serious {
        writeln!(out)?;
        write_finding(out, finding)?;
    }
    if !notes.is_empty() {
        writeln!(out)?;
    }
    for Finding { kind, file, what, way_out, .. } in notes {
        writeln!(out, "note: {kind} {file}: {what}; {way_out}")?;
    }
    if let Some(loaded) = &outcome.loaded {
        let (keys, commands) = (loaded.keys, loaded.commands);
        writeln!(out, "\nloads: {keys} keys from {commands} commands, digest {}", loaded.digest)?;
        write!(out, "{}", statistics::text(loaded))?;
    }
    if let Some(done) = &outcome.repair {
        writeln!(out, "\nrepaired; what was removed is in {}", done.aside.display())?;
    }
    if let Some(refusal) = &outcome.refusal {
        writeln!(out, "\n{refusal}")?;
    }
    writeln!(out, "\n{}", closing(outcome.report.state()))
}

fn closing(state: State) -> &'static str {
    match state {
        State::Clean => "clean: nothing is missing; Quire and stock Redis load it",
        State::Open => {
            "clean, not sealed: the server was killed and nothing is missing; Quire starts. For \
             stock Redis run quire-check --fix first"
        }
        State::Torn => "torn: Quire starts and cuts the torn ends off by itself, as --fix does",
        State::Damaged => "DAMAGED: Quire refuses to start",
    }
}

fn table(out: &mut String, shards: &[ShardReport]) -> fmt::Result {
    let head = ["shard", "run", "files", "commits", "LSNs", "synced", "settled", "state"];
    let mut rows = vec![head.map(str::to_owned)];
    rows.extend(shards.iter().map(|shard| {
        [
            shard.shard.to_string(),
            if shard.run == 0 { "-".into() } else { format!("{:016x}", shard.run) },
            shard.files.to_string(),
            shard.commits.to_string(),
            shard.lsns.map_or_else(|| "-".into(), |(first, last)| format!("{first}-{last}")),
            shard.synced.to_string(),
            shard.settled.map_or_else(|| "?".into(), |lsn| lsn.to_string()),
            shard.state.name().to_owned(),
        ]
    }));
    let width = |column: usize| rows.iter().map(|row| row[column].len()).max().unwrap_or(0);
    let widths: [usize; 8] = std::array::from_fn(width);
    writeln!(out)?;
    for row in &rows {
        let cells = row.iter().zip(widths).map(|(cell, width)| format!("{cell:>width$}"));
        writeln!(out, "{}", cells.collect::<Vec<_>>().join("  "))?;
    }
    Ok(())
}

fn write_finding(out: &mut String, finding: &Finding) -> fmt::Result {
    write!(out, "{}: {} {}", finding.severity.name(), finding.kind, finding.file)?;
    if let Some(offset) = finding.offset {
        write!(out, " at offset {offset}")?;
    }
    if let Some(shard) = finding.shard {
        write!(out, ", shard {shard}")?;
    }
    if let Some(run) = finding.run.filter(|&run| run != 0) {
        write!(out, " of run {run:016x}")?;
    }
    writeln!(out, "\n  {}", finding.what)?;
    if let Some(lost) = finding.lost {
        writeln!(out, "  lost: {}", stretch(lost))?;
    }
    if let Some(behind) = finding.behind {
        writeln!(out, "  whole behind it: {}", stretch(behind))?;
    }
    writeln!(out, "  way out: {}", finding.way_out)?;
    if finding.repairable == Repairable::WithLoss {
        writeln!(
            out,
            "  or, without a backup: quire-check --fix --accept-loss ends the shard's log before it"
        )?;
    }
    Ok(())
}

fn stretch(stretch: Stretch) -> String {
    let Stretch { first, last, commits, bytes } = stretch;
    match (last, stretch.batches()) {
        (Some(last), Some(batches)) if last >= first => {
            format!("LSN {first}-{last}, {batches} commands in {commits} commits, {bytes} bytes")
        }
        (Some(_), _) => "no command".to_owned(),
        (None, _) => {
            format!(
                "from LSN {first} on, how far is unknown; {commits} commits, {bytes} bytes seen"
            )
        }
    }
}

/// What a repair will do, for the question before it.
pub fn repair(repair: &Repair, aside: &std::path::Path) -> String {
    let mut text = String::from("This will be done:\n");
    for Removal { file, keep, cut, worth, seal } in &repair.files {
        let _ = write!(text, "  {file}:");
        if *cut > 0 {
            let _ = write!(text, " cut {cut} bytes at offset {keep}");
            let _ = match worth {
                0 => write!(text, " (filler)"),
                worth => write!(text, " ({worth} of them copied aside, the rest is filler)"),
            };
        }
        if let Some(lsn) = seal {
            let and = if *cut > 0 { "," } else { "" };
            let _ = write!(text, "{and} end-of-log line behind LSN {lsn}");
        }
        text.push('\n');
    }
    for file in &repair.unlisted {
        let _ = writeln!(text, "  {file}: is not there, taken off the manifest");
    }
    let _ = writeln!(text, "Copies of what is removed, and of the manifest: {}", aside.display());
    text
}

pub(super) fn size(bytes: u64) -> String {
    match bytes {
        0..1024 => format!("{bytes} bytes"),
        1024..1_048_576 => format!("{:.1} KiB", bytes as f64 / 1024.0),
        _ => format!("{:.1} MiB", bytes as f64 / 1_048_576.0),
    }
}
