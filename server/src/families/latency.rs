//! LATENCY: what took long, and how long every command takes.

use super::{ServerSpec, Step, help, server_row};
use crate::{
    dispatch::{everywhere::Task, table},
    net::connection::Connection,
    observe::{
        doctor, graph,
        latency::Event,
        timings::{self, distribution},
    },
    runtime::core::Core,
};
use hdrhistogram::Histogram;
use quire_engine::command::{Args, CommandError, Flags, Reply};

const ADMIN: Flags = Flags::ADMIN.with(Flags::NOSCRIPT).with(Flags::LOADING).with(Flags::STALE);

pub(super) const SPECS: &[ServerSpec] = &[ServerSpec {
    complexity: "Depends on subcommand.",
    subcommands: &[
        server_row("latency|latest", 2, ADMIN, "2.8.13", "Last sample of each event", latest),
        server_row("latency|history", 3, ADMIN, "2.8.13", "Samples of an event", history),
        server_row("latency|reset", -2, ADMIN, "2.8.13", "Forgets samples", reset),
        server_row("latency|graph", 3, ADMIN, "2.8.13", "Samples of an event, drawn", graph_of),
        server_row("latency|doctor", 2, ADMIN, "2.8.13", "What took long and why", doctor_report),
        ServerSpec {
            complexity: "O(N) where N is the number of commands with latency information being retrieved.",
            ..server_row(
                "latency|histogram",
                -2,
                ADMIN,
                "7.0.0",
                "How long commands take",
                histogram,
            )
        },
        server_row(
            "latency|help",
            2,
            Flags::LOADING.with(Flags::STALE),
            "2.8.13",
            "What LATENCY can do",
            latency_help,
        ),
    ],
    ..server_row("latency", -2, Flags(0), "2.8.13", "Commands about latency", help::bare_container)
}];

fn latest(
    core: &mut Core,
    conn: &mut Connection,
    _args: Args<'_>,
    out: &mut Vec<u8>,
) -> Result<Step, CommandError> {
    let all = core.shared.latency.all();
    let mut reply = Reply::new(out, conn.session.resp3);
    reply.array(all.len());
    for (event, series) in all {
        let last = series.samples.back();
        reply.array(4);
        reply.bulk(event.name().as_bytes());
        reply.int(last.map_or(0, |sample| sample.time_s));
        reply.int(last.map_or(0, |sample| sample.ms as i64));
        reply.int(series.longest_ms as i64);
    }
    Ok(Step::Reply)
}

fn history(
    core: &mut Core,
    conn: &mut Connection,
    args: Args<'_>,
    out: &mut Vec<u8>,
) -> Result<Step, CommandError> {
    let series = Event::find(args.get(2)).and_then(|event| core.shared.latency.series(event));
    let samples = series.map(|series| series.samples).unwrap_or_default();
    let mut reply = Reply::new(out, conn.session.resp3);
    reply.array(samples.len());
    for sample in samples {
        reply.array(2);
        reply.int(sample.time_s);
        reply.int(sample.ms as i64);
    }
    Ok(Step::Reply)
}

fn reset(
    core: &mut Core,
    conn: &mut Connection,
    args: Args<'_>,
    out: &mut Vec<u8>,
) -> Result<Step, CommandError> {
    let monitor = &core.shared.latency;
    let forgotten = match args.len() {
        2 => Event::ALL.into_iter().filter(|event| monitor.reset(*event)).count(),
        _ => {
            let named = args.iter_from(2).filter_map(Event::find);
            named.filter(|event| monitor.reset(*event)).count()
        }
    };
    Reply::new(out, conn.session.resp3).int(forgotten as i64);
    Ok(Step::Reply)
}

fn graph_of(
    core: &mut Core,
    conn: &mut Connection,
    args: Args<'_>,
    out: &mut Vec<u8>,
) -> Result<Step, CommandError> {
    let event = Event::find(args.get(2));
    let found = event.and_then(|event| Some((event, core.shared.latency.series(event)?)));
    let (event, series) = found.ok_or_else(|| {
        let name = String::from_utf8_lossy(args.get(2));
        CommandError::owned(format!("ERR No samples available for event '{name}'"))
    })?;
    let picture = graph::draw(event, &series, core.now_ms / 1000);
    Reply::new(out, conn.session.resp3).verbatim("txt", picture.as_bytes());
    Ok(Step::Reply)
}

fn doctor_report(
    core: &mut Core,
    conn: &mut Connection,
    _args: Args<'_>,
    out: &mut Vec<u8>,
) -> Result<Step, CommandError> {
    let text = doctor::report(&core.shared.latency.all(), &core.live, core.now_ms / 1000);
    Reply::new(out, conn.session.resp3).verbatim("txt", text.as_bytes());
    Ok(Step::Reply)
}

fn histogram(
    _core: &mut Core,
    _conn: &mut Connection,
    _args: Args<'_>,
    _out: &mut Vec<u8>,
) -> Result<Step, CommandError> {
    Ok(Step::Everywhere(Task::Histograms))
}

/// LATENCY HISTOGRAM's reply, once every core has published its histograms.
pub fn join_histograms(core: &Core, conn: &Connection, args: Args<'_>, out: &mut Vec<u8>) {
    let reports: Vec<timings::Report> =
        core.shared.cores.iter().map(|cell| cell.report().commands.clone()).collect();
    let all = timings::sum_histograms(reports.iter());
    let wanted: Vec<&(u16, Histogram<u64>)> = match args.len() {
        2 => all.iter().collect(),
        _ => args.iter_from(2).flat_map(|name| all.iter().filter(|h| is_of(h.0, name))).collect(),
    };
    let mut reply = Reply::new(out, conn.session.resp3);
    reply.map(wanted.len());
    for (id, histogram) in wanted {
        let steps = distribution(histogram);
        reply.bulk(table::names()[*id as usize].as_bytes());
        reply.map(2);
        reply.bulk(b"calls");
        reply.int(histogram.len() as i64);
        reply.bulk(b"histogram_usec");
        reply.map(steps.len());
        for (us, count) in steps {
            reply.int(us as i64);
            reply.int(count as i64);
        }
    }
}

/// True when the command of that number is the one named, or one of its sub-commands.
fn is_of(id: u16, name: &[u8]) -> bool {
    let full = table::names()[id as usize].as_bytes();
    let is_same = |part: &[u8]| part.eq_ignore_ascii_case(name);
    is_same(full) || full.split(|&b| b == b'|').next().is_some_and(is_same)
}

fn latency_help(
    _core: &mut Core,
    conn: &mut Connection,
    _args: Args<'_>,
    out: &mut Vec<u8>,
) -> Result<Step, CommandError> {
    let lines = [
        "DOCTOR",
        "    Return a human readable latency analysis report.",
        "GRAPH <event>",
        "    Return an ASCII latency graph for the <event> class.",
        "HISTORY <event>",
        "    Return time-latency samples for the <event> class.",
        "LATEST",
        "    Return the latest latency samples for all events.",
        "RESET [<event> ...]",
        "    Reset latency data of one or more <event> classes.",
        "    (default: reset all data for all event classes)",
        "HISTOGRAM [COMMAND ...]",
        "    Return a cumulative distribution of latencies in the format of a histogram for the specified command names.",
        "    If no commands are specified then all histograms are replied.",
    ];
    help::write("LATENCY", &lines, conn, out);
    Ok(Step::Reply)
}
