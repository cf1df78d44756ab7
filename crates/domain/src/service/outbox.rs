//! Sending what is stored, and hearing what becomes of it.

use std::pin::pin;
use std::sync::Arc;

use async_trait::async_trait;
use futures_util::future::{FutureExt, join};
use tracing::field::Empty;
use tracing::{Instrument, Span, trace_span, warn};

use super::{SPANS, error_text};
use crate::outbox::{Attempt, DeliveryReceipt, Due, MessageState};
use crate::policy::OutboxPolicy;
use crate::ports::{
    AnswerSlot, Clock, CodeSealer, CommitError, Content, Outgoing, Relay, SendFailure, SmsSender, Store, StoreError,
    TextMessage, Trail,
};
use crate::{Change, OutboxMessage, Revision, Versioned, Write};

/// Sees messages on their way.
pub struct Outbox {
    /// Keeps them.
    pub store: Arc<dyn Store>,
    /// Sends them.
    pub sms: Arc<dyn SmsSender>,
    /// Reads the codes of those that were left behind.
    pub sealer: Arc<dyn CodeSealer>,
    /// Tells the time.
    pub clock: Arc<dyn Clock>,
    /// The operator's settings.
    pub policy: OutboxPolicy,
    /// How often a change is tried when somebody else was faster.
    pub attempts: u32,
}

/// What came of a receipt.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Heard {
    /// The message came into another state, or is known to be in it at one provider more.
    Advanced(Box<OutboxMessage>),
    /// It told nothing new.
    Nothing,
    /// No message has such a reference, or not yet: a receipt may be faster than the answer that it follows.
    NoSuchMessage,
}

impl Outbox {
    /// Sends a message, and answers whoever waits as soon as the outcome is known. Returns the message as it is stored then;
    /// `None` where it is in other hands, or its outcome could not be stored.
    pub async fn deliver(&self, outgoing: Outgoing, waiting: &AnswerSlot) -> Option<OutboxMessage> {
        let Outgoing { message, revision, content, permission, span } = outgoing;
        let now = self.clock.now();
        if message.due_at.is_none_or(|due| due <= now) {
            // This node was too slow: somebody else may be sending it.
            return None;
        }
        let text = TextMessage {
            mobile: message.key.mobile.clone(),
            content,
            language: message.language,
            lifetime: message.expires_at.since(now),
            trail: Trail::after(&message.attempts),
        };
        let trail = text.trail.clone();
        let (known, sent) = {
            let mut sending = pin!(self.text(text, &span));
            match sending.as_mut().now_or_never() {
                // What is over at once is stored with its outcome alone.
                Some(sent) => ((message, revision), sent),
                // Side by side: a message waits for one commit alone, and few are lost sight of between the two.
                None => join(self.note_handed_over(message, revision), sending).await,
            }
        };
        let mut attempts = trail.attempts(self.clock.now());
        if attempts.is_empty() {
            let accepted = sent.as_ref().map(|accepted| accepted.id.as_str()).map_err(|failure| *failure);
            let provider = sent.as_ref().map(|accepted| accepted.provider.as_str()).unwrap_or_default();
            attempts.push(Attempt::new(provider, accepted, self.clock.now()));
        }
        match sent.map(drop) {
            sent @ (Ok(()) | Err(SendFailure::Unknown)) => {
                if let Some(answer) = waiting.take() {
                    // Where another provider is asked later, whoever waits for the message may go on waiting.
                    answer(if self.policy.receipt_within.is_some() { Ok(()) } else { sent });
                }
                self.settle(known, attempts, Vec::new()).await
            }
            Err(failure) => {
                let answer = waiting.take();
                let uncount = permission.as_ref().map(|permission| permission.uncount().writes);
                // Whoever asked waits for both.
                let settled = self.settle(known, attempts, uncount.unwrap_or_default()).instrument(span.clone()).await;
                if let Some(answer) = answer {
                    if let Some(permission) = permission {
                        self.restore(permission.restore(revision)).instrument(span).await;
                    }
                    answer(Err(failure));
                }
                settled
            }
        }
    }

    /// Takes messages that are due into this node's hands, at most `limit`. Answers those to send, and those that nothing is
    /// left to do for.
    ///
    /// # Errors
    /// Where the store is unavailable.
    pub async fn take_due(&self, limit: usize) -> Result<(Vec<Outgoing>, Vec<OutboxMessage>), StoreError> {
        let (mut to_send, mut settled) = (Vec::new(), Vec::new());
        for Versioned { revision, value } in self.store.due_messages(self.clock.now(), limit).await? {
            let code = value.sealed.as_ref().and_then(|sealed| self.sealer.open(&value.key, sealed));
            // One whose key is gone cannot be sent any more.
            let readable = OutboxMessage { sealed: value.sealed.clone().filter(|_| code.is_some()), ..value };
            let content = Content::of(readable.purpose, code);
            let (message, sends) = match readable.due(self.clock.now(), &self.policy) {
                Due::Send(message) => (message, true),
                Due::Settle(message) => (message, false),
            };
            match self.store.commit(write(revision, message.clone(), Vec::new())).await {
                Ok(revision) => match content {
                    Some(content) if sends => {
                        to_send.push(Outgoing { message, revision, content, permission: None, span: Span::none() })
                    }
                    _ => settled.push(message),
                },
                // Another node took it.
                Err(CommitError::Conflict) => {}
                Err(CommitError::Store(error)) => return Err(error),
            }
        }
        Ok((to_send, settled))
    }

    /// Takes a receipt.
    ///
    /// # Errors
    /// Where the store is unavailable.
    pub async fn hear(&self, receipt: &DeliveryReceipt) -> Result<Heard, StoreError> {
        if receipt.reference.is_empty() {
            return Ok(Heard::NoSuchMessage);
        }
        for _ in 0..self.attempts {
            let found = self.store.message_by_reference(&receipt.provider, &receipt.reference).await?;
            let Some(Versioned { revision, value }) = found else { return Ok(Heard::NoSuchMessage) };
            let Some(message) = value.heard(receipt, self.clock.now()) else { return Ok(Heard::Nothing) };
            match self.store.commit(write(revision, message.clone(), Vec::new())).await {
                Ok(_) => return Ok(Heard::Advanced(Box::new(message))),
                Err(CommitError::Conflict) => {}
                Err(CommitError::Store(error)) => return Err(error),
            }
        }
        Ok(Heard::Nothing)
    }

    async fn text(&self, message: TextMessage, asked_by: &Span) -> Result<crate::ports::Accepted, SendFailure> {
        let span = trace_span!(target: SPANS, parent: asked_by.id(), "sms", mobile_bind.outcome = Empty, otel.status_code = Empty);
        let sent = self.sms.send(message).instrument(span.clone()).await;
        let outcome = match &sent {
            Ok(_) => "sent",
            Err(SendFailure::Refused) => "refused",
            Err(SendFailure::Limited) => "limited",
            Err(SendFailure::Unavailable) => "unavailable",
            Err(SendFailure::Unknown) => "unknown",
        };
        span.record("mobile_bind.outcome", outcome);
        if sent.is_err() {
            span.record("otel.status_code", "ERROR");
        }
        sent
    }

    /// Notes that a message is on its way, so that it is not sent again should this node end now.
    async fn note_handed_over(&self, message: OutboxMessage, revision: Revision) -> (OutboxMessage, Revision) {
        if message.state != MessageState::Queued {
            return (message, revision);
        }
        let noted = message.handed_over(self.clock.now());
        match self.store.commit(write(revision, noted.clone(), Vec::new())).await {
            Ok(revision) => (noted, revision),
            Err(error) => {
                if let CommitError::Store(error) = error {
                    warn!(error = error_text(&error), "that a message was handed over could not be stored");
                }
                (message, revision)
            }
        }
    }

    /// Stores what came of a message, and what follows from it.
    async fn settle(
        &self,
        (mut message, mut revision): (OutboxMessage, Revision),
        attempts: Vec<Attempt>,
        follows: Vec<Write>,
    ) -> Option<OutboxMessage> {
        for _ in 0..self.attempts {
            let settled = message.asked(attempts.clone(), self.clock.now(), &self.policy);
            match self.store.commit(write(revision, settled.clone(), follows.clone())).await {
                Ok(_) => return Some(settled),
                Err(CommitError::Conflict) => match self.store.message(&message.key).await {
                    Ok(found) => Versioned { revision, value: message } = found?,
                    Err(error) => {
                        warn!(error = error_text(&error), "what came of a message could not be stored");
                        return None;
                    }
                },
                Err(CommitError::Store(error)) => {
                    warn!(error = error_text(&error), "what came of a message could not be stored");
                    return None;
                }
            }
        }
        None
    }

    /// A conflict means that the challenge was tried in between: it stays, and its code is known to nobody.
    async fn restore(&self, change: Change) {
        if let Err(CommitError::Store(error)) = self.store.commit(change).await {
            warn!(error = error_text(&error), "the code before a refused message is not restored");
        }
    }
}

fn write(expected: Revision, message: OutboxMessage, others: Vec<Write>) -> Change {
    let mut change = Change::writing(Write::Message { expected, message: Box::new(message) });
    change.writes.extend(others);
    change
}

/// Waits for the end: for whoever has no background.
#[async_trait]
impl Relay for Outbox {
    async fn relay(&self, outgoing: Outgoing) -> Result<(), SendFailure> {
        let given = Arc::new(std::sync::Mutex::new(None));
        let place = Arc::clone(&given);
        let slot = AnswerSlot::new(move |answer| {
            *place.lock().unwrap_or_else(std::sync::PoisonError::into_inner) = Some(answer);
        });
        self.deliver(outgoing, &slot).await;
        let given = given.lock().unwrap_or_else(std::sync::PoisonError::into_inner).take();
        // Where this node was too slow, another one sends it.
        given.unwrap_or(Ok(()))
    }
}
