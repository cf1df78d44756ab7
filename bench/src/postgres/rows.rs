//! Whether pgbench writes what a bind writes: else a comparison of the two would mean nothing.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Result, ensure};

use super::cluster::{Cluster, Database};
use super::pgbench::{Length, Prepared};
use crate::load::{Pace, load};
use crate::people::People;
use crate::preparation::invite;
use crate::server::{Server, Setup};
use crate::workload::{Row, Workload};

/// How many binds are compared.
const BINDS: usize = 256;
const CONNECTIONS: usize = 8;

/// Rows inserted, updated and removed, by table.
type Written = BTreeMap<String, [u64; 3]>;

/// What is written once for many binds or for none, or after a bind was answered.
const OWN: &str = "'counters', 'leases', 'schema_versions', 'server_keys', 'audit_checkpoints', 'messages', \
     'message_references'";

/// Fails where pgbench writes other rows than as many binds do.
pub(crate) async fn ensure_alike(cluster: &Cluster, folder: &Path) -> Result<()> {
    let database = cluster.create("mobile_bind_rows")?;
    let settings = [("STORE", database.address.clone())];
    let node = Server::start_with(Setup::Database, folder, &settings).await?;
    let people = Arc::new(People::default());
    let invited = invite(&node, &people, BINDS).await?;
    node.stop()?;
    let before = written(&database).await?;
    // A node tells the server's statistics all that it did when it has stopped.
    let node = Server::start_with(Setup::Database, folder, &settings).await?;
    let binds = Workload::Bind(Row::new(invited, 1));
    let bound = load(node.address, CONNECTIONS, Pace::Closed, binds, Duration::from_secs(60)).await?;
    node.stop()?;
    ensure!(bound.unexpected == 0 && bound.latencies_us.len() == BINDS, "the binds that are compared were refused");
    let between = written(&database).await?;
    let each = u64::try_from(BINDS / CONNECTIONS)?;
    Prepared::make(&database, CONNECTIONS, Length::Transactions(each))?.run(&database)?;
    let after = written(&database).await?;
    let (mut by_binds, mut by_script) = (difference(&between, &before), difference(&after, &between));
    // What the script removes was made for it.
    if let Some([made, ..]) = by_script.get_mut("challenges") {
        *made = made.saturating_sub(u64::try_from(BINDS)?);
    }
    for rows in [&mut by_binds, &mut by_script] {
        rows.retain(|_, rows| *rows != [0; 3]);
    }
    ensure!(
        by_binds == by_script,
        "bench/src/postgres/bind.sql does not write what a bind writes (rows inserted, updated and removed by {BINDS}):\n  \
         binds:  {by_binds:?}\n  script: {by_script:?}"
    );
    Ok(())
}

fn difference(after: &Written, before: &Written) -> Written {
    let of = |(table, now): (&String, &[u64; 3])| {
        let then = before.get(table).copied().unwrap_or_default();
        (table.clone(), std::array::from_fn(|kind| now[kind].saturating_sub(then[kind])))
    };
    after.iter().map(of).collect()
}

async fn written(database: &Database) -> Result<Written> {
    let others = "SELECT count(*) FROM pg_stat_activity
        WHERE datname = current_database() AND backend_type = 'client backend' AND pid <> pg_backend_pid()";
    for _ in 0..500 {
        if database.number(others)? == 0 {
            break;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    let rows = database.rows(&format!(
        "SELECT relname, n_tup_ins, n_tup_upd, n_tup_del FROM pg_stat_user_tables WHERE relname NOT IN ({OWN})"
    ))?;
    let read = |row: Vec<String>| {
        let mut columns = row.into_iter();
        let table = columns.next()?;
        let mut number = || columns.next()?.parse().ok();
        Some((table, [number()?, number()?, number()?]))
    };
    Ok(rows.into_iter().filter_map(read).collect())
}

#[cfg(test)]
mod tests {
    use super::{Written, difference};

    #[test]
    fn what_came_between_is_told_by_table() {
        let before = Written::from([("a".to_owned(), [1, 2, 3])]);
        let after = Written::from([("a".to_owned(), [4, 2, 3]), ("b".to_owned(), [1, 0, 0])]);
        let expected = Written::from([("a".to_owned(), [3, 0, 0]), ("b".to_owned(), [1, 0, 0])]);
        assert_eq!(difference(&after, &before), expected);
    }
}
