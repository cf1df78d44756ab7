//! What belongs to one live account alone: numbers, openids, unionids, member codes. The shop has no unique index for any of
//! them, so each is claimed in `mb_claims`, which has one. A claim says that mobile-bind gave it to that account; whether the
//! account still has it, the shop's own rows say.

use std::collections::BTreeSet;

use mobile_bind_domain::{Account, AccountId, Identity, MemberCode, Mobile, Platform, UnionId};
use mysql_async::{Conn, Value};

use super::account::{Locking, Wanted, find};
use crate::fault::{Fault, Rejection};
use crate::records::{Columns, all, execute, limited, one};
use crate::tables::Tables;

const KIND: &str = "claim";

/// One thing of that kind.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Claim {
    Mobile(Mobile),
    Identity(Identity),
    UnionId(Platform, UnionId),
    MemberCode(MemberCode),
}

impl Claim {
    /// What an account holds.
    pub(super) fn of(account: &Account) -> BTreeSet<Self> {
        let mobile = account.held_mobile().cloned().map(Self::Mobile);
        let code = account.held_member_code().cloned().map(Self::MemberCode);
        let unionids = account.held_unionids().map(|(platform, unionid)| Self::UnionId(platform, unionid.clone()));
        account.held_identities().map(Self::Identity).chain(unionids).chain(mobile).chain(code).collect()
    }

    /// Whether a live account has it.
    pub(crate) fn is_held_by(&self, account: &Account) -> bool {
        match self {
            Self::Mobile(mobile) => account.held_mobile() == Some(mobile),
            Self::Identity(identity) => account.held_identities().any(|held| held == *identity),
            Self::UnionId(platform, unionid) => account.held_unionids().any(|held| held == (*platform, unionid)),
            Self::MemberCode(code) => account.held_member_code() == Some(code),
        }
    }

    /// Its key in `mb_claims`.
    pub(crate) fn key(&self) -> Key {
        match self {
            Self::Mobile(mobile) => (1, mobile.as_str().into()),
            Self::Identity(Identity { platform, app, openid }) => {
                (2, [platform.name(), app.as_str(), openid.as_str()].join("\0").into_bytes())
            }
            Self::UnionId(platform, unionid) => (3, [platform.name(), unionid.as_str()].join("\0").into_bytes()),
            Self::MemberCode(code) => (4, code.as_str().into()),
        }
    }
}

fn keys<'a>(claims: impl IntoIterator<Item = &'a Claim>) -> (String, Vec<Value>) {
    let mut values = Vec::new();
    for (kind, value) in claims.into_iter().map(Claim::key) {
        values.extend([Value::from(kind), Value::from(value)]);
    }
    let condition = vec!["(kind = ? AND value = ?)"; values.len() / 2].join(" OR ");
    (condition, values)
}

/// The accounts that a member code may be of: the shop's end in the id, and other digits are before it.
pub(super) fn ids_in(code: &MemberCode) -> BTreeSet<AccountId> {
    let digits = code.as_str();
    let tails = digits.char_indices().filter_map(|(start, _)| digits.get(start..));
    tails.filter_map(|tail| tail.parse().ok().and_then(AccountId::new)).collect()
}

/// The account that claimed it, whether or not it has it still.
pub(crate) async fn user_of(conn: &mut Conn, claim: &Claim) -> Result<Option<AccountId>, Fault> {
    let (condition, values) = keys([claim]);
    let question = format!("SELECT user_id FROM mb_claims WHERE {condition}");
    one(conn, KIND, &question, values, Columns::account).await
}

/// Claims what an account shall hold, and lets go what it held before and shall not. What another live account has at the
/// shop is a conflict, whether or not it is claimed. `settled` says that all it holds was claimed when it was last written.
pub(super) async fn settle(
    conn: &mut Conn,
    tables: &Tables,
    before: Option<&Account>,
    account: &Account,
    settled: bool,
) -> Result<(), Rejection> {
    let (held, holds) = (before.map(Claim::of).unwrap_or_default(), Claim::of(account));
    let freed: Vec<_> = held.difference(&holds).collect();
    if !freed.is_empty() {
        let_go(conn, account.id, &freed).await?;
    }
    let taken: BTreeSet<_> = holds.difference(&held).collect();
    let wanted: Vec<_> = holds.iter().filter(|claim| !settled || taken.contains(claim)).collect();
    if wanted.is_empty() {
        return Ok(());
    }
    let of_others = claim(conn, account.id, &wanted).await?;
    for claim in &taken {
        let other = of_others.iter().find(|(key, _)| *key == claim.key()).map(|(_, user)| *user);
        nobody_else_has(conn, tables, account.id, claim, other).await?;
    }
    let stale: Vec<_> =
        taken.into_iter().filter(|claim| of_others.iter().any(|(key, _)| *key == claim.key())).collect();
    if !stale.is_empty() {
        take_over(conn, account.id, &stale).await?;
    }
    Ok(())
}

async fn let_go(conn: &mut Conn, user: AccountId, freed: &[&Claim]) -> Result<(), Rejection> {
    let (condition, mut values) = keys(freed.iter().copied());
    let statement = format!("DELETE FROM mb_claims WHERE ({condition}) AND user_id = ?");
    values.push(user.get().into());
    execute(conn, &statement, values).await.map(|_| ())
}

/// A claim's key in `mb_claims`: its kind, and what is claimed.
pub(crate) type Key = (u8, Vec<u8>);

/// A claim's key, and whose it is.
pub(crate) type Claimed = (Key, AccountId);

fn claimed(columns: &mut Columns) -> Result<Claimed, Fault> {
    Ok(((columns.take()?, columns.take()?), columns.account()?))
}

/// Claims what nobody has claimed, and locks all of it; answers what others have claimed.
async fn claim(conn: &mut Conn, user: AccountId, wanted: &[&Claim]) -> Result<Vec<Claimed>, Rejection> {
    let mut values = Vec::new();
    for (kind, value) in wanted.iter().map(|claim| claim.key()) {
        values.extend([Value::from(kind), Value::from(value), user.get().into()]);
    }
    let places = vec!["(?, ?, ?)"; wanted.len()].join(", ");
    let statement = format!("INSERT IGNORE INTO mb_claims (kind, value, user_id) VALUES {places}");
    if usize::try_from(execute(conn, &statement, values).await?).ok() == Some(wanted.len()) {
        return Ok(Vec::new());
    }
    let (condition, mut values) = keys(wanted.iter().copied());
    let question =
        format!("SELECT kind, value, user_id FROM mb_claims WHERE ({condition}) AND user_id <> ? FOR UPDATE");
    values.push(user.get().into());
    Ok(all(conn, KIND, &question, values, claimed).await?)
}

/// That no other live account has it at the shop, by a locking read of the shop's rows. `claimed` is who claimed it.
async fn nobody_else_has(
    conn: &mut Conn,
    tables: &Tables,
    user: AccountId,
    claim: &Claim,
    claimed: Option<AccountId>,
) -> Result<(), Rejection> {
    let wanted = match (Wanted::holders(tables, claim), claim) {
        (Some(wanted), _) => wanted,
        (None, Claim::MemberCode(code)) => {
            let others: Vec<_> = ids_in(code).into_iter().chain(claimed).filter(|other| *other != user).collect();
            if others.is_empty() {
                return Ok(());
            }
            Wanted::ids(tables, &others)
        }
        (None, _) => return Ok(()),
    };
    let asking = if let Claim::Identity(identity) = claim { Some((identity.platform, &identity.app)) } else { None };
    let found = find(conn, tables, wanted, Locking::ForUpdate).await?;
    let mut others = found.iter().filter(|stored| stored.id != user);
    if others.any(|other| claim.is_held_by(&other.account(asking))) { Err(Rejection::Conflict) } else { Ok(()) }
}

/// Takes claims whose accounts no longer have what they claimed.
async fn take_over(conn: &mut Conn, user: AccountId, stale: &[&Claim]) -> Result<(), Rejection> {
    let (condition, values) = keys(stale.iter().copied());
    let statement = format!("UPDATE mb_claims SET user_id = ? WHERE {condition}");
    let values = [user.get().into()].into_iter().chain(values).collect();
    execute(conn, &statement, values).await.map(|_| ())
}

/// What users have claimed.
pub(super) async fn of_users(conn: &mut Conn, users: &[AccountId]) -> Result<Vec<Claimed>, Fault> {
    let places = vec!["?"; users.len()].join(", ");
    let question = format!("SELECT kind, value, user_id FROM mb_claims WHERE user_id IN ({places})");
    all(conn, KIND, &question, users.iter().map(|user| user.get().into()).collect(), claimed).await
}

/// A page of claims, in the order of their keys.
pub(crate) async fn page(conn: &mut Conn, after: Option<Key>, limit: usize) -> Result<Vec<Claimed>, Fault> {
    let (kind, value) = after.unwrap_or_default();
    let question = "SELECT kind, value, user_id FROM mb_claims WHERE kind > ? OR (kind = ? AND value > ?) \
         ORDER BY kind, value LIMIT ?";
    let values = vec![kind.into(), kind.into(), value.into(), limited(limit)];
    all(conn, KIND, question, values, claimed).await
}

#[cfg(test)]
mod tests {
    use mobile_bind_domain::{AccountId, AppId, Identity, MemberCode, Mobile, OpenId, Platform, UnionId};

    use super::{Claim, ids_in};

    fn identity(app: &str, openid: &str) -> Claim {
        let (platform, app) = (Platform::Weixin, AppId::new(app).unwrap());
        Claim::Identity(Identity { platform, app, openid: OpenId::new(openid).unwrap() })
    }

    #[test]
    fn a_code_may_be_of_whoever_it_ends_in() {
        let ids = |code: &str| -> Vec<u64> {
            ids_in(&MemberCode::new(code).unwrap()).into_iter().map(AccountId::get).collect()
        };
        assert_eq!(ids("88880000000012"), [2, 12]);
        assert!(ids("88887730500012").contains(&12) && ids("88887730500012").contains(&500_012));
        assert_eq!(ids("0"), Vec::<u64>::new());
    }

    #[test]
    fn keys_do_not_run_together() {
        assert_ne!(identity("wx", "1o").key(), identity("wx1", "o").key());
        let unionid = |platform| Claim::UnionId(platform, UnionId::new("u").unwrap());
        assert_ne!(unionid(Platform::Weixin).key(), unionid(Platform::Qq).key());
        assert_ne!(identity("", "17602128368").key().0, Claim::Mobile(Mobile::restore("17602128368").unwrap()).key().0);
    }
}
