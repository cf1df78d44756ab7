//! Proofs and marks as they are stored. What they are of stands in their keys.

use mobile_bind_domain::{Proof, SealedSessionKey, Timestamp, UnionId};
use serde::{Deserialize, Serialize};

use super::Record;

#[derive(Serialize, Deserialize)]
pub(crate) enum StoredProof<'a> {
    #[serde(borrow)]
    V1(ProofV1<'a>),
}

#[derive(Serialize, Deserialize)]
pub(crate) struct ProofV1<'a> {
    #[serde(borrow)]
    unionid: Option<&'a str>,
    /// Sealed: nothing in the store opens it.
    #[serde(borrow)]
    session_key: Option<&'a [u8]>,
    proved_at: u64,
    expires_at: u64,
}

impl Record for Proof {
    const KIND: &'static str = "proof";
    type Stored<'a> = StoredProof<'a>;

    fn to_stored(&self) -> StoredProof<'_> {
        StoredProof::V1(ProofV1 {
            unionid: self.unionid.as_ref().map(UnionId::as_str),
            session_key: self.session_key.as_ref().map(SealedSessionKey::as_bytes),
            proved_at: self.proved_at.as_millis(),
            expires_at: self.expires_at.as_millis(),
        })
    }

    fn from_stored(stored: StoredProof<'_>) -> Option<Self> {
        let StoredProof::V1(ProofV1 { unionid, session_key, proved_at, expires_at }) = stored;
        let session_key = match session_key {
            Some(sealed) => Some(SealedSessionKey::new(sealed)?),
            None => None,
        };
        let unionid = match unionid {
            Some(text) => Some(UnionId::new(text)?),
            None => None,
        };
        let (proved_at, expires_at) = (Timestamp::from_millis(proved_at), Timestamp::from_millis(expires_at));
        Some(Self { unionid, session_key, proved_at, expires_at })
    }
}

/// That something is spent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Spent {
    /// Until when that is remembered.
    pub(crate) until: Timestamp,
}

#[derive(Serialize, Deserialize)]
pub(crate) enum StoredSpent {
    V1(SpentV1),
}

#[derive(Serialize, Deserialize)]
pub(crate) struct SpentV1 {
    until: u64,
}

impl Record for Spent {
    const KIND: &'static str = "spent mark";
    type Stored<'a> = StoredSpent;

    fn to_stored(&self) -> StoredSpent {
        StoredSpent::V1(SpentV1 { until: self.until.as_millis() })
    }

    fn from_stored(stored: StoredSpent) -> Option<Self> {
        let StoredSpent::V1(SpentV1 { until }) = stored;
        Some(Self { until: Timestamp::from_millis(until) })
    }
}
