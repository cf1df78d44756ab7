//! What the end-to-end suites share: a server to speak to, the replay of recordings, the store contract, the reference
//! model, and a shop's database with the shop that writes it.

pub mod contract;
pub mod crash;
pub mod deliver;
pub mod failover;
pub mod golden;
pub mod harness;
pub mod model;
pub mod nodes;
pub mod proxy;
pub mod races;
pub mod shop;
