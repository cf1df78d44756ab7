//! A group of changes that is written in one batch. Each change sees what those before it in the group wrote; one that is
//! turned down leaves nothing behind.

use std::collections::HashMap;

use mobile_bind_domain::Revision;
use sled::{Batch, IVec, Tree};

use crate::digest::Digest;
use crate::fault::Fault;
use crate::layout::{DIGEST_KEY, Key, SEQUENCE_KEY};
use crate::records::{self, Record};
use crate::source::Source;
use crate::view::Before;

/// Keys that were written; `None` where one was removed.
type Overlay = HashMap<Vec<u8>, Option<IVec>>;

/// The changes that were accepted so far.
pub(crate) struct Group<'t> {
    tree: &'t Tree,
    pending: Overlay,
    sequence: u64,
}

impl<'t> Group<'t> {
    /// An empty group; `sequence` is that of the last change before it.
    pub(crate) fn new(tree: &'t Tree, sequence: u64) -> Self {
        Self { tree, pending: HashMap::new(), sequence }
    }

    /// The sequence of the last change.
    pub(crate) fn sequence(&self) -> u64 {
        self.sequence
    }

    /// Lets `work` read and write. What it wrote is kept where it succeeds, and forgotten where it does not.
    pub(crate) fn attempt<T, E>(
        &mut self,
        work: impl FnOnce(&mut Scratch<'_>) -> Result<T, E>,
    ) -> Result<(T, Revision), E> {
        let revision = Revision(self.sequence + 1);
        let mut scratch = Scratch { tree: self.tree, pending: &self.pending, written: HashMap::new(), revision };
        let done = work(&mut scratch)?;
        let written = scratch.written;
        self.pending.extend(written);
        self.sequence = revision.0;
        Ok((done, revision))
    }

    /// What is to be written, with the sequence and the digest; `None` where it is nothing. `digest` is that of the store
    /// before it.
    pub(crate) fn prepare(self, mut digest: Digest) -> Result<Option<Prepared>, Fault> {
        if self.pending.is_empty() {
            return Ok(None);
        }
        let (mut batch, mut before) = (Batch::default(), Before::new());
        for (key, value) in self.pending {
            let old = self.tree.value(&key)?;
            if let Some(old) = &old {
                digest.remove(&key, old);
            }
            match value {
                Some(value) => {
                    digest.add(&key, &value);
                    batch.insert(key.as_slice(), value);
                }
                None => batch.remove(key.as_slice()),
            }
            before.insert(key, old);
        }
        batch.insert(SEQUENCE_KEY, &self.sequence.to_be_bytes());
        batch.insert(DIGEST_KEY, &digest.0.to_be_bytes());
        Ok(Some(Prepared { batch, before, digest }))
    }
}

/// A group that is ready to be written.
pub(crate) struct Prepared {
    pub(crate) batch: Batch,
    /// What stands in the tree under the keys that it writes.
    pub(crate) before: Before,
    /// The store's digest after it.
    pub(crate) digest: Digest,
}

/// What one change reads and writes.
pub(crate) struct Scratch<'g> {
    tree: &'g Tree,
    pending: &'g Overlay,
    written: Overlay,
    revision: Revision,
}

impl Scratch<'_> {
    /// The tree as it is without this group.
    pub(crate) fn tree(&self) -> &Tree {
        self.tree
    }

    pub(crate) fn put<R: Record>(&mut self, key: Key, record: &R) -> Result<(), Fault> {
        let value = records::encode(self.revision, record)?;
        self.put_value(key, &value);
        Ok(())
    }

    pub(crate) fn put_value(&mut self, key: Key, value: &[u8]) {
        self.written.insert(key.into_bytes(), Some(value.into()));
    }

    pub(crate) fn remove(&mut self, key: Key) {
        self.remove_key(key.into_bytes());
    }

    pub(crate) fn remove_key(&mut self, key: Vec<u8>) {
        self.written.insert(key, None);
    }
}

impl Source for Scratch<'_> {
    fn value(&self, key: &[u8]) -> Result<Option<IVec>, Fault> {
        match self.written.get(key).or_else(|| self.pending.get(key)) {
            Some(value) => Ok(value.clone()),
            None => self.tree.value(key),
        }
    }
}
