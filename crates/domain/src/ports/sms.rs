//! Sending text messages.

use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use async_trait::async_trait;

use crate::outbox::Attempt;
use crate::{Language, Mobile, Timestamp, VerificationCode};

/// What a message is for. Providers may have a template for each.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Purpose {
    /// Binding a mobile number: the message brings a code.
    Bind,
    /// Telling a number that its account has another one from now on. There is no code in it.
    NumberChanged,
}

impl Purpose {
    /// Every purpose.
    pub const ALL: [Self; 2] = [Self::Bind, Self::NumberChanged];

    /// The name that settings know it by.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Bind => "bind",
            Self::NumberChanged => "number_changed",
        }
    }

    /// Whether its messages bring a code.
    #[must_use]
    pub const fn brings_a_code(self) -> bool {
        match self {
            Self::Bind => true,
            Self::NumberChanged => false,
        }
    }
}

/// What a message tells. The sender words it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Content {
    /// A code to bind a number with.
    Code(VerificationCode),
    /// That an account has another number than this one from now on.
    NumberChanged,
}

impl Content {
    /// What a message for a purpose tells; `None` where it would bring a code, and there is none.
    #[must_use]
    pub fn of(purpose: Purpose, code: Option<VerificationCode>) -> Option<Self> {
        match purpose {
            Purpose::Bind => code.map(Self::Code),
            Purpose::NumberChanged => Some(Self::NumberChanged),
        }
    }

    /// What it is for.
    #[must_use]
    pub const fn purpose(&self) -> Purpose {
        match self {
            Self::Code(_) => Purpose::Bind,
            Self::NumberChanged => Purpose::NumberChanged,
        }
    }

    /// The code in it.
    #[must_use]
    pub const fn code(&self) -> Option<&VerificationCode> {
        match self {
            Self::Code(code) => Some(code),
            Self::NumberChanged => None,
        }
    }
}

/// A message on its way.
#[derive(Clone, Debug)]
pub struct TextMessage {
    /// Where it goes.
    pub mobile: Mobile,
    /// What it tells.
    pub content: Content,
    /// The language to word it in.
    pub language: Language,
    /// How long it is worth having: how long its code is good.
    pub lifetime: Duration,
    /// Who was asked to send it.
    pub trail: Trail,
}

/// The providers that are asked to send a message, as a sender goes along; it can be read also where the sender was given
/// up. A provider that was asked before is not asked again, unless it certainly did not take the message, for now.
#[derive(Clone, Default)]
pub struct Trail {
    before: Arc<[Box<str>]>,
    asked: Arc<Mutex<Vec<Asked>>>,
}

/// A provider, and the reference that it gave, or its refusal.
type Asked = (Box<str>, Result<Box<str>, SendFailure>);

impl fmt::Debug for Trail {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Trail").finish_non_exhaustive()
    }
}

impl Trail {
    /// A trail that goes on after these.
    #[must_use]
    pub fn after(attempts: &[Attempt]) -> Self {
        let asked = attempts.iter().filter(|attempt| !attempt.may_be_tried_again());
        let before = asked.map(|attempt| attempt.provider.clone()).collect();
        Self { before, asked: Arc::default() }
    }

    fn locked(&self) -> MutexGuard<'_, Vec<Asked>> {
        // Nothing here is left half-done by a panic.
        self.asked.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether a provider was asked on an earlier way of the message.
    #[must_use]
    pub fn asked_before(&self, provider: &str) -> bool {
        self.before.iter().any(|known| **known == *provider)
    }

    /// A provider is about to be asked. What becomes of it is unknown until it is told.
    pub fn begin(&self, provider: &str) {
        self.locked().push((provider.into(), Err(SendFailure::Unknown)));
    }

    /// What the provider that was asked last answered.
    pub fn end(&self, outcome: Result<&str, SendFailure>) {
        if let Some((_, last)) = self.locked().last_mut() {
            *last = outcome.map(Into::into);
        }
    }

    /// What came of it, as of now.
    #[must_use]
    pub fn attempts(&self, now: Timestamp) -> Vec<Attempt> {
        let attempt = |(provider, outcome): &Asked| {
            Attempt::new(provider, outcome.as_ref().map(|reference| &**reference).map_err(|failure| *failure), now)
        };
        self.locked().iter().map(attempt).collect()
    }
}

/// What is known of a message that a provider has accepted.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Accepted {
    /// The provider, by the name that the operator gave it.
    pub provider: String,
    /// The provider's own id of the message, which its receipts name; empty where it gives none.
    pub id: String,
}

/// Why a message was not sent, as far as one knows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SendFailure {
    /// The provider took the request and refused it for good, for the number's sake: nothing was sent.
    #[error("the SMS provider refused the message")]
    Refused,
    /// The provider takes no message to this number, or from this service, for now: nothing was sent.
    #[error("the SMS provider's limits are reached")]
    Limited,
    /// The request never reached a provider that could serve it: nothing was sent.
    #[error("no SMS provider could be reached")]
    Unavailable,
    /// The request left, and no answer came: the message may have been sent.
    #[error("the SMS provider did not answer in time")]
    Unknown,
}

/// Sends text messages. Notes in the message's [`Trail`] whom it asks.
#[async_trait]
pub trait SmsSender: Send + Sync {
    /// Sends one message; answers when a provider has accepted it. Must end in bounded time.
    ///
    /// # Errors
    /// When it was not accepted.
    async fn send(&self, message: TextMessage) -> Result<Accepted, SendFailure>;
}
