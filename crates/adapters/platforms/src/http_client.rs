//! The one HTTP client that all platforms are asked by.

use std::time::Duration;

use mobile_bind_domain::ports::PlatformFailure;

/// How long a connection, TLS and all, may take to come about.
const CONNECT_TIMEOUT: Duration = Duration::from_millis(1_500);
/// How long a connection that nobody needs is kept.
const IDLE_TIMEOUT: Duration = Duration::from_secs(45);
/// How much of an answer is read; platforms' have a few hundred bytes.
const ANSWER_LIMIT: usize = 64 * 1024;

/// A request as it goes out; its URL and body hold secrets, so that it has no `Debug`.
pub(crate) struct Outgoing {
    pub(crate) url: String,
    /// The content type and the body of a `POST`; `None` for a `GET`.
    pub(crate) body: Option<(&'static str, String)>,
}

impl Outgoing {
    pub(crate) fn get(url: &str, query: &[(&str, &str)]) -> Self {
        Self { url: format!("{url}?{}", form(query)), body: None }
    }

    pub(crate) fn post_form(url: String, fields: &[(&str, &str)]) -> Self {
        Self { url, body: Some(("application/x-www-form-urlencoded", form(fields))) }
    }

    pub(crate) fn post_json(url: String, body: &serde_json::Value) -> Self {
        Self { url, body: Some(("application/json", body.to_string())) }
    }
}

fn form(fields: &[(&str, &str)]) -> String {
    form_urlencoded::Serializer::new(String::new()).extend_pairs(fields).finish()
}

/// A pool of connections: TLS verified against the platform's own roots, no redirects, no repeats, no proxy of the environment.
#[derive(Clone)]
pub(crate) struct HttpClient(reqwest::Client);

impl HttpClient {
    pub(crate) fn new() -> Result<Self, reqwest::Error> {
        let client = reqwest::Client::builder()
            .redirect(reqwest::redirect::Policy::none())
            .retry(reqwest::retry::never())
            .no_proxy()
            .connect_timeout(CONNECT_TIMEOUT)
            .pool_idle_timeout(IDLE_TIMEOUT)
            .user_agent(concat!("mobile-bind/", env!("CARGO_PKG_VERSION")));
        client.build().map(Self)
    }

    /// Sends a request and reads the answer to its end. Where no connection came about nothing has left, and it is tried once
    /// more; nothing else is repeated, since a code may be used up by then.
    pub(crate) async fn send(&self, request: &Outgoing, timeout: Duration) -> Result<Vec<u8>, PlatformFailure> {
        let mut last = false;
        let mut response = loop {
            let built = match &request.body {
                None => self.0.get(&request.url),
                Some((kind, body)) => self.0.post(&request.url).header("content-type", *kind).body(body.clone()),
            };
            match built.timeout(timeout).send().await {
                Ok(response) => break response,
                // The error's own text is not used: it holds the URL, and that holds a secret.
                Err(error) if error.is_connect() && !last => last = true,
                Err(_) => return Err(PlatformFailure::Unavailable),
            }
        };
        match response.status().as_u16() {
            429 | 503 => return Err(PlatformFailure::Busy),
            500.. => return Err(PlatformFailure::Unavailable),
            _ => {}
        }
        let mut body = Vec::new();
        while let Some(part) = response.chunk().await.map_err(|_| PlatformFailure::Unavailable)? {
            if body.len() + part.len() > ANSWER_LIMIT {
                return Err(PlatformFailure::Unreadable);
            }
            body.extend_from_slice(&part);
        }
        Ok(body)
    }
}
