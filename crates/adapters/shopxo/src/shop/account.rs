//! Accounts, as the shop has them: read with all that belongs to them in one question, and written where nothing has changed
//! since.

use mobile_bind_domain::referrer::ReferrerName;
use mobile_bind_domain::{
    Account, AccountId, AppId, Identity, MemberCode, Mobile, Platform, Revision, UnionId, Versioned,
};
use mysql_async::prelude::Queryable;
use mysql_async::{Conn, Params, Row, Value};

use super::claims::{self, Claim};
use super::columns::{ShopColumns, USER, names};
use super::companion::{COMPANION, Companion};
use super::fingerprint;
use crate::fault::{Fault, Rejection};
use crate::records::{Columns, execute, limited};
use crate::tables::Tables;

const KIND: &str = "account";

/// Who has what belongs to one live account alone.
pub(crate) enum Holder {
    Nobody,
    One(Box<Versioned<Account>>),
    /// The shop gave it to several.
    Several(Vec<AccountId>),
}

/// An account's rows.
pub(super) struct Stored {
    pub(super) id: AccountId,
    columns: ShopColumns,
    companion: Option<Companion>,
    /// The `platform` of each row of `user_platform` that the account has.
    platforms: Vec<String>,
}

impl Stored {
    pub(super) fn account(&self, asking: Option<(Platform, &AppId)>) -> Account {
        self.columns.account(self.id, self.companion.as_ref(), asking)
    }

    fn revision(&self) -> Revision {
        fingerprint::revision(&self.columns, self.companion.as_ref())
    }

    fn versioned(&self, asking: Option<(Platform, &AppId)>) -> Versioned<Account> {
        Versioned { revision: self.revision(), value: self.account(asking) }
    }

    /// Whether nobody but mobile-bind has written the account since mobile-bind did.
    pub(super) fn is_as_written(&self) -> bool {
        self.companion.as_ref().is_some_and(|companion| companion.revision == self.revision())
    }

    /// The app that the openid on a platform is of, as far as that is known.
    pub(super) fn app(&self, platform: Platform) -> Option<&AppId> {
        self.companion.as_ref()?.apps.get(&platform)
    }

    fn has_platform(&self, name: &str) -> bool {
        self.platforms.iter().any(|platform| platform.eq_ignore_ascii_case(name))
    }
}

/// What a question for accounts looks for.
pub(super) struct Wanted {
    /// What stands before `LEFT JOIN`, with `u` for the row of `user`.
    from: String,
    condition: String,
    values: Vec<Value>,
}

impl Wanted {
    pub(super) fn ids(tables: &Tables, ids: &[AccountId]) -> Self {
        let places = vec!["?"; ids.len()].join(", ");
        Self {
            from: format!("{} u", tables.user()),
            condition: format!("u.id IN ({places})"),
            values: ids.iter().map(|id| id.get().into()).collect(),
        }
    }

    fn page(tables: &Tables, after: Option<AccountId>, limit: usize) -> Self {
        let user = tables.user();
        Self {
            from: format!(
                "(SELECT id FROM {user} WHERE id > ? ORDER BY id LIMIT ?) page JOIN {user} u ON u.id = page.id"
            ),
            condition: "TRUE".to_owned(),
            values: vec![after.map_or(0, AccountId::get).into(), limited(limit)],
        }
    }

    /// The live accounts that may have it: the shop's collation knows no letter case.
    pub(super) fn holders(tables: &Tables, claim: &Claim) -> Option<Self> {
        const LIVE: &str = "u.is_delete_time = 0 AND u.is_logout_time = 0";
        let by_column = |platform: Platform, column: &str, text: &str| Self {
            from: format!("{} q JOIN {} u ON u.id = q.user_id", tables.user_platform(), tables.user()),
            condition: format!("q.{column} = ? AND q.system_type = 'default' AND q.platform = ? AND {LIVE}"),
            values: vec![text.into(), platform.name().into()],
        };
        match claim {
            Claim::Mobile(mobile) => Some(Self {
                from: format!("{} u", tables.user()),
                condition: format!("u.mobile = ? AND {LIVE}"),
                values: vec![mobile.as_str().into()],
            }),
            Claim::Identity(identity) => {
                Some(by_column(identity.platform, names(identity.platform).0, identity.openid.as_str()))
            }
            Claim::UnionId(platform, unionid) => {
                names(*platform).1.map(|column| by_column(*platform, column, unionid.as_str()))
            }
            // The shop has no index for it.
            Claim::MemberCode(_) => None,
        }
    }
}

/// Whether rows are only read, or locked until the transaction ends.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Locking {
    None,
    ForUpdate,
}

/// The accounts that are wanted, in the order of their ids.
pub(super) async fn find(
    conn: &mut Conn,
    tables: &Tables,
    wanted: Wanted,
    locking: Locking,
) -> Result<Vec<Stored>, Fault> {
    let Wanted { from, condition, values } = wanted;
    let columns: Vec<String> = Platform::ALL.into_iter().map(columns_of).collect();
    let lock = if locking == Locking::ForUpdate { "FOR UPDATE" } else { "" };
    let question = format!(
        "SELECT u.id, {USER}, {COMPANION}, p.platform, p.weixin_web_openid, {} FROM {from} \
         LEFT JOIN mb_accounts a ON a.user_id = u.id \
         LEFT JOIN {} p ON p.user_id = u.id AND p.system_type = 'default' \
         WHERE {condition} ORDER BY u.id, p.id {lock}",
        columns.join(", "),
        tables.user_platform(),
    );
    let rows: Vec<Row> = conn.exec(question, Params::Positional(values)).await?;
    let mut found: Vec<Stored> = Vec::new();
    for row in rows {
        read(&mut found, &mut Columns::new(KIND, row))?;
    }
    Ok(found)
}

fn columns_of(platform: Platform) -> String {
    let (openid, unionid) = names(platform);
    let unionid = unionid.map(|column| format!(", p.{column}")).unwrap_or_default();
    format!("p.{openid}{unionid}")
}

/// Reads a row: a user with one of its platforms, or with none.
fn read(found: &mut Vec<Stored>, cells: &mut Columns) -> Result<(), Fault> {
    let id = cells.account()?;
    let columns = ShopColumns::read(cells)?;
    let companion = Companion::read(cells)?;
    if found.last().is_none_or(|last| last.id != id) {
        found.push(Stored { id, columns, companion, platforms: Vec::new() });
    }
    let stored = found.last_mut().ok_or(Fault::Unreadable(KIND))?;
    let Some(name) = cells.take::<Option<String>>()? else { return Ok(()) };
    let web_openid = cells.take()?;
    if stored.columns.weixin_web_openid.is_empty() {
        stored.columns.weixin_web_openid = web_openid;
    }
    for platform in Platform::ALL {
        let openid: String = cells.take()?;
        let unionid = if platform.unionid_parameter().is_some() { cells.take()? } else { String::new() };
        if !name.eq_ignore_ascii_case(platform.name()) || (openid.is_empty() && unionid.is_empty()) {
            continue;
        }
        // The shop may have two rows of a platform: the first that says something counts.
        let known = stored.columns.identities.entry(platform).or_default();
        for (known, text) in [(&mut known.0, openid), (&mut known.1, unionid)] {
            if known.is_empty() {
                *known = text;
            }
        }
    }
    stored.platforms.push(name);
    Ok(())
}

/// One account, live or not.
pub(crate) async fn by_id(
    conn: &mut Conn,
    tables: &Tables,
    id: AccountId,
) -> Result<Option<Versioned<Account>>, Fault> {
    let found = find(conn, tables, Wanted::ids(tables, &[id]), Locking::None).await?;
    Ok(found.first().map(|stored| stored.versioned(None)))
}

/// Several accounts, live or not, in the order of their ids.
pub(crate) async fn by_ids(
    conn: &mut Conn,
    tables: &Tables,
    ids: &[AccountId],
) -> Result<Vec<Versioned<Account>>, Fault> {
    if ids.is_empty() {
        return Ok(Vec::new());
    }
    let found = find(conn, tables, Wanted::ids(tables, ids), Locking::None).await?;
    Ok(found.iter().map(|stored| stored.versioned(None)).collect())
}

/// At most `limit` accounts after the id `after`, in the order of their ids.
pub(crate) async fn page(
    conn: &mut Conn,
    tables: &Tables,
    after: Option<AccountId>,
    limit: usize,
) -> Result<Vec<Versioned<Account>>, Fault> {
    let found = find(conn, tables, Wanted::page(tables, after, limit), Locking::None).await?;
    Ok(found.iter().map(|stored| stored.versioned(None)).collect())
}

/// Who holds a number.
pub(crate) async fn holder_of_mobile(conn: &mut Conn, tables: &Tables, mobile: &Mobile) -> Result<Holder, Fault> {
    holder(conn, tables, &Claim::Mobile(mobile.clone()), None).await
}

/// Who holds an openid. One whose app is not known belongs to the app that asks.
pub(crate) async fn holder_of_identity(conn: &mut Conn, tables: &Tables, identity: &Identity) -> Result<Holder, Fault> {
    let asking = Some((identity.platform, &identity.app));
    holder(conn, tables, &Claim::Identity(identity.clone()), asking).await
}

/// Who holds a unionid.
pub(crate) async fn holder_of_unionid(
    conn: &mut Conn,
    tables: &Tables,
    platform: Platform,
    unionid: &UnionId,
) -> Result<Holder, Fault> {
    holder(conn, tables, &Claim::UnionId(platform, unionid.clone()), None).await
}

async fn holder(
    conn: &mut Conn,
    tables: &Tables,
    claim: &Claim,
    asking: Option<(Platform, &AppId)>,
) -> Result<Holder, Fault> {
    let Some(wanted) = Wanted::holders(tables, claim) else { return Ok(Holder::Nobody) };
    let found = find(conn, tables, wanted, Locking::None).await?;
    let mut holders =
        found.iter().map(|stored| stored.versioned(asking)).filter(|found| claim.is_held_by(&found.value));
    let Some(first) = holders.next() else { return Ok(Holder::Nobody) };
    let others: Vec<AccountId> = holders.map(|holder| holder.value.id).collect();
    if others.is_empty() {
        return Ok(Holder::One(Box::new(first)));
    }
    Ok(Holder::Several([first.value.id].into_iter().chain(others).collect()))
}

/// The live account that is named as the referrer; none where several are.
pub(crate) async fn referrer(conn: &mut Conn, tables: &Tables, name: &ReferrerName) -> Result<Option<Account>, Fault> {
    let found = match name {
        ReferrerName::Id(id) => by_id(conn, tables, *id).await?,
        ReferrerName::Mobile(mobile) => match holder_of_mobile(conn, tables, mobile).await? {
            Holder::One(holder) => Some(*holder),
            Holder::Nobody | Holder::Several(_) => None,
        },
        ReferrerName::Code(code) => by_code(conn, tables, code).await?,
    };
    Ok(found.map(|found| found.value).filter(Account::is_live))
}

/// By the id that the shop's codes end in, or by the claim: the shop has no index for codes.
async fn by_code(conn: &mut Conn, tables: &Tables, code: &MemberCode) -> Result<Option<Versioned<Account>>, Fault> {
    let claim = Claim::MemberCode(code.clone());
    let claimed = claims::user_of(conn, &claim).await?;
    let ids: Vec<_> = claims::ids_in(code).into_iter().chain(claimed).collect();
    let mut found = by_ids(conn, tables, &ids).await?;
    found.retain(|found| claim.is_held_by(&found.value));
    Ok(if found.len() == 1 { found.pop() } else { None })
}

async fn locked(conn: &mut Conn, tables: &Tables, id: AccountId) -> Result<Option<Stored>, Fault> {
    Ok(find(conn, tables, Wanted::ids(tables, &[id]), Locking::ForUpdate).await?.pop())
}

fn holds(stored: Option<&Stored>, expected: Revision) -> Result<(), Rejection> {
    let found = stored.map_or(Revision::ABSENT, Stored::revision);
    if found == expected { Ok(()) } else { Err(Rejection::Conflict) }
}

/// That an account is as it was read, and stays so until the transaction ends.
pub(crate) async fn expect(
    conn: &mut Conn,
    tables: &Tables,
    id: AccountId,
    expected: Revision,
) -> Result<(), Rejection> {
    holds(locked(conn, tables, id).await?.as_ref(), expected)
}

/// Stores an account that is as it was read. It must be claimed by the same transaction what nobody else may have.
pub(crate) async fn write(
    conn: &mut Conn,
    tables: &Tables,
    expected: Revision,
    account: &Account,
    revision: Revision,
) -> Result<(), Rejection> {
    let stored = locked(conn, tables, account.id).await?;
    holds(stored.as_ref(), expected)?;
    let before = stored.as_ref().map(|stored| stored.account(None));
    let settled = stored.as_ref().is_some_and(Stored::is_as_written);
    claims::settle(conn, tables, before.as_ref(), account, settled).await?;
    let is_new = stored.is_none();
    let stored = stored.unwrap_or_else(|| Stored {
        id: account.id,
        columns: ShopColumns::default(),
        companion: None,
        platforms: Vec::new(),
    });
    let known = stored.account(None);
    let columns = stored.columns.saying(&known, account)?;
    write_user(conn, tables, is_new, &stored, &columns).await?;
    write_platforms(conn, tables, &stored, &columns, account).await?;
    let fingerprint = fingerprint::of(&columns);
    let companion = stored.companion.unwrap_or_default().of(&known, account, revision, fingerprint);
    companion.store(conn, account.id.get()).await
}

/// Writes the columns of `user` that differ. A new row has the shop's defaults in all others.
async fn write_user(
    conn: &mut Conn,
    tables: &Tables,
    is_new: bool,
    stored: &Stored,
    columns: &ShopColumns,
) -> Result<(), Rejection> {
    let (before, after) = (stored.columns.user(), columns.user());
    let differing = after.into_iter().zip(before).filter(|(after, before)| after != before).map(|(after, _)| after);
    let id = u32::try_from(stored.id.get()).map_err(|_| Fault::Unwritable("account id above the shop's"))?;
    let (names, mut values): (Vec<_>, Vec<_>) = differing.unzip();
    let statement = if is_new {
        let places = "?, ".repeat(names.len());
        let columns: String = names.iter().map(|name| format!("{name}, ")).collect();
        format!("INSERT INTO {} ({columns}id) VALUES ({places}?)", tables.user())
    } else if names.is_empty() {
        return Ok(());
    } else {
        format!("UPDATE {} SET {} WHERE id = ?", tables.user(), settings(&names))
    };
    values.push(id.into());
    execute(conn, &statement, values).await.map(|_| ())
}

fn settings(names: &[&str]) -> String {
    names.iter().map(|name| format!("{name} = ?")).collect::<Vec<_>>().join(", ")
}

async fn write_platforms(
    conn: &mut Conn,
    tables: &Tables,
    stored: &Stored,
    columns: &ShopColumns,
    account: &Account,
) -> Result<(), Rejection> {
    let mut rows: Vec<(&str, Vec<(&str, Value)>)> = Vec::new();
    for platform in Platform::ALL {
        let (before, after) = (stored.columns.platform(platform), columns.platform(platform));
        if before != after {
            rows.push((platform.name(), after));
        }
    }
    if stored.columns.weixin_web_openid != columns.weixin_web_openid {
        rows.push(("pc", vec![("weixin_web_openid", columns.weixin_web_openid.as_str().into())]));
    }
    let at = account.updated_at.unwrap_or(account.added_at).as_seconds();
    for (name, cells) in rows {
        let (names, mut values): (Vec<_>, Vec<_>) = cells.into_iter().unzip();
        values.extend([at.into(), account.id.get().into(), name.into()]);
        let statement = if stored.has_platform(name) {
            format!(
                "UPDATE {} SET {}, upd_time = ? WHERE user_id = ? AND platform = ? AND system_type = 'default'",
                tables.user_platform(),
                settings(&names)
            )
        } else {
            format!(
                "INSERT INTO {} ({}, add_time, user_id, platform, system_type) VALUES ({}?, ?, ?, 'default')",
                tables.user_platform(),
                names.join(", "),
                "?, ".repeat(names.len())
            )
        };
        execute(conn, &statement, values).await?;
    }
    Ok(())
}
