//! The one HTTP client that all vendors are spoken to by.

use std::sync::Arc;
use std::time::Duration;

use mobile_bind_domain::Timestamp;
use mobile_bind_domain::ports::SendFailure;
use reqwest::header::{DATE, HeaderMap, HeaderName, HeaderValue};

use crate::exchange::{Answer, Fault, OutgoingRequest};

/// How long a connection, TLS and all, may take to come about. Until then nothing has left, so a provider's whole
/// timeout must be longer.
pub(crate) const CONNECT_TIMEOUT: Duration = Duration::from_millis(1_500);
/// How long a connection that nobody needs is kept: well under the minute after which gateways drop it silently.
const IDLE_TIMEOUT: Duration = Duration::from_secs(45);
/// How much of an answer is read; vendors' have a few hundred bytes.
const ANSWER_LIMIT: usize = 64 * 1024;

/// The HTTP client could not be made.
#[derive(Debug, thiserror::Error)]
#[error("the HTTP client cannot be made")]
pub struct HttpClientError(#[source] reqwest::Error);

/// A pool of connections. TLS is rustls over AWS-LC, and certificates are verified against the platform's own roots: who
/// looks after the machine decides whom it trusts, and takes trust back, without a new build of this. Redirects are not
/// followed, no request is repeated, and no proxy is taken from the environment.
#[derive(Clone)]
pub struct HttpClient(reqwest::Client);

impl HttpClient {
    /// A client without connections.
    ///
    /// # Errors
    /// Where the platform has no root certificates.
    pub fn new() -> Result<Self, HttpClientError> {
        let client = reqwest::Client::builder()
            .redirect(reqwest::redirect::Policy::none())
            .retry(reqwest::retry::never())
            .no_proxy()
            .connect_timeout(CONNECT_TIMEOUT)
            .pool_idle_timeout(IDLE_TIMEOUT)
            .tcp_nodelay(true)
            .user_agent(concat!("mobile-bind/", env!("CARGO_PKG_VERSION")))
            .build();
        client.map(Self).map_err(HttpClientError)
    }

    /// Sends the request, and reads the answer to its end.
    pub(crate) async fn send(&self, request: &OutgoingRequest, timeout: Duration) -> Result<Answer, Fault> {
        self.ask(request, timeout).await.map(|(answer, _)| answer)
    }

    /// The same, and when the answer was made, by the clock of whoever made it.
    pub(crate) async fn ask(
        &self,
        request: &OutgoingRequest,
        timeout: Duration,
    ) -> Result<(Answer, Option<Timestamp>), Fault> {
        let built = self.0.request(request.method.clone(), &request.url).headers(headers(request)?);
        let built = built.body(request.body.clone()).timeout(timeout);
        let mut response = built.send().await.map_err(|error| not_answered(&error))?;
        let status = response.status().as_u16();
        let made = response.headers().get(DATE).and_then(|value| date(value.to_str().ok()?));
        let mut body = Vec::new();
        while let Some(part) = response.chunk().await.map_err(|_| Fault::new(SendFailure::Unknown, "cut short"))? {
            if body.len() + part.len() > ANSWER_LIMIT {
                return Err(Fault::new(SendFailure::Unknown, "too long"));
            }
            body.extend_from_slice(&part);
        }
        Ok((Answer { status, body }, made))
    }
}

/// A `Date` header (RFC 9110, section 6.6.1).
fn date(text: &str) -> Option<Timestamp> {
    let at = jiff::fmt::rfc2822::parse(text).ok()?.timestamp().as_second();
    u64::try_from(at).ok().map(Timestamp::from_seconds)
}

fn headers(request: &OutgoingRequest) -> Result<HeaderMap, Fault> {
    let mut headers = HeaderMap::new();
    for (name, value) in &request.headers {
        let value = HeaderValue::from_str(value);
        let mut value = value.map_err(|_| Fault::new(SendFailure::Unavailable, format!("bad header {name}")))?;
        value.set_sensitive(*name == "authorization");
        headers.insert(HeaderName::from_static(name), value);
    }
    Ok(headers)
}

/// What became of a request that was not answered. The error's own text is not used: it holds the URL, and that may hold
/// the code.
fn not_answered(error: &reqwest::Error) -> Fault {
    if error.is_connect() {
        Fault::new(SendFailure::Unavailable, "no connection")
    } else if error.is_builder() {
        Fault::new(SendFailure::Unavailable, "bad request")
    } else if error.is_timeout() {
        Fault::new(SendFailure::Unknown, "timeout")
    } else {
        Fault::new(SendFailure::Unknown, "connection lost")
    }
}

impl std::fmt::Debug for HttpClient {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("HttpClient")
    }
}

/// The port in which the client's requests get their time and their nonces.
pub(crate) struct Stamps {
    pub(crate) clock: Arc<dyn mobile_bind_domain::ports::Clock>,
    pub(crate) randomness: Arc<dyn mobile_bind_domain::ports::Randomness>,
}

impl Stamps {
    pub(crate) fn next(&self) -> crate::exchange::Stamp {
        let mut nonce = [0; 16];
        self.randomness.fill(&mut nonce);
        crate::exchange::Stamp { at: self.clock.now(), nonce: data_encoding::HEXLOWER.encode(&nonce) }
    }
}
