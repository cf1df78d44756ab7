//! Whether more is asked than can be done. Two things tell: that a request had to be turned away, and that what is ready to
//! be worked on waits long for a worker, not once but on the whole, while more is under way than overload has places for. The
//! second is seen where the first cannot be: a request that no worker has read yet has taken no place, so that a thousand
//! clients may wait without the places ever being full. The mean of many looks tells a queue that stands from a burst, and
//! from the one that each group of commits leaves behind when it wakes all who waited for it.

use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Weak};
use std::time::Duration;

use tokio::task::yield_now;
use tokio::time::{Instant, sleep_until};
use tracing::warn;

/// How long nothing must have told of overload until it is over.
pub(crate) const ENDS_AFTER: Duration = Duration::from_secs(1);
/// How often the wait for a worker is looked at.
const LOOK_EVERY: Duration = Duration::from_millis(10);
/// After so many looks their mean tells whether the wait is long.
const LOOKS: u32 = 25;
/// The same, while there is overload.
const LOOK_EVERY_IN_OVERLOAD: Duration = Duration::from_millis(5);
/// After so many looks in overload the places that are given are thought over.
const LOOKS_IN_OVERLOAD: u32 = 10;
/// No fewer places are given: nobody would be served while these wait for the disk.
const LEAST_PLACES: usize = 4;

/// Whether there is overload, and how many requests are worked on at once then, for everybody who has to know.
pub(crate) struct Overload {
    /// When it is over, in milliseconds from `since`; 0 is never begun.
    until: AtomicU64,
    since: Instant,
    /// Whether the wait for a worker was long when it was last looked at, while there was no overload.
    waits_long: AtomicBool,
    /// How many places are given while there is overload.
    places: AtomicUsize,
    most_places: usize,
}

impl Overload {
    /// There is none yet. A wait for a worker that is `long` in the mean tells of it; zero is never looked for. Within it at
    /// most so many places are given.
    pub(crate) fn new(long: Duration, most_places: usize) -> Arc<Self> {
        let places = AtomicUsize::new(most_places);
        let (until, waits_long) = (AtomicU64::new(0), AtomicBool::new(false));
        let overload = Arc::new(Self { until, since: now(), waits_long, places, most_places });
        if !long.is_zero() {
            tokio::spawn(watch(Arc::downgrade(&overload), long));
        }
        overload
    }

    pub(crate) fn is_on(&self) -> bool {
        // Most of the time there is no need to ask for the time.
        let until = self.until.load(Ordering::Relaxed);
        until > 0 && self.millis() < until
    }

    /// How many places are given now that so many are taken; `None` where all are.
    pub(crate) fn places(&self, taken: usize) -> Option<usize> {
        if self.is_on() {
            return Some(self.places.load(Ordering::Relaxed));
        }
        // Where no more is under way, it is something else that keeps the machine busy.
        (taken >= self.most_places && self.waits_long.load(Ordering::Relaxed)).then_some(self.most_places)
    }

    /// Begins it, or puts its end off.
    pub(crate) fn prolong(&self) {
        if !self.is_on() {
            warn!("more is asked than can be done: fewer requests are worked on at once, and others are turned away");
        }
        let ends = u64::try_from(ENDS_AFTER.as_millis()).unwrap_or(u64::MAX);
        self.until.store(self.millis().saturating_add(ends), Ordering::Relaxed);
    }

    fn millis(&self) -> u64 {
        u64::try_from(now().duration_since(self.since).as_millis()).unwrap_or(u64::MAX)
    }
}

/// Looks at how long a task waits for a worker, as long as somebody wants to know.
async fn watch(overload: Weak<Overload>, long: Duration) {
    let (mut looks, mut was_on) = (Looks::default(), false);
    loop {
        let due = now() + if was_on { LOOK_EVERY_IN_OVERLOAD } else { LOOK_EVERY };
        sleep_until(due).await;
        // A timer may be looked at before what is queued; whoever yields stands behind all that is ready.
        yield_now().await;
        let Some(overload) = overload.upgrade() else { return };
        let is_on = overload.is_on();
        if is_on != was_on {
            (looks, was_on) = (Looks::default(), is_on);
            overload.waits_long.store(false, Ordering::Relaxed);
        }
        looks.add(now().duration_since(due), long / 2);
        if is_on && looks.count == LOOKS_IN_OVERLOAD {
            let given = overload.places.load(Ordering::Relaxed);
            overload.places.store(looks.places(given, overload.most_places), Ordering::Relaxed);
            looks = Looks::default();
        } else if !is_on && looks.count == LOOKS {
            overload.waits_long.store(looks.mean() >= long, Ordering::Relaxed);
            looks = Looks::default();
        }
    }
}

/// The latest looks at the wait for a worker.
#[derive(Default)]
struct Looks {
    count: u32,
    waited: Duration,
    /// Those that found a wait which is not good.
    bad: u32,
}

impl Looks {
    fn add(&mut self, wait: Duration, good: Duration) {
        self.count += 1;
        self.waited += wait;
        self.bad += u32::from(wait > good);
    }

    fn mean(&self) -> Duration {
        self.waited / self.count.max(1)
    }

    /// How many places to give after these. What is worked on keeps the workers from those who are to be turned away, so
    /// places are taken off by a quarter where waits are bad, and given back one by one where none is: so much is done as
    /// leaves the refusals quick (additive increase and multiplicative decrease: Chiu and Jain, "Analysis of the Increase and
    /// Decrease Algorithms for Congestion Avoidance in Computer Networks", 1989).
    fn places(&self, given: usize, most: usize) -> usize {
        let places = match self.bad {
            0 => given + 1,
            1 => given,
            _ => given - given / 4,
        };
        places.max(LEAST_PLACES).min(most)
    }
}

#[expect(
    clippy::disallowed_methods,
    reason = "how loaded the machine is, is a matter of its time; no rule depends on it"
)]
fn now() -> Instant {
    Instant::now()
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::Ordering;
    use std::time::Duration;

    use tokio::time::{advance, sleep};

    use proptest::prelude::*;

    use super::{ENDS_AFTER, LEAST_PLACES, LOOK_EVERY, LOOKS, LOOKS_IN_OVERLOAD, Looks, Overload};

    const LONG: Duration = Duration::from_millis(10);
    const MOST: usize = 32;

    fn looks(waits: impl IntoIterator<Item = Duration>) -> Looks {
        let mut looks = Looks::default();
        waits.into_iter().for_each(|wait| looks.add(wait, LONG / 2));
        looks
    }

    /// What the looks of a while make of the places, of which so many found a bad wait.
    fn after(bad: u32, given: usize) -> usize {
        looks((0..LOOKS_IN_OVERLOAD).map(|look| if look < bad { LONG } else { LONG / 2 })).places(given, MOST)
    }

    #[test]
    fn places_go_quickly_where_the_wait_is_bad_and_come_back_slowly() {
        assert_eq!([0, 1, 2, LOOKS_IN_OVERLOAD].map(|bad| after(bad, 16)), [17, 16, 12, 12]);
        assert_eq!([0, 2].map(|bad| after(bad, MOST)), [MOST, 24]);
        assert_eq!([0, 2].map(|bad| after(bad, LEAST_PLACES)), [LEAST_PLACES + 1, LEAST_PLACES]);
    }

    #[test]
    fn one_long_wait_is_a_burst_and_many_are_a_queue() {
        let burst = looks([8 * LONG].into_iter().chain((1..LOOKS).map(|_| LONG / 10)));
        assert!(burst.mean() < LONG);
        // A queue that each group of commits makes long, and the next look finds short.
        let queue = looks((0..LOOKS).map(|look| if look % 2 == 0 { 3 * LONG } else { LONG / 10 }));
        assert!(queue.mean() > LONG);
    }

    proptest! {
        #[test]
        fn there_are_always_places_and_never_too_many(bad in proptest::collection::vec(0_u32..10, 0..50), most in 1_usize..2000) {
            let mut places = most;
            for bad in bad {
                places = Looks { bad, ..Looks::default() }.places(places, most);
                prop_assert!((LEAST_PLACES.min(most)..=most).contains(&places), "{places}");
            }
        }
    }

    #[tokio::test(start_paused = true)]
    async fn long_waits_tell_of_overload_only_where_more_is_under_way_than_it_has_places_for() {
        let overload = Overload::new(Duration::ZERO, MOST);
        assert_eq!([0, MOST, 10 * MOST].map(|taken| overload.places(taken)), [None; 3]);
        overload.waits_long.store(true, Ordering::Relaxed);
        assert_eq!([0, MOST - 1].map(|taken| overload.places(taken)), [None; 2]);
        assert_eq!([MOST, 10 * MOST].map(|taken| overload.places(taken)), [Some(MOST); 2]);
        assert!(!overload.is_on(), "it begins when somebody is turned away for it");
    }

    #[tokio::test(start_paused = true)]
    async fn overload_ends_when_nothing_told_of_it_for_a_while() {
        let overload = Overload::new(LONG, MOST);
        assert!(!overload.is_on());
        overload.prolong();
        advance(ENDS_AFTER / 2).await;
        overload.prolong();
        advance(ENDS_AFTER / 2).await;
        assert!(overload.is_on());
        advance(ENDS_AFTER / 2).await;
        assert!(!overload.is_on());
    }

    #[tokio::test(start_paused = true)]
    async fn a_machine_with_time_to_spare_is_not_overloaded_and_the_watch_ends_with_its_overload() {
        let overload = Overload::new(LONG, MOST);
        sleep(10 * LOOKS * LOOK_EVERY).await;
        assert_eq!(overload.places(usize::MAX), None);
        let watched = Arc::downgrade(&overload);
        drop(overload);
        sleep(2 * LOOK_EVERY).await;
        assert!(watched.upgrade().is_none());
    }
}
