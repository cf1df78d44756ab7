//! Binds that the shop's PHP has answered, played again on a copy: where would mobile-bind differ?
//!
//! nginx writes what came (`deploy/shopxo/shadow.conf`). The code that a user typed is the shop's, and nothing tells whether it was
//! right but that the shop bound: so only binds that the shop answered with a user are compared, each with a code that is right here.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use anyhow::{Context, Result, ensure};
use mobile_bind_domain::ports::Clock;
use mobile_bind_domain::{PlatformProof, Timestamp};
use mobile_bind_shopxo::ShopTokens;
use serde::Deserialize;
use serde_json::Value;

use crate::settings::{Environment, ProofSetting, Settings, SmsSenderName};
use crate::{App, Ports};

/// An answer that is longer holds a user: a refusal of ShopXO has some hundred bytes, a user more than a thousand.
const HOLDS_USER: u64 = 600;

/// A line of nginx's log.
#[derive(Debug, Deserialize)]
struct Logged {
    /// Seconds since the epoch.
    at: f64,
    address: std::net::IpAddr,
    target: String,
    #[serde(rename = "type")]
    content_type: String,
    body: String,
    /// Bytes of PHP's answer, as nginx has them: `-` where there was none.
    length: String,
}

impl Logged {
    fn holds_user(&self) -> bool {
        self.length.parse().is_ok_and(|length: u64| length > HOLDS_USER)
    }

    fn is(&self, action: &str) -> bool {
        let target = self.target.to_ascii_lowercase().replace("%2f", "/");
        let route = target.split(['?', '&']).filter_map(|pair| pair.strip_prefix("s=")).next_back().unwrap_or_default();
        route.trim_start_matches('/').trim_end_matches(".html") == action
    }
}

/// The time of the line that is played.
#[derive(Debug, Default)]
struct LoggedTime(AtomicU64);

impl Clock for LoggedTime {
    fn now(&self) -> Timestamp {
        Timestamp::from_millis(self.0.load(Ordering::SeqCst))
    }
}

impl LoggedTime {
    /// Time never goes back.
    fn reach(&self, seconds: f64) {
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "points in time after 1970")]
        let millis = (seconds * 1000.0) as u64;
        self.0.fetch_max(millis, Ordering::SeqCst);
    }
}

/// What came of a replay.
#[derive(Debug, Default)]
struct Outcome {
    alike: u64,
    not_compared: u64,
    unreadable: u64,
    /// By what mobile-bind answered: how often, and the first lines of the log.
    differences: BTreeMap<String, (u64, Vec<usize>)>,
}

impl Outcome {
    fn differs(&mut self, answer: &Value, line: usize) {
        let text = format!("{} {}", answer["code"], answer["msg"].as_str().unwrap_or_default());
        let (count, lines) = self.differences.entry(text).or_default();
        *count += 1;
        if lines.len() < 10 {
            lines.push(line);
        }
    }

    fn told(&self) -> String {
        let mut text = format!(
            "{} binds of the shop's would be bound here too\n{} requests were refused by the shop or are no binds: not compared\n",
            self.alike, self.not_compared
        );
        if self.unreadable > 0 {
            text += &format!("{} lines could not be read\n", self.unreadable);
        }
        for (answer, (count, lines)) in &self.differences {
            let lines: Vec<String> = lines.iter().map(ToString::to_string).collect();
            text += &format!("{count} binds would be refused here: {answer} (lines {})\n", lines.join(", "));
        }
        text
    }
}

/// The settings of a service that nobody but the replay speaks to, over the copy.
fn aside(settings: &Settings) -> Settings {
    let mut aside = Settings {
        listen: SocketAddr::from(([127, 0, 0, 1], 0)),
        environment: Environment::Development,
        platform_proof: match settings.proof() {
            PlatformProof::Trust => ProofSetting::Trust,
            PlatformProof::Required => ProofSetting::Required,
        },
        ..settings.clone()
    };
    aside.sms.sender = SmsSenderName::Fake;
    aside.sms.print = false;
    aside.server.trusted_proxies = vec!["127.0.0.1".to_owned()];
    aside.metrics.listen = String::new();
    aside.console.listen = String::new();
    aside.telemetry.otlp_endpoint = String::new();
    aside
}

/// Plays the log over the store that the settings name, which is a copy and is changed.
///
/// # Errors
/// Where the store is the shop's own database, or the log or the store cannot be used.
pub(crate) async fn shadow(settings: &Settings, log: &Path) -> Result<String> {
    ensure!(
        settings.store_address()?.starts_with("sled:"),
        "a shadow changes what it works on, so it takes a copy: mobile-bind store copy --from shopxo:… --to sled:FOLDER, and then \
         --store sled:FOLDER"
    );
    let text = std::fs::read_to_string(log).with_context(|| format!("cannot read {}", log.display()))?;
    let time = Arc::new(LoggedTime::default());
    let ports =
        Ports { clock: Some(Arc::clone(&time) as Arc<_>), tokens: Some(Arc::new(ShopTokens)), ..Ports::default() };
    let first = text.lines().find_map(|line| serde_json::from_str::<Logged>(line).ok());
    time.reach(first.map(|line| line.at).unwrap_or_default());
    let app = App::start(&aside(settings), ports).await?;
    let replay = Replay { http: reqwest::Client::builder().no_proxy().build()?, app: &app, time: &time };
    let mut outcome = Outcome::default();
    for (number, line) in text.lines().enumerate() {
        match serde_json::from_str::<Logged>(line) {
            Ok(logged) => replay.play(&logged, number + 1, &mut outcome).await?,
            Err(_) => outcome.unreadable += 1,
        }
    }
    app.stop().await?;
    Ok(outcome.told())
}

struct Replay<'a> {
    http: reqwest::Client,
    app: &'a App,
    time: &'a LoggedTime,
}

impl Replay<'_> {
    async fn play(&self, logged: &Logged, number: usize, outcome: &mut Outcome) -> Result<()> {
        self.time.reach(logged.at);
        if logged.is("user/appmobilebindverifysend") {
            self.send(logged, &logged.target, &logged.body).await?;
            outcome.not_compared += 1;
            return Ok(());
        }
        if !logged.is("user/appmobilebind") || !logged.holds_user() {
            outcome.not_compared += 1;
            return Ok(());
        }
        let Some(mut body) = parameters(logged) else {
            outcome.unreadable += 1;
            return Ok(());
        };
        let mobile = body.get("mobile").and_then(Value::as_str).unwrap_or_default().to_owned();
        let code = match self.code(&mobile) {
            Some(code) => code,
            None => {
                // Its code was sent before the log began. The last route in a query is the one that counts.
                let target = format!("{}&s=user/appmobilebindverifysend", logged.target);
                self.send(logged, &target, &logged.body).await?;
                self.code(&mobile).unwrap_or_default()
            }
        };
        body.insert("verify".to_owned(), code.into());
        let answer = self.post(logged, &logged.target, "application/json", Value::Object(body).to_string()).await?;
        if answer["code"] == 0 {
            outcome.alike += 1;
        } else {
            outcome.differs(&answer, number);
        }
        Ok(())
    }

    fn code(&self, mobile: &str) -> Option<String> {
        let newest = self.app.sms.messages(Some(mobile)).into_iter().next()?;
        Some(newest.code()?.digits().to_owned())
    }

    async fn send(&self, logged: &Logged, target: &str, body: &str) -> Result<Value> {
        self.post(logged, target, &logged.content_type, body.to_owned()).await
    }

    async fn post(&self, logged: &Logged, target: &str, content_type: &str, body: String) -> Result<Value> {
        let request = self.http.post(format!("http://{}{target}", self.app.address));
        let request =
            request.header("content-type", content_type).header("x-forwarded-for", logged.address.to_string());
        let text = request.body(body).send().await.context("the shadow gave no answer")?.text().await?;
        Ok(serde_json::from_str(&text).unwrap_or_default())
    }
}

/// The body's parameters, of JSON or a form.
fn parameters(logged: &Logged) -> Option<serde_json::Map<String, Value>> {
    if let Ok(Value::Object(body)) = serde_json::from_str(&logged.body) {
        return Some(body);
    }
    let url = reqwest::Url::parse(&format!("http://shop/?{}", logged.body)).ok()?;
    Some(url.query_pairs().map(|(name, value)| (name.into_owned(), value.into_owned().into())).collect())
}
