//! The share of messages that end in a verified code. Somebody who pumps messages to numbers of his own never types a code:
//! the share falls well below what it was, for a country or for an address, long before a quota is reached.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::{AddressBlock, Guard, Timestamp};

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

/// What was sent, and what of it was verified.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
struct Share {
    sent: f64,
    verified: f64,
}

impl Share {
    fn add(&mut self, other: Self) {
        self.sent += other.sent;
        self.verified += other.verified;
    }

    fn times(self, factor: f64) -> Self {
        Self { sent: self.sent * factor, verified: self.verified * factor }
    }
}

/// Of each period that passes, so much of the past is forgotten: after a week of hours a fifth of it is left.
const KEPT_OF_THE_PAST: f64 = 0.99;

/// One country or address: this period and the one before are lately, what was before them is its past.
#[derive(Clone, Copy, Debug, Default)]
struct History {
    period: u64,
    now: Share,
    last: Share,
    past: Share,
}

impl History {
    fn turn(&mut self, period: u64) {
        // Whoever comes back after a year has the same past as after a month.
        for _ in 0..period.saturating_sub(self.period).min(1000) {
            self.past = self.past.times(KEPT_OF_THE_PAST);
            self.past.add(self.last);
            self.last = std::mem::take(&mut self.now);
        }
        self.period = self.period.max(period);
    }

    fn has_fallen(&self, policy: &ConversionPolicy) -> bool {
        let mut lately = self.last;
        lately.add(self.now);
        let least = f64::from(policy.least);
        lately.sent >= least
            && self.past.sent >= least
            && lately.verified * self.past.sent * 100.0 < self.past.verified * lately.sent * f64::from(policy.percent)
    }
}

/// How many addresses are remembered; of the rest those that were quiet longest are forgotten.
const MOST_ADDRESSES: usize = 10_000;

/// What became of the messages of this process, by country and by address.
#[derive(Debug, Default)]
pub struct Conversions {
    countries: BTreeMap<Box<str>, History>,
    addresses: BTreeMap<AddressBlock, History>,
}

impl Conversions {
    /// A message leaves.
    pub fn sent(&mut self, country: &str, from: AddressBlock, now: Timestamp, policy: &ConversionPolicy) {
        self.note(country, from, now, policy, Share { sent: 1.0, verified: 0.0 });
    }

    /// A message was taken back.
    pub fn unsent(&mut self, country: &str, from: AddressBlock, now: Timestamp, policy: &ConversionPolicy) {
        self.note(country, from, now, policy, Share { sent: -1.0, verified: 0.0 });
    }

    /// A code was typed in.
    pub fn verified(&mut self, country: &str, from: AddressBlock, now: Timestamp, policy: &ConversionPolicy) {
        self.note(country, from, now, policy, Share { sent: 0.0, verified: 1.0 });
    }

    /// Which shares have fallen.
    #[must_use]
    pub fn fallen(
        &mut self,
        country: &str,
        from: AddressBlock,
        now: Timestamp,
        policy: &ConversionPolicy,
    ) -> Vec<Guard> {
        let period = period(now, policy);
        let fallen = |history: Option<&mut History>| {
            history.is_some_and(|history| {
                history.turn(period);
                history.has_fallen(policy)
            })
        };
        let mut guards = Vec::new();
        if fallen(self.addresses.get_mut(&from)) {
            guards.push(Guard::AddressConversion);
        }
        if fallen(self.countries.get_mut(country)) {
            guards.push(Guard::CountryConversion);
        }
        guards
    }

    fn note(&mut self, country: &str, from: AddressBlock, now: Timestamp, policy: &ConversionPolicy, share: Share) {
        let period = period(now, policy);
        if !self.countries.contains_key(country) {
            self.countries.insert(country.into(), History { period, ..History::default() });
        }
        if self.addresses.len() >= MOST_ADDRESSES && !self.addresses.contains_key(&from) {
            self.forget_quiet_addresses();
        }
        let address = self.addresses.entry(from).or_insert(History { period, ..History::default() });
        for history in self.countries.get_mut(country).into_iter().chain([address]) {
            history.turn(period);
            history.now.add(share);
        }
    }

    /// Half of them at once, so that it is seldom done.
    fn forget_quiet_addresses(&mut self) {
        let mut periods: Vec<u64> = self.addresses.values().map(|history| history.period).collect();
        periods.sort_unstable();
        let middle = periods.get(periods.len() / 2).copied().unwrap_or_default();
        let mut excess = periods.len() / 2;
        self.addresses.retain(|_, history| {
            let goes = excess > 0 && history.period <= middle;
            excess -= usize::from(goes);
            !goes
        });
    }
}

fn period(now: Timestamp, policy: &ConversionPolicy) -> u64 {
    let length = u64::try_from(policy.recent.as_millis()).unwrap_or(u64::MAX).max(1);
    now.as_millis() / length
}

#[cfg(test)]
mod tests {
    use std::net::IpAddr;

    use proptest::prelude::*;

    use super::{ConversionPolicy, Conversions, MOST_ADDRESSES};
    use crate::{AddressBlock, Guard, Timestamp};

    const POLICY: ConversionPolicy =
        ConversionPolicy { recent: std::time::Duration::from_secs(3600), least: 10, percent: 30 };

    fn address(last: u8) -> AddressBlock {
        IpAddr::from([192, 0, 2, last]).into()
    }

    fn hour(hour: u64) -> Timestamp {
        Timestamp::from_seconds(1_800_000_000 + hour * 3600)
    }

    /// `sent` messages in an hour, of which `verified` are.
    fn go(conversions: &mut Conversions, at: u64, from: u8, sent: u32, verified: u32) {
        (0..sent).for_each(|_| conversions.sent("86", address(from), hour(at), &POLICY));
        (0..verified).for_each(|_| conversions.verified("86", address(from), hour(at), &POLICY));
    }

    #[test]
    fn a_share_that_falls_is_seen_and_one_that_does_not_is_not() {
        let mut conversions = Conversions::default();
        for at in 0..24 {
            go(&mut conversions, at, 1, 10, 8);
            go(&mut conversions, at, 2, 10, 8);
        }
        assert!(conversions.fallen("86", address(1), hour(23), &POLICY).is_empty());
        for at in 24..27 {
            go(&mut conversions, at, 1, 10, 7);
            go(&mut conversions, at, 2, 100, 0);
        }
        assert_eq!(conversions.fallen("86", address(1), hour(26), &POLICY), [Guard::CountryConversion]);
        let both = [Guard::AddressConversion, Guard::CountryConversion];
        assert_eq!(conversions.fallen("86", address(2), hour(26), &POLICY), both);
        assert!(conversions.fallen("49", address(3), hour(26), &POLICY).is_empty());
    }

    #[test]
    fn nobody_is_judged_without_a_past() {
        let mut conversions = Conversions::default();
        go(&mut conversions, 0, 1, 500, 0);
        assert!(conversions.fallen("86", address(1), hour(0), &POLICY).is_empty());
    }

    #[test]
    fn a_bad_hour_is_over_some_time() {
        let mut conversions = Conversions::default();
        (0..10).for_each(|at| go(&mut conversions, at, 1, 10, 8));
        go(&mut conversions, 11, 1, 100, 0);
        assert!(!conversions.fallen("86", address(1), hour(11), &POLICY).is_empty());
        assert!(conversions.fallen("86", address(1), hour(13), &POLICY).is_empty());
    }

    #[test]
    fn addresses_are_so_many() {
        let mut conversions = Conversions::default();
        for number in 0..u32::try_from(MOST_ADDRESSES).unwrap() * 2 {
            let from = IpAddr::from(number.to_be_bytes()).into();
            conversions.sent("86", from, hour(u64::from(number) / 1000), &POLICY);
        }
        assert!(conversions.addresses.len() <= MOST_ADDRESSES);
        let newest = IpAddr::from((u32::try_from(MOST_ADDRESSES).unwrap() * 2 - 1).to_be_bytes()).into();
        assert!(conversions.addresses.contains_key(&newest));
    }

    proptest! {
        /// Whoever verifies as many of his messages as ever is never suspected.
        #[test]
        fn a_steady_share_never_falls(hours in prop::collection::vec(1_u32..40, 2..60)) {
            let mut conversions = Conversions::default();
            for (at, verified) in (0..).zip(hours) {
                go(&mut conversions, at, 1, verified * 2, verified);
                prop_assert!(conversions.fallen("86", address(1), hour(at), &POLICY).is_empty());
            }
        }
    }
}
