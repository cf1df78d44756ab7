//! What the end-to-end suites share: a server to speak to, the replay of recordings, the store contract and the reference
//! model.

pub mod contract;
pub mod crash;
pub mod deliver;
pub mod failover;
pub mod golden;
pub mod harness;
pub mod model;
pub mod nodes;
pub mod proxy;
