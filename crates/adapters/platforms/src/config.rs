//! What an operator says of a platform.

use std::fmt;
use std::time::Duration;

use mobile_bind_domain::Platform;
use zeroize::Zeroizing;

use crate::rsa;

/// A credential. `Debug` masks it, and it is wiped from memory when it is dropped.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Secret(Zeroizing<String>);

impl Secret {
    /// Keeps a text to itself.
    #[must_use]
    pub fn new(text: String) -> Self {
        Self(Zeroizing::new(text))
    }

    pub(crate) fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.0.is_empty() { "Secret(none)" } else { "Secret(***)" })
    }
}

/// One platform's app. Texts that a platform has no use for are empty.
#[derive(Clone, Debug)]
pub struct PlatformConfig {
    /// Which platform.
    pub platform: Platform,
    /// The mini-program's app id.
    pub app_id: String,
    /// Baidu's AppKey.
    pub app_key: String,
    /// The app's secret; for Alipay its private key (PKCS #8 or PKCS #1, PEM or base64).
    pub secret: Secret,
    /// Alipay's public key (X.509 or PKCS #1, PEM or base64).
    pub public_key: String,
    /// Where to ask: `https://host[:port]`; empty for the platform's own address.
    pub url: String,
    /// How long one request may take, connection and all.
    pub timeout: Duration,
    /// Whether it may be asked without TLS.
    pub plain_http: bool,
}

/// A platform that cannot be used as it is configured.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{platform}: {problem}")]
pub struct BadConfig {
    /// Which platform.
    pub platform: &'static str,
    /// What is wrong.
    pub problem: &'static str,
}

impl PlatformConfig {
    /// Whether it will do.
    ///
    /// # Errors
    /// With what is wrong.
    pub fn check(&self) -> Result<(), BadConfig> {
        let bad = |problem| Err(BadConfig { platform: self.platform.name(), problem });
        if self.app_id.is_empty() {
            return bad("the app id is missing");
        }
        if self.secret.expose().is_empty() {
            return bad("the secret is missing");
        }
        if self.platform == Platform::Baidu && self.app_key.is_empty() {
            return bad("the AppKey is missing");
        }
        if self.platform == Platform::Alipay {
            if rsa::private_key(self.secret.expose()).is_none() {
                return bad("the private key is no RSA key of 2048 bits or more");
            }
            if rsa::decoded(&self.public_key).is_none_or(|key| key.is_empty()) {
                return bad("Alipay's public key is missing, or not in base64");
            }
        }
        let tls = self.url.is_empty() || self.url.starts_with("https://");
        let local =
            ["http://127.0.0.1", "http://localhost", "http://[::1]"].iter().any(|near| self.url.starts_with(near));
        if !tls && !local && !self.plain_http {
            return bad("the address must begin with https: secrets would go out in the clear");
        }
        Ok(())
    }

    /// Where it is asked, without a last slash.
    pub(crate) fn base(&self) -> &str {
        let own = match self.platform {
            Platform::Weixin => "https://api.weixin.qq.com",
            Platform::Qq => "https://api.q.qq.com",
            Platform::Toutiao => "https://developer.toutiao.com",
            Platform::Kuaishou => "https://open.kuaishou.com",
            Platform::Baidu => "https://spapi.baidu.com",
            Platform::Alipay => "https://openapi.alipay.com",
        };
        if self.url.is_empty() { own } else { self.url.trim_end_matches('/') }
    }
}
