//! What can go wrong, apart from a conflict.

use mobile_bind_domain::ports::{CommitError, StoreError};

/// Why the store could not be read or written. Names kinds of records, never what is in them.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Fault {
    #[error("the database failed")]
    Database(#[from] sled::Error),
    #[error("the data file could not be synchronised with the disk")]
    Sync(#[from] std::io::Error),
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
    #[error("an earlier write failed: what is on disk is known again when the store is opened anew")]
    Broken,
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
