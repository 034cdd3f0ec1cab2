//! Sections about commands: how often, how long, with which errors.

use super::{Facts, Fields};
use crate::dispatch::table;

pub(super) fn calls(fields: &mut Fields, facts: Facts<'_>) {
    for (name, totals) in table::names().iter().zip(facts.totals) {
        if totals.calls == 0 && totals.rejected == 0 && totals.failed == 0 {
            continue;
        }
        let us = totals.ns / 1000;
        fields.add(
            &format!("cmdstat_{name}"),
            format_args!(
                "calls={},usec={us},usec_per_call={:.2},rejected_calls={},failed_calls={}",
                totals.calls,
                totals.ns as f64 / 1000.0 / totals.calls.max(1) as f64,
                totals.rejected,
                totals.failed
            ),
        );
    }
}

pub(super) fn errors(fields: &mut Fields, facts: Facts<'_>) {
    for (code, count) in facts.errors.sorted() {
        // Programs take the text up to the colon for the name.
        let code: String =
            code.chars().map(|c| if "#:\n\r".contains(c) { '_' } else { c }).collect();
        fields.add(&format!("errorstat_{code}"), format_args!("count={count}"));
    }
}

pub(super) fn latencies(fields: &mut Fields, facts: Facts<'_>) {
    for (id, histogram) in facts.histograms {
        let percentiles = facts.config.latency_tracking_info_percentiles.iter().map(|p| {
            let us = histogram.value_at_percentile(p.percent()) as f64 / 1000.0;
            format!("p{p}={us:.3}")
        });
        let name = table::names()[*id as usize];
        fields.add(
            &format!("latency_percentiles_usec_{name}"),
            percentiles.collect::<Vec<_>>().join(","),
        );
    }
}
