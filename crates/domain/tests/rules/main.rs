//! The rules of sending and binding, one test for each: the pure decisions on snapshots built by hand, and the use cases
//! over a store in memory.

#![expect(clippy::unwrap_used, reason = "a test that fails says where")]

mod accounts;
mod administration;
mod audit;
mod caller;
mod changing_hands;
mod checks;
mod codes;
mod contested;
mod conversion;
mod guards;
mod outbox;
mod proofs;
mod repeats;
mod sending;
mod sessions;
mod support;
mod test_numbers;
