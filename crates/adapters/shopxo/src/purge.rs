//! Forgetting what has ended, a few rows at a time, by one node at a time.

use mobile_bind_domain::Timestamp;
use mobile_bind_domain::ports::Purged;
use mysql_async::Conn;

use crate::commit;
use crate::fault::Rejection;
use crate::records::{execute, limited};
use crate::shop::leftovers;
use crate::shop::session::{self, EndedToken};
use crate::tables::Tables;

/// Held for so long unless it is taken again; by the database's clock.
const TAKE: &str = "UPDATE mb_leases SET node = ?, ends_at = UTC_TIMESTAMP(6) + INTERVAL 10 SECOND
WHERE name = 'purge' AND (node = ? OR ends_at < UTC_TIMESTAMP(6))";

const LEAVE: &str = "UPDATE mb_leases SET ends_at = '1970-01-02 00:00:00' WHERE name = 'purge' AND node = ?";

/// Each removes no more than so many rows that have ended by then.
const SWEEPS: [&str; 8] = [
    "DELETE FROM mb_challenges WHERE expires_at <= ? ORDER BY expires_at LIMIT ?",
    "DELETE FROM mb_receipts WHERE expires_at <= ? ORDER BY expires_at LIMIT ?",
    "DELETE FROM mb_idempotency_keys WHERE expires_at <= ? ORDER BY expires_at LIMIT ?",
    "DELETE FROM mb_tallies WHERE ends_at <= ? ORDER BY ends_at LIMIT ?",
    "DELETE FROM mb_proofs WHERE expires_at <= ? ORDER BY expires_at LIMIT ?",
    "DELETE FROM mb_spent WHERE until <= ? ORDER BY until LIMIT ?",
    "DELETE FROM mb_messages WHERE keep_until <= ? ORDER BY keep_until LIMIT ?",
    "DELETE FROM mb_message_references WHERE keep_until <= ? ORDER BY keep_until LIMIT ?",
];

/// How many of mobile-bind's rows a call looks at for whether the shop has deleted their users, once nothing else is left to do.
const LEFTOVERS: usize = 100;

/// Removes at most `limit` rows, where this node has the lease or can have it. The shop's tokens that ended with it are handed
/// to `ended` as soon as that is committed.
pub(crate) async fn run(
    conn: &mut Conn,
    tables: &Tables,
    node: u64,
    (now, sessions_before): (Timestamp, Timestamp),
    limit: usize,
    ended: impl FnOnce(Vec<EndedToken>),
) -> Result<Purged, Rejection> {
    if !take_lease(conn, node).await? {
        return Ok(Purged::default());
    }
    let mut forgotten = sweep(conn, now, limit).await?;
    let left = limit.saturating_sub(forgotten);
    if left > 0 {
        let purge = async |conn: &mut Conn| session::purge(conn, tables, sessions_before, left).await;
        let (sessions, tokens) = unless_in_use(in_transaction(conn, purge).await)?.unwrap_or_default();
        ended(tokens);
        forgotten += sessions;
    }
    let more = forgotten >= limit;
    if !more {
        let left = LEFTOVERS.min(limit - forgotten);
        let remove = async |conn: &mut Conn| leftovers::remove(conn, tables, left).await;
        forgotten += unless_in_use(in_transaction(conn, remove).await)?.unwrap_or_default();
    }
    Ok(Purged { forgotten, more })
}

/// All of it, or nothing.
async fn in_transaction<T>(
    conn: &mut Conn,
    work: impl AsyncFnOnce(&mut Conn) -> Result<T, Rejection>,
) -> Result<T, Rejection> {
    commit::begin(conn).await?;
    let done = work(conn).await;
    commit::end(conn, done).await
}

/// Nothing, where a change works on one of the rows: the next time.
fn unless_in_use<T>(result: Result<T, Rejection>) -> Result<Option<T>, Rejection> {
    match result {
        Ok(done) => Ok(Some(done)),
        Err(Rejection::Conflict) => Ok(None),
        Err(fault) => Err(fault),
    }
}

/// Whether this node has the lease, or has it now.
async fn take_lease(conn: &mut Conn, node: u64) -> Result<bool, Rejection> {
    Ok(execute(conn, TAKE, vec![node.into(), node.into()]).await? > 0)
}

/// Removes at most `limit` rows of mobile-bind's own tables; answers how many.
async fn sweep(conn: &mut Conn, now: Timestamp, limit: usize) -> Result<usize, Rejection> {
    let mut removed = 0;
    for text in SWEEPS {
        let left = limit.saturating_sub(removed);
        if left == 0 {
            break;
        }
        let some = unless_in_use(execute(conn, text, vec![now.as_millis().into(), limited(left)]).await)?;
        removed += usize::try_from(some.unwrap_or_default()).unwrap_or(usize::MAX);
    }
    Ok(removed)
}

/// Lets another node have the lease.
pub(crate) async fn leave(conn: &mut Conn, node: u64) -> Result<(), Rejection> {
    execute(conn, LEAVE, vec![node.into()]).await.map(|_| ())
}
