//! One provider's part in a message.

use crate::Timestamp;
use crate::ports::SendFailure;

/// What is known of a message at one provider.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Attempt {
    /// The provider, by the operator's name for it; empty where it is not known which one was asked.
    pub provider: Box<str>,
    /// The provider's own id of the message, which its receipts name; empty where there is none.
    pub reference: Box<str>,
    /// What became of it.
    pub outcome: AttemptOutcome,
    /// When it was asked.
    pub at: Timestamp,
}

/// What became of a message at one provider.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AttemptOutcome {
    /// The provider has it.
    Accepted,
    /// The phone has it.
    Delivered,
    /// The provider had it, and it did not reach the phone.
    Undelivered,
    /// Refused for good.
    Refused,
    /// Refused for now.
    Limited,
    /// Never reached.
    Unavailable,
    /// The request left, and no answer came.
    Unknown,
}

impl AttemptOutcome {
    /// Every outcome.
    pub const ALL: [Self; 7] = [
        Self::Accepted,
        Self::Delivered,
        Self::Undelivered,
        Self::Refused,
        Self::Limited,
        Self::Unavailable,
        Self::Unknown,
    ];

    /// The name that operators know it by.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Accepted => "accepted",
            Self::Delivered => "delivered",
            Self::Undelivered => "undelivered",
            Self::Refused => "refused",
            Self::Limited => "limited",
            Self::Unavailable => "unavailable",
            Self::Unknown => "unknown",
        }
    }
}

impl From<SendFailure> for AttemptOutcome {
    fn from(failure: SendFailure) -> Self {
        match failure {
            SendFailure::Refused => Self::Refused,
            SendFailure::Limited => Self::Limited,
            SendFailure::Unavailable => Self::Unavailable,
            SendFailure::Unknown => Self::Unknown,
        }
    }
}

impl Attempt {
    /// The longest reference that is kept, in bytes. No vendor's is near it.
    pub const MAX_REFERENCE: usize = 128;

    /// What came of asking a provider. A reference that is too long counts as none: half of one would name another message.
    #[must_use]
    pub fn new(provider: &str, outcome: Result<&str, SendFailure>, at: Timestamp) -> Self {
        let reference = outcome.ok().filter(|reference| reference.len() <= Self::MAX_REFERENCE).unwrap_or_default();
        let outcome = outcome.map_or_else(AttemptOutcome::from, |_| AttemptOutcome::Accepted);
        Self { provider: provider.into(), reference: reference.into(), outcome, at }
    }

    /// A provider is being asked, and it is not known yet which one.
    pub(crate) fn begun(at: Timestamp) -> Self {
        Self { provider: "".into(), reference: "".into(), outcome: AttemptOutcome::Unknown, at }
    }

    /// Whether the provider certainly has not got the message, and might take it at another time.
    pub(crate) fn may_be_tried_again(&self) -> bool {
        matches!(self.outcome, AttemptOutcome::Limited | AttemptOutcome::Unavailable)
    }

    /// Whether it says that there was no provider to ask.
    pub(crate) fn is_of_nobody(&self) -> bool {
        use AttemptOutcome::{Limited, Refused, Unavailable};
        self.provider.is_empty() && matches!(self.outcome, Refused | Limited | Unavailable)
    }

    /// Whether it was begun, and never heard of again.
    pub(crate) fn is_unnamed(&self) -> bool {
        self.provider.is_empty() && self.outcome == AttemptOutcome::Unknown
    }
}
