//! How two replies to the same command must agree. Errors agree byte for byte whatever the
//! relation: what is random or tells the time is never an error.

use super::script::CONNECTIONS;

/// The relation of two replies.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Relation {
    /// Byte for byte.
    Exact,
    /// Arrays, sets and maps in any order, at every depth.
    Sorted,
    /// As `Sorted`, but elements of flat arrays come in pairs (RESP2 has no maps).
    Pairs,
    /// As many elements, or both none: which ones is random.
    Size,
    /// What is said of a stream: times near each other, nothing about how it is kept.
    Stream,
    /// Equal integers, or two that are not negative and differ by this at most.
    Near(i64),
    /// Both null or neither, and of one type.
    Nullness,
    /// Of one type.
    Kind,
    /// HELLO: equal but for the connection's id.
    Hello,
    /// TIME: two numbers in bulk strings, seconds near each other.
    Time,
    /// Lines of CLIENT LIST: those of the script's connections are in both, with all fields Redis
    /// has in its order, and the same values where they do not tell addresses, times or sizes.
    Clients,
    /// INFO keyspace without its average time to live.
    Keyspace,
    /// Equal, but for a sorted set that SORT has made big in Redis.
    Encoding,
    /// No reply comes.
    Silent,
}

/// A parsed reply: the type's byte, and what follows.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
enum Value {
    Line(u8, Vec<u8>),
    Bulk(u8, Option<Vec<u8>>),
    Many(u8, Option<Vec<Value>>),
}

impl Value {
    fn parse(reply: &[u8], at: &mut usize) -> Self {
        let end = *at + reply[*at..].windows(2).position(|w| w == b"\r\n").expect("whole replies");
        let (kind, header) = (reply[*at], &reply[*at + 1..end]);
        *at = end + 2;
        let count = || std::str::from_utf8(header).ok().and_then(|n| n.parse::<i64>().ok());
        match (kind, count()) {
            (b'$' | b'=', Some(-1)) => Self::Bulk(kind, None),
            (b'$' | b'=', Some(len)) => {
                let bytes = reply[*at..*at + len as usize].to_vec();
                *at += len as usize + 2;
                Self::Bulk(kind, Some(bytes))
            }
            (b'*' | b'~' | b'>', Some(-1)) => Self::Many(kind, None),
            (b'*' | b'~' | b'>', Some(n)) => {
                Self::Many(kind, Some((0..n).map(|_| Self::parse(reply, at)).collect()))
            }
            (b'%', Some(n)) => {
                let pair = |at: &mut usize| vec![Self::parse(reply, at), Self::parse(reply, at)];
                let pairs = (0..n).map(|_| Self::Many(b'*', Some(pair(at)))).collect();
                Self::Many(kind, Some(pairs))
            }
            _ => Self::Line(kind, header.to_vec()),
        }
    }

    fn sort(&mut self) {
        if let Self::Many(kind, Some(parts)) = self {
            parts.iter_mut().for_each(Self::sort);
            // The two halves of a map's entry keep their places.
            if *kind != b'%' || parts.len() > 1 {
                parts.sort();
            }
        }
    }

    /// Flat arrays as arrays of pairs.
    fn paired(self) -> Self {
        match self {
            Self::Many(b'*', Some(parts)) if parts.iter().all(|part| part.parts().is_empty()) => {
                let pairs = parts.chunks(2).map(|pair| Self::Many(b'*', Some(pair.to_vec())));
                Self::Many(b'%', Some(pairs.collect()))
            }
            other => other,
        }
    }

    fn kind(&self) -> u8 {
        match self {
            Self::Line(kind, _) | Self::Bulk(kind, _) | Self::Many(kind, _) => *kind,
        }
    }

    fn is_null(&self) -> bool {
        matches!(self, Self::Line(b'_', _) | Self::Bulk(_, None) | Self::Many(_, None))
    }

    fn text(&self) -> String {
        match self {
            Self::Line(_, bytes) | Self::Bulk(_, Some(bytes)) => {
                String::from_utf8_lossy(bytes).into_owned()
            }
            Self::Bulk(_, None) | Self::Many(..) => String::new(),
        }
    }

    fn number(&self) -> Option<i64> {
        self.text().parse().ok()
    }

    fn parts(&self) -> &[Value] {
        match self {
            Self::Many(_, Some(parts)) => parts,
            _ => &[],
        }
    }
}

/// Names of numbers that tell how long ago something was, or how a stream is kept.
const OF_THE_MOMENT: [&[u8]; 5] =
    [b"idle", b"inactive", b"seen-time", b"radix-tree-keys", b"radix-tree-nodes"];
/// No number but a time, in Unix ms, is above this.
const TIMES: i64 = 1_000_000_000_000;

/// Whether two descriptions of a stream agree; `name` is the word before them.
fn streams_agree(redis: &Value, ours: &Value, name: &[u8]) -> bool {
    let numbers = || Some((redis.number()?, ours.number()?));
    match (redis, ours) {
        (Value::Many(kind, Some(a)), Value::Many(other, Some(b))) => {
            // What is pending: id, consumer, how long, how often.
            let is_pending = matches!(
                a[..],
                [Value::Bulk(..), Value::Bulk(..), Value::Line(b':', _), Value::Line(b':', _)]
            );
            let name = |at: usize| match at.checked_sub(1).map(|before| &a[before]) {
                Some(_) if is_pending && at == 2 => &b"idle"[..],
                Some(Value::Bulk(_, Some(name))) => name,
                _ => b"",
            };
            kind == other
                && a.len() == b.len()
                && a.iter().zip(b).enumerate().all(|(at, (a, b))| streams_agree(a, b, name(at)))
        }
        (Value::Line(b':', a), Value::Line(b':', b)) => match numbers() {
            _ if a == b || OF_THE_MOMENT.contains(&name) => true,
            Some((a, b)) => a.min(b) > TIMES && (a - b).abs() < 20_000,
            None => false,
        },
        _ => redis == ours,
    }
}

/// Cursor and keys of a SCAN reply.
pub fn scan_page(reply: &[u8]) -> Option<(Vec<u8>, Vec<Vec<u8>>)> {
    let value = Value::parse(reply, &mut 0);
    let [Value::Bulk(_, Some(cursor)), keys] = value.parts() else { return None };
    let keys = keys.parts().iter().filter_map(|key| match key {
        Value::Bulk(_, Some(bytes)) => Some(bytes.clone()),
        _ => None,
    });
    Some((cursor.clone(), keys.collect()))
}

/// The strings of a flat array, sorted.
pub fn strings(reply: &[u8]) -> Vec<Vec<u8>> {
    let value = Value::parse(reply, &mut 0);
    let bytes = |part: &Value| match part {
        Value::Bulk(_, Some(bytes)) | Value::Line(_, bytes) => bytes.clone(),
        Value::Bulk(_, None) | Value::Many(..) => Vec::new(),
    };
    let mut strings: Vec<_> = value.parts().iter().map(bytes).collect();
    strings.sort();
    strings
}

/// The fields of a CLIENT LIST line whose values do not depend on the machine.
const CLIENT_FIELDS: [&str; 10] =
    ["name", "flags", "db", "sub", "psub", "ssub", "multi", "cmd", "user", "resp"];

/// Whether a watched key has changed is known here only when EXEC asks the shards: no flag `d`.
fn comparable(name: &str, value: &str) -> String {
    match value.replace('d', "") {
        rest if name == "flags" && rest.is_empty() => "N".to_owned(),
        rest if name == "flags" => rest,
        _ => value.to_owned(),
    }
}

/// Names of all fields, and the comparable ones with their values.
type ClientLine = (Vec<String>, Vec<String>);

/// Field names in their order, and the comparable values, of each line.
fn client_lines(text: &str) -> Vec<ClientLine> {
    let fields = |line: &str| {
        let pairs: Vec<(String, String)> = line
            .split(' ')
            .filter_map(|field| field.split_once('='))
            .map(|(name, value)| (name.to_owned(), comparable(name, value)))
            .collect();
        let values = pairs.iter().filter(|(name, _)| CLIENT_FIELDS.contains(&name.as_str()));
        let values = values.map(|(name, value)| format!("{name}={value}")).collect();
        (pairs.iter().map(|(name, _)| name.clone()).collect(), values)
    };
    text.lines().filter(|line| !line.is_empty()).map(fields).collect()
}

fn clients_agree(redis: &str, ours: &str) -> bool {
    let (redis, ours) = (client_lines(redis), client_lines(ours));
    // A connection that was closed a moment ago may still be there on either side. Ours may say
    // more of each, behind what Redis says.
    let is_like =
        |redis: &ClientLine, ours: &ClientLine| ours.0.starts_with(&redis.0) && redis.1 == ours.1;
    let alike = redis.iter().filter(|line| ours.iter().any(|other| is_like(line, other))).count();
    alike >= redis.len().min(ours.len()).min(CONNECTIONS)
}

/// A HELLO reply without the digits of the id.
fn without_id(reply: &[u8]) -> Vec<u8> {
    let id = b"$2\r\nid\r\n:";
    match reply.windows(id.len()).position(|part| part == id) {
        Some(at) => {
            let (before, behind) = reply.split_at(at + id.len());
            let digits = behind.iter().take_while(|byte| byte.is_ascii_digit()).count();
            [before, &behind[digits..]].concat()
        }
        None => reply.to_vec(),
    }
}

fn keyspace(text: &str) -> Vec<&str> {
    text.lines().map(|line| line.split(",avg_ttl").next().unwrap_or(line)).collect()
}

/// True when the replies agree.
pub fn agree(how: Relation, redis: &[u8], ours: &[u8]) -> bool {
    let is_error = |reply: &[u8]| reply.starts_with(b"-");
    if redis == ours || is_error(redis) || is_error(ours) {
        return redis == ours;
    }
    if how == Relation::Hello {
        return without_id(redis) == without_id(ours);
    }
    let [mut redis, mut ours] = [redis, ours].map(|reply| Value::parse(reply, &mut 0));
    match how {
        Relation::Exact | Relation::Hello | Relation::Silent => false,
        Relation::Sorted => {
            redis.sort();
            ours.sort();
            redis == ours
        }
        Relation::Encoding => redis.text() == "skiplist" && ours.text() == "listpack",
        Relation::Pairs => {
            let [mut redis, mut ours] = [redis, ours].map(Value::paired);
            redis.sort();
            ours.sort();
            redis == ours
        }
        Relation::Size => {
            redis.kind() == ours.kind()
                && redis.is_null() == ours.is_null()
                && redis.parts().len() == ours.parts().len()
        }
        Relation::Stream => streams_agree(&redis, &ours, b""),
        Relation::Near(most) => match (redis.number(), ours.number()) {
            (Some(a), Some(b)) => {
                redis.kind() == ours.kind() && a.min(b) >= 0 && (a - b).abs() <= most
            }
            _ => false,
        },
        Relation::Nullness => redis.kind() == ours.kind() && redis.is_null() == ours.is_null(),
        Relation::Kind => redis.kind() == ours.kind(),
        Relation::Time => match (redis.parts(), ours.parts()) {
            ([a, a_us], [b, b_us]) => {
                let near = a.number().zip(b.number()).is_some_and(|(a, b)| (a - b).abs() <= 10);
                let micros = [a_us, b_us].map(|us| us.number().is_some_and(|n| n < 1_000_000));
                near && micros == [true, true] && a.kind() == b.kind()
            }
            _ => false,
        },
        Relation::Clients => {
            redis.kind() == ours.kind() && clients_agree(&redis.text(), &ours.text())
        }
        Relation::Keyspace => {
            redis.kind() == ours.kind() && keyspace(&redis.text()) == keyspace(&ours.text())
        }
    }
}
