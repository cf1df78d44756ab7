//! What the client that asked for a code may know of its message.

use super::{AttemptOutcome, MessageState, OutboxMessage};

/// Whether a provider took a message. What receipts tell stays with the operator: whoever asks for a code to a number would
/// learn by it whether the phone is there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SendStatus {
    /// It is not known yet, or never will be: a provider was asked and did not answer.
    Pending,
    /// A provider has taken it.
    Accepted,
    /// No provider took it.
    Failed,
}

impl SendStatus {
    /// Every status.
    pub const ALL: [Self; 3] = [Self::Pending, Self::Accepted, Self::Failed];

    /// The name on the wire.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Accepted => "accepted",
            Self::Failed => "failed",
        }
    }
}

impl OutboxMessage {
    /// What its client may know of it.
    #[must_use]
    pub fn send_status(&self) -> SendStatus {
        use AttemptOutcome::{Accepted, Delivered, Undelivered};
        let was_taken = |outcome| matches!(outcome, Accepted | Delivered | Undelivered);
        if self.attempts.iter().any(|attempt| was_taken(attempt.outcome)) {
            SendStatus::Accepted
        } else if self.state == MessageState::Failed {
            SendStatus::Failed
        } else {
            SendStatus::Pending
        }
    }
}
