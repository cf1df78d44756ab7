//! Accounts and claims looked at side by side.

use std::collections::{BTreeMap, BTreeSet};

use mobile_bind_domain::{AccountId, AppId, Platform};
use mysql_async::Conn;

use super::account::{Locking, Stored, Wanted, find};
use super::claims::{self, Key};
use crate::fault::Fault;
use crate::records::{Columns, all, limited};
use crate::tables::Tables;

/// A page of accounts.
pub(crate) struct Page {
    /// All of them, in their order.
    pub(crate) ids: Vec<AccountId>,
    /// How many cannot be read.
    pub(crate) unreadable: u64,
    /// How much they hold that mobile-bind has written and not claimed for them.
    pub(crate) unclaimed: u64,
}

/// Looks at no more than `limit` accounts after the id `after`.
pub(crate) async fn page(
    conn: &mut Conn,
    tables: &Tables,
    after: Option<AccountId>,
    limit: usize,
) -> Result<Page, Fault> {
    let question = format!("SELECT id FROM {} WHERE id > ? ORDER BY id LIMIT ?", tables.user());
    let values = vec![after.map_or(0, AccountId::get).into(), limited(limit)];
    let ids = all(conn, "account", &question, values, Columns::account).await?;
    if ids.is_empty() {
        return Ok(Page { ids, unreadable: 0, unclaimed: 0 });
    }
    let (stored, unreadable) = read(conn, tables, &ids).await?;
    let claimed: BTreeSet<_> = claims::of_users(conn, &ids).await?.into_iter().collect();
    let written = stored.iter().filter(|stored| stored.is_as_written());
    let held = written.flat_map(|stored| keys(stored).into_iter().map(|key| (key, stored.id)));
    let unclaimed = held.filter(|held| !claimed.contains(held)).count();
    Ok(Page { ids, unreadable, unclaimed: u64::try_from(unclaimed).unwrap_or(u64::MAX) })
}

fn keys(stored: &Stored) -> BTreeSet<Key> {
    claims::Claim::of(&stored.account(None)).iter().map(claims::Claim::key).collect()
}

/// Those that can be read, and how many cannot.
async fn read(conn: &mut Conn, tables: &Tables, ids: &[AccountId]) -> Result<(Vec<Stored>, u64), Fault> {
    match find(conn, tables, Wanted::ids(tables, ids), Locking::None).await {
        Err(Fault::Unreadable(_)) => {}
        found => return found.map(|found| (found, 0)),
    }
    let (mut readable, mut unreadable) = (Vec::new(), 0);
    for id in ids {
        match find(conn, tables, Wanted::ids(tables, &[*id]), Locking::None).await {
            Ok(found) => readable.extend(found),
            Err(Fault::Unreadable(_)) => unreadable += 1,
            Err(fault) => return Err(fault),
        }
    }
    Ok((readable, unreadable))
}

/// What accounts hold, by the keys of their claims.
pub(crate) async fn held_by(
    conn: &mut Conn,
    tables: &Tables,
    users: &[AccountId],
) -> Result<BTreeMap<AccountId, BTreeSet<Key>>, Fault> {
    let (stored, _) = read(conn, tables, users).await?;
    Ok(stored.iter().map(|stored| (stored.id, keys(stored))).collect())
}

/// Whether two of the accounts have their openid on a platform from the same app. One whose app is not known may be of any.
pub(crate) async fn share_an_app(
    conn: &mut Conn,
    tables: &Tables,
    platform: Platform,
    accounts: &[AccountId],
) -> Result<bool, Fault> {
    let (stored, _) = read(conn, tables, accounts).await?;
    let mut apps: BTreeMap<Option<AppId>, usize> = BTreeMap::new();
    for stored in &stored {
        *apps.entry(stored.app(platform).cloned()).or_default() += 1;
    }
    let unknown = apps.remove(&None).unwrap_or_default();
    Ok(unknown > 1 || apps.values().any(|known| known + unknown > 1))
}
