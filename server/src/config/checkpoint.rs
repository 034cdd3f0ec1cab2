//! Values of the directives about snapshots and the log's checkpoints.

/// Whether a checkpoint writes what has changed since the base instead of a new base.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum CheckpointDelta {
    /// While that is a small part of it.
    Auto,
    /// Whenever it is known.
    Always,
    /// Never.
    Never,
}

impl CheckpointDelta {
    /// Every value.
    pub const ALL: &[Self] = &[Self::Auto, Self::Always, Self::Never];
    /// Their names in the configuration, in the order of [`Self::ALL`].
    pub const NAMES: &[&str] = &["auto", "always", "never"];
}

/// How snapshots are made smaller.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum RdbCompression {
    /// Long strings with LZF, as Redis does.
    Lzf,
    /// Not at all.
    Plain,
    /// The whole file with zstd; stock Redis loads it after `zstd -d`.
    Zstd,
}

impl RdbCompression {
    /// Every value.
    pub const ALL: &[Self] = &[Self::Lzf, Self::Plain, Self::Zstd];
    /// Their names in the configuration, in the order of [`Self::ALL`].
    pub const NAMES: &[&str] = &["yes", "no", "zstd"];
}
