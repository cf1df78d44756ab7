//! Events of the audit, and their checkpoints.

use mobile_bind_domain::KeyId;
use mobile_bind_domain::audit::{AuditMark, AuditNode, Checkpoint, RecordedEvent};
use mysql_async::Conn;

use super::{Columns, all, execute, execute_on_one, insert_new, limited, one};
use crate::fault::{Fault, Rejection};

const KIND: &str = "audit event";

const EVENTS: &str = "SELECT node, sequence, mark, event FROM mb_audit_events";
const CHECKPOINTS: &str =
    "SELECT node, segment, first_sequence, last_sequence, events, sealed_at, key_id, previous, tag
FROM mb_audit_checkpoints";

fn take(columns: &mut Columns) -> Result<RecordedEvent, Fault> {
    Ok(RecordedEvent {
        node: AuditNode(columns.take()?),
        sequence: columns.take()?,
        mark: columns.bytes_some()?.map(AuditMark),
        bytes: columns.take::<Vec<u8>>()?.into(),
    })
}

fn take_checkpoint(columns: &mut Columns) -> Result<Checkpoint, Fault> {
    Ok(Checkpoint {
        node: AuditNode(columns.take()?),
        segment: columns.take()?,
        first: columns.take()?,
        last: columns.take()?,
        events: columns.take()?,
        at: columns.timestamp()?,
        key: columns.read(KeyId::new)?,
        previous: columns.bytes()?,
        tag: columns.bytes()?,
    })
}

/// The nodes that have events or checkpoints. There are few, and the database looks each up in the keys.
pub(crate) async fn nodes(conn: &mut Conn) -> Result<Vec<AuditNode>, Fault> {
    let text =
        "SELECT DISTINCT node FROM mb_audit_events UNION SELECT DISTINCT node FROM mb_audit_checkpoints ORDER BY node";
    all(conn, KIND, text, Vec::new(), |columns| columns.take().map(AuditNode)).await
}

/// A node's events after a sequence, in order.
pub(crate) async fn events(
    conn: &mut Conn,
    node: AuditNode,
    after: u64,
    limit: usize,
) -> Result<Vec<RecordedEvent>, Fault> {
    let text = format!("{EVENTS} WHERE node = ? AND sequence > ? ORDER BY sequence LIMIT ?");
    all(conn, KIND, &text, vec![node.0.into(), after.into(), limited(limit)], take).await
}

/// The last events that have a mark. Of nodes that run at the same time, those of the higher number come last.
pub(crate) async fn marked(conn: &mut Conn, mark: AuditMark, limit: usize) -> Result<Vec<RecordedEvent>, Fault> {
    let text = format!("{EVENTS} WHERE mark = ? ORDER BY node DESC, sequence DESC LIMIT ?");
    all(conn, KIND, &text, vec![mark.0.into(), limited(limit)], take).await
}

/// A node's checkpoints after a segment, in order.
pub(crate) async fn checkpoints(
    conn: &mut Conn,
    node: AuditNode,
    after: u64,
    limit: usize,
) -> Result<Vec<Checkpoint>, Fault> {
    let text = format!("{CHECKPOINTS} WHERE node = ? AND segment > ? ORDER BY segment LIMIT ?");
    all(conn, KIND, &text, vec![node.0.into(), after.into(), limited(limit)], take_checkpoint).await
}

/// A node's last checkpoint.
pub(crate) async fn last_checkpoint(conn: &mut Conn, node: AuditNode) -> Result<Option<Checkpoint>, Fault> {
    let text = format!("{CHECKPOINTS} WHERE node = ? ORDER BY segment DESC LIMIT 1");
    one(conn, KIND, &text, vec![node.0.into()], take_checkpoint).await
}

/// Adds events.
pub(crate) async fn add(conn: &mut Conn, events: &[RecordedEvent]) -> Result<(), Rejection> {
    let row = |event: &RecordedEvent| {
        let mark = event.mark.map(|mark| mark.0);
        vec![event.node.0.into(), event.sequence.into(), mark.into(), event.bytes.to_vec().into()]
    };
    let rows: Vec<_> = events.iter().map(row).collect();
    insert_new(conn, "INSERT INTO mb_audit_events (node, sequence, mark, event)", &rows).await
}

/// An event that was written elsewhere, under its own node and sequence. No node from now on gets that node's number.
pub(crate) async fn copy(conn: &mut Conn, event: &RecordedEvent) -> Result<(), Rejection> {
    add(conn, std::slice::from_ref(event)).await?;
    if is_of_database(event.node) {
        let text = "UPDATE mb_counters SET value = GREATEST(value, ?) WHERE name = 'node'";
        execute(conn, text, vec![event.node.0.into()]).await?;
    }
    Ok(())
}

/// Whether a database gave the node its number; those of embedded stores have the first bit.
fn is_of_database(node: AuditNode) -> bool {
    node.0 >> 31 == 0
}

const SEAL: &str =
    "INSERT INTO mb_audit_checkpoints (node, segment, first_sequence, last_sequence, events, sealed_at, key_id,
    previous, tag)
VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)";

/// A checkpoint; one that is there breaks the primary key.
pub(crate) async fn seal(conn: &mut Conn, checkpoint: &Checkpoint) -> Result<(), Rejection> {
    let values = vec![
        checkpoint.node.0.into(),
        checkpoint.segment.into(),
        checkpoint.first.into(),
        checkpoint.last.into(),
        checkpoint.events.into(),
        checkpoint.at.as_millis().into(),
        checkpoint.key.as_str().into(),
        checkpoint.previous.into(),
        checkpoint.tag.into(),
    ];
    execute_on_one(conn, SEAL, values).await
}

/// Drops a segment: its events, and its checkpoint.
pub(crate) async fn drop_segment(conn: &mut Conn, node: AuditNode, segment: u64, last: u64) -> Result<(), Rejection> {
    let events = "DELETE FROM mb_audit_events WHERE node = ? AND sequence <= ?";
    execute(conn, events, vec![node.0.into(), last.into()]).await?;
    let checkpoint = "DELETE FROM mb_audit_checkpoints WHERE node = ? AND segment = ?";
    execute(conn, checkpoint, vec![node.0.into(), segment.into()]).await.map(|_| ())
}
