//! Recognises an RDB file without keys, which is what a stock server starts a log directory with.
//!
//! This version reads logs only; anything with a key or a function in it is refused by name. The
//! bytes behind the RDB's checksum are commands, as in Redis.

use super::{RecoveryError, Refusal};
use crate::io::Storage;

/// More than this in front of the first key is no header, bytes.
const HEADER_BYTES_MAX: usize = 1 << 20;

const AUX: u8 = 0xfa;
const RESIZE_DB: u8 = 0xfb;
const SELECT_DB: u8 = 0xfe;
const END: u8 = 0xff;

/// Where the commands of a file begin: behind an RDB without keys, or at 0 when there is no RDB.
///
/// # Errors
/// An RDB that holds something, or that cannot be read.
pub async fn commands_start<S: Storage>(storage: &S, name: &str) -> Result<u64, RecoveryError> {
    let file = storage.open(name).await?;
    let head = storage.read_at(&file, 0, HEADER_BYTES_MAX).await?;
    if !head.starts_with(b"REDIS") && !head.starts_with(b"VALKEY") {
        return Ok(0);
    }
    match empty_rdb(&head) {
        Ok(end) => Ok(end as u64),
        Err(kind) => Err(RecoveryError::new(name, kind)),
    }
}

/// Length of the RDB at the beginning of `head`, which holds no key.
fn empty_rdb(head: &[u8]) -> Result<usize, Refusal> {
    // Magic and version: REDIS0011, VALKEY080.
    let mut at = At { bytes: head, at: 9 };
    loop {
        match at.byte()? {
            AUX => {
                at.skip_string()?;
                at.skip_string()?;
            }
            SELECT_DB => {
                at.length()?;
            }
            RESIZE_DB => {
                at.length()?;
                at.length()?;
            }
            END => {
                let covered = at.bytes.get(..at.at).unwrap_or_default();
                let stored = at.bytes.get(at.at..at.at + 8).ok_or(Refusal::Rdb("it is cut off"))?;
                let stored = u64::from_le_bytes(stored.try_into().unwrap_or_default());
                // 0: saved with rdbchecksum no.
                if stored != 0 && stored != crc64(covered) {
                    return Err(Refusal::Rdb("its checksum does not match"));
                }
                return Ok(at.at + 8);
            }
            _ => return Err(Refusal::RdbNotEmpty),
        }
    }
}

struct At<'a> {
    bytes: &'a [u8],
    at: usize,
}

/// A length, or one of the special encodings of a string.
enum Length {
    Bytes(u64),
    Integer(usize),
    Compressed,
}

impl At<'_> {
    fn byte(&mut self) -> Result<u8, Refusal> {
        let byte = self.bytes.get(self.at).copied().ok_or(Refusal::Rdb("it is cut off"))?;
        self.at += 1;
        Ok(byte)
    }

    fn big_endian(&mut self, bytes: usize) -> Result<u64, Refusal> {
        (0..bytes).try_fold(0u64, |n, _| Ok(n << 8 | u64::from(self.byte()?)))
    }

    fn encoded(&mut self) -> Result<Length, Refusal> {
        let first = self.byte()?;
        Ok(match first >> 6 {
            0 => Length::Bytes(u64::from(first & 63)),
            1 => Length::Bytes(u64::from(first & 63) << 8 | u64::from(self.byte()?)),
            2 if first == 0x80 => Length::Bytes(self.big_endian(4)?),
            2 if first == 0x81 => Length::Bytes(self.big_endian(8)?),
            3 if first <= 0xc2 => Length::Integer(1 << (first & 3)),
            3 if first == 0xc3 => Length::Compressed,
            _ => return Err(Refusal::Rdb("it has an unknown length encoding")),
        })
    }

    fn length(&mut self) -> Result<u64, Refusal> {
        match self.encoded()? {
            Length::Bytes(n) => Ok(n),
            Length::Integer(_) | Length::Compressed => {
                Err(Refusal::Rdb("it has a string where a length must be"))
            }
        }
    }

    fn skip_string(&mut self) -> Result<(), Refusal> {
        let bytes = match self.encoded()? {
            Length::Bytes(n) => n,
            Length::Integer(n) => n as u64,
            Length::Compressed => {
                let compressed = self.length()?;
                self.length()?;
                compressed
            }
        };
        let left = (self.bytes.len() - self.at) as u64;
        if bytes > left {
            return Err(Refusal::Rdb("it is cut off"));
        }
        self.at += bytes as usize;
        Ok(())
    }
}

/// CRC-64/REDIS (Jones), bit by bit: headers are short.
fn crc64(bytes: &[u8]) -> u64 {
    const POLYNOMIAL: u64 = 0x95ac_9329_ac4b_c9b5;
    bytes.iter().fold(0, |crc, &byte| {
        let mut crc = crc ^ u64::from(byte);
        for _ in 0..8 {
            crc = if crc & 1 == 0 { crc >> 1 } else { crc >> 1 ^ POLYNOMIAL };
        }
        crc
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What redis-server 7.0.15 wrote into a new log directory.
    const EMPTY: &[u8] = b"REDIS0010\xfa\x09redis-ver\x067.0.15\xfa\x0aredis-bits\xc0\x40\xff";

    fn with_crc(body: &[u8]) -> Vec<u8> {
        [body, &crc64(body).to_le_bytes()].concat()
    }

    #[test]
    fn the_checksum_is_redis() {
        assert_eq!(crc64(b"123456789"), 0xe9c6_d914_c4b8_d9ca);
    }

    #[test]
    fn an_rdb_without_keys_is_passed_over() {
        let mut file = with_crc(EMPTY);
        let end = file.len();
        file.extend_from_slice(b"*1\r\n");
        assert_eq!(empty_rdb(&file).unwrap(), end);
        let unchecked = [EMPTY, &[0; 8]].concat();
        assert_eq!(empty_rdb(&unchecked).unwrap(), unchecked.len());
    }

    #[test]
    fn keys_functions_and_damage_are_refused() {
        let body = EMPTY.strip_suffix(b"\xff").unwrap();
        let with = |more: &[u8]| with_crc(&[body, more, b"\xff"].concat());
        for more in
            [b"\x00\x01k\x01v".as_slice(), b"\xfe\x00\xfb\x01\x00\x00\x01k\x01v", b"\xf5\x01f"]
        {
            assert!(matches!(empty_rdb(&with(more)), Err(Refusal::RdbNotEmpty)), "{more:?}");
        }
        assert!(empty_rdb(&with(b"\xfe\x00\xfb\x00\x00")).is_ok());
        let whole = with_crc(EMPTY);
        for len in 9..whole.len() {
            assert!(matches!(empty_rdb(&whole[..len]), Err(Refusal::Rdb(_))), "length {len}");
        }
        let mut flipped = whole;
        flipped[12] ^= 1;
        assert!(matches!(empty_rdb(&flipped), Err(Refusal::Rdb(_))));
    }
}
