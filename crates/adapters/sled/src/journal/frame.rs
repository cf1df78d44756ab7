//! One group of changes in the journal.
//!
//! All integers are big-endian:
//!
//! | offset | bytes | what |
//! | --- | --- | --- |
//! | 0 | 8 | `mbframe1` |
//! | 8 | 8 | the segment's generation: what an earlier one left in the file is not of it |
//! | 16 | 8 | the sequence before the group |
//! | 24 | 8 | the sequence after it |
//! | 32 | 8 | the digest after it |
//! | 40 | 4 | the length of the payload |
//! | 44 | 4 | CRC-32 of the bytes before and of the payload |
//! | 48 | | the payload: for each entry the length of its key (2 bytes), the key, the length of its value (4 bytes; `ffffffff` where it was removed), the value |
//!
//! A frame that changes nothing is a mark: it says that the one before it was answered.

use sled::IVec;

use super::Point;
use crate::digest::Digest;
use crate::recent::Overlay;

const MAGIC: [u8; 8] = *b"mbframe1";
pub(super) const HEADER: usize = 48;
const REMOVED: u32 = u32::MAX;

/// A frame that is whole.
pub(super) struct Frame<'f> {
    pub(super) before: u64,
    pub(super) after: Point,
    payload: &'f [u8],
}

/// What cannot be put into a frame.
#[derive(Debug)]
pub(crate) struct TooLong;

/// Encodes a group over what `frame` held.
pub(super) fn encode(
    frame: &mut Vec<u8>,
    generation: u64,
    before: u64,
    after: Point,
    entries: &Overlay,
) -> Result<(), TooLong> {
    frame.clear();
    frame.extend_from_slice(&[0; HEADER]);
    for (key, value) in entries {
        frame.extend_from_slice(&u16::try_from(key.len()).map_err(|_| TooLong)?.to_be_bytes());
        frame.extend_from_slice(key);
        match value {
            Some(value) => {
                let length = u32::try_from(value.len()).ok().filter(|&length| length != REMOVED).ok_or(TooLong)?;
                frame.extend_from_slice(&length.to_be_bytes());
                frame.extend_from_slice(value);
            }
            None => frame.extend_from_slice(&REMOVED.to_be_bytes()),
        }
    }
    let (header, payload) = frame.split_at_mut(HEADER);
    let length = u32::try_from(payload.len()).map_err(|_| TooLong)?;
    header[..8].copy_from_slice(&MAGIC);
    header[8..16].copy_from_slice(&generation.to_be_bytes());
    header[16..24].copy_from_slice(&before.to_be_bytes());
    header[24..32].copy_from_slice(&after.sequence.to_be_bytes());
    header[32..40].copy_from_slice(&after.digest.0.to_be_bytes());
    header[40..44].copy_from_slice(&length.to_be_bytes());
    let sum = checksum(&header[..44], payload);
    header[44..].copy_from_slice(&sum.to_be_bytes());
    Ok(())
}

/// What a frame of a generation begins with.
pub(super) fn mark(generation: u64) -> [u8; 16] {
    let mut mark = [0; 16];
    mark[..8].copy_from_slice(&MAGIC);
    mark[8..].copy_from_slice(&generation.to_be_bytes());
    mark
}

fn checksum(header: &[u8], payload: &[u8]) -> u32 {
    let mut hasher = crc32fast::Hasher::new();
    hasher.update(header);
    hasher.update(payload);
    hasher.finalize()
}

/// The frame that these bytes begin with, if it is whole and of this generation, and its length.
pub(super) fn decode(bytes: &[u8], generation: u64) -> Option<(Frame<'_>, usize)> {
    let (header, rest) = bytes.split_first_chunk::<HEADER>()?;
    if header[..8] != MAGIC {
        return None;
    }
    let number = |at: usize| header.get(at..at + 8)?.try_into().ok().map(u64::from_be_bytes);
    let short = |at: usize| header.get(at..at + 4)?.try_into().ok().map(u32::from_be_bytes);
    let payload = rest.get(..usize::try_from(short(40)?).ok()?)?;
    if number(8)? != generation || checksum(&header[..44], payload) != short(44)? {
        return None;
    }
    let after = Point { sequence: number(24)?, digest: Digest(number(32)?) };
    Some((Frame { before: number(16)?, after, payload }, HEADER + payload.len()))
}

/// All whole frames of a generation in these bytes, wherever they stand.
pub(super) fn all(bytes: &[u8], generation: u64) -> impl Iterator<Item = Frame<'_>> {
    let places = bytes.windows(MAGIC.len()).enumerate().filter(|(_, window)| **window == MAGIC);
    places.filter_map(move |(at, _)| decode(bytes.get(at..)?, generation).map(|(frame, _)| frame))
}

impl Frame<'_> {
    /// What it changed; `None` where the payload is none.
    pub(super) fn entries(&self) -> impl Iterator<Item = Option<(Vec<u8>, Option<IVec>)>> {
        let mut rest = self.payload;
        std::iter::from_fn(move || {
            if rest.is_empty() {
                return None;
            }
            let entry = entry(&mut rest);
            if entry.is_none() {
                rest = &[];
            }
            Some(entry)
        })
    }
}

fn entry(rest: &mut &[u8]) -> Option<(Vec<u8>, Option<IVec>)> {
    let (length, after) = rest.split_first_chunk::<2>()?;
    let (key, after) = after.split_at_checked(usize::from(u16::from_be_bytes(*length)))?;
    let (length, after) = after.split_first_chunk::<4>()?;
    let length = u32::from_be_bytes(*length);
    if length == REMOVED {
        *rest = after;
        return Some((key.to_vec(), None));
    }
    let (value, after) = after.split_at_checked(usize::try_from(length).ok()?)?;
    *rest = after;
    Some((key.to_vec(), Some(value.into())))
}
