//! What the tools print, as they printed it, and what they cannot do.

use std::slice::from_ref;

use super::*;
use crate::load::{Mix, Template};

/// memtier_benchmark 2.x, `--ratio 1:1 --print-percentiles 50,99,99.9,100`.
const MEMTIER: &str = "\
1         Threads
5         Connections per thread
1         Seconds


ALL STATS
========================================================================================
Type         Ops/sec     Hits/sec   Misses/sec    Avg. Latency     p50 Latency     p99 Latency   p99.9 Latency    p100 Latency       KB/sec 
----------------------------------------------------------------------------------------
Sets        30310.03          ---          ---         0.08283         0.08700         0.17500         0.41500         1.10300      2068.96 
Gets        30309.03     25520.76      4788.27         0.08242         0.08700         0.17500         0.45500         0.90300      1761.72 
Waits           0.00          ---          ---             ---             ---             ---             ---             ---          --- 
Totals      60619.06     25520.76      4788.27         0.08262         0.08700         0.17500         0.43900         1.10300      3830.69 
";
const MEMTIER_ERR: &str = "\
[RUN #1] Preparing benchmark client...\n\
server 127.0.0.1:7350 handle error response: -OOM command not allowed.\n\
server 127.0.0.1:7350 handle error response: -OOM again.\n\
[RUN #1 97%,   0 secs]  1 threads  5 conns:       60636 ops,   60632 (avg:   60632) ops/sec, \
3.74MB/sec\r[RUN #1 100%,   1 secs]  0 threads  5 conns:       60641 ops,   60632 (avg:   60619) \
ops/sec, 3.74MB/sec (avg: 3.74MB/sec),  0.08 (avg:  0.08) msec latency\n";

#[test]
fn memtiers_columns_are_found_by_their_heads() {
    let reported = read_memtier(MEMTIER, MEMTIER_ERR).expect("a report");
    assert_eq!(reported.ops_per_second, 60619.06);
    assert_eq!(reported.replies, 60641.0);
    assert_eq!(reported.p50_us, Some(87.0));
    assert_eq!(reported.p99_us, Some(175.0));
    assert_eq!(reported.p999_us, Some(439.0));
    assert_eq!(reported.max_us, Some(1103.0));
    assert!(reported.hit_percent.is_some_and(|p| (84.0..85.0).contains(&p)));
    assert_eq!(reported.errors, 2);
    assert_eq!(reported.first_error.as_deref(), Some("OOM command not allowed."));
}

#[test]
fn older_memtier_without_a_percentile_leaves_it_out() {
    let older = "Type  Ops/sec  Hits/sec  Misses/sec  Avg. Latency  p50 Latency  KB/sec\n\
                 Totals  10.5  0.00  0.00  0.3  0.25  7.0\n";
    let reported = read_memtier(older, "").expect("a report");
    assert_eq!((reported.ops_per_second, reported.p50_us), (10.5, Some(250.0)));
    assert_eq!((reported.p99_us, reported.hit_percent, reported.errors), (None, None, 0));
    assert_eq!(read_memtier("connection refused\n", ""), None);
}

#[test]
fn redis_benchmarks_columns_count_from_the_right() {
    let csv = "\"test\",\"rps\",\"avg_latency_ms\",\"min_latency_ms\",\"p50_latency_ms\",\
        \"p95_latency_ms\",\"p99_latency_ms\",\"max_latency_ms\"\n\
        \"SET key:__rand_int__ \",\",x\",\"142857.14\",\"0.024\",\"0.000\",\"0.023\",\"0.039\",\
        \"0.095\",\"0.151\"\n";
    let reported = read_redis_benchmark(csv, 7.0).expect("a report");
    assert_eq!((reported.ops_per_second, reported.replies), (142_857.14, 7.0));
    assert_eq!((reported.p50_us, reported.p99_us), (Some(23.0), Some(95.0)));
    assert_eq!(reported.max_us, Some(151.0));
    assert_eq!(read_redis_benchmark("\"test\",\"rps\"\n", 7.0), None);
}

fn role(verbs: &[(&str, u32)], order: Order) -> Role {
    let part = |&(name, weight): &(&str, u32)| {
        (Template::parse(named(name).expect("a verb").template).expect("a template"), weight)
    };
    Role {
        connections: 1,
        pipeline: 1,
        mix: Mix::new(verbs.iter().map(part).collect()).expect("weights"),
        keys: Keys::new(10, order),
        value_bytes: 1,
        rate: None,
    }
}

#[test]
fn what_a_tool_cannot_do_is_said_and_left_to_our_own() {
    let mixed = role(&[("set", 1), ("get", 4)], Order::Zipf(0.9));
    assert_eq!(ratio(&mixed).as_deref(), Some("1:4"));
    assert_eq!(LoadTool::Memtier.can_drive(from_ref(&mixed)), Ok(()));
    assert!(LoadTool::RedisBenchmark.can_drive(from_ref(&mixed)).is_err());
    let incr = role(&[("incr", 1)], Order::Uniform);
    assert!(LoadTool::Memtier.can_drive(from_ref(&incr)).is_err());
    assert_eq!(LoadTool::RedisBenchmark.can_drive(from_ref(&incr)), Ok(()));
    let open = Role { rate: Some(1.0), ..role(&[("get", 1)], Order::Uniform) };
    for tool in [LoadTool::Memtier, LoadTool::RedisBenchmark] {
        assert!(tool.can_drive(&[incr.clone(), incr.clone()]).is_err());
        let why = tool.can_drive(from_ref(&open)).expect_err("no open loop");
        assert!(why.contains("open loop"), "{why}");
        assert_eq!(tool.for_load(from_ref(&open)), LoadTool::Own);
    }
}
