//! Any server's RDB file, from its beginning to its checksum by one reader.

use super::{Hand, Intake, not_rdb};
use crate::{
    io::Storage,
    rdb::{Event, Reader},
    recovery::{Progress, RecoveryError, Refusal, pieces::Pieces},
};

/// Loads the RDB a file begins with; its length.
///
/// # Errors
/// As [`super::load`].
pub async fn load<S: Storage>(
    storage: &S,
    mut intake: Intake<'_>,
    to: &mut impl Hand,
    progress: &Progress,
) -> Result<u64, RecoveryError> {
    let name = intake.name();
    let Some(mut pieces) = Pieces::open(storage, name).await? else { return Err(not_rdb(name)) };
    let mut reader = Reader::new();
    let read = |bytes| progress.loaded(bytes, 0);
    loop {
        match reader.next() {
            Err(error) => {
                let offset = error.offset;
                return Err(RecoveryError::new(name, Refusal::Rdb(error)).at(offset));
            }
            Ok(Event::More) => {
                let piece = pieces.next(read).await?;
                if piece.is_empty() { reader.end() } else { reader.feed(&piece) }
            }
            Ok(Event::End { bytes }) => {
                intake.flush(to)?;
                return pieces.end(bytes, read).await;
            }
            Ok(event) => intake.take(event, to)?,
        }
    }
}
