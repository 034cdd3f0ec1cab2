//! What the librarian does to a segment before its first commit and after its last.
//!
//! Fresh direct segments are written through with filler, so that overwriting them later changes
//! no metadata; the file ends up as annotation lines only, which stock Redis skips.

use super::header::{EndLine, filler};
use crate::{
    error::StorageError,
    io::{Method, Storage},
};

/// Bytes written at once.
const CHUNK_BYTES: u64 = 1024 * 1024;

/// Prepares a fresh (or recycled) file for `bytes` bytes of commits and makes it stable; its name
/// is the caller's business. `bytes` is a multiple of the log block.
///
/// Direct: all of it is overwritten with filler, whatever it held. Buffered: emptied, space
/// reserved behind its end.
///
/// # Errors
/// The storage's; the file is of no use then.
pub async fn fill_segment<S: Storage>(
    storage: &S,
    file: &S::File,
    method: Method,
    bytes: u64,
) -> Result<(), StorageError> {
    match method {
        Method::Buffered => {
            storage.truncate(file, 0).await?;
            storage.reserve(file, bytes).await?;
        }
        Method::Direct => {
            storage.reserve(file, bytes).await?;
            let chunk = filler(CHUNK_BYTES.min(bytes) as usize);
            let mut at = 0;
            while at < bytes {
                let len = CHUNK_BYTES.min(bytes - at);
                storage.write_at(file, at, &chunk[..len as usize]).await?;
                at += len;
            }
            storage.truncate(file, bytes).await?;
        }
    }
    storage.sync(file).await
}

/// Ends a log in this file: what lies behind `end` is cut off, the end-of-log line appended, both
/// made stable. Repeating it changes nothing.
///
/// # Errors
/// The storage's; it may be tried again.
pub async fn seal_segment<S: Storage>(
    storage: &S,
    file: &S::File,
    end: u64,
    line: &EndLine,
) -> Result<(), StorageError> {
    storage.truncate(file, end).await?;
    // ORDER: the cut before the line. If a crash could keep the line and lose the cut, the rest of
    // a torn commit would stand behind it, where only a stock server's commands may.
    storage.sync(file).await?;
    storage.write_at(file, end, &line.encode()).await?;
    storage.sync(file).await
}
