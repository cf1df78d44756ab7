//! One provider: its language, its limits, and how it does.

use std::sync::Arc;
use std::time::{Duration, Instant};

use async_trait::async_trait;
use metrics::{counter, gauge, histogram};
use mobile_bind_domain::ports::{Accepted, Clock, Randomness, SendFailure, SmsSender, TextMessage};
use tracing::{debug, warn};

use crate::breaker::{Breaker, Health};
use crate::bulkhead::Bulkhead;
use crate::callback::CallbackConfig;
use crate::config::{BadConfig, Kind, ProviderConfig};
use crate::dry_run::shown;
use crate::examination::Endpoint;
use crate::exchange::{Fault, Vendor};
use crate::http_client::{HttpClient, Stamps};
use crate::number::{country, international};
use crate::receipts::{Receipt, ReceiptState};
use crate::secret::Secret;
use crate::segments::segments;
use crate::smpp::Smpp;
use crate::wording::{Templates, Texts};

const SENDS: &str = "mobile_bind_sms_provider_sends_total";
const DURATION: &str = "mobile_bind_sms_provider_duration_seconds";
const RECEIPTS: &str = "mobile_bind_sms_provider_receipts_total";
const SEGMENTS: &str = "mobile_bind_sms_segments_total";
const COST: &str = "mobile_bind_sms_cost_micros_total";
const HEALTH: &str = "mobile_bind_sms_provider_health";

/// Tells the recorder in force what the metrics of this crate mean.
pub fn describe_metrics() {
    metrics::describe_counter!(SENDS, "Messages offered to each SMS provider, by what became of them.");
    metrics::describe_histogram!(DURATION, metrics::Unit::Seconds, "How long each SMS provider took to answer.");
    metrics::describe_counter!(RECEIPTS, "Receipts from SMS providers, by what became of the message.");
    metrics::describe_counter!(SEGMENTS, "Segments of accepted messages, by provider and calling code of the country.");
    metrics::describe_counter!(
        COST,
        "What accepted messages cost by the configured prices, in millionths of their currency, by provider and country."
    );
    metrics::describe_gauge!(HEALTH, "Circuit breaker of each SMS provider: 1 closed, 0.5 half open, 0 open.");
}

/// Hears of a receipt, with the name of the provider that it came from.
pub type HearReceipt = Arc<dyn Fn(&str, Receipt) + Send + Sync>;

/// What every provider shares.
#[derive(Clone)]
pub struct Shared {
    /// The HTTP client.
    pub client: HttpClient,
    /// The time.
    pub clock: Arc<dyn Clock>,
    /// What nonces are drawn from.
    pub randomness: Arc<dyn Randomness>,
    /// Who hears of receipts that come over a provider's own connection.
    pub receipts: HearReceipt,
}

/// How a provider is reached.
pub(crate) enum Line {
    Http(Box<dyn Vendor>, HttpClient, Stamps),
    Smpp(Box<Smpp>),
}

/// A provider that is ready to send.
pub struct Provider {
    name: String,
    config: ProviderConfig,
    line: Line,
    bulkhead: Bulkhead,
    breaker: Breaker,
}

impl Provider {
    /// A provider by the operator's name for it.
    ///
    /// # Errors
    /// With the setting that cannot be used.
    pub fn new(name: &str, config: ProviderConfig, shared: &Shared) -> Result<Self, BadConfig> {
        let clock = Arc::clone(&shared.clock);
        let line = if config.kind == Kind::Smpp {
            let (receipts, own_name) = (Arc::clone(&shared.receipts), name.to_owned());
            Line::Smpp(Box::new(config.smpp(Arc::new(move |receipt| {
                counter!(RECEIPTS, "provider" => own_name.clone(), "state" => state_name(receipt.state)).increment(1);
                receipts(&own_name, receipt);
            }))?))
        } else {
            let stamps = Stamps { clock: Arc::clone(&clock), randomness: Arc::clone(&shared.randomness) };
            Line::Http(config.vendor()?, shared.client.clone(), stamps)
        };
        Ok(Self {
            name: name.to_owned(),
            line,
            bulkhead: Bulkhead::new(config.max_in_flight, config.rate.clone(), Arc::clone(&clock)),
            breaker: Breaker::new(clock),
            config,
        })
    }

    /// The operator's name for it.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// How it does.
    #[must_use]
    pub fn health(&self) -> Health {
        self.breaker.health()
    }

    /// What kind it is.
    #[must_use]
    pub fn kind(&self) -> Kind {
        self.config.kind
    }

    /// Opens the connection of its own that it may have, and keeps it open: receipts come by it.
    pub fn keep_open(&self) {
        if let Line::Smpp(smpp) = &self.line {
            smpp.keep_open();
        }
    }

    /// What it costs to send a message, in millionths of the operator's currency, and in how many segments it goes.
    fn cost(&self, message: &TextMessage) -> (u64, u64) {
        let country = country(&message.mobile, &self.config.home);
        let price = self.config.prices.get(&country).copied().unwrap_or(self.config.price);
        let segments = match self.config.kind {
            // The vendor has the template, and does not tell how long it is.
            Kind::Aliyun | Kind::Tencent => 1,
            Kind::Twilio | Kind::Webhook | Kind::Smpp => {
                let templates = Templates(self.config.templates.clone());
                segments(&Texts { templates, domain: self.config.domain.clone() }.text(message))
            }
        };
        (price.saturating_mul(segments), segments)
    }

    fn note_cost(&self, message: &TextMessage) {
        let (cost, segments) = self.cost(message);
        let country = country(&message.mobile, &self.config.home);
        let labels = [("provider", self.name.clone()), ("country", country)];
        counter!(SEGMENTS, &labels).increment(segments);
        counter!(COST, &labels).increment(cost);
    }

    pub(crate) fn line(&self) -> &Line {
        &self.line
    }

    /// Where it is.
    pub(crate) fn endpoint(&self) -> Result<Endpoint, BadConfig> {
        self.config.endpoint()
    }

    pub(crate) fn callbacks(&self) -> &CallbackConfig {
        &self.config.callbacks
    }

    pub(crate) fn secret(&self) -> &Secret {
        &self.config.secret
    }

    pub(crate) fn note_receipt(&self, receipt: &Receipt) {
        counter!(RECEIPTS, "provider" => self.name.clone(), "state" => state_name(receipt.state)).increment(1);
    }

    /// Lower ranks are tried first.
    pub(crate) fn rank(&self) -> u16 {
        self.config.rank
    }

    /// Its share among those of its rank.
    pub(crate) fn weight(&self) -> u32 {
        self.config.weight
    }

    /// Whether it is there for such a message.
    #[must_use]
    pub fn serves(&self, message: &TextMessage) -> bool {
        let number = international(&message.mobile, &self.config.home);
        let countries = &self.config.countries;
        let country = countries.is_empty() || countries.iter().any(|code| number.starts_with(code.as_str()));
        country && self.config.serves(message.content.purpose())
    }

    /// What would be sent now, line by line, with what proves the sender's identity masked.
    #[must_use]
    pub fn preview(&self, message: &TextMessage) -> String {
        match &self.line {
            Line::Http(vendor, _, stamps) => shown(&vendor.request(message, &stamps.next())),
            Line::Smpp(smpp) => smpp.shown(message),
        }
    }

    #[cfg(test)]
    pub(crate) fn request(&self, message: &TextMessage) -> crate::exchange::OutgoingRequest {
        match &self.line {
            Line::Http(vendor, _, stamps) => vendor.request(message, &stamps.next()),
            Line::Smpp(_) => panic!("SMPP has no requests of this kind"),
        }
    }

    #[cfg(test)]
    pub(crate) fn shorten(&mut self, timeout: Duration) {
        self.config.timeout = timeout;
    }

    async fn exchange(&self, message: &TextMessage) -> Result<String, Fault> {
        match &self.line {
            Line::Http(vendor, client, stamps) => {
                let request = vendor.request(message, &stamps.next());
                vendor.read(&client.send(&request, self.config.timeout).await?)
            }
            Line::Smpp(smpp) => smpp.send(message, self.config.timeout).await,
        }
    }

    fn note(&self, outcome: &'static str, took: Option<Duration>) {
        counter!(SENDS, "provider" => self.name.clone(), "outcome" => outcome).increment(1);
        if let Some(took) = took {
            histogram!(DURATION, "provider" => self.name.clone()).record(took);
        }
        let health = match self.health() {
            Health::Closed => 1.0,
            Health::HalfOpen => 0.5,
            Health::Open => 0.0,
        };
        gauge!(HEALTH, "provider" => self.name.clone()).set(health);
    }
}

#[async_trait]
impl SmsSender for Provider {
    async fn send(&self, message: TextMessage) -> Result<Accepted, SendFailure> {
        let trail = message.trail.clone();
        trail.begin(&self.name);
        let sent = self.offer(&message).await;
        trail.end(sent.as_ref().map(|accepted| accepted.id.as_str()).map_err(|failure| *failure));
        sent
    }
}

impl Provider {
    async fn offer(&self, message: &TextMessage) -> Result<Accepted, SendFailure> {
        let Some(attempt) = self.breaker.enter() else {
            self.note("resting", None);
            return Err(SendFailure::Unavailable);
        };
        let Some(_place) = self.bulkhead.enter() else {
            attempt.withdraw();
            self.note("over_own_limit", None);
            return Err(SendFailure::Limited);
        };
        let start = now();
        let sent = self.exchange(message).await;
        let failure = sent.as_ref().err().map(|fault| fault.failure);
        // A provider that refuses does its work; one that cannot be reached, or leaves open what it did, does not.
        attempt.end(!matches!(failure, Some(SendFailure::Unavailable | SendFailure::Unknown)));
        self.note(outcome(failure), Some(start.elapsed()));
        match sent {
            Ok(id) => {
                self.note_cost(message);
                debug!(provider = self.name, id, mobile = %message.mobile, "accepted");
                Ok(Accepted { provider: self.name.clone(), id })
            }
            Err(Fault { failure, code }) => {
                warn!(provider = self.name, code, mobile = %message.mobile, "not accepted: {failure}");
                Err(failure)
            }
        }
    }
}

fn state_name(state: ReceiptState) -> &'static str {
    match state {
        ReceiptState::Delivered => "delivered",
        ReceiptState::Failed => "failed",
        ReceiptState::Pending => "pending",
    }
}

fn outcome(failure: Option<SendFailure>) -> &'static str {
    match failure {
        None => "accepted",
        Some(SendFailure::Refused) => "refused",
        Some(SendFailure::Limited) => "limited",
        Some(SendFailure::Unavailable) => "unavailable",
        Some(SendFailure::Unknown) => "unknown",
    }
}

#[expect(clippy::disallowed_methods, reason = "how long an answer took is told to operators; no rule depends on it")]
fn now() -> Instant {
    Instant::now()
}
