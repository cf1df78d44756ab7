//! Sending a code: the quotas, the commit, the message, in this order.

use std::sync::Arc;
use std::time::Duration;

use tracing::{Span, trace_span, warn};

use super::{SPANS, Service, error_text, not_stored};
use crate::audit::{self, AuditAction};
use crate::conversion::Conversions;
use crate::outbox::{MessageId, MessageKey};
use crate::ports::{CaptchaResponse, CommitError, Content, Outgoing, SendFailure};
use crate::send::{self, CaptchaState, Circumstances, Earlier, Permission, Send, SendParameters};
use crate::{Change, Operation, OutboxMessage, Refusal, Requester, Revision, Timestamp, VerificationCode, Write};

/// How long to wait before looking again what became of the same request.
const LOOK_AGAIN: Duration = Duration::from_millis(50);

impl Service {
    /// Sends a code to a number. The message is stored with the code, before it leaves. Answers when a provider has accepted
    /// it, or after a while; then the outbox goes on.
    ///
    /// # Errors
    /// Where the number is malformed or still rests, a quota is used up, or no message went out.
    pub async fn send_code(&self, requester: Requester, parameters: &SendParameters<'_>) -> Result<(), Refusal> {
        let session = self.read_token(parameters.token);
        let command = Send::parse(requester, parameters, session, &self.policy.get(), &self.keys)?;
        let outcome = self.send_once(&command, parameters.captcha).await;
        if let Err(refusal) = &outcome {
            self.guards.refused(refusal);
            self.note_refused(&command, refusal);
        }
        outcome
    }

    async fn send_once(&self, command: &Send, response: Option<&CaptchaResponse>) -> Result<(), Refusal> {
        // No message goes to a number for tests.
        let (code, message) = match self.policy.get().test_numbers.get(&command.key.mobile) {
            Some(number) => (number.code.clone(), None),
            None => {
                let code = self.codes.draw(self.policy.get().code_length);
                let message = self.queued(command, &code)?;
                (code, Some(message))
            }
        };
        let mac = self.keys.seal(&command.key, &code);
        let query = command.query(&self.policy.get());
        let mut captcha = if self.guards.captcha.is_some() { CaptchaState::Open } else { CaptchaState::Unavailable };
        let mut response = response;
        let mut attempts = 0;
        while attempts < self.policy.get().attempts {
            let snapshot = self.store.load_send(&query).await.map_err(|error| not_stored(Operation::Send, &error))?;
            let now = self.clock.now();
            match snapshot.earlier(command, &self.policy.get(), now) {
                None => attempts += 1,
                Some(Earlier::UnderWay) => {
                    self.guards.pause.pause(LOOK_AGAIN).await;
                    continue;
                }
                Some(Earlier::Answered(change, answer)) => match self.store.commit(*change).await {
                    Ok(_) => return answer,
                    Err(CommitError::Conflict) => {
                        attempts += 1;
                        continue;
                    }
                    Err(CommitError::Store(error)) => return Err(not_stored(Operation::Send, &error)),
                },
            }
            let circumstances = Circumstances { captcha, now };
            let decide = || send::decide(&snapshot, command, mac.clone(), &self.policy.get(), &circumstances);
            let permission = match trace_span!(target: SPANS, "decide").in_scope(decide) {
                Err(Refusal::CaptchaWanted { .. }) if response.is_some() => {
                    captcha = self.solved(response.take(), command).await;
                    continue;
                }
                decided => Arc::new(decided?),
            };
            let mut change = permission.change.clone();
            let event =
                audit::by_client(AuditAction::Send, &command.requester, Some(&command.key.mobile), &self.keys, now);
            change.writes.push(Write::Audit(Box::new(event)));
            let queued = |message| Write::Message { expected: Revision::ABSENT, message: Box::new(message) };
            change.writes.extend(message.clone().map(queued));
            match self.store.commit(change).await {
                Ok(revision) => {
                    self.note_sending(&permission);
                    let relayed = match message {
                        Some(message) => {
                            let (permission, span) = (Some(Arc::clone(&permission)), Span::current());
                            let content = Content::Code(code);
                            self.relay.relay(Outgoing { message, revision, content, permission, span }).await
                        }
                        None => Ok(()),
                    };
                    if matches!(relayed, Ok(()) | Err(SendFailure::Unknown)) {
                        self.note_conversion(&command.key.mobile, &command.requester, Conversions::sent);
                    }
                    let outcome = relayed.map_err(refusal);
                    if let Some(change) = permission.concluded(revision, &outcome) {
                        self.commit_late(change, "what became of a message is not known to who asks again").await;
                    }
                    return outcome;
                }
                Err(CommitError::Conflict) => {}
                Err(CommitError::Store(error)) => return Err(not_stored(Operation::Send, &error)),
            }
        }
        Err(Refusal::NotStored(Operation::Send))
    }

    /// Sums up a refusal: nothing is committed for it.
    fn note_refused(&self, command: &Send, refusal: &Refusal) {
        let (requester, mobile) = (&command.requester, Some(&command.key.mobile));
        let event = audit::by_client(AuditAction::RefuseSend, requester, mobile, &self.keys, self.clock.now());
        self.audit.sum(vec![audit::refused(event, refusal)]);
    }

    /// What the provider says of a captcha. One that cannot be asked leaves the quotas as they are where there is none.
    async fn solved(&self, response: Option<&CaptchaResponse>, command: &Send) -> CaptchaState {
        let Some((captcha, response)) = self.guards.captcha.as_ref().zip(response) else {
            return CaptchaState::Unavailable;
        };
        match captcha.verify(response, command.requester.address).await {
            Ok(true) => CaptchaState::Solved,
            Ok(false) => CaptchaState::Open,
            Err(error) => {
                warn!(%error, "a captcha could not be verified");
                CaptchaState::Unavailable
            }
        }
    }

    fn note_sending(&self, permission: &Permission) {
        self.guards.observed(&permission.observed);
        let now = self.clock.now();
        for &used in &permission.budget {
            self.guards.watch.budget(used, now);
        }
    }

    fn queued(&self, command: &Send, code: &VerificationCode) -> Result<OutboxMessage, Refusal> {
        let now: Timestamp = self.clock.now();
        let key = MessageKey { mobile: command.key.mobile.clone(), id: self.message_id(now) };
        let sealed = self.sealer.seal(&key, code).map_err(|error| not_stored(Operation::Send, &error))?;
        let (client, language) = (command.key.client.clone(), command.requester.language);
        let lasts = (now, now.after(self.policy.get().code_lifetime));
        Ok(OutboxMessage::with_code(key, client, language, sealed, lasts, &self.policy.get().outbox))
    }

    pub(super) fn message_id(&self, now: Timestamp) -> MessageId {
        let mut random = [0; 10];
        self.randomness.fill(&mut random);
        MessageId::new(now, random)
    }

    /// Commits what the answer does not depend on.
    async fn commit_late(&self, change: Change, otherwise: &'static str) {
        if let Err(CommitError::Store(error)) = self.store.commit(change).await {
            warn!(error = error_text(&error), "{otherwise}");
        }
    }
}

fn refusal(failure: SendFailure) -> Refusal {
    match failure {
        SendFailure::Refused => Refusal::SmsRefused,
        SendFailure::Limited => Refusal::SmsLimited,
        SendFailure::Unavailable => Refusal::SmsUnavailable,
        SendFailure::Unknown => Refusal::SmsUnknown,
    }
}
