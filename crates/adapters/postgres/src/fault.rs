//! What can go wrong, apart from a conflict.

use std::path::PathBuf;

use deadpool_postgres::PoolError;
use mobile_bind_domain::ports::{CommitError, StoreError};
use tokio_postgres::error::SqlState;

/// Why the store could not be read or written. Names kinds of records, never what is in them.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Fault {
    /// SQLSTATE where the database gave one. Its own words may quote what was stored.
    #[error("the database refused: {}", .0.code())]
    Refused(Code),
    #[error("the connection to the database failed")]
    Connection(#[source] tokio_postgres::Error),
    #[error("no connection to the database could be had in time")]
    NoConnection,
    #[error("the database did not answer in time")]
    Timeout,
    #[error("the database warned when it committed: the standby may not have it")]
    Unconfirmed,
    #[error("a stored {0} cannot be read")]
    Unreadable(&'static str),
    #[error("a {0} cannot be stored")]
    Unwritable(&'static str),
    #[error("the database takes no changes: it is a standby, or was made read-only")]
    ReadOnly,
    #[error("no account id is left")]
    Exhausted,
    #[error("the store is closed")]
    Closed,
}

/// A SQLSTATE, <https://www.postgresql.org/docs/current/errcodes-appendix.html>.
#[derive(Debug)]
pub(crate) struct Code(pub(crate) SqlState);

impl Code {
    fn code(&self) -> &str {
        self.0.code()
    }
}

impl From<tokio_postgres::Error> for Fault {
    fn from(error: tokio_postgres::Error) -> Self {
        match error.code() {
            Some(&SqlState::READ_ONLY_SQL_TRANSACTION) => Self::ReadOnly,
            Some(code) => Self::Refused(Code(code.clone())),
            None => Self::Connection(error),
        }
    }
}

impl From<PoolError> for Fault {
    fn from(error: PoolError) -> Self {
        match error {
            PoolError::Backend(error) => error.into(),
            PoolError::Closed => Self::Closed,
            _ => Self::NoConnection,
        }
    }
}

impl Fault {
    /// Whether the connection is good for nothing more.
    pub(crate) fn is_of_connection(&self) -> bool {
        match self {
            Self::Connection(_) | Self::Timeout | Self::ReadOnly => true,
            // 57P: the server stops, starts, or lost its database.
            Self::Refused(code) => code.code().starts_with("57P") || code.code().starts_with("08"),
            _ => false,
        }
    }
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
    /// Whether it was written is unknown.
    Fault(Fault),
}

/// What may be a fault.
pub(crate) trait MayBeFault {
    fn fault(&self) -> Option<&Fault>;
}

impl MayBeFault for Fault {
    fn fault(&self) -> Option<&Fault> {
        Some(self)
    }
}

impl MayBeFault for Rejection {
    fn fault(&self) -> Option<&Fault> {
        match self {
            Self::Conflict => None,
            Self::Fault(fault) => Some(fault),
        }
    }
}

impl From<Fault> for Rejection {
    fn from(fault: Fault) -> Self {
        Self::Fault(fault)
    }
}

impl From<tokio_postgres::Error> for Rejection {
    /// A condition that does not hold divides by zero; a claim on what is held breaks a unique constraint; the others say
    /// that somebody else went first.
    fn from(error: tokio_postgres::Error) -> Self {
        let lost = [
            SqlState::DIVISION_BY_ZERO,
            SqlState::UNIQUE_VIOLATION,
            SqlState::T_R_SERIALIZATION_FAILURE,
            SqlState::T_R_DEADLOCK_DETECTED,
        ];
        match error.code() {
            Some(code) if lost.contains(code) => Self::Conflict,
            _ => Self::Fault(error.into()),
        }
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

/// The store cannot be opened. Says nothing of the address, which may hold a password.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// It is not of the form `postgres://user@host:port/database`.
    #[error("the database's address cannot be read")]
    Address(#[source] tokio_postgres::Error),
    /// The root certificates cannot be read.
    #[error("the root certificates in {} cannot be read", .0.display())]
    Certificates(PathBuf),
    /// The machine has no root certificates.
    #[error("there are no root certificates to trust a server by: name a file of them")]
    NoCertificates,
    /// TLS cannot be used.
    #[error("TLS cannot be set up")]
    Tls(#[source] rustls::Error),
    /// The connections cannot be pooled.
    #[error("connections cannot be kept")]
    Pool,
    /// The database could not be asked.
    #[error("the database cannot be used")]
    Database(#[source] StoreError),
    /// The database holds text in another encoding.
    #[error("the database's encoding is {0}, not UTF8")]
    Encoding(String),
    /// The schema is older than this version's, and is not to be changed now.
    #[error("the schema has version {found}, this program needs {needed}: run mobile-bind db migrate")]
    Behind {
        /// The database's version; 0 where there is none.
        found: i64,
        /// This program's.
        needed: i64,
    },
    /// A newer version of this program has changed the schema.
    #[error("the schema has version {found}, this program knows {known}: a newer mobile-bind has been here")]
    Ahead {
        /// The database's version.
        found: i64,
        /// This program's.
        known: i64,
    },
}

impl From<Fault> for OpenError {
    fn from(fault: Fault) -> Self {
        Self::Database(fault.into())
    }
}
