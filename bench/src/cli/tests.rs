//! Arguments that are taken, and what is said about those that are not.

use clap::error::ErrorKind;

use super::*;

fn parse(line: &str) -> Result<Cli, clap::Error> {
    // Words in quotes are one argument.
    let words = line.split('\'').enumerate().flat_map(|(index, part)| {
        let words: Vec<&str> =
            if index % 2 == 1 { vec![part] } else { part.split_ascii_whitespace().collect() };
        words
    });
    Cli::try_parse_from(std::iter::once("quire-bench").chain(words))
}

#[test]
fn the_command_line_is_consistent() {
    use clap::CommandFactory as _;
    Cli::command().debug_assert();
}

#[test]
fn good_arguments_are_taken() {
    for line in [
        "scenarios",
        "run --target 127.0.0.1:1 --target b=127.0.0.1:2 --mix get=4,set=1 --rate 50%",
        "run --start redis --command 'SET {key:} {value}' --distribution zipf:1.1 --threads 2",
        "run --start 'a=/bin/x --y z' --load auto --requests 10 --load-cpu 0,1",
        "compare --scenario always --load memtier --json",
        "compare --scenario types-cpu --row zset",
        "stalls --elements 1000 --seconds 0.5",
        "shards --target 127.0.0.1:1 --shard 0,2 --seconds 0.5",
        "hit-rate --maxmemory 10mb --policy allkeys-lfu --zipf 0",
    ] {
        assert!(parse(line).is_ok(), "{line}: {}", parse(line).err().expect("an error"));
    }
}

#[test]
fn bad_arguments_are_refused_with_a_reason() {
    for (line, part) in [
        ("run --runs 0", "a whole number from 1 on"),
        ("run --seconds 0", "seconds from 0.01"),
        ("run --seconds 1 --requests 5", "cannot be used with"),
        ("run --threads 2 --load-cpu 1", "cannot be used with"),
        ("run --distribution zipf:9", "at most 5"),
        ("run --distribution pareto", "uniform, sequential"),
        ("run --rate 0%", "a share of the peak"),
        ("run --keys 0", "0 is not in"),
        ("run --load wrk", "redis-benchmark"),
        ("run --mix get --command PING", "cannot be used with"),
        ("shards --target nonsense", "HOST:PORT"),
        ("hit-rate --zipf -1", "unexpected argument"),
        ("compare --runs 0", "from 1 on"),
    ] {
        let error = parse(line).err().unwrap_or_else(|| panic!("{line} is taken"));
        assert!(error.to_string().contains(part), "{line}: {error}");
        assert_ne!(error.kind(), ErrorKind::DisplayHelp);
    }
}

fn refusal(line: &str) -> String {
    let Ok(cli) = parse(line) else { panic!("{line} is no command line") };
    cli.act().expect_err(line).to_string()
}

#[test]
fn what_makes_no_sense_together_is_refused_before_anything_starts() {
    for (line, part) in [
        ("run", "give --target HOST:PORT"),
        ("run --scenario gett --start redis", "there are ping, get"),
        ("run --start valkey", "NAME=PATH"),
        ("run --start redis --start redis", "two servers are called redis"),
        ("run --start redis --mix got", "no verb is called"),
        ("run --start redis --mix get=0", "must not all be 0"),
        ("run --start redis --command 'GET {kee}'", "{kee}"),
        ("run --start redis --rate 10 --load memtier", "no open loop"),
        ("run --start redis --mix incr --load memtier", "mixes of get and set only"),
        ("run --start redis --scenario readers-writers --load redis-benchmark", "one role"),
        ("run --start x=/nonexistent/server --dir /tmp", "does not start"),
        ("hit-rate --requests 5 --warm-up 5", "leaves none"),
    ] {
        let error = refusal(line);
        assert!(error.contains(part), "{line}: {error}");
    }
}

#[test]
fn every_scenario_and_verb_is_listed() {
    let text = scenarios();
    assert!(catalog::SCENARIOS.iter().all(|s| text.contains(s.about)));
    assert!(crate::load::VERBS.iter().all(|v| text.contains(v.template)));
}
