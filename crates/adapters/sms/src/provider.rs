//! One provider: its language, its limits, and how it does.

use std::sync::Arc;
use std::time::{Duration, Instant};

use async_trait::async_trait;
use metrics::{counter, gauge, histogram};
use mobile_bind_domain::ports::{Accepted, Clock, Randomness, SendFailure, SmsSender, TextMessage};
use tracing::{debug, warn};

use crate::breaker::{Breaker, Health};
use crate::bulkhead::Bulkhead;
use crate::config::{BadConfig, ProviderConfig};
use crate::exchange::{Fault, OutgoingRequest, Vendor};
use crate::http_client::{HttpClient, Stamps};
use crate::number::international;

const SENDS: &str = "mobile_bind_sms_provider_sends_total";
const DURATION: &str = "mobile_bind_sms_provider_duration_seconds";
const HEALTH: &str = "mobile_bind_sms_provider_health";

/// Tells the recorder in force what the metrics of this crate mean.
pub fn describe_metrics() {
    metrics::describe_counter!(SENDS, "Messages offered to each SMS provider, by what became of them.");
    metrics::describe_histogram!(DURATION, metrics::Unit::Seconds, "How long each SMS provider took to answer.");
    metrics::describe_gauge!(HEALTH, "Circuit breaker of each SMS provider: 1 closed, 0.5 half open, 0 open.");
}

/// What every provider shares.
#[derive(Clone)]
pub struct Shared {
    /// The HTTP client.
    pub client: HttpClient,
    /// The time.
    pub clock: Arc<dyn Clock>,
    /// What nonces are drawn from.
    pub randomness: Arc<dyn Randomness>,
}

/// A provider that is ready to send.
pub struct Provider {
    name: String,
    config: ProviderConfig,
    vendor: Box<dyn Vendor>,
    client: HttpClient,
    stamps: Stamps,
    bulkhead: Bulkhead,
    breaker: Breaker,
}

impl Provider {
    /// A provider by the operator's name for it.
    ///
    /// # Errors
    /// With the setting that cannot be used.
    pub fn new(name: &str, config: ProviderConfig, shared: &Shared) -> Result<Self, BadConfig> {
        let vendor = config.vendor()?;
        let clock = Arc::clone(&shared.clock);
        Ok(Self {
            name: name.to_owned(),
            vendor,
            client: shared.client.clone(),
            stamps: Stamps { clock: Arc::clone(&clock), randomness: Arc::clone(&shared.randomness) },
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
        let (countries, purposes) = (&self.config.countries, &self.config.purposes);
        let country = countries.is_empty() || countries.iter().any(|code| number.starts_with(code.as_str()));
        country && (purposes.is_empty() || purposes.iter().any(|name| name == message.purpose.name()))
    }

    /// The request that would send the message now, credentials and all.
    #[must_use]
    pub fn request(&self, message: &TextMessage) -> OutgoingRequest {
        self.vendor.request(message, &self.stamps.next())
    }

    #[cfg(test)]
    pub(crate) fn shorten(&mut self, timeout: Duration) {
        self.config.timeout = timeout;
    }

    async fn exchange(&self, message: &TextMessage) -> Result<String, Fault> {
        let answer = self.client.post(&self.request(message), self.config.timeout).await?;
        self.vendor.read(&answer)
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
        let sent = self.exchange(&message).await;
        let failure = sent.as_ref().err().map(|fault| fault.failure);
        // A provider that refuses does its work; one that cannot be reached, or leaves open what it did, does not.
        attempt.end(!matches!(failure, Some(SendFailure::Unavailable | SendFailure::Unknown)));
        self.note(outcome(failure), Some(start.elapsed()));
        match sent {
            Ok(id) => {
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
