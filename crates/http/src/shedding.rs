//! Bounded concurrency: so many requests are worked on at once, and one more is turned away at once. Sends wait for the SMS
//! provider, so they have a bulkhead of their own: a provider that hangs uses up that one alone.
//!
//! A burst may fill all places, and is worked off. What goes on asking when they are full is no burst: a full house then
//! only keeps everybody waiting, and does no more than a few requests at once do (by Little's law, latency is places divided
//! by throughput). So from the first request that is turned away until none was for a second, fewer places are given.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use metrics::{Counter, Gauge, counter, gauge};
use poem::{Endpoint, Request, Response, Result};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::Instant;

use crate::endpoint::Head;
use crate::fault::WireFault;
use crate::metrics::{IN_FLIGHT, SHED};
use crate::parameters::read_body;
use crate::rewriting::{OPERATIONS, SEND};

/// What is answered however much is going on: an operator needs it most then.
const EXEMPT: [&str; 3] = ["/healthz", "/readyz", "/metrics"];

/// How many requests may be worked on at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Capacity {
    /// All but sends.
    pub requests: usize,
    /// The same, while more is asked than can be done.
    pub requests_in_overload: usize,
    /// Sends.
    pub sends: usize,
}

impl Default for Capacity {
    /// 1024 requests, 32 of them in overload, 256 sends.
    fn default() -> Self {
        Self { requests: 1024, requests_in_overload: 32, sends: 256 }
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

/// How long nothing must have been turned away until overload is over.
const OVERLOAD_ENDS: Duration = Duration::from_secs(1);

/// So many places.
struct Bulkhead {
    places: Arc<Semaphore>,
    /// How many places must be left for one more in overload.
    kept_free: usize,
    /// When overload is over, in milliseconds from `since`; 0 is never begun.
    overload_until: AtomicU64,
    since: Instant,
    in_flight: Gauge,
    shed: Counter,
}

impl Bulkhead {
    fn new(name: &'static str, places: usize, in_overload: usize) -> Self {
        let places = places.min(Semaphore::MAX_PERMITS);
        Self {
            places: Arc::new(Semaphore::new(places)),
            kept_free: places.saturating_sub(in_overload),
            overload_until: AtomicU64::new(0),
            since: now(),
            in_flight: gauge!(IN_FLIGHT, "bulkhead" => name),
            shed: counter!(SHED, "bulkhead" => name),
        }
    }

    /// Whether one more may come in; nothing is kept for it yet.
    fn has_room(&self) -> Result<(), WireFault> {
        let kept_free = if self.is_overloaded() { self.kept_free } else { 0 };
        if self.places.available_permits() > kept_free { Ok(()) } else { Err(self.turn_away()) }
    }

    fn enter(&self) -> Result<Place, WireFault> {
        self.has_room()?;
        let Ok(permit) = Arc::clone(&self.places).try_acquire_owned() else { return Err(self.turn_away()) };
        self.in_flight.increment(1.0);
        Ok(Place(Arc::new(Taken { in_flight: self.in_flight.clone(), _permit: permit })))
    }

    fn is_overloaded(&self) -> bool {
        // Most of the time there is no need to ask for the time.
        let until = self.overload_until.load(Ordering::Relaxed);
        until > 0 && self.millis() < until
    }

    fn turn_away(&self) -> WireFault {
        let ends = u64::try_from(OVERLOAD_ENDS.as_millis()).unwrap_or(u64::MAX);
        self.overload_until.store(self.millis().saturating_add(ends), Ordering::Relaxed);
        self.shed.increment(1);
        WireFault::Overloaded
    }

    fn millis(&self) -> u64 {
        u64::try_from(now().duration_since(self.since).as_millis()).unwrap_or(u64::MAX)
    }
}

#[expect(
    clippy::disallowed_methods,
    reason = "how loaded the machine is, is a matter of its time; no rule depends on it"
)]
fn now() -> Instant {
    Instant::now()
}

/// Turns away what is too much. Stands where the route is known already.
pub(crate) struct Shedding<E> {
    inner: E,
    requests: Bulkhead,
    sends: Bulkhead,
}

impl<E> Shedding<E> {
    pub(crate) fn new(inner: E, capacity: Capacity) -> Self {
        let requests = Bulkhead::new("requests", capacity.requests, capacity.requests_in_overload);
        // How long a send takes is the provider's doing: fewer at once would not make it shorter.
        Self { inner, requests, sends: Bulkhead::new("sends", capacity.sends, capacity.sends) }
    }
}

impl<E: Endpoint<Output = Response>> Endpoint for Shedding<E> {
    type Output = Response;

    async fn call(&self, mut request: Request) -> Result<Response> {
        let path = request.uri().path();
        if EXEMPT.contains(&path) {
            return self.inner.call(request).await;
        }
        let is_operation = OPERATIONS.contains(&path);
        let bulkhead = if path == SEND { &self.sends } else { &self.requests };
        if is_operation {
            // What will be turned away need not be read.
            if let Err(fault) = bulkhead.has_room() {
                return Ok(fault.response(Head::of(&request).language()));
            }
            // A client that is slow to say what it wants takes up no place while it does.
            let body = request.take_body();
            match read_body(request.headers(), body).await {
                Ok(body) => request.set_body(body),
                Err(fault) => return Ok(fault.response(Head::of(&request).language())),
            }
        }
        let place = match bulkhead.enter() {
            Ok(place) => place,
            Err(fault) => return Ok(fault.response(Head::of(&request).language())),
        };
        request.set_data(place.clone());
        let answered = self.inner.call(request).await;
        drop(place);
        answered
    }
}

#[cfg(test)]
mod tests {
    use tokio::time::advance;

    use super::{Bulkhead, OVERLOAD_ENDS};
    use crate::fault::WireFault;

    #[test]
    fn a_place_is_free_again_when_its_last_copy_is_gone() {
        let bulkhead = Bulkhead::new("requests", 1, 1);
        let place = bulkhead.enter().unwrap();
        let copy = place.clone();
        drop(place);
        assert_eq!(bulkhead.enter().err(), Some(WireFault::Overloaded));
        drop(copy);
        assert!(bulkhead.enter().is_ok());
    }

    #[tokio::test(start_paused = true)]
    async fn a_burst_may_take_all_places_and_what_goes_on_asking_gets_fewer() {
        let bulkhead = Bulkhead::new("requests", 4, 2);
        let burst: Vec<_> = (0..4).map(|_| bulkhead.enter().unwrap()).collect();
        assert!(bulkhead.enter().is_err());
        drop(burst);
        let taken = [bulkhead.enter().unwrap(), bulkhead.enter().unwrap()];
        assert!(bulkhead.enter().is_err());
        // One that is turned away puts the end off.
        advance(OVERLOAD_ENDS / 2).await;
        assert!(bulkhead.enter().is_err());
        advance(OVERLOAD_ENDS - OVERLOAD_ENDS / 4).await;
        assert!(bulkhead.enter().is_err());
        advance(OVERLOAD_ENDS).await;
        let more = [bulkhead.enter().unwrap(), bulkhead.enter().unwrap()];
        assert!(bulkhead.enter().is_err());
        drop((taken, more));
    }

    #[test]
    fn there_is_room_for_some_in_overload_whatever_the_numbers_are() {
        for (places, in_overload) in [(1, 64), (64, 64), (65, 64), (2, 1)] {
            let bulkhead = Bulkhead::new("requests", places, in_overload);
            let all: Vec<_> = (0..places).map(|_| bulkhead.enter().unwrap()).collect();
            assert!(bulkhead.enter().is_err());
            drop(all);
            assert!(bulkhead.enter().is_ok(), "{places}, {in_overload}");
        }
    }
}
