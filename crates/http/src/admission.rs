//! Bounded concurrency: so many requests are worked on at once, and one more is turned away at once. Sends wait for the SMS
//! provider, so they have a bulkhead of their own: a provider that hangs uses up that one alone.
//!
//! A burst may fill all places, and is worked off. What goes on asking when they are full is no burst: a full house then
//! only keeps everybody waiting, and does no more than a few requests at once do (by Little's law, latency is places divided
//! by throughput). So as long as there is [`Overload`], fewer places are given, as few as the wait for a worker asks for.

use std::sync::Arc;
use std::time::Duration;

use metrics::{Counter, Gauge, counter, gauge};
use poem::Result;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::fault::WireFault;
use crate::metrics::{Answered, IN_FLIGHT, SHED};
use crate::overload::Overload;
use crate::rewriting::SEND;

/// How many requests may be worked on at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Capacity {
    /// All but sends.
    pub requests: usize,
    /// The most of them while more is asked than can be done.
    pub requests_in_overload: usize,
    /// Sends.
    pub sends: usize,
    /// The wait for a worker, in the mean, that tells of overload; zero where none does.
    pub long_wait: Duration,
}

impl Default for Capacity {
    /// 1024 requests, 32 of them in overload, 256 sends, and a wait of 10 ms.
    fn default() -> Self {
        Self { requests: 1024, requests_in_overload: 32, sends: 256, long_wait: Duration::from_millis(10) }
    }
}

/// One place among those worked on, free again when the last copy is gone. Work that goes on without its client keeps one.
#[derive(Clone)]
pub(crate) struct Place(#[expect(dead_code, reason = "it is held, and never looked at")] Arc<Taken>);

struct Taken {
    in_flight: Gauge,
    _permit: OwnedSemaphorePermit,
}

impl Drop for Taken {
    fn drop(&mut self) {
        self.in_flight.decrement(1.0);
    }
}

/// So many places.
pub(crate) struct Bulkhead {
    places: Arc<Semaphore>,
    all: usize,
    /// What there are fewer places in; `None` where their number always stays.
    overload: Option<Arc<Overload>>,
    in_flight: Gauge,
    shed: Counter,
}

impl Bulkhead {
    fn new(name: &'static str, places: usize, overload: Option<Arc<Overload>>) -> Self {
        let all = places.min(Semaphore::MAX_PERMITS);
        Self {
            places: Arc::new(Semaphore::new(all)),
            all,
            overload,
            in_flight: gauge!(IN_FLIGHT, "bulkhead" => name),
            shed: counter!(SHED, "bulkhead" => name),
        }
    }

    /// Whether one more may come in; nothing is kept for it yet.
    pub(crate) fn has_room(&self) -> Result<(), WireFault> {
        let taken = self.all.saturating_sub(self.places.available_permits());
        let given = self.overload.as_ref().and_then(|overload| overload.places(taken)).unwrap_or(self.all);
        if taken < given.min(self.all) { Ok(()) } else { Err(self.turn_away()) }
    }

    pub(crate) fn enter(&self) -> Result<Place, WireFault> {
        self.has_room()?;
        let Ok(permit) = Arc::clone(&self.places).try_acquire_owned() else { return Err(self.turn_away()) };
        self.in_flight.increment(1.0);
        Ok(Place(Arc::new(Taken { in_flight: self.in_flight.clone(), _permit: permit })))
    }

    fn turn_away(&self) -> WireFault {
        if let Some(overload) = &self.overload {
            overload.prolong();
        }
        self.shed.increment(1);
        WireFault::Overloaded
    }
}

/// What decides on who is let in, for the connections and for the service behind them.
pub struct Admission {
    requests: Bulkhead,
    sends: Bulkhead,
    /// What was answered, by either.
    pub(crate) answered: Arc<Answered>,
}

impl Admission {
    /// Nobody is in yet.
    #[must_use]
    pub fn new(capacity: Capacity) -> Arc<Self> {
        let overload = Overload::new(capacity.long_wait, capacity.requests_in_overload);
        let requests = Bulkhead::new("requests", capacity.requests, Some(overload));
        // How long a send takes is the provider's doing: fewer at once would not make it shorter, nor is it overload.
        let sends = Bulkhead::new("sends", capacity.sends, None);
        Arc::new(Self { requests, sends, answered: Arc::default() })
    }

    /// Where a request for this path takes its place.
    pub(crate) fn bulkhead(&self, path: &str) -> &Bulkhead {
        if path == SEND { &self.sends } else { &self.requests }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use tokio::time::advance;

    use super::Bulkhead;
    use crate::fault::WireFault;
    use crate::overload::{ENDS_AFTER, Overload};

    fn bulkhead(places: usize, in_overload: usize) -> Bulkhead {
        Bulkhead::new("requests", places, Some(Overload::new(Duration::ZERO, in_overload)))
    }

    #[test]
    fn a_place_is_free_again_when_its_last_copy_is_gone() {
        let bulkhead = bulkhead(1, 1);
        let place = bulkhead.enter().unwrap();
        let copy = place.clone();
        drop(place);
        assert_eq!(bulkhead.enter().err(), Some(WireFault::Overloaded));
        drop(copy);
        assert!(bulkhead.enter().is_ok());
    }

    #[tokio::test(start_paused = true)]
    async fn a_burst_may_take_all_places_and_what_goes_on_asking_gets_fewer() {
        let bulkhead = bulkhead(4, 2);
        let burst: Vec<_> = (0..4).map(|_| bulkhead.enter().unwrap()).collect();
        assert!(bulkhead.enter().is_err());
        drop(burst);
        let taken = [bulkhead.enter().unwrap(), bulkhead.enter().unwrap()];
        assert!(bulkhead.enter().is_err());
        // One that is turned away puts the end off.
        advance(ENDS_AFTER / 2).await;
        assert!(bulkhead.enter().is_err());
        advance(ENDS_AFTER - ENDS_AFTER / 4).await;
        assert!(bulkhead.enter().is_err());
        advance(ENDS_AFTER).await;
        let more = [bulkhead.enter().unwrap(), bulkhead.enter().unwrap()];
        assert!(bulkhead.enter().is_err());
        drop((taken, more));
    }

    #[test]
    fn there_is_room_for_some_in_overload_whatever_the_numbers_are() {
        for (places, in_overload) in [(1, 64), (64, 64), (65, 64), (2, 1)] {
            let bulkhead = bulkhead(places, in_overload);
            let all: Vec<_> = (0..places).map(|_| bulkhead.enter().unwrap()).collect();
            assert!(bulkhead.enter().is_err());
            drop(all);
            assert!(bulkhead.enter().is_ok(), "{places}, {in_overload}");
        }
    }
}
