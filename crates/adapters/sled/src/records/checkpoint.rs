//! Checkpoints of the audit as they are stored. Node and segment stand in the key as well.

use mobile_bind_domain::audit::{AuditNode, Checkpoint};
use mobile_bind_domain::{KeyId, Timestamp};
use serde::{Deserialize, Serialize};

use super::Record;

#[derive(Serialize, Deserialize)]
pub(crate) enum StoredCheckpoint<'a> {
    #[serde(borrow)]
    V1(CheckpointV1<'a>),
}

#[derive(Serialize, Deserialize)]
pub(crate) struct CheckpointV1<'a> {
    node: u32,
    segment: u64,
    first: u64,
    last: u64,
    events: u32,
    at: u64,
    key: &'a str,
    previous: [u8; 32],
    tag: [u8; 32],
}

impl Record for Checkpoint {
    const KIND: &'static str = "checkpoint";
    type Stored<'a> = StoredCheckpoint<'a>;

    fn to_stored(&self) -> StoredCheckpoint<'_> {
        StoredCheckpoint::V1(CheckpointV1 {
            node: self.node.0,
            segment: self.segment,
            first: self.first,
            last: self.last,
            events: self.events,
            at: self.at.as_millis(),
            key: self.key.as_str(),
            previous: self.previous,
            tag: self.tag,
        })
    }

    fn from_stored(stored: StoredCheckpoint<'_>) -> Option<Self> {
        let StoredCheckpoint::V1(stored) = stored;
        Some(Self {
            node: AuditNode(stored.node),
            segment: stored.segment,
            first: stored.first,
            last: stored.last,
            events: stored.events,
            at: Timestamp::from_millis(stored.at),
            key: KeyId::new(stored.key)?,
            previous: stored.previous,
            tag: stored.tag,
        })
    }
}
