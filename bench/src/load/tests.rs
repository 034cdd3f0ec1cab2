//! The whole load generator against a server of a few lines, whose every reply is known.

use std::{
    io::{Read as _, Write as _},
    net::{SocketAddr, TcpListener},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use super::*;

/// Answers each PING (14 bytes) with `reply`; from `stall_at` requests on it once stays silent
/// for `stall`. Ends with its connections.
fn server(reply: &'static [u8], stall_at: u64, stall: Duration) -> (SocketAddr, Arc<AtomicU64>) {
    let listener = TcpListener::bind(("127.0.0.1", 0)).expect("a free port");
    let addr = listener.local_addr().expect("it is bound");
    let seen = Arc::new(AtomicU64::new(0));
    let counter = seen.clone();
    thread::spawn(move || {
        for stream in listener.incoming() {
            let (mut stream, seen) = (stream.expect("a client"), counter.clone());
            thread::spawn(move || {
                let (mut buffer, mut bytes) = ([0; 4096], 0);
                while let Ok(n @ 1..) = stream.read(&mut buffer) {
                    bytes += n;
                    for _ in 0..bytes / 14 {
                        if seen.fetch_add(1, Ordering::Relaxed) == stall_at {
                            thread::sleep(stall);
                        }
                        let _ = stream.write_all(reply);
                    }
                    bytes %= 14;
                }
            });
        }
    });
    (addr, seen)
}

fn pings(connections: usize, pipeline: usize, rate: Option<f64>) -> Role {
    let mix = Mix::of("ping").expect("a verb");
    Role { connections, pipeline, mix, keys: Keys::new(1, Order::Uniform), value_bytes: 0, rate }
}

#[test]
fn exactly_the_requests_asked_for_are_sent_whatever_the_threads() {
    for rate in [None, Some(50_000.0)] {
        let (addr, seen) = server(b"+PONG\r\n", u64::MAX, Duration::ZERO);
        let roles = [pings(5, 3, rate)];
        let mut boundaries = 0;
        let result = run(addr, &roles, Until::Requests(1000), &[None, None, None], || {
            boundaries += 1;
        })
        .expect("a load");
        assert_eq!((result.replies(), boundaries), (1000, 2), "{rate:?}");
        assert_eq!(result.roles[0].latency_ns.len(), 1000, "{rate:?}");
        assert_eq!(seen.load(Ordering::Relaxed), 1000, "{rate:?}");
    }
}

#[test]
fn errors_and_nulls_are_counted() {
    let (addr, _) = server(b"-ERR no\r\n", u64::MAX, Duration::ZERO);
    let result = run(addr, &[pings(2, 2, None)], Until::Requests(100), &[None], || {});
    let result = result.expect("a load");
    assert_eq!((result.roles[0].errors, result.first_error()), (100, Some("ERR no")));
    let (addr, _) = server(b"$-1\r\n", u64::MAX, Duration::ZERO);
    let result = run(addr, &[pings(2, 2, None)], Until::Requests(100), &[None], || {});
    assert_eq!(result.expect("a load").roles[0].nulls, 100);
}

#[test]
fn a_server_that_closes_is_an_error() {
    let listener = TcpListener::bind(("127.0.0.1", 0)).expect("a free port");
    let addr = listener.local_addr().expect("it is bound");
    thread::spawn(move || drop(listener.accept()));
    assert!(run(addr, &[pings(1, 1, None)], Until::Requests(10), &[None], || {}).is_err());
}

/// The server answers in microseconds but for one stall of half a second. In the open loop the
/// requests that were due during the stall have waited for its end: half of one second's
/// requests are late, a quarter by more than 250 ms. The closed loop hides it: one late reply.
#[test]
fn a_stall_is_seen_by_every_request_that_was_due() {
    let stall = Duration::from_millis(500);
    let (addr, _) = server(b"+PONG\r\n", 100, stall);
    let second = Until::Time { warm_up: Duration::ZERO, measured: Duration::from_secs(1) };
    let result = run(addr, &[pings(1, 1, Some(1000.0))], second, &[None], || {});
    let role = &result.expect("a load").roles[0];
    let quarter = role.latency_ns.count_between(250_000_000, u64::MAX);
    assert_eq!(role.latency_ns.len(), 1000, "every due request is there");
    assert!(quarter >= 240, "{quarter} of 1000 requests waited for more than 250 ms");

    let (addr, _) = server(b"+PONG\r\n", 100, stall);
    let result = run(addr, &[pings(1, 1, None)], second, &[None], || {});
    let role = &result.expect("a load").roles[0];
    assert_eq!(role.latency_ns.count_between(450_000_000, u64::MAX), 1);
}

#[test]
fn what_is_never_answered_is_counted_with_the_time_it_has_waited() {
    // It stalls longer than the load is patient.
    let (addr, _) = server(b"+PONG\r\n", 50, Duration::from_secs(60));
    let measured = Duration::from_millis(200);
    let until = Until::Time { warm_up: Duration::ZERO, measured };
    let started = Instant::now();
    let result = run(addr, &[pings(1, 1, Some(1000.0))], until, &[None], || {});
    let role = &result.expect("a load").roles[0];
    assert_eq!((role.replies, role.unanswered, role.latency_ns.len()), (50, 150, 200));
    let longest = Duration::from_nanos(role.latency_ns.max());
    assert!(longest > worker::GRACE && longest < started.elapsed() + measured);
}
