//! What was decided, for whom and why: events that are only ever added, chained so that tampering shows.
//!
//! An event of a committed change is written in that same change. A refusal that commits nothing is summed up in memory
//! ([`Refusals`]) and written once in a while, so that nobody fills the disk by being refused. Events of one node stand in
//! the order of their sequences; [`Checkpoint`]s vouch for them, segment by segment (`chain.rs`).

mod chain;
mod encoding;
mod event;
mod events;
mod refusals;
mod rule;

pub use chain::{Checkpoint, Findings, SegmentMac, Verifier};
pub use event::{Actor, AuditAction, AuditEvent, AuditMark, AuditNode, AuditedNumber, RecordedEvent, RequestId};
pub(crate) use events::{by_client, of_bind, refused};
pub use refusals::Refusals;
pub use rule::words;
