//! How the shop's database is reached and used.

use std::path::PathBuf;
use std::time::Duration;

use crate::cache::CacheOptions;

/// The options of a store.
#[derive(Clone)]
pub struct Options {
    /// `shopxo:mysql://user:password@host:port/database?prefix=sxo_`. `ssl-mode=DISABLED` does without TLS over a network;
    /// `socket=` names a socket on this machine. It may hold a password: `Debug` leaves it out.
    pub address: String,
    /// How many connections are open at most.
    pub connections: usize,
    /// How long one use of the database may take, the wait for a connection included.
    pub timeout: Duration,
    /// How long a statement may wait for another's lock, in whole seconds, at least one.
    pub lock_timeout: Duration,
    /// How long one attempt to connect may take.
    pub connect_timeout: Duration,
    /// The root certificates, PEM; the machine's own where none are named.
    pub root_certificates: Option<PathBuf>,
    /// Whether the tables of mobile-bind's own are made and brought up to date when the store is opened.
    pub migrate: bool,
    /// The shop's cache, where it is in Redis.
    pub cache: Option<CacheOptions>,
}

impl Options {
    /// The defaults, for one database.
    #[must_use]
    pub fn new(address: &str) -> Self {
        Self {
            address: address.to_owned(),
            connections: 16,
            timeout: Duration::from_secs(3),
            lock_timeout: Duration::from_secs(1),
            connect_timeout: Duration::from_secs(1),
            root_certificates: None,
            migrate: true,
            cache: None,
        }
    }
}

impl std::fmt::Debug for Options {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Options").field("connections", &self.connections).finish_non_exhaustive()
    }
}
