//! Carrying messages on when nobody waits any more.

use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;
use tracing::Span;

use super::{Content, SendFailure};
use crate::send::Permission;
use crate::{ChallengeKey, OutboxMessage, Revision};

/// A message that is stored, and in this node's hands.
#[derive(Debug)]
pub struct Outgoing {
    /// The message as it is stored.
    pub message: OutboxMessage,
    /// The revision that it has there.
    pub revision: Revision,
    /// What it tells.
    pub content: Content,
    /// What to take back where it is certain that it was not sent: where it goes out for the first time.
    pub permission: Option<Arc<Permission>>,
    /// The span that asked for it; none where nobody waits.
    pub span: Span,
}

/// How a provider does, for operators.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProviderFacts {
    /// The provider, by the operator's name for it.
    pub name: String,
    /// Its circuit breaker: `closed` where it takes messages, `half open` where it is tried with one, `open` where it is left
    /// alone.
    pub breaker: &'static str,
}

/// Sends messages in the background.
#[async_trait]
pub trait Relay: Send + Sync {
    /// Sends a message. Answers when a provider has accepted it, when it is certain that it was not sent, or after a while,
    /// as if it had been accepted; what is left to do goes on.
    ///
    /// # Errors
    /// When it was not accepted.
    async fn relay(&self, outgoing: Outgoing) -> Result<(), SendFailure>;

    /// The providers, and how each does; none where there are no real ones.
    fn providers(&self) -> Vec<ProviderFacts> {
        Vec::new()
    }

    /// Hears that a code was used, and with that its message was of use. Must not keep the caller waiting.
    fn verified(&self, _: ChallengeKey) {}
}

type Answer = Box<dyn FnOnce(Result<(), SendFailure>) + Send>;

/// The one answer that whoever asked for a message gets: by what became of it, or by having waited long enough. Whichever
/// takes it first gives it.
#[derive(Default)]
pub struct AnswerSlot(Mutex<Option<Answer>>);

impl AnswerSlot {
    /// A slot whose answer goes there.
    #[must_use]
    pub fn new(answer: impl FnOnce(Result<(), SendFailure>) + Send + 'static) -> Self {
        Self(Mutex::new(Some(Box::new(answer))))
    }

    /// The answer, to be given by whoever took it; `None` where it was taken, or nobody waits.
    pub fn take(&self) -> Option<impl FnOnce(Result<(), SendFailure>) + Send + use<>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).take()
    }
}
