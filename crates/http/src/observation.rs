//! What every request gets whatever becomes of it: an id, the headers that all answers have, and one line in the log.

use std::sync::Arc;

use mobile_bind_domain::ports::Randomness;
use mobile_bind_domain::{RequestId, Service};
use poem::http::{HeaderMap, HeaderName, HeaderValue, Method, header};
use poem::{Endpoint, Request, Response, Result};
use tracing::{Instrument, error_span, info};

use crate::metrics::{self, Answered, Outcome};

pub(crate) const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// Names requests, and logs them.
pub(crate) struct Observation<E> {
    pub(crate) inner: E,
    pub(crate) service: Arc<Service>,
    pub(crate) answered: Arc<Answered>,
}

impl<E: Endpoint<Output = Response>> Endpoint for Observation<E> {
    type Output = Response;

    async fn call(&self, request: Request) -> Result<Response> {
        let clock = &self.service.clock;
        let started = clock.now();
        let received = metrics::started();
        let given = request.headers().get(REQUEST_ID).map(HeaderValue::as_bytes);
        let id = request_id(given, self.service.randomness.as_ref());
        let method = method_name(request.method());
        // At the level of errors, so that whatever is logged within says which request it is about.
        let span = error_span!("request", id = id.as_str());
        let mut request = request;
        request.set_data(RequestId::new(&id));
        let mut response = self.inner.get_response(request).instrument(span.clone()).await;
        add_headers(response.headers_mut());
        if let Ok(id) = HeaderValue::from_str(&id) {
            response.headers_mut().insert(REQUEST_ID, id);
        }
        let outcome = Outcome::of(&response);
        let Outcome { route, status, code } = outcome;
        let duration_ms = u64::try_from(clock.now().since(started).as_millis()).unwrap_or(u64::MAX);
        span.in_scope(|| info!(method, route, status, code, duration_ms, "answered"));
        self.answered.count(outcome, received.elapsed());
        Ok(response)
    }
}

/// The id that a request was given.
pub(crate) fn id_of(request: &Request) -> RequestId {
    request.data::<RequestId>().cloned().unwrap_or_default()
}

/// The headers that all answers have, beside the request's id.
pub(crate) fn add_headers(headers: &mut HeaderMap) {
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert(header::REFERRER_POLICY, HeaderValue::from_static("no-referrer"));
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
}

/// The caller's id where it can be repeated without harm, else one of our own: 16 hexadecimal digits.
pub(crate) fn request_id(given: Option<&[u8]>, randomness: &dyn Randomness) -> String {
    let given = given.and_then(|id| str::from_utf8(id).ok());
    if let Some(id) = given.filter(|id| is_plain(id)) {
        return id.to_owned();
    }
    let mut bytes = [0; 8];
    randomness.fill(&mut bytes);
    format!("{:016x}", u64::from_be_bytes(bytes))
}

fn is_plain(id: &str) -> bool {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'-');
    (1..=64).contains(&id.len()) && id.bytes().all(plain)
}

/// The method, where it is one that HTTP knows: a client can make one up.
#[must_use]
pub fn method_name(method: &Method) -> &'static str {
    match *method {
        Method::GET => "GET",
        Method::POST => "POST",
        Method::HEAD => "HEAD",
        Method::OPTIONS => "OPTIONS",
        Method::PUT => "PUT",
        Method::PATCH => "PATCH",
        Method::DELETE => "DELETE",
        _ => "other",
    }
}

#[cfg(test)]
mod tests {
    use super::is_plain;

    #[test]
    fn ids_that_may_be_repeated() {
        for plain in ["a", "0191-ab_C.9", &"x".repeat(64)] {
            assert!(is_plain(plain), "{plain}");
        }
        for other in ["", "a b", "a\"", "ü", "a/b", &"x".repeat(65)] {
            assert!(!is_plain(other), "{other}");
        }
    }
}
