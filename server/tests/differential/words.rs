//! Random words of command lines: few keys, so that commands meet each other, values and numbers
//! with their edges, deadlines that no millisecond decides about.

use quire_engine::shard::Random;

const KEYS: [&[u8]; 20] = [
    b"a", b"b", b"c", b"d", b"e", b"f", b"n", b"m", b"", b"{t}1", b"{t}2", b"{}x", b"{x", b"x:y",
    b"q\r\n", b"\0\xff", b"a key", b"{t}", b"x{y}z", b"long",
];

/// Keys that mostly hold lists; the first letter of each kind tells which, and one of each kind is
/// in the same slot as those of the others.
pub const LISTS: [&str; 3] = ["l1", "l2", "{t}l"];
/// Keys that mostly hold hashes.
pub const HASHES: [&str; 3] = ["h1", "h2", "{t}h"];
/// Keys that mostly hold sets.
pub const SETS: [&str; 4] = ["s1", "s2", "s3", "{t}s"];
/// Keys that mostly hold sorted sets.
pub const ZSETS: [&str; 4] = ["z1", "z2", "z3", "{t}z"];
/// Keys that mostly hold streams.
pub const STREAMS: [&str; 3] = ["x1", "x2", "{t}x"];
/// Keys that mostly hold bitmaps.
pub const BITMAPS: [&str; 3] = ["b1", "b2", "{t}b"];
/// Keys that mostly hold HyperLogLogs.
pub const SKETCHES: [&str; 3] = ["p1", "p2", "{t}p"];
/// Keys that mostly hold places.
pub const PLACES: [&str; 2] = ["g1", "{t}g"];
const KINDS: [&[&str]; 8] =
    [&LISTS, &HASHES, &SETS, &ZSETS, &STREAMS, &BITMAPS, &SKETCHES, &PLACES];

/// Words that mean something somewhere.
pub const KEYWORDS: [&str; 28] = [
    "NX",
    "XX",
    "GT",
    "LT",
    "EX",
    "PX",
    "EXAT",
    "PXAT",
    "GET",
    "KEEPTTL",
    "PERSIST",
    "REPLACE",
    "DB",
    "MATCH",
    "COUNT",
    "TYPE",
    "IDX",
    "LEN",
    "MINMATCHLEN",
    "WITHMATCHLEN",
    "SAMPLES",
    "*",
    "ASYNC",
    "sync",
    "SETNAME",
    "AUTH",
    "ID",
    "abc",
];

/// Texts of floats, some of them none.
pub const FLOATS: [&str; 22] = [
    "0.1", "-0.1", "3", "1e5", "-2.5e-3", "1e-20", "nan", "-nan", "inf", "-inf", "+inf", "5.",
    ".5e1", "0x1p-3", "1e400", "1e4932", "-1e4932", "-0", "-0.0", "1e17", "3.0e3", "1_0",
];

/// Texts of integers, some of them none.
pub const INTEGERS: [&str; 18] = [
    "0",
    "1",
    "-1",
    "10",
    "9223372036854775807",
    "-9223372036854775808",
    "9223372036854775808",
    "-9223372036854775809",
    "-0",
    "01",
    "+1",
    " 1",
    "1 ",
    "99999999999999999999",
    "4611686018427387904",
    "2147483648",
    "",
    "1.0",
];

/// A source of words.
pub struct Words {
    random: Random,
    /// Unix time at the start, ms.
    base_ms: i64,
    /// Grows, so that ids of stream entries can.
    step: usize,
}

impl Words {
    /// Words from a seed; deadlines lie before or after `base_ms`.
    pub fn new(seed: u64, base_ms: i64) -> Self {
        Self { random: Random::new(seed), base_ms, step: 1 }
    }

    /// A number below `bound`.
    pub fn below(&mut self, bound: usize) -> usize {
        (self.random.next() % bound as u64) as usize
    }

    /// True once in so many times.
    pub fn chance(&mut self, one_in: usize) -> bool {
        self.below(one_in) == 0
    }

    /// One of them.
    pub fn pick(&mut self, from: &[&str]) -> Vec<u8> {
        from[self.below(from.len())].as_bytes().to_vec()
    }

    /// A key; now and then a long one.
    pub fn key(&mut self) -> Vec<u8> {
        if self.chance(25) {
            return format!("{}{}", "long".repeat(60), self.below(2)).into_bytes();
        }
        if self.chance(6) {
            let kind = self.below(KINDS.len());
            return self.pick(KINDS[kind]);
        }
        KEYS[self.below(KEYS.len())].to_vec()
    }

    /// A key of a kind, now and then any.
    pub fn key_of(&mut self, kind: &[&str]) -> Vec<u8> {
        if self.chance(14) { self.key() } else { self.pick(kind) }
    }

    /// From one to `most` keys of a kind.
    pub fn keys_of(&mut self, kind: &[&str], most: usize) -> Vec<Vec<u8>> {
        (0..=self.below(most)).map(|_| self.key_of(kind)).collect()
    }

    /// A key of any kind.
    pub fn key_in_use(&mut self) -> Vec<u8> {
        let kind = self.below(KINDS.len());
        self.key_of(KINDS[kind])
    }

    /// An element or a field: few, so that they meet; integers among them.
    pub fn member(&mut self) -> Vec<u8> {
        match self.below(12) {
            0 => self.value(),
            1..=4 => self.below(24).to_string().into_bytes(),
            5 => [&b"long"[..], &[b'x'; 70]].concat(),
            _ => format!("m{}", self.below(40)).into_bytes(),
        }
    }

    /// How many elements one command gets: few, at times so many that encodings change.
    pub fn amount(&mut self) -> usize {
        match self.below(40) {
            0 => 140 + self.below(40),
            1 => 520,
            2..=5 => 12,
            _ => 1 + self.below(4),
        }
    }

    /// One of `amount` elements: numbered ones when there are many.
    pub fn nth_member(&mut self, amount: usize, at: usize) -> Vec<u8> {
        if amount < 100 { self.member() } else { format!("m{at}").into_bytes() }
    }

    /// A position, negative ones and far ones too.
    pub fn index(&mut self) -> Vec<u8> {
        match self.below(8) {
            0 => self.pick(&INTEGERS),
            1 => (self.below(400) as i64 - 200).to_string().into_bytes(),
            _ => (self.below(16) as i64 - 8).to_string().into_bytes(),
        }
    }

    /// How many.
    pub fn count(&mut self) -> Vec<u8> {
        if self.chance(7) {
            return self.pick(&INTEGERS);
        }
        self.below(9).to_string().into_bytes()
    }

    /// The next step; it grows by less than three.
    pub fn step(&mut self) -> usize {
        self.step += self.below(3);
        self.step
    }

    /// From one to `most` keys, the same one twice at times.
    pub fn keys(&mut self, most: usize) -> Vec<Vec<u8>> {
        (0..=self.below(most)).map(|_| self.key()).collect()
    }

    /// An integer, or nearly one.
    pub fn integer(&mut self) -> Vec<u8> {
        if self.chance(4) {
            return self.pick(&INTEGERS);
        }
        (self.below(2001) as i64 - 1000).to_string().into_bytes()
    }

    /// A value: numbers, text with few letters (LCS), bytes around the lengths where encodings
    /// change.
    pub fn value(&mut self) -> Vec<u8> {
        match self.below(9) {
            0 | 1 => self.integer(),
            2 => self.pick(&FLOATS),
            3 => {
                let len = [0, 1, 43, 44, 45, 100, 3000][self.below(7)];
                (0..len).map(|_| self.random.next() as u8).collect()
            }
            _ => {
                let len = self.below(12);
                (0..len).map(|_| b'a' + self.below(3) as u8).collect()
            }
        }
    }

    /// A database, or nearly one.
    pub fn database(&mut self) -> Vec<u8> {
        self.pick(&["0", "1", "2", "0", "1", "2", "3", "15", "16", "-1", "x", "99999999999", ""])
    }

    fn far_seconds(&mut self, from: i64) -> i64 {
        from + 100_000 + self.below(1_000_000_000) as i64
    }

    /// A time for `EX`, `PX`, `EXAT` or `PXAT`: far away and never the same twice, or long past,
    /// or no time at all. Never one that passes while the test runs.
    pub fn time(&mut self, unit: &str) -> Vec<u8> {
        let relative = unit.len() == 2;
        if self.chance(6) {
            let wrong: &[&str] = if relative {
                &[
                    "0",
                    "-1",
                    "-5",
                    "9223372036854775807",
                    "-9223372036854775808",
                    "x",
                    "1.5",
                    "",
                    "9223372036854775",
                    "9223372036854776",
                    "99999999999999999999",
                    " 5",
                ]
            } else {
                &[
                    "0",
                    "-1",
                    "1",
                    "1000",
                    "9223372036854775807",
                    "-9223372036854775808",
                    "x",
                    "",
                    "9223372036854775",
                    "9223372036854776",
                    "99999999999999999999",
                    "1 ",
                ]
            };
            return self.pick(wrong);
        }
        match unit.to_ascii_uppercase().as_str() {
            "EX" => self.far_seconds(0),
            "PX" => self.far_seconds(0) * 1000 + 7,
            "EXAT" => self.far_seconds(self.base_ms / 1000),
            _ => self.far_seconds(self.base_ms / 1000) * 1000 + 7,
        }
        .to_string()
        .into_bytes()
    }

    /// `EX seconds` and its like.
    /// No time that is past: SET makes such a key, and it counts until somebody finds it.
    pub fn expiry_option(&mut self) -> [Vec<u8>; 2] {
        let unit = ["EX", "px", "EXAT", "PXAT"][self.below(4)];
        let time = match self.time(unit) {
            past if past == b"1" || past == b"1000" => b"0".to_vec(),
            time => time,
        };
        [unit.into(), time]
    }

    /// A name in lower, upper or mixed case.
    pub fn in_some_case(&mut self, name: &str) -> Vec<u8> {
        let mut name = name.as_bytes().to_vec();
        match self.below(6) {
            0 | 1 => name.make_ascii_uppercase(),
            2 => name[..1].make_ascii_uppercase(),
            _ => {}
        }
        name
    }

    /// Now and then a word too many, one too few, or another one. Times are replaced by words
    /// only, so that no deadline comes near.
    pub fn spoil(&mut self, line: &mut Vec<Vec<u8>>) {
        match self.below(50) {
            0 => line.push(self.pick(&KEYWORDS)),
            1 if line.len() > 1 => {
                line.pop();
            }
            2 if line.len() > 1 => {
                let at = 1 + self.below(line.len() - 1);
                line[at] = self.pick(&KEYWORDS);
            }
            3 => {
                let value = self.value();
                // A number behind EX or PX would be a deadline that passes soon.
                if line.last().is_none_or(|last| {
                    !last.eq_ignore_ascii_case(b"ex") && !last.eq_ignore_ascii_case(b"px")
                }) {
                    line.push(value);
                }
            }
            _ => {}
        }
    }
}
