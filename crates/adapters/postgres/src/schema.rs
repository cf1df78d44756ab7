//! The schema, and its way forward. Each step is plain SQL, applied once and in its own transaction, however many nodes
//! start at once; there is no way back.

use deadpool_postgres::Client;
use tokio_postgres::error::SqlState;

use crate::fault::{Fault, OpenError};

/// The steps, oldest first; the first has number 1. Never change one that a release has brought: add another.
const STEPS: [&str; 5] = [
    include_str!("../migrations/0001_first.sql"),
    include_str!("../migrations/0002_proofs.sql"),
    include_str!("../migrations/0003_idempotency.sql"),
    include_str!("../migrations/0004_audit.sql"),
    include_str!("../migrations/0005_outbox.sql"),
];

/// The version that this program works with.
#[expect(clippy::cast_possible_wrap, reason = "a handful of steps")]
pub(crate) const VERSION: i64 = STEPS.len() as i64;

/// Row 0 is nobody's version: it is what nodes that migrate at once wait at.
const LEDGER: &str = "CREATE TABLE IF NOT EXISTS schema_versions (
    version bigint PRIMARY KEY,
    applied_at timestamptz NOT NULL DEFAULT now()
)";
/// Another node's steps are waited for as long as they take.
const PATIENT: &str = "SET LOCAL lock_timeout = 0";
const AT_THE_GATE: &str = "SELECT version FROM schema_versions WHERE version = 0 FOR UPDATE";
const GATE: &str = "INSERT INTO schema_versions (version) VALUES (0) ON CONFLICT (version) DO NOTHING";

/// How often the ledger is tried for: nodes that make it at the same moment get in each other's way.
const ATTEMPTS: u32 = 10;

/// What PostgreSQL says of it then: of the table, of its row type, or of a row of the catalogue.
const MADE_ALREADY: [SqlState; 3] = [SqlState::DUPLICATE_TABLE, SqlState::DUPLICATE_OBJECT, SqlState::UNIQUE_VIOLATION];

/// The database's version; 0 where nothing is there yet.
pub(crate) async fn version(client: &Client) -> Result<i64, Fault> {
    match client.query_one("SELECT coalesce(max(version), 0) FROM schema_versions", &[]).await {
        Ok(row) => Ok(row.try_get(0)?),
        Err(error) if error.code() == Some(&SqlState::UNDEFINED_TABLE) => Ok(0),
        Err(error) => Err(error.into()),
    }
}

/// Refuses a schema that this program does not work with.
pub(crate) async fn check(client: &Client) -> Result<(), OpenError> {
    match version(client).await? {
        found if found > VERSION => Err(OpenError::Ahead { found, known: VERSION }),
        found if found < VERSION => Err(OpenError::Behind { found, needed: VERSION }),
        _ => Ok(()),
    }
}

/// Brings the schema up to date; answers how many steps that took.
pub(crate) async fn migrate(client: &Client) -> Result<i64, OpenError> {
    if version(client).await? >= VERSION {
        return check(client).await.map(|()| 0);
    }
    make_ledger(client).await?;
    let mut taken = 0;
    for (step, text) in (1_i64..).zip(STEPS) {
        // `text` is ours: it is sent as one string, which is one transaction with what stands around it.
        let applied = async {
            client.batch_execute(&format!("BEGIN; {PATIENT}; {AT_THE_GATE}")).await?;
            if version_within(client).await? >= step {
                client.batch_execute("COMMIT").await?;
                return Ok(0);
            }
            client.batch_execute(text).await?;
            client.execute("INSERT INTO schema_versions (version) VALUES ($1::bigint)", &[&step]).await?;
            client.batch_execute("COMMIT").await?;
            Ok::<_, tokio_postgres::Error>(1)
        };
        match applied.await {
            Ok(applied) => taken += applied,
            Err(error) => {
                // The connection may be what failed.
                let _ = client.batch_execute("ROLLBACK").await;
                return Err(Fault::from(error).into());
            }
        }
    }
    check(client).await.map(|()| taken)
}

async fn version_within(client: &Client) -> Result<i64, tokio_postgres::Error> {
    client.query_one("SELECT max(version) FROM schema_versions", &[]).await?.try_get(0)
}

async fn make_ledger(client: &Client) -> Result<(), OpenError> {
    let mut last = None;
    for _ in 0..ATTEMPTS {
        let made = async {
            client.batch_execute(LEDGER).await?;
            client.batch_execute(GATE).await
        };
        match made.await {
            Ok(()) => return Ok(()),
            // Whoever made it at the same moment has.
            Err(error) if error.code().is_some_and(|code| MADE_ALREADY.contains(code)) => last = Some(error),
            Err(error) => return Err(Fault::from(error).into()),
        }
    }
    last.map_or(Ok(()), |error| Err(Fault::from(error).into()))
}
