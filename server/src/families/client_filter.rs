//! Which clients CLIENT LIST and CLIENT KILL are about.

use super::connection::DEFAULT_USER;
use crate::session::{Peer, Session};
use quire_engine::{
    command::{Args, CommandError},
    keyspace::canonical_int,
};

/// Conditions a client must meet, all of them.
#[derive(Debug, Default)]
pub(super) struct Filter {
    ids: Option<Vec<i64>>,
    address: Option<String>,
    local_address: Option<String>,
    /// Of a type no client can have here.
    nobody: bool,
    /// KILL: the client that asks is spared.
    pub skips_current: bool,
}

/// True for the type of all our clients, false for types nobody has (yet).
fn is_type_normal(name: &[u8]) -> Result<bool, CommandError> {
    match name.to_ascii_lowercase().as_slice() {
        b"normal" => Ok(true),
        b"slave" | b"replica" | b"pubsub" | b"master" => Ok(false),
        _ => Err(CommandError::quoting("ERR Unknown client type '", name, "'")),
    }
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

impl Filter {
    /// `CLIENT LIST [TYPE type | ID id ...]`
    pub fn of_list(args: Args<'_>) -> Result<Self, CommandError> {
        let mut filter = Self::default();
        let is = |word: &[u8]| args.try_get(2).is_some_and(|arg| arg.eq_ignore_ascii_case(word));
        if args.len() == 4 && is(b"type") {
            filter.nobody = !is_type_normal(args.get(3))?;
        } else if args.len() > 3 && is(b"id") {
            let ids: Option<Vec<i64>> = args.iter_from(3).map(canonical_int).collect();
            filter.ids = Some(ids.ok_or(CommandError::new("ERR Invalid client ID"))?);
        } else if args.len() != 2 {
            return Err(CommandError::SYNTAX);
        }
        Ok(filter)
    }

    /// `CLIENT KILL address` or `CLIENT KILL option value ...`
    pub fn of_kill(args: Args<'_>) -> Result<Self, CommandError> {
        let mut filter = Self::default();
        if args.len() == 3 {
            filter.address = Some(text(args.get(2)));
            return Ok(filter);
        }
        filter.skips_current = true;
        for at in (2..args.len()).step_by(2) {
            let value = args.try_get(at + 1).ok_or(CommandError::SYNTAX)?;
            match args.get(at).to_ascii_lowercase().as_slice() {
                b"id" => {
                    let id = canonical_int(value).filter(|id| *id > 0);
                    let error = "ERR client-id should be greater than 0";
                    filter.ids = Some(vec![id.ok_or(CommandError::new(error))?]);
                }
                b"type" => filter.nobody = !is_type_normal(value)?,
                b"addr" => filter.address = Some(text(value)),
                b"laddr" => filter.local_address = Some(text(value)),
                b"user" if value != DEFAULT_USER => {
                    return Err(CommandError::owned(format!("ERR No such user '{}'", text(value))));
                }
                b"user" => {}
                b"skipme" if value.eq_ignore_ascii_case(b"yes") => filter.skips_current = true,
                b"skipme" if value.eq_ignore_ascii_case(b"no") => filter.skips_current = false,
                _ => return Err(CommandError::SYNTAX),
            }
        }
        Ok(filter)
    }

    /// True for a client that is meant.
    pub fn matches(&self, session: &Session) -> bool {
        let is = |wanted: &Option<String>, address: fn(&Peer) -> String| {
            wanted.as_ref().is_none_or(|wanted| *wanted == address(&session.peer))
        };
        !self.nobody
            && self.ids.as_ref().is_none_or(|ids| ids.contains(&(session.id as i64)))
            && is(&self.address, Peer::remote_address)
            && is(&self.local_address, Peer::local_address)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::session::{Peer, ReplyMode};
    use quire_engine::command::OwnedArgs;

    fn session(id: u64, peer: Peer) -> Session {
        Session {
            id,
            db: 0,
            resp3: false,
            authenticated: true,
            name: Vec::new(),
            lib_name: Vec::new(),
            lib_ver: Vec::new(),
            is_monitor: false,
            no_evict: false,
            no_touch: false,
            reply_mode: ReplyMode::On,
            peer,
            created: std::time::Instant::now(),
            last_ms: 0,
            last_command: "NULL",
            commands: 0,
        }
    }

    fn who(line: &str) -> Result<Vec<u64>, String> {
        let clients = [
            session(
                3,
                Peer::Tcp {
                    remote: "127.0.0.1:50000".parse().unwrap(),
                    local: "127.0.0.1:6379".parse().unwrap(),
                },
            ),
            session(
                4,
                Peer::Tcp {
                    remote: "[::1]:50000".parse().unwrap(),
                    local: "[::1]:6379".parse().unwrap(),
                },
            ),
            session(5, Peer::Unix("/tmp/q.sock".to_owned())),
        ];
        let args = OwnedArgs::from_slices(&line.split(' ').collect::<Vec<_>>());
        let args = args.as_args();
        let filter =
            if args.get(1) == b"list" { Filter::of_list(args) } else { Filter::of_kill(args) };
        let filter = filter.map_err(|error| error.to_string())?;
        Ok(clients.iter().filter(|c| filter.matches(c)).map(|c| c.id).collect())
    }

    #[test]
    fn clients_are_told_apart_as_redis_does() {
        for (line, expected) in [
            ("client list", &[3, 4, 5][..]),
            ("client list type normal", &[3, 4, 5]),
            ("client list TYPE pubsub", &[]),
            ("client list id 4 9 3", &[3, 4]),
            ("client kill 127.0.0.1:50000", &[3]),
            ("client kill [::1]:50000", &[4]),
            ("client kill /tmp/q.sock:0", &[5]),
            ("client kill laddr 127.0.0.1:6379", &[3]),
            ("client kill id 4 addr 127.0.0.1:50000", &[]),
            ("client kill user default skipme no", &[3, 4, 5]),
            ("client kill type replica skipme no", &[]),
        ] {
            assert_eq!(who(line), Ok(expected.to_vec()), "{line}");
        }
    }

    #[test]
    fn errors_are_redis_own() {
        for (line, expected) in [
            ("client list x", "ERR syntax error"),
            ("client list id", "ERR syntax error"),
            ("client list id x", "ERR Invalid client ID"),
            ("client list type foo", "ERR Unknown client type 'foo'"),
            ("client kill id 0", "ERR client-id should be greater than 0"),
            ("client kill id", "ERR No client"),
            ("client kill id 1 skipme", "ERR syntax error"),
            ("client kill skipme maybe", "ERR syntax error"),
            ("client kill user nobody", "ERR No such user 'nobody'"),
        ] {
            match who(line) {
                // Three words are the old form: an address that nobody has.
                Ok(nobody) => assert_eq!((nobody, expected), (vec![], "ERR No client"), "{line}"),
                Err(error) => assert_eq!(error, expected, "{line}"),
            }
        }
    }
}
