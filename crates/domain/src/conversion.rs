//! The share of messages that end in a verified code. Somebody who pumps messages to numbers of his own never types a code:
//! the share falls well below what it was, for a country or for an address, long before a quota is reached.
//!
//! What was sent and verified is counted in the store, for all nodes. Each node adds it up for a moment first: a count that all
//! binds share would have each wait for the one before.

use std::collections::{BTreeMap, HashMap};
use std::time::Duration;

use crate::{AddressBlock, Change, Guard, Quota, Subject, Tally, Timestamp, Write};

/// When the share counts as fallen.
#[derive(Clone, Copy, Debug)]
pub struct ConversionPolicy {
    /// What is lately.
    pub recent: Duration,
    /// So many messages must have been sent lately, and so many before, for a judgement.
    pub least: u32,
    /// A share below this part of the past's, in percent, has fallen.
    pub percent: u32,
}

impl Default for ConversionPolicy {
    fn default() -> Self {
        Self { recent: Duration::from_secs(3600), least: 50, percent: 30 }
    }
}

/// How far the past goes back from what is lately.
const PAST: Duration = Duration::from_secs(7 * 24 * 3600);

/// Whose share it is.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Source {
    /// Everybody's with numbers of a country, by its calling code.
    Country(Box<str>),
    /// Everybody's at an address.
    Address(AddressBlock),
}

impl Source {
    const fn guard(&self) -> Guard {
        match self {
            Self::Country(_) => Guard::CountryConversion,
            Self::Address(_) => Guard::AddressConversion,
        }
    }

    /// What is counted of it: messages, and those that were verified.
    pub(crate) fn subjects(&self) -> [Subject; 2] {
        [Subject::Sent(self.clone()), Subject::Verified(self.clone())]
    }
}

impl ConversionPolicy {
    /// Lately, and all of the past with it. They limit nothing.
    fn windows(&self) -> [Quota; 2] {
        [self.recent, self.recent.saturating_add(PAST)].map(|window| Quota { limit: u32::MAX, window, reserved: 0 })
    }

    /// Which shares have fallen.
    #[must_use]
    pub fn fallen(&self, sources: &[Source], tallies: &HashMap<Subject, Tally>, now: Timestamp) -> Vec<Guard> {
        let fallen = sources.iter().filter(|source| self.has_fallen(source, tallies, now));
        fallen.map(Source::guard).collect()
    }

    fn has_fallen(&self, source: &Source, tallies: &HashMap<Subject, Tally>, now: Timestamp) -> bool {
        let [recent, all] = self.windows();
        let counted = source.subjects().map(|subject| {
            let used = |quota| tallies.get(&subject).map_or(0, |tally| tally.used(quota, now));
            let lately = used(&recent);
            (u128::from(lately), u128::from(used(&all).saturating_sub(lately)))
        });
        let [(sent, sent_before), (verified, verified_before)] = counted;
        let least = u128::from(self.least.max(1));
        sent >= least
            && sent_before >= least
            && verified * sent_before * 100 < verified_before * sent * u128::from(self.percent)
    }
}

/// How many subjects are added up at once; what is more goes uncounted until they are stored.
const MOST_SUBJECTS: usize = 10_000;

/// How many subjects are stored in one change.
const SUBJECTS_A_CHANGE: usize = 256;

/// What was sent and verified here, and is not in the store yet.
#[derive(Debug, Default)]
pub struct Conversions(BTreeMap<Subject, u32>);

impl Conversions {
    /// A message left, of all these sources.
    pub fn sent(&mut self, sources: impl IntoIterator<Item = Source>) {
        sources.into_iter().for_each(|source| self.add(Subject::Sent(source), 1));
    }

    /// A code was typed in, of all these sources.
    pub fn verified(&mut self, sources: impl IntoIterator<Item = Source>) {
        sources.into_iter().for_each(|source| self.add(Subject::Verified(source), 1));
    }

    /// What to store of it, change by change. What cannot be stored is to be put back.
    #[must_use]
    pub fn take(&mut self, now: Timestamp, policy: &ConversionPolicy) -> Vec<Change> {
        let count = |(subject, events)| Write::CountMany { subject, at: now, events, watched: policy.windows().into() };
        let writes: Vec<Write> = std::mem::take(&mut self.0).into_iter().map(count).collect();
        let change = |writes: &[Write]| Change { expectations: Vec::new(), writes: writes.to_vec() };
        writes.chunks(SUBJECTS_A_CHANGE).map(change).collect()
    }

    /// Puts back what could not be stored.
    pub fn put_back(&mut self, change: Change) {
        for write in change.writes {
            if let Write::CountMany { subject, events, .. } = write {
                self.add(subject, events);
            }
        }
    }

    fn add(&mut self, subject: Subject, events: u32) {
        if self.0.len() < MOST_SUBJECTS || self.0.contains_key(&subject) {
            let counted = self.0.entry(subject).or_default();
            *counted = counted.saturating_add(events);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;
    use std::net::IpAddr;
    use std::time::Duration;

    use proptest::prelude::*;

    use super::{ConversionPolicy, Conversions, MOST_SUBJECTS, Source};
    use crate::{Guard, Subject, Tally, Timestamp, Write};

    const POLICY: ConversionPolicy = ConversionPolicy { recent: Duration::from_secs(3600), least: 10, percent: 30 };

    fn address(last: u32) -> Source {
        Source::Address(IpAddr::from((0xC000_0200 + last).to_be_bytes()).into())
    }

    fn country(code: &str) -> Source {
        Source::Country(code.into())
    }

    fn at(hour: u64) -> Timestamp {
        Timestamp::from_seconds(1_800_000_000 + hour * 3600)
    }

    /// A store, and a node over it.
    #[derive(Default)]
    struct Counted(HashMap<Subject, Tally>, Conversions);

    impl Counted {
        /// `sent` messages in an hour, of which `verified` are.
        fn go(&mut self, hour: u64, from: u32, sent: u32, verified: u32) {
            (0..sent).for_each(|_| self.1.sent([country("86"), address(from)]));
            (0..verified).for_each(|_| self.1.verified([country("86"), address(from)]));
            for change in self.1.take(at(hour), &POLICY) {
                for write in change.writes {
                    let Write::CountMany { subject, at, events, watched } = write else { panic!("{write:?}") };
                    self.0.entry(subject).or_default().add_many(watched.iter(), at, events);
                }
            }
        }

        fn fallen(&self, hour: u64, from: u32) -> Vec<Guard> {
            POLICY.fallen(&[address(from), country("86")], &self.0, at(hour))
        }
    }

    #[test]
    fn a_share_that_falls_is_seen_and_one_that_does_not_is_not() {
        let mut counted = Counted::default();
        for hour in 0..24 {
            counted.go(hour, 1, 10, 8);
            counted.go(hour, 2, 10, 8);
        }
        assert!(counted.fallen(23, 1).is_empty());
        for hour in 24..27 {
            counted.go(hour, 1, 10, 7);
            counted.go(hour, 2, 100, 0);
        }
        assert_eq!(counted.fallen(26, 1), [Guard::CountryConversion]);
        assert_eq!(counted.fallen(26, 2), [Guard::AddressConversion, Guard::CountryConversion]);
        assert!(POLICY.fallen(&[address(3), country("49")], &counted.0, at(26)).is_empty());
    }

    #[test]
    fn nobody_is_judged_without_a_past() {
        let mut counted = Counted::default();
        counted.go(0, 1, 500, 0);
        assert!(counted.fallen(0, 1).is_empty());
    }

    #[test]
    fn a_bad_hour_is_over_some_time() {
        let mut counted = Counted::default();
        (0..10).for_each(|hour| counted.go(hour, 1, 10, 8));
        counted.go(11, 1, 100, 0);
        assert!(!counted.fallen(11, 1).is_empty());
        assert!(counted.fallen(13, 1).is_empty());
    }

    #[test]
    fn a_past_is_forgotten_after_a_week() {
        let mut counted = Counted::default();
        counted.go(0, 1, 100, 80);
        counted.go(24 * 6, 1, 100, 0);
        assert!(!counted.fallen(24 * 6, 1).is_empty());
        counted.go(24 * 9, 1, 100, 0);
        assert!(counted.fallen(24 * 9, 1).is_empty(), "what is left of the past has no better share");
    }

    #[test]
    fn what_cannot_be_stored_is_kept_and_has_an_end() {
        let mut conversions = Conversions::default();
        for from in 0..u32::try_from(MOST_SUBJECTS).unwrap() + 9 {
            conversions.sent([address(from)]);
        }
        let changes = conversions.take(at(0), &POLICY);
        assert_eq!(changes.iter().map(|change| change.writes.len()).sum::<usize>(), MOST_SUBJECTS);
        assert!(conversions.take(at(0), &POLICY).is_empty());
        conversions.sent([address(0)]);
        conversions.put_back(changes[0].clone());
        let again = conversions.take(at(1), &POLICY).remove(0);
        assert_eq!(again.writes.len(), changes[0].writes.len());
        assert!(matches!(again.writes[0], Write::CountMany { events: 2, .. }), "{:?}", again.writes[0]);
    }

    proptest! {
        /// Whoever verifies as many of his messages as ever is never suspected.
        #[test]
        fn a_steady_share_never_falls(hours in prop::collection::vec(1_u32..40, 2..60)) {
            let mut counted = Counted::default();
            for (hour, verified) in (0..).zip(hours) {
                counted.go(hour, 1, verified * 2, verified);
                prop_assert!(counted.fallen(hour, 1).is_empty());
            }
        }

        /// Many events at once are what they would be one by one.
        #[test]
        fn counting_many_is_counting_each(batches in prop::collection::vec((0_u64..200, 1_u32..20), 1..20)) {
            let windows = POLICY.windows();
            let (mut at_once, mut one_by_one, mut hour) = (Tally::default(), Tally::default(), 0);
            for (after, events) in batches {
                hour += after;
                at_once.add_many(windows.iter(), at(hour), events);
                (0..events).for_each(|_| one_by_one.add(windows.iter(), at(hour)));
                prop_assert_eq!(&at_once, &one_by_one);
            }
        }
    }
}
