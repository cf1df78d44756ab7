//! The audit's chores, and looking into it: writing what was summed up, sealing, dropping what is old, verifying, and why a
//! number was refused.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tracing::{error, info};

use super::Service;
use crate::audit::{AuditEvent, AuditNode, Checkpoint, Findings, RecordedEvent, Refusals, SegmentMac, Verifier};
use crate::ports::{CommitError, StoreError};
use crate::{Account, Change, Mobile, Timestamp, Write};

/// So many events make a segment, or those of so long.
const SEGMENT: usize = 1_024;
const SEGMENT_TIME: Duration = Duration::from_secs(60);

/// So old is an event when nothing can come before it any more.
const SETTLED: Duration = Duration::from_secs(30);

/// So old are events of another node when that node can be taken for gone, and they are sealed for it.
const ABANDONED: Duration = Duration::from_secs(300);

/// How often other nodes, and what is old, are looked at.
const ROUND: Duration = Duration::from_secs(60);

/// How many segments are sealed, and dropped, at a time.
const AT_A_TIME: usize = 64;

/// How many events are written in one change.
const TOGETHER: usize = 100;

/// What the audit keeps in memory.
#[derive(Debug, Default)]
pub struct AuditDesk {
    /// Refusals that are not written yet.
    pub(crate) refusals: Refusals,
    sealed: Mutex<Sealed>,
}

#[derive(Debug, Default)]
struct Sealed {
    /// The last checkpoint that this process has seen of each node: it must stay.
    last: HashMap<AuditNode, (u64, [u8; 32])>,
    round: Option<Timestamp>,
}

impl AuditDesk {
    /// Puts events into the change that they tell of. Answers those that are to be summed up once it is committed: refusals
    /// that commit nothing, and more of a kind than are written one by one.
    #[must_use]
    pub(crate) fn put(&self, change: &mut Change, events: Vec<AuditEvent>) -> Vec<AuditEvent> {
        let mut summed = Vec::new();
        for event in events {
            if !event.action.is_refusal() {
                change.writes.push(Write::Audit(Box::new(event)));
            } else if change.writes.is_empty() {
                summed.push(event);
            } else if let Some(event) = self.refusals.admit(event) {
                change.writes.push(Write::Audit(Box::new(event)));
            }
        }
        summed
    }

    /// Sums up refusals.
    pub(crate) fn sum(&self, events: Vec<AuditEvent>) {
        events.into_iter().for_each(|event| self.refusals.note(event));
    }
}

impl Service {
    /// Writes refusals whose time has come, seals what has settled, and drops what is older than the retention. To be called
    /// every second or so.
    ///
    /// # Errors
    /// Where the store is unavailable; what was to be written is kept for the next time.
    pub async fn keep_audit(&self) -> Result<(), StoreError> {
        let now = self.clock.now();
        self.write_refusals(self.audit.refusals.take_due(now)).await?;
        let own = self.store.audit().own_node().await?;
        if let Some(own) = own {
            self.seal(own, now.before(SETTLED), now).await?;
        }
        if self.is_round(now) {
            for node in self.store.audit().audit_nodes().await? {
                if Some(node) != own {
                    self.seal(node, now.before(ABANDONED), now).await?;
                }
                self.drop_old(node, now).await?;
            }
        }
        Ok(())
    }

    /// Writes the refusals that are not written yet, at the end.
    ///
    /// # Errors
    /// Where the store is unavailable.
    pub async fn finish_audit(&self) -> Result<(), StoreError> {
        self.write_refusals(self.audit.refusals.take_all()).await
    }

    async fn write_refusals(&self, mut events: Vec<AuditEvent>) -> Result<(), StoreError> {
        let now = self.clock.now();
        while !events.is_empty() {
            let rest = events.split_off(events.len().min(TOGETHER));
            // A sum is as old as its writing: whoever seals relies on it.
            let write = |event: &AuditEvent| Write::Audit(Box::new(AuditEvent { at: now, ..event.clone() }));
            let change = Change { expectations: Vec::new(), writes: events.iter().map(write).collect() };
            if let Err(CommitError::Store(error)) = self.store.commit(change).await {
                self.audit.refusals.put_back(events);
                self.audit.refusals.put_back(rest);
                return Err(error);
            }
            events = rest;
        }
        Ok(())
    }

    fn is_round(&self, now: Timestamp) -> bool {
        let mut sealed = self.audit.sealed.lock().unwrap_or_else(PoisonError::into_inner);
        let due = sealed.round.is_none_or(|round| now.since(round) >= ROUND);
        if due {
            sealed.round = Some(now);
        }
        due
    }

    /// Seals a node's events that are not younger than `until`, where they fill a segment or have waited long enough.
    async fn seal(&self, node: AuditNode, until: Timestamp, now: Timestamp) -> Result<(), StoreError> {
        let mut last = self.store.audit().last_checkpoint(node).await?;
        self.compare(node, last.as_ref());
        for _ in 0..AT_A_TIME {
            let after = last.as_ref().map_or(0, |last| last.last);
            let mut events = self.store.audit().audit_events(node, after, SEGMENT).await?;
            let age = |event: &RecordedEvent| event.event().map_or(Timestamp::default(), |event| event.at);
            let settled = events.iter().take_while(|event| age(event) <= until).count();
            events.truncate(settled);
            let waited = events.first().is_some_and(|first| now.since(age(first)) >= SEGMENT_TIME);
            if settled < SEGMENT && !waited {
                return Ok(());
            }
            let mut mac = SegmentMac::begin(&self.keys);
            events.iter().for_each(|event| mac.add(event));
            let Some(checkpoint) = mac.seal(node, last.as_ref(), now) else { return Ok(()) };
            match self.store.commit(Change::writing(Write::Checkpoint(Box::new(checkpoint.clone())))).await {
                Ok(_) => {}
                // Another node was faster.
                Err(CommitError::Conflict) => return Ok(()),
                Err(CommitError::Store(error)) => return Err(error),
            }
            info!(
                node = node.0,
                segment = checkpoint.segment,
                events = checkpoint.events,
                tag = hex(&checkpoint.tag),
                "a segment of the audit was sealed"
            );
            self.note(node, &checkpoint);
            last = Some(checkpoint);
            if settled < SEGMENT {
                return Ok(());
            }
        }
        Ok(())
    }

    fn note(&self, node: AuditNode, checkpoint: &Checkpoint) {
        let mut sealed = self.audit.sealed.lock().unwrap_or_else(PoisonError::into_inner);
        sealed.last.insert(node, (checkpoint.segment, checkpoint.tag));
    }

    /// Says so where a checkpoint is gone or another than this process has seen.
    fn compare(&self, node: AuditNode, last: Option<&Checkpoint>) {
        let mut sealed = self.audit.sealed.lock().unwrap_or_else(PoisonError::into_inner);
        let found = last.map(|last| (last.segment, last.tag));
        if let Some(known) = sealed.last.get(&node)
            && found.is_none_or(|found| found.0 < known.0 || (found.0 == known.0 && found.1 != known.1))
        {
            error!(node = node.0, segment = known.0, "the audit was cut or altered: this checkpoint was there");
        }
        match found {
            Some(found) => drop(sealed.last.insert(node, found)),
            None => drop(sealed.last.remove(&node)),
        }
    }

    async fn drop_old(&self, node: AuditNode, now: Timestamp) -> Result<(), StoreError> {
        let kept_since = now.before(self.policy.get().audit_retention);
        let old = self.store.audit().checkpoints(node, 0, AT_A_TIME + 1).await?;
        // One that is old stays in front, which shows that nothing younger was dropped.
        let followed = old.iter().zip(old.iter().skip(1)).take_while(|(_, next)| next.at < kept_since);
        for (&Checkpoint { segment, last, .. }, _) in followed {
            match self.store.commit(Change::writing(Write::DropSegment { node, segment, last })).await {
                Ok(_) | Err(CommitError::Conflict) => {}
                Err(CommitError::Store(error)) => return Err(error),
            }
        }
        Ok(())
    }

    /// Goes through the whole audit, node by node.
    ///
    /// # Errors
    /// Where the store is unavailable.
    pub async fn verify_audit(&self) -> Result<Vec<(AuditNode, Findings)>, StoreError> {
        let kept_since = self.clock.now().before(self.policy.get().audit_retention);
        let mut all = Vec::new();
        for node in self.store.audit().audit_nodes().await? {
            let mut verifier = Verifier::new(&self.keys, node, kept_since);
            let (mut after, mut segment) = (0, 0);
            loop {
                let checkpoints = self.store.audit().checkpoints(node, segment, AT_A_TIME).await?;
                let Some(end) = checkpoints.last() else { break };
                segment = end.segment;
                for checkpoint in checkpoints {
                    let events = self.up_to(node, after, checkpoint.last).await?;
                    verifier.segment(&checkpoint, &events);
                    after = after.max(checkpoint.last);
                }
            }
            self.pages(node, after, |events| verifier.unsealed(events)).await?;
            all.push((node, verifier.finish()));
        }
        Ok(all)
    }

    /// Goes through a node's events after a sequence, to their end.
    async fn pages(
        &self,
        node: AuditNode,
        mut after: u64,
        mut see: impl FnMut(&[RecordedEvent]) + Send,
    ) -> Result<(), StoreError> {
        loop {
            let page = self.store.audit().audit_events(node, after, SEGMENT).await?;
            let Some(end) = page.last() else { return Ok(()) };
            after = end.sequence;
            see(&page);
        }
    }

    /// A node's events after a sequence, up to another.
    async fn up_to(&self, node: AuditNode, mut after: u64, last: u64) -> Result<Vec<RecordedEvent>, StoreError> {
        let mut events = Vec::new();
        while after < last {
            let page = self.store.audit().audit_events(node, after, SEGMENT).await?;
            let Some(end) = page.last() else { break };
            after = end.sequence;
            events.extend(page.into_iter().filter(|event| event.sequence <= last));
        }
        Ok(events)
    }

    /// The last events, of all nodes, oldest first: at most `limit`. What is only summed up yet is not among them.
    ///
    /// # Errors
    /// Where the store is unavailable.
    pub async fn audit_tail(&self, limit: usize) -> Result<Vec<AuditEvent>, StoreError> {
        let mut events = Vec::new();
        for node in self.store.audit().audit_nodes().await? {
            let start = self.tail_start(node, limit).await?;
            let see = |page: &[RecordedEvent]| {
                events.extend(page.iter().filter_map(RecordedEvent::event));
                if events.len() > 2 * limit + SEGMENT {
                    latest(&mut events, limit);
                }
            };
            self.pages(node, start, see).await?;
        }
        latest(&mut events, limit);
        Ok(events)
    }

    /// A sequence that has at least so many sealed events after it, if there are so many.
    async fn tail_start(&self, node: AuditNode, limit: usize) -> Result<u64, StoreError> {
        let Some(last) = self.store.audit().last_checkpoint(node).await? else { return Ok(0) };
        let (mut segment, mut step) = (last.segment, 1);
        loop {
            segment = segment.saturating_sub(step);
            step *= 2;
            let checkpoints = self.store.audit().checkpoints(node, segment, usize::MAX).await?;
            let sealed: u64 = checkpoints.iter().skip(1).map(|checkpoint| u64::from(checkpoint.events)).sum();
            if sealed >= limit as u64 {
                return Ok(checkpoints.first().map_or(0, |first| first.last));
            }
            if segment == 0 {
                return Ok(0);
            }
        }
    }

    /// What is known of a number, oldest first: at most the last `limit` events of each node, and what is summed up in this
    /// process and not written yet.
    ///
    /// # Errors
    /// Where the store is unavailable.
    pub async fn audit_of(&self, mobile: &Mobile, limit: usize) -> Result<Vec<AuditEvent>, StoreError> {
        let marks = self.keys.audit_marks(mobile);
        let found = self.store.audit().audit_of(&marks, limit).await?;
        let mut events: Vec<AuditEvent> = found.iter().filter_map(RecordedEvent::event).collect();
        events.extend(self.audit.refusals.about(&marks));
        latest(&mut events, limit);
        Ok(events)
    }

    /// All that is known of an account, oldest first, whatever number it had; and what is known of its number alone, such as
    /// a refusal, since it has it. Reads the whole audit.
    ///
    /// # Errors
    /// Where the store is unavailable.
    pub async fn audit_about(&self, account: &Account) -> Result<Vec<AuditEvent>, StoreError> {
        let marks = account.held_mobile().map(|mobile| self.keys.audit_marks(mobile)).unwrap_or_default();
        let since = account.mobile_since.unwrap_or(account.added_at);
        let is_about = |event: &AuditEvent| match event.account {
            Some(id) => id == account.id,
            None => event.at >= since && event.mark().is_some_and(|mark| marks.contains(&mark)),
        };
        let mut events = self.audit.refusals.about(&marks);
        events.retain(is_about);
        for node in self.store.audit().audit_nodes().await? {
            let see = |page: &[RecordedEvent]| {
                events.extend(page.iter().filter_map(RecordedEvent::event).filter(is_about));
            };
            self.pages(node, 0, see).await?;
        }
        events.sort_by_key(|event| event.at);
        Ok(events)
    }

    /// Adds an event that tells of something that changes nothing else.
    ///
    /// # Errors
    /// Where it cannot be written.
    pub(crate) async fn add_event(&self, event: AuditEvent) -> Result<(), CommitError> {
        self.store.commit(Change::writing(Write::Audit(Box::new(event)))).await.map(|_| ())
    }
}

fn latest(events: &mut Vec<AuditEvent>, limit: usize) {
    events.sort_by_key(|event| event.at);
    events.drain(..events.len().saturating_sub(limit));
}

fn hex(bytes: &[u8]) -> String {
    data_encoding::HEXLOWER.encode(bytes)
}
