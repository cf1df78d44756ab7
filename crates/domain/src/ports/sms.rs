//! Sending text messages.

use std::time::Duration;

use async_trait::async_trait;

use crate::{Language, Mobile, VerificationCode};

/// A message with a code in it. The sender words it.
#[derive(Clone, Debug)]
pub struct TextMessage {
    /// Where it goes.
    pub mobile: Mobile,
    /// The code.
    pub code: VerificationCode,
    /// The language to word it in.
    pub language: Language,
    /// How long the code is good.
    pub lifetime: Duration,
}

/// Why a message was not sent, as far as one knows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SendFailure {
    /// The provider took the request and refused it: nothing was sent.
    #[error("the SMS provider refused the message")]
    Refused,
    /// The request never reached a provider: nothing was sent.
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
    async fn send(&self, message: TextMessage) -> Result<(), SendFailure>;
}
