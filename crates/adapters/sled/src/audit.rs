//! The audit: events in the order they were written, and the checkpoints that vouch for them.

use std::collections::VecDeque;

use async_trait::async_trait;
use mobile_bind_domain::audit::{AuditEvent, AuditMark, AuditNode, Checkpoint, RecordedEvent};
use mobile_bind_domain::ports::{AuditTrail, StoreError};

use crate::SledStore;
use crate::fault::{Fault, Rejection};
use crate::group::Scratch;
use crate::layout::{self, AUDIT, CHECKPOINT};
use crate::records;
use crate::source::Source;
use crate::view::Reader;

/// How many events are looked at before others get at the store.
const PAGE: usize = 4_096;

/// Adds an event that stands at `place` in its change.
pub(crate) fn add(scratch: &mut Scratch<'_>, place: u8, event: &AuditEvent) -> Result<(), Fault> {
    let node = match own_node(scratch)? {
        Some(node) => node,
        None => found_node(scratch, event)?,
    };
    let sequence = RecordedEvent::sequence(scratch.next_revision().0, place);
    scratch.put_value(layout::audit(node, sequence), &event.to_bytes());
    Ok(())
}

pub(crate) fn copy(scratch: &mut Scratch<'_>, event: &RecordedEvent) {
    scratch.put_value(layout::audit(event.node, event.sequence), &event.bytes);
}

pub(crate) fn seal(scratch: &mut Scratch<'_>, checkpoint: &Checkpoint) -> Result<(), Rejection> {
    let key = layout::checkpoint(checkpoint.node, checkpoint.segment);
    if scratch.value(key.as_bytes())?.is_some() {
        return Err(Rejection::Conflict);
    }
    scratch.put(key, checkpoint)?;
    Ok(())
}

pub(crate) fn drop_segment(scratch: &mut Scratch<'_>, node: AuditNode, segment: u64, last: u64) -> Result<(), Fault> {
    let reader = scratch.reader();
    let events = layout::audit(node, 0).into_bytes()..layout::audit(node, last.saturating_add(1)).into_bytes();
    for entry in reader.range(events) {
        scratch.remove_key(entry?.0.to_vec());
    }
    scratch.remove(layout::checkpoint(node, segment));
    Ok(())
}

fn own_node(source: &impl Source) -> Result<Option<AuditNode>, Fault> {
    let Some(value) = source.value(layout::own_node().as_bytes())? else { return Ok(None) };
    let number = value.as_ref().try_into().map_err(|_| Fault::Unreadable("node"))?;
    Ok(Some(AuditNode(u32::from_be_bytes(number))))
}

/// The store's number from now on: the second of its first event, so that stores whose events come together one day have
/// others. The first bit keeps it apart from the small numbers of a database's nodes.
fn found_node(scratch: &mut Scratch<'_>, event: &AuditEvent) -> Result<AuditNode, Fault> {
    let seconds = u32::try_from(event.at.as_seconds() & 0x7fff_ffff).unwrap_or_default();
    let mut node = AuditNode(seconds | 1 << 31);
    let reader = scratch.reader();
    while reader.range(layout::audits_of(node)).next().is_some()
        || reader.range(layout::checkpoints_of(node)).next().is_some()
    {
        node.0 = node.0.wrapping_add(1);
    }
    scratch.put_value(layout::own_node(), &node.0.to_be_bytes());
    Ok(node)
}

fn recorded(key: &[u8], value: &[u8]) -> Result<RecordedEvent, Fault> {
    let (node, sequence) = layout::audit_of(key).ok_or(Fault::Unreadable("event"))?;
    let mark = AuditEvent::from_bytes(value).and_then(|event| event.mark());
    Ok(RecordedEvent { node, sequence, mark, bytes: value.into() })
}

fn nodes(reader: &Reader<'_>) -> Result<Vec<AuditNode>, Fault> {
    let mut found = Vec::new();
    for kind in [AUDIT, CHECKPOINT] {
        let mut next = vec![kind, 0, 0, 0, 0];
        while let Some(entry) = reader.range(next..vec![kind + 1]).next() {
            let (node, _) = layout::audit_of(&entry?.0).ok_or(Fault::Unreadable("event"))?;
            found.push(node);
            let Some(after) = node.0.checked_add(1) else { break };
            next = [&[kind][..], &after.to_be_bytes()].concat();
        }
    }
    found.sort_unstable();
    found.dedup();
    Ok(found)
}

fn events(reader: &Reader<'_>, node: AuditNode, after: u64, limit: usize) -> Result<Vec<RecordedEvent>, Fault> {
    let first = layout::audit(node, after.saturating_add(1)).into_bytes();
    let entries = reader.range(first..layout::audits_of(node).end).take(limit);
    entries.map(|entry| entry.and_then(|(key, value)| recorded(&key, &value))).collect()
}

fn checkpoint(reader: &Reader<'_>, node: AuditNode, segment: u64) -> Result<Option<Checkpoint>, Fault> {
    Ok(reader.record(&layout::checkpoint(node, segment))?.map(|found| found.value))
}

/// Segments have no gaps: the last one is between one that is there and one that is not. Where there are gaps it is one of
/// those that end a row, and whoever goes through all of them sees it.
fn last_checkpoint(reader: &Reader<'_>, node: AuditNode) -> Result<Option<Checkpoint>, Fault> {
    let Some(first) = reader.range(layout::checkpoints_of(node)).next().transpose()? else { return Ok(None) };
    let mut there: Checkpoint = records::decode(&first.1)?.value;
    let mut step = 1_u64;
    while let Some(found) = checkpoint(reader, node, there.segment.saturating_add(step))? {
        there = found;
        step = step.saturating_mul(2);
    }
    while step > 1 {
        step /= 2;
        if let Some(found) = checkpoint(reader, node, there.segment.saturating_add(step))? {
            there = found;
        }
    }
    Ok(Some(there))
}

#[async_trait]
impl AuditTrail for SledStore {
    async fn audit_nodes(&self) -> Result<Vec<AuditNode>, StoreError> {
        self.read(nodes).await
    }

    async fn audit_events(&self, node: AuditNode, after: u64, limit: usize) -> Result<Vec<RecordedEvent>, StoreError> {
        self.read(|reader| events(reader, node, after, limit)).await
    }

    /// Reads all events: to find one by its number is rare, and an index would cost every bind.
    async fn audit_of(&self, marks: &[AuditMark], limit: usize) -> Result<Vec<RecordedEvent>, StoreError> {
        let mut found = Vec::new();
        for node in self.audit_nodes().await? {
            let (mut last, mut after) = (VecDeque::new(), 0);
            loop {
                let page = self.audit_events(node, after, PAGE).await?;
                let Some(end) = page.last() else { break };
                after = end.sequence;
                for event in page {
                    if event.mark.is_some_and(|mark| marks.contains(&mark)) {
                        last.push_back(event);
                        if last.len() > limit {
                            last.pop_front();
                        }
                    }
                }
            }
            found.extend(last);
        }
        Ok(found)
    }

    async fn checkpoints(&self, node: AuditNode, after: u64, limit: usize) -> Result<Vec<Checkpoint>, StoreError> {
        let first = layout::checkpoint(node, after.saturating_add(1)).into_bytes();
        let range = first..layout::checkpoints_of(node).end;
        let read = |reader: &Reader<'_>| {
            let decode =
                |entry: Result<(sled::IVec, sled::IVec), Fault>| Ok(records::decode::<Checkpoint>(&entry?.1)?.value);
            reader.range(range.clone()).take(limit).map(decode).collect()
        };
        self.read(read).await
    }

    async fn last_checkpoint(&self, node: AuditNode) -> Result<Option<Checkpoint>, StoreError> {
        self.read(|reader| last_checkpoint(reader, node)).await
    }

    async fn own_node(&self) -> Result<Option<AuditNode>, StoreError> {
        self.read(|reader| own_node(reader)).await
    }
}
