//! Messages as they are stored. Number and id stand in the key, and here as well: what leads to a message is made of them.

use std::net::IpAddr;

use mobile_bind_domain::outbox::{Attempt, AttemptOutcome, MessageId, MessageState, SealedCode};
use mobile_bind_domain::ports::Purpose;
use mobile_bind_domain::{Client, Installation, KeyId, Language, MessageKey, Mobile, OutboxMessage, Timestamp};
use serde::{Deserialize, Serialize};

use super::Record;

#[derive(Serialize, Deserialize)]
pub(crate) enum StoredMessage<'a> {
    #[serde(borrow)]
    V1(MessageV1<'a>),
}

#[derive(Serialize, Deserialize)]
pub(crate) struct MessageV1<'a> {
    mobile: &'a str,
    id: [u8; 16],
    #[serde(borrow)]
    client: StoredClient<'a>,
    /// 1 bind.
    purpose: u8,
    /// 1 zh, 2 en, 3 cht, 4 spa.
    language: u8,
    /// 1 queued, 2 handed over, 3 unknown, 4 accepted, 5 failed, 6 delivered.
    state: u8,
    error: &'a str,
    /// The id of the key that the code was sealed with, and what was sealed.
    sealed: Option<(&'a str, &'a [u8])>,
    attempts: Vec<AttemptV1<'a>>,
    queued_at: u64,
    changed_at: u64,
    expires_at: u64,
    due_at: Option<u64>,
    keep_until: u64,
}

#[derive(Serialize, Deserialize)]
enum StoredClient<'a> {
    Installation(&'a str),
    Address(IpAddr),
}

#[derive(Serialize, Deserialize)]
struct AttemptV1<'a> {
    provider: &'a str,
    reference: &'a str,
    /// 1 accepted, 2 delivered, 3 undelivered, 4 refused, 5 limited, 6 unavailable, 7 unknown.
    outcome: u8,
    at: u64,
}

/// Counts from 1, in the order of the list.
fn number<T: PartialEq>(all: &[T], value: &T) -> u8 {
    let place = all.iter().position(|known| known == value).unwrap_or_default();
    u8::try_from(place + 1).unwrap_or(u8::MAX)
}

fn numbered<T: Copy>(all: &[T], number: u8) -> Option<T> {
    all.get(usize::from(number).checked_sub(1)?).copied()
}

const LANGUAGES: [Language; 4] = [Language::Zh, Language::En, Language::Cht, Language::Spa];

fn stored_attempt(attempt: &Attempt) -> AttemptV1<'_> {
    AttemptV1 {
        provider: &attempt.provider,
        reference: &attempt.reference,
        outcome: number(&AttemptOutcome::ALL, &attempt.outcome),
        at: attempt.at.as_millis(),
    }
}

impl Record for OutboxMessage {
    const KIND: &'static str = "message";
    type Stored<'a> = StoredMessage<'a>;

    fn to_stored(&self) -> StoredMessage<'_> {
        StoredMessage::V1(MessageV1 {
            mobile: self.key.mobile.as_str(),
            id: self.key.id.0,
            client: match &self.client {
                Client::Installation(installation) => StoredClient::Installation(installation.as_str()),
                Client::Address(block) => StoredClient::Address(block.first()),
            },
            purpose: number(&Purpose::ALL, &self.purpose),
            language: number(&LANGUAGES, &self.language),
            state: number(&MessageState::ALL, &self.state),
            error: &self.error,
            sealed: self.sealed.as_ref().map(|sealed| (sealed.key.as_str(), &*sealed.bytes)),
            attempts: self.attempts.iter().map(stored_attempt).collect(),
            queued_at: self.queued_at.as_millis(),
            changed_at: self.changed_at.as_millis(),
            expires_at: self.expires_at.as_millis(),
            due_at: self.due_at.map(Timestamp::as_millis),
            keep_until: self.keep_until.as_millis(),
        })
    }

    fn from_stored(stored: StoredMessage<'_>) -> Option<Self> {
        let StoredMessage::V1(stored) = stored;
        let attempt = |stored: AttemptV1<'_>| {
            Some(Attempt {
                provider: stored.provider.into(),
                reference: stored.reference.into(),
                outcome: numbered(&AttemptOutcome::ALL, stored.outcome)?,
                at: Timestamp::from_millis(stored.at),
            })
        };
        let sealed = |(key, bytes): (&str, &[u8])| Some(SealedCode { key: KeyId::new(key)?, bytes: bytes.into() });
        Some(Self {
            key: MessageKey { mobile: Mobile::restore(stored.mobile)?, id: MessageId(stored.id) },
            client: match stored.client {
                StoredClient::Installation(installation) => Client::Installation(Installation::new(installation)?),
                StoredClient::Address(address) => Client::Address(address.into()),
            },
            purpose: numbered(&Purpose::ALL, stored.purpose)?,
            language: numbered(&LANGUAGES, stored.language)?,
            state: numbered(&MessageState::ALL, stored.state)?,
            error: stored.error.into(),
            sealed: match stored.sealed {
                Some(stored) => Some(sealed(stored)?),
                None => None,
            },
            attempts: stored.attempts.into_iter().map(attempt).collect::<Option<_>>()?,
            queued_at: Timestamp::from_millis(stored.queued_at),
            changed_at: Timestamp::from_millis(stored.changed_at),
            expires_at: Timestamp::from_millis(stored.expires_at),
            due_at: stored.due_at.map(Timestamp::from_millis),
            keep_until: Timestamp::from_millis(stored.keep_until),
        })
    }
}
