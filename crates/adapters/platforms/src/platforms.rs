//! The platforms that are configured, behind the port.

use std::collections::BTreeMap;
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use async_trait::async_trait;
use metrics::{Unit, counter, describe_counter, describe_histogram, histogram};
use mobile_bind_domain::ports::{Clock, NumberEvidence, PlatformFailure, PlatformUser, Platforms, VouchedNumber};
use mobile_bind_domain::{Identity, OpenId, Platform, Timestamp, UnionId};
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::sync::Mutex;
use tracing::warn;
use zeroize::Zeroizing;

use crate::config::{BadConfig, PlatformConfig};
use crate::encrypted::{self, PhoneInfo};
use crate::http_client::{HttpClient, Outgoing};
use crate::sealing::{Owner, SealingKeys};
use crate::vendors::{self, Answered, failure};

const REQUESTS: &str = "mobile_bind_platform_requests_total";
const DURATION: &str = "mobile_bind_platform_request_duration_seconds";

/// A token is fetched anew so long before it ends.
const TOKEN_MARGIN: Duration = Duration::from_secs(300);

/// Tells the recorder in force what the metrics of this crate mean.
pub fn describe_metrics() {
    describe_counter!(REQUESTS, "Requests to platforms, by platform, what was asked, and what became of it.");
    describe_histogram!(DURATION, Unit::Seconds, "How long platforms took to answer, by platform.");
}

/// What all platforms share.
#[derive(Clone)]
pub struct Shared {
    /// Tells the time.
    pub clock: Arc<dyn Clock>,
    /// Seals session keys.
    pub keys: SealingKeys,
}

/// The mini-programs of all platforms that are configured.
pub struct MiniPrograms {
    apps: BTreeMap<Platform, App>,
    /// Made when it is needed: it reads the machine's certificates.
    client: OnceLock<HttpClient>,
    shared: Shared,
}

struct App {
    config: PlatformConfig,
    /// WeChat's access token, and when it ends.
    token: Mutex<Option<(Zeroizing<String>, Timestamp)>>,
}

impl MiniPrograms {
    /// The mini-programs of these platforms.
    ///
    /// # Errors
    /// Where one is not configured well.
    pub fn new(configs: Vec<PlatformConfig>, shared: Shared) -> Result<Self, BadConfig> {
        let mut apps = BTreeMap::new();
        for config in configs {
            config.check()?;
            seen_from_the_start(config.platform);
            apps.insert(config.platform, App { config, token: Mutex::default() });
        }
        Ok(Self { apps, client: OnceLock::new(), shared })
    }

    fn app(&self, platform: Platform) -> Result<&App, PlatformFailure> {
        self.apps.get(&platform).ok_or(PlatformFailure::NotConfigured)
    }

    async fn ask(&self, config: &PlatformConfig, request: &Outgoing) -> Result<Vec<u8>, PlatformFailure> {
        let client = match self.client.get() {
            Some(client) => client,
            None => {
                let made = HttpClient::new().map_err(|error| {
                    warn!(%error, "platforms cannot be asked: no HTTP client can be made");
                    PlatformFailure::Unavailable
                });
                let made = made?;
                self.client.get_or_init(|| made)
            }
        };
        let began = now();
        let answer = client.send(request, config.timeout).await;
        histogram!(DURATION, "platform" => config.platform.name()).record(began.elapsed());
        answer
    }

    async fn exchange(&self, platform: Platform, code: &str) -> Result<PlatformUser, PlatformFailure> {
        let config = &self.app(platform)?.config;
        let request = vendors::request(config, code, self.shared.clock.now())?;
        let body = self.ask(config, &request).await?;
        let Answered { openid, unionid, session_key } = vendors::read(config, &body)?;
        let owner = Owner { platform, app: &config.app_id, openid: &openid };
        let session_key = if session_key.is_empty() { None } else { self.shared.keys.seal(&session_key, owner) };
        let openid = OpenId::new(&openid).ok_or(PlatformFailure::Unreadable)?;
        Ok(PlatformUser { openid, unionid: UnionId::new(&unionid), session_key })
    }

    async fn number(
        &self,
        identity: &Identity,
        evidence: NumberEvidence<'_>,
    ) -> Result<VouchedNumber, PlatformFailure> {
        let app = self.app(identity.platform)?;
        let config = &app.config;
        match evidence {
            NumberEvidence::Code(code) if identity.platform == Platform::Weixin => self.number_of_code(app, code).await,
            NumberEvidence::Encrypted { data, iv, session_key } => {
                let owner =
                    Owner { platform: identity.platform, app: &config.app_id, openid: identity.openid.as_str() };
                let key = self.shared.keys.open(session_key, owner).ok_or(PlatformFailure::Stale)?;
                let number = match identity.platform {
                    Platform::Weixin | Platform::Qq | Platform::Toutiao => {
                        encrypted::number(&key, iv, data, &config.app_id)
                    }
                    Platform::Baidu => encrypted::baidu_number(&key, iv, data, &config.app_key),
                    Platform::Alipay | Platform::Kuaishou => return Err(PlatformFailure::NotOffered),
                };
                number.ok_or(PlatformFailure::Stale)
            }
            NumberEvidence::Code(_) => Err(PlatformFailure::NotOffered),
        }
    }

    /// <https://developers.weixin.qq.com/miniprogram/dev/OpenApiDoc/user-info/phone-number/getPhoneNumber.html>
    async fn number_of_code(&self, app: &App, code: &str) -> Result<VouchedNumber, PlatformFailure> {
        let config = &app.config;
        let url = format!("{}/wxa/business/getuserphonenumber", config.base());
        let mut refused = None;
        loop {
            let token = self.access_token(app, refused.as_ref()).await?;
            let url =
                format!("{url}?access_token={}", form_urlencoded::byte_serialize(token.as_bytes()).collect::<String>());
            let body = self.ask(config, &Outgoing::post_json(url, &json!({ "code": code }))).await?;
            let answer: PhoneAnswer = vendors::parsed(&body)?;
            match answer.errcode {
                // A token that ended before its time, since another was fetched: the code is not used up by that.
                40001 | 40014 | 42001 if refused.is_none() => refused = Some(token),
                errcode => {
                    failure::tencent(Platform::Weixin, errcode).map_or(Ok(()), Err)?;
                    let info = answer.phone_info.ok_or(PlatformFailure::Unreadable)?;
                    return info.vouched(&config.app_id).ok_or(PlatformFailure::Unreadable);
                }
            }
        }
    }

    /// WeChat's access token: the one that is known, unless it has ended or was refused. One at a time fetches another.
    async fn access_token(
        &self,
        app: &App,
        refused: Option<&Zeroizing<String>>,
    ) -> Result<Zeroizing<String>, PlatformFailure> {
        let mut known = app.token.lock().await;
        let now = self.shared.clock.now();
        if let Some((token, ends_at)) = known.as_ref()
            && now < *ends_at
            && Some(token) != refused
        {
            return Ok(token.clone());
        }
        let config = &app.config;
        let (id, secret) = (config.app_id.as_str(), config.secret.expose());
        let query = [("grant_type", "client_credential"), ("appid", id), ("secret", secret)];
        let body = self.ask(config, &Outgoing::get(&format!("{}/cgi-bin/token", config.base()), &query)).await?;
        let answer: TokenAnswer = vendors::parsed(&body)?;
        failure::tencent(Platform::Weixin, answer.errcode).map_or(Ok(()), Err)?;
        if answer.access_token.is_empty() {
            return Err(PlatformFailure::Unreadable);
        }
        let lifetime = u64::try_from(vendors::integer(&answer.expires_in)).unwrap_or_default();
        let lifetime = Duration::from_secs(lifetime).saturating_sub(TOKEN_MARGIN);
        let token = Zeroizing::new(answer.access_token);
        *known = Some((token.clone(), now.after(lifetime)));
        Ok(token)
    }
}

#[derive(Deserialize)]
struct PhoneAnswer {
    #[serde(default)]
    errcode: i64,
    phone_info: Option<PhoneInfo>,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct TokenAnswer {
    errcode: i64,
    access_token: String,
    expires_in: Value,
}

#[async_trait]
impl Platforms for MiniPrograms {
    async fn log_in(&self, platform: Platform, code: &str) -> Result<PlatformUser, PlatformFailure> {
        counted(platform, LOG_IN, self.exchange(platform, code).await)
    }

    async fn vouch(&self, identity: &Identity, evidence: NumberEvidence<'_>) -> Result<VouchedNumber, PlatformFailure> {
        counted(identity.platform, NUMBER, self.number(identity, evidence).await)
    }
}

const LOG_IN: &str = "log_in";
const NUMBER: &str = "number";
/// What is alarming, and what says that all is well.
const WATCHED: [Result<(), PlatformFailure>; 5] = [
    Ok(()),
    Err(PlatformFailure::Stale),
    Err(PlatformFailure::AppRefused),
    Err(PlatformFailure::Unavailable),
    Err(PlatformFailure::Unreadable),
];

/// A rate sees only what has been there before, and an alert must see the first failure.
fn seen_from_the_start(platform: Platform) {
    for (operation, outcome) in [LOG_IN, NUMBER].into_iter().flat_map(|one| WATCHED.map(|outcome| (one, outcome))) {
        counter!(REQUESTS, "platform" => platform.name(), "operation" => operation, "outcome" => name(&outcome))
            .increment(0);
    }
}

fn name<T>(outcome: &Result<T, PlatformFailure>) -> &'static str {
    match outcome {
        Ok(_) => "answered",
        Err(PlatformFailure::NotConfigured) => "not_configured",
        Err(PlatformFailure::NotOffered) => "not_offered",
        Err(PlatformFailure::Stale) => "stale",
        Err(PlatformFailure::Blocked) => "blocked",
        Err(PlatformFailure::Busy) => "busy",
        Err(PlatformFailure::AppRefused) => "app_refused",
        Err(PlatformFailure::Unavailable) => "unavailable",
        Err(PlatformFailure::Unreadable) => "unreadable",
    }
}

fn counted<T>(
    platform: Platform,
    operation: &'static str,
    outcome: Result<T, PlatformFailure>,
) -> Result<T, PlatformFailure> {
    let name = name(&outcome);
    counter!(REQUESTS, "platform" => platform.name(), "operation" => operation, "outcome" => name).increment(1);
    if matches!(outcome, Err(PlatformFailure::AppRefused | PlatformFailure::Unavailable | PlatformFailure::Unreadable))
    {
        warn!(platform = platform.name(), operation, outcome = name, "a platform did not do what it was asked");
    }
    outcome
}

#[expect(clippy::disallowed_methods, reason = "how long an answer took is told to operators; no rule depends on it")]
fn now() -> Instant {
    Instant::now()
}
