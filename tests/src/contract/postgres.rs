//! The PostgreSQL store under test, in a schema of its own. `cargo xtask test` brings the database.

use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use anyhow::{Context, Result};
use async_trait::async_trait;
use mobile_bind_domain::ports::Store;
use mobile_bind_postgres::{Options, PostgresStore};
use tokio_postgres::NoTls;

use super::StoreUnderTest;

/// Where the tests find their database.
pub const ADDRESS: &str = "MOBILE_BIND_TEST_POSTGRES";

/// Schemas that are made and in nobody's hands: to make one takes longer than to clear one.
static IDLE: Mutex<Vec<String>> = Mutex::new(Vec::new());
static MADE: AtomicU32 = AtomicU32::new(0);

/// Leaves a schema as it was when it was made.
const CLEAR: &str = "DELETE FROM accounts; DELETE FROM identities; DELETE FROM challenges; DELETE FROM receipts;
    DELETE FROM audit_events; DELETE FROM audit_checkpoints;
    DELETE FROM sessions; DELETE FROM meters; DELETE FROM proofs; DELETE FROM spent; DELETE FROM leases;
    DELETE FROM server_keys; DELETE FROM messages; DELETE FROM message_references; DELETE FROM idempotency_keys;
    UPDATE counters SET value = 0";

/// A schema for one store.
pub struct PostgresSchema {
    database: String,
    name: String,
    /// Whether it holds what another test left.
    used: Mutex<bool>,
}

impl PostgresSchema {
    /// The address of this schema's tables.
    #[must_use]
    pub fn address(&self) -> String {
        let next = if self.database.contains('?') { '&' } else { '?' };
        format!("{}{next}options=-csearch_path%3D{}", self.database, self.name)
    }

    /// Makes or clears the schema; only the first time has an effect.
    ///
    /// # Errors
    /// Where the database cannot be used.
    pub async fn prepare(&self) -> Result<()> {
        let used = std::mem::replace(&mut *self.used.lock().unwrap_or_else(PoisonError::into_inner), false);
        if used {
            return self.execute(CLEAR).await;
        }
        let make = format!("CREATE SCHEMA IF NOT EXISTS {}", self.name);
        self.execute(&make).await
    }

    /// Runs statements in the schema.
    ///
    /// # Errors
    /// Where the database refuses them.
    pub async fn execute(&self, statements: &str) -> Result<()> {
        let (client, connection) = tokio_postgres::connect(&self.address(), NoTls).await?;
        let connection = tokio::spawn(connection);
        let executed = client.batch_execute(statements).await;
        drop(client);
        connection.await??;
        Ok(executed?)
    }
}

impl Drop for PostgresSchema {
    fn drop(&mut self) {
        IDLE.lock().unwrap_or_else(PoisonError::into_inner).push(std::mem::take(&mut self.name));
    }
}

#[async_trait]
impl StoreUnderTest for PostgresSchema {
    fn empty() -> Result<Self> {
        let missing = || format!("{ADDRESS} names no database: run the tests by `cargo xtask test`, which brings one");
        let database = std::env::var(ADDRESS).with_context(missing)?;
        let idle = IDLE.lock().unwrap_or_else(PoisonError::into_inner).pop();
        let used = Mutex::new(idle.is_some());
        let make = || format!("test_{}_{}", std::process::id(), MADE.fetch_add(1, Ordering::Relaxed));
        Ok(Self { database, name: idle.unwrap_or_else(make), used })
    }

    async fn open(&self) -> Result<Arc<dyn Store>> {
        self.prepare().await?;
        let options = Options { connections: 8, ..Options::new(&self.address()) };
        Ok(Arc::new(PostgresStore::open(options).await?))
    }
}
