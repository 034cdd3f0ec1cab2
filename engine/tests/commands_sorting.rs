//! SORT answers as `redis-server` 7.0 does: random options on lists, sets and sorted sets, weights
//! and values of other keys and of hashes; what it stores is stored, and logged.

use super::{
    commands_driver::{Driver, content, digest},
    commands_oracle::Oracle,
};
use quire_engine::shard::Random;

const SETTING: &str = "RPUSH list 5 3 10 -2 3 0x10; RPUSH words b a c ab ba ''; RPUSH mixed 1 x 2
SADD set 4 2 9 1; ZADD zset 3 a 1 b 2 c 5 d; SET text t; HSET hash f 1
SET w_5 1; SET w_3 7; SET w_10 2.5; SET w_a 3; SET w_b 1; SET w_4 0; SET w_2 -1; SET w_c x
HSET h_5 f 9 g one; HSET h_3 f 8; HSET h_a f 1; HSET h_4 f 2 g two; RPUSH l_5 1; SET o_5-> v; SET e_ e";

fn words(line: &str) -> Vec<String> {
    line.split_whitespace().map(|word| word.replace("''", "")).collect()
}

fn line(random: &mut Random) -> Vec<String> {
    let mut below = |bound: usize| (random.next() % bound as u64) as usize;
    let keys = ["list", "words", "mixed", "set", "zset", "text", "hash", "nokey", "made"];
    let name = ["SORT", "sort", "SORT_RO"][below(3)];
    let mut line = words(&format!("{name} {}", keys[below(keys.len())]));
    let patterns = [
        "w_*",
        "h_*->f",
        "h_*->g",
        "l_*",
        "nokey_*",
        "h_*->",
        "o_*->",
        "*",
        "nosort",
        "#",
        "h_*->f->g",
        "w_*_*",
        "e_*",
        "",
    ];
    for _ in 0..below(5) {
        match below(8) {
            0 => line.push(["ASC", "desc", "DESC"][below(3)].to_owned()),
            1 | 2 => line.push(["ALPHA", "alpha"][below(2)].to_owned()),
            3 => {
                let number = |n: usize| ["0", "1", "2", "100", "-1", "x", "-9"][n].to_owned();
                line.extend(["LIMIT".to_owned(), number(below(7)), number(below(7))]);
            }
            4 => line.extend(["BY".to_owned(), patterns[below(patterns.len())].to_owned()]),
            5 | 6 => line.extend(["get".to_owned(), patterns[below(patterns.len())].to_owned()]),
            _ => line.extend([
                "STORE".to_owned(),
                ["made", "made", "other", "text"][below(4)].to_owned(),
            ]),
        }
    }
    if below(30) == 0 {
        line.push(["BY", "LIMIT", "nope", "GET", "STORE"][below(5)].to_owned());
    }
    line
}

/// Elements whose order is none: of a set that is not sorted, and of texts that weigh the same.
fn is_undefined(line: &[String]) -> bool {
    let has = |word: &str| line.iter().any(|own| own.eq_ignore_ascii_case(word));
    (line[1] == "set" && has("by")) || (has("alpha") && has("by"))
}

#[test]
fn sort_answers_as_redis_does_and_stores_what_it_says() {
    for (seed, resp3) in [(1, false), (2, true), (3, false)] {
        let mut oracle = Oracle::start();
        let mut driver = Driver::new(resp3);
        if resp3 {
            oracle.line("HELLO 3");
        }
        for line in SETTING.split([';', '\n']).map(words) {
            oracle.send(&line);
            assert_eq!(driver.execute(&line), oracle.receive(), "{line:?}");
        }
        let mut random = Random::new(seed);
        for number in 0..4000 {
            let line = line(&mut random);
            if is_undefined(&line) {
                continue;
            }
            oracle.send(&line);
            let (theirs, ours) = (oracle.receive(), driver.execute(&line));
            let show = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
            assert_eq!(show(&ours), show(&theirs), "seed {seed}, line {number}: {line:?}");
        }
        let digest_of_redis = oracle.line("DEBUG DIGEST");
        assert_eq!(digest_of_redis.trim_end(), format!("+{}", driver.digest()));
        let replayed = driver.replayed();
        assert_eq!(content(&replayed), content(&driver.shard));
        assert_eq!(digest(&replayed), driver.digest());
    }
}

/// Who owns some keys only must ask others, unless a tag keeps all of them together.
#[test]
fn patterns_may_lead_to_other_shards_unless_they_have_the_keys_tag() {
    use quire_engine::{
        command::OwnedArgs,
        families::keys::sort::looks_elsewhere,
        slot::{group_of_slot, shard_of_group, slot_of},
    };
    let owner = |key: &[u8]| shard_of_group(group_of_slot(slot_of(key)), 4) as u16;
    for (line, elsewhere) in [
        ("SORT {t}l BY w_*", true),
        ("SORT {t}l GET {*}", true),
        ("SORT {t}l GET h_*->f", true),
        ("SORT {t}l get *{t}x{*", false),
        ("SORT {t}l BY {t}w_* GET # GET nosort", false),
        ("SORT {t}l BY nosort LIMIT 0 1", false),
    ] {
        let args = OwnedArgs::from_slices(&line.split(' ').collect::<Vec<_>>());
        assert_eq!(looks_elsewhere(args.as_args(), owner), elsewhere, "{line}");
    }
}

#[test]
fn weights_are_numbers_as_c_reads_them() {
    let mut oracle = Oracle::start();
    for weight in ["", "\0", "\0x", "3\0x", "x\0", " ", " 3", "3 ", "\x0b3", "\x0b", " \0 3"] {
        let mut driver = Driver::new(false);
        oracle.line("FLUSHALL");
        let line = ["RPUSH", "l", weight, "2"];
        oracle.send(&line);
        assert_eq!(driver.execute(&line), oracle.receive());
        // What C's library says of an earlier number may still be in the way.
        oracle.line("INCRBYFLOAT nokey x");
        assert_eq!(driver.line("SORT l"), oracle.line("SORT l"), "{weight:?}");
    }
}
