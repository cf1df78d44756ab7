//! Cross-origin requests (the Fetch standard's CORS protocol). Origins that are not allowed are answered as if they had
//! asked nothing special, and it is the browser that keeps the answer from them.

use poem::http::{HeaderMap, HeaderValue, Method, StatusCode, header};
use poem::{Endpoint, Request, Response, Result};

const METHODS: HeaderValue = HeaderValue::from_static("GET, POST");
const REQUEST_HEADERS: HeaderValue =
    HeaderValue::from_static("content-type, authorization, idempotency-key, x-request-id");
const EXPOSED: HeaderValue = HeaderValue::from_static("retry-after, x-request-id");
/// How long a browser may remember a preflight, in seconds: two hours, the most that browsers heed.
const MAX_AGE: HeaderValue = HeaderValue::from_static("7200");

/// Which origins may call.
#[derive(Clone, Debug)]
pub(crate) enum AllowedOrigins {
    None,
    Any,
    These(Vec<String>),
}

impl AllowedOrigins {
    pub(crate) fn new(origins: &[String]) -> Self {
        if origins.is_empty() {
            Self::None
        } else if origins.iter().any(|origin| origin == "*") {
            Self::Any
        } else {
            // Browsers write origins in lower case and without a slash.
            Self::These(origins.iter().map(|origin| origin.trim_end_matches('/').to_ascii_lowercase()).collect())
        }
    }

    /// What to answer an origin that may call.
    fn allow(&self, headers: &HeaderMap) -> Option<HeaderValue> {
        let origin = headers.get(header::ORIGIN)?;
        match self {
            Self::None => None,
            Self::Any => Some(HeaderValue::from_static("*")),
            Self::These(origins) => {
                let allowed = origins.iter().any(|allowed| allowed.as_bytes() == origin.as_bytes());
                allowed.then(|| origin.clone())
            }
        }
    }
}

/// Answers preflights and marks answers, for the origins that may call.
pub(crate) struct Cors<E> {
    pub(crate) inner: E,
    pub(crate) origins: AllowedOrigins,
}

impl<E: Endpoint<Output = Response>> Endpoint for Cors<E> {
    type Output = Response;

    async fn call(&self, request: Request) -> Result<Response> {
        let allowed = self.origins.allow(request.headers());
        let preflight = allowed.is_some() && is_preflight(&request);
        let mut response = if preflight { preflight_response() } else { self.inner.call(request).await? };
        let headers = response.headers_mut();
        if let AllowedOrigins::These(_) = self.origins {
            headers.append(header::VARY, HeaderValue::from_static("Origin"));
        }
        if let Some(allowed) = allowed {
            headers.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, allowed);
            headers.insert(header::ACCESS_CONTROL_EXPOSE_HEADERS, EXPOSED);
        }
        Ok(response)
    }
}

fn is_preflight(request: &Request) -> bool {
    request.method() == Method::OPTIONS && request.headers().contains_key(header::ACCESS_CONTROL_REQUEST_METHOD)
}

fn preflight_response() -> Response {
    let mut response = Response::builder().status(StatusCode::NO_CONTENT).finish();
    let headers = response.headers_mut();
    headers.insert(header::ACCESS_CONTROL_ALLOW_METHODS, METHODS);
    headers.insert(header::ACCESS_CONTROL_ALLOW_HEADERS, REQUEST_HEADERS);
    headers.insert(header::ACCESS_CONTROL_MAX_AGE, MAX_AGE);
    response
}
