//! A group of changes that is written together. Each change sees what those before it in the group wrote; one that is
//! turned down leaves nothing behind.

use std::cell::RefCell;

use mobile_bind_domain::Revision;
use sled::IVec;

use crate::fault::Fault;
use crate::journal::Point;
use crate::layout::Key;
use crate::recent::Overlay;
use crate::records::{self, Record};
use crate::source::Source;
use crate::view::Reader;

/// The least that an entry takes, in bytes.
const ENTRY: usize = 6;

/// About how many entries a change has.
const ENTRIES: usize = 12;

/// The changes that were accepted so far.
pub(crate) struct Group<'r> {
    reader: &'r Reader<'r>,
    /// What was read: most of what is written was looked at before.
    before: RefCell<Overlay>,
    pending: Overlay,
    last: Point,
    bytes: usize,
}

impl<'r> Group<'r> {
    /// An empty group after the last change.
    pub(crate) fn new(reader: &'r Reader<'r>, last: Point) -> Self {
        Self { reader, before: RefCell::default(), pending: Overlay::default(), last, bytes: 0 }
    }

    /// The sequence of the last change.
    pub(crate) fn sequence(&self) -> u64 {
        self.last.sequence
    }

    /// About how many bytes it has.
    pub(crate) fn bytes(&self) -> usize {
        self.bytes
    }

    /// Lets `work` read and write. What it wrote is kept where it succeeds, and forgotten where it does not.
    pub(crate) fn attempt<T, E>(
        &mut self,
        work: impl FnOnce(&mut Scratch<'_>) -> Result<T, E>,
    ) -> Result<(T, Revision), E> {
        let revision = Revision(self.last.sequence + 1);
        let mut scratch = Scratch {
            reader: self.reader,
            before: &self.before,
            pending: &self.pending,
            written: Overlay::with_capacity_and_hasher(ENTRIES, foldhash::quality::RandomState::default()),
            revision,
        };
        let done = work(&mut scratch)?;
        let written = scratch.written;
        let bytes =
            |(key, value): (&Vec<u8>, &Option<IVec>)| ENTRY + key.len() + value.as_ref().map_or(0, |value| value.len());
        self.bytes += written.iter().map(bytes).sum::<usize>();
        self.pending.extend(written);
        self.last.sequence = revision.0;
        Ok((done, revision))
    }

    /// What is to be written, and the point that it leads to; `None` where it is nothing.
    pub(crate) fn prepare(self) -> Result<Option<Prepared>, Fault> {
        let Self { reader, before, pending, mut last, bytes } = self;
        if pending.is_empty() {
            return Ok(None);
        }
        let before = before.into_inner();
        for (key, value) in &pending {
            let old = match before.get(key) {
                Some(old) => old.clone(),
                None => reader.value(key)?,
            };
            if let Some(old) = &old {
                last.digest.remove(key, old);
            }
            if let Some(value) = value {
                last.digest.add(key, value);
            }
        }
        Ok(Some(Prepared { changes: pending, bytes, point: last }))
    }
}

/// A group that is ready to be written.
pub(crate) struct Prepared {
    pub(crate) changes: Overlay,
    /// At most so many bytes, as they are in the journal.
    pub(crate) bytes: usize,
    /// Where the store is after it.
    pub(crate) point: Point,
}

/// What one change reads and writes.
pub(crate) struct Scratch<'g> {
    reader: &'g Reader<'g>,
    before: &'g RefCell<Overlay>,
    pending: &'g Overlay,
    written: Overlay,
    revision: Revision,
}

impl<'g> Scratch<'g> {
    /// The store as it is without this group.
    pub(crate) fn reader(&self) -> &'g Reader<'g> {
        self.reader
    }

    /// The revision of what it writes.
    pub(crate) fn next_revision(&self) -> Revision {
        self.revision
    }

    /// An entry as it is now that stands in the database like that.
    pub(crate) fn newest(&self, key: &[u8], stored: IVec) -> Option<IVec> {
        let newer = self.written.get(key).or_else(|| self.pending.get(key)).or_else(|| self.reader.changed(key));
        newer.map_or(Some(stored), Clone::clone)
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
        if let Some(value) = self.written.get(key).or_else(|| self.pending.get(key)) {
            return Ok(value.clone());
        }
        if let Some(value) = self.before.borrow().get(key) {
            return Ok(value.clone());
        }
        let value = self.reader.value(key)?;
        self.before.borrow_mut().insert(key.to_vec(), value.clone());
        Ok(value)
    }
}
