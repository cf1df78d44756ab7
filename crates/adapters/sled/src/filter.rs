//! What the database certainly does not have, so that nobody searches it in vain: nearly all that a bind of a new account
//! looks up is absent.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use fastbloom::AtomicBloomFilter;

/// The share of absent keys that are searched all the same, in each layer.
const MISTAKEN: f64 = 0.01;

/// The least that the first layer is made for, in keys.
const LEAST: usize = 1 << 16;

/// Each layer takes twice the keys of the one before it: these are enough for any disk.
const LAYERS: usize = 24;

/// Any will do: a key that is made to be mistaken for another costs one search.
const SEED: u128 = 0;

/// A Bloom filter (B. H. Bloom, Communications of the ACM 13:7, 1970) over the keys in the database, that grows by layers.
/// Keys are noted before they are put in, and never taken out: it may take what is absent for present, never the other way.
/// It says nothing until what was there before has been noted as well (`survey.rs`).
pub(crate) struct Filter {
    layers: [OnceLock<AtomicBloomFilter>; LAYERS],
    first: usize,
    noted: AtomicUsize,
    complete: AtomicBool,
}

impl Filter {
    /// An empty filter; its first layer is made for so many keys.
    pub(crate) fn for_keys(keys: usize) -> Self {
        Self {
            layers: [const { OnceLock::new() }; LAYERS],
            first: keys.max(LEAST),
            noted: AtomicUsize::new(0),
            complete: AtomicBool::new(false),
        }
    }

    /// Notes a key that is there, or is about to be.
    pub(crate) fn note(&self, key: &[u8]) {
        if self.has(key) {
            return;
        }
        let before = self.noted.fetch_add(1, Ordering::Relaxed);
        // Layer n begins after `first` times 2^n - 1 keys.
        let layer = (before / self.first + 1).ilog2() as usize;
        let layer = layer.min(LAYERS - 1);
        if let Some(place) = self.layers.get(layer) {
            let size = self.first.saturating_mul(1 << layer);
            let make = || AtomicBloomFilter::with_false_pos(MISTAKEN).seed(&SEED).expected_items(size);
            place.get_or_init(make).insert(key);
        }
    }

    /// Says that everything that is there has been noted.
    pub(crate) fn complete(&self) {
        self.complete.store(true, Ordering::Release);
    }

    /// Whether a key is certainly not there.
    pub(crate) fn excludes(&self, key: &[u8]) -> bool {
        self.complete.load(Ordering::Acquire) && !self.has(key)
    }

    fn has(&self, key: &[u8]) -> bool {
        let mut layers = self.layers.iter().filter_map(OnceLock::get).peekable();
        let hash = layers.peek().map(|layer| layer.source_hash(key));
        hash.is_some_and(|hash| layers.any(|layer| layer.contains_hash(hash)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_noted_is_never_excluded_and_most_else_is() {
        let filter = Filter::for_keys(0);
        let key = |number: usize| [b"key".as_slice(), &number.to_be_bytes()].concat();
        filter.note(&key(0));
        assert!(!filter.excludes(&key(1)), "it has not seen everything");
        filter.complete();
        // Beyond two layers.
        let noted = 4 * LEAST;
        (0..noted).for_each(|number| filter.note(&key(number)));
        assert!(filter.layers[2].get().is_some());
        assert!((0..noted).all(|number| !filter.excludes(&key(number))));
        let mistaken = (noted..2 * noted).filter(|&number| !filter.excludes(&key(number))).count();
        assert!(mistaken < noted / 20, "{mistaken} of {noted}");
    }
}
