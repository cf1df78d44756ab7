//! Entries in order, many to each of sled's (`block.rs`).
//!
//! A block stands under a key that is not above its first entry's and not below the end of the block before it. Blocks hold
//! entries of one kind each; a kind's first block stands under the kind alone. Changes are merged in by one thread, in the
//! order of their keys; a block that grows too large is cut, in one batch, so that no reader and no crash sees half of it.

use std::ops::{Bound, Range};

use sled::{Batch, IVec, Tree};

use crate::block::{Block, Malformed, encode};
use crate::fault::Fault;

/// The most that a block of more than one entry has, in bytes. Larger ones make fewer leaves, which is less memory and disk,
/// and more bytes to write for each change.
const MOST: usize = 1024;

impl From<Malformed> for Fault {
    fn from(_: Malformed) -> Self {
        Self::Unreadable("block")
    }
}

/// The most changes that are merged in at once: readers wait while blocks are cut.
const AT_ONCE: usize = 64;

/// The entries in the database.
#[derive(Clone)]
pub(crate) struct Blocks {
    tree: Tree,
}

impl Blocks {
    pub(crate) fn new(tree: Tree) -> Self {
        Self { tree }
    }

    pub(crate) fn value(&self, key: &[u8]) -> Result<Option<IVec>, Fault> {
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
        Entries { first, rest, range, block: Vec::new().into_iter(), last: None }
    }

    /// The last entry of a kind.
    pub(crate) fn last(&self, kind: u8) -> Result<Option<(IVec, IVec)>, Fault> {
        let last = self.tree.range([kind]..[kind + 1]).next_back().transpose()?;
        let Some((start, _)) = last else { return Ok(None) };
        self.range(start.to_vec()..vec![kind + 1]).last().transpose()
    }

    /// Merges changes in, which are in the order of their keys, each with another key.
    pub(crate) fn apply<'c>(&self, changes: impl Iterator<Item = (&'c [u8], Option<&'c IVec>)>) -> Result<(), Fault> {
        let mut merge = Merge::default();
        for (key, value) in changes {
            if merge.changes.len() == AT_ONCE {
                merge.write(&self.tree)?;
                merge = Merge::default();
            }
            let (start, bytes) = match self.covering(key)? {
                Some(block) => block,
                None => (IVec::from(key.get(..1).unwrap_or_default()), IVec::default()),
            };
            if merge.start != start {
                merge.write(&self.tree)?;
                merge = Merge { start, bytes, changes: Vec::new() };
            }
            merge.changes.push((key, value));
        }
        merge.write(&self.tree)
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
        let old = self.old(&mut keys)?;
        let old: Vec<(&[u8], &[u8])> = old
            .into_iter()
            .map(|(key, value)| (keys.get(key).unwrap_or_default(), self.bytes.get(value).unwrap_or_default()))
            .collect();
        let (merged, grows_at_the_end) = self.merged(&old);
        let mut pieces = cut(&merged, grows_at_the_end);
        match (pieces.next(), pieces.next()) {
            (None, _) => {
                tree.remove(&self.start)?;
            }
            (Some(only), None) => {
                tree.insert(&self.start, encode(only))?;
            }
            (Some(first), Some(second)) => {
                let mut batch = Batch::default();
                batch.insert(&self.start, encode(first));
                for piece in std::iter::once(second).chain(pieces) {
                    batch.insert(piece.first().map_or(&[][..], |(key, _)| key), encode(piece));
                }
                tree.apply_batch(batch)?;
            }
        }
        Ok(())
    }

    /// Where the keys of what is there stand in `keys`, and the values in the block.
    fn old(&self, keys: &mut Vec<u8>) -> Result<Vec<(Range<usize>, Range<usize>)>, Fault> {
        if self.bytes.is_empty() {
            return Ok(Vec::new());
        }
        let block = Block::new(&self.bytes)?;
        let entries = block.entries().map(|entry| {
            let (suffix, value) = entry?;
            let start = keys.len();
            keys.extend_from_slice(block.prefix());
            keys.extend_from_slice(suffix);
            Ok((start..keys.len(), value))
        });
        entries.collect()
    }

    /// The entries after the changes, and whether all that is new comes after what was there.
    fn merged<'m>(&'m self, old: &[(&'m [u8], &'m [u8])]) -> (Vec<(&'m [u8], &'m [u8])>, bool) {
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

/// Cuts entries into blocks: full ones where they come in order, so that what grows at its end leaves no gaps; else even
/// ones with room.
fn cut<'e>(
    entries: &'e [(&'e [u8], &'e [u8])],
    grows_at_the_end: bool,
) -> impl Iterator<Item = &'e [(&'e [u8], &'e [u8])]> {
    let size = |(key, value): &(&[u8], &[u8])| key.len() + value.len() + 2;
    let total: usize = entries.iter().map(size).sum();
    let most = if grows_at_the_end || total <= MOST { MOST } else { total.div_ceil(total.div_ceil(MOST * 3 / 4)) };
    let mut rest = entries;
    std::iter::from_fn(move || {
        let mut bytes = 0;
        let fitting = rest.iter().take_while(|entry| {
            bytes += size(entry);
            bytes <= most
        });
        let (piece, remaining) = rest.split_at_checked(fitting.count().max(1))?;
        rest = remaining;
        Some(piece)
    })
}

/// The entries in a range.
pub(crate) struct Entries {
    first: Option<Result<(IVec, IVec), Fault>>,
    rest: sled::Iter,
    range: Range<Vec<u8>>,
    block: std::vec::IntoIter<(IVec, IVec)>,
    /// The last block's last key: where a block was cut meanwhile, its second half comes twice.
    last: Option<IVec>,
}

impl Entries {
    fn open(&mut self, bytes: &IVec) -> Result<(), Fault> {
        let block = Block::new(bytes)?;
        let mut entries = Vec::new();
        for entry in block.entries() {
            let (suffix, value) = entry?;
            let key = [block.prefix(), suffix].concat();
            let again = self.last.as_ref().is_some_and(|last| last.as_ref() >= key.as_slice());
            if !again && self.range.contains(&key) {
                entries.push((IVec::from(key), bytes.subslice(value.start, value.len())));
            }
        }
        if let Some((last, _)) = entries.last() {
            self.last = Some(last.clone());
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
