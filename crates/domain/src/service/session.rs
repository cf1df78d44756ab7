//! Looking a token up, and ending its session.

use tracing::warn;

use super::{LoggedIn, Service, error_text, not_stored};
use crate::audit::{Actor, AuditAction, AuditEvent, AuditedNumber};
use crate::ports::{CommitError, SessionSnapshot};
use crate::{Account, Change, Expectation, Operation, Refusal, Token, Write};

impl Service {
    /// The account of a token.
    ///
    /// # Errors
    /// Where the token is missing, unknown or has ended.
    pub async fn look_up(&self, token: &str) -> Result<LoggedIn, Refusal> {
        if token.is_empty() {
            return Err(Refusal::TokenMissing);
        }
        let found = self.live_session(token).await?.ok_or(Refusal::TokenUnknown)?;
        let now = self.clock.now();
        if now.since(found.session.used_at) >= self.policy.get().session.refresh_after {
            let change = Change::writing(Write::UseSession(found.session.id, now));
            if let Err(CommitError::Store(error)) = self.store.commit(change).await {
                warn!(error = error_text(&error), "the use of a session was not noted");
            }
        }
        Ok(LoggedIn { account: found.account.value, token: Token::new(token.to_owned()) })
    }

    /// Ends a token's session.
    ///
    /// # Errors
    /// Where there is no live session to end.
    pub async fn log_out(&self, token: &str) -> Result<(), Refusal> {
        for _ in 0..self.policy.get().attempts {
            let found = self.live_session(token).await?.ok_or(Refusal::LoginRequired)?;
            let (id, now) = (found.session.id, self.clock.now());
            // With the session goes what says when its owner was here.
            let account = Account { seen_at: Some(now), ..found.account.value };
            let actor = Actor::Client(found.session.client_type, None);
            let number = account.held_mobile().map(|mobile| AuditedNumber::of(mobile, &self.keys));
            let event =
                AuditEvent { number, account: Some(account.id), ..AuditEvent::new(AuditAction::LogOut, actor, now) };
            let writes = vec![
                Write::EndSession(id),
                Write::Account { expected: found.account.revision, account: Box::new(account) },
                Write::Audit(Box::new(event)),
            ];
            let change = Change { expectations: vec![Expectation::Session(id)], writes };
            match self.store.commit(change).await {
                Ok(_) => return Ok(()),
                Err(CommitError::Conflict) => {}
                Err(CommitError::Store(error)) => return Err(not_stored(Operation::Session, &error)),
            }
        }
        Err(Refusal::NotStored(Operation::Session))
    }

    async fn live_session(&self, token: &str) -> Result<Option<SessionSnapshot>, Refusal> {
        let Some(id) = self.read_token(token) else { return Ok(None) };
        let found = self.store.load_session(id).await.map_err(|error| not_stored(Operation::Session, &error))?;
        let now = self.clock.now();
        Ok(found.filter(|found| {
            let account = &found.account.value;
            found.session.is_live(now, &self.policy.get().session) && account.is_live() && account.status.may_log_in()
        }))
    }
}
