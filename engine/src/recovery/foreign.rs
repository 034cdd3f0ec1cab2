//! Files a stock server wrote: commands without annotation, judged as stock judges them.
//!
//! | | found | ruling |
//! |---|---|---|
//! | a | whole commands to the end | kept |
//! | b | a torn last command or an open MULTI, in the last listed file | cut off there, as `aof-load-truncated yes` does |
//! | c | the same in another file | refuse, as stock does |
//! | d | anything else | refuse |

use super::{
    RecoveryError, Refusal,
    scan::{Fault, Piece, Scan},
};
use crate::aof::CommandFault;

/// What becomes of a stock server's file: how many bytes are kept. `from` is where its commands
/// begin.
///
/// # Errors
/// Rows c and d.
pub fn judge(name: &str, scan: &Scan, from: u64, last_listed: bool) -> Result<u64, RecoveryError> {
    let refuse = |fault, offset| RecoveryError::new(name, Refusal::Foreign(fault)).at(offset);
    let cut = Fault::Command(CommandFault::Cut);
    let mut keep = from;
    let mut torn = None;
    for piece in &scan.pieces {
        match *piece {
            Piece::Commands(commands) => {
                keep = commands.whole_end;
                torn = (commands.whole_end < commands.end).then_some(commands.whole_end);
            }
            Piece::Damage { offset, fault } if fault == cut => torn = torn.or(Some(offset)),
            Piece::Damage { offset, fault } => return Err(refuse(fault, offset)),
            Piece::Commits(commits) => return Err(refuse(Fault::Foreign, commits.start)),
            Piece::End { offset, .. } => return Err(refuse(Fault::Foreign, offset)),
        }
    }
    match torn {
        Some(offset) if !last_listed => Err(refuse(cut, offset)),
        _ => Ok(keep),
    }
}
