//! A checksum of everything that is stored. It is a sum over the entries, so that a group of changes moves it by what it
//! changes, and a walk over the whole store arrives at the same number. sled checks each piece of its file by itself, but
//! where it reads its log after a crash it passes over a damaged piece: what is missing then, only the whole can tell.

use sled::IVec;

use crate::fault::Fault;
use crate::layout;
use crate::view::Reader;

/// The sum over all entries but the meta ones, modulo 2^64.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Digest(pub(crate) u64);

impl Digest {
    /// Puts an entry in.
    pub(crate) fn add(&mut self, key: &[u8], value: &[u8]) {
        self.0 = self.0.wrapping_add(entry(key, value));
    }

    /// Takes an entry out.
    pub(crate) fn remove(&mut self, key: &[u8], value: &[u8]) {
        self.0 = self.0.wrapping_sub(entry(key, value));
    }

    /// The digest of everything that is stored.
    pub(crate) fn of(reader: &Reader<'_>) -> Result<Self, Fault> {
        let mut digest = Self::default();
        for stored in reader.range(layout::everything()) {
            let (key, value): (IVec, IVec) = stored?;
            digest.add(&key, &value);
        }
        Ok(digest)
    }
}

/// FNV-1a over the parts, each with its length before it.
fn fnv<'p>(parts: impl IntoIterator<Item = &'p [u8]>) -> u64 {
    const OFFSET: u64 = 0xcbf2_9ce4_8422_2325;
    let mix = |hash: u64, byte: &u8| (hash ^ u64::from(*byte)).wrapping_mul(0x0000_0100_0000_01b3);
    parts.into_iter().fold(OFFSET, |hash, part| {
        let length = (part.len() as u64).to_be_bytes();
        part.iter().fold(length.iter().fold(hash, mix), mix)
    })
}

/// Sums of plain FNV values would let like differences cancel out: the bits are mixed once more (as splitmix64 ends).
fn entry(key: &[u8], value: &[u8]) -> u64 {
    let hash = fnv([key, value]);
    let hash = (hash ^ (hash >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let hash = (hash ^ (hash >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    hash ^ (hash >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn order_does_not_matter_and_every_byte_does() {
        let (mut one, mut other) = (Digest::default(), Digest::default());
        one.add(b"a", b"1");
        one.add(b"b", b"2");
        other.add(b"b", b"2");
        other.add(b"a", b"1");
        assert_eq!(one, other);
        for (key, value) in [(&b"a"[..], &b"2"[..]), (b"a1", b""), (b"", b"a1"), (b"a", b"1\0")] {
            let mut changed = one;
            changed.remove(b"a", b"1");
            changed.add(key, value);
            assert_ne!(changed, one, "{key:?}");
        }
        one.remove(b"b", b"2");
        one.remove(b"a", b"1");
        assert_eq!(one, Digest::default());
    }

    /// It is on disk: it must not change.
    #[test]
    fn its_values_are_fixed() {
        let mut digest = Digest::default();
        digest.add(b"\x01key", b"value");
        assert_eq!(digest.0, 7_179_007_480_170_949_815);
    }
}
