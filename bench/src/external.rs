//! Other people's load generators, for a second opinion: memtier_benchmark and redis-benchmark,
//! as PATH finds them. They drive rows that have one role; what they print is read back.

use std::{io, net::SocketAddr, process::Command};

use clap::ValueEnum;

use crate::{
    load::{Role, Verb},
    system,
};

/// Who makes the load.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum LoadTool {
    /// The generator in this program.
    Own,
    /// memtier_benchmark
    Memtier,
    /// redis-benchmark
    RedisBenchmark,
}

/// What such a tool reported.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Reported {
    /// Replies per second.
    pub ops_per_second: f64,
    /// Replies in all.
    pub replies: f64,
    /// Latencies, us, where the tool says them: median, 99 %, 99.9 %.
    pub percentiles_us: [Option<f64>; 3],
}

fn run(command: &mut Command, cpu: usize) -> io::Result<String> {
    system::pin_command(command, cpu);
    let name = command.get_program().to_string_lossy().into_owned();
    let output = command
        .output()
        .map_err(|e| io::Error::new(e.kind(), format!("{name} does not start: {e}")))?;
    if !output.status.success() {
        let text = String::from_utf8_lossy(&output.stderr).into_owned();
        return Err(io::Error::other(format!("{name} failed: {text}")));
    }
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

/// Drives one role with memtier_benchmark for `seconds`.
///
/// # Errors
/// When the tool is missing, fails, prints something else, or has no such command.
pub fn memtier(addr: SocketAddr, role: &Role, seconds: u64, cpu: usize) -> io::Result<Reported> {
    let ratio = match role.verb {
        Verb::Get => "0:1",
        Verb::Set => "1:0",
        Verb::Incr | Verb::Mset => {
            return Err(io::Error::other("memtier_benchmark drives GET and SET rows only"));
        }
    };
    let mut command = Command::new("memtier_benchmark");
    command
        .args(["--server", &addr.ip().to_string(), "--port", &addr.port().to_string()])
        .args(["--threads", "1", "--clients", &role.connections.to_string()])
        .args(["--pipeline", &role.pipeline.to_string(), "--ratio", ratio])
        .args(["--data-size", &role.value_bytes.to_string(), "--key-pattern", "R:R"])
        .args(["--key-prefix", "key:", "--key-minimum", "1"])
        .args(["--key-maximum", &role.keys.to_string(), "--hide-histogram"])
        .args(["--print-percentiles", "50,99,99.9", "--test-time", &seconds.to_string()]);
    let text = run(&mut command, cpu)?;
    read_memtier(&text, seconds as f64)
        .ok_or_else(|| io::Error::other(format!("memtier_benchmark said:\n{text}")))
}

/// Reads the `Totals` line: ops/s, hits, misses, mean, then the percentiles in ms, then KB/s.
fn read_memtier(text: &str, seconds: f64) -> Option<Reported> {
    let line = text.lines().find(|l| l.starts_with("Totals"))?;
    let fields: Vec<f64> =
        line.split_ascii_whitespace().skip(1).map(|f| f.parse().unwrap_or(0.0)).collect();
    let percentile = |i: usize| fields.get(i).map(|ms| ms * 1000.0);
    let ops_per_second = *fields.first()?;
    Some(Reported {
        ops_per_second,
        replies: ops_per_second * seconds,
        percentiles_us: [percentile(4), percentile(5), percentile(6)],
    })
}

/// Drives one role with redis-benchmark, which wants a number of requests: about `seconds` long
/// at `expected_ops_per_second`.
///
/// # Errors
/// When the tool is missing, fails, or prints something else.
pub fn redis_benchmark(
    addr: SocketAddr,
    role: &Role,
    seconds: u64,
    expected_ops_per_second: f64,
    cpu: usize,
) -> io::Result<Reported> {
    let requests = (expected_ops_per_second * seconds as f64).max(1000.0) as u64;
    let mut command = Command::new("redis-benchmark");
    command
        .args(["-h", &addr.ip().to_string(), "-p", &addr.port().to_string(), "--csv"])
        .args(["-t", &role.verb.name().to_lowercase(), "-n", &requests.to_string()])
        .args(["-c", &role.connections.to_string(), "-P", &role.pipeline.to_string()])
        .args(["-d", &role.value_bytes.to_string(), "-r", &role.keys.to_string()]);
    let text = run(&mut command, cpu)?;
    read_redis_benchmark(&text, requests as f64)
        .ok_or_else(|| io::Error::other(format!("redis-benchmark said:\n{text}")))
}

/// Reads `"SET","rps","avg","min","p50","p95","p99","max"`, latencies in ms.
fn read_redis_benchmark(text: &str, replies: f64) -> Option<Reported> {
    let line = text.lines().rfind(|l| l.starts_with('"') && !l.starts_with("\"test\""))?;
    let fields: Vec<f64> =
        line.split("\",\"").skip(1).map(|f| f.trim_matches('"').parse().unwrap_or(0.0)).collect();
    let percentile = |i: usize| fields.get(i).map(|ms| ms * 1000.0);
    Some(Reported {
        ops_per_second: *fields.first()?,
        replies,
        percentiles_us: [percentile(3), percentile(5), None],
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_tools_print_is_read() {
        let memtier = "ALL STATS\nSets 1.00 ...\n\
            Totals     98765.43    10.00    20.00    0.51000    0.47900    1.25500    2.33500    8000.1\n";
        assert_eq!(
            read_memtier(memtier, 2.0),
            Some(Reported {
                ops_per_second: 98765.43,
                replies: 197_530.86,
                percentiles_us: [Some(479.0), Some(1255.0), Some(2335.0)]
            })
        );
        let csv = "\"test\",\"rps\",\"avg_latency_ms\",\"min_latency_ms\",\"p50_latency_ms\",\
            \"p95_latency_ms\",\"p99_latency_ms\",\"max_latency_ms\"\n\
            \"SET\",\"100000.00\",\"0.3\",\"0.1\",\"0.25\",\"0.5\",\"0.75\",\"1.5\"\n";
        assert_eq!(
            read_redis_benchmark(csv, 7.0),
            Some(Reported {
                ops_per_second: 100_000.0,
                replies: 7.0,
                percentiles_us: [Some(250.0), Some(750.0), None]
            })
        );
    }
}
