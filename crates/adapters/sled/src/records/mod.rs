//! The stored shapes, and their way to the domain's types and back.
//!
//! A value is the revision, 8 bytes big-endian, then a postcard enum with one variant for each version of the shape. Never
//! change a variant: add one, write it, and read all. `fixtures/` holds a record of every kind in every version. Points in
//! time are milliseconds since the Unix epoch.

mod account;
mod challenge;
mod checkpoint;
mod idempotency;
mod message;
mod proof;
mod session;
mod tally;

use mobile_bind_domain::{Revision, Versioned};
use serde::{Deserialize, Serialize};

pub(crate) use proof::Spent;

use crate::fault::Fault;

/// A domain type that is stored in a versioned shape.
pub(crate) trait Record: Sized {
    /// What errors call it.
    const KIND: &'static str;

    /// The shape, borrowing its texts; one variant for each version.
    type Stored<'a>: Serialize + Deserialize<'a>
    where
        Self: 'a;

    /// In the newest version.
    fn to_stored(&self) -> Self::Stored<'_>;

    /// `None` where the domain would not have it.
    fn from_stored(stored: Self::Stored<'_>) -> Option<Self>;
}

const REVISION_BYTES: usize = 8;

/// The value to store.
pub(crate) fn encode<R: Record>(revision: Revision, record: &R) -> Result<Vec<u8>, Fault> {
    let mut value = Vec::with_capacity(256);
    value.extend_from_slice(&revision.0.to_be_bytes());
    postcard::to_extend(&record.to_stored(), value).map_err(|_| Fault::Unwritable(R::KIND))
}

/// The record of a stored value.
pub(crate) fn decode<R: Record>(value: &[u8]) -> Result<Versioned<R>, Fault> {
    let unreadable = || Fault::Unreadable(R::KIND);
    let (&revision, body) = value.split_first_chunk::<REVISION_BYTES>().ok_or_else(unreadable)?;
    let (stored, rest) = postcard::take_from_bytes(body).map_err(|_| unreadable())?;
    let record = R::from_stored(stored).filter(|_| rest.is_empty()).ok_or_else(unreadable)?;
    Ok(Versioned { revision: Revision(u64::from_be_bytes(revision)), value: record })
}

/// The revision of a stored value.
pub(crate) fn revision(value: &[u8]) -> Result<Revision, Fault> {
    let (&revision, _) = value.split_first_chunk::<REVISION_BYTES>().ok_or(Fault::Unreadable("revision"))?;
    Ok(Revision(u64::from_be_bytes(revision)))
}

#[cfg(test)]
mod tests;
