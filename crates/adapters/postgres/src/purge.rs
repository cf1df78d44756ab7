//! Forgetting what has ended, a few rows at a time, by one node at a time.

use deadpool_postgres::Client;
use mobile_bind_domain::Timestamp;
use mobile_bind_domain::ports::Purged;

use crate::fault::Fault;
use crate::records::millis;

/// Held for so long unless it is taken again; by the database's clock.
const TAKE: &str = "INSERT INTO leases AS held (name, node, ends_at)
VALUES ('purge', $1::bigint, now() + interval '10 seconds')
ON CONFLICT (name) DO UPDATE SET node = excluded.node, ends_at = excluded.ends_at
    WHERE held.node = excluded.node OR held.ends_at < now()";

const LEAVE: &str = "DELETE FROM leases WHERE name = 'purge' AND node = $1::bigint";

/// Each removes no more than so many rows that have ended by then. Rows that a change works on are left for the next time.
///
/// They are planned anew each time: a plan from a moment when next to nothing was there would look for the rows that have
/// ended once for each row of the table, and tables that are swept grow and shrink all day.
pub(crate) const SWEEPS: [&str; 9] = [
    "DELETE FROM challenges WHERE (mobile, client) IN (
    SELECT mobile, client FROM challenges WHERE expires_at <= $1::bigint
    ORDER BY expires_at LIMIT $2::bigint FOR UPDATE SKIP LOCKED
)",
    "DELETE FROM receipts WHERE (mobile, client) IN (
    SELECT mobile, client FROM receipts WHERE expires_at <= $1::bigint
    ORDER BY expires_at LIMIT $2::bigint FOR UPDATE SKIP LOCKED
)",
    "DELETE FROM idempotency_keys WHERE name IN (
    SELECT name FROM idempotency_keys WHERE expires_at <= $1::bigint
    ORDER BY expires_at LIMIT $2::bigint FOR UPDATE SKIP LOCKED
)",
    "DELETE FROM meters WHERE (subject, window_ms) IN (
    SELECT subject, window_ms FROM meters WHERE ends_at <= $1::bigint
    ORDER BY ends_at LIMIT $2::bigint FOR UPDATE SKIP LOCKED
)",
    "DELETE FROM sessions WHERE id IN (
    SELECT id FROM sessions WHERE used_at < $1::bigint
    ORDER BY used_at LIMIT $2::bigint FOR UPDATE SKIP LOCKED
)",
    "DELETE FROM proofs WHERE id IN (
    SELECT id FROM proofs WHERE expires_at <= $1::bigint
    ORDER BY expires_at LIMIT $2::bigint FOR UPDATE SKIP LOCKED
)",
    "DELETE FROM spent WHERE mark IN (
    SELECT mark FROM spent WHERE until <= $1::bigint
    ORDER BY until LIMIT $2::bigint FOR UPDATE SKIP LOCKED
)",
    "DELETE FROM messages WHERE (mobile, id) IN (
    SELECT mobile, id FROM messages WHERE keep_until <= $1::bigint
    ORDER BY keep_until LIMIT $2::bigint FOR UPDATE SKIP LOCKED
)",
    "DELETE FROM message_references WHERE (provider, reference) IN (
    SELECT provider, reference FROM message_references WHERE keep_until <= $1::bigint
    ORDER BY keep_until LIMIT $2::bigint FOR UPDATE SKIP LOCKED
)",
];

/// Removes at most `limit` rows, where this node has the lease or can have it.
pub(crate) async fn sweep(
    client: &Client,
    node: i64,
    now: Timestamp,
    sessions_before: Timestamp,
    limit: usize,
) -> Result<Purged, Fault> {
    let take = client.prepare_cached(TAKE).await?;
    if client.execute(&take, &[&node]).await? == 0 {
        return Ok(Purged::default());
    }
    let mut forgotten = 0;
    let mut left = i64::try_from(limit).unwrap_or(i64::MAX);
    let ends = [now, now, now, now, sessions_before, now, now, now, now];
    for (text, end) in SWEEPS.into_iter().zip(ends) {
        if left <= 0 {
            break;
        }
        let statement = client.prepare(text).await?;
        let some = client.execute(&statement, &[&millis(end), &left]).await?;
        left = left.saturating_sub_unsigned(some);
        forgotten += usize::try_from(some).unwrap_or(usize::MAX);
    }
    Ok(Purged { forgotten, more: left <= 0 })
}

/// Lets another node have the lease.
pub(crate) async fn leave(client: &Client, node: i64) -> Result<(), Fault> {
    client.execute(LEAVE, &[&node]).await?;
    Ok(())
}
