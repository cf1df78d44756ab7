//! What mobile-bind keeps of users whom the shop has deleted.

use mobile_bind_domain::AccountId;
use mysql_async::{Conn, Value};

use crate::fault::{Fault, Rejection};
use crate::records::{all, execute, limited, one};
use crate::tables::Tables;

const KIND: &str = "leftover";

/// A page of companion rows, each with whether its user is there.
struct Page {
    gone: Vec<AccountId>,
    /// Where the next page begins; 0 after the last one.
    next: u64,
}

async fn page(conn: &mut Conn, tables: &Tables, after: u64, limit: usize) -> Result<Page, Fault> {
    let question = format!(
        "SELECT a.user_id, u.id IS NULL FROM mb_accounts a LEFT JOIN {} u ON u.id = a.user_id \
         WHERE a.user_id > ? ORDER BY a.user_id LIMIT ?",
        tables.user()
    );
    let values = vec![after.into(), limited(limit)];
    let rows = all(conn, KIND, &question, values, |columns| Ok((columns.account()?, columns.take::<bool>()?))).await?;
    let next = rows.last().filter(|_| rows.len() == limit).map_or(0, |(last, _)| last.get());
    let gone = rows.into_iter().filter(|(_, gone)| *gone).map(|(user, _)| user).collect();
    Ok(Page { gone, next })
}

/// Looks at the next `limit` companion rows, and removes those of users who are no more, with what they claimed. Answers how
/// many it removed. It is to be committed whole: who came back with his companion row and without his claims would be taken
/// to have claimed what he holds.
pub(crate) async fn remove(conn: &mut Conn, tables: &Tables, limit: usize) -> Result<usize, Rejection> {
    let question = "SELECT value FROM mb_places WHERE name = 'leftovers'";
    let after: u64 = one(conn, KIND, question, Vec::new(), |columns| columns.take()).await?.unwrap_or_default();
    let Page { gone, next } = page(conn, tables, after, limit).await?;
    let removed = if gone.is_empty() { 0 } else { remove_all(conn, tables, &gone).await? };
    if next != after {
        let statement = "INSERT INTO mb_places (name, value) VALUES ('leftovers', ?) \
             ON DUPLICATE KEY UPDATE value = VALUES(value)";
        execute(conn, statement, vec![next.into()]).await?;
    }
    Ok(removed)
}

async fn remove_all(conn: &mut Conn, tables: &Tables, gone: &[AccountId]) -> Result<usize, Rejection> {
    let places = vec!["?"; gone.len()].join(", ");
    let users = || gone.iter().map(|user| Value::from(user.get())).collect::<Vec<_>>();
    // The shop may have put one back meanwhile.
    let companions = format!(
        "DELETE FROM mb_accounts WHERE user_id IN ({places}) \
         AND NOT EXISTS (SELECT 1 FROM {} u WHERE u.id = mb_accounts.user_id)",
        tables.user()
    );
    let removed = execute(conn, &companions, users()).await?;
    let claims = format!(
        "DELETE FROM mb_claims WHERE user_id IN ({places}) \
         AND NOT EXISTS (SELECT 1 FROM mb_accounts a WHERE a.user_id = mb_claims.user_id)"
    );
    execute(conn, &claims, users()).await?;
    Ok(usize::try_from(removed).unwrap_or(usize::MAX))
}
