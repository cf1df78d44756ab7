//! Sending a code: the quotas, the commit, the message, in this order.

use tracing::field::Empty;
use tracing::{Instrument, trace_span, warn};

use super::{SPANS, Service, error_text, not_stored, observe};
use crate::ports::{Accepted, CommitError, Purpose, SendFailure, TextMessage};
use crate::send::{self, Permission, Send};
use crate::{Operation, Refusal, Requester, Revision};

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
            let decide = || send::decide(&snapshot, &command, mac.clone(), &self.policy, self.clock.now());
            let permission = trace_span!(target: SPANS, "decide").in_scope(decide)?;
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
                    return match self.text(message).await {
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

    async fn text(&self, message: TextMessage) -> Result<Accepted, SendFailure> {
        let span = trace_span!(target: SPANS, "sms", mobile_bind.outcome = Empty, otel.status_code = Empty);
        let sent = self.sms.send(message).instrument(span.clone()).await;
        let outcome = match &sent {
            Ok(_) => "sent",
            Err(SendFailure::Refused) => "refused",
            Err(SendFailure::Limited) => "limited",
            Err(SendFailure::Unavailable) => "unavailable",
            Err(SendFailure::Unknown) => "unknown",
        };
        span.record("mobile_bind.outcome", outcome);
        if sent.is_err() {
            span.record("otel.status_code", "ERROR");
        }
        sent
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
}
