//! The directory that takes what a repair removes.

use quire_engine::{
    error::StorageError,
    io::{Storage, system::SystemStorage},
};
use std::{
    fs::{self, File},
    path::{Path, PathBuf},
    time::{SystemTime, UNIX_EPOCH},
};

/// The name of the report as it was before the repair.
const REPORT: &str = "report.json";

/// `removed-<time>`, UTC, in the log directory, where no server looks at it.
pub fn default_aside(directory: &Path) -> PathBuf {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    directory.join(format!("removed-{}", stamp(now.as_secs())))
}

/// Makes an empty directory whose name is stable.
///
/// # Errors
/// One sentence.
pub fn make_aside(aside: &Path) -> Result<(), String> {
    let failed = |error: std::io::Error| format!("{}: {error}", aside.display());
    let empty = |aside: &Path| fs::read_dir(aside).is_ok_and(|mut all| all.next().is_none());
    match fs::create_dir(aside) {
        Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists && empty(aside) => {}
        made => made.map_err(failed)?,
    }
    let absolute = std::path::absolute(aside).map_err(failed)?;
    let parent = absolute.parent().unwrap_or(Path::new("/"));
    File::open(parent).and_then(|parent| parent.sync_all()).map_err(failed)
}

/// Puts the report of before the repair there.
///
/// # Errors
/// The storage's.
pub async fn write_report(aside: &SystemStorage, report: &str) -> Result<(), StorageError> {
    let file = aside.create(REPORT).await?;
    aside.write_at(&file, 0, format!("{report}\n").as_bytes()).await?;
    aside.sync(&file).await
}

/// `20261125T101500Z`, from seconds since 1970.
fn stamp(seconds: u64) -> String {
    let (day, second) = (seconds / 86_400, seconds % 86_400);
    // Days since 0000-03-01; years then begin in March, so leap days come last.
    let shifted = day + 719_468;
    let (era, of_era) = (shifted / 146_097, shifted % 146_097);
    let year = (of_era - of_era / 1460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year + year / 4 - year / 100);
    let march = (5 * of_year + 2) / 153;
    let day = of_year - (153 * march + 2) / 5 + 1;
    let month = if march < 10 { march + 3 } else { march - 9 };
    let year = era * 400 + year + u64::from(month <= 2);
    let (hour, minute, second) = (second / 3600, second / 60 % 60, second % 60);
    format!("{year:04}{month:02}{day:02}T{hour:02}{minute:02}{second:02}Z")
}

#[cfg(test)]
mod tests {
    use super::stamp;

    #[test]
    fn times_are_dates() {
        for (seconds, text) in [
            (0, "19700101T000000Z"),
            (951_782_400, "20000229T000000Z"),
            (951_868_800, "20000301T000000Z"),
            (1_798_761_599, "20261231T235959Z"),
            (4_102_444_800, "21000101T000000Z"),
        ] {
            assert_eq!(stamp(seconds), text);
        }
    }
}
