//! mobile-bind's own tables, and their way forward. A statement that makes a table ends a transaction here, so each step is
//! made of statements that may be run again, and is noted when all of it is done; there is no way back.

use std::time::Duration;

use mysql_async::Conn;
use mysql_async::prelude::Queryable;

use crate::connect::{self, Held};
use crate::fault::{Fault, OpenError};
use crate::options::Options;
use crate::tables::Tables;

/// The steps, oldest first; the first has number 1. Never change one that a release has brought: add another.
const STEPS: [&str; 2] = [include_str!("../migrations/0001_first.sql"), include_str!("../migrations/0002_places.sql")];

/// The version that this program works with.
pub(crate) const VERSION: u64 = STEPS.len() as u64;

const LEDGER: &str = "CREATE TABLE IF NOT EXISTS mb_schema_versions (
    version bigint unsigned NOT NULL PRIMARY KEY,
    applied_at datetime(6) NOT NULL
) ENGINE = InnoDB ROW_FORMAT = DYNAMIC DEFAULT CHARSET = utf8mb4";

/// What nodes that migrate at once wait at; another's steps are waited for as long as they take. Its name is the server's, so
/// the database's stands in it.
const AT_THE_GATE: &str = "SELECT GET_LOCK(LEFT(CONCAT('mobile-bind:', DATABASE()), 64), 600)";
const THROUGH: &str = "DO RELEASE_LOCK(LEFT(CONCAT('mobile-bind:', DATABASE()), 64))";

/// How long making or removing the tables may take.
const PATIENCE: Duration = Duration::from_secs(900);

/// `ER_NO_SUCH_TABLE`.
const NO_SUCH_TABLE: u16 = 1146;

/// The tables' version; 0 where nothing is there yet.
pub(crate) async fn version(conn: &mut Conn) -> Result<u64, Fault> {
    let found = conn.query_first("SELECT COALESCE(MAX(version), 0) FROM mb_schema_versions").await;
    match found.map_err(Fault::from) {
        Ok(found) => Ok(found.unwrap_or_default()),
        Err(fault) if fault.code() == Some(NO_SUCH_TABLE) => Ok(0),
        Err(fault) => Err(fault),
    }
}

/// Refuses tables that this program does not work with.
pub(crate) async fn check(conn: &mut Conn) -> Result<(), OpenError> {
    match version(conn).await? {
        found if found > VERSION => Err(OpenError::Ahead { found, known: VERSION }),
        found if found < VERSION => Err(OpenError::Behind { found, needed: VERSION }),
        _ => Ok(()),
    }
}

/// Refuses a database that is no shop's.
pub(crate) async fn check_shop(conn: &mut Conn, tables: &Tables) -> Result<(), OpenError> {
    for table in [tables.user(), tables.user_platform(), tables.config()] {
        let found = conn.query_drop(format!("SELECT 1 FROM {table} LIMIT 0")).await;
        match found.map_err(Fault::from) {
            Err(fault) if fault.code() == Some(NO_SUCH_TABLE) => {
                return Err(OpenError::NoShop(table.trim_matches('`').into()));
            }
            other => other?,
        }
    }
    Ok(())
}

/// Brings mobile-bind's tables up to date; answers how many steps that took.
pub(crate) async fn migrate(conn: &mut Conn) -> Result<u64, OpenError> {
    if version(conn).await? >= VERSION {
        return check(conn).await.map(|()| 0);
    }
    conn.query_drop(AT_THE_GATE).await.map_err(Fault::from)?;
    let taken = step_by_step(conn).await?;
    conn.query_drop(THROUGH).await.map_err(Fault::from)?;
    check(conn).await.map(|()| taken)
}

async fn step_by_step(conn: &mut Conn) -> Result<u64, Fault> {
    conn.query_drop(LEDGER).await?;
    let found = version(conn).await?;
    let mut taken = 0;
    for (step, text) in (1_u64..).zip(STEPS).filter(|(step, _)| *step > found) {
        conn.query_drop(text).await?;
        let note = "INSERT IGNORE INTO mb_schema_versions (version, applied_at) VALUES (?, UTC_TIMESTAMP(6))";
        conn.exec_drop(note, (step,)).await?;
        taken += 1;
    }
    Ok(taken)
}

/// Every table of mobile-bind's own in the database that the connection is in, also those of other versions.
const OWN: &str = "SELECT table_name FROM information_schema.tables
WHERE table_schema = DATABASE() AND table_type = 'BASE TABLE' AND table_name LIKE 'mb\\_%' ORDER BY table_name";

/// Makes mobile-bind's tables beside the shop's, or brings them up to date. Answers how many steps that took.
///
/// # Errors
/// Where the database cannot be reached or changed, or is no shop's.
pub async fn install(options: &Options) -> Result<u64, OpenError> {
    let (pool, tables) = connect::pool(options)?;
    let mut held = Held::of(&pool).await?;
    let conn = held.conn()?;
    check_shop(conn, &tables).await?;
    let install = tokio::time::timeout(PATIENCE, migrate(conn));
    install.await.map_err(|_| Fault::Timeout)?
}

/// Removes every table of mobile-bind's own, with all that is in them; the shop's stay as they are. Answers their names.
///
/// # Errors
/// Where the database cannot be reached or changed.
pub async fn uninstall(options: &Options) -> Result<Vec<String>, OpenError> {
    let (pool, _) = connect::pool(options)?;
    let mut held = Held::of(&pool).await?;
    let conn = held.conn()?;
    let removal = async {
        let found: Vec<String> = conn.query(OWN).await?;
        for table in &found {
            conn.query_drop(format!("DROP TABLE IF EXISTS `{}`", table.replace('`', "``"))).await?;
        }
        Ok::<_, mysql_async::Error>(found)
    };
    let removed = tokio::time::timeout(PATIENCE, removal).await.map_err(|_| Fault::Timeout)?;
    Ok(removed.map_err(Fault::from)?)
}
