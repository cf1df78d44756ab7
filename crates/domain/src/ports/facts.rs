//! What a node knows of its store, for operators.

use std::time::Duration;

/// What a node knows of its store without asking it; what the store had to be asked for is as [`Store::check`] last found it.
///
/// [`Store::check`]: super::Store::check
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct StoreFacts {
    /// The kind of store, in one word: `sled`, `postgres`, `memory`.
    pub kind: &'static str,
    /// This node's number, where nodes share the store; no other node has had it.
    pub node: Option<u64>,
    /// The connections to the store, where it is reached by some.
    pub pool: Option<PoolFacts>,
    /// How the store is copied to other machines, where it tells.
    pub replication: Option<ReplicationFacts>,
}

/// A node's connections.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PoolFacts {
    /// How many may be open.
    pub limit: usize,
    /// How many are open.
    pub open: usize,
    /// How many of them are being used.
    pub in_use: usize,
    /// How many requests wait for one.
    pub waiting: usize,
}

/// The standbys of the server that takes changes.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct ReplicationFacts {
    /// How many are connected.
    pub standbys: u32,
    /// How many of them a change waits for.
    pub synchronous: u32,
    /// How far the slowest is behind, in bytes of the log.
    pub lag_bytes: u64,
    /// How long the slowest takes until what was changed can be read there; `None` while nothing changes.
    pub lag: Option<Duration>,
}
