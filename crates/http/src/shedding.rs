//! Turns away what is too much, where the route is known already.

use std::sync::Arc;

use poem::{Endpoint, Request, Response, Result};

use crate::admission::Admission;
use crate::endpoint::Head;
use crate::parameters::read_body;
use crate::rewriting::OPERATIONS;

/// What is answered however much is going on: an operator needs it most then.
const EXEMPT: [&str; 3] = ["/healthz", "/readyz", "/metrics"];

/// Lets requests in, or not.
pub(crate) struct Shedding<E> {
    pub(crate) inner: E,
    pub(crate) admission: Arc<Admission>,
}

impl<E: Endpoint<Output = Response>> Endpoint for Shedding<E> {
    type Output = Response;

    async fn call(&self, mut request: Request) -> Result<Response> {
        let path = request.uri().path();
        if EXEMPT.contains(&path) {
            return self.inner.call(request).await;
        }
        let is_operation = OPERATIONS.contains(&path);
        let bulkhead = self.admission.bulkhead(path);
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
