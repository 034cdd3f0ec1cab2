//! Manifest and directory listing -> what is to be read. Pure: reads no file.
//!
//! Every odd state is a row of this table; `plan` goes through it from top to bottom.
//!
//! | | manifest | directory | decision |
//! |---|---|---|---|
//! | A | none | no log file | a fresh start |
//! | B | none | log files | refuse: which of them are the data set is unknown |
//! | C | unreadable | | refuse, naming the line |
//! | D | checksum does not match | | refuse: damaged or edited |
//! | E | lists a file of type b or i | that is not there | refuse: part of the data is missing |
//! | F | lists a file of type h | | not read; deleted after success, there or not |
//! | G | lists two files with one number | | refuse: commits are bound to their file's number |
//! | N | lists a delta | and no base | refuse: what it has not changed is missing |
//! | H | ours | a file of ours it does not list | never held a commit, or is replaced: deleted after success |
//! | I | not ours (no checksum) | a file of ours it does not list | left alone: somebody edited the list |
//! | J | | any other file | left alone |
//! | K | ours, lists nothing | | a start that crashed before its first segment: fresh |
//! | L | not ours, lists nothing | log files | refuse, as B |
//! | M | not ours | | read like any other; advisory values are missing |
//!
//! What the files hold is judged in `chain.rs` and `foreign.rs`.

use super::{RecoveryError, Refusal};
use crate::manifest::{Entry, Kind, Manifest, Names, OurFile, Trailer};
use std::collections::HashMap;

/// What a listed file is, told by the manifest.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// Type b.
    Base,
    /// One shard's log.
    Segment {
        /// The number in its name.
        number: u64,
        /// The shard that wrote it.
        shard: u16,
    },
    /// A global command.
    Global {
        /// The number in its name.
        number: u64,
    },
    /// What has changed since the base.
    Delta {
        /// The number in its name.
        number: u64,
    },
    /// A stock server's log.
    Foreign,
}

/// A file to read.
#[derive(Debug, Clone)]
pub struct PlannedFile {
    /// Its line in the manifest.
    pub entry: Entry,
    /// Its length, bytes.
    pub bytes: u64,
    /// What it is.
    pub role: Role,
}

/// What is to be read, in this order, and what is to be deleted afterwards.
#[derive(Debug, Clone)]
pub struct Plan {
    /// The base first, then type i in list order.
    pub files: Vec<PlannedFile>,
    /// Rows F and H: to be deleted once the new manifest is stable.
    pub leftovers: Vec<String>,
    /// The manifest as found, numbers and epoch corrected to what the directory shows.
    pub manifest: Manifest,
    /// The manifest is ours: its advisory values can be relied on.
    pub ours: bool,
    /// There is a manifest.
    pub found: bool,
}

/// Goes through the table.
///
/// # Errors
/// Rows B, D, E, G, L and N.
pub fn plan(
    names: &Names,
    listing: &[(String, u64)],
    manifest: Option<(Manifest, Trailer)>,
) -> Result<Plan, RecoveryError> {
    let (plan, refusals) = survey(names, listing, manifest);
    refusals.into_iter().next().map_or(Ok(plan), Err)
}

/// Goes through the table and does not stop at what must be refused: the plan covers what is
/// there all the same.
pub fn survey(
    names: &Names,
    listing: &[(String, u64)],
    manifest: Option<(Manifest, Trailer)>,
) -> (Plan, Vec<RecoveryError>) {
    let mut refusals = Vec::new();
    let mut refuse = |kind| refusals.push(RecoveryError::new(names.manifest(), kind));
    let found = manifest.is_some();
    let log_file = listing.iter().find(|(name, _)| names.is_log_file(name));
    let (mut manifest, trailer) = match (manifest, log_file) {
        (Some(found), _) => found,
        // Row A.
        (None, None) => (Manifest::default(), Trailer::Valid),
        // Row B.
        (None, Some((example, _))) => {
            refuse(Refusal::NoManifest { example: example.clone() });
            (Manifest::default(), Trailer::Missing)
        }
    };
    if trailer == Trailer::Mismatch {
        // Row D.
        refuse(Refusal::Edited);
    }
    let ours = trailer == Trailer::Valid;
    let lists_data = manifest.files.iter().any(|entry| entry.kind != Kind::History);
    if let (true, Trailer::Missing, false, Some((example, _))) =
        (found, trailer, lists_data, log_file)
    {
        // Row L.
        refuse(Refusal::NoManifest { example: example.clone() });
    }
    let files = planned_files(names, listing, &manifest, &mut refusals);
    let mut leftovers: Vec<String> = Vec::new();
    let listed: HashMap<&str, Kind> =
        manifest.files.iter().map(|entry| (entry.name.as_str(), entry.kind)).collect();
    for (name, _) in listing {
        match listed.get(name.as_str()) {
            // Row F.
            Some(Kind::History) => leftovers.push(name.clone()),
            Some(Kind::Base | Kind::Incr) => {}
            // Rows H, I, J.
            None if ours && names.recognise(name).is_some() => leftovers.push(name.clone()),
            None => {}
        }
    }
    manifest.next_number = next_number(names, listing, &manifest);
    let epochs = manifest.files.iter().filter_map(|entry| entry.epoch);
    manifest.epoch = epochs.fold(manifest.epoch, u64::max);
    (Plan { files, leftovers, manifest, ours, found }, refusals)
}

fn planned_files(
    names: &Names,
    listing: &[(String, u64)],
    manifest: &Manifest,
    refusals: &mut Vec<RecoveryError>,
) -> Vec<PlannedFile> {
    let mut files = Vec::new();
    let mut numbers: HashMap<u64, &str> = HashMap::new();
    let lengths: HashMap<&str, u64> =
        listing.iter().map(|(name, bytes)| (name.as_str(), *bytes)).collect();
    let of_kind = |kind| manifest.files.iter().filter(move |entry| entry.kind == kind);
    for entry in of_kind(Kind::Base).chain(of_kind(Kind::Incr)) {
        let Some(&bytes) = lengths.get(entry.name.as_str()) else {
            // Row E.
            refusals.push(RecoveryError::new(&entry.name, Refusal::Missing));
            continue;
        };
        let role = match (entry.kind, names.recognise(&entry.name)) {
            (Kind::Base, _) => Role::Base,
            (_, Some(OurFile::Segment { number, shard })) => Role::Segment { number, shard },
            (_, Some(OurFile::Global { number })) => Role::Global { number },
            (_, Some(OurFile::Delta { number })) => Role::Delta { number },
            (_, Some(OurFile::Base { .. } | OurFile::Draft | OurFile::NewManifest) | None) => {
                Role::Foreign
            }
        };
        if let Role::Delta { .. } = role
            && of_kind(Kind::Base).next().is_none()
        {
            // Row N.
            refusals.push(RecoveryError::new(&entry.name, Refusal::NoBase));
        }
        if let Role::Segment { number, .. } | Role::Global { number } | Role::Delta { number } =
            role
            && let Some(other) = numbers.insert(number, &entry.name)
        {
            // Row G.
            let other = other.to_owned();
            refusals.push(RecoveryError::new(&entry.name, Refusal::DuplicateNumber { other }));
        }
        files.push(PlannedFile { entry: entry.clone(), bytes, role });
    }
    files
}

/// Above every number and seq in sight, so that no name is ever used twice.
fn next_number(names: &Names, listing: &[(String, u64)], manifest: &Manifest) -> u64 {
    let in_names = listing.iter().filter_map(|(name, _)| names.number_of(name));
    let listed = manifest.files.iter().map(|entry| entry.seq);
    let in_lines = manifest.files.iter().filter_map(|entry| names.number_of(&entry.name));
    let highest = in_names.chain(listed).chain(in_lines).max().unwrap_or(0);
    manifest.next_number.max(highest + 1)
}

#[cfg(test)]
#[path = "plan_tests.rs"]
mod tests;
