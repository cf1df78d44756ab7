//! A message and its way: queued, handed over, accepted, delivered; or failed, or unknown.

use std::fmt;
use std::time::Duration;

use super::{Attempt, AttemptOutcome, DeliveryReceipt, DeliveryState};
use crate::policy::OutboxPolicy;
use crate::ports::Purpose;
use crate::{ChallengeKey, Client, KeyId, Language, Mobile, Timestamp};

/// Names a message. The first six bytes are the milliseconds at which it was queued, big-endian; the rest is random.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct MessageId(pub [u8; 16]);

impl MessageId {
    /// An id for a message that is queued now, with these random bytes.
    #[must_use]
    pub fn new(now: Timestamp, random: [u8; 10]) -> Self {
        let mut id = [0; 16];
        let (time, rest) = id.split_at_mut(6);
        let millis = now.as_millis().to_be_bytes();
        time.copy_from_slice(millis.last_chunk::<6>().unwrap_or(&[0; 6]));
        rest.copy_from_slice(&random);
        Self(id)
    }
}

/// Where a message stands: its number and its id.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct MessageKey {
    /// Where it goes.
    pub mobile: Mobile,
    /// Its id.
    pub id: MessageId,
}

/// A code that can be read again with a key of the server's. `Debug` shows the key's id alone.
#[derive(Clone, PartialEq, Eq)]
pub struct SealedCode {
    /// The key that it was sealed with.
    pub key: KeyId,
    /// What was sealed, in the form that the sealer gave it.
    pub bytes: Box<[u8]>,
}

impl fmt::Debug for SealedCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SealedCode({})", self.key.as_str())
    }
}

/// What has become of a message. A later state is never left for an earlier one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum MessageState {
    /// It is to be sent.
    Queued,
    /// A provider is being asked.
    HandedOver,
    /// A provider was asked, and whether it has the message is not known.
    Unknown,
    /// A provider has it.
    Accepted,
    /// It will not reach the phone.
    Failed,
    /// The phone has it.
    Delivered,
}

impl MessageState {
    /// Every state.
    pub const ALL: [Self; 6] =
        [Self::Queued, Self::HandedOver, Self::Unknown, Self::Accepted, Self::Failed, Self::Delivered];

    /// The name that operators know it by.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Queued => "queued",
            Self::HandedOver => "handed over",
            Self::Unknown => "unknown",
            Self::Accepted => "accepted",
            Self::Failed => "failed",
            Self::Delivered => "delivered",
        }
    }
}

/// A message as it is stored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OutboxMessage {
    /// Its name.
    pub key: MessageKey,
    /// The client that asked for it.
    pub client: Client,
    /// What it is for.
    pub purpose: Purpose,
    /// The language that it is worded in.
    pub language: Language,
    /// What has become of it.
    pub state: MessageState,
    /// Why it failed: a word; empty where it did not.
    pub error: Box<str>,
    /// Its code, for as long as it may have to be sent.
    pub sealed: Option<SealedCode>,
    /// The providers that were asked, in their order.
    pub attempts: Vec<Attempt>,
    /// When it was queued.
    pub queued_at: Timestamp,
    /// When it came into its state.
    pub changed_at: Timestamp,
    /// From when on its code is worth nothing.
    pub expires_at: Timestamp,
    /// When it is to be looked at again, by whichever node comes first; until then it is in one node's hands. `None` where
    /// nothing is left to do.
    pub due_at: Option<Timestamp>,
    /// When it may be forgotten.
    pub keep_until: Timestamp,
}

/// For how long it is worth telling a number that its account has another one.
const WORTH_TELLING: Duration = Duration::from_secs(24 * 3600);

/// When a message without a code is offered again that no provider took. Carriers limit the messages to a number by the
/// minute and by the hour, and a code may just have gone there.
const TOLD_AGAIN_AFTER: Duration = Duration::from_secs(600);

/// What is to be done about a message that is due.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Due {
    /// Store it so, then send it by a provider that was not asked yet.
    Send(OutboxMessage),
    /// Store it so: there is nothing to send.
    Settle(OutboxMessage),
}

impl OutboxMessage {
    /// A message with a code that waits to be sent by the node that queues it.
    #[must_use]
    pub fn with_code(
        key: MessageKey,
        client: Client,
        language: Language,
        sealed: SealedCode,
        (now, expires_at): (Timestamp, Timestamp),
        policy: &OutboxPolicy,
    ) -> Self {
        let due_at = Some(now.after(policy.lease));
        let queued = Self::queued(key, client, Purpose::Bind, language, (now, expires_at), policy);
        Self { sealed: Some(sealed), due_at, ..queued }
    }

    /// Word to a number that its account has another one. Nobody waits for it, so it is sent by whichever node comes first.
    #[must_use]
    pub fn of_number_changed(
        key: MessageKey,
        client: Client,
        language: Language,
        now: Timestamp,
        policy: &OutboxPolicy,
    ) -> Self {
        Self::queued(key, client, Purpose::NumberChanged, language, (now, now.after(WORTH_TELLING)), policy)
    }

    fn queued(
        key: MessageKey,
        client: Client,
        purpose: Purpose,
        language: Language,
        (now, expires_at): (Timestamp, Timestamp),
        policy: &OutboxPolicy,
    ) -> Self {
        Self {
            key,
            client,
            purpose,
            language,
            state: MessageState::Queued,
            error: "".into(),
            sealed: None,
            attempts: Vec::new(),
            queued_at: now,
            changed_at: now,
            expires_at,
            due_at: Some(now),
            keep_until: now.after(policy.keep),
        }
    }

    /// The challenge whose code it carries.
    #[must_use]
    pub fn challenge(&self) -> ChallengeKey {
        ChallengeKey { mobile: self.key.mobile.clone(), client: self.client.clone() }
    }

    /// The same, in a provider's hands.
    #[must_use]
    pub fn handed_over(&self, now: Timestamp) -> Self {
        self.clone().into_state(MessageState::HandedOver, now)
    }

    /// The same, after providers were asked. `asked` are their answers, the last one the one that counts.
    #[must_use]
    pub fn asked(&self, asked: Vec<Attempt>, now: Timestamp, policy: &OutboxPolicy) -> Self {
        let mut message = self.clone();
        if message.attempts.last().is_some_and(Attempt::is_unnamed) {
            message.attempts.pop();
        }
        let nobody_is_left = asked.iter().all(Attempt::is_of_nobody);
        // Of a provider that is asked again the last answer counts, and the list has an end.
        let asked_again = |known: &Attempt| asked.iter().any(|new| new.provider == known.provider);
        message.attempts.retain(|known| !(known.may_be_tried_again() && asked_again(known)));
        message.attempts.extend(asked);
        if message.may_be_told_later(now) {
            message = message.into_state(MessageState::HandedOver, now);
            message.due_at = Some(now.after(TOLD_AGAIN_AFTER));
            return message;
        }
        let state = message.outcome();
        message = message.into_state(state, now);
        match (message.state, policy.receipt_within) {
            (MessageState::Accepted | MessageState::Unknown, Some(within))
                if message.has_its_content() && !nobody_is_left =>
            {
                message.due_at = Some(now.after(within));
            }
            _ => message = message.done(),
        }
        if message.state == MessageState::Failed {
            message.error = message.attempts.last().map_or("", |attempt| attempt.outcome.name()).into();
        }
        message
    }

    /// The same, once a receipt has come; `None` where it tells nothing new.
    #[must_use]
    pub fn heard(&self, receipt: &DeliveryReceipt, now: Timestamp) -> Option<Self> {
        let mut message = self.clone();
        let of_receipt =
            |attempt: &&mut Attempt| *attempt.provider == *receipt.provider && *attempt.reference == *receipt.reference;
        let attempt = message.attempts.iter_mut().find(of_receipt)?;
        match receipt.state {
            DeliveryState::Delivered => attempt.outcome = AttemptOutcome::Delivered,
            DeliveryState::Failed if attempt.outcome != AttemptOutcome::Delivered => {
                attempt.outcome = AttemptOutcome::Undelivered;
            }
            DeliveryState::Failed | DeliveryState::Pending => {}
        }
        let state = message.outcome();
        message = message.into_state(state, now);
        if matches!(message.state, MessageState::Delivered | MessageState::Failed) {
            message = message.done();
        }
        message.error = if message.state == MessageState::Failed && self.state != MessageState::Failed {
            receipt.error.as_str().into()
        } else if message.state == MessageState::Delivered {
            "".into()
        } else {
            message.error
        };
        (message != *self).then_some(message)
    }

    /// What is to be done about it, now that it is due.
    #[must_use]
    pub fn due(&self, now: Timestamp, policy: &OutboxPolicy) -> Due {
        let worth_sending = now.after(policy.worth_sending) <= self.expires_at && self.has_its_content();
        let lease = Some(now.after(policy.lease));
        let mut message = self.clone();
        match self.state {
            // The node that queued it is gone; nobody was asked, as far as is written.
            MessageState::Queued if worth_sending => {
                message.due_at = lease;
                Due::Send(message.into_state(MessageState::HandedOver, now))
            }
            MessageState::Queued => {
                message.error = "expired".into();
                Due::Settle(message.into_state(MessageState::Failed, now).done())
            }
            MessageState::HandedOver if self.waits_to_be_told() => {
                if !worth_sending {
                    message.error = "expired".into();
                    return Due::Settle(message.into_state(MessageState::Failed, now).done());
                }
                message.attempts.push(Attempt::begun(now));
                message.due_at = lease;
                Due::Send(message)
            }
            MessageState::HandedOver => {
                if !self.attempts.last().is_some_and(Attempt::is_unnamed) {
                    message.attempts.push(Attempt::begun(self.changed_at));
                }
                message = message.into_state(MessageState::Unknown, now);
                match policy.receipt_within {
                    Some(within) if worth_sending => {
                        message.due_at = Some(self.changed_at.after(within).max(now));
                        Due::Settle(message)
                    }
                    _ => Due::Settle(message.done()),
                }
            }
            MessageState::Unknown | MessageState::Accepted
                if worth_sending && policy.receipt_within.is_some() && !self.is_lost_on_its_second_way() =>
            {
                message.attempts.push(Attempt::begun(now));
                message.due_at = lease;
                Due::Send(message)
            }
            _ => Due::Settle(message.done()),
        }
    }

    /// What its attempts say of it, together.
    fn outcome(&self) -> MessageState {
        let any = |outcome| self.attempts.iter().any(|attempt| attempt.outcome == outcome);
        if any(AttemptOutcome::Delivered) {
            MessageState::Delivered
        } else if any(AttemptOutcome::Accepted) {
            MessageState::Accepted
        } else if any(AttemptOutcome::Unknown) {
            MessageState::Unknown
        } else {
            MessageState::Failed
        }
    }

    /// Whether there is all that is needed to send it.
    fn has_its_content(&self) -> bool {
        self.sealed.is_some() || !self.purpose.brings_a_code()
    }

    /// Nobody asks again for a message without a code: where no provider takes it for now, it is offered again later.
    fn may_be_told_later(&self, now: Timestamp) -> bool {
        self.state <= MessageState::HandedOver
            && self.waits_to_be_told()
            && now.after(TOLD_AGAIN_AFTER) <= self.expires_at
    }

    fn waits_to_be_told(&self) -> bool {
        let turned_away = !self.attempts.is_empty() && self.attempts.iter().all(Attempt::may_be_tried_again);
        !self.purpose.brings_a_code() && turned_away
    }

    /// A provider was asked anew, and the node that asked is gone: it stays at that.
    fn is_lost_on_its_second_way(&self) -> bool {
        self.attempts.len() > 1 && self.attempts.last().is_some_and(Attempt::is_unnamed)
    }

    fn into_state(mut self, state: MessageState, now: Timestamp) -> Self {
        if self.state < state {
            self.state = state;
            self.changed_at = now;
        }
        self
    }

    /// Nothing is left to do: nobody needs the code again.
    fn done(mut self) -> Self {
        self.sealed = None;
        self.due_at = None;
        self
    }
}
