//! What can go wrong, apart from a conflict.

use std::sync::Arc;

use mobile_bind_domain::ports::{CommitError, StoreError};

use crate::open::OpenError;

/// Why the store could not be read or written. Names kinds of records, never what is in them.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Fault {
    #[error("the database failed")]
    Database(#[from] sled::Error),
    #[error("the database met damage that it cannot read")]
    Panicked,
    #[error("the data file could not be synchronised with the disk")]
    Sync(#[source] std::io::Error),
    #[error("the journal could not be written, or not be synchronised with the disk")]
    Journal(#[source] std::io::Error),
    #[error("there is no room to open the store again")]
    NoRoom(#[source] std::io::Error),
    #[error("the store could not be opened again")]
    Reopen(#[source] Box<OpenError>),
    #[error("the store is being opened again")]
    Reopening,
    #[error("nothing can be written until the store is open again")]
    Down(#[source] Arc<Fault>),
    #[error("the backup could not be written")]
    Backup(#[source] std::io::Error),
    #[error("a stored {0} cannot be read")]
    Unreadable(&'static str),
    #[error("a {0} cannot be stored")]
    Unwritable(&'static str),
    #[error("too many changes are waiting to be committed")]
    Busy,
    #[error("no account id is left")]
    Exhausted,
    #[error("the store is closed")]
    Closed,
    #[error("the change was given up: whether it was written is unknown")]
    GivenUp,
}

impl From<Fault> for StoreError {
    fn from(fault: Fault) -> Self {
        Self(Box::new(fault))
    }
}

/// Why a change was turned down.
#[derive(Debug)]
pub(crate) enum Rejection {
    /// Something expected does not hold.
    Conflict,
    /// It cannot be known whether it holds.
    Fault(Fault),
}

impl From<Fault> for Rejection {
    fn from(fault: Fault) -> Self {
        Self::Fault(fault)
    }
}

impl From<Rejection> for CommitError {
    fn from(rejection: Rejection) -> Self {
        match rejection {
            Rejection::Conflict => Self::Conflict,
            Rejection::Fault(fault) => Self::Store(fault.into()),
        }
    }
}
