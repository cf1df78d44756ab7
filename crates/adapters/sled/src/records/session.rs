//! Sessions as they are stored.

use mobile_bind_domain::{AccountId, KeyId, Session, SessionId, SessionSeed, Timestamp};
use serde::{Deserialize, Serialize};

use super::Record;
use crate::layout::{client_type_number, client_type_of};

#[derive(Serialize, Deserialize)]
pub(crate) enum StoredSession<'a> {
    #[serde(borrow)]
    V1(SessionV1<'a>),
}

#[derive(Serialize, Deserialize)]
pub(crate) struct SessionV1<'a> {
    id: [u8; 16],
    seed: [u8; 16],
    /// The id of the key that the token was made with.
    key: &'a str,
    account: u64,
    /// As in keys.
    client_type: u8,
    issued_at: u64,
    used_at: u64,
}

impl Record for Session {
    const KIND: &'static str = "session";
    type Stored<'a> = StoredSession<'a>;

    fn to_stored(&self) -> StoredSession<'_> {
        StoredSession::V1(SessionV1 {
            id: self.id.0,
            seed: self.seed.0,
            key: self.key.as_str(),
            account: self.account.get(),
            client_type: client_type_number(self.client_type),
            issued_at: self.issued_at.as_millis(),
            used_at: self.used_at.as_millis(),
        })
    }

    fn from_stored(stored: StoredSession<'_>) -> Option<Self> {
        let StoredSession::V1(stored) = stored;
        Some(Self {
            id: SessionId(stored.id),
            seed: SessionSeed(stored.seed),
            key: KeyId::new(stored.key)?,
            account: AccountId::new(stored.account)?,
            client_type: client_type_of(stored.client_type)?,
            issued_at: Timestamp::from_millis(stored.issued_at),
            used_at: Timestamp::from_millis(stored.used_at),
        })
    }
}
