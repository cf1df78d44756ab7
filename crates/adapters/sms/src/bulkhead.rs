//! What one provider is given at once, and within a time: a slow or strict one must not hold up the others.

use std::sync::{Arc, Mutex, PoisonError};

use mobile_bind_domain::ports::Clock;
use mobile_bind_domain::{Quota, Tally};
use tokio::sync::{Semaphore, SemaphorePermit};

/// A provider's own limits.
pub(crate) struct Bulkhead {
    places: Semaphore,
    quotas: Vec<Quota>,
    sent: Mutex<Tally>,
    clock: Arc<dyn Clock>,
}

impl Bulkhead {
    pub(crate) fn new(max_in_flight: usize, quotas: Vec<Quota>, clock: Arc<dyn Clock>) -> Self {
        Self { places: Semaphore::new(max_in_flight), quotas, sent: Mutex::default(), clock }
    }

    /// A place, until it is dropped; `None` where nothing may be sent now. Nobody waits: another provider may be free.
    pub(crate) fn enter(&self) -> Option<SemaphorePermit<'_>> {
        let place = self.places.try_acquire().ok()?;
        let now = self.clock.now();
        // Nothing here is left half-done by a panic, so a poisoned lock is as good as any.
        let mut sent = self.sent.lock().unwrap_or_else(PoisonError::into_inner);
        if sent.wait(&self.quotas, now).is_some() {
            return None;
        }
        sent.add(self.quotas.iter(), now);
        Some(place)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::time::Duration;

    use mobile_bind_domain::Quota;

    use super::Bulkhead;
    use crate::tests::HandClock;

    #[test]
    fn so_many_at_once_and_no_more() {
        let bulkhead = Bulkhead::new(2, Vec::new(), Arc::new(HandClock::default()));
        let (one, two) = (bulkhead.enter(), bulkhead.enter());
        assert!(one.is_some() && two.is_some() && bulkhead.enter().is_none());
        drop(one);
        assert!(bulkhead.enter().is_some());
    }

    #[test]
    fn so_many_in_a_time_and_no_more() {
        let clock = Arc::new(HandClock::default());
        let bulkhead = Bulkhead::new(9, vec![Quota::new(2, 1)], Arc::clone(&clock) as _);
        assert!(bulkhead.enter().is_some() && bulkhead.enter().is_some() && bulkhead.enter().is_none());
        clock.advance(Duration::from_millis(999));
        assert!(bulkhead.enter().is_none());
        clock.advance(Duration::from_millis(1));
        assert!(bulkhead.enter().is_some());
    }
}
