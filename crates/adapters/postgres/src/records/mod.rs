//! The records' columns, and their way to the domain's types and back.

pub(crate) mod account;
pub(crate) mod audit;
pub(crate) mod challenge;
pub(crate) mod idempotency;
pub(crate) mod message;
pub(crate) mod proof;
pub(crate) mod receipt;
pub(crate) mod session;
pub(crate) mod tally;

use std::hash::{BuildHasher, Hash, RandomState};
use std::sync::LazyLock;

use mobile_bind_domain::{AccountId, Client, Revision, Timestamp};

use crate::fault::Fault;
use crate::query::{Form, Value};
use crate::text;

/// What a change has of a form: one row.
pub(crate) struct Part {
    pub(crate) form: &'static Form,
    pub(crate) row: Vec<Value>,
    /// The rows and unique entries that it reads or writes, by their hashes. One statement cannot do that twice.
    pub(crate) touches: Vec<u64>,
}

/// Drawn anew in each process: nobody outside can make keys that meet.
static TOUCHES: LazyLock<RandomState> = LazyLock::new(RandomState::new);

/// The hash of a row's key.
pub(crate) fn touch(kind: &str, key: &[&dyn Key]) -> u64 {
    let mut hasher = TOUCHES.build_hasher();
    kind.hash(&mut hasher);
    for part in key {
        part.add_to(&mut hasher);
    }
    std::hash::Hasher::finish(&hasher)
}

/// A column of a key.
pub(crate) trait Key {
    fn add_to(&self, hasher: &mut std::hash::DefaultHasher);
}

impl<T: Hash> Key for T {
    fn add_to(&self, hasher: &mut std::hash::DefaultHasher) {
        self.hash(hasher);
    }
}

/// A point in time, as it is stored.
pub(crate) fn millis(at: Timestamp) -> i64 {
    // The domain's clock is 292 million years from the end of this.
    i64::try_from(at.as_millis()).unwrap_or(i64::MAX)
}

pub(crate) fn timestamp(millis: i64, kind: &'static str) -> Result<Timestamp, Fault> {
    u64::try_from(millis).map(Timestamp::from_millis).map_err(|_| Fault::Unreadable(kind))
}

pub(crate) fn account_id(id: i64, kind: &'static str) -> Result<AccountId, Fault> {
    u64::try_from(id).ok().and_then(AccountId::new).ok_or(Fault::Unreadable(kind))
}

pub(crate) fn stored_id(id: AccountId) -> i64 {
    // Ten digits fit.
    i64::try_from(id.get()).unwrap_or(i64::MAX)
}

pub(crate) fn revision(stored: i64, kind: &'static str) -> Result<Revision, Fault> {
    u64::try_from(stored).map(Revision).map_err(|_| Fault::Unreadable(kind))
}

/// What is looked for where a revision is expected; none is negative.
pub(crate) fn expected(revision: Revision) -> i64 {
    i64::try_from(revision.0).unwrap_or(-1)
}

pub(crate) fn stored_text(value: &str) -> String {
    text::stored(value).into_owned()
}

/// Reads a text by the domain's own constructor.
pub(crate) fn read<T>(stored: &str, kind: &'static str, make: impl FnOnce(&str) -> Option<T>) -> Result<T, Fault> {
    text::restored(stored).and_then(|value| make(&value)).ok_or(Fault::Unreadable(kind))
}

pub(crate) fn read_some<T>(
    stored: Option<&str>,
    kind: &'static str,
    make: impl FnOnce(&str) -> Option<T>,
) -> Result<Option<T>, Fault> {
    stored.map(|stored| read(stored, kind, make)).transpose()
}

/// A client in a key: `uuid:…` or `address:…`.
pub(crate) fn stored_client(client: &Client) -> String {
    stored_text(&client.to_string())
}

pub(crate) fn bytes<const LENGTH: usize>(stored: &[u8], kind: &'static str) -> Result<[u8; LENGTH], Fault> {
    stored.try_into().map_err(|_| Fault::Unreadable(kind))
}
