//! What vouches for the events: for each node a chain of checkpoints, each a MAC over its segment of events and over the
//! checkpoint before it.
//!
//! Whoever alters, removes, adds or moves events of a sealed segment, or a checkpoint, and has not the key, is found out. What
//! is cut off at the end together with its checkpoints is not seen by looking at the store alone: for that a checkpoint's
//! tag must have been kept elsewhere, as the log keeps it.

use hmac::{Hmac, Mac};
use sha2::Sha256;

use super::event::{AuditNode, RecordedEvent};
use crate::{CodeKeys, KeyId, Timestamp};

/// Vouches for a segment of one node's events.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Checkpoint {
    /// Whose events.
    pub node: AuditNode,
    /// Which segment: 1 is the node's first, and none is left out.
    pub segment: u64,
    /// The sequence of its first event.
    pub first: u64,
    /// The sequence of its last event.
    pub last: u64,
    /// How many events it has.
    pub events: u32,
    /// When it was sealed.
    pub at: Timestamp,
    /// The key that the tag was made with.
    pub key: KeyId,
    /// The tag of the checkpoint before it; zeros where there was none.
    pub previous: [u8; 32],
    /// HMAC-SHA-256 over all of this and over the events.
    pub tag: [u8; 32],
}

/// A MAC over a segment that is being gone through, event by event.
pub struct SegmentMac {
    mac: Hmac<Sha256>,
    key: KeyId,
    first: Option<u64>,
    last: u64,
    events: u32,
}

impl SegmentMac {
    /// Begins with the current key.
    #[must_use]
    pub fn begin(keys: &CodeKeys) -> Self {
        let (key, mac) = keys.audit_mac();
        Self { mac, key: key.clone(), first: None, last: 0, events: 0 }
    }

    /// Begins with the key of that id; `None` where it is gone.
    #[must_use]
    pub fn begin_with(keys: &CodeKeys, id: &KeyId) -> Option<Self> {
        let mac = keys.audit_mac_with(id)?;
        Some(Self { mac, key: id.clone(), first: None, last: 0, events: 0 })
    }

    /// Adds the next event.
    pub fn add(&mut self, event: &RecordedEvent) {
        self.mac.update(&event.sequence.to_be_bytes());
        self.mac.update(&(event.bytes.len() as u64).to_be_bytes());
        self.mac.update(&event.bytes);
        self.first.get_or_insert(event.sequence);
        self.last = event.sequence;
        self.events = self.events.saturating_add(1);
    }

    /// How many events were added.
    #[must_use]
    pub fn events(&self) -> u32 {
        self.events
    }

    /// The checkpoint of what was added, after another; `None` where nothing was.
    #[must_use]
    pub fn seal(self, node: AuditNode, after: Option<&Checkpoint>, at: Timestamp) -> Option<Checkpoint> {
        let mut checkpoint = Checkpoint {
            node,
            segment: after.map_or(0, |after| after.segment) + 1,
            first: self.first?,
            last: self.last,
            events: self.events,
            at,
            key: self.key,
            previous: after.map_or([0; 32], |after| after.tag),
            tag: [0; 32],
        };
        checkpoint.tag = finish(self.mac, &checkpoint);
        Some(checkpoint)
    }

    /// Whether what was added is what a checkpoint vouches for.
    fn matches(self, checkpoint: &Checkpoint) -> bool {
        finish(self.mac, checkpoint) == checkpoint.tag
    }
}

fn finish(mut mac: Hmac<Sha256>, checkpoint: &Checkpoint) -> [u8; 32] {
    let Checkpoint { node, segment, first, last, events, at, key, previous, tag: _ } = checkpoint;
    mac.update(b"checkpoint");
    mac.update(&node.0.to_be_bytes());
    for number in [*segment, *first, *last, u64::from(*events), at.as_millis(), key.as_str().len() as u64] {
        mac.update(&number.to_be_bytes());
    }
    mac.update(key.as_str().as_bytes());
    mac.update(previous);
    mac.finalize().into_bytes().into()
}

/// What going through a node's events has shown.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Findings {
    /// Segments that are in order.
    pub segments: u64,
    /// Events that they vouch for.
    pub sealed: u64,
    /// Events after the last checkpoint, for which nothing vouches yet.
    pub unsealed: u64,
    /// The segment that is the first kept; those before it were dropped, as far as `problems` does not say otherwise.
    pub first_segment: Option<u64>,
    /// The last checkpoint.
    pub last: Option<Checkpoint>,
    /// What is wrong, in words.
    pub problems: Vec<String>,
}

/// Goes through one node's checkpoints and events, both in their order.
pub struct Verifier<'k> {
    keys: &'k CodeKeys,
    node: AuditNode,
    /// Segments sealed after that must still be there.
    kept_since: Timestamp,
    findings: Findings,
}

impl<'k> Verifier<'k> {
    /// Begins. What was sealed at `kept_since` or later may not have been dropped.
    #[must_use]
    pub fn new(keys: &'k CodeKeys, node: AuditNode, kept_since: Timestamp) -> Self {
        Self { keys, node, kept_since, findings: Findings::default() }
    }

    /// Takes the next checkpoint, and all events after the one before it up to its last.
    pub fn segment(&mut self, checkpoint: &Checkpoint, events: &[RecordedEvent]) {
        let before = self.findings.problems.len();
        match self.findings.last.clone() {
            None => self.begins(checkpoint),
            Some(last) => self.follows(&last, checkpoint),
        }
        self.events(checkpoint, events);
        if self.findings.problems.len() == before {
            self.findings.segments += 1;
            self.findings.sealed += events.len() as u64;
        }
        self.findings.last = Some(checkpoint.clone());
    }

    /// Takes events after the last checkpoint.
    pub fn unsealed(&mut self, events: &[RecordedEvent]) {
        self.findings.unsealed += events.len() as u64;
        let unreadable = events.iter().filter(|event| !is_whole(event)).count();
        if unreadable > 0 {
            self.problem(format!("{unreadable} events that are not sealed yet cannot be read"));
        }
    }

    /// What was found.
    #[must_use]
    pub fn finish(self) -> Findings {
        self.findings
    }

    fn problem(&mut self, problem: String) {
        self.findings.problems.push(format!("node {}: {problem}", self.node.0));
    }

    fn begins(&mut self, checkpoint: &Checkpoint) {
        self.findings.first_segment = Some(checkpoint.segment);
        // What was dropped in its time has left an old one in front.
        if checkpoint.segment > 1 && checkpoint.at >= self.kept_since {
            self.problem(format!(
                "the segments before {} are missing, though they are not old enough to be dropped",
                checkpoint.segment
            ));
        }
        if checkpoint.segment == 1 && checkpoint.previous != [0; 32] {
            self.problem("segment 1 follows another".to_owned());
        }
    }

    fn follows(&mut self, last: &Checkpoint, checkpoint: &Checkpoint) {
        if checkpoint.segment != last.segment + 1 {
            self.problem(format!("the segments between {} and {} are missing", last.segment, checkpoint.segment));
        } else if checkpoint.previous != last.tag {
            self.problem(format!("segment {} does not follow segment {}", checkpoint.segment, last.segment));
        }
    }

    fn events(&mut self, checkpoint: &Checkpoint, events: &[RecordedEvent]) {
        let segment = checkpoint.segment;
        let Some(mut mac) = SegmentMac::begin_with(self.keys, &checkpoint.key) else {
            self.problem(format!("the key of segment {segment} is gone: nothing can be said of it"));
            return;
        };
        events.iter().for_each(|event| mac.add(event));
        let (found, sealed) = (u64::from(mac.events()), u64::from(checkpoint.events));
        if found < sealed {
            self.problem(format!("segment {segment}: {} of {sealed} events are missing", sealed - found));
        } else if found > sealed {
            self.problem(format!("segment {segment}: {} events were added to its {sealed}", found - sealed));
        } else if !mac.matches(checkpoint) {
            self.problem(format!("segment {segment}: its events, or its checkpoint, were altered"));
        } else if !events.iter().all(is_whole) {
            self.problem(format!("segment {segment}: events cannot be found by their numbers"));
        }
    }
}

/// Whether it can be read, and is found by what it says.
fn is_whole(event: &RecordedEvent) -> bool {
    event.event().is_some_and(|read| read.mark() == event.mark)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::event::{Actor, AuditAction, AuditEvent, AuditNode, RecordedEvent};
    use super::{Checkpoint, Findings, SegmentMac, Verifier};
    use crate::{CodeKey, CodeKeys, KeyId, Timestamp};

    const NODE: AuditNode = AuditNode(3);

    fn keys(byte: u8) -> CodeKeys {
        CodeKeys::new(CodeKey::new(KeyId::new("k").unwrap(), [byte; 32]), Vec::new())
    }

    fn events(count: u64) -> Vec<RecordedEvent> {
        let event = |number| AuditEvent::new(AuditAction::Send, Actor::Service, Timestamp::from_seconds(number));
        (1..=count)
            .map(|number| RecordedEvent {
                node: NODE,
                sequence: number << 8,
                mark: None,
                bytes: event(number).to_bytes().into(),
            })
            .collect()
    }

    fn seal(events: &[RecordedEvent], size: usize) -> Vec<Checkpoint> {
        let mut sealed: Vec<Checkpoint> = Vec::new();
        for segment in events.chunks(size) {
            let mut mac = SegmentMac::begin(&keys(1));
            segment.iter().for_each(|event| mac.add(event));
            sealed.push(mac.seal(NODE, sealed.last(), Timestamp::from_seconds(100_000)).unwrap());
        }
        sealed
    }

    fn verify(checkpoints: &[Checkpoint], events: &[RecordedEvent], key: u8) -> Findings {
        let keys = keys(key);
        let mut verifier = Verifier::new(&keys, NODE, Timestamp::default());
        let mut after = 0;
        for checkpoint in checkpoints {
            let within = |event: &&RecordedEvent| event.sequence > after && event.sequence <= checkpoint.last;
            let segment: Vec<_> = events.iter().filter(within).cloned().collect();
            verifier.segment(checkpoint, &segment);
            after = checkpoint.last;
        }
        let rest: Vec<_> = events.iter().filter(|event| event.sequence > after).cloned().collect();
        verifier.unsealed(&rest);
        verifier.finish()
    }

    #[test]
    fn what_nobody_touched_is_in_order() {
        let (events, sealed) = (events(10), seal(&events(9), 4));
        let findings = verify(&sealed, &events, 1);
        assert_eq!((findings.segments, findings.sealed, findings.unsealed), (3, 9, 1));
        assert_eq!(findings.problems, Vec::<String>::new());
        assert_eq!(verify(&sealed, &events, 2).problems.len(), 3, "another key vouches for nothing");
    }

    #[test]
    fn old_segments_may_be_dropped_from_the_front() {
        let (events, sealed) = (events(8), seal(&events(8), 4));
        let findings = verify(&sealed[1..], &events[4..], 1);
        assert!(!findings.problems.is_empty(), "they are not old: {findings:?}");
        let mut verifier_keys = Verifier::new(Box::leak(Box::new(keys(1))), NODE, Timestamp::from_seconds(100_001));
        verifier_keys.segment(&sealed[1], &events[4..]);
        assert_eq!(verifier_keys.finish().problems, Vec::<String>::new());
    }

    #[derive(Clone, Debug)]
    enum Tampering {
        Alter(usize, usize),
        Remove(usize),
        Insert(usize),
        Swap(usize),
        DropCheckpoint(usize),
        AlterCheckpoint(usize, usize),
        CutBoth(usize),
    }

    fn tampering() -> impl Strategy<Value = Tampering> {
        let index = 0_usize..12;
        prop_oneof![
            (index.clone(), 0_usize..8).prop_map(|(event, byte)| Tampering::Alter(event, byte)),
            index.clone().prop_map(Tampering::Remove),
            index.clone().prop_map(Tampering::Insert),
            (0_usize..11).prop_map(Tampering::Swap),
            (0_usize..3).prop_map(Tampering::DropCheckpoint),
            (0_usize..4, 0_usize..6).prop_map(|(checkpoint, field)| Tampering::AlterCheckpoint(checkpoint, field)),
            (1_usize..3).prop_map(Tampering::CutBoth),
        ]
    }

    proptest! {
        /// Whatever is done to sealed events or their checkpoints shows; but for the end cut off with its checkpoints, which
        /// only a tag that was kept elsewhere tells.
        #[test]
        fn tampering_shows(tampering in tampering()) {
            let (mut events, mut sealed) = (events(12), seal(&events(12), 3));
            match &tampering {
                Tampering::Alter(event, byte) => {
                    let bytes = &mut events[*event].bytes;
                    let byte = byte % bytes.len();
                    bytes[byte] ^= 1;
                }
                Tampering::Remove(event) => drop(events.remove(*event)),
                Tampering::Insert(event) => {
                    let copy = RecordedEvent { sequence: events[*event].sequence - 1, ..events[*event].clone() };
                    events.insert(*event, copy);
                }
                Tampering::Swap(event) => {
                    let bytes = events[*event].bytes.clone();
                    events[*event].bytes = std::mem::replace(&mut events[event + 1].bytes, bytes);
                }
                Tampering::DropCheckpoint(checkpoint) => drop(sealed.remove(*checkpoint)),
                Tampering::AlterCheckpoint(checkpoint, field) => {
                    let checkpoint = &mut sealed[*checkpoint];
                    match field {
                        0 => checkpoint.first += 1,
                        1 => checkpoint.events += 1,
                        2 => checkpoint.at = checkpoint.at.after(std::time::Duration::from_secs(1)),
                        3 => checkpoint.previous[0] ^= 1,
                        4 => checkpoint.tag[0] ^= 1,
                        _ => checkpoint.segment += 7,
                    }
                }
                Tampering::CutBoth(segments) => {
                    sealed.truncate(4 - segments);
                    events.truncate(12 - 3 * segments);
                }
            }
            let findings = verify(&sealed, &events, 1);
            let cut = matches!(tampering, Tampering::CutBoth(_));
            prop_assert_eq!(findings.problems.is_empty(), cut, "{:?}", findings);
        }
    }
}
