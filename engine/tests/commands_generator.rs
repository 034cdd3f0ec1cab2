//! Random command lines over few keys, so that they meet each other, with random nonsense among
//! the arguments.

use quire_engine::shard::Random;

/// How two servers' replies to the same line must agree.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Agreement {
    /// Byte for byte.
    Exact,
    /// Arrays in any order.
    Unordered,
    /// Integers that tell a time in ms.
    Milliseconds,
    /// Integers that tell a time in s.
    Seconds,
    /// Both null, or neither.
    Null,
}

/// Makes command lines.
pub struct Generator {
    random: Random,
    /// Whether DBSIZE occurs, or else RANDOMKEY, which removes expired keys it meets: DBSIZE
    /// counts them until then.
    counts: bool,
}

type Line = Vec<Vec<u8>>;

const KEYS: [&str; 12] = ["a", "b", "c", "d", "n", "m", "", "{t}1", "{t}2", "x:y", "q\r\n", "long"];
const WORDS: [&str; 22] = [
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
];
const FLOATS: [&str; 12] =
    ["0.1", "-0.1", "3", "1e5", "-2.5e-3", "1e-20", "nan", "inf", "5.", ".5e1", "0x1p-3", "1e400"];
const INTEGERS: [&str; 14] = [
    "0",
    "1",
    "-1",
    "10",
    "9223372036854775807",
    "-9223372036854775808",
    "9223372036854775808",
    "-0",
    "01",
    "+1",
    " 1",
    "1 ",
    "99999999999999999999",
    "4611686018427387904",
];

impl Generator {
    /// Lines from a seed.
    pub fn new(seed: u64) -> Self {
        Self { random: Random::new(seed), counts: seed.is_multiple_of(2) }
    }

    /// A number below `bound`.
    pub fn below(&mut self, bound: usize) -> usize {
        (self.random.next() % bound as u64) as usize
    }

    fn chance(&mut self, one_in: usize) -> bool {
        self.below(one_in) == 0
    }

    fn pick(&mut self, from: &[&str]) -> Vec<u8> {
        from[self.below(from.len())].as_bytes().to_vec()
    }

    fn key(&mut self) -> Vec<u8> {
        if self.chance(20) {
            return format!("{}{}", "long".repeat(60), self.below(2)).into_bytes();
        }
        self.pick(&KEYS)
    }

    fn integer(&mut self) -> Vec<u8> {
        if self.chance(4) {
            return self.pick(&INTEGERS);
        }
        (self.below(2001) as i64 - 1000).to_string().into_bytes()
    }

    fn value(&mut self) -> Vec<u8> {
        match self.below(8) {
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

    /// Deadlines far away, never twice the same, so that a millisecond decides nothing; some in
    /// the past, some no deadline at all.
    fn seconds(&mut self, from: i64) -> i64 {
        from + 100_000 + self.below(1_000_000_000) as i64
    }

    fn time(&mut self, unit: &str, now_ms: i64) -> Vec<u8> {
        match self.below(12) {
            0 => return self.integer(),
            1 => return b"-5".to_vec(),
            2 => return b"1".to_vec(),
            _ => {}
        }
        match unit.to_ascii_lowercase().as_str() {
            "ex" | "s" => self.seconds(0),
            "px" | "ms" => self.seconds(0) * 1000 + 7,
            "exat" => self.seconds(now_ms / 1000),
            _ => self.seconds(now_ms / 1000) * 1000 + 7,
        }
        .to_string()
        .into_bytes()
    }

    fn expiry_option(&mut self, line: &mut Line, now_ms: i64) {
        let unit = ["EX", "px", "EXAT", "PXAT"][self.below(4)];
        // Relative deadlines that pass within the test would be a race.
        let time = loop {
            let time = self.time(unit, now_ms);
            let short = matches!(unit, "EX" | "px") && time.len() < 5 && !time.starts_with(b"-");
            if !short {
                break time;
            }
        };
        line.push(unit.into());
        line.push(time);
    }

    /// One more line, and how replies to it compare.
    pub fn line(&mut self, now_ms: i64) -> (Line, Agreement) {
        let names = [
            "get",
            "set",
            "setnx",
            "setex",
            "psetex",
            "getset",
            "getdel",
            "getex",
            "append",
            "strlen",
            "setrange",
            "getrange",
            "substr",
            "incr",
            "decr",
            "incrby",
            "decrby",
            "incrbyfloat",
            "mget",
            "mset",
            "msetnx",
            "lcs",
            "del",
            "unlink",
            "exists",
            "touch",
            "type",
            "expire",
            "pexpire",
            "expireat",
            "pexpireat",
            "ttl",
            "pttl",
            "expiretime",
            "pexpiretime",
            "persist",
            "rename",
            "renamenx",
            "move",
            "copy",
            "randomkey",
            "keys",
            "dbsize",
            "object",
            "set",
            "set",
            "get",
            "append",
            "setbit",
            "getbit",
            "bitcount",
            "bitpos",
            "bitop",
            "bitfield",
            "bitfield_ro",
            "pfadd",
            "pfadd",
            "pfcount",
            "pfmerge",
            "pfdebug",
            "geoadd",
            "geoadd",
            "geopos",
            "geodist",
            "geohash",
            "geosearch",
            "geosearchstore",
            "georadius",
            "georadius_ro",
            "georadiusbymember",
            "georadiusbymember_ro",
        ];
        let name = names[self.below(names.len())];
        let name = match name {
            "randomkey" if self.counts => "dbsize",
            "dbsize" if !self.counts => "randomkey",
            _ => name,
        };
        let mut line = vec![name.as_bytes().to_vec()];
        if self.chance(3) {
            line[0].make_ascii_uppercase();
        }
        self.arguments(name, &mut line, now_ms);
        self.spoil(name, &mut line);
        (line, agreement(name))
    }

    fn arguments(&mut self, name: &str, line: &mut Line, now_ms: i64) {
        match name {
            "set" => {
                line.extend([self.key(), self.value()]);
                for _ in 0..self.below(4) {
                    if self.chance(2) {
                        self.expiry_option(line, now_ms);
                    } else {
                        line.push(self.pick(&["NX", "xx", "GET", "keepttl", "XX"]));
                    }
                }
            }
            "getex" => {
                line.push(self.key());
                if self.chance(4) {
                    line.push(self.pick(&["PERSIST", "persist"]));
                } else if self.chance(2) {
                    self.expiry_option(line, now_ms);
                }
            }
            "setnx" | "getset" | "append" => line.extend([self.key(), self.value()]),
            "setex" | "psetex" => {
                let unit = if name == "setex" { "EX" } else { "PX" };
                let mut option = Line::new();
                while option.first().is_none_or(|u| !u.eq_ignore_ascii_case(unit.as_bytes())) {
                    option.clear();
                    self.expiry_option(&mut option, now_ms);
                }
                line.extend([self.key(), option.swap_remove(1), self.value()]);
            }
            "setrange" => {
                let offset = if self.chance(6) {
                    self.pick(&["536870912", "9223372036854775807", "-1", "x", "3000"])
                } else {
                    self.below(40).to_string().into_bytes()
                };
                line.extend([self.key(), offset, self.value()]);
            }
            "getrange" | "substr" => line.extend([self.key(), self.integer(), self.integer()]),
            "incrby" | "decrby" => line.extend([self.key(), self.integer()]),
            "incrbyfloat" => {
                let by = if self.chance(2) { self.pick(&FLOATS) } else { self.value() };
                line.extend([self.key(), by]);
            }
            "mget" | "del" | "unlink" | "exists" | "touch" => {
                (0..=self.below(4)).for_each(|_| line.push(self.key()));
            }
            "mset" | "msetnx" => {
                (0..=self.below(3)).for_each(|_| line.extend([self.key(), self.value()]));
            }
            "lcs" => {
                line.extend([self.key(), self.key()]);
                for _ in 0..self.below(3) {
                    match self.below(4) {
                        0 => line.push("LEN".into()),
                        1 => line.push("idx".into()),
                        2 => line.push("WITHMATCHLEN".into()),
                        _ => line.extend(["MINMATCHLEN".into(), self.integer()]),
                    }
                }
            }
            "expire" | "pexpire" | "expireat" | "pexpireat" => {
                let unit =
                    ["s", "ms", "exat", "pxat"][["expire", "pexpire", "expireat", "pexpireat"]
                        .iter()
                        .position(|n| *n == name)
                        .unwrap_or(0)];
                let time = loop {
                    let time = self.time(unit, now_ms);
                    let short = unit.len() < 3 && time.len() < 5 && !time.starts_with(b"-");
                    if !short {
                        break time;
                    }
                };
                line.extend([self.key(), time]);
                for _ in 0..self.below(3) {
                    line.push(self.pick(&["NX", "xx", "GT", "lt"]));
                }
            }
            "rename" | "renamenx" => line.extend([self.key(), self.key()]),
            "move" => {
                let db = self.pick(&["0", "1", "2", "16", "-1", "x", "99999999999"]);
                line.extend([self.key(), db]);
            }
            "copy" => {
                line.extend([self.key(), self.key()]);
                if self.chance(2) {
                    line.push(self.pick(&["replace", "REPLACE"]));
                }
                if self.chance(3) {
                    line.extend(["DB".into(), self.pick(&["0", "1", "2", "16", "x"])]);
                }
            }
            "keys" => line.push(self.pick(&["*", "**", "?", "[a-c]", "{t}*", "*\n", "x\\:y", ""])),
            "object" => {
                let sub = self.pick(&["encoding", "ENCODING", "encoding", "freq", "help", "NOPE"]);
                line.extend([sub, self.key()]);
            }
            "setbit" | "getbit" | "bitcount" | "bitpos" | "bitop" | "bitfield" | "bitfield_ro" => {
                self.bits(name, line);
            }
            name if name.starts_with("pf") => self.sketch(name, line),
            name if name.starts_with("geo") => self.places(name, line),
            "randomkey" | "dbsize" => {}
            _ => line.push(self.key()),
        }
    }

    fn bit_offset(&mut self) -> Vec<u8> {
        match self.below(12) {
            0 => self.pick(&["4294967296", "-1", "x", "#3", "", "9223372036854775807"]),
            _ => self.below(500).to_string().into_bytes(),
        }
    }

    fn bits(&mut self, name: &str, line: &mut Line) {
        match name {
            "setbit" => {
                let bit = self.pick(&["0", "1", "1", "0", "1", "2"]);
                line.extend([self.key(), self.bit_offset(), bit]);
            }
            "getbit" => line.extend([self.key(), self.bit_offset()]),
            "bitcount" | "bitpos" => {
                line.push(self.key());
                if name == "bitpos" {
                    line.push(self.pick(&["0", "1", "0", "1", "2", "x"]));
                }
                let ends = self.below(3);
                for _ in 0..ends {
                    let end = self.below(120) as i64 - 60;
                    line.push(if self.chance(8) { self.integer() } else { end.to_string().into() });
                }
                if ends == 2 && self.chance(2) {
                    line.push(self.pick(&["BIT", "bit", "byte", "BYTE", "bytes"]));
                }
            }
            "bitop" => {
                line.push(self.pick(&["AND", "or", "XOR", "not", "NOT", "xor", "NAND"]));
                line.extend([self.key(), self.key()]);
                if !line[1].eq_ignore_ascii_case(b"not") {
                    (0..self.below(3)).for_each(|_| line.push(self.key()));
                }
            }
            _ => {
                line.push(self.key());
                let gets = name == "bitfield_ro" && !self.chance(8);
                for _ in 0..self.below(5) {
                    let sub = if gets { 0 } else { self.below(6) };
                    if sub == 5 {
                        line.push("OVERFLOW".into());
                        line.push(self.pick(&["wrap", "SAT", "fail", "FAIL", "nope"]));
                        continue;
                    }
                    let sign = self.pick(&["i", "u", "i", "u", "u", "x"]);
                    let width = self.below(66).to_string().into_bytes();
                    let field = [sign, width].concat();
                    let hash = if self.chance(4) { "#" } else { "" };
                    let offset = format!("{hash}{}", self.below(90)).into_bytes();
                    let word = ["GET", "set", "INCRBY", "incrby", "SET"][sub];
                    line.extend([word.into(), field, offset]);
                    if sub > 0 {
                        line.push(self.integer());
                    }
                }
            }
        }
    }

    fn sketch_key(&mut self) -> Vec<u8> {
        if self.chance(15) { self.key() } else { self.pick(&["hll1", "hll2", "hll3"]) }
    }

    fn sketch(&mut self, name: &str, line: &mut Line) {
        if name == "pfdebug" {
            line.push(self.pick(&["ENCODING", "decode", "todense", "GETREG", "decode", "nope"]));
        }
        line.push(self.sketch_key());
        match name {
            "pfadd" => {
                let many = if self.chance(12) { 700 } else { 5 };
                (0..self.below(many)).for_each(|_| {
                    line.push(self.below(3000).to_string().into_bytes());
                });
            }
            "pfdebug" => {}
            _ => (0..self.below(3)).for_each(|_| line.push(self.sketch_key())),
        }
    }

    fn place_key(&mut self) -> Vec<u8> {
        if self.chance(15) { self.key() } else { self.pick(&["geo1", "geo2"]) }
    }

    fn place_member(&mut self) -> Vec<u8> {
        format!("p{}", self.below(60)).into_bytes()
    }

    fn degrees(&mut self, line: &mut Line) {
        for max in [180, 90] {
            let part = self.below(1_000_000);
            let whole = self.below(2 * max) as i64 - max as i64;
            line.push(format!("{whole}.{part:06}").into_bytes());
        }
    }

    fn distance(&mut self, lengths: usize, line: &mut Line) {
        for _ in 0..lengths {
            let most = [10, 1_000, 30_000][self.below(3)];
            line.push(format!("{}.{}", self.below(most), self.below(10)).into_bytes());
        }
        line.push(self.pick(&["m", "km", "KM", "mi", "ft", "km", "km", "in"]));
    }

    fn places(&mut self, name: &str, line: &mut Line) {
        if name == "geosearchstore" {
            line.push(self.place_key());
        }
        line.push(self.place_key());
        match name {
            "geoadd" => {
                (0..self.below(3)).for_each(|_| line.push(self.pick(&["CH", "nx", "XX", "ch"])));
                for _ in 0..=self.below(6) {
                    self.degrees(line);
                    line.push(self.place_member());
                }
                return;
            }
            "geopos" | "geohash" => {
                (0..self.below(4)).for_each(|_| line.push(self.place_member()));
                return;
            }
            "geodist" => {
                line.extend([self.place_member(), self.place_member()]);
                if self.chance(2) {
                    line.push(self.pick(&["m", "KM", "ft", "mi", "x"]));
                }
                return;
            }
            _ => {}
        }
        if name.starts_with("geosearch") {
            if self.chance(2) {
                line.extend(["FROMMEMBER".into(), self.place_member()]);
            } else {
                line.push("fromlonlat".into());
                self.degrees(line);
            }
            let by = self.below(2);
            line.push([&b"BYRADIUS"[..], b"bybox"][by].into());
            self.distance(1 + by, line);
        } else {
            if name.starts_with("georadiusbymember") {
                line.push(self.place_member());
            } else {
                self.degrees(line);
            }
            self.distance(1, line);
        }
        for _ in 0..self.below(4) {
            match self.below(8) {
                0 => line.extend(["COUNT".into(), self.below(12).to_string().into_bytes()]),
                1 => line.extend(["count".into(), b"3".to_vec(), b"ANY".to_vec()]),
                2 if name.ends_with("store") => line.push("STOREDIST".into()),
                2 => {
                    line.push(self.pick(&["STORE", "storedist"]));
                    line.push(self.place_key());
                }
                3 => line.push(self.pick(&["ASC", "desc"])),
                _ if name.ends_with("store") => {}
                _ => line.push(self.pick(&["WITHDIST", "withcoord", "WITHHASH"])),
            }
        }
    }

    /// Now and then an argument too many, one too few, or another one.
    fn spoil(&mut self, name: &str, line: &mut Line) {
        // Another time could be a deadline that passes within the test.
        let timed = name.contains("ex") || name.contains("expire") || name == "set";
        match self.below(60) {
            0 => line.push(self.pick(&WORDS)),
            1 if line.len() > 1 && !timed => {
                line.pop();
            }
            2 if line.len() > 1 && !timed => {
                let at = 1 + self.below(line.len() - 1);
                line[at] = self.pick(&WORDS);
            }
            3 if !timed => {
                let value = self.value();
                line.push(value);
            }
            _ => {}
        }
    }
}

fn agreement(name: &str) -> Agreement {
    match name {
        "keys" => Agreement::Unordered,
        "ttl" | "expiretime" => Agreement::Seconds,
        "pttl" | "pexpiretime" => Agreement::Milliseconds,
        "randomkey" => Agreement::Null,
        _ => Agreement::Exact,
    }
}
