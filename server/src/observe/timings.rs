//! How often each command runs on one core and how long it takes.
//!
//! Plain numbers owned by the core; readers get copies ([`Report`]). The clock is read once per
//! command: the end of one is the start of the next, so a command's time includes its parsing.
//! One comparison finds the slow ones, whatever is to be done about them.

use super::ticks::Ticks;
use hdrhistogram::Histogram;
use std::time::Duration;

/// Shortest and longest time a histogram tells apart, ns, and its digits: Redis' own.
const HISTOGRAM_NS: (u64, u64) = (1, 1_000_000_000);
const HISTOGRAM_DIGITS: u8 = 2;
/// First bound of a distribution, ns; each next one is twice as high.
const FIRST_BOUND_NS: u64 = 1024;

/// Steps that a doubling of ticks is divided into: a duration is known to 1.6 %.
const STEPS: usize = 64;
/// Ticks from which on durations are no longer told apart: longer than the histogram's longest.
const TICKS_MAX: u64 = 1 << 36;
/// Counters up to there: below two doublings of steps every tick has its own.
const COUNTERS: usize = counter_of(TICKS_MAX - 1) + 1;

/// The counter of a duration: its top seven bits and how far they are shifted.
#[inline]
const fn counter_of(ticks: u64) -> usize {
    let ticks = if ticks < TICKS_MAX { ticks } else { TICKS_MAX - 1 };
    let shift = (u64::BITS - STEPS.ilog2() - 1).saturating_sub((ticks | 1).leading_zeros());
    shift as usize * STEPS + (ticks >> shift) as usize
}

/// A duration in the middle of what this counter counts, ticks.
const fn ticks_of(counter: usize) -> u64 {
    let shift = (counter / STEPS).saturating_sub(1);
    let lowest = ((counter - shift * STEPS) as u64) << shift;
    lowest + (1 << shift) / 2
}

/// What is counted of one command.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Totals {
    /// Executions.
    pub calls: u64,
    /// Time they took, ns.
    pub ns: u64,
    /// Refused before execution.
    pub rejected: u64,
    /// Executions that ended in an error.
    pub failed: u64,
}

impl Totals {
    /// Adds another core's.
    pub fn add(&mut self, other: Totals) {
        self.calls += other.calls;
        self.ns += other.ns;
        self.rejected += other.rejected;
        self.failed += other.failed;
    }
}

#[derive(Debug, Default)]
struct Command {
    calls: u64,
    ticks: u64,
    rejected: u64,
    failed: u64,
    /// Calls by duration, made by the command's first call while tracking is on. Ticks, and not
    /// yet the histogram that is shown: a call must cost a shift and an addition.
    durations: Option<Box<[u64; COUNTERS]>>,
}

/// The commands of one core.
#[derive(Debug)]
pub struct Timings {
    clock: Ticks,
    last: u64,
    /// Ticks from which on a command is slow.
    slow: u64,
    is_tracking: bool,
    commands: Box<[Command]>,
}

/// A copy of one core's figures.
#[derive(Debug, Default, Clone)]
pub struct Report {
    /// Totals by number of the command.
    pub totals: Vec<Totals>,
    /// Histograms of those that have one.
    pub histograms: Vec<(u16, Histogram<u64>)>,
}

impl Timings {
    /// For that many commands.
    pub fn new(commands: usize) -> Self {
        let clock = Ticks::new();
        Self {
            clock,
            last: clock.read(),
            slow: u64::MAX,
            is_tracking: true,
            commands: (0..commands).map(|_| Command::default()).collect(),
        }
    }

    /// Takes over settings: from which duration on a command is slow (`None`: never), and
    /// whether histograms are kept.
    pub fn set(&mut self, slow: Option<Duration>, is_tracking: bool) {
        self.slow = slow.map_or(u64::MAX, |slow| self.clock.of_ns(slow.as_nanos() as u64));
        self.is_tracking = is_tracking;
    }

    /// What comes next starts now.
    #[inline]
    pub fn start(&mut self) {
        self.last = self.clock.read();
    }

    /// Ticks since the last start or end; the next command starts now.
    #[inline]
    pub fn lap(&mut self) -> u64 {
        let now = self.clock.read();
        let ticks = now.saturating_sub(self.last);
        self.last = now;
        ticks
    }

    /// When what runs now has started, in ticks: for what consists of other commands.
    #[inline]
    pub fn begun(&self) -> u64 {
        self.last
    }

    /// Ticks since then; the next command starts now.
    #[inline]
    pub fn since(&mut self, begun: u64) -> u64 {
        self.last = self.clock.read();
        self.last.saturating_sub(begun)
    }

    /// Ticks as nanoseconds.
    pub fn to_ns(&self, ticks: u64) -> u64 {
        self.clock.to_ns(ticks)
    }

    /// Counts an execution; true when it was slow.
    #[inline]
    pub fn executed(&mut self, id: u16, ticks: u64) -> bool {
        let command = &mut self.commands[id as usize];
        command.calls += 1;
        command.ticks += ticks;
        if self.is_tracking {
            match command.durations.as_mut() {
                Some(durations) => durations[counter_of(ticks)] += 1,
                None => command.begin_durations(ticks),
            }
        }
        ticks >= self.slow
    }

    /// Counts an execution that ended in an error.
    #[cold]
    pub fn failed(&mut self, id: u16) {
        self.commands[id as usize].failed += 1;
    }

    /// Counts a refusal.
    #[cold]
    pub fn rejected(&mut self, id: u16) {
        self.commands[id as usize].rejected += 1;
    }

    /// Forgets everything.
    pub fn reset(&mut self) {
        self.commands.iter_mut().for_each(|command| *command = Command::default());
    }

    fn histogram(&self, durations: &[u64; COUNTERS]) -> Option<Histogram<u64>> {
        let (low, high) = HISTOGRAM_NS;
        let mut histogram = Histogram::new_with_bounds(low, high, HISTOGRAM_DIGITS).ok()?;
        for (counter, calls) in durations.iter().enumerate().filter(|(_, calls)| **calls > 0) {
            let ns = self.clock.to_ns(ticks_of(counter)).clamp(low, high);
            histogram.saturating_record_n(ns, *calls);
        }
        Some(histogram)
    }

    /// Copies the figures; `histograms` too if they are wanted.
    pub fn report(&self, report: &mut Report, histograms: bool) {
        let totals = |command: &Command| Totals {
            calls: command.calls,
            ns: self.clock.to_ns(command.ticks),
            rejected: command.rejected,
            failed: command.failed,
        };
        report.totals = self.commands.iter().map(totals).collect();
        if histograms {
            let of = |(id, command): (usize, &Command)| {
                Some((id as u16, self.histogram(command.durations.as_deref()?)?))
            };
            report.histograms = self.commands.iter().enumerate().filter_map(of).collect();
        }
    }
}

impl Command {
    #[cold]
    fn begin_durations(&mut self, ticks: u64) {
        let durations = self.durations.insert(Box::new([0; COUNTERS]));
        durations[counter_of(ticks)] += 1;
    }
}

/// The totals of all cores, by number of the command.
pub fn sum_totals<'a>(reports: impl Iterator<Item = &'a Report>) -> Vec<Totals> {
    let mut sums: Vec<Totals> = Vec::new();
    for report in reports {
        sums.resize(sums.len().max(report.totals.len()), Totals::default());
        for (sum, totals) in sums.iter_mut().zip(&report.totals) {
            sum.add(*totals);
        }
    }
    sums
}

/// The histograms of all cores, by number of the command.
pub fn sum_histograms<'a>(reports: impl Iterator<Item = &'a Report>) -> Vec<(u16, Histogram<u64>)> {
    let mut sums: Vec<(u16, Histogram<u64>)> = Vec::new();
    for (id, histogram) in reports.flat_map(|report| &report.histograms) {
        match sums.binary_search_by_key(id, |(known, _)| *known) {
            // All are made alike, so adding cannot fail.
            Ok(at) => sums[at].1.add(histogram).unwrap_or_default(),
            Err(at) => sums.insert(at, (*id, histogram.clone())),
        }
    }
    sums
}

/// A histogram as LATENCY HISTOGRAM shows it: upper bounds in us, and how many calls took no
/// longer; bounds that add no call are left out.
pub fn distribution(histogram: &Histogram<u64>) -> Vec<(u64, u64)> {
    let mut shown = Vec::new();
    let (mut bound, mut count) = (FIRST_BOUND_NS, 0);
    while count < histogram.len() {
        let upper = histogram.highest_equivalent(bound);
        let below = if bound > HISTOGRAM_NS.1 {
            histogram.len()
        } else {
            histogram.count_between(0, upper)
        };
        if below > count {
            shown.push((upper / 1000, below));
        }
        count = below;
        bound *= 2;
    }
    shown
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn calls_are_counted_timed_and_told_apart_by_their_duration() {
        let mut timings = Timings::new(3);
        let ticks = |timings: &Timings, us: u64| timings.clock.of_ns(us * 1000);
        assert!(!timings.executed(1, u64::MAX >> 20), "nothing is slow before a threshold is set");
        timings.reset();
        timings.set(Some(Duration::from_micros(500)), true);
        for us in [1, 1, 3, 20, 499] {
            let ticks = ticks(&timings, us);
            assert!(!timings.executed(1, ticks), "{us} us");
        }
        assert!(timings.executed(2, ticks(&timings, 501)));
        timings.failed(2);
        timings.rejected(0);
        timings.set(Some(Duration::ZERO), false);
        assert!(timings.executed(0, 0), "at threshold 0 everything is slow");
        let mut report = Report::default();
        timings.report(&mut report, true);
        let mut other = report.clone();
        other.totals.truncate(2);
        let both = [report, other];
        let sums = sum_totals(both.iter());
        assert_eq!((sums[1].calls, sums[1].failed), (10, 0));
        assert!((1_040_000..1_050_000).contains(&sums[1].ns), "{}", sums[1].ns);
        assert_eq!((sums[2].calls, sums[2].failed, sums[0].rejected), (1, 1, 2));
        let histograms = sum_histograms(both.iter());
        let ids: Vec<u16> = histograms.iter().map(|(id, _)| *id).collect();
        assert_eq!(ids, [1, 2], "no histogram of what was not tracked");
        assert_eq!(distribution(&histograms[0].1), [(1, 4), (4, 6), (33, 8), (528, 10)]);
    }

    #[test]
    fn every_duration_is_counted_near_itself() {
        for ticks in (0..300).chain((9..36).flat_map(|n| [(1 << n) - 1, 1 << n, (1 << n) * 3 / 2]))
        {
            let shown = ticks_of(counter_of(ticks));
            let error = shown.abs_diff(ticks);
            assert!(error * 100 <= ticks, "{ticks} shown as {shown}");
        }
        assert_eq!(counter_of(u64::MAX) + 1, COUNTERS);
    }

    #[test]
    fn times_beyond_the_histogram_count_as_its_longest() {
        let mut timings = Timings::new(1);
        timings.executed(0, timings.clock.of_ns(90_000_000_000));
        let mut report = Report::default();
        timings.report(&mut report, true);
        assert_eq!(distribution(&report.histograms[0].1).last().map(|(_, n)| *n), Some(1));
    }
}
