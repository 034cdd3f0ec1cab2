//! Commands about the connection itself: PING ECHO SELECT QUIT RESET AUTH HELLO.

use super::{ServerSpec, Step, connection_row};
use crate::{
    net::connection::Connection,
    runtime::core::Core,
    session::{ReplyMode, Session},
};
use quire_engine::{
    command::{Args, CommandError, Flags, Reply},
    keyspace::canonical_int,
};

/// The Redis version whose commands and replies these are: clients decide by it what they may
/// send.
pub const REDIS_VERSION: &str = "7.0.15";

/// The one user there is.
pub const DEFAULT_USER: &[u8] = b"default";

/// Flags of commands that a client may send before anything else.
const HANDSHAKE: Flags = Flags::NOSCRIPT
    .with(Flags::LOADING)
    .with(Flags::STALE)
    .with(Flags::FAST)
    .with(Flags::NO_AUTH)
    .with(Flags::ALLOW_BUSY);

const WRONGPASS: CommandError =
    CommandError::new("WRONGPASS invalid username-password pair or user is disabled.");

pub(super) const SPECS: &[ServerSpec] = &[
    connection_row("ping", -1, Flags::FAST, "1.0.0", "Answers, or gives its argument back", ping),
    connection_row(
        "echo",
        2,
        Flags::LOADING.with(Flags::STALE).with(Flags::FAST),
        "1.0.0",
        "Gives its argument back",
        echo,
    ),
    connection_row(
        "select",
        2,
        Flags::LOADING.with(Flags::STALE).with(Flags::FAST),
        "1.0.0",
        "Changes the connection's database",
        select,
    ),
    connection_row("quit", -1, HANDSHAKE, "1.0.0", "Closes the connection", quit),
    connection_row("reset", 1, HANDSHAKE, "6.2.0", "Makes the connection as good as new", reset),
    ServerSpec {
        complexity: "O(N) where N is the length of the password",
        ..connection_row("auth", -2, HANDSHAKE, "1.0.0", "Authenticates the connection", auth)
    },
    connection_row(
        "hello",
        -1,
        HANDSHAKE,
        "6.0.0",
        "Greets, authenticates, chooses the protocol",
        hello,
    ),
];

fn ping(
    _core: &mut Core,
    conn: &mut Connection,
    args: Args<'_>,
    out: &mut Vec<u8>,
) -> Result<Step, CommandError> {
    let mut reply = Reply::new(out, conn.session.resp3);
    match (args.len(), args.try_get(1)) {
        (1, _) => reply.simple("PONG"),
        (2, Some(text)) => reply.bulk(text),
        _ => return Err(CommandError::arity("ping")),
    }
    Ok(Step::Reply)
}

fn echo(
    _core: &mut Core,
    conn: &mut Connection,
    args: Args<'_>,
    out: &mut Vec<u8>,
) -> Result<Step, CommandError> {
    Reply::new(out, conn.session.resp3).bulk(args.get(1));
    Ok(Step::Reply)
}

fn select(
    core: &mut Core,
    conn: &mut Connection,
    args: Args<'_>,
    out: &mut Vec<u8>,
) -> Result<Step, CommandError> {
    let number = canonical_int(args.get(1)).ok_or(CommandError::NOT_AN_INTEGER)?;
    if i32::try_from(number).is_err() {
        return Err(CommandError::new(
            "ERR value is out of range, value must between -2147483648 and 2147483647",
        ));
    }
    if number < 0 || number >= core.shared.options.databases as i64 {
        return Err(CommandError::new("ERR DB index is out of range"));
    }
    conn.session.db = number as usize;
    Reply::new(out, conn.session.resp3).ok();
    Ok(Step::Reply)
}

fn quit(
    _core: &mut Core,
    conn: &mut Connection,
    _args: Args<'_>,
    out: &mut Vec<u8>,
) -> Result<Step, CommandError> {
    Reply::new(out, conn.session.resp3).ok();
    Ok(Step::CloseAfterReply)
}

fn reset(
    core: &mut Core,
    conn: &mut Connection,
    _args: Args<'_>,
    out: &mut Vec<u8>,
) -> Result<Step, CommandError> {
    core.set_monitor(conn, false);
    core.discard(conn);
    let session = &mut conn.session;
    session.no_touch = false;
    session.db = 0;
    session.resp3 = false;
    session.name.clear();
    session.reply_mode = ReplyMode::On;
    let is_open = core.live.requirepass.is_empty();
    authenticate(conn, is_open);
    Reply::new(out, false).simple("RESET");
    Ok(Step::Reply)
}

/// Lets the client in, or has it ask.
pub(super) fn authenticate(conn: &mut Connection, yes: bool) {
    conn.session.authenticated = yes;
    conn.parser.set_authenticated(yes);
}

/// Compares without telling by its duration how much of the password was right.
fn is_same(given: &[u8], expected: &[u8]) -> bool {
    let differences = given
        .iter()
        .zip(expected.iter().cycle())
        .fold(0u8, |differences, (a, b)| differences | (a ^ b));
    differences == 0 && given.len() == expected.len()
}

/// A login attempt.
fn log_in(
    core: &Core,
    conn: &mut Connection,
    user: &[u8],
    password: &[u8],
) -> Result<(), CommandError> {
    let expected = &core.live.requirepass;
    // Without a password the default user takes any.
    if user != DEFAULT_USER || !(expected.is_empty() || is_same(password, expected)) {
        return Err(WRONGPASS);
    }
    authenticate(conn, true);
    Ok(())
}

fn auth(
    core: &mut Core,
    conn: &mut Connection,
    args: Args<'_>,
    out: &mut Vec<u8>,
) -> Result<Step, CommandError> {
    match (args.len(), args.try_get(2)) {
        (2, _) if core.live.requirepass.is_empty() => {
            return Err(CommandError::new(
                "ERR AUTH <password> called without any password configured for the default \
                 user. Are you sure your configuration is correct?",
            ));
        }
        (2, _) => log_in(core, conn, DEFAULT_USER, args.get(1))?,
        (3, Some(password)) => log_in(core, conn, args.get(1), password)?,
        _ => return Err(CommandError::SYNTAX),
    }
    Reply::new(out, conn.session.resp3).ok();
    Ok(Step::Reply)
}

/// Text that CLIENT LIST can show as one word.
pub(super) fn is_one_word(text: &[u8]) -> bool {
    text.iter().all(u8::is_ascii_graphic)
}

/// Names the connection; an empty name is none.
pub(super) fn set_name(session: &mut Session, name: &[u8]) -> Result<(), CommandError> {
    if !is_one_word(name) {
        return Err(CommandError::new(
            "ERR Client names cannot contain spaces, newlines or special characters.",
        ));
    }
    session.name = name.to_vec();
    Ok(())
}

fn hello(
    core: &mut Core,
    conn: &mut Connection,
    args: Args<'_>,
    out: &mut Vec<u8>,
) -> Result<Step, CommandError> {
    let version =
        match args.try_get(1) {
            None => None,
            Some(text) => Some(canonical_int(text).ok_or(CommandError::new(
                "ERR Protocol version is not an integer or out of range",
            ))?),
        };
    if version.is_some_and(|v| !(2..=3).contains(&v)) {
        return Err(CommandError::new("NOPROTO unsupported protocol version"));
    }
    let mut at = 2;
    while let Some(option) = args.try_get(at) {
        if option.eq_ignore_ascii_case(b"auth") && args.len() > at + 2 {
            log_in(core, conn, args.get(at + 1), args.get(at + 2))?;
            at += 3;
        } else if option.eq_ignore_ascii_case(b"setname") && args.len() > at + 1 {
            set_name(&mut conn.session, args.get(at + 1))?;
            at += 2;
        } else {
            return Err(CommandError::quoting("ERR Syntax error in HELLO option '", option, "'"));
        }
    }
    if !conn.session.authenticated {
        return Err(CommandError::new(
            "NOAUTH HELLO must be called with the client already authenticated, otherwise the \
             HELLO AUTH <user> <pass> option can be used to authenticate the client and select \
             the RESP protocol version at the same time",
        ));
    }
    if let Some(version) = version {
        conn.session.resp3 = version == 3;
    }
    let mut reply = Reply::new(out, conn.session.resp3);
    reply.map(7);
    reply.bulk(b"server");
    reply.bulk(b"redis");
    reply.bulk(b"version");
    reply.bulk(REDIS_VERSION.as_bytes());
    reply.bulk(b"proto");
    reply.int(if conn.session.resp3 { 3 } else { 2 });
    reply.bulk(b"id");
    reply.int(conn.session.id as i64);
    reply.bulk(b"mode");
    reply.bulk(b"standalone");
    reply.bulk(b"role");
    reply.bulk(b"master");
    reply.bulk(b"modules");
    reply.array(0);
    Ok(Step::Reply)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn passwords_must_be_equal() {
        assert!(is_same(b"secret", b"secret"));
        for wrong in [&b""[..], b"secre", b"secrets", b"secretsecret", b"sEcret"] {
            assert!(!is_same(wrong, b"secret"), "{}", wrong.escape_ascii());
        }
    }

    #[test]
    fn names_are_one_word() {
        assert!(is_one_word(b"") && is_one_word(b"a-b!~"));
        for bad in [&b"a b"[..], b"a\n", b"\x7f", b"\xc3\xa9"] {
            assert!(!is_one_word(bad), "{}", bad.escape_ascii());
        }
    }
}
