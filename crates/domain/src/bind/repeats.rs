//! The very same bind again: answered as the first one was.

use super::decision::{Bound, Decision, Situation};
use crate::ports::{EarlierBind, ReceiptSnapshot, SessionSnapshot};
use crate::{Change, Expectation, FinalRefusal, IdempotencyRecord, IdempotentOutcome, Refusal, Versioned, Write};

impl Situation<'_> {
    /// The very same bind again, because its answer was lost: answered as the first time.
    pub(super) fn repeat(self) -> Option<Decision> {
        let ReceiptSnapshot { receipt, session } = self.snapshot.receipt.as_ref()?;
        if receipt.fingerprint != self.command.fingerprint || self.now >= receipt.expires_at {
            return None;
        }
        if receipt.session.is_none() {
            return Some(Decision::refuse(Refusal::AccountAwaitingApproval));
        }
        let found = session.as_ref().filter(|found| found.session.is_live(self.now, &self.policy.session))?;
        let account = &found.account.value;
        if account.held_mobile() != Some(&self.command.key.mobile) || !account.status.may_log_in() {
            return None;
        }
        // The commit that wrote the receipt may not be on disk yet; this one, which comes after it, is when it returns.
        let change = Change::expecting(Expectation::Session(found.session.id));
        let answer = Ok(Bound { account: account.clone(), session: found.session.clone() });
        Some(Decision::bound(change, answer))
    }

    /// The very same request again, by its idempotency key.
    pub(super) fn earlier(self) -> Option<Decision> {
        let repeatable = self.command.repeatable.as_ref()?;
        let EarlierBind { record, session } = self.snapshot.earlier.as_ref()?;
        if self.now >= record.value.expires_at {
            return None;
        }
        // What was read may not be on disk yet; it is when this, which comes after it, is.
        let mut change = Change::expecting(Expectation::Idempotency(repeatable.name, record.revision));
        if record.value.fingerprint != repeatable.fingerprint {
            return Some(Decision::refuse_after(change, Refusal::IdempotencyKeyReused));
        }
        let refusal = match &record.value.outcome {
            IdempotentOutcome::Bound { session: None, .. } => Refusal::AccountAwaitingApproval,
            IdempotentOutcome::Refused(refusal) => refusal.refusal(),
            IdempotentOutcome::Bound { session: Some(_), .. } => {
                match session.as_ref().filter(|found| self.may_go_on(found)) {
                    Some(found) => {
                        change.expectations.push(Expectation::Session(found.session.id));
                        let bound = Bound { account: found.account.value.clone(), session: found.session.clone() };
                        return Some(Decision::bound(change, Ok(bound)));
                    }
                    // The code was used, and the session that it opened has ended.
                    None => Refusal::CodeExpired,
                }
            }
            // No bind is recorded so.
            IdempotentOutcome::Sending | IdempotentOutcome::Sent => Refusal::IdempotencyKeyReused,
        };
        Some(Decision::refuse_after(change, refusal))
    }

    pub(super) fn may_go_on(self, found: &SessionSnapshot) -> bool {
        let account = &found.account.value;
        found.session.is_live(self.now, &self.policy.session) && account.is_live() && account.status.may_log_in()
    }

    /// The decision, and the note of it for whoever asks again with the same idempotency key. What only says to wait, and what
    /// the service could not carry out, is not noted.
    pub(super) fn recorded(self, mut decision: Decision) -> Decision {
        let Some(repeatable) = &self.command.repeatable else { return decision };
        let outcome = match &decision.answer {
            Ok(bound) => Some(IdempotentOutcome::Bound { account: bound.account.id, session: Some(bound.session.id) }),
            Err(refusal) => FinalRefusal::of(refusal).map(IdempotentOutcome::Refused),
        };
        let expected = Versioned::revision_of(self.snapshot.earlier.as_ref().map(|earlier| &earlier.record));
        let record = outcome.map(|outcome| IdempotencyRecord {
            fingerprint: repeatable.fingerprint,
            at: self.now,
            expires_at: self.now.after(self.policy.idempotency_lifetime),
            outcome,
        });
        if record.is_some() {
            decision.change.writes.push(Write::Idempotency { expected, name: repeatable.name, record });
        }
        decision
    }
}
