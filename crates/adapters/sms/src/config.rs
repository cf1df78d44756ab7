//! What an operator says of a provider, and whether it will do.

use std::collections::BTreeMap;
use std::net::Ipv4Addr;
use std::sync::Arc;
use std::time::Duration;

use mobile_bind_domain::Quota;
use mobile_bind_domain::ports::Purpose;

use crate::callback::CallbackConfig;
use crate::examination::Endpoint;
use crate::exchange::Vendor;
use crate::http_client::CONNECT_TIMEOUT;
use crate::secret::Secret;
use crate::smpp::{Receipts, Smpp, SmppAccount};
use crate::vendors::aliyun::{self, Aliyun};
use crate::vendors::tencent::{self, Tencent};
use crate::vendors::twilio::{self, Twilio};
use crate::vendors::webhook::{SigningKey, Webhook};
use crate::wording::{LANGUAGES, Templates, Texts};

/// Whose language a provider speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Aliyun SMS.
    Aliyun,
    /// Tencent Cloud SMS.
    Tencent,
    /// Twilio.
    Twilio,
    /// A webhook of the operator's own.
    Webhook,
    /// A message centre that speaks SMPP 3.4.
    Smpp,
}

/// A provider as it is configured. Texts that a kind has no use for are empty.
#[derive(Clone, Debug)]
pub struct ProviderConfig {
    /// Whose language it speaks.
    pub kind: Kind,
    /// Where it is: `https://host[:port]`, for a webhook with a path, for SMPP `smpps://host[:port]`;
    /// empty for the vendor's own.
    pub url: String,
    /// AccessKey id, SecretId, Account SID or system id.
    pub account: String,
    /// AccessKey secret, SecretKey, Auth Token, a webhook's `whsec_…`, or the password.
    pub secret: Secret,
    /// The signature (Aliyun, Tencent), or the number, sender id or messaging service (Twilio, SMPP).
    pub from: String,
    /// Tencent's SmsSdkAppId.
    pub app_id: String,
    /// Tencent's region.
    pub region: String,
    /// By purpose and language: ids of approved templates (Aliyun, Tencent), or texts with `{code}` and `{minutes}`.
    pub templates: BTreeMap<String, BTreeMap<String, String>>,
    /// What is put in an approved template: `name={code}` (Aliyun), or `{code}` in the order of its places (Tencent).
    pub parameters: Vec<String>,
    /// The site that a text's last line binds the code to; empty for none.
    pub domain: String,
    /// The calling code of numbers that name no country.
    pub home: String,
    /// How long one message may take, connection and all.
    pub timeout: Duration,
    /// Messages on their way at once.
    pub max_in_flight: usize,
    /// Messages in a time.
    pub rate: Vec<Quota>,
    /// The calling codes that it serves; empty for all.
    pub countries: Vec<String>,
    /// The purposes that it serves; empty for all.
    pub purposes: Vec<String>,
    /// Lower ranks are tried first.
    pub rank: u16,
    /// Its share of the messages among those of its rank.
    pub weight: u32,
    /// What a segment costs, in millionths of the operator's currency.
    pub price: u64,
    /// The same by calling code, where it is another.
    pub prices: BTreeMap<String, u64>,
    /// How its calls with receipts are known.
    pub callbacks: CallbackConfig,
    /// Whether it may be spoken to without TLS on another machine.
    pub plain_http: bool,
}

/// A provider that cannot be used as it is configured.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{key} {problem}")]
pub struct BadConfig {
    /// Which of its settings.
    pub key: &'static str,
    /// What is wrong with it.
    pub problem: String,
}

impl BadConfig {
    fn new(key: &'static str, problem: impl Into<String>) -> Self {
        Self { key, problem: problem.into() }
    }
}

impl ProviderConfig {
    /// Whether it will do.
    ///
    /// # Errors
    /// With the setting that cannot be used.
    pub fn check(&self) -> Result<(), BadConfig> {
        match self.kind {
            Kind::Smpp => self.smpp(Arc::new(|_| {})).map(drop),
            _ => self.vendor().map(drop),
        }
    }

    /// Whether it is there for messages of a purpose, and has the words for them. Vendors that keep the templates send
    /// nothing else.
    #[must_use]
    pub fn serves(&self, purpose: Purpose) -> bool {
        let of_purpose = self.templates.get(purpose.name());
        let has_words = match self.kind {
            Kind::Aliyun | Kind::Tencent => of_purpose.is_some_and(|templates| !templates.is_empty()),
            Kind::Twilio | Kind::Webhook | Kind::Smpp => true,
        };
        has_words && (self.purposes.is_empty() || self.purposes.iter().any(|name| name == purpose.name()))
    }

    /// Looks at everything that all kinds have, and at what this one must and must not have.
    fn check_keys(&self) -> Result<(), BadConfig> {
        self.callbacks.check(self.kind)?;
        for (key, given, needed) in self.needs() {
            match (given, needed) {
                (false, Some(true)) => return Err(BadConfig::new(key, "is missing")),
                (true, None) => return Err(BadConfig::new(key, "has no meaning for this kind")),
                _ => {}
            }
        }
        if self.timeout <= CONNECT_TIMEOUT {
            let least = CONNECT_TIMEOUT.as_millis() + 1;
            return Err(BadConfig::new(
                "timeout_ms",
                format!("must be at least {least}: a connection may take so long"),
            ));
        }
        if self.max_in_flight == 0 {
            return Err(BadConfig::new("max_in_flight", "must be at least 1"));
        }
        if self.weight == 0 {
            return Err(BadConfig::new("weight", "must be at least 1"));
        }
        if self.countries.iter().chain([&self.home]).chain(self.prices.keys()).any(|code| !is_calling_code(code)) {
            return Err(BadConfig::new("countries", "must be calling codes in digits, such as \"86\""));
        }
        if let Some(unknown) = self.purposes.iter().chain(self.templates.keys()).find(|name| !is_purpose(name)) {
            let known = Purpose::ALL.map(Purpose::name).join(", ");
            return Err(BadConfig::new("purposes", format!("and templates know no '{unknown}', only: {known}")));
        }
        let languages = self.templates.values().flat_map(BTreeMap::keys);
        if let Some(unknown) = languages.into_iter().find(|name| !LANGUAGES.contains(&name.as_str())) {
            let known = LANGUAGES.join(", ");
            return Err(BadConfig::new("templates", format!("know no language '{unknown}', only: {known}")));
        }
        let texts = [&self.account, &self.from, &self.app_id, &self.region];
        if texts.iter().any(|text| text.contains(char::is_control)) || self.secret.expose().contains(char::is_control) {
            return Err(BadConfig::new("account", "and its like must have no line breaks or other control characters"));
        }
        Ok(())
    }

    /// Each key, whether it is given, and whether this kind needs it: yes, no matter (`false`), or it has no use for it.
    fn needs(&self) -> [(&'static str, bool, Option<bool>); 9] {
        let (yes, maybe, no) = (Some(true), Some(false), None);
        let needed: [Option<bool>; 9] = match self.kind {
            Kind::Aliyun => [maybe, yes, yes, yes, no, no, yes, yes, no],
            Kind::Tencent => [maybe, yes, yes, yes, yes, maybe, yes, yes, no],
            Kind::Twilio => [maybe, yes, yes, yes, no, no, maybe, no, maybe],
            Kind::Webhook => [yes, no, yes, no, no, no, maybe, no, maybe],
            Kind::Smpp => [yes, yes, yes, yes, no, no, maybe, no, maybe],
        };
        let [url, account, secret, from, app_id, region, templates, parameters, domain] = needed;
        [
            ("url", !self.url.is_empty(), url),
            ("account", !self.account.is_empty(), account),
            ("secret", !self.secret.is_empty(), secret),
            ("from", !self.from.is_empty(), from),
            ("app_id", !self.app_id.is_empty(), app_id),
            ("region", !self.region.is_empty(), region),
            ("templates", !self.templates.values().all(BTreeMap::is_empty), templates),
            ("parameters", !self.parameters.is_empty(), parameters),
            ("domain", !self.domain.is_empty(), domain),
        ]
    }

    /// The vendor's language, spoken by this account.
    pub(crate) fn vendor(&self) -> Result<Box<dyn Vendor>, BadConfig> {
        self.check_keys()?;
        let (url, host) = self.place()?;
        let templates = Templates(self.templates.clone());
        let texts = Texts { templates: templates.clone(), domain: self.domain.clone() };
        let (secret, home, from) = (self.secret.clone(), self.home.clone(), self.from.clone());
        Ok(match self.kind {
            Kind::Aliyun => Box::new(Aliyun {
                url,
                host,
                access_key_id: self.account.clone(),
                access_key_secret: secret,
                sign_name: from,
                templates,
                parameters: self.named_parameters()?,
                home,
            }),
            Kind::Tencent => Box::new(Tencent {
                url,
                host,
                secret_id: self.account.clone(),
                secret_key: secret,
                region: self.region.clone(),
                app_id: self.app_id.clone(),
                sign_name: from,
                templates,
                parameters: self.parameters.clone(),
                home,
            }),
            Kind::Twilio => Box::new(Twilio {
                url,
                account_sid: self.account.clone(),
                auth_token: secret,
                from,
                texts,
                home,
                callback: self.callbacks.url.clone(),
            }),
            Kind::Webhook => {
                let key = SigningKey::new(&secret);
                let key =
                    key.ok_or_else(|| BadConfig::new("secret", "must be base64 of at least 24 bytes, after whsec_"))?;
                Box::new(Webhook { url, key, texts, home })
            }
            Kind::Smpp => return Err(BadConfig::new("kind", "smpp is not spoken over HTTP")),
        })
    }

    /// The message centre, spoken to by this account.
    pub(crate) fn smpp(&self, receipts: Receipts) -> Result<Smpp, BadConfig> {
        self.check_keys()?;
        let bad = |problem: &str| BadConfig::new("url", problem);
        let url = reqwest::Url::parse(&self.url).map_err(|_| bad("is no URL: write smpps://HOST:PORT"))?;
        let host = url.host_str().filter(|host| !host.is_empty()).ok_or_else(|| bad("names no host"))?;
        let tls = match url.scheme() {
            "smpps" => true,
            "smpp" if self.plain_http || is_near(host) => false,
            "smpp" => {
                return Err(bad("must begin with smpps, but for a private address: codes would go out in the clear"));
            }
            _ => return Err(bad("must begin with smpps or smpp")),
        };
        if !matches!(url.path(), "" | "/") || url.query().is_some() || !url.username().is_empty() {
            return Err(bad("must be no more than smpps://HOST:PORT"));
        }
        let too_long = |key: &'static str, limit: usize| {
            BadConfig::new(key, format!("must be of {limit} ASCII characters at most"))
        };
        // SMPP 3.4 section 5.2.1, 5.2.2 and 5.2.8, without the closing zero.
        for (key, text, limit) in
            [("account", self.account.as_str(), 15), ("secret", self.secret.expose(), 8), ("from", &self.from, 20)]
        {
            if !text.is_ascii() || text.len() > limit {
                return Err(too_long(key, limit));
            }
        }
        let account = SmppAccount {
            host: host.trim_matches(['[', ']']).to_owned(),
            port: url.port().unwrap_or(if tls { SMPPS_PORT } else { SMPP_PORT }),
            tls,
            system_id: self.account.clone(),
            password: self.secret.clone(),
        };
        let texts = Texts { templates: Templates(self.templates.clone()), domain: self.domain.clone() };
        Ok(Smpp::new(account, self.from.clone(), texts, self.home.clone(), receipts))
    }

    /// Where the provider is.
    pub(crate) fn endpoint(&self) -> Result<Endpoint, BadConfig> {
        if self.kind == Kind::Smpp {
            return Ok(self.smpp(Arc::new(|_| {}))?.endpoint());
        }
        let (whole, _) = self.place()?;
        let url = reqwest::Url::parse(&whole).map_err(|_| BadConfig::new("url", "is no URL"))?;
        Ok(Endpoint {
            host: url.host_str().unwrap_or_default().trim_matches(['[', ']']).to_owned(),
            port: url.port_or_known_default().unwrap_or_default(),
            tls: url.scheme() == "https",
        })
    }

    fn named_parameters(&self) -> Result<Vec<(String, String)>, BadConfig> {
        let named = self.parameters.iter().map(|text| {
            let (name, value) = text.split_once('=')?;
            (!name.is_empty()).then(|| (name.to_owned(), value.to_owned()))
        });
        let problem = || BadConfig::new("parameters", "must be written NAME=VALUE, such as \"code={code}\"");
        named.collect::<Option<_>>().ok_or_else(problem)
    }

    /// The URL without its last slash, and the host as the `host` header has it.
    fn place(&self) -> Result<(String, String), BadConfig> {
        let own = match self.kind {
            Kind::Aliyun => aliyun::URL,
            Kind::Tencent => tencent::URL,
            Kind::Twilio => twilio::URL,
            Kind::Webhook | Kind::Smpp => "",
        };
        let text = if self.url.is_empty() { own } else { &self.url };
        let bad = |problem: &str| BadConfig::new("url", problem);
        let url = reqwest::Url::parse(text).map_err(|_| bad("is no URL: write https://HOST"))?;
        let host = url.host_str().ok_or_else(|| bad("names no host"))?;
        let local = matches!(host, "127.0.0.1" | "localhost" | "[::1]");
        match url.scheme() {
            "https" => {}
            "http" if local || self.plain_http => {}
            "http" => return Err(bad("must begin with https: codes and numbers would go out in the clear")),
            _ => return Err(bad("must begin with https")),
        }
        if !url.username().is_empty() || url.password().is_some() || url.fragment().is_some() {
            return Err(bad("must have neither credentials nor a fragment in it"));
        }
        if self.kind != Kind::Webhook && (url.path() != "/" || url.query().is_some()) {
            return Err(bad("must end with the host: the vendor's path is added"));
        }
        let host = url.port().map_or_else(|| host.to_owned(), |port| format!("{host}:{port}"));
        let whole = if self.kind == Kind::Webhook { url.as_str() } else { url.as_str().trim_end_matches('/') };
        Ok((whole.to_owned(), host))
    }
}

/// Registered with IANA for SMPP, and with TLS.
const SMPP_PORT: u16 = 2775;
const SMPPS_PORT: u16 = 3550;

/// Whether a host is this machine, or in a network of the operator's own (RFC 1918): lines to message centres are often
/// tunnels.
fn is_near(host: &str) -> bool {
    let near = |address: Ipv4Addr| address.is_loopback() || address.is_private();
    matches!(host, "localhost" | "[::1]") || host.parse().is_ok_and(near)
}

/// ITU-T E.164: one to three digits, the first of them not 0; some countries share one and are told apart by a few more.
fn is_calling_code(text: &str) -> bool {
    (1..=7).contains(&text.len()) && text.bytes().all(|digit| digit.is_ascii_digit()) && !text.starts_with('0')
}

fn is_purpose(name: &str) -> bool {
    Purpose::ALL.iter().any(|purpose| purpose.name() == name)
}

#[cfg(test)]
mod tests;
