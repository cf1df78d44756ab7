//! What a bind answered.

use crate::{AccountId, SessionId, Timestamp};

/// Kept for a moment, so that a client whose answer was lost gets the same one again. One for each number and client.
#[derive(Clone, PartialEq, Eq)]
pub struct BindReceipt {
    /// A keyed digest of the request's parameters.
    pub fingerprint: [u8; 32],
    /// From when on it is worth nothing.
    pub expires_at: Timestamp,
    /// The account that has the number now.
    pub account: AccountId,
    /// The session that was opened; `None` where the account waits for approval.
    pub session: Option<SessionId>,
}

impl std::fmt::Debug for BindReceipt {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("BindReceipt").field("account", &self.account).finish_non_exhaustive()
    }
}
