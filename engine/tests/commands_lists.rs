//! Lists answer as those of `redis-server` 7.0 do: random lines over few keys, with long lists,
//! and lines whose replies chance would rarely bring about.

use super::{
    commands_driver::{Driver, content, digest, now_ms},
    commands_oracle::Oracle,
};
use quire_engine::shard::Random;

const KEYS: [&str; 6] = ["a", "b", "c", "{t}1", "text", "nokey"];
const ENDS: [&str; 5] = ["LEFT", "right", "Left", "RIGHT", "middle"];
const INDEXES: [&str; 12] = [
    "0",
    "1",
    "-1",
    "-2",
    "3",
    "-50",
    "500",
    "9223372036854775807",
    "-9223372036854775808",
    "9223372036854775808",
    "01",
    "x",
];

/// Makes command lines about lists.
struct Lines(Random);

impl Lines {
    fn below(&mut self, bound: usize) -> usize {
        (self.0.next() % bound as u64) as usize
    }

    fn pick(&mut self, from: &[&str]) -> String {
        from[self.below(from.len())].to_owned()
    }

    fn key(&mut self) -> String {
        // Mostly the same few, so that lists grow.
        let keys = if self.below(8) == 0 { &KEYS[..] } else { &KEYS[..3] };
        self.pick(keys)
    }

    fn index(&mut self) -> String {
        if self.below(5) == 0 {
            return self.pick(&INDEXES);
        }
        (self.below(400) as i64 - 200).to_string()
    }

    fn element(&mut self) -> String {
        match self.below(10) {
            0 => "x".repeat([0, 63, 64, 3000, 9000][self.below(5)]),
            1 => (self.0.next() as i64).to_string(),
            2..=4 => (self.below(5)).to_string(),
            _ => format!("e{}", self.below(20)),
        }
    }

    fn count(&mut self) -> String {
        if self.below(6) == 0 {
            return self.pick(&INDEXES);
        }
        self.below(9).to_string()
    }

    fn line(&mut self) -> Vec<String> {
        let names = [
            "RPUSH",
            "LPUSH",
            "rpush",
            "lpush",
            "LPUSHX",
            "RPUSHX",
            "LPOP",
            "RPOP",
            "LLEN",
            "LINDEX",
            "LSET",
            "LRANGE",
            "LTRIM",
            "LREM",
            "LINSERT",
            "LINSERT",
            "LPOS",
            "LMOVE",
            "RPOPLPUSH",
            "LMPOP",
            "OBJECT",
            "COPY",
            "RENAME",
            "EXPIRE",
            "SET",
            "TYPE",
        ];
        let name = names[self.below(names.len())];
        let mut line = vec![name.to_owned()];
        match name.to_ascii_uppercase().as_str() {
            "RPUSH" | "LPUSH" | "LPUSHX" | "RPUSHX" => {
                line.push(self.key());
                let most = if self.below(10) == 0 { 300 } else { 6 };
                let elements = 1 + self.below(most);
                line.extend((0..elements).map(|_| self.element()));
            }
            "LPOP" | "RPOP" => {
                line.push(self.key());
                if self.below(2) == 0 {
                    line.push(self.count());
                }
            }
            "LINDEX" => line.extend([self.key(), self.index()]),
            "LSET" => line.extend([self.key(), self.index(), self.element()]),
            "LRANGE" => line.extend([self.key(), self.index(), self.index()]),
            "LTRIM" if self.below(4) > 0 => line.extend([self.key(), "1".into(), "-2".into()]),
            "LTRIM" => line.extend([self.key(), self.index(), self.index()]),
            "LREM" => line.extend([self.key(), self.index(), self.element()]),
            "LINSERT" => {
                let side = self.pick(&["BEFORE", "after", "AFTER", "beside"]);
                line.extend([self.key(), side, self.element(), self.element()]);
            }
            "LPOS" => {
                line.extend([self.key(), self.element()]);
                for _ in 0..self.below(4) {
                    let option = self.pick(&["RANK", "count", "MAXLEN", "RANK", "COUNT", "NOPE"]);
                    line.extend([option, self.count()]);
                }
            }
            "LMOVE" => {
                line.extend([self.key(), self.key(), self.pick(&ENDS), self.pick(&ENDS)]);
            }
            "RPOPLPUSH" | "COPY" | "RENAME" => line.extend([self.key(), self.key()]),
            "LMPOP" => {
                let keys = self.below(3);
                line.push(keys.to_string());
                line.extend((0..keys).map(|_| self.key()));
                line.push(self.pick(&ENDS));
                if self.below(2) == 0 {
                    line.extend([self.pick(&["COUNT", "count", "nope"]), self.count()]);
                }
            }
            "OBJECT" => line.extend(["ENCODING".to_owned(), self.key()]),
            "EXPIRE" => line.extend([self.key(), "1000000".to_owned()]),
            "SET" => line.extend(["text".to_owned(), "v".to_owned()]),
            _ => line.push(self.key()),
        }
        match self.below(40) {
            0 if line.len() > 2 => {
                line.pop();
            }
            1 => line.push("COUNT".to_owned()),
            _ => {}
        }
        line
    }
}

/// Runs random lines on both, with another size of nodes for ours; nodes must not show.
fn compare(oracle: &mut Oracle, seed: u64, resp3: bool, node: i64) {
    const LINES: usize = 4_000;
    oracle.line("FLUSHALL");
    oracle.line(if resp3 { "HELLO 3" } else { "HELLO 2" });
    let mut ours = Driver::new(resp3);
    ours.shard.limits.list_node = node;
    let mut lines = Lines(Random::new(seed));
    let mut longest = 0;
    for number in 0..LINES {
        let line = lines.line();
        oracle.send(&line);
        let (redis, reply) = (oracle.receive(), ours.execute(&line));
        assert_eq!(
            redis.escape_ascii().to_string(),
            reply.escape_ascii().to_string(),
            "seed {seed}, line {number}: {}",
            line.join(" ")
        );
        let len = ours.line("LLEN a");
        longest = longest.max(len[1..].trim_end().parse().unwrap_or(0));
    }
    assert!(longest > 100, "seed {seed}: lists stay short: {longest}");
    assert_eq!(oracle.line("DEBUG DIGEST").trim_end(), format!("+{}", ours.digest()));
    let replayed = ours.replayed();
    assert_eq!(digest(&replayed), ours.digest(), "seed {seed}: the log makes the same state");
    assert_eq!(content(&replayed), content(&ours.shard), "seed {seed}");
}

#[test]
fn random_commands_on_lists_answer_as_redis_does() {
    let mut oracle = Oracle::start();
    for (seed, node) in [(1, -2), (2, 3), (3, -1), (4, 1)] {
        compare(&mut oracle, seed, seed % 2 == 0, node);
    }
}

/// Executed in this order.
const EDGES: &[&str] = &[
    "LPOP nokey",
    "LPOP nokey 0",
    "LPOP nokey -1",
    "LPOP nokey x",
    "LPOP nokey 1 2",
    "RPOP nokey 1 2",
    "RPUSH l a b c 1 2 3",
    "LPOP l 0",
    "LPOP l -1",
    "LINDEX nokey x",
    "LINDEX l x",
    "LINDEX l -6",
    "LINDEX l -7",
    "LSET nokey x v",
    "LSET l x v",
    "LSET l 6 v",
    "LSET l -7 v",
    "LSET l -9223372036854775808 v",
    "LSET l -6 ",
    "LINSERT l beside a b",
    "LINSERT nokey BEFORE a b",
    "LINSERT l BEFORE none b",
    "LINSERT l BEFORE 1 01",
    "LINSERT l AFTER 3 +4",
    "LRANGE l 0 -1",
    "LPOS l 1 RANK 0",
    "LPOS l 1 RANK x",
    "LPOS l 1 COUNT -1",
    "LPOS l 1 COUNT x",
    "LPOS l 1 MAXLEN -1",
    "LPOS l 1 MAXLEN",
    "LPOS nokey 1 COUNT 0",
    "LPOS l nothing COUNT 0",
    "LPOS l 1 RANK -9223372036854775808",
    "LPOS l 1 MAXLEN 1",
    "LPOS l 1 RANK 1 RANK 2",
    "LMPOP 0 l LEFT",
    "LMPOP x l LEFT",
    "LMPOP 9223372036854775807 l LEFT",
    "LMPOP 1 l",
    "LMPOP 2 l LEFT",
    "LMPOP 1 l LEFT COUNT",
    "LMPOP 1 l LEFT COUNT 0",
    "LMPOP 1 l LEFT COUNT x",
    "LMPOP 1 l LEFT COUNT 1 COUNT 2",
    "LMPOP 1 l LEFT nope 1",
    "LMPOP 2 nokey nokey LEFT",
    "SET t v",
    "LMPOP 2 t l LEFT",
    "LMPOP 3 nokey l t RIGHT COUNT 2",
    "LPUSH t x",
    "LPUSHX t x",
    "LMOVE l t LEFT LEFT",
    "LMOVE nokey t LEFT LEFT",
    "LMOVE l t up LEFT",
    "LMOVE t l LEFT up",
    "LRANGE l 0 -1",
    "GET l",
    "APPEND l x",
    "TYPE l",
    "OBJECT ENCODING l",
    // A list of one element keeps its deadline while it turns.
    "RPUSH one x",
    "PEXPIREAT one 4102444800000",
    "RPOPLPUSH one one",
    "LMOVE one one LEFT LEFT",
    "PEXPIRETIME one",
    "LMOVE one two LEFT RIGHT",
    "EXISTS one",
    "PEXPIRETIME two",
    "LREM two -9223372036854775808 x",
    "EXISTS two",
    "RPUSH gone a",
    "LTRIM gone 1 0",
    "EXISTS gone",
    "LTRIM nokey 0 x",
    "LTRIM nokey 0 1",
];

#[test]
fn edge_cases_of_lists_answer_as_redis_does() {
    let mut oracle = Oracle::start();
    for resp3 in [false, true] {
        oracle.line("FLUSHALL");
        oracle.line(if resp3 { "HELLO 3" } else { "HELLO 2" });
        let mut ours = Driver::new(resp3);
        for line in EDGES {
            assert_eq!(oracle.line(line), ours.line(line), "{line}");
        }
        let digest = oracle.line("DEBUG DIGEST");
        assert_eq!(digest.trim_end(), format!("+{}", ours.digest()));
        assert_eq!(content(&ours.replayed()), content(&ours.shard));
    }
}

/// The bytes of a bulk reply.
fn bulk(reply: &[u8]) -> Vec<u8> {
    let start = reply.iter().position(|&b| b == b'\n').expect("a line") + 1;
    reply[start..reply.len() - 2].to_vec()
}

#[test]
fn payloads_of_lists_go_to_redis_and_back() {
    let mut oracle = Oracle::start();
    let mut ours = Driver::new(false);
    for elements in [3, 5_000] {
        oracle.line("FLUSHALL");
        ours.line("DEL l");
        let mut line = vec!["RPUSH".to_owned(), "l".to_owned()];
        line.extend((0..elements).map(|n| format!("{}{n}", "x".repeat(n % 70))));
        ours.execute(&line);
        let restore = |dump: &[u8]| {
            let payload = bulk(dump);
            [b"RESTORE".to_vec(), b"l".to_vec(), b"0".to_vec(), payload]
        };
        oracle.send(&restore(&ours.execute(&["DUMP", "l"])));
        assert_eq!(oracle.receive(), b"+OK\r\n");
        assert_eq!(oracle.line("DEBUG DIGEST").trim_end(), format!("+{}", ours.digest()));
        let before = ours.digest();
        ours.line("DEL l");
        oracle.send(&["DUMP", "l"]);
        assert_eq!(ours.execute(&restore(&oracle.receive())), b"+OK\r\n");
        assert_eq!(ours.digest(), before);
        assert_eq!(content(&ours.replayed()), content(&ours.shard));
    }
}

#[test]
fn a_list_that_has_expired_is_none() {
    let mut ours = Driver::new(false);
    let now = now_ms();
    ours.line("RPUSH l a b");
    ours.execute(&["PEXPIREAT".to_owned(), "l".to_owned(), (now + 5_000).to_string()]);
    let later = now + 10_000;
    assert_eq!(ours.execute_at(&["RPUSHX", "l", "c"], later), b":0\r\n");
    assert_eq!(ours.execute_at(&["RPOPLPUSH", "l", "l"], later), b"$-1\r\n");
    assert_eq!(ours.execute_at(&["RPUSH", "l", "new"], later), b":1\r\n");
    assert_eq!(content(&ours.replayed()), content(&ours.shard));
}
