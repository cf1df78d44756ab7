//! Events of the audit, and their checkpoints.

use mobile_bind_domain::audit::{AuditMark, AuditNode, Checkpoint, RecordedEvent};
use mobile_bind_domain::{AuditEvent, KeyId, Revision};
use tokio_postgres::Row;

use super::{Part, bytes, millis, read, timestamp};
use crate::fault::Fault;
use crate::query::{Columns, Form, Holds, Statement, Value, parameter};

const KIND: &str = "audit event";

/// The columns of an event, in the order [`take`] reads them.
pub(crate) const COLUMNS: &str = "node, sequence, mark, event";

/// Reads an event.
pub(crate) fn take(row: &Row) -> Result<RecordedEvent, Fault> {
    let mut columns = Columns::new(row);
    Ok(RecordedEvent {
        node: node_of(columns.take(KIND)?)?,
        sequence: unsigned(columns.take(KIND)?)?,
        mark: columns.take::<Option<&[u8]>>(KIND)?.map(|mark| bytes(mark, KIND).map(AuditMark)).transpose()?,
        bytes: columns.take::<&[u8]>(KIND)?.into(),
    })
}

/// The columns of a checkpoint, in the order [`take_checkpoint`] reads them.
pub(crate) const CHECKPOINT_COLUMNS: &str =
    "node, segment, first_sequence, last_sequence, events, sealed_at, key_id, previous, tag";

/// Reads a checkpoint.
pub(crate) fn take_checkpoint(row: &Row) -> Result<Checkpoint, Fault> {
    let mut columns = Columns::new(row);
    Ok(Checkpoint {
        node: node_of(columns.take(KIND)?)?,
        segment: unsigned(columns.take(KIND)?)?,
        first: unsigned(columns.take(KIND)?)?,
        last: unsigned(columns.take(KIND)?)?,
        events: u32::try_from(columns.take::<i64>(KIND)?).map_err(|_| Fault::Unreadable(KIND))?,
        at: timestamp(columns.take(KIND)?, KIND)?,
        key: read(columns.take(KIND)?, KIND, KeyId::new)?,
        previous: bytes(columns.take(KIND)?, KIND)?,
        tag: bytes(columns.take(KIND)?, KIND)?,
    })
}

pub(crate) fn node_of(stored: i64) -> Result<AuditNode, Fault> {
    u32::try_from(stored).map(AuditNode).map_err(|_| Fault::Unreadable(KIND))
}

pub(crate) fn stored(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

fn unsigned(stored: i64) -> Result<u64, Fault> {
    u64::try_from(stored).map_err(|_| Fault::Unreadable(KIND))
}

const ADD: Form = Form {
    rank: 50,
    holds: Holds::Always,
    text: "INSERT INTO audit_events (node, sequence, mark, event)
SELECT * FROM unnest($1::bigint[], $2::bigint[], $3::bytea[], $4::bytea[])",
};

/// An event that stands at `place` in its change.
pub(crate) fn add(node: AuditNode, revision: Revision, place: u8, event: &AuditEvent) -> Part {
    let sequence = RecordedEvent::sequence(revision.0, place);
    copy(&RecordedEvent { node, sequence, mark: event.mark(), bytes: event.to_bytes().into() })
}

/// An event under its own node and sequence.
pub(crate) fn copy(event: &RecordedEvent) -> Part {
    let row = vec![
        i64::from(event.node.0).into(),
        stored(event.sequence).into(),
        Value::Bytes(event.mark.map(|mark| mark.0.to_vec())),
        event.bytes.to_vec().into(),
    ];
    // Nobody else has its sequence.
    Part { form: &ADD, row, touches: Vec::new() }
}

/// No node from now on gets the number of one whose events were copied here.
pub(crate) fn reserve(node: AuditNode) -> Statement {
    Statement::new(
        "UPDATE counters SET value = GREATEST(value, $1::bigint) WHERE name = 'node'",
        vec![parameter(i64::from(node.0))],
    )
}

const SEAL: &str =
    "INSERT INTO audit_checkpoints (node, segment, first_sequence, last_sequence, events, sealed_at, key_id,
    previous, tag)
VALUES ($1::bigint, $2::bigint, $3::bigint, $4::bigint, $5::bigint, $6::bigint, $7::text, $8::bytea, $9::bytea)";

/// A checkpoint; one that is there breaks the primary key.
pub(crate) fn seal(checkpoint: &Checkpoint) -> Statement {
    let parameters = vec![
        parameter(i64::from(checkpoint.node.0)),
        parameter(stored(checkpoint.segment)),
        parameter(stored(checkpoint.first)),
        parameter(stored(checkpoint.last)),
        parameter(i64::from(checkpoint.events)),
        parameter(millis(checkpoint.at)),
        parameter(checkpoint.key.as_str().to_owned()),
        parameter(checkpoint.previous.to_vec()),
        parameter(checkpoint.tag.to_vec()),
    ];
    Statement::new(SEAL, parameters)
}

/// Drops a segment: its events, and its checkpoint.
pub(crate) fn drop_segment(node: AuditNode, segment: u64, last: u64) -> [Statement; 2] {
    let node = || parameter(i64::from(node.0));
    [
        Statement::new(
            "DELETE FROM audit_events WHERE node = $1::bigint AND sequence <= $2::bigint",
            vec![node(), parameter(stored(last))],
        ),
        Statement::new(
            "DELETE FROM audit_checkpoints WHERE node = $1::bigint AND segment = $2::bigint",
            vec![node(), parameter(stored(segment))],
        ),
    ]
}
