//! Binding a number.

use tracing::trace_span;

use super::{LoggedIn, SPANS, Service, not_stored};
use crate::audit;
use crate::bind::{self, Bind, BindParameters, Bound, Decision, Fresh};
use crate::conversion::Conversions;
use crate::ports::{BindQuery, BindSnapshot, CommitError, OpenedSession};
use crate::{ChallengeKey, Change, Operation, Refusal, Requester, SessionSeed, Ticket, Timestamp, Write};

impl Service {
    /// Binds a number.
    ///
    /// # Errors
    /// As the contract's table of checks says, in its order.
    pub async fn bind(&self, requester: Requester, parameters: &BindParameters<'_>) -> Result<LoggedIn, Refusal> {
        let session = self.read_token(parameters.token);
        let ticket = Ticket::read(parameters.auth_ticket, &self.keys, self.clock.now());
        let command = Bind::parse(requester, parameters, session, ticket, &self.policy.get(), &self.keys)?;
        let outcome = self.bind_once(&command).await;
        if let Err(refusal) = &outcome {
            self.guards.refused(refusal);
        }
        outcome
    }

    async fn bind_once(&self, command: &Bind) -> Result<LoggedIn, Refusal> {
        let decide = |snapshot: &BindSnapshot, fresh: &Fresh, now| {
            bind::decide(snapshot, command, fresh, &self.keys, &self.policy.get(), now)
        };
        self.carry_out(command, &command.query(&self.policy.get()), decide).await
    }

    /// Loads, decides and commits, and starts again while the snapshot does not hold.
    pub(super) async fn carry_out(
        &self,
        command: &Bind,
        query: &BindQuery,
        decide: impl Fn(&BindSnapshot, &Fresh, Timestamp) -> Decision + Sync,
    ) -> Result<LoggedIn, Refusal> {
        for _ in 0..self.policy.get().attempts {
            let snapshot = self.store.load_bind(query).await.map_err(|error| not_stored(Operation::Bind, &error))?;
            let now = self.clock.now();
            let notice = self.policy.get().numbers.tell_old_number.then(|| self.message_id(now));
            let fresh = Fresh { account: None, session: self.open_session(Operation::Bind)?, notice };
            let decide =
                |fresh: &Fresh| trace_span!(target: SPANS, "decide").in_scope(|| decide(&snapshot, fresh, now));
            let mut decision = decide(&fresh);
            if let Some(wanted) = decision.wanted.take() {
                let allotted = self.store.allot_account_id().await;
                let id = allotted.map_err(|error| not_stored(Operation::Bind, &error))?;
                decision = decide(&Fresh { account: Some(wanted.with(id)), ..fresh });
            }
            let events = audit::of_bind(command, &snapshot, &decision, &self.keys, now);
            let answer = match decision.answer {
                // Made before the commit: nothing is committed that cannot be answered.
                Ok(bound) => Ok(self.logged_in(bound)?),
                Err(refusal) => Err(refusal),
            };
            let used: Vec<_> = decision.change.writes.iter().filter_map(used_code).filter(|_| answer.is_ok()).collect();
            let mut change = decision.change;
            let summed = self.audit.put(&mut change, events);
            match self.commit(change).await {
                Ok(()) => {
                    self.audit.sum(summed);
                    self.guards.observed(&decision.observed);
                    if decision.verified {
                        self.note_conversion(&command.key.mobile, &command.requester, Conversions::verified);
                    }
                    used.into_iter().for_each(|key| self.relay.verified(key));
                    return answer;
                }
                Err(CommitError::Conflict) => {}
                Err(CommitError::Store(error)) => return Err(not_stored(Operation::Bind, &error)),
            }
        }
        Err(Refusal::NotStored(Operation::Bind))
    }

    pub(super) fn open_session(&self, operation: Operation) -> Result<OpenedSession, Refusal> {
        let mut seed = [0; 16];
        self.randomness.fill(&mut seed);
        self.tokens.open(SessionSeed(seed)).map_err(|error| not_stored(operation, &error))
    }

    pub(super) fn logged_in(&self, bound: Bound) -> Result<LoggedIn, Refusal> {
        let expires_at = bound.session.expires_at(&self.policy.get().session);
        let token = self.tokens.issue(&bound.session, expires_at);
        let token = token.map_err(|error| not_stored(Operation::Bind, &error))?;
        Ok(LoggedIn { account: bound.account, token })
    }

    pub(super) async fn commit(&self, change: Change) -> Result<(), CommitError> {
        if change.is_empty() {
            return Ok(());
        }
        self.store.commit(change).await.map(|_| ())
    }
}

/// The challenge that a write ends.
fn used_code(write: &Write) -> Option<ChallengeKey> {
    match write {
        Write::Challenge { key, challenge: None, .. } => Some(key.clone()),
        _ => None,
    }
}
