//! What the primary says of its standbys.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use deadpool_postgres::Client;
use mobile_bind_domain::ports::ReplicationFacts;
use tokio_postgres::Row;

/// Whoever is neither a superuser nor of `pg_monitor` sees that there are standbys, not how they are.
/// <https://www.postgresql.org/docs/current/monitoring-stats.html#MONITORING-PG-STAT-REPLICATION-VIEW>
const ASK: &str = "SELECT pg_has_role('pg_read_all_stats', 'USAGE'), count(*)::bigint,
    (count(*) FILTER (WHERE sync_state IN ('sync', 'quorum')))::bigint,
    coalesce(max(pg_wal_lsn_diff(pg_current_wal_lsn(), replay_lsn)), 0)::bigint,
    max(extract(epoch FROM replay_lag))::float8
FROM pg_stat_replication WHERE state IN ('streaming', 'catchup')";

/// What was found last.
#[derive(Debug, Default)]
pub(crate) struct Replication(Mutex<Option<ReplicationFacts>>);

impl Replication {
    fn lock(&self) -> MutexGuard<'_, Option<ReplicationFacts>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn known(&self) -> Option<ReplicationFacts> {
        *self.lock()
    }

    pub(crate) fn forget(&self) {
        *self.lock() = None;
    }

    /// Asks. A database that does not tell, since it keeps its copies in another way or its user may not know, is none that
    /// fails.
    pub(crate) async fn ask(&self, client: &Client) {
        let asked = async {
            let prepared = client.prepare_cached(ASK).await.ok()?;
            read(&client.query_one(&prepared, &[]).await.ok()?)
        };
        let found = asked.await;
        *self.lock() = found;
    }
}

fn read(row: &Row) -> Option<ReplicationFacts> {
    let told: bool = row.try_get(0).ok()?;
    let count = |column| row.try_get::<_, i64>(column).ok();
    let lag: Option<f64> = row.try_get(4).ok()?;
    told.then_some(())?;
    Some(ReplicationFacts {
        standbys: u32::try_from(count(1)?).ok()?,
        synchronous: u32::try_from(count(2)?).ok()?,
        lag_bytes: u64::try_from(count(3)?.max(0)).ok()?,
        lag: lag.and_then(|seconds| Duration::try_from_secs_f64(seconds).ok()),
    })
}
