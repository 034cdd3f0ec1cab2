//! Commands on streams answer as `redis-server` 7.0 does, and their log makes the same streams.

use super::{
    commands_driver::{Driver, content},
    commands_generator::Generator,
    commands_oracle::Oracle,
    payloads::stream_goes_both_ways,
};

/// Commands per run.
const LINES: usize = 4_000;
/// Commands sent before replies are read.
const PIPELINE: usize = 32;

fn pick<'a>(generator: &mut Generator, from: &[&'a str]) -> &'a str {
    from[generator.below(from.len())]
}

fn id(generator: &mut Generator) -> String {
    match generator.below(24) {
        0 => pick(generator, &["0", "-", "+", "x", "5-", "$", ">", "0-0", "007-1", "1-*"]).into(),
        1 => format!("{}", generator.below(400)),
        _ => format!("{}-{}", generator.below(400), generator.below(3)),
    }
}

fn bound(generator: &mut Generator) -> String {
    match generator.below(4) {
        0 => pick(generator, &["-", "+", "(0", "(5-1", "(+", "(18446744073709551615"]).into(),
        _ => id(generator),
    }
}

fn key(generator: &mut Generator) -> String {
    pick(generator, &["s", "s", "s", "t", "text", "nokey"]).into()
}

fn group(generator: &mut Generator) -> String {
    pick(generator, &["g", "g", "h", "none"]).into()
}

fn consumer(generator: &mut Generator) -> String {
    pick(generator, &["alice", "bob", "carol"]).into()
}

fn trim(generator: &mut Generator, line: &mut Vec<String>) {
    let (most, low) = (generator.below(150).to_string(), id(generator));
    let mark = pick(generator, &["~", "=", ""]);
    let maxlen = generator.below(2) == 0;
    line.push(if maxlen { "MAXLEN" } else { "minid" }.into());
    if !mark.is_empty() {
        line.push(mark.into());
    }
    line.push(if maxlen { most } else { low });
    if generator.below(6) == 0 {
        line.extend(["LIMIT".to_owned(), generator.below(200).to_string()]);
    }
}

/// A random line; `next` is the time that the next entry's id has, as a rule.
fn line(generator: &mut Generator, next: &mut usize) -> Vec<String> {
    let name = pick(
        generator,
        &[
            "xadd",
            "xadd",
            "xadd",
            "xadd",
            "xadd",
            "xadd",
            "xlen",
            "xrange",
            "xrevrange",
            "xdel",
            "xtrim",
            "xread",
            "xreadgroup",
            "xreadgroup",
            "xreadgroup",
            "xack",
            "xpending",
            "xclaim",
            "xautoclaim",
            "xgroup",
            "xgroup",
            "xinfo",
            "xsetid",
            "copy",
            "rename",
        ],
    );
    let mut line = vec![name.to_owned()];
    match name {
        "xadd" => {
            line.push(key(generator));
            if generator.below(10) == 0 {
                line.push("NOMKSTREAM".into());
            }
            if generator.below(12) == 0 {
                trim(generator, &mut line);
            }
            *next += generator.below(3);
            line.push(match generator.below(12) {
                0 => id(generator),
                1 => format!("{next}-*"),
                _ => format!("{next}-{}", generator.below(4)),
            });
            let pairs = 1 + generator.below(3);
            for at in 0..pairs {
                let field = if generator.below(8) == 0 { "other" } else { "field" };
                line.extend([format!("{field}{at}"), "v".repeat(generator.below(12))]);
            }
            if generator.below(40) == 0 {
                line.pop();
            }
        }
        "xrange" | "xrevrange" => {
            line.extend([key(generator), bound(generator), bound(generator)]);
            if generator.below(2) == 0 {
                line.extend(["COUNT".to_owned(), (generator.below(8) as i64 - 1).to_string()]);
            }
        }
        "xdel" => {
            line.push(key(generator));
            (0..=generator.below(8)).for_each(|_| line.push(id(generator)));
        }
        "xtrim" => {
            line.push(key(generator));
            trim(generator, &mut line);
        }
        "xread" => {
            line.extend(["COUNT".to_owned(), generator.below(5).to_string(), "STREAMS".into()]);
            line.extend([key(generator), key(generator), id(generator), id(generator)]);
        }
        "xreadgroup" => {
            line.extend(["GROUP".to_owned(), group(generator), consumer(generator)]);
            line.extend(["COUNT".to_owned(), generator.below(6).to_string()]);
            if generator.below(5) == 0 {
                line.push("NOACK".into());
            }
            line.extend(["STREAMS".to_owned(), key(generator)]);
            line.push(if generator.below(3) == 0 { id(generator) } else { ">".into() });
        }
        "xack" => {
            line.extend([key(generator), group(generator)]);
            (0..=generator.below(6)).for_each(|_| line.push(id(generator)));
        }
        "xpending" => {
            line.extend([key(generator), group(generator)]);
            if generator.below(3) == 0 {
                // Idle times differ between the servers: none are shown.
                line.extend(["IDLE".to_owned(), "9999999".into(), "-".into(), "+".into()]);
                line.extend(["10".to_owned(), consumer(generator)]);
            }
        }
        "xclaim" => {
            line.extend([key(generator), group(generator), consumer(generator)]);
            line.push(pick(generator, &["0", "0", "999999", "x"]).into());
            (0..=generator.below(5)).for_each(|_| line.push(id(generator)));
            for _ in 0..generator.below(3) {
                match generator.below(5) {
                    0 => line.push("JUSTID".into()),
                    1 => line.push("force".into()),
                    2 => line.extend(["RETRYCOUNT".to_owned(), generator.below(9).to_string()]),
                    3 => line.extend(["LASTID".to_owned(), id(generator)]),
                    _ => line.extend(["TIME".to_owned(), generator.below(9000).to_string()]),
                }
            }
        }
        "xautoclaim" => {
            line.extend([key(generator), group(generator), consumer(generator)]);
            line.extend(["0".to_owned(), bound(generator), "COUNT".into()]);
            line.push(generator.below(5).to_string());
            if generator.below(3) == 0 {
                line.push("JUSTID".into());
            }
        }
        "xgroup" => {
            let sub = pick(
                generator,
                &["CREATE", "CREATE", "SETID", "CREATECONSUMER", "DELCONSUMER", "DESTROY", "no"],
            );
            line.extend([sub.to_owned(), key(generator), group(generator)]);
            match sub {
                "CREATE" | "SETID" => {
                    line.push(if generator.below(3) == 0 { "$".into() } else { id(generator) });
                    if generator.below(4) == 0 {
                        line.extend(["ENTRIESREAD".to_owned(), generator.below(20).to_string()]);
                    }
                    if generator.below(8) == 0 {
                        line.push("MKSTREAM".into());
                    }
                }
                "CREATECONSUMER" | "DELCONSUMER" => line.push(consumer(generator)),
                _ => {}
            }
        }
        "xinfo" => line.extend(["GROUPS".to_owned(), key(generator)]),
        "xsetid" => {
            line.extend([key(generator), format!("{}-0", *next)]);
            if generator.below(2) == 0 {
                line.extend(["ENTRIESADDED".to_owned(), generator.below(900).to_string()]);
                line.extend(["MAXDELETEDID".to_owned(), id(generator)]);
            }
        }
        "copy" => line.extend(["s".to_owned(), "t".into(), "REPLACE".into()]),
        "rename" => line.extend(["t".to_owned(), "s".into()]),
        _ => line.push(key(generator)),
    }
    line
}

/// How many streams were there in the end.
fn compare(oracle: &mut Oracle, seed: u64, resp3: bool) -> usize {
    oracle.line("FLUSHALL");
    oracle.line(if resp3 { "HELLO 3" } else { "HELLO 2" });
    let (mut ours, mut generator) = (Driver::new(resp3), Generator::new(seed));
    let mut next = 1;
    for text in ["SET text x", "XADD s 1-1 a b", "XGROUP CREATE s g 0"] {
        assert_eq!(oracle.line(text), ours.line(text), "{text}");
    }
    let mut history = Vec::new();
    for _ in 0..LINES / PIPELINE {
        let lines: Vec<Vec<String>> =
            (0..PIPELINE).map(|_| line(&mut generator, &mut next)).collect();
        lines.iter().for_each(|line| oracle.send(line));
        for line in lines {
            let (redis, reply) = (oracle.receive(), ours.execute(&line));
            history.push(line.join(" "));
            assert_eq!(
                redis.escape_ascii().to_string(),
                reply.escape_ascii().to_string(),
                "seed {seed}: {:#?}",
                &history[history.len().saturating_sub(40)..]
            );
        }
    }
    let digest = oracle.line("DEBUG DIGEST");
    assert_eq!(digest.trim_end(), format!("+{}", ours.digest()), "seed {seed}");
    assert_eq!(content(&ours.replayed()), content(&ours.shard), "seed {seed}");
    ["s", "t"].iter().filter(|key| stream_goes_both_ways(oracle, &mut ours, key)).count()
}

#[test]
fn random_commands_on_streams_answer_as_redis_does_in_both_protocols() {
    let mut oracle = Oracle::start();
    let first = std::env::var("QUIRE_SEED").ok().and_then(|s| s.parse().ok()).unwrap_or(1);
    let streams: usize = (0..6).map(|run| compare(&mut oracle, first + run, run >= 3)).sum();
    assert!(streams > 0, "no stream was left to be dumped");
}

#[test]
fn a_stream_whose_last_id_was_set_below_a_deleted_one_is_made_again_from_the_log() {
    let mut driver = Driver::new(false);
    for line in ["XADD k 5-5 f v", "XDEL k 5-5", "XSETID k 1-1", "COPY k k2"] {
        assert!(!driver.line(line).starts_with('-'), "{line}");
    }
    let info = driver.line("XINFO STREAM k2");
    assert!(info.contains("1-1") && info.contains("5-5"), "{info}");
    assert_eq!(content(&driver.replayed()), content(&driver.shard));
}
