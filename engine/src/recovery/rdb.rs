//! RDB files in a log directory, and in front of a log: verified from the first byte to the
//! checksum without loading anything. For those who look, and for files whose turn comes later.

use super::{Progress, RecoveryError, Refusal, load::Rules, pieces::Pieces};
use crate::{
    io::Storage,
    rdb::{Element, Event, KeyHead, Reader, Text},
};

/// Verifies the RDB a file begins with; its length, 0 when there is none.
///
/// # Errors
/// It cannot be read, or holds what is not loaded.
pub async fn scan<S: Storage>(
    storage: &S,
    name: &str,
    rules: Rules,
    progress: &Progress,
) -> Result<u64, RecoveryError> {
    let Some(mut pieces) = Pieces::open(storage, name).await? else { return Ok(0) };
    let scanned = |bytes| progress.scanned(bytes);
    let refuse = |kind, offset| Err(RecoveryError::new(name, kind).at(offset));
    let (mut reader, mut key_at) = (Reader::new(), 0);
    loop {
        match reader.next() {
            Err(error) => {
                let offset = error.offset;
                return refuse(Refusal::Rdb(error), offset);
            }
            Ok(Event::More) => {
                let piece = pieces.next(scanned).await?;
                if piece.is_empty() { reader.end() } else { reader.feed(&piece) }
            }
            Ok(Event::Key(head)) => {
                key_at = head.offset;
                if let Some(what) = not_loaded(&head, rules) {
                    return refuse(Refusal::RdbContent(what), key_at);
                }
            }
            Ok(Event::Element(Element::Field { expires_ms: Some(_), .. })) => {
                let what = "a hash with deadlines of fields".to_owned();
                return refuse(Refusal::RdbContent(what), key_at);
            }
            Ok(
                Event::Function(_)
                | Event::Element(_)
                | Event::KeyEnd
                | Event::Aux(..)
                | Event::Resize { .. }
                | Event::Slot { .. },
            ) => {}
            Ok(Event::End { bytes }) => return pieces.end(bytes, scanned).await,
        }
    }
}

/// Why a key cannot be loaded.
fn not_loaded(head: &KeyHead<Text<'_>>, rules: Rules) -> Option<String> {
    (head.db >= rules.databases as u64).then(|| {
        format!(
            "key '{}' is in database {}, and `databases` is {}",
            head.key.to_vec().escape_ascii(),
            head.db,
            rules.databases
        )
    })
}
