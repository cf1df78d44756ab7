//! Sending a code: the quotas, the commit, the message, in this order.

use tracing::trace_span;

use super::{SPANS, Service, not_stored, observe};
use crate::audit::{self, AuditAction};
use crate::outbox::{MessageId, MessageKey};
use crate::ports::{CommitError, Outgoing, Purpose, SendFailure};
use crate::send::{self, Send};
use crate::{Operation, OutboxMessage, Refusal, Requester, Revision, Timestamp, VerificationCode, Write};

impl Service {
    /// Sends a code to a number. The message is stored with the code, before it leaves. Answers when a provider has accepted
    /// it, or after a while; then the outbox goes on.
    ///
    /// # Errors
    /// Where the number is malformed or still rests, a quota is used up, or no message went out.
    pub async fn send_code(&self, requester: Requester, mobile: &str, token: &str) -> Result<(), Refusal> {
        let session = self.read_token(token);
        let command = Send::parse(requester, mobile, session, &self.policy)?;
        let code = self.codes.draw(self.policy.code_length);
        let mac = self.keys.seal(&command.key, &code);
        let message = self.queued(&command, &code)?;
        let query = command.query();
        for _ in 0..self.policy.attempts {
            let snapshot = self.store.load_send(&query).await.map_err(|error| not_stored(Operation::Send, &error))?;
            let now = self.clock.now();
            let decide = || send::decide(&snapshot, &command, mac.clone(), &self.policy, now);
            let permission = trace_span!(target: SPANS, "decide").in_scope(decide);
            let permission = permission.inspect_err(|refusal| self.note_refused(&command, refusal))?;
            observe(permission.observed.as_ref());
            let mut change = permission.change.clone();
            let event =
                audit::by_client(AuditAction::Send, &command.requester, Some(&command.key.mobile), &self.keys, now);
            change.writes.push(Write::Audit(Box::new(event)));
            change.writes.push(Write::Message { expected: Revision::ABSENT, message: Box::new(message.clone()) });
            match self.store.commit(change).await {
                Ok(revision) => {
                    let outgoing = Outgoing { message, revision, code, permission: Some(permission) };
                    let sent = self.relay.relay(outgoing).await.map_err(refusal);
                    return sent.inspect_err(|refusal| self.note_refused(&command, refusal));
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

    fn queued(&self, command: &Send, code: &VerificationCode) -> Result<OutboxMessage, Refusal> {
        let now: Timestamp = self.clock.now();
        let mut random = [0; 10];
        self.randomness.fill(&mut random);
        let key = MessageKey { mobile: command.key.mobile.clone(), id: MessageId::new(now, random) };
        let sealed = self.sealer.seal(&key, code).map_err(|error| not_stored(Operation::Send, &error))?;
        let (client, language) = (command.key.client.clone(), command.requester.language);
        let lasts = (now, now.after(self.policy.code_lifetime));
        Ok(OutboxMessage::queued(key, client, Purpose::Bind, language, sealed, lasts, &self.policy.outbox))
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
