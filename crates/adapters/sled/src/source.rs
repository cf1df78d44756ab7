//! Looking records up, in the tree or in what is about to be written to it.

use mobile_bind_domain::{AccountId, Revision, SessionId, Versioned};
use sled::IVec;

use crate::fault::Fault;
use crate::layout::Key;
use crate::records::{self, Record};

/// Where keys are looked up.
pub(crate) trait Source {
    fn value(&self, key: &[u8]) -> Result<Option<IVec>, Fault>;

    fn record<R: Record>(&self, key: &Key) -> Result<Option<Versioned<R>>, Fault> {
        self.value(key.as_bytes())?.map(|value| records::decode(&value)).transpose()
    }

    /// The revision of a record, [`Revision::ABSENT`] where there is none.
    fn revision(&self, key: &Key) -> Result<Revision, Fault> {
        self.value(key.as_bytes())?.map_or(Ok(Revision::ABSENT), |value| records::revision(&value))
    }

    /// The account that an index leads to.
    fn account_at(&self, index: &Key) -> Result<Option<AccountId>, Fault> {
        let Some(value) = self.value(index.as_bytes())? else { return Ok(None) };
        let id = <[u8; 8]>::try_from(value.as_ref()).ok().and_then(|id| AccountId::new(u64::from_be_bytes(id)));
        id.map(Some).ok_or(Fault::Unreadable("index entry"))
    }

    /// The session that an index leads to.
    fn session_at(&self, index: &Key) -> Result<Option<SessionId>, Fault> {
        self.value(index.as_bytes())?.map(|value| session_id(&value)).transpose()
    }
}

pub(crate) fn session_id(value: &[u8]) -> Result<SessionId, Fault> {
    value.try_into().map(SessionId).map_err(|_| Fault::Unreadable("index entry"))
}
