//! Accounts, as the shop has them: read with all that belongs to them in one question.

use std::collections::{BTreeMap, BTreeSet};

use mobile_bind_domain::referrer::ReferrerName;
use mobile_bind_domain::{Account, AccountId, AppId, Identity, Mobile, Platform, Revision, Versioned};
use mysql_async::prelude::Queryable;
use mysql_async::{Conn, Params, Row, Value};

use super::claims::{self, Claim};
use super::columns::{ShopColumns, USER, names};
use super::companion::{COMPANION, Companion};
use super::fingerprint;
use crate::fault::Fault;
use crate::question::{Answer, Asked, Column, Kind, Question};
use crate::records::{Columns, in_parts, limited, repeated};
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
    pub(super) columns: ShopColumns,
    pub(super) companion: Option<Companion>,
    /// The account's rows of `user_platform`, in the order of their ids.
    platforms: Vec<PlatformRow>,
}

/// A row of `user_platform`.
pub(super) struct PlatformRow {
    pub(super) id: u64,
    pub(super) platform: String,
    pub(super) token: String,
}

impl Stored {
    /// Of an account that is not there.
    pub(super) fn nothing(id: AccountId) -> Self {
        Self { id, columns: ShopColumns::default(), companion: None, platforms: Vec::new() }
    }

    pub(super) fn account(&self, asking: Option<(Platform, &AppId)>) -> Account {
        self.columns.account(self.id, self.companion.as_ref(), asking)
    }

    pub(super) fn revision(&self) -> Revision {
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

    /// The rows of a platform, of which the shop may have several.
    pub(super) fn platform(&self, name: &str) -> impl Iterator<Item = &PlatformRow> {
        self.platforms.iter().filter(move |row| row.platform.eq_ignore_ascii_case(name))
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
            // However few users there are: the others' rows are not waited for.
            from: format!("{} u FORCE INDEX (PRIMARY)", tables.user()),
            condition: format!("u.id IN ({places})"),
            values: ids.iter().map(|id| id.get().into()).collect(),
        }
    }

    /// The same, with few texts for any number.
    pub(super) fn ids_in_parts(tables: &Tables, ids: &[AccountId]) -> Vec<Self> {
        in_parts(ids).map(|part| Self::ids(tables, part)).collect()
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

    /// The live accounts that may have one of these, where the shop has indexes for them: its collation knows no letter case.
    pub(super) fn holders<'a>(tables: &Tables, claims: impl IntoIterator<Item = &'a Claim>) -> Vec<Self> {
        const LIVE: &str = "u.is_delete_time = 0 AND u.is_logout_time = 0";
        let mut texts: BTreeMap<(Option<Platform>, &str), Vec<Vec<Value>>> = BTreeMap::new();
        for claim in claims {
            let (platform, column, text) = match claim {
                Claim::Mobile(mobile) => (None, "mobile", mobile.as_str()),
                Claim::Identity(Identity { platform, openid, .. }) => {
                    (Some(*platform), names(*platform).0, openid.as_str())
                }
                Claim::UnionId(platform, unionid) => match names(*platform).1 {
                    Some(column) => (Some(*platform), column, unionid.as_str()),
                    None => continue,
                },
                Claim::MemberCode(_) => continue,
            };
            texts.entry((platform, column)).or_default().push(vec![text.into()]);
        }
        let wanted = |(platform, column): (Option<Platform>, &str), part: &[Vec<Value>]| {
            let (places, mut values) = (repeated("?", part.len(), ", "), part.concat());
            let Some(platform) = platform else {
                let (from, condition) =
                    (format!("{} u", tables.user()), format!("u.{column} IN ({places}) AND {LIVE}"));
                return Self { from, condition, values };
            };
            values.push(platform.name().into());
            Self {
                from: format!("{} q JOIN {} u ON u.id = q.user_id", tables.user_platform(), tables.user()),
                condition: format!(
                    "q.{column} IN ({places}) AND q.system_type = 'default' AND q.platform = ? AND {LIVE}"
                ),
                values,
            }
        };
        texts.iter().flat_map(|(&by, texts)| in_parts(texts).map(move |part| wanted(by, part))).collect()
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
        "SELECT u.id, {USER}, {COMPANION}, p.platform, p.id, p.token, p.weixin_web_openid, {} FROM {from} \
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
        found.push(Stored { columns, companion, ..Stored::nothing(id) });
    }
    let stored = found.last_mut().ok_or(Fault::Unreadable(KIND))?;
    let Some(name) = cells.take::<Option<String>>()? else { return Ok(()) };
    let (row, token) = (cells.take()?, cells.take()?);
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
    stored.platforms.push(PlatformRow { id: row, platform: name, token });
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
    let found = read_all(conn, tables, &ids.iter().copied().collect()).await?;
    Ok(found.0.iter().map(|stored| stored.versioned(None)).collect())
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

/// Accounts that were read at one moment.
pub(crate) struct Accounts(Vec<Stored>);

/// Several accounts, live or not.
pub(crate) async fn read_all(conn: &mut Conn, tables: &Tables, ids: &BTreeSet<AccountId>) -> Result<Accounts, Fault> {
    let ids: Vec<AccountId> = ids.iter().copied().collect();
    let mut read = Vec::new();
    for wanted in Wanted::ids_in_parts(tables, &ids) {
        read.extend(find(conn, tables, wanted, Locking::None).await?);
    }
    Ok(Accounts(read))
}

impl Accounts {
    pub(crate) fn get(&self, id: AccountId) -> Option<Versioned<Account>> {
        self.0.iter().find(|stored| stored.id == id).map(|stored| stored.versioned(None))
    }

    /// Who of them holds what belongs to one alone.
    pub(crate) fn holder(&self, claim: &Claim) -> Holder {
        let accounts = self.0.iter().map(|stored| stored.versioned(claim.asking()));
        let mut holders = accounts.filter(|found| claim.is_held_by(&found.value));
        let Some(first) = holders.next() else { return Holder::Nobody };
        let others: Vec<AccountId> = holders.map(|holder| holder.value.id).collect();
        if others.is_empty() {
            return Holder::One(Box::new(first));
        }
        Holder::Several([first.value.id].into_iter().chain(others).collect())
    }
}

static ID: Kind<AccountId> = Kind { name: KIND, columns: &[Column::Number("u.id")], take: |columns| columns.account() };

/// Asks for the ids of the live accounts that may have it; none of what the shop has no index for.
pub(crate) fn ask_holders(question: &mut Question, tables: &Tables, claim: &Claim) -> Option<Asked<AccountId>> {
    let Wanted { from, condition, values } = Wanted::holders(tables, [claim]).pop()?;
    Some(question.add(&ID, &format!("{from} WHERE {condition}"), values))
}

/// Who holds a number.
pub(crate) async fn holder_of_mobile(conn: &mut Conn, tables: &Tables, mobile: &Mobile) -> Result<Holder, Fault> {
    let claim = Claim::Mobile(mobile.clone());
    let Some(wanted) = Wanted::holders(tables, [&claim]).pop() else { return Ok(Holder::Nobody) };
    Ok(Accounts(find(conn, tables, wanted, Locking::None).await?).holder(&claim))
}

/// Who may be named as a referrer, as it is asked for.
pub(crate) struct AskedReferrer<'a> {
    name: &'a ReferrerName,
    found: Option<Asked<AccountId>>,
}

impl<'a> AskedReferrer<'a> {
    pub(crate) fn ask(question: &mut Question, tables: &Tables, name: &'a ReferrerName) -> Self {
        let found = match name {
            ReferrerName::Id(_) => None,
            ReferrerName::Mobile(mobile) => ask_holders(question, tables, &Claim::Mobile(mobile.clone())),
            ReferrerName::Code(code) => Some(claims::ask_user_of(question, &Claim::MemberCode(code.clone()))),
        };
        Self { name, found }
    }

    /// The accounts that it may be. A member code leads to one by the id that the shop's codes end in, or by the claim: the
    /// shop has no index for codes.
    pub(crate) fn ids(&self, answer: &Answer) -> Result<BTreeSet<AccountId>, Fault> {
        let mut ids = match self.name {
            ReferrerName::Id(id) => BTreeSet::from([*id]),
            ReferrerName::Mobile(_) => BTreeSet::new(),
            ReferrerName::Code(code) => claims::ids_in(code),
        };
        if let Some(found) = &self.found {
            ids.extend(answer.all(found)?);
        }
        Ok(ids)
    }
}

/// The live one of the accounts that is named as the referrer; none where several are.
pub(crate) fn referrer(accounts: &Accounts, name: &ReferrerName) -> Option<Account> {
    let named = match name {
        ReferrerName::Id(id) => return accounts.get(*id).map(|found| found.value).filter(Account::is_live),
        ReferrerName::Mobile(mobile) => Claim::Mobile(mobile.clone()),
        ReferrerName::Code(code) => Claim::MemberCode(code.clone()),
    };
    if let Holder::One(holder) = accounts.holder(&named) { Some(holder.value) } else { None }
}
