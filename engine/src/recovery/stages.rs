//! In which order files are replayed. Pure.
//!
//! ```text
//! manifest:  base | s0.1 s1.2 s0.3 | g.4 | s0.5 s1.6 + a stock server's commands | s0.7 s1.8
//! stages:    Commands(base)  Epoch      Global  Epoch, Commands(s1.6)               Epoch
//! ```
//! A delta is an epoch of one file: who reads it is alone, those who execute it are not.
//!
//! An epoch is a stretch of segments of one run. Its shards have no key in common, so their files
//! can be replayed in parallel, each shard's in list order. Everything else is replayed alone:
//! a global command because it concerns all shards, a stock server's commands because they may
//! name any key. A stock server appends to the last file listed, so its commands stand behind
//! everything listed before; the next run's files come after.

use super::{RecoveryError, Refusal};

/// What a file is, as far as the order is concerned.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Content {
    /// A stock server's.
    Foreign,
    /// What has changed since the base: commits that may name any key.
    Delta,
    /// A global command.
    Global,
    /// One shard's log; no run when it is empty and nothing says.
    Segment {
        /// The shard that wrote it.
        shard: u16,
        /// The run that wrote it.
        run: Option<u64>,
        /// Commands of a stock server stand behind (or instead of) its commits.
        commands: bool,
    },
}

/// One step of the replay; files by their position in the list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Stage {
    /// Commits only: the files of each shard in order, the shards in parallel.
    Epoch(Vec<Vec<usize>>),
    /// The one commit of a global segment, alone.
    Global(usize),
    /// Commands without annotation, alone.
    Commands(usize),
}

/// The order of replay of `files`, given in list order.
///
/// # Errors
/// A stock server's commands in a file that was not the last of its run: their place in the order
/// is unknown. `names` are the files' names, for the message.
pub fn stages(files: &[Content], names: &[&str]) -> Result<Vec<Stage>, RecoveryError> {
    let mut stages = Vec::new();
    let mut epoch = Epoch::default();
    for (index, file) in files.iter().enumerate() {
        match *file {
            Content::Foreign | Content::Global | Content::Delta => {
                epoch.close(&mut stages);
                stages.push(match file {
                    Content::Global => Stage::Global(index),
                    Content::Delta => Stage::Epoch(vec![vec![index]]),
                    Content::Foreign | Content::Segment { .. } => Stage::Commands(index),
                });
            }
            Content::Segment { shard, run, commands } => {
                if run.is_some() && epoch.run.is_some() && run != epoch.run {
                    epoch.close(&mut stages);
                }
                if let Some(at) = epoch.commands
                    && run.is_some()
                {
                    return Err(RecoveryError::new(names[at], Refusal::Misplaced));
                }
                epoch.run = epoch.run.or(run);
                epoch.add(shard, index);
                if commands {
                    epoch.commands = Some(index);
                }
            }
        }
    }
    epoch.close(&mut stages);
    Ok(stages)
}

#[derive(Default)]
struct Epoch {
    run: Option<u64>,
    shards: Vec<(u16, Vec<usize>)>,
    commands: Option<usize>,
}

impl Epoch {
    fn add(&mut self, shard: u16, index: usize) {
        match self.shards.iter_mut().find(|(known, _)| *known == shard) {
            Some((_, files)) => files.push(index),
            None => self.shards.push((shard, vec![index])),
        }
    }

    fn close(&mut self, stages: &mut Vec<Stage>) {
        let closed = std::mem::take(self);
        if !closed.shards.is_empty() {
            stages.push(Stage::Epoch(closed.shards.into_iter().map(|(_, files)| files).collect()));
        }
        stages.extend(closed.commands.map(Stage::Commands));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn segment(shard: u16, run: u64, commands: bool) -> Content {
        Content::Segment { shard, run: Some(run), commands }
    }

    #[test]
    fn epochs_are_parted_by_runs_and_global_commands() {
        let files = [
            Content::Foreign,
            Content::Delta,
            segment(0, 1, false),
            segment(1, 1, false),
            segment(0, 1, false),
            Content::Global,
            segment(0, 1, false),
            segment(1, 1, true),
            Content::Segment { shard: 2, run: None, commands: false },
            segment(0, 2, false),
        ];
        let expected = [
            Stage::Commands(0),
            Stage::Epoch(vec![vec![1]]),
            Stage::Epoch(vec![vec![2, 4], vec![3]]),
            Stage::Global(5),
            Stage::Epoch(vec![vec![6], vec![7], vec![8]]),
            Stage::Commands(7),
            Stage::Epoch(vec![vec![9]]),
        ];
        assert_eq!(stages(&files, &["x"; 10]).unwrap(), expected);
    }

    #[test]
    fn commands_in_the_middle_of_a_run_are_refused() {
        let files = [segment(0, 1, true), segment(1, 1, false)];
        let error = stages(&files, &["first", "second"]).unwrap_err();
        assert_eq!(error.file, "first");
        assert!(matches!(*error.kind, Refusal::Misplaced));
    }
}
