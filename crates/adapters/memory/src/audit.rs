//! The audit in memory.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Bound;

use async_trait::async_trait;
use mobile_bind_domain::audit::{AuditEvent, AuditMark, AuditNode, Checkpoint, RecordedEvent};
use mobile_bind_domain::ports::{AuditTrail, StoreError};

use crate::MemoryStore;

/// This store's own node.
const NODE: AuditNode = AuditNode(0);

#[derive(Default)]
pub(crate) struct Audit {
    events: BTreeMap<(AuditNode, u64), RecordedEvent>,
    checkpoints: BTreeMap<(AuditNode, u64), Checkpoint>,
}

impl Audit {
    pub(crate) fn add(&mut self, revision: u64, place: u8, event: &AuditEvent) {
        let sequence = RecordedEvent::sequence(revision, place);
        let bytes = event.to_bytes().into();
        self.put(RecordedEvent { node: NODE, sequence, mark: event.mark(), bytes });
    }

    pub(crate) fn put(&mut self, event: RecordedEvent) {
        self.events.insert((event.node, event.sequence), event);
    }

    pub(crate) fn is_sealed(&self, checkpoint: &Checkpoint) -> bool {
        self.checkpoints.contains_key(&(checkpoint.node, checkpoint.segment))
    }

    pub(crate) fn seal(&mut self, checkpoint: Checkpoint) {
        self.checkpoints.insert((checkpoint.node, checkpoint.segment), checkpoint);
    }

    pub(crate) fn drop_segment(&mut self, node: AuditNode, segment: u64, last: u64) {
        self.checkpoints.remove(&(node, segment));
        self.events.retain(|&(of, sequence), _| of != node || sequence > last);
    }

    fn after<T>(
        map: &BTreeMap<(AuditNode, u64), T>,
        node: AuditNode,
        after: u64,
    ) -> impl DoubleEndedIterator<Item = &T> {
        map.range((Bound::Excluded((node, after)), Bound::Included((node, u64::MAX)))).map(|(_, value)| value)
    }
}

#[async_trait]
impl AuditTrail for MemoryStore {
    async fn audit_nodes(&self) -> Result<Vec<AuditNode>, StoreError> {
        let audit = &self.state().audit;
        let nodes: BTreeSet<_> = audit.events.keys().chain(audit.checkpoints.keys()).map(|&(node, _)| node).collect();
        Ok(nodes.into_iter().collect())
    }

    async fn audit_events(&self, node: AuditNode, after: u64, limit: usize) -> Result<Vec<RecordedEvent>, StoreError> {
        Ok(Audit::after(&self.state().audit.events, node, after).take(limit).cloned().collect())
    }

    async fn audit_of(&self, marks: &[AuditMark], limit: usize) -> Result<Vec<RecordedEvent>, StoreError> {
        let nodes = self.audit_nodes().await?;
        let events = &self.state().audit.events;
        let mut found = Vec::new();
        for node in nodes {
            let marked = Audit::after(events, node, 0)
                .rev()
                .filter(|event| event.mark.is_some_and(|mark| marks.contains(&mark)));
            let mut last: Vec<RecordedEvent> = marked.take(limit).cloned().collect();
            last.reverse();
            found.append(&mut last);
        }
        Ok(found)
    }

    async fn checkpoints(&self, node: AuditNode, after: u64, limit: usize) -> Result<Vec<Checkpoint>, StoreError> {
        Ok(Audit::after(&self.state().audit.checkpoints, node, after).take(limit).cloned().collect())
    }

    async fn last_checkpoint(&self, node: AuditNode) -> Result<Option<Checkpoint>, StoreError> {
        Ok(Audit::after(&self.state().audit.checkpoints, node, 0).next_back().cloned())
    }

    async fn own_node(&self) -> Result<Option<AuditNode>, StoreError> {
        Ok(Some(NODE))
    }
}
