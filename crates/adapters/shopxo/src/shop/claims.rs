//! What belongs to one live account alone: numbers, openids, unionids, member codes. The shop has no unique index for any of
//! them, so each is claimed in `mb_claims`, which has one. A claim says that mobile-bind gave it to that account; whether the
//! account still has it, the shop's own rows say.

use std::collections::{BTreeMap, BTreeSet};

use mobile_bind_domain::{Account, AccountId, AppId, Identity, MemberCode, Mobile, Platform, UnionId};
use mysql_async::{Conn, Value};

use super::account::{Locking, Wanted, find};
use crate::fault::{Fault, Rejection};
use crate::question::{Asked, Column, Kind, Question};
use crate::records::{Columns, all, all_of, execute, in_parts, insert, limited, repeated};
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
    pub(crate) fn of(account: &Account) -> BTreeSet<Self> {
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

    /// The app that asks for it: an openid whose app is not known belongs to whichever does.
    pub(super) fn asking(&self) -> Option<(Platform, &AppId)> {
        if let Self::Identity(identity) = self { Some((identity.platform, &identity.app)) } else { None }
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

/// The accounts that a member code may be of: the shop's end in the id, and other digits are before it.
pub(super) fn ids_in(code: &MemberCode) -> BTreeSet<AccountId> {
    let digits = code.as_str();
    let tails = digits.char_indices().filter_map(|(start, _)| digits.get(start..));
    tails.filter_map(|tail| tail.parse().ok().and_then(AccountId::new)).collect()
}

static USER: Kind<AccountId> =
    Kind { name: KIND, columns: &[Column::Number("user_id")], take: |columns| columns.account() };

/// Asks for the account that claimed it, whether or not it has it still.
pub(super) fn ask_user_of(question: &mut Question, claim: &Claim) -> Asked<AccountId> {
    let (kind, value) = claim.key();
    question.add(&USER, "mb_claims WHERE kind = ? AND value = ?", vec![kind.into(), value.into()])
}

/// What an account holds, and what it shall hold.
pub(super) struct Settlement {
    pub(super) user: AccountId,
    held: BTreeSet<Claim>,
    holds: BTreeSet<Claim>,
    /// Whether all that it holds was claimed when it was last written.
    settled: bool,
}

impl Settlement {
    pub(super) fn new(before: Option<&Account>, account: &Account, settled: bool) -> Self {
        let (held, holds) = (before.map(Claim::of).unwrap_or_default(), Claim::of(account));
        Self { user: account.id, held, holds, settled }
    }

    fn freed(&self) -> impl Iterator<Item = Claimed> {
        self.held.difference(&self.holds).map(|claim| (claim.key(), self.user))
    }

    fn taken(&self) -> impl Iterator<Item = (&Claim, AccountId)> {
        self.holds.difference(&self.held).map(|claim| (claim, self.user))
    }

    /// Whether it shall hold what is claimed; an openid whose app is not known belongs to any.
    fn keeps(&self, claim: &Claim) -> bool {
        let of_any = |identity: &Identity| Identity { app: AppId::default(), ..identity.clone() };
        self.holds.contains(claim)
            || matches!(claim, Claim::Identity(identity) if self.holds.contains(&Claim::Identity(of_any(identity))))
    }

    fn wanted(&self) -> impl Iterator<Item = Claimed> {
        let known = |claim: &&Claim| self.settled && self.held.contains(*claim);
        self.holds.iter().filter(move |claim| !known(claim)).map(|claim| (claim.key(), self.user))
    }
}

/// Claims what accounts shall hold, and lets go what they held before and shall not. What another live account has at the
/// shop is a conflict, whether or not it is claimed.
pub(super) async fn settle(conn: &mut Conn, tables: &Tables, accounts: &[Settlement]) -> Result<(), Rejection> {
    let_go(conn, accounts.iter().flat_map(Settlement::freed).collect()).await?;
    let mut wanted = BTreeMap::new();
    for (key, user) in accounts.iter().flat_map(Settlement::wanted) {
        if wanted.insert(key, user).is_some() {
            return Err(Rejection::Conflict);
        }
    }
    let of_others = claim(conn, wanted).await?;
    nobody_else_has(conn, tables, accounts, &of_others).await?;
    let taken = accounts.iter().flat_map(Settlement::taken);
    let stale = taken.map(|(claim, user)| (claim.key(), user));
    take_over(conn, stale.filter(|(key, _)| of_others.contains_key(key)).collect()).await
}

fn rows(claimed: impl IntoIterator<Item = Claimed>) -> Vec<Vec<Value>> {
    claimed.into_iter().map(|((kind, value), user)| vec![kind.into(), value.into(), user.get().into()]).collect()
}

async fn let_go(conn: &mut Conn, freed: BTreeSet<Claimed>) -> Result<(), Rejection> {
    for freed in in_parts(&rows(freed)) {
        let condition = repeated("(kind = ? AND value = ? AND user_id = ?)", freed.len(), " OR ");
        execute(conn, &format!("DELETE FROM mb_claims WHERE {condition}"), freed.concat()).await?;
    }
    Ok(())
}

/// A claim's key in `mb_claims`: its kind, and what is claimed.
pub(crate) type Key = (u8, Vec<u8>);

/// A claim's key, and whose it is.
pub(crate) type Claimed = (Key, AccountId);

fn claimed(columns: &mut Columns) -> Result<Claimed, Fault> {
    Ok(((columns.take()?, columns.take()?), columns.account()?))
}

/// Claims what nobody has claimed, and locks all of it; answers what others have claimed. All transactions claim in the order
/// of the keys.
async fn claim(conn: &mut Conn, wanted: BTreeMap<Key, AccountId>) -> Result<BTreeMap<Key, AccountId>, Rejection> {
    let claims = rows(wanted.iter().map(|(key, user)| (key.clone(), *user)));
    let claimed_now = insert(conn, "INSERT IGNORE INTO mb_claims (kind, value, user_id)", &claims, "").await?;
    if usize::try_from(claimed_now).ok() == Some(claims.len()) {
        return Ok(BTreeMap::new());
    }
    let question = |condition: &str| {
        format!("SELECT kind, value, user_id FROM mb_claims FORCE INDEX (PRIMARY) WHERE {condition} FOR UPDATE")
    };
    let keys: Vec<_> = wanted.keys().map(|(kind, value)| vec![(*kind).into(), value.clone().into()]).collect();
    let mut found: BTreeMap<_, _> =
        all_of(conn, KIND, question, "(kind = ? AND value = ?)", &keys, claimed).await?.into_iter().collect();
    found.retain(|key, user| wanted.get(key) != Some(user));
    Ok(found)
}

/// That no other live account has what is taken at the shop. What those have that are about to be written is what they shall
/// hold. `claimed` is who claimed it.
///
/// What mobile-bind writes is behind the claims, which are locked by now, so each of these reads sees all that it has
/// committed. The shop's rows are not locked: they are found by an openid, and the shop locks the same rows by their user, so
/// each would wait for the other, and the database would end the shop's statement, which has done less.
async fn nobody_else_has(
    conn: &mut Conn,
    tables: &Tables,
    accounts: &[Settlement],
    claimed: &BTreeMap<Key, AccountId>,
) -> Result<(), Rejection> {
    let taken: Vec<_> = accounts.iter().flat_map(Settlement::taken).collect();
    let mut wanted = Wanted::holders(tables, taken.iter().map(|(claim, _)| *claim));
    let mut by_code: BTreeSet<AccountId> = BTreeSet::new();
    for (claim, user) in &taken {
        if let Claim::MemberCode(code) = claim {
            let others = ids_in(code).into_iter().chain(claimed.get(&claim.key()).copied());
            by_code.extend(others.filter(|other| other != user));
        }
    }
    let by_code: Vec<_> = by_code.into_iter().collect();
    wanted.extend(Wanted::ids_in_parts(tables, &by_code));
    for wanted in wanted {
        let found = find(conn, tables, wanted, Locking::None).await?;
        for stored in &found {
            let written = accounts.iter().find(|account| account.user == stored.id);
            let has = |claim: &Claim| match written {
                Some(written) => written.keeps(claim),
                None => claim.is_held_by(&stored.account(claim.asking())),
            };
            if taken.iter().any(|(claim, user)| stored.id != *user && has(claim)) {
                return Err(Rejection::Conflict);
            }
        }
    }
    Ok(())
}

/// Takes claims whose accounts no longer have what they claimed.
async fn take_over(conn: &mut Conn, stale: BTreeSet<Claimed>) -> Result<(), Rejection> {
    let into = "INSERT INTO mb_claims (kind, value, user_id)";
    insert(conn, into, &rows(stale), "ON DUPLICATE KEY UPDATE user_id = VALUES(user_id)").await.map(|_| ())
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
