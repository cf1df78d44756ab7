//! Challenges and receipts as they are stored. What they belong to stands in their keys.

use mobile_bind_domain::bind::BindReceipt;
use mobile_bind_domain::{AccountId, Challenge, CodeMac, KeyId, SessionId, Timestamp};
use serde::{Deserialize, Serialize};

use super::Record;

#[derive(Serialize, Deserialize)]
pub(crate) enum StoredChallenge<'a> {
    #[serde(borrow)]
    V1(ChallengeV1<'a>),
}

#[derive(Serialize, Deserialize)]
pub(crate) struct ChallengeV1<'a> {
    /// The id of the key that the code was MACed with.
    key: &'a str,
    tag: [u8; 32],
    sent_at: u64,
    expires_at: u64,
    failures: u8,
}

impl Record for Challenge {
    const KIND: &'static str = "challenge";
    type Stored<'a> = StoredChallenge<'a>;

    fn to_stored(&self) -> StoredChallenge<'_> {
        StoredChallenge::V1(ChallengeV1 {
            key: self.mac.key.as_str(),
            tag: self.mac.tag,
            sent_at: self.sent_at.as_millis(),
            expires_at: self.expires_at.as_millis(),
            failures: self.failures,
        })
    }

    fn from_stored(stored: StoredChallenge<'_>) -> Option<Self> {
        let StoredChallenge::V1(stored) = stored;
        Some(Self {
            mac: CodeMac { key: KeyId::new(stored.key)?, tag: stored.tag },
            sent_at: Timestamp::from_millis(stored.sent_at),
            expires_at: Timestamp::from_millis(stored.expires_at),
            failures: stored.failures,
        })
    }
}

#[derive(Serialize, Deserialize)]
pub(crate) enum StoredReceipt {
    V1(ReceiptV1),
}

#[derive(Serialize, Deserialize)]
pub(crate) struct ReceiptV1 {
    fingerprint: [u8; 32],
    expires_at: u64,
    account: u64,
    session: Option<[u8; 16]>,
}

impl Record for BindReceipt {
    const KIND: &'static str = "receipt";
    type Stored<'a> = StoredReceipt;

    fn to_stored(&self) -> StoredReceipt {
        StoredReceipt::V1(ReceiptV1 {
            fingerprint: self.fingerprint,
            expires_at: self.expires_at.as_millis(),
            account: self.account.get(),
            session: self.session.map(|session| session.0),
        })
    }

    fn from_stored(stored: StoredReceipt) -> Option<Self> {
        let StoredReceipt::V1(stored) = stored;
        Some(Self {
            fingerprint: stored.fingerprint,
            expires_at: Timestamp::from_millis(stored.expires_at),
            account: AccountId::new(stored.account)?,
            session: stored.session.map(SessionId),
        })
    }
}
