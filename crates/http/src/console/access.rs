//! Who may see the console: an operator, by the token in `Authorization` (RFC 6750, section 2.1).

use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;

use mobile_bind_domain::ports::Clock;
use poem::http::{HeaderValue, StatusCode, header};
use poem::{Endpoint, Request, Response, Result};
use tracing::{info, warn};

use super::attempts::Attempts;
use super::{Operators, failed};
use crate::catalogue::whole_seconds;

/// The operator who asks, kept with the request.
#[derive(Clone, Debug)]
pub(super) struct Operator(pub(super) String);

/// Lets operators through.
pub(super) struct Access<E> {
    inner: E,
    operators: Arc<dyn Operators>,
    attempts: Attempts,
    clock: Arc<dyn Clock>,
}

impl<E> Access<E> {
    pub(super) fn new(inner: E, operators: Arc<dyn Operators>, clock: Arc<dyn Clock>) -> Self {
        Self { inner, operators, attempts: Attempts::default(), clock }
    }
}

impl<E: Endpoint> Endpoint for Access<E> {
    type Output = Response;

    async fn call(&self, mut request: Request) -> Result<Response> {
        let (address, now) = (address(&request), self.clock.now());
        if let Some(wait) = self.attempts.wait(address, now) {
            let mut response = failed(StatusCode::TOO_MANY_REQUESTS, "too_many_attempts");
            response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from(whole_seconds(wait)));
            return Ok(response);
        }
        let Some(name) = bearer(&request).and_then(|token| self.operators.named(token)) else {
            // No token at all is no guess.
            if request.headers().contains_key(header::AUTHORIZATION) {
                warn!(%address, "a wrong token was shown to the console");
                self.attempts.note(address, now);
            }
            let mut response = failed(StatusCode::UNAUTHORIZED, "token_wrong");
            response.headers_mut().insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
            return Ok(response);
        };
        if request.method() != poem::http::Method::GET {
            // The request's own line, under the same id, names the route; a path may say anything.
            info!(operator = name, "an operator acts");
        }
        request.set_data(Operator(name));
        Ok(self.inner.get_response(request).await)
    }
}

fn address(request: &Request) -> IpAddr {
    request.remote_addr().as_socket_addr().map_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED), std::net::SocketAddr::ip)
}

fn bearer(request: &Request) -> Option<&str> {
    let (scheme, token) = request.header(header::AUTHORIZATION)?.split_once(' ')?;
    Some(token.trim()).filter(|token| scheme.eq_ignore_ascii_case("Bearer") && !token.is_empty())
}
