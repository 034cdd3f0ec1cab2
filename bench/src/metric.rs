//! What is measured, with its unit, and how to print it.

/// A measured quantity.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Metric {
    /// Replies per second, all roles.
    OpsPerSecond,
    /// Latency, us: half of the replies were as fast.
    P50,
    /// Latency, us.
    P99,
    /// Latency, us.
    P999,
    /// Latency, us: the longest.
    Max,
    /// GETs and the like that found something, percent.
    HitPercent,
    /// Requests of an open loop that were due and got no reply.
    Unanswered,
    /// CPU of the server's process per reply, us.
    CpuPerOp,
    /// CPU of the server's process, share of one core, percent.
    CpuPercent,
    /// Resident memory at the end, MiB.
    RssMib,
    /// Growth of resident memory per key, bytes.
    BytesPerKey,
}

impl Metric {
    /// In the order of the table's columns.
    pub const ALL: [Self; 11] = [
        Self::OpsPerSecond,
        Self::P50,
        Self::P99,
        Self::P999,
        Self::Max,
        Self::HitPercent,
        Self::Unanswered,
        Self::CpuPerOp,
        Self::CpuPercent,
        Self::RssMib,
        Self::BytesPerKey,
    ];

    /// The head of its column, unit included.
    pub fn title(self) -> &'static str {
        match self {
            Self::OpsPerSecond => "ops/s",
            Self::P50 => "p50 us",
            Self::P99 => "p99 us",
            Self::P999 => "p99.9 us",
            Self::Max => "max us",
            Self::HitPercent => "hits %",
            Self::Unanswered => "unanswered",
            Self::CpuPerOp => "CPU us/op",
            Self::CpuPercent => "CPU %",
            Self::RssMib => "RSS MiB",
            Self::BytesPerKey => "B/key",
        }
    }

    /// Its name in JSON.
    pub fn json_name(self) -> &'static str {
        match self {
            Self::OpsPerSecond => "ops_per_second",
            Self::P50 => "p50_us",
            Self::P99 => "p99_us",
            Self::P999 => "p999_us",
            Self::Max => "max_us",
            Self::HitPercent => "hit_percent",
            Self::Unanswered => "unanswered",
            Self::CpuPerOp => "cpu_us_per_op",
            Self::CpuPercent => "cpu_percent",
            Self::RssMib => "rss_mib",
            Self::BytesPerKey => "bytes_per_key",
        }
    }

    /// True when more is better.
    pub fn more_is_better(self) -> bool {
        matches!(self, Self::OpsPerSecond | Self::HitPercent)
    }

    /// A value with as many digits as it is worth.
    pub fn show(self, value: f64) -> String {
        match self {
            Self::OpsPerSecond
            | Self::P50
            | Self::P99
            | Self::P999
            | Self::Max
            | Self::Unanswered => format!("{value:.0}"),
            Self::CpuPerOp | Self::CpuPercent => format!("{value:.2}"),
            Self::RssMib | Self::BytesPerKey | Self::HitPercent => format!("{value:.1}"),
        }
    }
}

/// The middle value; of an even number, the mean of the two in the middle. 0 of nothing.
pub fn median(values: &[f64]) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    match sorted.len() {
        0 => 0.0,
        n if n % 2 == 1 => sorted[n / 2],
        n => f64::midpoint(sorted[n / 2 - 1], sorted[n / 2]),
    }
}

#[cfg(test)]
mod tests {
    use super::median;

    #[test]
    fn a_median_is_in_the_middle() {
        assert_eq!(median(&[3.0, 1.0, 2.0]), 2.0);
        assert_eq!(median(&[4.0, 1.0, 2.0, 3.0]), 2.5);
        assert_eq!(median(&[]), 0.0);
    }
}
