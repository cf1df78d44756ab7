//! Forgetting what has ended, a few rows at a time, by one node at a time.

use mobile_bind_domain::Timestamp;
use mysql_async::Conn;

use crate::fault::Rejection;
use crate::records::{execute, limited};

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

/// Whether this node has the lease, or has it now.
pub(crate) async fn take_lease(conn: &mut Conn, node: u64) -> Result<bool, Rejection> {
    Ok(execute(conn, TAKE, vec![node.into(), node.into()]).await? > 0)
}

/// Removes at most `limit` rows of mobile-bind's own tables; answers how many.
pub(crate) async fn sweep(conn: &mut Conn, now: Timestamp, limit: usize) -> Result<usize, Rejection> {
    let mut removed = 0;
    for text in SWEEPS {
        let left = limit.saturating_sub(removed);
        if left == 0 {
            break;
        }
        match execute(conn, text, vec![now.as_millis().into(), limited(left)]).await {
            Ok(some) => removed += usize::try_from(some).unwrap_or(usize::MAX),
            // A change works on one of the rows: the next time.
            Err(Rejection::Conflict) => {}
            Err(fault) => return Err(fault),
        }
    }
    Ok(removed)
}

/// Lets another node have the lease.
pub(crate) async fn leave(conn: &mut Conn, node: u64) -> Result<(), Rejection> {
    execute(conn, LEAVE, vec![node.into()]).await.map(|_| ())
}
