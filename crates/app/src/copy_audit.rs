//! Moving the audit: events under their own node and sequence, so that their checkpoints go on vouching for them.

use std::collections::HashSet;
use std::sync::Arc;

use anyhow::{Result, anyhow};
use mobile_bind_domain::audit::{AuditNode, Checkpoint, RecordedEvent};
use mobile_bind_domain::ports::Store;
use mobile_bind_domain::{Change, Write};

use crate::checksum::Checksum;

/// How many events, and checkpoints, are read and committed together.
const EVENTS: usize = 1_024;
const CHECKPOINTS: usize = 64;

/// Writes the events and checkpoints that the target has not, and drops the segments that were dropped meanwhile.
///
/// # Errors
/// Where a store cannot be used.
pub(crate) async fn copy(source: &Arc<dyn Store>, target: &Arc<dyn Store>) -> Result<()> {
    for node in source.audit().audit_nodes().await? {
        drop_old(source, target, node).await?;
        let mut after = 0;
        loop {
            let events = source.audit().audit_events(node, after, EVENTS).await?;
            let Some(last) = events.last().map(|event| event.sequence) else { break };
            let there = target.audit().audit_events(node, after, EVENTS).await?;
            let there: HashSet<u64> = there.iter().map(|event| event.sequence).collect();
            let missing = events.into_iter().filter(|event| !there.contains(&event.sequence));
            write(target, missing.map(|event| Write::AuditCopy(Box::new(event))).collect()).await?;
            after = last;
        }
        let mut after = 0;
        loop {
            let checkpoints = source.audit().checkpoints(node, after, CHECKPOINTS).await?;
            let Some(last) = checkpoints.last().map(|checkpoint| checkpoint.segment) else { break };
            let there = target.audit().checkpoints(node, after, CHECKPOINTS).await?;
            let there: HashSet<u64> = there.iter().map(|checkpoint| checkpoint.segment).collect();
            let missing = checkpoints.into_iter().filter(|checkpoint| !there.contains(&checkpoint.segment));
            write(target, missing.map(|checkpoint| Write::Checkpoint(Box::new(checkpoint))).collect()).await?;
            after = last;
        }
    }
    Ok(())
}

async fn drop_old(source: &Arc<dyn Store>, target: &Arc<dyn Store>, node: AuditNode) -> Result<()> {
    let kept = source.audit().checkpoints(node, 0, 1).await?;
    let first = kept.first().map_or(0, |checkpoint| checkpoint.segment);
    loop {
        let mut old = target.audit().checkpoints(node, 0, CHECKPOINTS).await?;
        old.retain(|checkpoint| checkpoint.segment < first);
        if old.is_empty() {
            return Ok(());
        }
        let drop = |Checkpoint { segment, last, .. }| Write::DropSegment { node, segment, last };
        write(target, old.into_iter().map(drop).collect()).await?;
    }
}

async fn write(target: &Arc<dyn Store>, writes: Vec<Write>) -> Result<()> {
    if writes.is_empty() {
        return Ok(());
    }
    let committed = target.commit(Change { expectations: Vec::new(), writes }).await;
    committed.map_err(|error| anyhow!(error).context("a part of the audit could not be written; call it again"))?;
    Ok(())
}

/// Adds all events and checkpoints to a checksum, node by node.
///
/// # Errors
/// Where the store cannot be read.
pub(crate) async fn add_to(checksum: &mut Checksum, store: &Arc<dyn Store>) -> Result<()> {
    for node in store.audit().audit_nodes().await? {
        let mut after = 0;
        loop {
            let events: Vec<RecordedEvent> = store.audit().audit_events(node, after, EVENTS).await?;
            let Some(last) = events.last() else { break };
            after = last.sequence;
            events.iter().for_each(|event| checksum.add_event(event));
            // The embedded store never waits: the other one's answer must be heard in time.
            tokio::task::yield_now().await;
        }
        let mut after = 0;
        loop {
            let checkpoints = store.audit().checkpoints(node, after, CHECKPOINTS).await?;
            let Some(last) = checkpoints.last() else { break };
            after = last.segment;
            checkpoints.iter().for_each(|checkpoint| checksum.add_checkpoint(checkpoint));
        }
    }
    Ok(())
}
