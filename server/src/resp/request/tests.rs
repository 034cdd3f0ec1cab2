//! Promises of the request parser. `feed` plays the connection: it keeps bytes until they are
//! consumed and shares one vector of spans, as the network layer does.

use super::*;
use proptest::prelude::*;

const BULK_MAX: u32 = 512 * 1024 * 1024;

#[derive(Debug, PartialEq, Eq)]
enum Event {
    Command(Vec<Vec<u8>>),
    Error(ProtocolError),
}

fn feed<'a>(parser: &mut RequestParser, chunks: impl Iterator<Item = &'a [u8]>) -> Vec<Event> {
    let mut events = Vec::new();
    let mut buf: Vec<u8> = Vec::new();
    let mut spans = Vec::new();
    for chunk in chunks {
        buf.extend_from_slice(chunk);
        loop {
            let consumed = match parser.parse(&buf, &mut spans) {
                Parsed::Complete { consumed } => {
                    let args = Args::new(&buf, &spans);
                    events.push(Event::Command(args.iter_from(0).map(<[u8]>::to_vec).collect()));
                    consumed
                }
                Parsed::Inline { consumed } => {
                    let args = parser.inline_args();
                    events.push(Event::Command(args.iter_from(0).map(<[u8]>::to_vec).collect()));
                    consumed
                }
                Parsed::Nothing { consumed } => consumed,
                Parsed::Incomplete { need } => {
                    assert!(need > 0);
                    break;
                }
                Parsed::Error(error) => {
                    events.push(Event::Error(error));
                    return events;
                }
            };
            assert!(consumed > 0 && consumed <= buf.len());
            buf.drain(..consumed);
            // Another connection uses the shared spans between two calls.
            spans.clear();
            spans.resize(3, Span { start: 7, len: 7 });
        }
    }
    events
}

fn whole(bytes: &[u8]) -> Vec<Event> {
    feed(&mut RequestParser::new(true, BULK_MAX), std::iter::once(bytes))
}

fn in_pieces(bytes: &[u8], cuts: &[usize]) -> Vec<Event> {
    let mut cuts: Vec<usize> = cuts.iter().map(|c| c % (bytes.len() + 1)).collect();
    cuts.extend([0, bytes.len()]);
    cuts.sort_unstable();
    feed(&mut RequestParser::new(true, BULK_MAX), cuts.windows(2).map(|w| &bytes[w[0]..w[1]]))
}

fn encode(command: &[Vec<u8>]) -> Vec<u8> {
    let mut out = format!("*{}\r\n", command.len()).into_bytes();
    for arg in command {
        out.extend_from_slice(format!("${}\r\n", arg.len()).as_bytes());
        out.extend_from_slice(arg);
        out.extend_from_slice(b"\r\n");
    }
    out
}

fn one_error(bytes: &[u8]) -> Option<String> {
    match whole(bytes).pop() {
        Some(Event::Error(error)) => {
            let mut reply = Vec::new();
            error.write_reply(&mut reply);
            Some(String::from_utf8_lossy(&reply).trim_end().to_owned())
        }
        _ => None,
    }
}

/// Streams that breach the protocol (or nearly) and what Redis 7.0.15 answers before it closes.
fn breaches() -> Vec<(Vec<u8>, Option<&'static str>)> {
    let long = |prefix: &str, n: usize| [prefix.as_bytes(), "1".repeat(n).as_bytes()].concat();
    let plain: &[(&[u8], Option<&'static str>)] = &[
        (b"*abc\r\n", Some("invalid multibulk length")),
        (b"*2147483647\r\n", None),
        (b"*2147483648\r\n", Some("invalid multibulk length")),
        (b"*9223372036854775808\r\n", Some("invalid multibulk length")),
        (b"*+1\r\n", Some("invalid multibulk length")),
        (b"*01\r\n", Some("invalid multibulk length")),
        (b"* 1\r\n", Some("invalid multibulk length")),
        (b"*\r\n", Some("invalid multibulk length")),
        (b"*-0\r\n", Some("invalid multibulk length")),
        (b"*-\r\n", Some("invalid multibulk length")),
        (b"*-1\r\n", None),
        (b"*-9223372036854775808\r\n", None),
        (b"*-9223372036854775809\r\n", Some("invalid multibulk length")),
        (b"*0\r\n", None),
        (b"*1\r\n:3\r\n", Some("expected '$', got ':'")),
        (b"*1\r\n\r\n", Some("expected '$', got ' '")),
        (b"*1\r\nPING\r\n", Some("expected '$', got 'P'")),
        (b"*1\r\n:3", None),
        (b"*1\r\n$abc\r\n", Some("invalid bulk length")),
        (b"*1\r\n$-1\r\n", Some("invalid bulk length")),
        (b"*1\r\n$-0\r\n", Some("invalid bulk length")),
        (b"*1\r\n$+4\r\n", Some("invalid bulk length")),
        (b"*1\r\n$04\r\n", Some("invalid bulk length")),
        (b"*1\r\n$\r\n", Some("invalid bulk length")),
        (b"*1\r\n$536870912\r\n", None),
        (b"*1\r\n$536870913\r\n", Some("invalid bulk length")),
        (b"*1\r\n$99999999999\r\n", Some("invalid bulk length")),
        (b"PING \"abc\r\n", Some("unbalanced quotes in request")),
        (b"PING \"abc\"d\r\n", Some("unbalanced quotes in request")),
        (b"\r\n\n   \r\n", None),
    ];
    let mut all: Vec<(Vec<u8>, Option<&'static str>)> =
        plain.iter().map(|(bytes, error)| (bytes.to_vec(), *error)).collect();
    all.push((long("*", 70_000), Some("too big mbulk count string")));
    all.push((long("*1\r\n$", 70_000), Some("too big bulk count string")));
    all.push((long("", 70_000), Some("too big inline request")));
    all.push((long("*", LINE_BYTES_MAX), Some("too big mbulk count string")));
    all.push((long("*", LINE_BYTES_MAX - 1), None));
    all.push((long("1", LINE_BYTES_MAX), Some("too big inline request")));
    all.push((long("1", LINE_BYTES_MAX - 1), None));
    // The same with the end of the line in sight.
    for (prefix, text) in [
        ("*", "too big mbulk count string"),
        ("*1\r\n$", "too big bulk count string"),
        ("", "too big inline request"),
    ] {
        all.push(([long(prefix, 70_000), b"\r\n".to_vec()].concat(), Some(text)));
    }
    all
}

#[test]
fn breaches_are_answered_as_redis_answers_them() {
    for (bytes, error) in breaches() {
        let expected = error.map(|text| format!("-ERR Protocol error: {text}"));
        assert_eq!(one_error(&bytes), expected, "{}", bytes[..bytes.len().min(40)].escape_ascii());
    }
}

/// Asks a real server the same questions.
#[test]
fn breaches_are_those_of_a_running_redis() {
    use std::io::{Read, Write};
    let dir = tempfile::tempdir().unwrap();
    let socket = dir.path().join("redis.sock");
    let mut server = std::process::Command::new("redis-server")
        .args(["--port", "0", "--save", "", "--unixsocket"])
        .arg(&socket)
        .current_dir(dir.path())
        .stdout(std::process::Stdio::null())
        .spawn()
        .unwrap();
    let connect = || std::os::unix::net::UnixStream::connect(&socket);
    while connect().is_err() {
        std::thread::sleep(std::time::Duration::from_millis(20));
    }
    let mut wrong = Vec::new();
    // Whether Redis refuses an overlong line that does end hangs on the sizes of its reads.
    let overlong = |bytes: &[u8]| bytes.len() > LINE_BYTES_MAX && bytes.ends_with(b"\r\n");
    for (bytes, _) in breaches().into_iter().filter(|(bytes, _)| !overlong(bytes)) {
        let mut stream = connect().unwrap();
        stream.set_read_timeout(Some(std::time::Duration::from_millis(200))).unwrap();
        // The server may close before it has read everything.
        let _ = stream.write_all(&bytes);
        let mut answer = [0; 256];
        let len = stream.read(&mut answer).unwrap_or(0);
        let answer = (len > 0).then(|| String::from_utf8_lossy(&answer[..len]).trim().to_owned());
        if answer != one_error(&bytes) {
            wrong.push((bytes[..bytes.len().min(40)].escape_ascii().to_string(), answer));
        }
    }
    server.kill().unwrap();
    server.wait().unwrap();
    assert_eq!(wrong, []);
}

#[test]
fn strangers_may_send_only_small_commands() {
    let mut spans = Vec::new();
    let ask = |bytes: &[u8], spans: &mut Vec<Span>| {
        RequestParser::new(false, BULK_MAX).parse(bytes, spans)
    };
    let password_of = |n: usize| format!("*2\r\n$4\r\nAUTH\r\n${n}\r\n").into_bytes();
    assert_eq!(ask(b"*10\r\n", &mut spans), Parsed::Incomplete { need: 1 });
    assert_eq!(
        ask(b"*11\r\n", &mut spans),
        Parsed::Error(ProtocolError::UnauthenticatedMultibulkLength)
    );
    assert_eq!(ask(&password_of(16384), &mut spans), Parsed::Incomplete { need: 16386 });
    assert_eq!(
        ask(&password_of(16385), &mut spans),
        Parsed::Error(ProtocolError::UnauthenticatedBulkLength)
    );
    // Whoever authenticates may go on with more.
    let mut parser = RequestParser::new(false, BULK_MAX);
    parser.set_authenticated(true);
    assert_eq!(parser.parse(b"*11\r\n", &mut spans), Parsed::Incomplete { need: 1 });
}

#[test]
fn longest_argument_is_what_was_configured() {
    let mut spans = Vec::new();
    let mut parser = RequestParser::new(true, 100);
    assert_eq!(parser.parse(b"*1\r\n$100\r\n", &mut spans), Parsed::Incomplete { need: 102 });
    let mut parser = RequestParser::new(true, 100);
    assert_eq!(
        parser.parse(b"*1\r\n$101\r\n", &mut spans),
        Parsed::Error(ProtocolError::InvalidBulkLength)
    );
    parser = RequestParser::new(true, 100);
    parser.set_proto_max_bulk_len(200);
    assert_eq!(parser.parse(b"*1\r\n$200\r\n", &mut spans), Parsed::Incomplete { need: 202 });
}

#[test]
fn an_announced_number_of_arguments_takes_no_memory() {
    let mut spans = Vec::new();
    let mut parser = RequestParser::new(true, BULK_MAX);
    assert_eq!(parser.parse(b"*2147483647\r\n", &mut spans), Parsed::Incomplete { need: 1 });
    assert!(spans.capacity() <= 2 * SPANS_RESERVED_MAX as usize);
}

#[test]
fn empty_lines_and_empty_arrays_are_skipped() {
    let stream = b"\r\n*0\r\n*-1\r\n\n*1\r\n$4\r\nPING\r\n*-7\r\nECHO 'a b'\r\n";
    let expected = [
        Event::Command(vec![b"PING".to_vec()]),
        Event::Command(vec![b"ECHO".to_vec(), b"a b".to_vec()]),
    ];
    assert_eq!(whole(stream), expected);
}

#[test]
fn no_argument_is_looked_at_twice() {
    // Bytes trickle in, and those of whole arguments turn to garbage behind the parser's back.
    let command: Vec<Vec<u8>> = (0..2_000).map(|i: u32| i.to_string().into_bytes()).collect();
    let bytes = encode(&command);
    let mut garbled = bytes.clone();
    let mut parser = RequestParser::new(true, BULK_MAX);
    let mut spans = Vec::new();
    for cut in 0..bytes.len() {
        let parsed = parser.parse(&garbled[..cut], &mut spans);
        assert!(matches!(parsed, Parsed::Incomplete { .. }));
        spans.clear();
        // The longest argument takes 10 bytes.
        garbled[..cut.saturating_sub(10)].fill(b'#');
    }
    assert_eq!(parser.parse(&garbled, &mut spans), Parsed::Complete { consumed: bytes.len() });
    let args = Args::new(&bytes, &spans);
    assert_eq!(args.iter_from(0).map(<[u8]>::to_vec).collect::<Vec<_>>(), command);
}

fn argument() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        8 => prop::collection::vec(any::<u8>(), 0..12),
        1 => prop::collection::vec(any::<u8>(), 90..130),
        1 => Just(b"\r\n*1\r\n$".to_vec()),
    ]
}

fn command() -> impl Strategy<Value = Vec<Vec<u8>>> {
    prop_oneof![
        8 => prop::collection::vec(argument(), 1..6),
        1 => prop::collection::vec(argument(), 60..150),
    ]
}

/// Bytes that look like protocol, with mistakes.
fn almost_protocol() -> impl Strategy<Value = Vec<u8>> {
    let piece = prop_oneof![
        3 => command().prop_map(|c| encode(&c)),
        1 => prop::sample::select(vec![
            "*", "$", "\r", "\n", "\r\n", "0", "1", "2", "-1", "3\r\nabc\r\n", "PING", " ", "\"",
            "'", "\\x4", "*2\r\n", "$1\r\n", "$0\r\n\r\n", "99999999999", ":",
        ]).prop_map(|s| s.as_bytes().to_vec()),
        1 => prop::collection::vec(any::<u8>(), 0..4),
    ];
    prop::collection::vec(piece, 0..8).prop_map(|pieces| pieces.concat())
}

proptest! {
    #[test]
    fn commands_come_out_as_they_went_in(
        commands in prop::collection::vec(command(), 0..6),
        cuts in prop::collection::vec(any::<usize>(), 0..20),
    ) {
        let stream: Vec<u8> = commands.iter().flat_map(|c| encode(c)).collect();
        let expected: Vec<Event> = commands.into_iter().map(Event::Command).collect();
        prop_assert_eq!(&in_pieces(&stream, &cuts), &expected);
    }

    #[test]
    fn any_bytes_in_any_pieces_give_the_same_events(
        stream in almost_protocol(),
        cuts in prop::collection::vec(any::<usize>(), 0..20),
    ) {
        let single: Vec<usize> = (0..stream.len()).collect();
        let at_once = whole(&stream);
        prop_assert_eq!(&in_pieces(&stream, &cuts), &at_once);
        prop_assert_eq!(&in_pieces(&stream, &single), &at_once);
    }
}
