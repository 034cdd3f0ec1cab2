//! The report as one JSON document: docs/quire-check.md is its description. Fields are added,
//! never renamed or removed while `schema` stays.

use super::{json::Json, run::Outcome, statistics};
use quire_engine::recovery::check::{
    FileReport, Finding, Removal, Repairable, Report, ShardReport, State, Stretch,
};

/// Number of the document's shape.
const SCHEMA: u64 = 1;

/// The document.
pub fn document(outcome: &Outcome) -> Json {
    let Outcome { directory, report, loaded, repair, refusal, before, .. } = outcome;
    let loaded = loaded.as_ref().map(statistics::document);
    let repair = repair.as_ref().map(|done| {
        Json::Object(vec![
            ("aside", done.aside.display().to_string().into()),
            ("files", done.repair.files.iter().map(removal).collect()),
            ("unlisted", done.repair.unlisted.iter().map(|n| n.as_str().into()).collect()),
        ])
    });
    let Report { manifest, ours, bytes, files, shards, findings } = report;
    Json::Object(vec![
        ("schema", SCHEMA.into()),
        ("directory", directory.display().to_string().into()),
        ("state", report.state().name().into()),
        ("exit_code", u64::from(outcome.exit_code()).into()),
        ("manifest", (*manifest).into()),
        ("quire", (*ours).into()),
        ("bytes", (*bytes).into()),
        ("files", files.iter().map(file).collect()),
        ("shards", shards.iter().map(shard).collect()),
        ("findings", findings.iter().map(finding).collect()),
        ("loaded", loaded.into()),
        ("before", before.map(State::name).into()),
        ("repair", repair.into()),
        ("refused", refusal.as_deref().into()),
    ])
}

fn run_id(run: Option<u64>) -> Json {
    run.filter(|&run| run != 0).map(|run| format!("{run:016x}")).into()
}

fn shard_number(shard: Option<u16>) -> Json {
    shard.map(u64::from).into()
}

fn file(file: &FileReport) -> Json {
    Json::Object(vec![
        ("name", file.name.as_str().into()),
        ("role", file.role.into()),
        ("shard", shard_number(file.shard)),
        ("run", run_id(file.run)),
        ("bytes", file.bytes.into()),
        ("commits", file.commits.into()),
        ("first_lsn", file.lsns.map(|lsns| lsns.0).into()),
        ("last_lsn", file.lsns.map(|lsns| lsns.1).into()),
        ("keep", file.keep.into()),
        ("sealed", file.sealed.into()),
    ])
}

fn shard(shard: &ShardReport) -> Json {
    Json::Object(vec![
        ("shard", u64::from(shard.shard).into()),
        ("run", run_id(Some(shard.run))),
        ("files", (shard.files as u64).into()),
        ("bytes", shard.bytes.into()),
        ("commits", shard.commits.into()),
        ("first_lsn", shard.lsns.map(|lsns| lsns.0).into()),
        ("last_lsn", shard.lsns.map(|lsns| lsns.1).into()),
        ("transactions", shard.transactions.into()),
        ("synced", shard.synced.into()),
        ("settled", shard.settled.into()),
        ("state", shard.state.name().into()),
    ])
}

fn stretch(stretch: Stretch) -> Json {
    Json::Object(vec![
        ("first_lsn", stretch.first.into()),
        ("last_lsn", stretch.last.into()),
        ("batches", stretch.batches().into()),
        ("commits", stretch.commits.into()),
        ("bytes", stretch.bytes.into()),
    ])
}

fn finding(finding: &Finding) -> Json {
    let repair = match finding.repairable {
        Repairable::No => "none",
        Repairable::Yes => "fix",
        Repairable::WithLoss => "accept-loss",
    };
    Json::Object(vec![
        ("severity", finding.severity.name().into()),
        ("kind", finding.kind.into()),
        ("file", finding.file.as_str().into()),
        ("offset", finding.offset.into()),
        ("shard", shard_number(finding.shard)),
        ("run", run_id(finding.run)),
        ("lost", finding.lost.map(stretch).into()),
        ("behind", finding.behind.map(stretch).into()),
        ("what", finding.what.as_str().into()),
        ("way_out", finding.way_out.as_str().into()),
        ("repair", repair.into()),
    ])
}

fn removal(removal: &Removal) -> Json {
    Json::Object(vec![
        ("file", removal.file.as_str().into()),
        ("keep", removal.keep.into()),
        ("cut", removal.cut.into()),
        ("copied", removal.worth.into()),
        ("sealed_behind", removal.seal.into()),
    ])
}
