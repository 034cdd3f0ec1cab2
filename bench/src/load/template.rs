//! What clients ask for: templates of commands, and mixes of them.
//!
//! `SET {key:} {value}` is a template: `{key:}` becomes a key of 16 bytes, the text in the braces
//! and digits behind it; `{value}` the value; `{number}` a random number below the number of
//! keys, `{number:20}` one below 20; `{index}` the number of a key without the key. Text may stand in
//! front of numbers, as in `field:{number:20}`. Everything else is sent as it stands. Rendering
//! copies bytes and writes digits.

use std::{fmt, io::Write as _, sync::Arc};

use super::keys::KeySource;

/// A template with a name.
#[derive(Debug)]
pub struct Verb {
    /// As `--verb` and `--mix` call it.
    pub name: &'static str,
    /// The template.
    pub template: &'static str,
    /// The verb that fills a data set for it, if it wants one.
    pub filled_by: Option<&'static str>,
}

const fn verb(name: &'static str, template: &'static str) -> Verb {
    Verb { name, template, filled_by: None }
}

const fn reader(name: &'static str, template: &'static str, filled_by: &'static str) -> Verb {
    Verb { name, template, filled_by: Some(filled_by) }
}

/// Every named verb. Keys of different types have different prefixes, so all may be mixed.
pub const VERBS: &[Verb] = &[
    verb("ping", "PING"),
    reader("get", "GET {key:}", "set"),
    verb("set", "SET {key:} {value}"),
    verb("setex", "SET {key:} {value} EX 3600"),
    verb("incr", "INCR {ctr:}"),
    verb("append", "APPEND {app:} {value}"),
    reader("exists", "EXISTS {key:}", "set"),
    reader("expire", "EXPIRE {key:} 3600", "set"),
    reader("ttl", "TTL {key:}", "set"),
    reader("del", "DEL {key:}", "set"),
    reader(
        "mget",
        "MGET {key:} {key:} {key:} {key:} {key:} {key:} {key:} {key:} {key:} {key:}",
        "set",
    ),
    verb(
        "mset",
        "MSET {key:} {value} {key:} {value} {key:} {value} {key:} {value} {key:} {value} \
         {key:} {value} {key:} {value} {key:} {value} {key:} {value} {key:} {value}",
    ),
    verb("lpush", "LPUSH {lst:} {value}"),
    reader("rpop", "RPOP {lst:}", "lpush"),
    reader("lrange", "LRANGE {lst:} 0 9", "lpush"),
    verb("hset", "HSET {hsh:} field {value}"),
    reader("hget", "HGET {hsh:} field", "hset"),
    verb("sadd", "SADD {set:} {number}"),
    reader("sismember", "SISMEMBER {set:} {number}", "sadd"),
    verb("zadd", "ZADD {zst:} {number} {number}"),
    reader("zrange", "ZRANGE {zst:} 0 9", "zadd"),
    verb("xadd", "XADD {stm:} MAXLEN ~ 1000 * field {value}"),
];

/// The named verb.
///
/// # Errors
/// A sentence with all names, when there is none.
pub fn named(name: &str) -> Result<&'static Verb, String> {
    VERBS.iter().find(|v| v.name.eq_ignore_ascii_case(name)).ok_or_else(|| {
        let names: Vec<&str> = VERBS.iter().map(|v| v.name).collect();
        format!("no verb is called {name:?}; there are {}", names.join(", "))
    })
}

#[derive(Debug, Clone, PartialEq)]
enum Piece {
    /// Bytes as they are sent.
    Literal(Vec<u8>),
    /// Head and prefix of a key, then so many digits.
    Key(Vec<u8>, usize),
    Value,
    /// Text, then a random number below this, or below the number of keys.
    Number(String, Option<u64>),
    /// Text, then a key's number.
    Index(String),
}

/// Bytes of every key.
const KEY_BYTES: usize = 16;
/// Longest prefix: what is left are digits for a hundred million keys.
const PREFIX_BYTES_MAX: usize = 8;

/// A command with holes, ready to be rendered.
#[derive(Debug, Clone, PartialEq)]
pub struct Template {
    /// As it was written.
    pub text: String,
    pieces: Vec<Piece>,
}

impl Template {
    /// Reads a template.
    ///
    /// # Errors
    /// A sentence about what is wrong with it.
    pub fn parse(text: &str) -> Result<Self, String> {
        let words: Vec<&str> = text.split_ascii_whitespace().collect();
        if words.is_empty() {
            return Err("a command needs at least one word".to_owned());
        }
        let mut pieces = Vec::new();
        let mut literal = format!("*{}\r\n", words.len()).into_bytes();
        for word in words {
            let hole = word.strip_suffix('}').and_then(|w| w.split_once('{'));
            let Some((before, hole)) = hole else {
                let _ = write!(literal, "${}\r\n{word}\r\n", word.len());
                continue;
            };
            let piece = Self::hole(before, hole).ok_or_else(|| {
                format!(
                    "{word} is none of {{value}}, {{number}}, {{number:BELOW}}, {{index}} and \
                     {{PREFIX:}} with a prefix of at most {PREFIX_BYTES_MAX} bytes"
                )
            })?;
            pieces.push(Piece::Literal(std::mem::take(&mut literal)));
            pieces.push(piece);
        }
        pieces.push(Piece::Literal(literal));
        pieces.retain(|p| *p != Piece::Literal(Vec::new()));
        Ok(Self { text: text.to_owned(), pieces })
    }

    /// What a hole with text before it is.
    fn hole(before: &str, hole: &str) -> Option<Piece> {
        match hole {
            "value" if before.is_empty() => Some(Piece::Value),
            "number" => Some(Piece::Number(before.to_owned(), None)),
            "index" => Some(Piece::Index(before.to_owned())),
            prefix if prefix.ends_with(':') && prefix.len() <= PREFIX_BYTES_MAX => {
                let head = format!("${KEY_BYTES}\r\n{prefix}").into_bytes();
                before.is_empty().then(|| Piece::Key(head, KEY_BYTES - prefix.len()))
            }
            _ => {
                let below = hole.strip_prefix("number:")?.parse().ok().filter(|&n| n > 0)?;
                Some(Piece::Number(before.to_owned(), Some(below)))
            }
        }
    }

    /// True when only our own generator can fill its holes.
    pub fn is_ours(&self) -> bool {
        self.pieces.iter().any(|piece| match piece {
            Piece::Number(before, below) => !before.is_empty() || below.is_some(),
            Piece::Index(_) => true,
            Piece::Literal(_) | Piece::Key(..) | Piece::Value => false,
        })
    }

    /// Appends one request.
    pub fn render(&self, keys: &mut KeySource, value: &[u8], out: &mut Vec<u8>) {
        for piece in &self.pieces {
            // Writing to memory does not fail.
            match piece {
                Piece::Literal(bytes) => out.extend_from_slice(bytes),
                Piece::Key(head, digits) => {
                    out.extend_from_slice(head);
                    push_digits(keys.next(), *digits, out);
                    out.extend_from_slice(b"\r\n");
                }
                Piece::Value => {
                    let _ = write!(out, "${}\r\n", value.len());
                    out.extend_from_slice(value);
                    out.extend_from_slice(b"\r\n");
                }
                Piece::Number(before, below) => {
                    let number = match below {
                        Some(below) => keys.random().below(*below),
                        None => keys.number(),
                    };
                    push_number(before, number, out);
                }
                Piece::Index(before) => push_number(before, keys.next(), out),
            }
        }
    }

    /// The command's words, with the words of redis-benchmark in the holes.
    pub fn for_redis_benchmark(&self, value: &str) -> Vec<String> {
        let word = |word: &str| match word.strip_prefix('{').and_then(|w| w.strip_suffix('}')) {
            None => word.to_owned(),
            Some("value") => value.to_owned(),
            Some("number") => "__rand_int__".to_owned(),
            Some(prefix) => format!("{prefix}__rand_int__"),
        };
        self.text.split_ascii_whitespace().map(word).collect()
    }
}

/// A bulk string of a text and a number.
fn push_number(before: &str, number: u64, out: &mut Vec<u8>) {
    let digits = number.checked_ilog10().unwrap_or(0) as usize + 1;
    // Writing to memory does not fail.
    let _ = write!(out, "${}\r\n{before}{number}\r\n", before.len() + digits);
}

/// `number` in decimal with leading zeros.
fn push_digits(mut number: u64, digits: usize, out: &mut Vec<u8>) {
    let start = out.len();
    out.resize(start + digits, b'0');
    for digit in out[start..].iter_mut().rev() {
        *digit = b'0' + (number % 10) as u8;
        number /= 10;
    }
}

/// Templates with weights.
#[derive(Debug, Clone, PartialEq)]
pub struct Mix {
    parts: Arc<[(Template, u32)]>,
    total: u32,
}

impl Mix {
    /// Of parts with weights.
    ///
    /// # Errors
    /// When there are none, or all weights are 0.
    pub fn new(parts: Vec<(Template, u32)>) -> Result<Self, String> {
        let total = parts.iter().map(|(_, weight)| weight).sum();
        if total == 0 {
            return Err("the weights of a mix must not all be 0".to_owned());
        }
        Ok(Self { parts: parts.into(), total })
    }

    /// One named verb.
    ///
    /// # Errors
    /// When there is no such verb.
    pub fn of(name: &str) -> Result<Self, String> {
        Self::new(vec![(Template::parse(named(name)?.template)?, 1)])
    }

    /// Its parts with their weights.
    pub fn parts(&self) -> &[(Template, u32)] {
        &self.parts
    }

    /// The next template.
    pub fn choose(&self, keys: &mut KeySource) -> &Template {
        if let [(only, _)] = &self.parts[..] {
            return only;
        }
        let mut drawn = keys.random().below(u64::from(self.total)) as u32;
        for (template, weight) in self.parts.iter() {
            match drawn.checked_sub(*weight) {
                None => return template,
                Some(rest) => drawn = rest,
            }
        }
        // Not reached: the weights add up to the total.
        &self.parts[0].0
    }
}

impl fmt::Display for Mix {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = |t: &Template| {
            let known = VERBS.iter().find(|v| v.template == t.text);
            known.map_or_else(|| t.text.clone(), |v| v.name.to_owned())
        };
        if let [(only, _)] = &self.parts[..] {
            return f.write_str(&name(only));
        }
        let parts: Vec<String> =
            self.parts.iter().map(|(t, weight)| format!("{}={weight}", name(t))).collect();
        f.write_str(&parts.join(","))
    }
}

#[cfg(test)]
mod tests {
    use super::{
        super::keys::{Keys, Order},
        *,
    };

    fn source() -> KeySource {
        KeySource::new(&Keys::new(10, Order::Sequential), 1, 0, 1)
    }

    #[test]
    fn templates_become_resp() {
        let (mut keys, mut out) = (source(), Vec::new());
        let template = Template::parse("SET {key:} {value} EX 10").expect("a template");
        template.render(&mut keys, b"abc", &mut out);
        template.render(&mut keys, b"abc", &mut out);
        let one = |key: &str| {
            format!("*5\r\n$3\r\nSET\r\n$16\r\n{key}\r\n$3\r\nabc\r\n$2\r\nEX\r\n$2\r\n10\r\n")
        };
        let both = one("key:000000000000") + &one("key:000000000001");
        assert_eq!(String::from_utf8_lossy(&out), both);
    }

    #[test]
    fn numbers_have_their_bounds_and_text_before_them() {
        let (mut keys, mut out) = (source(), Vec::new());
        let template = Template::parse("X a:{index} b{number:1} {index}").expect("a template");
        template.render(&mut keys, b"", &mut out);
        let wanted = "*4\r\n$1\r\nX\r\n$3\r\na:0\r\n$2\r\nb0\r\n$1\r\n1\r\n";
        assert_eq!(String::from_utf8_lossy(&out), wanted);
        assert!(template.is_ours() && !Template::parse("X {number}").expect("one").is_ours());
    }

    #[test]
    fn every_verb_is_a_template_and_is_filled_by_a_verb() {
        for verb in VERBS {
            let mut out = Vec::new();
            let template = Template::parse(verb.template).expect(verb.name);
            template.render(&mut source(), b"v", &mut out);
            assert!(out.ends_with(b"\r\n"), "{}", verb.name);
            assert!(verb.filled_by.is_none_or(|name| named(name).is_ok()), "{}", verb.name);
        }
    }

    #[test]
    fn what_is_no_template_is_refused_by_name() {
        for (text, part) in [
            ("", "one word"),
            ("GET {kee}", "{kee}"),
            ("GET {toolongprefix:}", "8"),
            ("GET a{key:}", "a{key:}"),
            ("GET {number:0}", "{number:0}"),
        ] {
            let error = Template::parse(text).expect_err(text);
            assert!(error.contains(part), "{error}");
        }
        assert!(named("gett").expect_err("no verb").contains("get, set"));
        assert!(Mix::new(vec![(Template::parse("PING").expect("a template"), 0)]).is_err());
    }

    #[test]
    fn a_mix_has_its_ratio() {
        let part = |name, weight| (Template::parse(name).expect("a template"), weight);
        let mix = Mix::new(vec![part("A", 4), part("B", 1)]).expect("weights");
        let mut keys = source();
        let firsts = (0..10_000).filter(|_| mix.choose(&mut keys).text == "A").count();
        // 8000 expected, the standard deviation is 40.
        assert!((7750..8250).contains(&firsts), "{firsts}");
        assert_eq!(mix.to_string(), "A=4,B=1");
    }
}
