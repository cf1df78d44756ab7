//! Whether more is asked than can be done. Two things tell: that a request had to be turned away, and that what is ready to
//! be worked on waits long for a worker, and goes on doing so. The second is seen where the first cannot be: a request that
//! no worker has read yet has taken no place. That a queue stands, rather than that it is long for once, is what tells
//! overload from a burst (Nichols and Jacobson, "Controlling Queue Delay", ACM Queue 10(5), 2012).

use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Weak};
use std::time::Duration;

use tokio::task::yield_now;
use tokio::time::{Instant, sleep_until};
use tracing::warn;

/// How long nothing must have told of overload until it is over.
pub(crate) const ENDS_AFTER: Duration = Duration::from_secs(1);
/// For how long the wait must not once have been short.
const STANDING: Duration = Duration::from_millis(250);
/// How often the wait is looked at.
const LOOK_EVERY: Duration = Duration::from_millis(50);
/// The same, while there is overload.
const LOOK_EVERY_IN_OVERLOAD: Duration = Duration::from_millis(5);
/// After so many looks the places that are given are thought over.
const LOOKS: u32 = 10;
/// Of a wait that begins overload, the part that is a good wait within it.
const GOOD_PART: u32 = 10;
/// No fewer places are given: nobody would be served while these wait for the disk.
const LEAST_PLACES: usize = 4;

/// Whether there is overload, and how many requests are worked on at once then, for everybody who has to know.
pub(crate) struct Overload {
    /// When it is over, in milliseconds from `since`; 0 is never begun.
    until: AtomicU64,
    since: Instant,
    /// How many places are given while there is overload.
    places: AtomicUsize,
    most_places: usize,
}

impl Overload {
    /// There is none yet. A wait of `long` for a worker, where it lasts, begins it; zero is never waited for. Within it at
    /// most so many places are given.
    pub(crate) fn new(long: Duration, most_places: usize) -> Arc<Self> {
        let places = AtomicUsize::new(most_places);
        let overload = Arc::new(Self { until: AtomicU64::new(0), since: now(), places, most_places });
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

    /// How many places are given now, where there is overload.
    pub(crate) fn places(&self) -> Option<usize> {
        self.is_on().then(|| self.places.load(Ordering::Relaxed))
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
    let (mut queue, mut window) = (Queue { short_at: now() }, Window::default());
    let mut every = LOOK_EVERY;
    loop {
        let due = now() + every;
        sleep_until(due).await;
        // A timer may be looked at before what is queued; whoever yields stands behind all that is ready.
        yield_now().await;
        let Some(overload) = overload.upgrade() else { return };
        let at = now();
        if queue.stands(at, due, long) {
            overload.prolong();
        }
        if overload.is_on() {
            every = LOOK_EVERY_IN_OVERLOAD;
            let given = overload.places.load(Ordering::Relaxed);
            let places = window.places(at.duration_since(due), long / GOOD_PART, given, overload.most_places);
            overload.places.store(places, Ordering::Relaxed);
        } else {
            every = LOOK_EVERY;
            window = Window::default();
        }
    }
}

/// The queue for a worker, as it was seen so far.
struct Queue {
    /// When the wait was last short.
    short_at: Instant,
}

impl Queue {
    /// Whether the wait has been long for so long that the queue is a standing one; something that was due at `due` was
    /// done at `at`.
    fn stands(&mut self, at: Instant, due: Instant, long: Duration) -> bool {
        if at.duration_since(due) < long {
            self.short_at = at;
        }
        at.duration_since(self.short_at) >= STANDING
    }
}

/// The latest looks in overload.
#[derive(Default)]
struct Window {
    looks: u32,
    /// Those of them that found a wait which is not good.
    bad: u32,
}

impl Window {
    /// How many places to give after one more look. What is worked on keeps the workers from those who are to be turned
    /// away, so places are taken off by a quarter where waits are bad, and given back one by one where none is: so much is
    /// done as leaves the refusals quick (additive increase and multiplicative decrease: Chiu and Jain, "Analysis of the
    /// Increase and Decrease Algorithms for Congestion Avoidance", 1989).
    fn places(&mut self, wait: Duration, good: Duration, given: usize, most: usize) -> usize {
        self.looks += 1;
        self.bad += u32::from(wait > good);
        if self.looks < LOOKS {
            return given;
        }
        let places = match self.bad {
            0 => given + 1,
            1 => given,
            _ => given - given / 4,
        };
        *self = Self::default();
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
    use std::time::Duration;

    use tokio::time::{advance, sleep};

    use proptest::prelude::*;

    use super::{ENDS_AFTER, LEAST_PLACES, LOOK_EVERY, LOOKS, Overload, Queue, STANDING, Window, now};

    const LONG: Duration = Duration::from_millis(50);
    const MOST: usize = 32;

    /// What a whole window of looks makes of the places, of which so many found a bad wait.
    fn after(bad: u32, given: usize) -> usize {
        let (mut window, good) = (Window::default(), Duration::from_millis(5));
        let looks = (0..LOOKS).map(|look| if look < bad { 2 * good } else { good });
        looks.fold(given, |places, wait| window.places(wait, good, places, MOST))
    }

    #[test]
    fn places_go_quickly_where_the_wait_is_bad_and_come_back_slowly() {
        assert_eq!([0, 1, 2, LOOKS].map(|bad| after(bad, 16)), [17, 16, 12, 12]);
        assert_eq!([0, 2].map(|bad| after(bad, MOST)), [MOST, 24]);
        assert_eq!([0, 2].map(|bad| after(bad, LEAST_PLACES)), [LEAST_PLACES + 1, LEAST_PLACES]);
    }

    proptest! {
        #[test]
        fn there_are_always_places_and_never_too_many(
            waits in proptest::collection::vec(0_u64..20, 0..500),
            most in 1_usize..2000,
        ) {
            let mut window = Window::default();
            let mut places = most;
            for wait in waits {
                places = window.places(Duration::from_millis(wait), Duration::from_millis(5), places, most);
                prop_assert!((LEAST_PLACES.min(most)..=most).contains(&places), "{places}");
            }
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_queue_stands_when_it_was_not_short_for_long() {
        let mut queue = Queue { short_at: now() };
        let look = |late: Duration| {
            let due = now();
            (due + late, due)
        };
        for _ in 0..20 {
            let (at, due) = look(LONG - Duration::from_millis(1));
            assert!(!queue.stands(at, due, LONG), "a short wait is none");
            advance(STANDING / 2).await;
            let (at, due) = look(LONG);
            assert!(!queue.stands(at, due, LONG), "a long one is a burst");
            advance(STANDING / 2 - LONG).await;
        }
        advance(STANDING).await;
        let (at, due) = look(LONG);
        assert!(queue.stands(at, due, LONG));
        let (at, due) = look(Duration::ZERO);
        assert!(!queue.stands(at, due, LONG), "once short, it does not stand");
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
        sleep(10 * STANDING).await;
        assert!(!overload.is_on());
        let watched = Arc::downgrade(&overload);
        drop(overload);
        sleep(2 * LOOK_EVERY).await;
        assert!(watched.upgrade().is_none());
    }
}
