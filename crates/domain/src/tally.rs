//! Counting events against quotas: sends and failures, by number, client, address, account and in all.

use std::time::Duration;

use crate::conversion::Source;
use crate::{AccountId, AddressBlock, Client, Installation, Mobile, NumberRange, Timestamp};

/// At most `limit` events within any `window`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Quota {
    /// How many events.
    pub limit: u32,
    /// Within how long.
    pub window: Duration,
    /// How many of them are not for this caller: they are kept for whom they are more likely to belong to.
    pub reserved: u32,
}

impl Quota {
    /// At most `limit` events within any `seconds`.
    #[must_use]
    pub const fn new(limit: u32, seconds: u64) -> Self {
        Self { limit, window: Duration::from_secs(seconds), reserved: 0 }
    }

    /// The quota as it is for strangers: half of it, rounded down, is kept from them.
    #[must_use]
    pub const fn for_strangers(self) -> Self {
        Self { reserved: self.limit / 2, ..self }
    }

    /// How many events this caller may bring the count to.
    #[must_use]
    pub const fn room(&self) -> u32 {
        self.limit.saturating_sub(self.reserved)
    }

    /// Up to this limit events are kept one by one, above it in slots of a 64th of the window.
    const EXACT_LIMIT: u32 = 64;

    /// The end of the slot that an event falls into. Rounded up: a slot leaves the window only when all of its events
    /// have, so that no window ever holds more than the limit.
    #[must_use]
    pub fn slot(&self, at: Timestamp) -> Timestamp {
        if self.limit <= Self::EXACT_LIMIT {
            return at;
        }
        let window = u64::try_from(self.window.as_millis()).unwrap_or(u64::MAX);
        let width = (window / u64::from(Self::EXACT_LIMIT)).max(1);
        Timestamp::from_millis(at.as_millis().div_ceil(width).saturating_mul(width))
    }
}

/// What is counted.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Subject {
    /// Messages to a number.
    SendsTo(Mobile),
    /// Messages that an installation asked for.
    SendsBy(Installation),
    /// Messages that an address asked for.
    SendsFrom(AddressBlock),
    /// Messages to a block of numbers.
    SendsToRange(NumberRange),
    /// Messages that an account's sessions asked for.
    SendsOf(AccountId),
    /// All messages.
    Sends,
    /// Wrong codes for a number.
    FailuresOn(Mobile),
    /// Tries of a client that had no code to try.
    FailuresBy(Client),
    /// Messages of a source whose share of verified ones is watched.
    Sent(Source),
    /// Those of them whose code was typed in.
    Verified(Source),
}

/// Events of one subject, for one length of window.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Meter {
    /// How long events count.
    pub window: Duration,
    /// When, and how many, oldest first.
    pub events: Vec<(Timestamp, u32)>,
}

/// The events of one subject that still count.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    /// One meter for each window.
    pub meters: Vec<Meter>,
}

impl Meter {
    /// More slots than this are folded together; only reached where quotas are counted but not kept.
    const MAX_SLOTS: usize = 256;

    fn drop_expired(&mut self, now: Timestamp) {
        let window = self.window;
        self.events.retain(|&(at, _)| at.after(window) > now);
    }

    fn add(&mut self, slot: Timestamp, events: u32) {
        match self.events.iter_mut().find(|(at, _)| *at == slot) {
            Some((_, count)) => *count = count.saturating_add(events),
            None => self.events.push((slot, events)),
        }
        if self.events.len() > Self::MAX_SLOTS {
            let (_, folded) = self.events.remove(0);
            if let Some((_, count)) = self.events.first_mut() {
                *count = count.saturating_add(folded);
            }
        }
    }

    fn wait(&self, quota: &Quota, now: Timestamp) -> Option<Duration> {
        let counting = || self.events.iter().filter(|(at, _)| at.after(self.window) > now);
        let total: u64 = counting().map(|&(_, count)| u64::from(count)).sum();
        let mut surplus = (total + 1).checked_sub(u64::from(quota.room())).filter(|&surplus| surplus > 0)?;
        for &(at, count) in counting() {
            surplus = surplus.saturating_sub(u64::from(count));
            if surplus == 0 {
                return Some(at.after(self.window).since(now));
            }
        }
        Some(self.window)
    }
}

impl Tally {
    /// How many events count for a quota now.
    #[must_use]
    pub fn used(&self, quota: &Quota, now: Timestamp) -> u64 {
        let meter = self.meters.iter().find(|meter| meter.window == quota.window);
        let counting = meter.into_iter().flat_map(|meter| &meter.events);
        counting.filter(|(at, _)| at.after(quota.window) > now).map(|&(_, count)| u64::from(count)).sum()
    }

    /// How long until every quota has room for one more event; `None` where they have it now.
    #[must_use]
    pub fn wait(&self, quotas: &[Quota], now: Timestamp) -> Option<Duration> {
        let wait = |quota: &Quota| match self.meters.iter().find(|meter| meter.window == quota.window) {
            Some(meter) => meter.wait(quota, now),
            None => (quota.room() == 0).then_some(quota.window),
        };
        quotas.iter().filter_map(wait).max()
    }

    /// Counts an event for every quota, and forgets what counts no more.
    pub fn add<'a>(&mut self, quotas: impl Iterator<Item = &'a Quota> + Clone, at: Timestamp) {
        self.add_many(quotas, at, 1);
    }

    /// Counts events for every quota, and forgets what counts no more.
    pub fn add_many<'a>(&mut self, quotas: impl Iterator<Item = &'a Quota> + Clone, at: Timestamp, events: u32) {
        self.meters.retain(|meter| quotas.clone().any(|quota| quota.window == meter.window));
        for quota in quotas {
            let known = self.meters.iter_mut().position(|meter| meter.window == quota.window);
            let index = known.unwrap_or_else(|| {
                self.meters.push(Meter { window: quota.window, events: Vec::new() });
                self.meters.len() - 1
            });
            if let Some(meter) = self.meters.get_mut(index) {
                meter.drop_expired(at);
                meter.add(quota.slot(at), events);
            }
        }
    }

    /// Forgets what was counted for one length of window.
    pub fn forget(&mut self, window: Duration) {
        self.meters.retain(|meter| meter.window != window);
    }

    /// Takes back one event that was counted at that time.
    pub fn remove(&mut self, at: Timestamp) {
        for meter in &mut self.meters {
            // Slots are rounded up, so the event is in the first one that is not before it.
            if let Some((_, count)) = meter.events.iter_mut().find(|(slot, _)| *slot >= at) {
                *count -= 1;
            }
            meter.events.retain(|&(_, count)| count > 0);
        }
    }

    /// From when on nothing in it counts any more.
    #[must_use]
    pub fn spent_at(&self) -> Timestamp {
        let ends = |meter: &Meter| meter.events.last().map(|(at, _)| at.after(meter.window));
        self.meters.iter().filter_map(ends).max().unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use proptest::prelude::*;

    use super::{Quota, Tally};
    use crate::Timestamp;

    #[test]
    fn a_full_quota_says_how_long_to_wait() {
        let quotas = [Quota::new(1, 60), Quota::new(2, 3600)];
        let mut tally = Tally::default();
        let at = Timestamp::from_seconds;
        assert_eq!(tally.wait(&quotas, at(0)), None);
        tally.add(quotas.iter(), at(0));
        assert_eq!(tally.wait(&quotas, at(10)), Some(Duration::from_secs(50)));
        assert_eq!(tally.wait(&quotas, at(60)), None);
        tally.add(quotas.iter(), at(60));
        assert_eq!(tally.wait(&quotas, at(120)), Some(Duration::from_secs(3480)));
        tally.remove(at(60));
        assert_eq!(tally.wait(&quotas, at(120)), None);
    }

    proptest! {
        /// Whatever the rhythm, no window ever holds more events than the limit, and a refusal names a time at
        /// which there is room.
        #[test]
        fn no_window_exceeds_its_limit(
            limit in prop_oneof![1_u32..5, 65_u32..90],
            gaps in prop::collection::vec(0_u64..3000, 1..300),
        ) {
            let quota = [Quota::new(limit, 60)];
            let mut tally = Tally::default();
            let mut admitted: Vec<u64> = Vec::new();
            let mut now = 1_000_000;
            for gap in gaps {
                now += gap;
                let at = Timestamp::from_millis(now);
                if let Some(wait) = tally.wait(&quota, at) {
                    prop_assert_eq!(tally.wait(&quota, at.after(wait)), None);
                } else {
                    tally.add(quota.iter(), at);
                    admitted.push(now);
                }
                let within = admitted.iter().filter(|&&event| event + 60_000 > now).count();
                prop_assert!(within <= limit as usize);
            }
        }

        #[test]
        fn what_is_added_can_be_taken_back(limit in prop_oneof![Just(3_u32), Just(500)], now in 0_u64..10_000_000) {
            let quotas = [Quota::new(limit, 3600)];
            let mut tally = Tally::default();
            tally.add(quotas.iter(), Timestamp::from_millis(now));
            tally.remove(Timestamp::from_millis(now));
            prop_assert!(tally.meters.iter().all(|meter| meter.events.is_empty()));
        }
    }
}
