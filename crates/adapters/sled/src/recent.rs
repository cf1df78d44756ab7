//! What was answered and is not in the database yet, in memory.

use std::collections::HashMap;
use std::ops::Range;

use sled::IVec;

/// Entries that were written; `None` where one was removed.
pub(crate) type Overlay = HashMap<Vec<u8>, Option<IVec>, foldhash::quality::RandomState>;

/// The changes since a point in the order of all changes, the last state of each entry.
#[derive(Debug, Default)]
pub(crate) struct Recent(Overlay);

impl Recent {
    pub(crate) fn new(changes: Overlay) -> Self {
        Self(changes)
    }

    /// None yet, with room for so many entries.
    pub(crate) fn with_capacity(entries: usize) -> Self {
        Self(Overlay::with_capacity_and_hasher(entries, foldhash::quality::RandomState::default()))
    }

    pub(crate) fn len(&self) -> usize {
        self.0.len()
    }

    pub(crate) fn extend(&mut self, changes: Overlay) {
        self.0.extend(changes);
    }

    /// What became of an entry; `None` where it was not changed.
    pub(crate) fn get(&self, key: &[u8]) -> Option<&Option<IVec>> {
        self.0.get(key)
    }

    /// The changes in a range, in the order of their keys.
    pub(crate) fn range(&self, range: &Range<Vec<u8>>) -> Vec<(&[u8], Option<&IVec>)> {
        self.sorted(|key| range.start.as_slice() <= key && key < range.end.as_slice())
    }

    /// All changes, in the order of their keys.
    pub(crate) fn all(&self) -> Vec<(&[u8], Option<&IVec>)> {
        self.sorted(|_| true)
    }

    fn sorted(&self, is_meant: impl Fn(&[u8]) -> bool) -> Vec<(&[u8], Option<&IVec>)> {
        let changes = self.0.iter().map(|(key, value)| (key.as_slice(), value.as_ref()));
        let mut changes: Vec<_> = changes.filter(|(key, _)| is_meant(key)).collect();
        changes.sort_unstable_by_key(|(key, _)| *key);
        changes
    }
}
