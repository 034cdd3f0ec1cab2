//! LATENCY DOCTOR: what the spikes look like, and what to do about them.

use super::latency::{Event, Series};
use crate::config::Config;
use std::fmt::Write as _;

/// The report, seen at the second `now_s`.
pub fn report(all: &[(Event, Series)], config: &Config, now_s: i64) -> String {
    if all.is_empty() {
        return if config.latency_monitor_threshold == 0 {
            "Latency monitoring is off. Use CONFIG SET latency-monitor-threshold <milliseconds> \
             to have everything noted that takes at least so long.\n"
                .to_owned()
        } else {
            "No latency spike has been observed since the monitor was switched on or reset.\n"
                .to_owned()
        };
    }
    let mut text = "Latency spikes have been observed:\n\n".to_owned();
    let mut advice: Vec<String> = Vec::new();
    for (number, (event, series)) in all.iter().enumerate() {
        describe(number + 1, *event, series, now_s, &mut text);
        for line in advice_for(*event, config) {
            if !advice.contains(&line) {
                advice.push(line);
            }
        }
    }
    text.push_str("\nWhat may help:\n\n");
    for line in advice {
        // Writing to a String cannot fail.
        let _ = writeln!(text, "- {line}");
    }
    text
}

fn describe(number: usize, event: Event, series: &Series, now_s: i64, text: &mut String) {
    let count = series.samples.len().max(1) as f64;
    let values = || series.samples.iter().map(|sample| sample.ms as f64);
    let average = values().sum::<f64>() / count;
    let deviation = values().map(|ms| (ms - average).abs()).sum::<f64>() / count;
    let first = series.samples.front().map_or(now_s, |sample| sample.time_s);
    let period = (now_s - first).max(0) as f64 / count;
    let _ = writeln!(
        text,
        "{number}. {}: {} latency spikes (average {average:.0}ms, mean deviation \
         {deviation:.0}ms, period {period:.2} sec). Worst all time event {}ms.",
        event.name(),
        series.samples.len(),
        series.longest_ms
    );
}

fn advice_for(event: Event, config: &Config) -> Vec<String> {
    let text = str::to_owned;
    match event {
        Event::Command => {
            let slower_than = config.slowlog_log_slower_than;
            let threshold = config.latency_monitor_threshold;
            let mut lines = Vec::new();
            if slower_than < 0 {
                lines.push(format!(
                    "The slow log is off: CONFIG SET slowlog-log-slower-than {} shows which \
                     commands take so long.",
                    threshold.max(1) * 1000
                ));
            } else if slower_than / 1000 > threshold {
                lines.push(format!(
                    "The slow log misses some of these spikes: CONFIG SET \
                     slowlog-log-slower-than {} notes them all.",
                    threshold.max(1) * 1000
                ));
            }
            lines.push(text(
                "SLOWLOG GET lists the commands. A slow one holds up its shard alone; prefer \
                 SCAN to KEYS, and many small values to one large.",
            ));
            lines
        }
        Event::FastCommand => vec![text(
            "Commands that take microseconds took milliseconds: the shard's thread was not \
             running. Give every shard a CPU of its own (see cpu= in INFO shards) and keep other \
             programs off it; in a virtual machine look for steal time.",
        )],
        Event::AofFsync => vec![
            text(
                "Syncs are as slow as the disk makes them: use a local disk with a protected \
                 write cache, and keep other writers off it. INFO shards has each shard's \
                 distribution.",
            ),
            text(
                "Only replies under appendfsync always wait for a sync; appendfsync-shard sets \
                 it for the shards that need it.",
            ),
        ],
        Event::AofWrite => vec![text(
            "Writes to the log wait for the page cache: the disk does not keep up with what is \
             written. Look at the kernel's vm.dirty_bytes and vm.dirty_background_bytes, and at \
             other writers on the disk.",
        )],
        Event::ExpireCycle => vec![format!(
            "Many keys expire at the same time. Spread their deadlines, or raise hz (now {}) so \
             that rounds are shorter.",
            config.hz
        )],
        Event::EvictionCycle => vec![text(
            "Memory is full and much is evicted at a time: raise maxmemory, or have writers \
             come in a steadier stream.",
        )],
        Event::Hop => vec![text(
            "Commands wait for other shards: a slow command there, or a CPU that is shared. \
             Clients that keep related keys in one hash tag need fewer hops.",
        )],
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::observe::latency::Sample;

    #[test]
    fn the_report_has_figures_and_an_advice_for_every_event() {
        let config = Config { latency_monitor_threshold: 5, ..Config::default() };
        let sample = |time_s, ms| Sample { time_s, ms };
        let series = Series { samples: [sample(80, 10), sample(90, 30)].into(), longest_ms: 70 };
        let all: Vec<_> = Event::ALL.iter().map(|event| (*event, series.clone())).collect();
        let text = report(&all, &config, 100);
        for event in Event::ALL {
            assert!(text.contains(&format!(". {}: 2 latency spikes", event.name())), "{text}");
            assert!(!advice_for(event, &config).is_empty());
        }
        let figures = "(average 20ms, mean deviation 10ms, period 10.00 sec). Worst all time \
                       event 70ms.";
        assert!(text.contains(figures), "{text}");
        assert!(text.contains("CONFIG SET slowlog-log-slower-than 5000"), "{text}");
        assert!(report(&[], &config, 100).starts_with("No latency spike"));
        assert!(report(&[], &Config::default(), 100).starts_with("Latency monitoring is off"));
    }
}
