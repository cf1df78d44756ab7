//! What readers see: the database, and over it what was answered and is not in it yet.

use std::ops::Range;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use sled::IVec;

use crate::blocks::Blocks;
use crate::fault::Fault;
use crate::recent::Recent;
use crate::source::Source;

/// The database that is read.
pub(crate) enum Base {
    Of(Blocks),
    /// There is none.
    Gone(Arc<Fault>),
}

/// So many changes are put in order in about a millisecond.
const FEW: usize = 4096;

/// Everything that was answered.
pub(crate) struct View {
    pub(crate) base: Base,
    /// What is being put into the database.
    pub(crate) settling: Option<Arc<Recent>>,
    /// What came after that.
    pub(crate) recent: Recent,
}

impl View {
    /// A view of a database that has everything.
    pub(crate) fn of(blocks: Blocks) -> Self {
        Self { base: Base::Of(blocks), settling: None, recent: Recent::default() }
    }

    /// Reads, unless there is nothing to read from.
    pub(crate) fn read<T>(&self, load: impl FnOnce(&Reader<'_>) -> Result<T, Fault>) -> Result<T, Fault> {
        match &self.base {
            Base::Of(blocks) => {
                caught(|| load(&Reader { blocks, layers: [Some(&self.recent), self.settling.as_deref()] }))
            }
            Base::Gone(fault) => Err(Fault::Down(Arc::clone(fault))),
        }
    }
}

/// sled panics where it meets damage that it does not expect.
pub(crate) fn caught<T>(work: impl FnOnce() -> Result<T, Fault>) -> Result<T, Fault> {
    catch_unwind(AssertUnwindSafe(work)).unwrap_or(Err(Fault::Panicked))
}

/// The database with what is not in it yet.
#[derive(Clone, Copy)]
pub(crate) struct Reader<'v> {
    blocks: &'v Blocks,
    /// The newest first.
    layers: [Option<&'v Recent>; 2],
}

impl<'v> Reader<'v> {
    /// A database with one layer over it.
    pub(crate) fn over(blocks: &'v Blocks, layer: &'v Recent) -> Self {
        Self { blocks, layers: [Some(layer), None] }
    }

    /// The entries in a range, in order.
    pub(crate) fn range(&self, range: Range<Vec<u8>>) -> impl Iterator<Item = Result<(IVec, IVec), Fault>> {
        self.merged(range, self.layers)
    }

    /// The same for somebody who comes again: what is new may be missing, and what is changed or gone be there as it was,
    /// where so much is new that to put it in order would keep others waiting.
    pub(crate) fn range_before_long(
        &self,
        range: Range<Vec<u8>>,
    ) -> impl Iterator<Item = Result<(IVec, IVec), Fault>> + use<'v> {
        let new: usize = self.layers.iter().flatten().map(|layer| layer.len()).sum();
        self.merged(range, if new > FEW { [None; 2] } else { self.layers })
    }

    /// What became of an entry that is not in the database as it is now; `None` where it is.
    pub(crate) fn changed(&self, key: &[u8]) -> Option<&'v Option<IVec>> {
        self.layers.into_iter().flatten().find_map(|layer| layer.get(key))
    }

    fn merged(
        &self,
        range: Range<Vec<u8>>,
        layers: [Option<&'v Recent>; 2],
    ) -> impl Iterator<Item = Result<(IVec, IVec), Fault>> + use<'v> {
        let newer = layers.map(|layer| layer.map(|layer| layer.range(&range)).unwrap_or_default());
        let [newest, older] = newer.map(|changes| changes.into_iter().peekable());
        let changes = Merged { newest, older };
        let mut changes = changes.peekable();
        let mut stored = self.blocks.range(range).peekable();
        std::iter::from_fn(move || {
            loop {
                let (key, value) = match (changes.peek(), stored.peek()) {
                    (Some((changed, _)), Some(Ok((key, _)))) if *changed > key.as_ref() => return stored.next(),
                    (Some((changed, _)), Some(Ok((key, _)))) => {
                        if *changed == key.as_ref() {
                            stored.next();
                        }
                        changes.next()?
                    }
                    (Some(_), None) => changes.next()?,
                    (_, Some(Err(_))) | (None, _) => return stored.next(),
                };
                if let Some(value) = value {
                    return Some(Ok((key.into(), value.clone())));
                }
            }
        })
    }
}

type Changes<'v> = std::iter::Peekable<std::vec::IntoIter<(&'v [u8], Option<&'v IVec>)>>;

/// The changes of two layers, each key once.
struct Merged<'v> {
    newest: Changes<'v>,
    older: Changes<'v>,
}

impl<'v> Iterator for Merged<'v> {
    type Item = (&'v [u8], Option<&'v IVec>);

    fn next(&mut self) -> Option<Self::Item> {
        match (self.newest.peek(), self.older.peek()) {
            (Some((newest, _)), Some((older, _))) => {
                let (newest, older) = (*newest, *older);
                if older < newest {
                    return self.older.next();
                }
                if older == newest {
                    self.older.next();
                }
                self.newest.next()
            }
            (Some(_), None) => self.newest.next(),
            (None, _) => self.older.next(),
        }
    }
}

impl Source for Reader<'_> {
    fn value(&self, key: &[u8]) -> Result<Option<IVec>, Fault> {
        match self.changed(key) {
            Some(value) => Ok(value.clone()),
            None => self.blocks.value(key),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use super::*;
    use crate::filter::Filter;

    type Entries = BTreeMap<Vec<u8>, Option<u8>>;

    fn changes() -> impl Strategy<Value = Entries> {
        prop::collection::btree_map("[\u{1}\u{2}][ab]{0,3}".prop_map(String::into_bytes), any::<Option<u8>>(), 0..40)
    }

    fn recent(changes: &Entries) -> Recent {
        // Long enough for blocks to be cut.
        let value = |value: u8| IVec::from(vec![value; 200]);
        Recent::new(changes.iter().map(|(key, change)| (key.clone(), change.map(value))).collect())
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 60, ..ProptestConfig::default() })]
        #[test]
        fn layers_over_blocks_are_one_map(rounds in prop::collection::vec(changes(), 2..6), from in "[\u{1}\u{2}][ab]{0,2}") {
            let db = sled::Config::new().temporary(true).open().unwrap();
            let mut view = View::of(Blocks::new((*db).clone(), Arc::new(Filter::for_keys(0))));
            if let Base::Of(blocks) = &view.base {
                // The database is empty, and what comes notes itself.
                blocks.filter().complete();
            }
            let mut map = BTreeMap::new();
            for changes in &rounds {
                // What was new is being settled, and what was being settled is in the database.
                if let (Base::Of(blocks), Some(settled)) = (&view.base, view.settling.take()) {
                    blocks.apply(settled.all().into_iter(), |_| Ok(())).unwrap();
                }
                view.settling = Some(Arc::new(std::mem::replace(&mut view.recent, recent(changes))));
                for (key, value) in changes {
                    match value {
                        Some(value) => map.insert(key.clone(), *value),
                        None => map.remove(key),
                    };
                }
                for range in [vec![1]..vec![9], from.clone().into_bytes()..vec![2, b'b']] {
                    if range.is_empty() {
                        continue;
                    }
                    let expected: Vec<(Vec<u8>, u8)> = map.range(range.clone()).map(|(key, value)| (key.clone(), *value)).collect();
                    let seen = view.read(|reader| reader.range(range).collect::<Result<Vec<_>, _>>()).unwrap();
                    let seen: Vec<(Vec<u8>, u8)> = seen.into_iter().map(|(key, value)| (key.to_vec(), value[0])).collect();
                    prop_assert_eq!(seen, expected);
                }
                for key in rounds.iter().flat_map(BTreeMap::keys) {
                    let found = view.read(|reader| reader.value(key)).unwrap();
                    prop_assert_eq!(found.map(|value| value[0]), map.get(key).copied());
                }
            }
        }
    }

    #[test]
    fn a_panic_is_an_error() {
        let outcome = caught::<()>(|| panic!("sled met damage"));
        assert!(matches!(outcome, Err(Fault::Panicked)));
    }
}
