//! What operators see of messages: how many came how far, by provider and country.

use metrics::{Unit, counter, histogram};
use mobile_bind_domain::OutboxMessage;
use mobile_bind_domain::outbox::{AttemptOutcome, MessageState};
use mobile_bind_sms::country;

const MESSAGES: &str = "mobile_bind_sms_messages_total";
/// A histogram, of seconds to minutes.
pub(crate) const DELIVERY: &str = "mobile_bind_sms_delivery_duration_seconds";

/// Tells the recorder in force what the metrics of the outbox mean.
pub(crate) fn describe_metrics() {
    metrics::describe_counter!(
        MESSAGES,
        "Messages that came into a state, by state, provider, calling code of the country, and what they are for. A message \
         whose code was used counts as verified."
    );
    metrics::describe_histogram!(DELIVERY, Unit::Seconds, "How long messages took from the provider to the phone.");
}

/// Counts messages.
pub(crate) struct Measures {
    /// The calling code of numbers that name no country.
    home: String,
}

impl Measures {
    pub(crate) fn new(home: String) -> Self {
        Self { home }
    }

    /// A message came into the state that it is in.
    pub(crate) fn came_to(&self, message: &OutboxMessage) {
        self.count(message, message.state.name());
        if message.state == MessageState::Delivered
            && let Some(attempt) = message.attempts.iter().find(|attempt| attempt.outcome == AttemptOutcome::Delivered)
        {
            let took = message.changed_at.since(attempt.at);
            let country = country(&message.key.mobile, &self.home);
            histogram!(DELIVERY, "provider" => attempt.provider.to_string(), "country" => country).record(took);
        }
    }

    /// Its code was used.
    pub(crate) fn verified(&self, message: &OutboxMessage) {
        self.count(message, "verified");
    }

    fn count(&self, message: &OutboxMessage, state: &'static str) {
        // The provider that it came furthest with.
        let decisive = |outcome| message.attempts.iter().rev().find(|attempt| attempt.outcome == outcome);
        let attempt = decisive(AttemptOutcome::Delivered).or_else(|| decisive(AttemptOutcome::Accepted));
        let provider = attempt.or(message.attempts.last()).map_or("", |attempt| &*attempt.provider).to_owned();
        let country = country(&message.key.mobile, &self.home);
        let purpose = message.purpose.name();
        counter!(MESSAGES, "state" => state, "provider" => provider, "country" => country, "purpose" => purpose)
            .increment(1);
    }
}
