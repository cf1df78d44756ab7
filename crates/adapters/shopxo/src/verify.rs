//! Going through a shop's database: what is in it, what the shop gave to several accounts, and whether mobile-bind's tables
//! agree with the shop's.

use std::collections::{BTreeMap, BTreeSet};

use mobile_bind_domain::{AccountId, Platform};
use mysql_async::prelude::Queryable;
use mysql_async::{Conn, Value};

use crate::connect::{self, Held};
use crate::fault::{Fault, OpenError};
use crate::options::Options;
use crate::records::all;
use crate::schema;
use crate::shop::examination::Page;
use crate::shop::{claims, examination};
use crate::tables::Tables;

/// What a database holds, and what is wrong with it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Findings {
    /// The version of mobile-bind's tables.
    pub version: u64,
    /// How many rows each table has.
    pub rows: BTreeMap<String, u64>,
    /// How many bytes mobile-bind's own tables and their indexes take, as far as the server tells.
    pub bytes: u64,
    /// What the shop has given to several live accounts: each is refused until the shop has put that right.
    pub contested: Vec<ContestedBy>,
    /// What is wrong besides, and how often. Names kinds of records, never what is in them.
    pub problems: BTreeMap<&'static str, u64>,
    /// What is left of that the shop has since changed or deleted, and how often. It does no harm: a claim on what its account
    /// no longer has passes on to whoever takes it.
    pub leftovers: BTreeMap<&'static str, u64>,
}

/// Accounts that have one and the same thing.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct ContestedBy {
    /// `number`, or the shop's column.
    pub what: &'static str,
    /// Whose it is, in the order of their ids.
    pub accounts: Vec<AccountId>,
}

/// How many accounts, and claims, are read together.
const PAGE: usize = 1_024;

/// More accounts may have one number than the server's own limit lets it list.
const LONG_LISTS: &str = "SET SESSION group_concat_max_len = 1048576";

/// The shop had given it to another account too when it was written: the shop's row alone keeps it from others.
const UNCLAIMED: &str = "what an account holds is not claimed for it";

/// Looked for in one statement each.
const LEFTOVERS: [(&str, &str); 2] = [
    (
        "a companion row belongs to no user",
        "SELECT COUNT(*) FROM mb_accounts a LEFT JOIN {user} u ON u.id = a.user_id WHERE u.id IS NULL",
    ),
    (
        "a session's token is not the shop's any more",
        "SELECT COUNT(*) FROM mb_sessions s LEFT JOIN {platform} p ON p.token = LOWER(HEX(s.id)) AND p.user_id = s.user_id \
         WHERE p.id IS NULL",
    ),
];

/// Goes through a database, while nodes and the shop run or not; tells `progress` how many accounts it has read. Nothing is
/// mended.
///
/// # Errors
/// Where the database cannot be reached or read.
pub async fn verify(options: &Options, mut progress: impl FnMut(u64)) -> Result<Findings, OpenError> {
    let (pool, tables) = connect::pool(options)?;
    let mut held = Held::of(&pool).await?;
    let conn = held.conn()?;
    schema::check_shop(conn, &tables).await?;
    schema::check(conn).await?;
    let mut findings = Findings { version: schema::VERSION, ..Findings::default() };
    conn.query_drop(LONG_LISTS).await.map_err(Fault::from)?;
    count(conn, &tables, &mut findings).await?;
    go_through(conn, &tables, &mut findings, &mut progress).await?;
    stale_claims(conn, &tables, &mut findings).await?;
    findings.contested = contested(conn, &tables).await?;
    for (leftover, question) in LEFTOVERS {
        let question = question.replace("{user}", tables.user()).replace("{platform}", tables.user_platform());
        note(&mut findings.leftovers, leftover, number(conn, &question).await?);
    }
    Ok(findings)
}

async fn number(conn: &mut Conn, question: &str) -> Result<u64, Fault> {
    let found = all(conn, "count", question, Vec::new(), |columns| columns.take()).await?;
    found.first().copied().ok_or(Fault::Unreadable("count"))
}

fn note(notes: &mut BTreeMap<&'static str, u64>, what: &'static str, times: u64) {
    if times > 0 {
        *notes.entry(what).or_default() += times;
    }
}

async fn count(conn: &mut Conn, tables: &Tables, findings: &mut Findings) -> Result<(), Fault> {
    let own = "SELECT table_name, COALESCE(data_length + index_length, 0) FROM information_schema.tables
        WHERE table_schema = DATABASE() AND table_name LIKE 'mb\\_%' ORDER BY table_name";
    let own =
        all(conn, "table", own, Vec::new(), |columns| Ok((columns.take::<String>()?, columns.take::<u64>()?))).await?;
    findings.bytes = own.iter().map(|(_, bytes)| bytes).sum();
    let shops = [tables.user(), tables.user_platform()].map(|name| name.trim_matches('`').to_owned());
    for name in shops.into_iter().chain(own.into_iter().map(|(name, _)| name)) {
        let rows = number(conn, &format!("SELECT COUNT(*) FROM `{name}`")).await?;
        findings.rows.insert(name, rows);
    }
    Ok(())
}

/// Reads every account as the service does, and looks whether it has claimed what it holds.
async fn go_through(
    conn: &mut Conn,
    tables: &Tables,
    findings: &mut Findings,
    progress: &mut impl FnMut(u64),
) -> Result<(), Fault> {
    let (mut after, mut seen) = (None, 0);
    loop {
        let Page { ids, unreadable, unclaimed } = examination::page(conn, tables, after, PAGE).await?;
        let Some(last) = ids.last() else { return Ok(()) };
        note(&mut findings.problems, "an account cannot be read", unreadable);
        note(&mut findings.leftovers, UNCLAIMED, unclaimed);
        seen += u64::try_from(ids.len()).unwrap_or_default();
        after = Some(*last);
        progress(seen);
    }
}

/// Counts claims whose accounts no longer have what they claimed.
async fn stale_claims(conn: &mut Conn, tables: &Tables, findings: &mut Findings) -> Result<(), Fault> {
    let mut after = None;
    loop {
        let page = claims::page(conn, after, PAGE).await?;
        let Some((last, _)) = page.last() else { return Ok(()) };
        after = Some(last.clone());
        let users: BTreeSet<AccountId> = page.iter().map(|(_, user)| *user).collect();
        let users: Vec<AccountId> = users.into_iter().collect();
        let held = examination::held_by(conn, tables, &users).await?;
        let stale = page.iter().filter(|(key, user)| !held.get(user).is_some_and(|keys| keys.contains(key))).count();
        let stale = u64::try_from(stale).unwrap_or(u64::MAX);
        note(&mut findings.leftovers, "a claim's account no longer has what it claimed", stale);
    }
}

/// What several live accounts have, letter by letter.
async fn contested(conn: &mut Conn, tables: &Tables) -> Result<Vec<ContestedBy>, Fault> {
    let live = "u.is_delete_time = 0 AND u.is_logout_time = 0";
    let (user, platform_rows) = (tables.user(), tables.user_platform());
    let numbers = format!(
        "SELECT GROUP_CONCAT(u.id) FROM {user} u WHERE u.mobile <> '' AND {live} \
         GROUP BY BINARY u.mobile HAVING COUNT(*) > 1"
    );
    let mut found = by(conn, "number", &numbers, Vec::new()).await?;
    for platform in Platform::ALL {
        let columns = [Some(platform.openid_parameter()), platform.unionid_parameter()];
        for column in columns.into_iter().flatten() {
            let question = format!(
                "SELECT GROUP_CONCAT(DISTINCT u.id) FROM {platform_rows} p JOIN {user} u ON u.id = p.user_id \
                 WHERE p.{column} <> '' AND p.platform = ? AND p.system_type = 'default' AND {live} \
                 GROUP BY BINARY p.{column} HAVING COUNT(DISTINCT u.id) > 1"
            );
            let several = by(conn, column, &question, vec![platform.name().into()]).await?;
            for contested in several {
                // An openid of one app is no openid of another.
                if column != platform.openid_parameter()
                    || examination::share_an_app(conn, tables, platform, &contested.accounts).await?
                {
                    found.push(contested);
                }
            }
        }
    }
    found.sort();
    Ok(found)
}

async fn by(
    conn: &mut Conn,
    what: &'static str,
    question: &str,
    values: Vec<Value>,
) -> Result<Vec<ContestedBy>, Fault> {
    let lists = all(conn, "list of accounts", question, values, |columns| columns.take::<String>()).await?;
    let contested = |list: String| {
        let mut accounts: Vec<_> = list.split(',').filter_map(|id| id.parse().ok().and_then(AccountId::new)).collect();
        accounts.sort_unstable();
        ContestedBy { what, accounts }
    };
    Ok(lists.into_iter().map(contested).collect())
}
