//! Bytes on the wire: the same requests get the same bytes from Quire and from stock Redis,
//! however they are cut into packets, and whatever nonsense they hold.

use std::time::Duration;

use crate::support::process::{Launch, ServerProcess, fresh_dir};

/// Both servers, without a log.
struct Both {
    _dir: tempfile::TempDir,
    quire: ServerProcess,
    redis: ServerProcess,
}

impl Both {
    fn start() -> Self {
        let dir = fresh_dir();
        let no_log = ["--appendonly", "no"];
        let quire = Launch::quire(dir.path()).with(&no_log).with(&["--shards", "2"]).start();
        let redis_dir = dir.path().join("redis");
        std::fs::create_dir(&redis_dir).expect("the directory is fresh");
        let redis = Launch::redis(&redis_dir).with(&no_log).start();
        Self { _dir: dir, quire, redis }
    }

    /// Sends `request` in `pieces` to a new connection of both; what each answered until silent.
    fn answers(&self, request: &[u8], pieces: usize) -> [Vec<u8>; 2] {
        [&self.quire, &self.redis].map(|server| {
            let mut client = server.client();
            for piece in request.chunks(request.len().div_ceil(pieces).max(1)) {
                // A server may close before it has read everything.
                if client.send(piece).is_err() {
                    break;
                }
            }
            client.read_raw(Duration::from_millis(150))
        })
    }

    fn assert_same(&self, request: &[u8], pieces: usize) {
        let [ours, theirs] = self.answers(request, pieces);
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        assert_eq!(text(&ours), text(&theirs), "for {:?}", text(request));
    }
}

#[test]
fn well_formed_requests_get_the_bytes_stock_redis_sends() {
    let both = Both::start();
    let requests = [
        "PING\r\n",
        "PING hello\r\n",
        "  set  key  \"quoted \\x41 value\"  \r\nget key\r\n",
        "\r\n\r\nPING\r\n",
        "*1\r\n$4\r\nPING\r\n*2\r\n$4\r\nECHO\r\n$2\r\nhi\r\n",
        "SET a 1\r\nGET a\r\nGET none\r\nINCR a\r\nDEL a none\r\nEXISTS a a\r\n",
        "MSET k1 v1 k2 v2 k3 v3\r\nMGET k1 nope k3\r\n",
        "SELECT 1\r\nSET a x\r\nSELECT 0\r\nGET a\r\nSELECT 99\r\nSELECT x\r\n",
        "SET e v PX 0\r\nSET e v EX\r\nSET e v NX XX\r\nSET e v EX abc\r\nEXPIRE e x\r\n",
        "GET\r\nGET a b\r\nNOSUCH a b c\r\nSET\r\n",
        "APPEND s abc\r\nSTRLEN s\r\nGETRANGE s 0 -1\r\nSETRANGE s 5 x\r\nTYPE s\r\nTTL s\r\n",
        "OBJECT ENCODING k1\r\nSET i 12\r\nOBJECT ENCODING i\r\nTYPE none\r\n",
        "QUIT\r\nPING\r\n",
    ];
    for request in requests {
        for pieces in [1, 3, request.len().max(1)] {
            both.assert_same(request.as_bytes(), pieces);
        }
    }
}

#[test]
fn debug_protocol_gives_every_type_of_reply_as_stock_redis_does() {
    let both = Both::start();
    let kinds =
        "string integer double bignum null array set map attrib push verbatim true false no";
    let lines: String = kinds.split(' ').map(|kind| format!("DEBUG PROTOCOL {kind}\r\n")).collect();
    both.assert_same(format!("{lines}DEBUG PROTOCOL\r\n").as_bytes(), 1);
    // Behind HELLO, whose reply names the server.
    let replies = both.answers(format!("HELLO 3\r\nPING\r\n{lines}").as_bytes(), 1).map(|all| {
        let all = String::from_utf8(all).expect("these replies are text");
        all.split_once("+PONG\r\n").expect("a reply to PING").1.to_owned()
    });
    assert!(replies[1].contains("|1\r\n$14\r\nkey-popularity"), "{replies:?}");
    assert_eq!(replies[0], replies[1]);
}

#[test]
fn broken_requests_get_the_error_stock_redis_sends_and_a_closed_connection() {
    let both = Both::start();
    let requests: [&[u8]; 10] = [
        b"*1\r\n:4\r\nPING\r\n",
        b"*-5\r\nPING\r\n",
        b"*abc\r\n",
        b"*1048577\r\n",
        b"*1\r\n$-1\r\n",
        b"*1\r\n$abc\r\n",
        b"*1\r\n$536870913\r\n",
        b"set a \"unbalanced\r\n",
        b"set a \"x\"y\r\n",
        b"GET / HTTP/1.1\r\nHost: x\r\n\r\n",
    ];
    for request in requests {
        both.assert_same(request, 1);
    }
    // An inline line without an end.
    both.assert_same(&[b'x'; 70_000], 1);
}

#[test]
fn ten_thousand_pipelined_commands_are_answered_in_order() {
    let both = Both::start();
    let mut request = Vec::new();
    for n in 0..10_000 {
        request
            .extend_from_slice(format!("SET k{n} {n}\r\nGET k{n}\r\nINCR shared\r\n").as_bytes());
    }
    let mut client = both.quire.client();
    let mut sender = both.quire.client();
    std::thread::scope(|scope| {
        let mut stream = client.clone_stream();
        scope.spawn(move || std::io::Write::write_all(&mut stream, &request));
        for n in 0..10_000 {
            assert!(client.receive().expect("an answer").is_ok());
            assert_eq!(client.receive().expect("an answer").text(), n.to_string());
            assert_eq!(
                client.receive().expect("an answer"),
                crate::support::client::Reply::Int(n + 1)
            );
        }
    });
    assert_eq!(sender.ask(&["GET", "shared"]).text(), "10000");
}

#[test]
fn a_slow_reader_gets_everything() {
    let dir = fresh_dir();
    let server = Launch::quire(dir.path()).with(&["--shards", "2"]).start();
    let mut client = server.client();
    let value = "v".repeat(1 << 20);
    assert!(client.ask(&["SET", "big", &value]).is_ok());
    for _ in 0..20 {
        client.send(b"GET big\r\n").expect("requests fit the socket's buffer");
    }
    std::thread::sleep(Duration::from_millis(300));
    for _ in 0..20 {
        assert_eq!(client.receive().expect("an answer").text().len(), 1 << 20);
    }
}
