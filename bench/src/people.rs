//! The people who bind: each is a number in a row, so that none comes twice in one run.

use std::sync::atomic::{AtomicU64, Ordering};

/// Somebody with a number, an installation and an openid of his own.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Person(u64);

/// Hands out people that nobody has met.
#[derive(Debug, Default)]
pub(crate) struct People(AtomicU64);

impl People {
    /// People from the `first` on: those before have been met in a store that is used again.
    pub(crate) fn after(first: u64) -> Self {
        Self(AtomicU64::new(first))
    }

    pub(crate) fn next(&self) -> Person {
        Person(self.0.fetch_add(1, Ordering::Relaxed))
    }
}

impl Person {
    /// The first number. A filled store has numbers that begin with 199; this run stays below them.
    pub(crate) const FIRST_MOBILE: u64 = 13_000_000_000;

    /// An eleven-digit number.
    pub(crate) fn mobile(self) -> String {
        (Self::FIRST_MOBILE + self.0).to_string()
    }

    /// The person with that number.
    pub(crate) fn of_mobile(mobile: &str) -> Option<Self> {
        mobile.parse::<u64>().ok()?.checked_sub(Self::FIRST_MOBILE).map(Self)
    }

    /// 32 hexadecimal digits, as ShopXO's client makes them.
    pub(crate) fn uuid(self) -> String {
        format!("{:016x}{:016x}", self.scattered(1), self.scattered(2))
    }

    /// 28 characters, as WeChat's are.
    pub(crate) fn openid(self) -> String {
        format!("o{:016x}{:011x}", self.scattered(3), self.scattered(4) >> 20)
    }

    /// Neighbours get far-off values, as random ones would be: what a store pays for order must not be hidden.
    /// (The finalizer of splitmix64, a bijection.)
    fn scattered(self, salt: u64) -> u64 {
        let mut mixed = (self.0 ^ (salt << 56)).wrapping_add(0x9e37_79b9_7f4a_7c15);
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::{People, Person};

    #[test]
    fn nobody_comes_twice() {
        let people = People::default();
        let met: Vec<Person> = (0..10_000).map(|_| people.next()).collect();
        for name in [Person::mobile, Person::uuid, Person::openid] {
            assert_eq!(met.iter().map(|person| name(*person)).collect::<HashSet<_>>().len(), met.len());
        }
        assert!(met.iter().all(|person| Person::of_mobile(&person.mobile()) == Some(*person)));
    }

    #[test]
    fn names_look_like_real_ones() {
        let person = People::default().next();
        assert_eq!((person.mobile().len(), person.uuid().len(), person.openid().len()), (11, 32, 28));
        assert_eq!(Person::of_mobile("12345678901"), None);
    }
}
