//! A limit on how long a provider may take.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use mobile_bind_domain::ports::{Accepted, SendFailure, SmsSender, TextMessage};

/// Gives up on a sender that takes longer than it may. What became of the message is then unknown.
pub struct Deadline {
    inner: Arc<dyn SmsSender>,
    limit: Duration,
}

impl Deadline {
    /// Limits every send of `inner`.
    #[must_use]
    pub fn new(inner: Arc<dyn SmsSender>, limit: Duration) -> Self {
        Self { inner, limit }
    }
}

#[async_trait]
impl SmsSender for Deadline {
    async fn send(&self, message: TextMessage) -> Result<Accepted, SendFailure> {
        let sent = tokio::time::timeout(self.limit, self.inner.send(message)).await;
        sent.unwrap_or(Err(SendFailure::Unknown))
    }
}
