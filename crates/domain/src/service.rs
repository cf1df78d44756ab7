//! The use cases: load, decide, commit, and start again where the snapshot no longer holds.

use std::sync::Arc;

use tracing::{info, warn};

use crate::bind::{self, Bind, BindParameters, Bound, Fresh, ProofOfIdentity};
use crate::ports::{
    Clock, CodeSource, CommitError, Purpose, Randomness, SendFailure, SessionSnapshot, SmsSender, Store, TextMessage,
    TokenIssuer,
};
use crate::send::{self, Permission, Send};
use crate::{
    Account, Change, CodeKeys, Expectation, Operation, Policy, Refusal, Requester, Revision, SessionId, SessionSeed,
    Timestamp, Token, Write,
};

/// The use cases over the ports.
pub struct Service {
    /// Keeps everything.
    pub store: Arc<dyn Store>,
    /// Sends messages.
    pub sms: Arc<dyn SmsSender>,
    /// Tells the time.
    pub clock: Arc<dyn Clock>,
    /// Gives randomness.
    pub randomness: Arc<dyn Randomness>,
    /// Gives codes.
    pub codes: Arc<dyn CodeSource>,
    /// Makes tokens.
    pub tokens: Arc<dyn TokenIssuer>,
    /// MACs codes.
    pub keys: CodeKeys,
    /// The operator's settings.
    pub policy: Policy,
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
    /// Sends a code to a number. Answers when a provider has accepted the message.
    ///
    /// # Errors
    /// Where the number is malformed or still rests, a quota is used up, or no message went out.
    pub async fn send_code(&self, requester: Requester, mobile: &str, token: &str) -> Result<(), Refusal> {
        let session = self.read_token(token);
        let command = Send::parse(requester, mobile, session, &self.policy)?;
        let code = self.codes.draw(self.policy.code_length);
        let mac = self.keys.seal(&command.key, &code);
        let query = command.query();
        for _ in 0..self.policy.attempts {
            let snapshot = self.store.load_send(&query).await.map_err(|error| not_stored(Operation::Send, &error))?;
            let permission = send::decide(&snapshot, &command, mac.clone(), &self.policy, self.clock.now())?;
            observe(permission.observed.as_ref());
            match self.store.commit(permission.change.clone()).await {
                Ok(committed) => {
                    let message = TextMessage {
                        mobile: command.key.mobile.clone(),
                        code,
                        purpose: Purpose::Bind,
                        language: command.requester.language,
                        lifetime: self.policy.code_lifetime,
                    };
                    return match self.sms.send(message).await {
                        Ok(_) => Ok(()),
                        Err(failure) => Err(self.not_sent(&permission, committed, failure).await),
                    };
                }
                Err(CommitError::Conflict) => {}
                Err(CommitError::Store(error)) => return Err(not_stored(Operation::Send, &error)),
            }
        }
        Err(Refusal::NotStored(Operation::Send))
    }

    /// A message that certainly did not leave is as if it had never been asked for; one that may have left is not.
    async fn not_sent(&self, permission: &Permission, committed: Revision, failure: SendFailure) -> Refusal {
        let refusal = match failure {
            SendFailure::Refused => Refusal::SmsRefused,
            SendFailure::Limited => Refusal::SmsLimited,
            SendFailure::Unavailable => Refusal::SmsUnavailable,
            SendFailure::Unknown => return Refusal::SmsUnknown,
        };
        for change in [permission.uncount(), permission.restore(committed)] {
            // A conflict means that the challenge was tried in between: it stays, and its code is known to nobody.
            if let Err(CommitError::Store(error)) = self.store.commit(change).await {
                warn!(error = error_text(&error), "a refused message stays counted");
            }
        }
        refusal
    }

    /// Binds a number.
    ///
    /// # Errors
    /// As the contract's table of checks says, in its order.
    pub async fn bind(&self, requester: Requester, parameters: &BindParameters<'_>) -> Result<LoggedIn, Refusal> {
        let session = self.read_token(parameters.token);
        let command = Bind::parse(requester, parameters, session, ProofOfIdentity::None, &self.policy, &self.keys)?;
        let query = command.query();
        for _ in 0..self.policy.attempts {
            let snapshot = self.store.load_bind(&query).await.map_err(|error| not_stored(Operation::Bind, &error))?;
            let now = self.clock.now();
            let account = if snapshot.makes_account(&command, now, &self.policy) {
                let allotted = self.store.allot_account_id().await;
                Some(allotted.map_err(|error| not_stored(Operation::Bind, &error))?)
            } else {
                None
            };
            let fresh = Fresh { account, session: self.open_session()? };
            let decision = bind::decide(&snapshot, &command, &fresh, &self.keys, &self.policy, now);
            observe(decision.observed.as_ref());
            let answer = match decision.answer {
                // Made before the commit: nothing is committed that cannot be answered.
                Ok(bound) => Ok(self.logged_in(bound)?),
                Err(refusal) => Err(refusal),
            };
            match self.commit(decision.change).await {
                Ok(()) => return answer,
                Err(CommitError::Conflict) => {}
                Err(CommitError::Store(error)) => return Err(not_stored(Operation::Bind, &error)),
            }
        }
        Err(Refusal::NotStored(Operation::Bind))
    }

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
        if now.since(found.session.used_at) >= self.policy.session.refresh_after {
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
        let found = self.live_session(token).await?.ok_or(Refusal::LoginRequired)?;
        let id = found.session.id;
        let change = Change { expectations: vec![Expectation::Session(id)], writes: vec![Write::EndSession(id)] };
        match self.store.commit(change).await {
            Ok(_) => Ok(()),
            Err(CommitError::Conflict) => Err(Refusal::LoginRequired),
            Err(CommitError::Store(error)) => Err(not_stored(Operation::Session, &error)),
        }
    }

    async fn live_session(&self, token: &str) -> Result<Option<SessionSnapshot>, Refusal> {
        let Some(id) = self.read_token(token) else { return Ok(None) };
        let found = self.store.load_session(id).await.map_err(|error| not_stored(Operation::Session, &error))?;
        let now = self.clock.now();
        Ok(found.filter(|found| {
            let account = &found.account.value;
            found.session.is_live(now, &self.policy.session) && account.is_live() && account.status.may_log_in()
        }))
    }

    fn read_token(&self, token: &str) -> Option<SessionId> {
        if token.is_empty() { None } else { self.tokens.read(token, self.clock.now()) }
    }

    fn open_session(&self) -> Result<crate::ports::OpenedSession, Refusal> {
        let mut seed = [0; 16];
        self.randomness.fill(&mut seed);
        self.tokens.open(SessionSeed(seed)).map_err(|error| not_stored(Operation::Bind, &error))
    }

    fn logged_in(&self, bound: Bound) -> Result<LoggedIn, Refusal> {
        let expires_at = bound.session.expires_at(&self.policy.session);
        let token = self.tokens.issue(&bound.session, expires_at);
        let token = token.map_err(|error| not_stored(Operation::Bind, &error))?;
        Ok(LoggedIn { account: bound.account, token })
    }

    async fn commit(&self, change: Change) -> Result<(), CommitError> {
        if change.is_empty() {
            return Ok(());
        }
        self.store.commit(change).await.map(|_| ())
    }

    /// Forgets some of what has ended; see [`Store::purge`].
    ///
    /// # Errors
    /// Where the store is unavailable.
    pub async fn purge(&self, limit: usize) -> Result<usize, crate::ports::StoreError> {
        let now = self.clock.now();
        let inactivity = u64::try_from(self.policy.session.inactivity.as_millis()).unwrap_or(u64::MAX);
        let sessions_before = Timestamp::from_millis(now.as_millis().saturating_sub(inactivity));
        self.store.purge(now, sessions_before, limit).await
    }
}

fn observe(refusal: Option<&Refusal>) {
    if let Some(refusal) = refusal {
        info!(?refusal, "a quota that is only watched would have refused this");
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
