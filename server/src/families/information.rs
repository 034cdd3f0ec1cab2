//! INFO and TIME.
//!
//! INFO is a task of every core: each publishes its figures, then the asking core writes the
//! text, so what INFO says includes everything the client did before.

use super::{ServerSpec, Step, server_row};
use crate::{
    dispatch::everywhere::Task,
    net::connection::Connection,
    observe::{
        account,
        info::{Facts, Sections},
        timings,
    },
    runtime::core::Core,
};
use quire_engine::command::{Args, CommandError, ErrorCounts, Flags, Reply};
use std::time::{SystemTime, UNIX_EPOCH};

pub(super) const SPECS: &[ServerSpec] = &[
    ServerSpec {
        acl: &["@dangerous"],
        ..server_row(
            "info",
            -1,
            Flags::LOADING.with(Flags::STALE),
            "1.0.0",
            "Facts and figures about the server",
            info,
        )
    },
    server_row(
        "time",
        1,
        Flags::LOADING.with(Flags::STALE).with(Flags::FAST),
        "2.6.0",
        "The server's time",
        time,
    ),
];

fn info(
    _core: &mut Core,
    _conn: &mut Connection,
    _args: Args<'_>,
    _out: &mut Vec<u8>,
) -> Result<Step, CommandError> {
    Ok(Step::Everywhere(Task::Figures))
}

/// This core's part of INFO: figures go to where all cores see them.
pub fn publish_here(core: &mut Core, args: Args<'_>) {
    core.report(Sections::of(args.iter_from(1)).has_latencies());
}

/// INFO's reply, once every core has published its figures.
pub fn join_figures(core: &Core, conn: &Connection, args: Args<'_>, out: &mut Vec<u8>) {
    let used = account::allocated();
    let sections = Sections::of(args.iter_from(1));
    let mut errors = ErrorCounts::default();
    let mut commands: Vec<timings::Report> = Vec::with_capacity(core.shards());
    for cell in &core.shared.cores {
        let report = cell.report();
        errors.merge(&report.errors);
        commands.push(report.commands.clone());
    }
    let totals = timings::sum_totals(commands.iter());
    let histograms = match sections.has_latencies() {
        true => timings::sum_histograms(commands.iter()),
        false => Vec::new(),
    };
    let facts = Facts {
        shared: &core.shared,
        config: &core.live,
        errors: &errors,
        totals: &totals,
        used,
        histograms: &histograms,
    };
    let text = crate::observe::info::text(facts, &sections);
    Reply::new(out, conn.session.resp3).verbatim("txt", text.as_bytes());
}

fn time(
    _core: &mut Core,
    conn: &mut Connection,
    _args: Args<'_>,
    out: &mut Vec<u8>,
) -> Result<Step, CommandError> {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    let mut reply = Reply::new(out, conn.session.resp3);
    reply.array(2);
    reply.bulk_int(now.as_secs() as i64);
    reply.bulk_int(i64::from(now.subsec_micros()));
    Ok(Step::Reply)
}
