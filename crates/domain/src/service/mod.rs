//! The use cases: load, decide, commit, and start again where the snapshot no longer holds.

mod accounts;
mod audit;
mod bind;
mod conversion;
mod mini_program;
mod outbox;
mod send;
mod session;
mod status;

use std::sync::Arc;

use tracing::warn;

pub use self::accounts::OrderError;
pub use self::audit::AuditDesk;
pub use self::mini_program::{PlatformLogIn, VouchParameters};
pub use self::outbox::{Heard, Outbox};
use crate::ports::{
    Clock, CodeSealer, CodeSource, Platforms, Purged, Randomness, Relay, Store, StoreError, TokenIssuer,
};
use crate::{Account, CodeKeys, CurrentPolicy, Guards, Operation, Refusal, SessionId, Token};

/// The target of the spans that are made for operators alone, at the level of traces: they cost next to nothing where nobody
/// asks for them. No number, token, openid, code or uuid may stand in their fields.
pub const SPANS: &str = "mobile_bind::spans";

/// The use cases over the ports.
pub struct Service {
    /// Keeps everything.
    pub store: Arc<dyn Store>,
    /// Sends messages.
    pub relay: Arc<dyn Relay>,
    /// Keeps the codes of messages until they are sent.
    pub sealer: Arc<dyn CodeSealer>,
    /// Tells the time.
    pub clock: Arc<dyn Clock>,
    /// Gives randomness.
    pub randomness: Arc<dyn Randomness>,
    /// Gives codes.
    pub codes: Arc<dyn CodeSource>,
    /// Asks platforms.
    pub platforms: Arc<dyn Platforms>,
    /// Makes tokens.
    pub tokens: Arc<dyn TokenIssuer>,
    /// MACs codes.
    pub keys: CodeKeys,
    /// The operator's settings.
    pub policy: CurrentPolicy,
    /// What the audit keeps in memory.
    pub audit: AuditDesk,
    /// What the guards need besides the store.
    pub guards: Guards,
}

/// An account, and the token of the session to go on with.
#[derive(Clone, Debug)]
pub struct LoggedIn {
    /// The account.
    pub account: Account,
    /// The token.
    pub token: Token,
}

impl Service {
    fn read_token(&self, token: &str) -> Option<SessionId> {
        if token.is_empty() { None } else { self.tokens.read(token, self.clock.now()) }
    }

    /// Forgets some of what has ended; see [`Store::purge`].
    ///
    /// # Errors
    /// Where the store is unavailable.
    pub async fn purge(&self, limit: usize) -> Result<Purged, StoreError> {
        let now = self.clock.now();
        // Ended ones tell for a while yet when their account was used.
        let kept =
            self.policy.get().session.inactivity.max(self.policy.get().numbers.recycled_after.unwrap_or_default());
        self.store.purge(now, now.before(kept), limit).await
    }
}

fn not_stored(operation: Operation, error: &dyn std::error::Error) -> Refusal {
    warn!(error = error_text(error), "the request could not be carried out");
    Refusal::NotStored(operation)
}

/// An error and its causes, in one line.
fn error_text(error: &dyn std::error::Error) -> String {
    let causes = std::iter::successors(Some(error), |error| error.source());
    causes.map(ToString::to_string).collect::<Vec<_>>().join(": ")
}
