//! What is done to both servers: a list of items, each for one connection, concrete to the byte,
//! so that a script can be run again, shortened and printed.

use super::relation::Relation;

/// Connections per server.
pub const CONNECTIONS: usize = 3;

/// A command's words.
pub type Line = Vec<Vec<u8>>;

/// One step on one connection.
#[derive(Debug, Clone)]
pub struct Item {
    /// The connection.
    pub connection: usize,
    /// What happens on it.
    pub action: Action,
}

/// What an item does. Items stay whole when a script is shortened.
#[derive(Debug, Clone)]
pub enum Action {
    /// Commands, sent together with those of neighbouring items of the same connection.
    Lines(Vec<(Line, Relation)>),
    /// A command that gives a key a deadline of some milliseconds; a pause; then one that meets
    /// the expired key, and EXISTS.
    Expiry { before: Line, after: Line, key: Vec<u8> },
    /// SCAN or one of its relatives (with its key) from the cursor 0 to the end, with options; what
    /// is found, in pieces of so many strings, is compared as a set.
    Scan { command: Line, options: Line, width: usize },
    /// What DUMP says of the first key on each server is restored as the second key on the other
    /// one, in exchange.
    Exchange { from: Vec<u8>, to: Vec<u8> },
    /// A line that counts keys, once those whose time is over are gone: when else they go, clocks
    /// decide.
    Count(Line, Relation),
    /// A checkpoint begins; what follows goes on meanwhile.
    Checkpoint(Checkpoint),
    /// Bytes on a connection of their own, which is then closed for writing.
    Raw(Vec<u8>),
    /// QUIT, and a new connection in the old one's place.
    Quit,
    /// Both servers end (Redis in order) and start again on what they have kept.
    Restart(Ending),
}

/// A kind of checkpoint.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Checkpoint {
    /// BGREWRITEAOF: a new base.
    Base,
    /// BGREWRITEAOF: what has changed since the base, where Quire can.
    Delta,
    /// BGSAVE.
    Save,
}

/// What happens in a script besides commands.
#[derive(Debug, Clone, Copy)]
pub struct Course {
    /// About so many restarts.
    pub restarts: usize,
    /// Kinds of its checkpoints.
    pub checkpoints: &'static [Checkpoint],
    /// One in so many actions is a checkpoint.
    pub every: usize,
    /// There is a key that makes checkpoints long.
    pub heavy: bool,
}

impl Course {
    /// Commands, nothing else.
    pub const STRAIGHT: Self = Self { restarts: 0, checkpoints: &[], every: 1, heavy: false };
    /// Restarts, and now and then a log that is rewritten.
    pub const RESTARTS: Self =
        Self { restarts: 3, checkpoints: &[Checkpoint::Base], every: 1500, heavy: false };
    /// Checkpoints all the time, some of them cut off by an end.
    pub const CHECKPOINTS: Self = Self {
        restarts: 2,
        checkpoints: &[Checkpoint::Base, Checkpoint::Delta, Checkpoint::Delta, Checkpoint::Save],
        every: 60,
        heavy: true,
    };
    /// Snapshots, and ends that leave nothing else.
    pub const SNAPSHOTS: Self =
        Self { restarts: 4, checkpoints: &[Checkpoint::Save], every: 100, heavy: true };
}

/// How a server ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ending {
    /// SIGTERM.
    Stop,
    /// kill -9.
    Kill,
}

/// A script: which protocol each connection starts with, and the items.
#[derive(Debug, Clone)]
pub struct Script {
    /// 2 or 3 for each connection.
    pub protocols: [u8; CONNECTIONS],
    /// The items in their order.
    pub items: Vec<Item>,
}

impl Item {
    /// How many commands this is.
    pub fn commands(&self) -> usize {
        match &self.action {
            Action::Lines(lines) => lines.len(),
            Action::Expiry { .. } => 3,
            Action::Exchange { .. } => 2,
            Action::Scan { .. }
            | Action::Count(..)
            | Action::Raw(_)
            | Action::Quit
            | Action::Checkpoint(_) => 1,
            Action::Restart(_) => 0,
        }
    }

    /// For people.
    pub fn text(&self) -> String {
        let what = match &self.action {
            Action::Lines(lines) => {
                lines.iter().map(|(line, _)| shown(line)).collect::<Vec<_>>().join(" ; ")
            }
            Action::Expiry { before, after, .. } => {
                format!("{} ; (pause) ; {}", shown(before), shown(after))
            }
            Action::Scan { command, options, .. } => {
                format!("{} 0.. {}", shown(command), shown(options))
            }
            Action::Exchange { from, to } => {
                format!("DUMP and RESTORE {}", shown(&vec![from.clone(), to.clone()]))
            }
            Action::Count(line, _) => format!("(all keys met) ; {}", shown(line)),
            Action::Checkpoint(kind) => format!("(checkpoint: {kind:?})"),
            Action::Raw(bytes) => format!("(raw) {}", bytes.escape_ascii()),
            Action::Quit => "QUIT".to_owned(),
            Action::Restart(ending) => format!("(restart after {ending:?})"),
        };
        format!("[{}] {what}", self.connection)
    }
}

/// A command line of these words.
pub fn line(words: &[&[u8]]) -> Line {
    words.iter().map(|word| word.to_vec()).collect()
}

/// A command line for people: words with blanks or other bytes in quotes.
pub fn shown(line: &Line) -> String {
    let word = |word: &Vec<u8>| {
        let text = word.escape_ascii().to_string();
        let cut = match text.char_indices().nth(80) {
            Some((at, _)) => format!("{}..({} bytes)", &text[..at], word.len()),
            None => text,
        };
        if word.is_empty() || cut.contains(' ') { format!("\"{cut}\"") } else { cut }
    };
    line.iter().map(word).collect::<Vec<_>>().join(" ")
}
