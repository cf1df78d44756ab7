//! Keeping what was decided.

use async_trait::async_trait;

use super::StoreError;
use crate::audit::{AuditMark, AuditNode, Checkpoint, RecordedEvent};

/// The events that changes have written ([`Write::Audit`](crate::Write)), and the checkpoints that vouch for them.
///
/// A node's events stand in the order of the revisions of their changes. One that is written now may show later than one with
/// a higher sequence, as long as its commit takes; after that nothing comes before what is there.
#[async_trait]
pub trait AuditTrail: Send + Sync {
    /// The nodes that have events or checkpoints.
    async fn audit_nodes(&self) -> Result<Vec<AuditNode>, StoreError>;

    /// A node's events after a sequence, in order: at most `limit`.
    async fn audit_events(&self, node: AuditNode, after: u64, limit: usize) -> Result<Vec<RecordedEvent>, StoreError>;

    /// The last `limit` events of each node that have one of these marks, a node's in their order.
    async fn audit_of(&self, marks: &[AuditMark], limit: usize) -> Result<Vec<RecordedEvent>, StoreError>;

    /// A node's checkpoints after a segment, in order: at most `limit`.
    async fn checkpoints(&self, node: AuditNode, after: u64, limit: usize) -> Result<Vec<Checkpoint>, StoreError>;

    /// A node's last checkpoint.
    async fn last_checkpoint(&self, node: AuditNode) -> Result<Option<Checkpoint>, StoreError>;

    /// The node whose events this process writes; `None` where it has written none and has no number yet.
    async fn own_node(&self) -> Result<Option<AuditNode>, StoreError>;
}
