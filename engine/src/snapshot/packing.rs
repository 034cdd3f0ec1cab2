//! Snapshots packed with zstd (`rdbcompression zstd`): frames of RFC 8878 that unpack to an RDB file.
//!
//! ```text
//! header   frame                               each padded to a multiple of 4096
//! chunk    frame, or several of a long value
//! end      frame, index in a skippable frame
//! ```
//! Filler and index are skippable frames: `zstd -d` makes a plain RDB file of the whole, which stock
//! Redis loads. It loads no packed one, and says that its signature is wrong.
//!
//! What is unpacked is taken for hostile: no memory is taken for what a frame merely claims beyond a
//! window of [`WINDOW_LOG_MAX`].

use super::{
    file::{EOF, pad_to},
    index::Index,
};
use std::io;
use zstd::{
    bulk::Compressor,
    stream::raw::{CParameter, DParameter, Decoder, InBuffer, Operation, OutBuffer},
};

/// What a frame begins with.
const FRAME: [u8; 4] = 0xFD2F_B528_u32.to_le_bytes();
/// What a frame that is passed over begins with: filler, the index.
pub(super) const SKIPPED: [u8; 4] = 0x184D_2A50_u32.to_le_bytes();
/// Bytes in front of what such a frame holds.
pub(super) const SKIPPED_HEAD_BYTES: usize = 8;
/// What the last eight bytes of a file with an index are.
const MARK: &[u8; 8] = b"qr-index";
/// Bytes behind the index, in its frame: where the chunks end, where the frame begins, the mark.
pub(super) const TRAILER_BYTES: usize = 24;
/// Snapshots are written behind the clients' backs, on a thread that must keep up with all shards.
const LEVEL: i32 = 1;
/// Largest window of a frame that is read, as its logarithm: 8 MiB, zstd's own limit up to level 19.
const WINDOW_LOG_MAX: u32 = 23;
/// Bytes unpacked at once.
const PIECE_BYTES: usize = 128 * 1024;

/// True for the first bytes of a packed file.
pub fn is_packed(bytes: &[u8]) -> bool {
    bytes.starts_with(&FRAME)
}

/// Packs parts of a snapshot.
pub(super) struct Packer(Compressor<'static>);

impl Packer {
    /// A packer whose frames have checksums if so wished.
    pub fn new(summed: bool) -> Self {
        let mut compressor = Compressor::new(LEVEL).expect("the level is one of zstd's");
        let checksums = CParameter::ChecksumFlag(summed);
        compressor.set_parameter(checksums).expect("the parameter is one of zstd's");
        Self(compressor)
    }

    /// A part as a frame.
    pub fn pack(&mut self, part: &[u8]) -> Vec<u8> {
        // It fails for want of room in the target, which takes the worst case.
        self.0.compress(part).expect("there is room for whatever a part becomes")
    }
}

/// Appends filler: the part is `bytes` long afterwards.
pub(super) fn fill(part: &mut Vec<u8>, bytes: usize) {
    pad_to(part, bytes, SKIPPED_HEAD_BYTES, |value| [SKIPPED, value.to_le_bytes()].concat());
}

/// True for nothing, and for one frame that is passed over.
pub(super) fn is_filler(bytes: &[u8]) -> bool {
    let Some(rest) = bytes.strip_prefix(&SKIPPED) else { return bytes.is_empty() };
    let Some((length, rest)) = rest.split_first_chunk::<4>() else { return false };
    u32::from_le_bytes(*length) as usize == rest.len()
}

/// What stands behind the chunks, which end at `at`: the end of the RDB file, whose checksum is `sum`,
/// and the index.
pub(super) fn tail(index: &Index, at: u64, sum: u64, packer: &mut Packer) -> Vec<u8> {
    let mut end = vec![EOF];
    end.extend(sum.to_le_bytes());
    let mut tail = packer.pack(&end);
    let frame_at = at + tail.len() as u64;
    let value = index.encode();
    tail.extend(SKIPPED);
    tail.extend(((value.len() + TRAILER_BYTES) as u32).to_le_bytes());
    tail.extend(value);
    tail.extend(at.to_le_bytes());
    tail.extend(frame_at.to_le_bytes());
    tail.extend(MARK);
    tail
}

/// Where the last [`TRAILER_BYTES`] of a file say that its chunks end and its index's frame begins.
pub(super) fn index_at(last: &[u8]) -> Option<(u64, u64)> {
    let (at, rest) = last.split_first_chunk::<8>()?;
    let (frame_at, mark) = rest.split_first_chunk::<8>()?;
    (mark == MARK).then(|| (u64::from_le_bytes(*at), u64::from_le_bytes(*frame_at)))
}

/// The index in its frame, trailer included.
pub(super) fn index_of(frame: &[u8]) -> Option<&[u8]> {
    let rest = frame.strip_prefix(&SKIPPED)?;
    let (length, rest) = rest.split_first_chunk::<4>()?;
    let whole = u32::from_le_bytes(*length) as usize == rest.len();
    let index = rest.len().checked_sub(TRAILER_BYTES)?;
    whole.then(|| &rest[..index])
}

/// Unpacks frames that come in pieces.
pub struct Unpacker {
    decoder: Decoder<'static>,
    out: Vec<u8>,
    /// A frame has begun and not ended.
    inside: bool,
}

impl Unpacker {
    /// One that expects the beginning of a frame.
    ///
    /// # Errors
    /// There is no memory for it.
    pub fn new() -> io::Result<Self> {
        let mut decoder = Decoder::new()?;
        decoder.set_parameter(DParameter::WindowLogMax(WINDOW_LOG_MAX))?;
        Ok(Self { decoder, out: vec![0; PIECE_BYTES], inside: false })
    }

    /// The next bytes that come of `stored`, of which what was used up is cut off; `None` when all of
    /// it is.
    ///
    /// # Errors
    /// They are no frames, or not what was packed.
    pub fn next(&mut self, stored: &mut &[u8]) -> io::Result<Option<&[u8]>> {
        loop {
            let (mut from, mut to) =
                (InBuffer::around(stored), OutBuffer::around(&mut self.out[..]));
            let missing = self.decoder.run(&mut from, &mut to)?;
            let (used, made) = (from.pos(), to.pos());
            *stored = &stored[used..];
            if used > 0 || made > 0 {
                self.inside = missing != 0;
            }
            if made > 0 {
                return Ok(Some(&self.out[..made]));
            }
            if stored.is_empty() || used == 0 {
                return Ok(None);
            }
        }
    }

    /// True when what was given ends with a frame.
    pub fn is_between_frames(&self) -> bool {
        !self.inside
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::io::Read as _;

    /// What comes of bytes given `step` by `step`, and whether they end with a frame.
    fn unpacked(stored: &[u8], step: usize) -> io::Result<(Vec<u8>, bool)> {
        let mut unpacker = Unpacker::new()?;
        let mut out = Vec::new();
        for mut piece in stored.chunks(step) {
            while let Some(plain) = unpacker.next(&mut piece)? {
                out.extend(plain);
            }
        }
        Ok((out, unpacker.is_between_frames()))
    }

    #[test]
    fn a_frame_that_wants_a_large_window_is_refused() {
        let mut encoder = zstd::stream::Encoder::new(Vec::new(), 3).expect("a level");
        encoder.set_parameter(CParameter::WindowLog(25)).expect("a window");
        io::copy(&mut io::repeat(7).take(1 << 26), &mut encoder).expect("memory is written");
        let frame = encoder.finish().expect("memory is written");
        assert!(unpacked(&frame, 1 << 20).is_err());
    }

    proptest! {
        #[test]
        fn parts_and_filler_unpack_to_the_parts(
            parts in prop::collection::vec(prop::collection::vec(0..4_u8, 0..5_000), 1..4),
            repeat in 1..100_usize,
            step in 1..10_000_usize,
            summed in any::<bool>(),
        ) {
            let mut packer = Packer::new(summed);
            let (mut stored, mut plain) = (Vec::new(), Vec::new());
            for part in parts {
                let part = part.repeat(repeat);
                let mut frame = packer.pack(&part);
                let bytes = frame.len().next_multiple_of(4096) + 4096;
                fill(&mut frame, bytes);
                prop_assert_eq!(frame.len(), bytes);
                stored.extend(frame);
                plain.extend(part);
            }
            prop_assert!(is_packed(&stored));
            let (found, whole) = unpacked(&stored, step).expect("frames");
            prop_assert!(whole && found == plain);
            let cut = &stored[..step.min(stored.len() - 1)];
            let (found, _) = unpacked(cut, 1_000).expect("the beginning of frames");
            prop_assert!(plain.starts_with(&found));
        }

        #[test]
        fn a_changed_bit_in_a_frame_with_a_checksum_is_noticed(
            part in prop::collection::vec(0..4_u8, 100..5_000),
            at in any::<prop::sample::Index>(),
            bit in 0..8_u8,
        ) {
            let frame = Packer::new(true).pack(&part);
            let mut wrong = frame.clone();
            let at = at.index(frame.len());
            wrong[at] ^= 1_u8 << bit;
            if let Ok((found, whole)) = unpacked(&wrong, 999) {
                prop_assert!(!whole || found == part, "byte {at}");
            }
        }

        #[test]
        fn hostile_bytes_do_not_panic(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
            let framed = [&FRAME[..], &bytes].concat();
            let _ = unpacked(&framed, 50);
            let _ = index_of(&[&SKIPPED[..], &bytes].concat());
            is_filler(&bytes);
        }
    }
}
