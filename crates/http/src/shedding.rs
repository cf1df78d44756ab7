//! Bounded concurrency: so many requests are worked on at once, and one more is turned away at once. Sends wait for the SMS
//! provider, so they have a bulkhead of their own: a provider that hangs uses up that one alone.

use std::sync::Arc;

use metrics::{Counter, Gauge, counter, gauge};
use poem::{Endpoint, Request, Response, Result};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

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
    /// Sends.
    pub sends: usize,
}

impl Default for Capacity {
    /// 1024 requests, 256 sends.
    fn default() -> Self {
        Self { requests: 1024, sends: 256 }
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
struct Bulkhead {
    places: Arc<Semaphore>,
    in_flight: Gauge,
    shed: Counter,
}

impl Bulkhead {
    fn new(name: &'static str, places: usize) -> Self {
        Self {
            places: Arc::new(Semaphore::new(places.min(Semaphore::MAX_PERMITS))),
            in_flight: gauge!(IN_FLIGHT, "bulkhead" => name),
            shed: counter!(SHED, "bulkhead" => name),
        }
    }

    fn enter(&self) -> Result<Place, WireFault> {
        let Ok(permit) = Arc::clone(&self.places).try_acquire_owned() else {
            self.shed.increment(1);
            return Err(WireFault::Overloaded);
        };
        self.in_flight.increment(1.0);
        Ok(Place(Arc::new(Taken { in_flight: self.in_flight.clone(), _permit: permit })))
    }
}

/// Turns away what is too much. Stands where the route is known already.
pub(crate) struct Shedding<E> {
    inner: E,
    requests: Bulkhead,
    sends: Bulkhead,
}

impl<E> Shedding<E> {
    pub(crate) fn new(inner: E, capacity: Capacity) -> Self {
        let requests = Bulkhead::new("requests", capacity.requests);
        Self { inner, requests, sends: Bulkhead::new("sends", capacity.sends) }
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
        // A client that is slow to say what it wants takes up no place while it does.
        if is_operation {
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
    use super::Bulkhead;
    use crate::fault::WireFault;

    #[test]
    fn a_place_is_free_again_when_its_last_copy_is_gone() {
        let bulkhead = Bulkhead::new("requests", 1);
        let place = bulkhead.enter().unwrap();
        let copy = place.clone();
        drop(place);
        assert_eq!(bulkhead.enter().err(), Some(WireFault::Overloaded));
        drop(copy);
        assert!(bulkhead.enter().is_ok());
    }
}
