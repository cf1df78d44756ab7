//! Entries in order, many to each of sled's (`block.rs`).
//!
//! A block stands under a key that is not above its first entry's and not below the end of the block before it. Blocks hold
//! entries of one kind each; a kind's first block stands under the kind alone. Changes are merged in by one thread, in the
//! order of their keys. A block that grows too large is cut: first its later pieces are written, the last one first, then
//! itself. A reader, or a crash, in between leaves entries in it that stand in a later block as well; what stands in a block
//! and not below the next one's key is not there. (One of sled's batches would do it at once, but stops all readers while it
//! is written.)

use std::ops::{Bound, Range};
use std::sync::Arc;

use sled::{IVec, Tree};

use crate::block::{Block, Malformed, encode};
use crate::fault::Fault;
use crate::filter::Filter;
use crate::layout;

/// The most that a block of more than one entry has, in bytes. Larger ones make fewer leaves, which is less memory and disk,
/// and more bytes to write for each change.
const MOST: usize = 1024;

impl From<Malformed> for Fault {
    fn from(_: Malformed) -> Self {
        Self::Unreadable("block")
    }
}

/// A key and its value.
type Entry<'e> = (&'e [u8], &'e [u8]);

/// The entries in the database.
#[derive(Clone)]
pub(crate) struct Blocks {
    tree: Tree,
    filter: Arc<Filter>,
}

impl Blocks {
    /// What a tree holds, with a filter over its keys, which may be of an earlier handle on it.
    pub(crate) fn new(tree: Tree, filter: Arc<Filter>) -> Self {
        Self { tree, filter }
    }

    /// The filter over the keys.
    pub(crate) fn filter(&self) -> &Arc<Filter> {
        &self.filter
    }

    pub(crate) fn value(&self, key: &[u8]) -> Result<Option<IVec>, Fault> {
        if self.filter.excludes(key) {
            return Ok(None);
        }
        let Some((_, bytes)) = self.covering(key)? else { return Ok(None) };
        let found = Block::new(&bytes)?.find(key)?;
        Ok(found.map(|value| bytes.subslice(value.start, value.len())))
    }

    /// The block that a key belongs into, where it is there: its own key, and its bytes.
    fn covering(&self, key: &[u8]) -> Result<Option<(IVec, IVec)>, Fault> {
        let below = self.tree.range::<&[u8], _>(..=key).next_back().transpose()?;
        Ok(below.filter(|(start, _)| start.first() == key.first()))
    }

    /// The entries in a range, in order.
    pub(crate) fn range(&self, range: Range<Vec<u8>>) -> Entries {
        let first = self.covering(&range.start).transpose();
        let after = match &first {
            Some(Ok((start, _))) => Bound::Excluded(start.to_vec()),
            _ => Bound::Included(range.start.clone()),
        };
        let rest = self.tree.range((after, Bound::Excluded(range.end.clone())));
        Entries { first, rest: rest.peekable(), range, block: Vec::new().into_iter() }
    }

    /// The last entry of a kind.
    pub(crate) fn last(&self, kind: u8) -> Result<Option<(IVec, IVec)>, Fault> {
        let last = self.tree.range([kind]..[kind + 1]).next_back().transpose()?;
        let Some((start, _)) = last else { return Ok(None) };
        self.range(start.to_vec()..vec![kind + 1]).last().transpose()
    }

    /// Notes the keys in the next blocks after a key. Answers the last block's, `None` at the end.
    pub(crate) fn note_after(&self, after: &[u8], blocks: usize) -> Result<Option<Vec<u8>>, Fault> {
        let first = layout::everything().start;
        let after = if after.is_empty() { Bound::Included(&first[..]) } else { Bound::Excluded(after) };
        let mut last = None;
        for stored in self.tree.range::<&[u8], _>((after, Bound::Unbounded)).take(blocks) {
            let (start, bytes) = stored?;
            let block = Block::new(&bytes)?;
            let mut key = block.prefix().to_vec();
            for entry in block.entries() {
                key.truncate(block.prefix().len());
                key.extend_from_slice(entry?.0);
                self.filter.note(&key);
            }
            last = Some(start.to_vec());
        }
        Ok(last)
    }

    /// Merges changes in, which are in the order of their keys, each with another key. Says after each how many are done.
    pub(crate) fn apply<'c>(
        &self,
        changes: impl Iterator<Item = (&'c [u8], Option<&'c IVec>)>,
        mut done: impl FnMut(usize) -> Result<(), Fault>,
    ) -> Result<(), Fault> {
        let mut walk = Walk::default();
        let mut merge = Merge::default();
        for (count, (key, value)) in changes.enumerate() {
            match value {
                Some(_) => self.filter.note(key),
                // It came and went since the last time.
                None if self.filter.excludes(key) => continue,
                None => {}
            }
            let (start, bytes) = walk.to(self, key)?;
            if merge.start != start {
                merge.write(&self.tree)?;
                merge = Merge { start, bytes, changes: Vec::new() };
                done(count)?;
            }
            merge.changes.push((key, value));
        }
        merge.write(&self.tree)
    }
}

/// How many blocks are gone over to the next one that changes, before it is searched.
const STRIDE: usize = 16;

/// The way from block to block, in the order of their keys. sled copies a leaf for every search, and one for all its
/// blocks where they are gone through.
#[derive(Default)]
struct Walk {
    /// The block that was reached.
    here: Option<(IVec, IVec)>,
    /// Those after it.
    rest: Option<std::iter::Peekable<sled::Iter>>,
}

impl Walk {
    /// The block that a key belongs into: its own key, and its bytes; an empty first one of its kind where there is none.
    /// What was gone past must not have been changed since.
    fn to(&mut self, blocks: &Blocks, key: &[u8]) -> Result<(IVec, IVec), Fault> {
        if !self.stride(key)? {
            self.here = blocks.covering(key)?;
            let after = self.here.as_ref().map_or(Bound::Included(key), |(start, _)| Bound::Excluded(start.as_ref()));
            self.rest = Some(blocks.tree.range::<&[u8], _>((after, Bound::Unbounded)).peekable());
        }
        let here = self.here.clone().filter(|(start, _)| start.first() == key.first());
        Ok(here.unwrap_or_else(|| (IVec::from(key.get(..1).unwrap_or_default()), IVec::default())))
    }

    /// Goes on to a block, if it is near.
    fn stride(&mut self, key: &[u8]) -> Result<bool, Fault> {
        let Some(rest) = &mut self.rest else { return Ok(false) };
        for _ in 0..STRIDE {
            match rest.next_if(|next| next.as_ref().map_or(true, |(start, _)| start.as_ref() <= key)) {
                Some(next) => self.here = Some(next?),
                None => return Ok(true),
            }
        }
        Ok(false)
    }
}

/// The changes to one block.
#[derive(Default)]
struct Merge<'c> {
    start: IVec,
    bytes: IVec,
    changes: Vec<(&'c [u8], Option<&'c IVec>)>,
}

impl Merge<'_> {
    fn write(&self, tree: &Tree) -> Result<(), Fault> {
        if self.changes.is_empty() {
            return Ok(());
        }
        let mut keys = Vec::with_capacity(4 * MOST);
        let old: Vec<Entry<'_>> = self.old(&mut keys)?;
        if !self.changes_anything(&old) {
            return Ok(());
        }
        let (mut merged, grows_at_the_end) = self.merged(&old);
        if bytes(&merged) > MOST {
            // What a crash left behind must not become a block of its own.
            let next = tree.range::<&[u8], _>((Bound::Excluded(self.start.as_ref()), Bound::Unbounded)).next();
            if let Some((next, _)) = next.transpose()? {
                merged.retain(|(key, _)| *key < next.as_ref());
            }
        }
        if merged.is_empty() {
            return self.remove(tree);
        }
        let pieces: Vec<_> = cut(&merged, grows_at_the_end).collect();
        for (index, piece) in pieces.iter().enumerate().rev() {
            let start = if index == 0 { &self.start[..] } else { piece.first().map_or(&[][..], |(key, _)| key) };
            tree.insert(start, encode(piece))?;
        }
        Ok(())
    }

    /// Whether anything that is removed is there, or anything is put in.
    fn changes_anything(&self, old: &[Entry<'_>]) -> bool {
        let there = |key| old.binary_search_by_key(&key, |(key, _)| *key).is_ok();
        self.changes.iter().any(|&(key, value)| value.is_some() || there(key))
    }

    /// Removes the block, and first from the one before it what a crash left there of this one: it would be there again.
    fn remove(&self, tree: &Tree) -> Result<(), Fault> {
        let start = self.start.as_ref();
        let before = tree.range::<&[u8], _>(..start).next_back().transpose()?;
        if let Some((key, bytes)) = before.filter(|(key, _)| key.first() == start.first()) {
            let merge = Self { start: key.clone(), bytes, changes: Vec::new() };
            let mut keys = Vec::new();
            let mut entries = merge.old(&mut keys)?;
            let count = entries.len();
            entries.retain(|(key, _)| *key < start);
            if entries.len() < count {
                tree.insert(key, encode(&entries))?;
            }
        }
        tree.remove(start)?;
        Ok(())
    }

    /// What is there, its keys put together in `keys`.
    fn old<'k>(&'k self, keys: &'k mut Vec<u8>) -> Result<Vec<Entry<'k>>, Fault> {
        if self.bytes.is_empty() {
            return Ok(Vec::new());
        }
        let block = Block::new(&self.bytes)?;
        let mut places = Vec::new();
        for entry in block.entries() {
            let (suffix, value) = entry?;
            let start = keys.len();
            keys.extend_from_slice(block.prefix());
            keys.extend_from_slice(suffix);
            places.push((start..keys.len(), value));
        }
        let keys: &[u8] = keys;
        let entry = |(key, value)| (part(keys, key), part(&self.bytes, value));
        Ok(places.into_iter().map(entry).collect())
    }

    /// The entries after the changes, and whether all that is new comes after what was there.
    fn merged<'m>(&'m self, old: &[Entry<'m>]) -> (Vec<Entry<'m>>, bool) {
        let mut merged = Vec::with_capacity(old.len() + self.changes.len());
        let last_old = old.last().map(|(key, _)| *key);
        let mut old = old.iter().copied().peekable();
        let mut grows_at_the_end = true;
        for &(key, value) in &self.changes {
            while let Some(entry) = old.next_if(|(old, _)| *old < key) {
                merged.push(entry);
            }
            let replaced = old.next_if(|(old, _)| *old == key).is_some();
            grows_at_the_end &= replaced || last_old.is_none_or(|last| last < key);
            merged.extend(value.map(|value| (key, &value[..])));
        }
        merged.extend(old);
        (merged, grows_at_the_end)
    }
}

/// A part of what it was measured on.
fn part(bytes: &[u8], place: Range<usize>) -> &[u8] {
    bytes.get(place).unwrap_or_default()
}

/// About how many bytes entries take.
fn bytes(entries: &[Entry<'_>]) -> usize {
    entries.iter().map(size).sum()
}

fn size((key, value): &Entry<'_>) -> usize {
    key.len() + value.len() + 2
}

/// Cuts entries into blocks: full ones where they come in order, so that what grows at its end leaves no gaps; else even
/// ones with room.
fn cut<'e>(entries: &'e [Entry<'e>], grows_at_the_end: bool) -> impl Iterator<Item = &'e [Entry<'e>]> {
    let total = bytes(entries);
    let most = if grows_at_the_end || total <= MOST { MOST } else { total.div_ceil(total.div_ceil(MOST * 3 / 4)) };
    let mut rest = entries;
    std::iter::from_fn(move || {
        let mut used = 0;
        let fitting = rest.iter().take_while(|entry| {
            used += size(entry);
            used <= most
        });
        let (piece, remaining) = rest.split_at_checked(fitting.count().max(1))?;
        rest = remaining;
        Some(piece)
    })
}

/// The entries in a range.
pub(crate) struct Entries {
    first: Option<Result<(IVec, IVec), Fault>>,
    rest: std::iter::Peekable<sled::Iter>,
    range: Range<Vec<u8>>,
    block: std::vec::IntoIter<(IVec, IVec)>,
}

impl Entries {
    fn open(&mut self, bytes: &IVec) -> Result<(), Fault> {
        let next = match self.rest.peek() {
            Some(Ok((next, _))) => Some(next),
            _ => None,
        };
        let block = Block::new(bytes)?;
        let mut entries = Vec::new();
        for entry in block.entries() {
            let (suffix, value) = entry?;
            let key = [block.prefix(), suffix].concat();
            let stale = next.is_some_and(|next| next.as_ref() <= key.as_slice());
            if !stale && self.range.contains(&key) {
                entries.push((IVec::from(key), bytes.subslice(value.start, value.len())));
            }
        }
        self.block = entries.into_iter();
        Ok(())
    }
}

impl Iterator for Entries {
    type Item = Result<(IVec, IVec), Fault>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            if let Some(entry) = self.block.next() {
                return Some(Ok(entry));
            }
            let next = match self.first.take() {
                Some(first) => first,
                None => self.rest.next()?.map_err(Fault::from),
            };
            if let Err(fault) = next.and_then(|(_, bytes)| self.open(&bytes)) {
                return Some(Err(fault));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_crash_left_behind_does_not_come_back() {
        let db = sled::Config::new().temporary(true).open().unwrap();
        let blocks = Blocks::new(Tree::clone(&db), Arc::new(Filter::for_keys(0)));
        // As after a crash in the middle of a cut: the later piece is written, and the first one still has it all.
        db.insert(b"\x01", encode(&[(b"\x01a", b"1"), (b"\x01c", b"3")])).unwrap();
        db.insert(b"\x01c", encode(&[(b"\x01c", b"3")])).unwrap();
        blocks.apply(std::iter::once((&b"\x01c"[..], None)), |_| Ok(())).unwrap();
        assert_eq!(blocks.value(b"\x01c").unwrap(), None);
        assert_eq!(blocks.value(b"\x01a").unwrap(), Some(IVec::from(b"1")));
        assert_eq!(blocks.range(vec![1]..vec![2]).count(), 1);
    }
}
