//! Spikes: when something took longer than `latency-monitor-threshold`, and how long.
//!
//! Per kind of event a ring of the last samples, one per second (the worst of it), as in Redis.
//! One table of all shards behind a lock that only spikes and LATENCY take.

use std::{
    collections::{BTreeMap, VecDeque},
    sync::{Mutex, MutexGuard, PoisonError},
};

/// Samples kept of one event.
const SAMPLES_MAX: usize = 160;

/// What can take long.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Event {
    /// A command.
    Command,
    /// A command that should take hardly any time.
    FastCommand,
    /// A sync of a shard's log.
    AofFsync,
    /// A write to a shard's log.
    AofWrite,
    /// A round of active expiry.
    ExpireCycle,
    /// A round of eviction.
    EvictionCycle,
    /// A parcel of commands to another shard, until its answers are back.
    Hop,
}

impl Event {
    /// Every event.
    pub const ALL: [Event; 7] = [
        Event::Command,
        Event::FastCommand,
        Event::AofFsync,
        Event::AofWrite,
        Event::ExpireCycle,
        Event::EvictionCycle,
        Event::Hop,
    ];

    /// The name in LATENCY.
    pub fn name(self) -> &'static str {
        match self {
            Event::Command => "command",
            Event::FastCommand => "fast-command",
            Event::AofFsync => "aof-fsync",
            Event::AofWrite => "aof-write",
            Event::ExpireCycle => "expire-cycle",
            Event::EvictionCycle => "eviction-cycle",
            Event::Hop => "hop",
        }
    }

    /// The event of that name.
    pub fn find(name: &[u8]) -> Option<Event> {
        Event::ALL.into_iter().find(|event| event.name().as_bytes() == name)
    }
}

/// The worst of one second.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Sample {
    /// The second, Unix time.
    pub time_s: i64,
    /// How long it took, ms.
    pub ms: u64,
}

/// What is known of one event.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Series {
    /// Oldest first.
    pub samples: VecDeque<Sample>,
    /// Longest since the last reset, ms.
    pub longest_ms: u64,
}

impl Series {
    fn add(&mut self, sample: Sample) {
        self.longest_ms = self.longest_ms.max(sample.ms);
        if let Some(last) = self.samples.back_mut()
            && last.time_s == sample.time_s
        {
            last.ms = last.ms.max(sample.ms);
            return;
        }
        if self.samples.len() == SAMPLES_MAX {
            self.samples.pop_front();
        }
        self.samples.push_back(sample);
    }
}

/// The table.
#[derive(Debug, Default)]
pub struct Monitor(Mutex<BTreeMap<Event, Series>>);

impl Monitor {
    fn lock(&self) -> MutexGuard<'_, BTreeMap<Event, Series>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Notes that an event took that long.
    pub fn add(&self, event: Event, sample: Sample) {
        self.lock().entry(event).or_default().add(sample);
    }

    /// What is known of an event; nothing if it never took long.
    pub fn series(&self, event: Event) -> Option<Series> {
        self.lock().get(&event).cloned()
    }

    /// Everything known.
    pub fn all(&self) -> Vec<(Event, Series)> {
        self.lock().iter().map(|(event, series)| (*event, series.clone())).collect()
    }

    /// Forgets an event; true if something was known of it.
    pub fn reset(&self, event: Event) -> bool {
        self.lock().remove(&event).is_some()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_second_is_remembered_by_its_worst_and_the_oldest_are_forgotten() {
        let monitor = Monitor::default();
        for (time_s, ms) in [(1, 5), (2, 7), (2, 9), (2, 8)] {
            monitor.add(Event::Hop, Sample { time_s, ms });
        }
        let series = monitor.series(Event::Hop).unwrap();
        let samples: Vec<_> = series.samples.iter().map(|s| (s.time_s, s.ms)).collect();
        assert_eq!((samples.as_slice(), series.longest_ms), (&[(1, 5), (2, 9)][..], 9));
        for time_s in 0..400 {
            monitor.add(Event::Hop, Sample { time_s, ms: 1 });
        }
        let series = monitor.series(Event::Hop).unwrap();
        assert_eq!((series.samples.len(), series.samples[0].time_s), (160, 240));
        assert_eq!(series.longest_ms, 9);
        assert!(monitor.reset(Event::Hop) && !monitor.reset(Event::Hop));
    }

    #[test]
    fn events_are_found_by_their_names() {
        for event in Event::ALL {
            assert_eq!(Event::find(event.name().as_bytes()), Some(event));
        }
        assert_eq!(Event::find(b"fork"), None);
    }
}
