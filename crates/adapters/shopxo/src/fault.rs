//! What can go wrong, apart from a conflict.

use std::path::PathBuf;

use deadpool::managed::PoolError;
use mobile_bind_domain::ports::{CommitError, StoreError};
use mysql_async::{DriverError, Error, IoError};

/// Why the store could not be read or written. Names kinds of records, never what is in them.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Fault {
    /// The server's own words may quote what was stored.
    #[error("the database refused{}: error {code} ({state})", what(*code))]
    Refused {
        /// <https://dev.mysql.com/doc/mysql-errors/8.4/en/server-error-reference.html>.
        code: u16,
        /// SQLSTATE.
        state: Box<str>,
    },
    #[error("the connection to the database failed")]
    Connection(#[source] Option<Box<dyn std::error::Error + Send + Sync>>),
    #[error("the database has no TLS: set it up there, or say ssl-mode=DISABLED in the address")]
    Unencrypted,
    #[error("no connection to the database could be had in time")]
    NoConnection,
    #[error("the database did not answer in time")]
    Timeout,
    #[error("the database's driver failed")]
    Driver,
    #[error("a stored {0} cannot be read")]
    Unreadable(&'static str),
    #[error("a {0} cannot be stored")]
    Unwritable(&'static str),
    #[error("several accounts at the shop have what one alone may have: {0}")]
    Contested(Box<str>),
    #[error("the database takes no changes: it is a replica, or was made read-only")]
    ReadOnly,
    #[error("others were at the same rows")]
    Lost,
    #[error("no account id is left")]
    Exhausted,
    #[error("the store is closed")]
    Closed,
}

/// What it refused, where an operator can put it right: `ER_DBACCESS_DENIED_ERROR`, `ER_ACCESS_DENIED_ERROR`, `ER_BAD_DB_ERROR`.
fn what(code: u16) -> &'static str {
    match code {
        1044 => " this user the database",
        1045 => " this user or his password",
        1049 => ": it has no database of that name",
        _ => "",
    }
}

/// Only reading is allowed: `ER_OPTION_PREVENTS_STATEMENT`, `ER_CANT_EXECUTE_IN_READ_ONLY_TRANSACTION`, `ER_READ_ONLY_MODE`.
const READ_ONLY: [u16; 3] = [1290, 1792, 1836];

/// The server ends the connection: it stops (1053, 1077, 1079), was told to (1927 of MariaDB, 3169), or waited for too long (4031).
const ENDS: [u16; 6] = [1053, 1077, 1079, 1927, 3169, 4031];

/// Somebody else went first, and nothing of the transaction was or will be written.
///
/// MySQL and MariaDB: a broken unique key (1062), a lock that was waited for too long (1205), a deadlock (1213), a row that
/// changed after the snapshot (1020). TiDB, <https://docs.pingcap.com/tidb/stable/error-codes>: 8002, 8022, 8028, 9007.
/// OceanBase, <https://www.oceanbase.ai/docs/error-code-6000-6999>: 6001, 6002, 6005.
const LOST: [u16; 11] = [1020, 1062, 1205, 1213, 6001, 6002, 6005, 8002, 8022, 8028, 9007];

impl From<Error> for Fault {
    fn from(error: Error) -> Self {
        match error {
            Error::Server(refusal) if READ_ONLY.contains(&refusal.code) => Self::ReadOnly,
            Error::Server(refusal) => Self::Refused { code: refusal.code, state: refusal.state.into() },
            Error::Io(IoError::Io(error)) => Self::Connection(Some(Box::new(error))),
            Error::Io(IoError::Tls(error)) => Self::Connection(Some(Box::new(error))),
            Error::Driver(DriverError::ConnectionClosed) => Self::Connection(None),
            Error::Driver(DriverError::NoClientSslFlagFromServer) => Self::Unencrypted,
            // What it says may hold a row.
            Error::Driver(_) | Error::Other(_) | Error::Url(_) => Self::Driver,
        }
    }
}

impl From<PoolError<Fault>> for Fault {
    fn from(error: PoolError<Self>) -> Self {
        match error {
            PoolError::Backend(fault) => fault,
            PoolError::Closed => Self::Closed,
            _ => Self::NoConnection,
        }
    }
}

impl Fault {
    /// Whether all connections may lead to the same: a server that stops, or that was made a replica.
    pub(crate) fn is_of_server(&self) -> bool {
        match self {
            Self::Connection(_) | Self::Timeout | Self::ReadOnly => true,
            Self::Refused { code, state } => ENDS.contains(code) || state.starts_with("08"),
            _ => false,
        }
    }

    /// The same, for another change that shared its fate; `None` where the others may have gone well by themselves.
    pub(crate) fn shared(&self) -> Option<Self> {
        match self {
            Self::NoConnection => Some(Self::NoConnection),
            Self::Timeout => Some(Self::Timeout),
            Self::ReadOnly => Some(Self::ReadOnly),
            Self::Closed => Some(Self::Closed),
            Self::Unencrypted => Some(Self::Unencrypted),
            Self::Connection(_) => Some(Self::Connection(None)),
            fault if fault.is_of_server() => Some(Self::Connection(None)),
            _ => None,
        }
    }

    /// The server's code, where it refused.
    pub(crate) fn code(&self) -> Option<u16> {
        if let Self::Refused { code, .. } = self { Some(*code) } else { None }
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

impl Rejection {
    /// Of what has no one to begin anew: that somebody else went first is a fault like others.
    pub(crate) fn into_fault(self) -> Fault {
        match self {
            Self::Conflict => Fault::Lost,
            Self::Fault(fault) => fault,
        }
    }
}

impl From<Fault> for Rejection {
    fn from(fault: Fault) -> Self {
        match fault.code() {
            Some(code) if LOST.contains(&code) => Self::Conflict,
            _ => Self::Fault(fault),
        }
    }
}

impl From<Error> for Rejection {
    fn from(error: Error) -> Self {
        Fault::from(error).into()
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

/// The store cannot be opened. Says nothing of the address, which may hold a password.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// It is not of the form `shopxo:mysql://user@host:port/database?prefix=sxo_`.
    #[error("the shop's address cannot be read: write it as shopxo:mysql://user@host:port/database?prefix=sxo_")]
    Address,
    /// It names no database.
    #[error("the shop's address names no database: write it as shopxo:mysql://user@host:port/database?prefix=sxo_")]
    NoDatabase,
    /// The prefix is not of the characters that a shop's has.
    #[error("the prefix of the shop's tables has characters other than letters, digits and _, or too many")]
    Prefix,
    /// The root certificates cannot be read.
    #[error("the root certificates in {} cannot be read", .0.display())]
    Certificates(PathBuf),
    /// The machine has no root certificates.
    #[error("there are no root certificates to trust a server by: name a file of them")]
    NoCertificates,
    /// The cache's address is not of the form `redis://host:port`.
    #[error(
        "the address of the shop's cache cannot be read: write it as redis://:password@host:6379, or unix:///path/to/socket"
    )]
    CacheAddress,
    /// The shop's cache does not answer.
    #[error("the shop's cache in Redis does not answer")]
    Cache,
    /// The connections cannot be pooled.
    #[error("connections cannot be kept")]
    Pool,
    /// The database could not be asked.
    #[error("the shop's database cannot be used")]
    Database(#[source] StoreError),
    /// The database has no shop's tables of that prefix.
    #[error("the database has no table {0}: look at the prefix that the address names")]
    NoShop(Box<str>),
    /// mobile-bind's own tables are older than this version's, or not there, and are not to be changed now.
    #[error("mobile-bind's tables have version {found}, this program needs {needed}: run mobile-bind shopxo install")]
    Behind {
        /// The tables' version; 0 where there are none.
        found: u64,
        /// This program's.
        needed: u64,
    },
    /// A newer version of this program has changed the tables.
    #[error("mobile-bind's tables have version {found}, this program knows {known}: a newer mobile-bind has been here")]
    Ahead {
        /// The tables' version.
        found: u64,
        /// This program's.
        known: u64,
    },
}

impl From<Fault> for OpenError {
    fn from(fault: Fault) -> Self {
        Self::Database(fault.into())
    }
}

#[cfg(test)]
mod tests {
    use mysql_async::{Error, ServerError};

    use super::{Fault, LOST, Rejection};

    fn refusal(code: u16) -> Error {
        let (message, state) = ("Duplicate entry '17602128368' for key 'mobile'".to_owned(), "HY000".to_owned());
        Error::Server(ServerError { code, message, state })
    }

    #[test]
    fn who_came_too_late_begins_anew_and_all_else_is_a_fault() {
        for code in LOST {
            assert!(matches!(Rejection::from(refusal(code)), Rejection::Conflict));
        }
        assert!(matches!(Rejection::from(refusal(1064)), Rejection::Fault(Fault::Refused { code: 1064, .. })));
        assert!(matches!(Fault::from(refusal(1290)), Fault::ReadOnly));
    }

    #[test]
    fn the_servers_words_are_not_repeated() {
        let fault = Fault::from(refusal(1062));
        assert!(!format!("{fault} {fault:?}").contains("17602128368"), "{fault:?}");
    }

    #[test]
    fn an_operator_is_told_what_to_put_right() {
        let told = |code| Fault::from(refusal(code)).to_string();
        assert_eq!(told(1045), "the database refused this user or his password: error 1045 (HY000)");
        assert_eq!(told(1049), "the database refused: it has no database of that name: error 1049 (HY000)");
        assert_eq!(told(1064), "the database refused: error 1064 (HY000)");
    }
}
