//! The names of our files in the log directory, and the only place that recognises them.
//!
//! `<stem>` is Redis' `appendfilename` (default `appendonly.aof`):
//! `<stem>.manifest` the manifest, `<stem>.manifest.quire-new` the one being written,
//! `<stem>.<number>.s<shard>.incr.aof` a shard's segment, `<stem>.<number>.g.incr.aof` a global
//! segment, `<stem>.<number>.all.base.rdb` a base, `<stem>.base.quire-new` one being written,
//! `<stem>.<number>.delta.incr.aof` a delta, `<stem>.delta.quire-new` one being written,
//! `quire.lock` the directory lock. The *number* comes from one counter over all files
//! and is never used twice, so a name never means two files, whatever was restored or left over.
//! Stock Redis' own names (`<stem>.<seq>.incr.aof`, `<stem>.<seq>.base.rdb`) never match ours.

use crate::limits::SHARDS_MAX;

/// Name of the file whose lock says that a server owns the directory.
pub const LOCK_FILE: &str = "quire.lock";
/// The shard number in the header of a global segment: no shard's.
pub const GLOBAL_SHARD: u16 = u16::MAX;
/// Largest number a file can have. Redis overflows at 2^63 - 1 and cannot start afterwards.
pub const NUMBER_MAX: u64 = 1 << 62;

/// What a file of ours is, told by its name alone.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum OurFile {
    /// One shard's log.
    Segment {
        /// The number in the name.
        number: u64,
        /// The shard that wrote it.
        shard: u16,
    },
    /// A global command between two epochs.
    Global {
        /// The number in the name.
        number: u64,
    },
    /// A snapshot of all shards that a log goes on from.
    Base {
        /// The number in the name.
        number: u64,
    },
    /// What has changed since a base.
    Delta {
        /// The number in the name.
        number: u64,
    },
    /// A base or a delta that was being written.
    Draft,
    /// A manifest that was being written.
    NewManifest,
}

impl OurFile {
    /// The number in the name, if it has one.
    pub fn number(self) -> Option<u64> {
        match self {
            OurFile::Segment { number, .. }
            | OurFile::Global { number }
            | OurFile::Base { number }
            | OurFile::Delta { number } => Some(number),
            OurFile::Draft | OurFile::NewManifest => None,
        }
    }
}

/// Makes and recognises names for one `appendfilename`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Names {
    stem: String,
}

impl Default for Names {
    fn default() -> Self {
        Self { stem: "appendonly.aof".to_owned() }
    }
}

impl Names {
    /// Names that begin with `stem` (`appendfilename`): not empty, no path, no white space.
    pub fn new(stem: &str) -> Option<Self> {
        let plain = stem.bytes().all(|b| b.is_ascii_graphic() && !b"/\\\"'#".contains(&b));
        (plain && !stem.is_empty()).then(|| Self { stem: stem.to_owned() })
    }

    /// `appendfilename`.
    pub fn stem(&self) -> &str {
        &self.stem
    }

    /// The manifest.
    pub fn manifest(&self) -> String {
        format!("{}.manifest", self.stem)
    }

    /// The manifest while it is written.
    pub fn new_manifest(&self) -> String {
        format!("{}.manifest.quire-new", self.stem)
    }

    /// A segment of a shard.
    pub fn segment(&self, number: u64, shard: u16) -> String {
        format!("{}.{number}.s{shard}.incr.aof", self.stem)
    }

    /// A global segment.
    pub fn global(&self, number: u64) -> String {
        format!("{}.{number}.g.incr.aof", self.stem)
    }

    /// A base.
    pub fn base(&self, number: u64) -> String {
        format!("{}.{number}.all.base.rdb", self.stem)
    }

    /// A delta.
    pub fn delta(&self, number: u64) -> String {
        format!("{}.{number}.delta.incr.aof", self.stem)
    }

    /// A delta while it is written.
    pub fn delta_draft(&self) -> String {
        format!("{}.delta.quire-new", self.stem)
    }

    /// A base of commands (`aof-use-rdb-preamble no`).
    pub fn command_base(&self, number: u64) -> String {
        format!("{}.{number}.all.base.aof", self.stem)
    }

    /// A base of commands while it is written.
    pub fn command_draft(&self) -> String {
        format!("{}.base.aof.quire-new", self.stem)
    }

    /// A base while it is written.
    pub fn draft(&self) -> String {
        format!("{}.base.quire-new", self.stem)
    }

    /// What `name` is, if it is a file that we alone make.
    pub fn recognise(&self, name: &str) -> Option<OurFile> {
        if name == self.new_manifest() {
            return Some(OurFile::NewManifest);
        }
        if [self.draft(), self.delta_draft(), self.command_draft()]
            .iter()
            .any(|draft| draft == name)
        {
            return Some(OurFile::Draft);
        }
        let rest = name.strip_prefix(self.stem.as_str())?.strip_prefix('.')?;
        let (number, rest) = rest.split_once('.')?;
        let number = canonical(number).filter(|n| (1..=NUMBER_MAX).contains(n))?;
        if rest == "all.base.rdb" || rest == "all.base.aof" {
            return Some(OurFile::Base { number });
        }
        let owner = rest.strip_suffix(".incr.aof")?;
        if owner == "g" {
            return Some(OurFile::Global { number });
        }
        if owner == "delta" {
            return Some(OurFile::Delta { number });
        }
        let shard = canonical(owner.strip_prefix('s')?).filter(|&s| s < SHARDS_MAX as u64)?;
        Some(OurFile::Segment { number, shard: shard as u16 })
    }

    /// True for every name that belongs to a log directory of this `appendfilename`, ours or
    /// stock Redis' (manifest excepted): such files without a manifest are somebody's data.
    pub fn is_log_file(&self, name: &str) -> bool {
        name == self.stem || self.digits_of(name).is_some()
    }

    fn digits_of<'n>(&self, name: &'n str) -> Option<&'n str> {
        let rest = name.strip_prefix(self.stem.as_str())?.strip_prefix('.')?;
        let (digits, _) = rest.split_once('.')?;
        (!digits.is_empty() && digits.bytes().all(|b| b.is_ascii_digit())).then_some(digits)
    }

    /// The number in a name, ours or stock Redis' (`<stem>.<number>.<anything>`), if it is one
    /// that leaves room for more.
    pub fn number_of(&self, name: &str) -> Option<u64> {
        self.digits_of(name)?.parse().ok().filter(|&n| n <= NUMBER_MAX / 2)
    }
}

/// A decimal without sign or leading zeros: the one form we write.
fn canonical(text: &str) -> Option<u64> {
    let n: u64 = text.parse().ok()?;
    let plain = text.bytes().all(|b| b.is_ascii_digit());
    (plain && (text == "0" || !text.starts_with('0'))).then_some(n)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_made_are_recognised_and_nothing_else_is() {
        let names = Names::default();
        let (segment, global) = (names.segment(7, 255), names.global(8));
        assert_eq!(names.recognise(&segment), Some(OurFile::Segment { number: 7, shard: 255 }));
        assert_eq!(names.recognise(&global), Some(OurFile::Global { number: 8 }));
        assert_eq!(names.recognise(&names.new_manifest()), Some(OurFile::NewManifest));
        assert_eq!(names.recognise(&names.base(9)), Some(OurFile::Base { number: 9 }));
        assert_eq!(names.recognise(&names.command_base(9)), Some(OurFile::Base { number: 9 }));
        assert_eq!(names.recognise(&names.draft()), Some(OurFile::Draft));
        assert_eq!(names.recognise(&names.delta(10)), Some(OurFile::Delta { number: 10 }));
        assert_eq!(names.recognise(&names.delta_draft()), Some(OurFile::Draft));
        assert_eq!(names.recognise(&names.command_draft()), Some(OurFile::Draft));
        for other in [
            "appendonly.aof.manifest",
            "appendonly.aof.1.incr.aof",
            "appendonly.aof.1.base.rdb",
            "appendonly.aof.07.s0.incr.aof",
            "appendonly.aof.0.s0.incr.aof",
            "appendonly.aof.+7.s0.incr.aof",
            "appendonly.aof.7.s00.incr.aof",
            "appendonly.aof.7.s256.incr.aof",
            "appendonly.aof.7.s0.incr.aof.bak",
            "xappendonly.aof.7.s0.incr.aof",
            "other.aof.7.s0.incr.aof",
            "temp-appendonly.aof.manifest",
            "dump.rdb",
        ] {
            assert_eq!(names.recognise(other), None, "{other}");
        }
    }

    #[test]
    fn stock_files_count_as_somebodys_data() {
        let names = Names::default();
        for data in ["appendonly.aof.1.base.rdb", "appendonly.aof.2.s0.incr.aof", "appendonly.aof"]
        {
            assert!(names.is_log_file(data), "{data}");
        }
        for other in ["appendonly.aof.manifest", "notes.txt", "quire.lock"] {
            assert!(!names.is_log_file(other), "{other}");
        }
        assert!(Names::new("a/b").is_none() && Names::new("").is_none());
    }
}
