//! The `siteverify` request that Turnstile and hCaptcha have in common
//! (<https://developers.cloudflare.com/turnstile/get-started/server-side-validation/>, <https://docs.hcaptcha.com/>): a form
//! with `secret` and `response`, answered by JSON with `success` and `error-codes`. A response is good once, for a few
//! minutes. The person's address, which both take if it is sent, is not sent.

use std::time::Duration;

use async_trait::async_trait;
use mobile_bind_domain::AddressBlock;
use mobile_bind_domain::ports::{Captcha, CaptchaResponse, CaptchaUnavailable};
use reqwest::Url;
use reqwest::header::CONTENT_TYPE;
use serde::Deserialize;
use tracing::warn;
use zeroize::Zeroizing;

/// How long a connection, TLS and all, may take to come about.
const CONNECT_TIMEOUT: Duration = Duration::from_millis(1_500);
/// How much of an answer is read; it has a few hundred bytes.
const ANSWER_LIMIT: usize = 64 * 1024;

/// Whose captcha it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Provider {
    /// Cloudflare Turnstile.
    Turnstile,
    /// hCaptcha.
    HCaptcha,
}

impl Provider {
    /// The provider of that name.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        [Self::Turnstile, Self::HCaptcha].into_iter().find(|provider| provider.name() == name)
    }

    /// The name that clients and settings know it by.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Turnstile => "turnstile",
            Self::HCaptcha => "hcaptcha",
        }
    }

    /// Where it is asked.
    #[must_use]
    pub const fn url(self) -> &'static str {
        match self {
            Self::Turnstile => "https://challenges.cloudflare.com/turnstile/v0/siteverify",
            Self::HCaptcha => "https://api.hcaptcha.com/siteverify",
        }
    }
}

/// A captcha cannot be asked for.
#[derive(Debug, thiserror::Error)]
pub enum SiteVerifyError {
    /// The address is none, or would send the secret in the clear.
    #[error("the captcha's url must be https, or http on this machine")]
    Url,
    /// The HTTP client could not be made.
    #[error("the HTTP client cannot be made")]
    Client(#[source] reqwest::Error),
}

/// Asks a captcha provider.
pub struct SiteVerify {
    client: reqwest::Client,
    url: Url,
    secret: Zeroizing<String>,
    timeout: Duration,
}

#[derive(Deserialize)]
struct Answer {
    success: bool,
    #[serde(default, rename = "error-codes")]
    errors: Vec<String>,
}

impl SiteVerify {
    /// Asks at that address, with the site's secret. An answer that takes longer than `timeout` counts as none.
    ///
    /// # Errors
    /// Where the address cannot be used.
    pub fn new(url: &str, secret: String, timeout: Duration) -> Result<Self, SiteVerifyError> {
        let url: Url = url.parse().map_err(|_| SiteVerifyError::Url)?;
        let at_home = matches!(url.host_str(), Some("127.0.0.1" | "localhost" | "[::1]"));
        if url.scheme() != "https" && !(url.scheme() == "http" && at_home) {
            return Err(SiteVerifyError::Url);
        }
        let client = reqwest::Client::builder()
            .redirect(reqwest::redirect::Policy::none())
            .retry(reqwest::retry::never())
            .no_proxy()
            .connect_timeout(CONNECT_TIMEOUT)
            .user_agent(concat!("mobile-bind/", env!("CARGO_PKG_VERSION")))
            .build();
        let client = client.map_err(SiteVerifyError::Client)?;
        Ok(Self { client, url, secret: Zeroizing::new(secret), timeout })
    }

    /// What the provider says of a response.
    async fn ask(&self, response: &CaptchaResponse) -> Result<Answer, &'static str> {
        let form = {
            let mut form = form_urlencoded::Serializer::new(String::new());
            form.append_pair("secret", &self.secret).append_pair("response", response.expose());
            form.finish()
        };
        let request = self.client.post(self.url.clone()).timeout(self.timeout);
        let request = request.header(CONTENT_TYPE, "application/x-www-form-urlencoded").body(form);
        // The error's own text is not used: it may hold what was sent.
        let mut answer = request.send().await.map_err(|_| "no answer")?;
        let mut body = Vec::new();
        while let Some(part) = answer.chunk().await.map_err(|_| "cut short")? {
            if body.len() + part.len() > ANSWER_LIMIT {
                return Err("too long");
            }
            body.extend_from_slice(&part);
        }
        serde_json::from_slice(&body).map_err(|_| "unreadable")
    }
}

#[async_trait]
impl Captcha for SiteVerify {
    async fn verify(&self, response: &CaptchaResponse, _: AddressBlock) -> Result<bool, CaptchaUnavailable> {
        let answer = self.ask(response).await.map_err(|problem| {
            warn!(problem, "the captcha provider was asked in vain");
            CaptchaUnavailable
        })?;
        if answer.success {
            return Ok(true);
        }
        // Whose fault it is: a wrong secret, or a fault of the provider's, is no verdict on the person.
        let ours = |code: &String| code.ends_with("-input-secret") || code == "internal-error" || code == "bad-request";
        if answer.errors.iter().any(ours) {
            warn!("the captcha provider refuses the secret, or has a fault");
            return Err(CaptchaUnavailable);
        }
        Ok(false)
    }
}

#[cfg(test)]
mod tests {
    use std::net::{IpAddr, Ipv4Addr};
    use std::time::Duration;

    use mobile_bind_domain::ports::{Captcha, CaptchaResponse, CaptchaUnavailable};
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::TcpListener;

    use super::{Provider, SiteVerify};

    /// A provider that answers one request so; answers what came of it, and what it was sent.
    async fn ask(answer: &str) -> (Result<bool, CaptchaUnavailable>, String) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/siteverify", listener.local_addr().unwrap());
        let answer =
            format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{answer}", answer.len());
        let provider = tokio::spawn(async move {
            let (mut stream, _) = listener.accept().await.unwrap();
            let (mut seen, mut buffer) = (String::new(), [0; 4096]);
            while !seen.contains("response=") {
                let read = stream.read(&mut buffer).await.unwrap();
                seen.push_str(&String::from_utf8_lossy(&buffer[..read]));
            }
            stream.write_all(answer.as_bytes()).await.unwrap();
            seen
        });
        let captcha = SiteVerify::new(&url, "s&cret".to_owned(), Duration::from_secs(5)).unwrap();
        let response = CaptchaResponse::new("t=ken").unwrap();
        let outcome = captcha.verify(&response, IpAddr::V4(Ipv4Addr::LOCALHOST).into()).await;
        (outcome, provider.await.unwrap())
    }

    #[tokio::test]
    async fn a_response_is_asked_for_as_the_vendors_have_it() {
        let (outcome, seen) = ask(r#"{"success":true,"error-codes":[],"hostname":"shop.example"}"#).await;
        assert_eq!(outcome, Ok(true));
        assert!(seen.starts_with("POST /siteverify HTTP/1.1\r\n"), "{seen}");
        assert!(seen.ends_with("secret=s%26cret&response=t%3Dken"), "{seen}");
        assert!(seen.to_ascii_lowercase().contains("content-type: application/x-www-form-urlencoded"));
    }

    #[tokio::test]
    async fn a_used_or_wrong_response_is_refused_and_a_wrong_secret_is_nobodys_fault() {
        let refused = r#"{"success":false,"error-codes":["timeout-or-duplicate"]}"#;
        assert_eq!(ask(refused).await.0, Ok(false));
        assert_eq!(ask(r#"{"success":false}"#).await.0, Ok(false));
        for codes in [r#"["invalid-input-secret"]"#, r#"["internal-error"]"#] {
            let answer = format!(r#"{{"success":false,"error-codes":{codes}}}"#);
            assert_eq!(ask(&answer).await.0, Err(CaptchaUnavailable));
        }
        assert_eq!(ask("<html>").await.0, Err(CaptchaUnavailable));
    }

    #[test]
    fn the_secret_leaves_this_machine_encrypted_alone() {
        let new = |url: &str| SiteVerify::new(url, String::new(), Duration::from_secs(1)).is_ok();
        assert!(new(Provider::Turnstile.url()) && new(Provider::HCaptcha.url()) && new("http://127.0.0.1:1/x"));
        assert!(!new("http://captcha.example/siteverify") && !new("captcha"));
        assert_eq!(Provider::from_name("hcaptcha"), Some(Provider::HCaptcha));
        assert_eq!(Provider::from_name("x"), None);
    }
}
