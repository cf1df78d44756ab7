//! What readers see: the database, as it is on disk or about to be.

use std::collections::BTreeMap;
use std::ops::Range;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use sled::{IVec, Tree};

use crate::fault::Fault;
use crate::source::Source;

/// What some keys led to; `None` where there was nothing.
pub(crate) type Before = BTreeMap<Vec<u8>, Option<IVec>>;

/// The database that is read.
pub(crate) enum View {
    /// The database, and what stood under the keys of a group that was put into it and did not reach the disk: empty while
    /// all goes well.
    Of(sled::Db, Before),
    /// There is none.
    Gone(Arc<Fault>),
}

impl View {
    /// Reads, unless there is nothing to read from.
    pub(crate) fn read<T>(&self, load: impl FnOnce(&Reader<'_>) -> Result<T, Fault>) -> Result<T, Fault> {
        match self {
            Self::Of(db, before) => caught(|| load(&Reader { tree: db, before })),
            Self::Gone(fault) => Err(Fault::Down(Arc::clone(fault))),
        }
    }
}

/// sled panics where it meets damage that it does not expect.
pub(crate) fn caught<T>(work: impl FnOnce() -> Result<T, Fault>) -> Result<T, Fault> {
    catch_unwind(AssertUnwindSafe(work)).unwrap_or(Err(Fault::Panicked))
}

/// The tree without a group that is not on disk.
pub(crate) struct Reader<'v> {
    tree: &'v Tree,
    before: &'v Before,
}

impl Reader<'_> {
    /// The entries in a range, in order.
    pub(crate) fn range(&self, range: Range<Vec<u8>>) -> impl Iterator<Item = Result<(IVec, IVec), Fault>> {
        let before = self.before;
        let undone =
            before.range(range.clone()).filter_map(|(key, value)| Some((key.as_slice().into(), value.clone()?)));
        let mut undone = undone.peekable();
        let stored = self.tree.range(range).map(|entry| Ok(entry?));
        let held = move |entry: &Result<(IVec, IVec), Fault>| match entry {
            Ok((key, _)) => !before.contains_key(key.as_ref()),
            Err(_) => true,
        };
        let mut stored = stored.filter(held).peekable();
        std::iter::from_fn(move || {
            let first: bool = match (undone.peek(), stored.peek()) {
                (Some((undone, _)), Some(Ok((stored, _)))) => undone < stored,
                (undone, None) => undone.is_some(),
                (_, Some(_)) => false,
            };
            if first { undone.next().map(Ok) } else { stored.next() }
        })
    }
}

impl Source for Reader<'_> {
    fn value(&self, key: &[u8]) -> Result<Option<IVec>, Fault> {
        match self.before.get(key) {
            Some(value) => Ok(value.clone()),
            None => self.tree.value(key),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_group_that_is_not_on_disk_is_not_seen() {
        let db = sled::Config::new().temporary(true).open().unwrap();
        for key in [b"b", b"c", b"e", b"f"] {
            db.insert(key, b"new").unwrap();
        }
        let old = || Some(IVec::from(b"old"));
        let before = [(b"a".to_vec(), old()), (b"b".to_vec(), None), (b"c".to_vec(), old()), (b"g".to_vec(), old())];
        let view = View::Of(db, before.into());
        let seen = view.read(|reader| {
            assert_eq!((reader.value(b"b").unwrap(), reader.value(b"c").unwrap()), (None, old()));
            assert_eq!(reader.value(b"e").unwrap(), Some(IVec::from(b"new")));
            reader.range(b"a".to_vec()..b"g".to_vec()).collect::<Result<Vec<_>, _>>()
        });
        let seen: Vec<_> =
            seen.unwrap().into_iter().map(|(key, value)| [key.as_ref(), value.as_ref()].concat()).collect();
        assert_eq!(seen, [&b"aold"[..], b"cold", b"enew", b"fnew"]);
    }

    #[test]
    fn a_panic_is_an_error() {
        let outcome = caught::<()>(|| panic!("sled met damage"));
        assert!(matches!(outcome, Err(Fault::Panicked)));
    }
}
