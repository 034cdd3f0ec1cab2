//! Any server's RDB file, from its beginning to its checksum by one reader.

use super::{Hand, Intake, PIECE_BYTES};
use crate::{
    io::Storage,
    rdb::{Event, Reader},
    recovery::{Progress, RecoveryError, Refusal},
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
    let file = storage.open(name).await?;
    let (mut reader, mut fed) = (Reader::new(), 0);
    loop {
        match reader.next() {
            Err(error) => {
                let offset = error.offset;
                return Err(RecoveryError::new(name, Refusal::Rdb(error)).at(offset));
            }
            Ok(Event::More) => {
                let piece = storage.read_at(&file, fed, PIECE_BYTES).await?;
                fed += piece.len() as u64;
                progress.loaded(piece.len() as u64, 0);
                if piece.is_empty() { reader.end() } else { reader.feed(&piece) }
            }
            Ok(Event::End { bytes }) => {
                intake.flush(to)?;
                return Ok(bytes);
            }
            Ok(event) => intake.take(event, to)?,
        }
    }
}
