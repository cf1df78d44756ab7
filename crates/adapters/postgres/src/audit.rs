//! Reading the audit.

use async_trait::async_trait;
use deadpool_postgres::Client;
use mobile_bind_domain::audit::{AuditMark, AuditNode, Checkpoint, RecordedEvent};
use mobile_bind_domain::ports::{AuditTrail, StoreError};
use tokio::time::timeout;

use crate::PostgresStore;
use crate::fault::Fault;
use crate::query::{Parameter, Statement, parameter};
use crate::records::audit::{CHECKPOINT_COLUMNS, COLUMNS, node_of, stored, take, take_checkpoint};

/// One look-up a node: there are few, and many events of each.
const NODES: &str = "WITH RECURSIVE found AS (
    (SELECT node FROM audit_events WHERE node >= $1::bigint ORDER BY node LIMIT 1)
    UNION ALL
    SELECT (SELECT e.node FROM audit_events e WHERE e.node > found.node ORDER BY e.node LIMIT 1)
    FROM found WHERE found.node IS NOT NULL
), sealed AS (
    (SELECT node FROM audit_checkpoints WHERE node >= $1::bigint ORDER BY node LIMIT 1)
    UNION ALL
    SELECT (SELECT c.node FROM audit_checkpoints c WHERE c.node > sealed.node ORDER BY c.node LIMIT 1)
    FROM sealed WHERE sealed.node IS NOT NULL
)
SELECT node FROM found WHERE node IS NOT NULL UNION SELECT node FROM sealed WHERE node IS NOT NULL ORDER BY 1";

fn limited(limit: usize) -> Parameter {
    parameter(i64::try_from(limit).unwrap_or(i64::MAX))
}

pub(crate) fn nodes_statement() -> Statement {
    Statement::new(NODES, vec![parameter(0_i64)])
}

pub(crate) fn events_statement(node: AuditNode, after: u64, limit: usize) -> Statement {
    let text = format!(
        "SELECT {COLUMNS} FROM audit_events WHERE node = $1::bigint AND sequence > $2::bigint
         ORDER BY sequence LIMIT $3::bigint"
    );
    let parameters = vec![parameter(i64::from(node.0)), parameter(stored(after)), limited(limit)];
    Statement { text: text.into(), parameters }
}

/// Of nodes that run at the same time, those of the higher number come last.
pub(crate) fn marked_statement(mark: AuditMark, limit: usize) -> Statement {
    let text = format!(
        "SELECT {COLUMNS} FROM audit_events WHERE mark = $1::bytea ORDER BY node DESC, sequence DESC LIMIT $2::bigint"
    );
    Statement { text: text.into(), parameters: vec![parameter(mark.0.to_vec()), limited(limit)] }
}

pub(crate) fn checkpoints_statement(node: AuditNode, after: u64, limit: usize) -> Statement {
    let text = format!(
        "SELECT {CHECKPOINT_COLUMNS} FROM audit_checkpoints WHERE node = $1::bigint AND segment > $2::bigint
         ORDER BY segment LIMIT $3::bigint"
    );
    let parameters = vec![parameter(i64::from(node.0)), parameter(stored(after)), limited(limit)];
    Statement { text: text.into(), parameters }
}

pub(crate) fn last_checkpoint_statement(node: AuditNode) -> Statement {
    let text = format!(
        "SELECT {CHECKPOINT_COLUMNS} FROM audit_checkpoints WHERE node = $1::bigint ORDER BY segment DESC LIMIT 1"
    );
    Statement { text: text.into(), parameters: vec![parameter(i64::from(node.0))] }
}

async fn rows<T>(
    client: &Client,
    statement: Statement,
    take: impl Fn(&tokio_postgres::Row) -> Result<T, Fault>,
) -> Result<Vec<T>, Fault> {
    let prepared = client.prepare_cached(&statement.text).await?;
    let rows = client.query(&prepared, &statement.references()).await?;
    rows.iter().map(take).collect()
}

fn node(row: &tokio_postgres::Row) -> Result<AuditNode, Fault> {
    node_of(row.try_get(0)?)
}

#[async_trait]
impl AuditTrail for PostgresStore {
    async fn audit_nodes(&self) -> Result<Vec<AuditNode>, StoreError> {
        read!(self.inner, client => rows(client, nodes_statement(), node))
    }

    async fn audit_events(&self, node: AuditNode, after: u64, limit: usize) -> Result<Vec<RecordedEvent>, StoreError> {
        read!(self.inner, client => rows(client, events_statement(node, after, limit), take))
    }

    async fn audit_of(&self, marks: &[AuditMark], limit: usize) -> Result<Vec<RecordedEvent>, StoreError> {
        let mut found: Vec<RecordedEvent> = Vec::new();
        for mark in marks {
            let marked: Result<Vec<RecordedEvent>, StoreError> =
                read!(self.inner, client => rows(client, marked_statement(*mark, limit), take));
            found.extend(marked?);
        }
        found.sort_by_key(|event| (event.node, event.sequence));
        Ok(found)
    }

    async fn checkpoints(&self, node: AuditNode, after: u64, limit: usize) -> Result<Vec<Checkpoint>, StoreError> {
        read!(self.inner, client => rows(client, checkpoints_statement(node, after, limit), take_checkpoint))
    }

    async fn last_checkpoint(&self, node: AuditNode) -> Result<Option<Checkpoint>, StoreError> {
        let found: Result<Vec<Checkpoint>, StoreError> =
            read!(self.inner, client => rows(client, last_checkpoint_statement(node), take_checkpoint));
        Ok(found?.pop())
    }

    async fn own_node(&self) -> Result<Option<AuditNode>, StoreError> {
        Ok(Some(self.inner.audit_node()))
    }
}
