//! What became of the messages to a number, for operators: all that is kept of them, with whatever names a person masked.

use std::fmt::Write;

use anyhow::{Context, Result};
use mobile_bind_domain::outbox::MessageId;
use mobile_bind_domain::{Client, Language, OutboxMessage, Service, Timestamp};
use mobile_bind_http::rfc3339;

/// How many messages are told of.
const LATEST: usize = 100;
/// How much of a `uuid` is shown.
const SHOWN: usize = 4;

/// Tells of the last messages to a number, newest first.
///
/// # Errors
/// Where the number is none, or the store is unavailable.
pub(crate) async fn told(service: &Service, mobile: &str) -> Result<String> {
    let mobile =
        service.policy.get().mobile_rule.parse(mobile).context("the number is not one that mobile_pattern takes")?;
    let messages = service.store.messages_to(&mobile, LATEST).await?;
    if messages.is_empty() {
        return Ok(format!("no message to {} is kept\n", mobile.masked()));
    }
    Ok(messages.iter().map(|found| one(&found.value)).collect())
}

fn one(message: &OutboxMessage) -> String {
    let MessageId(id) = message.key.id;
    let mut text = format!(
        "{} to {}: {}, {}\n  for {}, asked by {}, in {}; queued {}, {} until {}\n",
        data_encoding::HEXLOWER.encode(&id),
        message.key.mobile.masked(),
        message.state.name(),
        at(message.changed_at),
        message.purpose.name(),
        client(&message.client),
        language(message.language),
        at(message.queued_at),
        if message.purpose.brings_a_code() { "its code good" } else { "worth telling" },
        at(message.expires_at),
    );
    // Writing to a text cannot fail.
    if !message.error.is_empty() {
        let _ = writeln!(text, "  error: {}", message.error);
    }
    if let Some(due) = message.due_at {
        let _ = writeln!(text, "  looked at again {}", at(due));
    }
    for attempt in &message.attempts {
        let provider = if attempt.provider.is_empty() { "a provider that is not known" } else { &attempt.provider };
        let (outcome, asked) = (attempt.outcome.name(), at(attempt.at));
        let _ = write!(text, "  {asked} {provider}: {outcome}");
        if !attempt.reference.is_empty() {
            // It is the provider's text: a terminal must not act on it.
            let _ = write!(text, ", id {}", attempt.reference.escape_debug());
        }
        text.push('\n');
    }
    text
}

fn client(client: &Client) -> String {
    match client {
        Client::Installation(installation) => {
            let shown: String = installation.as_str().chars().take(SHOWN).collect();
            format!("uuid {shown}***")
        }
        Client::Address(_) => "an address".to_owned(),
    }
}

fn language(language: Language) -> &'static str {
    match language {
        Language::Zh => "simplified Chinese",
        Language::En => "English",
        Language::Cht => "traditional Chinese",
        Language::Spa => "Spanish",
    }
}

/// To the second.
fn at(at: Timestamp) -> String {
    rfc3339(Timestamp::from_seconds(at.as_seconds()))
}
