//! What became of requests with idempotency keys, as it is stored. Their names stand in the keys.

use mobile_bind_domain::{AccountId, FinalRefusal, IdempotencyRecord, IdempotentOutcome, SessionId, Timestamp};
use serde::{Deserialize, Serialize};

use super::Record;

#[derive(Serialize, Deserialize)]
pub(crate) enum StoredIdempotency {
    V1(IdempotencyV1),
}

#[derive(Serialize, Deserialize)]
pub(crate) struct IdempotencyV1 {
    fingerprint: [u8; 32],
    at: u64,
    expires_at: u64,
    outcome: OutcomeV1,
}

#[derive(Serialize, Deserialize)]
pub(crate) enum OutcomeV1 {
    Sending,
    Sent,
    Bound {
        account: u64,
        session: Option<[u8; 16]>,
    },
    /// The refusal's number.
    Refused(u8),
}

impl Record for IdempotencyRecord {
    const KIND: &'static str = "idempotency key";
    type Stored<'a> = StoredIdempotency;

    fn to_stored(&self) -> StoredIdempotency {
        StoredIdempotency::V1(IdempotencyV1 {
            fingerprint: self.fingerprint,
            at: self.at.as_millis(),
            expires_at: self.expires_at.as_millis(),
            outcome: match self.outcome {
                IdempotentOutcome::Sending => OutcomeV1::Sending,
                IdempotentOutcome::Sent => OutcomeV1::Sent,
                IdempotentOutcome::Bound { account, session } => {
                    OutcomeV1::Bound { account: account.get(), session: session.map(|session| session.0) }
                }
                IdempotentOutcome::Refused(refusal) => OutcomeV1::Refused(refusal.number()),
            },
        })
    }

    fn from_stored(stored: StoredIdempotency) -> Option<Self> {
        let StoredIdempotency::V1(stored) = stored;
        Some(Self {
            fingerprint: stored.fingerprint,
            at: Timestamp::from_millis(stored.at),
            expires_at: Timestamp::from_millis(stored.expires_at),
            outcome: match stored.outcome {
                OutcomeV1::Sending => IdempotentOutcome::Sending,
                OutcomeV1::Sent => IdempotentOutcome::Sent,
                OutcomeV1::Bound { account, session } => {
                    IdempotentOutcome::Bound { account: AccountId::new(account)?, session: session.map(SessionId) }
                }
                OutcomeV1::Refused(number) => IdempotentOutcome::Refused(FinalRefusal::from_number(number)?),
            },
        })
    }
}
