//! Sending text messages.

use std::time::Duration;

use async_trait::async_trait;

use crate::{Language, Mobile, VerificationCode};

/// What a message is for. Providers may have a template for each.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Purpose {
    /// Binding a mobile number.
    Bind,
}

impl Purpose {
    /// Every purpose.
    pub const ALL: [Self; 1] = [Self::Bind];

    /// The name that settings know it by.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Bind => "bind",
        }
    }
}

/// A message with a code in it. The sender words it.
#[derive(Clone, Debug)]
pub struct TextMessage {
    /// Where it goes.
    pub mobile: Mobile,
    /// The code.
    pub code: VerificationCode,
    /// What the code is for.
    pub purpose: Purpose,
    /// The language to word it in.
    pub language: Language,
    /// How long the code is good.
    pub lifetime: Duration,
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

/// Sends text messages.
#[async_trait]
pub trait SmsSender: Send + Sync {
    /// Sends one message; answers when a provider has accepted it. Must end in bounded time.
    ///
    /// # Errors
    /// When it was not accepted.
    async fn send(&self, message: TextMessage) -> Result<Accepted, SendFailure>;
}
