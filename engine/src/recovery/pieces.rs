//! An RDB file piece by piece, unpacked where it is packed.
//!
//! Whoever reads it sees plain bytes; places in them are those of the plain file.

use super::{RecoveryError, Refusal};
use crate::{
    io::Storage,
    rdb::is_rdb,
    snapshot::{Unpacker, is_packed},
};
use std::io;

/// Bytes read at once.
pub const PIECE_BYTES: usize = 256 * 1024;
/// Bytes by which a file is known.
const MAGIC_BYTES: usize = 9;

/// A file that is read.
pub struct Pieces<'s, S: Storage> {
    storage: &'s S,
    name: &'s str,
    file: S::File,
    /// Bytes of the file that were read.
    at: u64,
    packed: Option<Packed>,
}

/// What was read and is not unpacked.
struct Packed {
    unpacker: Unpacker,
    stored: Vec<u8>,
    used: usize,
}

impl<'s, S: Storage> Pieces<'s, S> {
    /// Opens a file; `None` when it does not begin as an RDB.
    ///
    /// # Errors
    /// It cannot be read.
    pub async fn open(storage: &'s S, name: &'s str) -> Result<Option<Self>, RecoveryError> {
        let file = storage.open(name).await?;
        let magic = storage.read_at(&file, 0, MAGIC_BYTES).await?;
        let packed = match is_packed(&magic) {
            true => Some(Packed {
                unpacker: Unpacker::new().map_err(|error| broken(name, 0, &error))?,
                stored: Vec::new(),
                used: 0,
            }),
            false if is_rdb(&magic) => None,
            false => return Ok(None),
        };
        Ok(Some(Self { storage, name, file, at: 0, packed }))
    }

    /// The next plain bytes; none at the end of the file. `read` is told of bytes of the file.
    ///
    /// # Errors
    /// It cannot be read, or not unpacked.
    pub async fn next(&mut self, read: impl Fn(u64)) -> Result<Vec<u8>, RecoveryError> {
        let Self { storage, name, file, at, packed } = self;
        loop {
            let place = *at;
            if let Some(Packed { unpacker, stored, used }) = packed {
                let mut rest = &stored[*used..];
                let plain =
                    unpacker.next(&mut rest).map_err(|error| broken(name, place, &error))?;
                *used = stored.len() - rest.len();
                if let Some(plain) = plain {
                    return Ok(plain.to_vec());
                }
            }
            let piece = storage.read_at(file, place, PIECE_BYTES).await?;
            *at += piece.len() as u64;
            read(piece.len() as u64);
            match packed {
                None => return Ok(piece),
                Some(packed) if piece.is_empty() => {
                    if !packed.unpacker.is_between_frames() {
                        let error = io::Error::from(io::ErrorKind::UnexpectedEof);
                        return Err(broken(name, place, &error));
                    }
                    return Ok(piece);
                }
                Some(packed) => (packed.stored, packed.used) = (piece, 0),
            }
        }
    }

    /// Bytes of the file that an RDB of `plain` bytes takes: all of a packed one, behind whose end
    /// nothing may follow.
    ///
    /// # Errors
    /// As [`Pieces::next`]; something follows.
    pub async fn end(mut self, plain: u64, read: impl Fn(u64)) -> Result<u64, RecoveryError> {
        if self.packed.is_none() {
            return Ok(plain);
        }
        if self.next(read).await?.is_empty() {
            return Ok(self.at);
        }
        let kind = Refusal::Packed("something follows the end of the RDB".to_owned());
        Err(RecoveryError::new(self.name, kind).at(self.at))
    }
}

/// A file that cannot be unpacked.
pub fn broken(name: &str, offset: u64, error: &io::Error) -> RecoveryError {
    let what = match error.kind() {
        io::ErrorKind::UnexpectedEof => "it ends in the middle of a frame".to_owned(),
        _ => error.to_string(),
    };
    RecoveryError::new(name, Refusal::Packed(what)).at(offset)
}
