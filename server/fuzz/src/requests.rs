//! Any bytes are commands or a breach of the protocol, the same ones however they are cut into
//! pieces; what is a command is sent as an array and is the same command.

use quire_engine::command::{Args, Span};
use quire_server::resp::{Parsed, ProtocolError, RequestParser};

/// Longest argument.
const BULK_BYTES_MAX: u32 = 1 << 20;

#[derive(Debug, PartialEq, Eq)]
enum Event {
    Command(Vec<Vec<u8>>),
    Error(ProtocolError),
}

/// Takes any bytes: whether the client has authenticated, the size of pieces, then what it sends.
///
/// # Panics
/// When a promise is broken.
pub fn any_bytes(data: &[u8]) {
    let Some((&[authenticated, piece], bytes)) = data.split_first_chunk::<2>() else { return };
    let authenticated = authenticated & 1 != 0;
    let whole = feed(bytes, authenticated, bytes.len().max(1));
    for piece in [1, 1 + usize::from(piece)] {
        assert_eq!(feed(bytes, authenticated, piece), whole, "pieces of {piece} do not matter");
    }
    if !authenticated {
        return;
    }
    let commands: Vec<&Vec<Vec<u8>>> = whole
        .iter()
        .filter_map(|event| match event {
            Event::Command(words) => Some(words),
            Event::Error(_) => None,
        })
        .collect();
    let sent: Vec<u8> = commands.iter().flat_map(|words| encode(words)).collect();
    let again = feed(&sent, true, sent.len().max(1));
    let expected: Vec<Event> =
        commands.into_iter().map(|words| Event::Command(words.clone())).collect();
    assert_eq!(again, expected);
}

fn encode(words: &[Vec<u8>]) -> Vec<u8> {
    let mut out = format!("*{}\r\n", words.len()).into_bytes();
    for word in words {
        out.extend_from_slice(format!("${}\r\n", word.len()).as_bytes());
        out.extend_from_slice(word);
        out.extend_from_slice(b"\r\n");
    }
    out
}

/// Plays the connection: keeps bytes until they are consumed; others use the spans in between.
fn feed(bytes: &[u8], authenticated: bool, piece: usize) -> Vec<Event> {
    let mut parser = RequestParser::new(authenticated, BULK_BYTES_MAX);
    let (mut events, mut buf, mut spans) = (Vec::new(), Vec::new(), Vec::new());
    for chunk in bytes.chunks(piece) {
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
                    assert!(need > 0, "more bytes always help");
                    break;
                }
                Parsed::Error(error) => {
                    let mut reply = Vec::new();
                    error.write_reply(&mut reply);
                    assert!(reply.starts_with(b"-ERR Protocol error") && reply.ends_with(b"\r\n"));
                    events.push(Event::Error(error));
                    return events;
                }
            };
            assert!(consumed > 0 && consumed <= buf.len());
            buf.drain(..consumed);
            spans.clear();
            spans.resize(3, Span { start: 7, len: 7 });
        }
    }
    events
}
