//! A block: a run of neighbouring entries in one value of the database.
//!
//! sled splits a leaf at 16 entries, and every leaf costs memory, whatever is in it: with one of our entries in each of
//! sled's, a million accounts took 400,000 leaves. A block is the length of the keys' common prefix, the prefix, and for
//! each entry, in the order of the keys, the length of the rest of its key, that rest, the length of its value, the value.
//! Lengths are LEB128 numbers.

use std::cmp::Ordering;
use std::ops::Range;

/// A block that is read.
#[derive(Clone, Copy)]
pub(crate) struct Block<'b> {
    bytes: &'b [u8],
    prefix: &'b [u8],
    /// Where the entries begin.
    start: usize,
}

/// The block cannot be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Malformed;

impl<'b> Block<'b> {
    pub(crate) fn new(bytes: &'b [u8]) -> Result<Self, Malformed> {
        let mut at = 0;
        let length = number(bytes, &mut at)?;
        let prefix = part(bytes, &mut at, length)?;
        Ok(Self { bytes, prefix: bytes.get(prefix).ok_or(Malformed)?, start: at })
    }

    /// What the keys have in common.
    pub(crate) fn prefix(&self) -> &'b [u8] {
        self.prefix
    }

    /// Where in the bytes the value of a key stands.
    pub(crate) fn find(&self, key: &[u8]) -> Result<Option<Range<usize>>, Malformed> {
        let Some(rest) = key.strip_prefix(self.prefix) else { return Ok(None) };
        for entry in self.entries() {
            let (suffix, value) = entry?;
            match suffix.cmp(rest) {
                Ordering::Less => {}
                Ordering::Equal => return Ok(Some(value)),
                Ordering::Greater => return Ok(None),
            }
        }
        Ok(None)
    }

    /// The rest of each key, and where its value stands.
    pub(crate) fn entries(self) -> impl Iterator<Item = Result<(&'b [u8], Range<usize>), Malformed>> {
        let mut at = self.start;
        std::iter::from_fn(move || {
            if at >= self.bytes.len() {
                return None;
            }
            let entry = entry(self.bytes, &mut at);
            if entry.is_err() {
                at = self.bytes.len();
            }
            Some(entry)
        })
    }
}

fn entry<'b>(bytes: &'b [u8], at: &mut usize) -> Result<(&'b [u8], Range<usize>), Malformed> {
    let length = number(bytes, at)?;
    let suffix = part(bytes, at, length)?;
    let length = number(bytes, at)?;
    let value = part(bytes, at, length)?;
    Ok((bytes.get(suffix).ok_or(Malformed)?, value))
}

fn number(bytes: &[u8], at: &mut usize) -> Result<usize, Malformed> {
    let mut number = 0;
    for shift in [0, 7, 14, 21] {
        let &byte = bytes.get(*at).ok_or(Malformed)?;
        *at += 1;
        number |= usize::from(byte & 0x7f) << shift;
        if byte & 0x80 == 0 {
            return Ok(number);
        }
    }
    Err(Malformed)
}

fn part(bytes: &[u8], at: &mut usize, length: usize) -> Result<Range<usize>, Malformed> {
    let part = *at..*at + length;
    if part.end > bytes.len() {
        return Err(Malformed);
    }
    *at = part.end;
    Ok(part)
}

fn put_number(bytes: &mut Vec<u8>, mut number: usize) {
    while number >= 0x80 {
        bytes.push((number & 0x7f) as u8 | 0x80);
        number >>= 7;
    }
    bytes.push((number & 0x7f) as u8);
}

/// A block of entries, whose keys are in order and not equal.
pub(crate) fn encode(entries: &[(&[u8], &[u8])]) -> Vec<u8> {
    let prefix = match entries {
        [(first, _), .., (last, _)] => common_prefix(first, last),
        [(only, _)] => only,
        [] => &[],
    };
    let bytes = entries.iter().map(|(key, value)| key.len() + value.len() + 4).sum::<usize>();
    let mut block = Vec::with_capacity(bytes);
    put_number(&mut block, prefix.len());
    block.extend_from_slice(prefix);
    for (key, value) in entries {
        let suffix = key.get(prefix.len()..).unwrap_or_default();
        put_number(&mut block, suffix.len());
        block.extend_from_slice(suffix);
        put_number(&mut block, value.len());
        block.extend_from_slice(value);
    }
    block
}

fn common_prefix<'k>(first: &'k [u8], last: &[u8]) -> &'k [u8] {
    let length = first.iter().zip(last).take_while(|(one, other)| one == other).count();
    first.get(..length).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use super::*;

    fn entries() -> impl Strategy<Value = BTreeMap<Vec<u8>, Vec<u8>>> {
        let key = prop_oneof!["a[ab]{0,4}", "[ab]{1,3}c{100,140}"].prop_map(String::into_bytes);
        prop::collection::btree_map(key, prop::collection::vec(any::<u8>(), 0..200), 0..30)
    }

    proptest! {
        #[test]
        fn what_was_put_in_is_found_and_nothing_else(entries in entries(), other in "[ab]{0,5}") {
            let sorted: Vec<(&[u8], &[u8])> = entries.iter().map(|(key, value)| (&key[..], &value[..])).collect();
            let bytes = encode(&sorted);
            let block = Block::new(&bytes).unwrap();
            for (key, value) in &entries {
                let found = block.find(key).unwrap().unwrap();
                prop_assert_eq!(&bytes[found], &value[..]);
            }
            prop_assert_eq!(block.find(other.as_bytes()).unwrap().is_some(), entries.contains_key(other.as_bytes()));
            let read: Vec<(Vec<u8>, &[u8])> = block
                .entries()
                .map(|entry| entry.map(|(suffix, value)| ([block.prefix(), suffix].concat(), &bytes[value])).unwrap())
                .collect();
            let written: Vec<(Vec<u8>, &[u8])> = sorted.iter().map(|(key, value)| (key.to_vec(), *value)).collect();
            prop_assert_eq!(read, written);
        }

        #[test]
        fn damage_never_panics(entries in entries(), index in 0_usize..3000, byte: u8, cut in 0_usize..3000) {
            let sorted: Vec<(&[u8], &[u8])> = entries.iter().map(|(key, value)| (&key[..], &value[..])).collect();
            let mut bytes = encode(&sorted);
            bytes.truncate(cut);
            if let Some(place) = bytes.get_mut(index) {
                *place = byte;
            }
            if let Ok(block) = Block::new(&bytes) {
                let _ = block.find(b"aab");
                prop_assert!(block.entries().count() <= bytes.len() + 1);
            }
        }
    }

    /// It is on disk: it must not change.
    #[test]
    fn its_bytes_are_fixed() {
        assert_eq!(encode(&[(b"\x01ab", b"x"), (b"\x01ac", b"")]), b"\x02\x01a\x01b\x01x\x01c\x00");
        assert_eq!(encode(&[(b"\x01ab", b"x")]), b"\x03\x01ab\x00\x01x");
    }
}
