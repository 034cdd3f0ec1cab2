//! What a recovery found, for the operator.

use super::Cut;

/// What a recovery found.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Summary {
    /// Files read.
    pub files: usize,
    /// Bytes replayed.
    pub bytes: u64,
    /// Commits kept.
    pub commits: u64,
    /// Commands replayed.
    pub commands: u64,
    /// Keys loaded.
    pub keys: u64,
    /// Where unsynced tails were cut.
    pub cuts: Vec<Cut>,
    /// The file a stock server has appended to since our last run.
    pub taken_over: Option<String>,
    /// The manifest is ours.
    pub ours: bool,
    /// Files to be deleted.
    pub leftovers: usize,
}

impl Summary {
    /// One line per thing worth knowing, the overview first.
    pub fn lines(&self) -> Vec<String> {
        let Summary { keys, commands, bytes, files, .. } = self;
        let mut lines = vec![format!(
            "Log loaded: {keys} keys from {commands} commands in {files} files, {bytes} bytes"
        )];
        for cut in &self.cuts {
            lines.push(cut_line(cut));
        }
        if let Some(file) = &self.taken_over {
            lines.push(format!(
                "A Redis server has appended to {file}: its commands were replayed behind ours"
            ));
        }
        if !self.ours {
            lines.push("The manifest was not written by Quire: read as stock Redis does".into());
        }
        if self.leftovers > 0 {
            lines.push(format!("{} files no manifest lists are deleted", self.leftovers));
        }
        lines
    }
}

fn cut_line(cut: &Cut) -> String {
    let Cut { shard, file, offset, last_lsn, commits, bytes, .. } = cut;
    let why = cut.fault.map_or_else(|| "the log ends there".to_owned(), |f| f.to_string());
    format!(
        "Shard {shard}: unsynced tail cut off at offset {offset} of {file} behind LSN {last_lsn} \
         ({why}): {commits} commits, {bytes} bytes dropped"
    )
}
