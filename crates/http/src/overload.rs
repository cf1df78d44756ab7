//! Whether more is asked than can be done. Two things tell: that a request had to be turned away, and that what is ready to
//! be worked on waits long for a worker, and goes on doing so. The second is seen where the first cannot be: a request that
//! no worker has read yet has taken no place. That a queue stands, rather than that it is long for once, is what tells
//! overload from a burst (Nichols and Jacobson, "Controlling Queue Delay", ACM Queue 10(5), 2012).

use std::sync::atomic::{AtomicU64, Ordering};
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

/// Whether there is overload, for everybody who has to know.
pub(crate) struct Overload {
    /// When it is over, in milliseconds from `since`; 0 is never begun.
    until: AtomicU64,
    since: Instant,
}

impl Overload {
    /// There is none yet. A wait of `long` for a worker, where it lasts, begins it; zero is never waited for.
    pub(crate) fn new(long: Duration) -> Arc<Self> {
        let overload = Arc::new(Self { until: AtomicU64::new(0), since: now() });
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
    let mut queue = Queue { short_at: now() };
    loop {
        let due = now() + LOOK_EVERY;
        sleep_until(due).await;
        // A timer may be looked at before what is queued; whoever yields stands behind all that is ready.
        yield_now().await;
        let Some(overload) = overload.upgrade() else { return };
        if queue.stands(now(), due, long) {
            overload.prolong();
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

    use super::{ENDS_AFTER, LOOK_EVERY, Overload, Queue, STANDING, now};

    const LONG: Duration = Duration::from_millis(50);

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
        let overload = Overload::new(LONG);
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
        let overload = Overload::new(LONG);
        sleep(10 * STANDING).await;
        assert!(!overload.is_on());
        let watched = Arc::downgrade(&overload);
        drop(overload);
        sleep(2 * LOOK_EVERY).await;
        assert!(watched.upgrade().is_none());
    }
}
