//! What changes write of accounts and their sessions: any number at once, each where nothing has changed since it was read.

use std::collections::{BTreeMap, BTreeSet};

use mobile_bind_domain::{Account, AccountId, Platform, Revision, Session, Timestamp};
use mysql_async::{Conn, Value};

use super::account::{Locking, Stored, Wanted, find};
use super::claims::{self, Settlement};
use super::columns::ShopColumns;
use super::session::{self, EndedToken};
use super::{companion, fingerprint};
use crate::fault::{Fault, Rejection};
use crate::records::{execute, in_parts, insert, insert_new};
use crate::tables::Tables;
use crate::tokens;

/// An account as it shall be, the revision that was read of it, and the one that it gets.
pub(crate) struct Written<'a> {
    pub(crate) expected: Revision,
    pub(crate) account: &'a Account,
    pub(crate) revision: Revision,
}

/// Accounts that nobody else writes until the transaction ends; those that are not there, nobody has.
pub(crate) struct Locked(BTreeMap<AccountId, Stored>);

/// Locks accounts, in the order of their ids.
pub(crate) async fn lock(conn: &mut Conn, tables: &Tables, ids: BTreeSet<AccountId>) -> Result<Locked, Fault> {
    let ids: Vec<AccountId> = ids.into_iter().collect();
    let mut locked = BTreeMap::new();
    for part in in_parts(&ids) {
        let found = find(conn, tables, Wanted::ids(tables, part), Locking::ForUpdate).await?;
        locked.extend(found.into_iter().map(|stored| (stored.id, stored)));
    }
    Ok(Locked(locked))
}

impl Locked {
    /// That an account is as it was read.
    pub(crate) fn expect(&self, id: AccountId, expected: Revision) -> Result<(), Rejection> {
        let found = self.0.get(&id).map_or(Revision::ABSENT, Stored::revision);
        if found == expected { Ok(()) } else { Err(Rejection::Conflict) }
    }
}

/// Stores accounts that are as they were read, and sessions of accounts that are there; what an account had on the client type
/// of its session ends. All of the accounts are locked. Nobody else has what they shall hold.
pub(crate) async fn write(
    conn: &mut Conn,
    tables: &Tables,
    locked: &Locked,
    accounts: &[Written<'_>],
    opened: &[&Session],
) -> Result<Vec<EndedToken>, Rejection> {
    let mut rows = Rows::default();
    let mut settlements = Vec::with_capacity(accounts.len());
    for written in accounts {
        locked.expect(written.account.id, written.expected)?;
        settlements.push(rows.add_account(locked, written)?);
    }
    for session in opened {
        let is_written = accounts.iter().any(|written| written.account.id == session.account);
        if !is_written && !locked.0.contains_key(&session.account) {
            return Err(Rejection::Conflict);
        }
        rows.add_session(locked, session);
    }
    claims::settle(conn, tables, &settlements).await?;
    rows.store(conn, tables).await?;
    session::forget(conn, rows.ended.iter().filter_map(|ended| tokens::id_in(&ended.token))).await?;
    session::remember(conn, opened.iter().copied()).await?;
    Ok(rows.ended)
}

/// Columns and what shall stand in them.
type Cells = Vec<(&'static str, Value)>;

/// What shall stand in the tables.
#[derive(Default)]
struct Rows {
    new_users: Vec<Cells>,
    known_users: Vec<(AccountId, Cells)>,
    new_platforms: BTreeMap<(AccountId, &'static str), Cells>,
    /// By the ids of the rows.
    known_platforms: BTreeMap<u64, Cells>,
    companions: Vec<Vec<Value>>,
    ended: Vec<EndedToken>,
}

impl Rows {
    fn add_account(&mut self, locked: &Locked, written: &Written<'_>) -> Result<Settlement, Fault> {
        let &Written { account, revision, .. } = written;
        let absent = Stored::nothing(account.id);
        let found = locked.0.get(&account.id);
        let stored = found.unwrap_or(&absent);
        let known = stored.account(None);
        let columns = stored.columns.saying(&known, account)?;
        self.add_user(account.id, found.is_none(), &stored.columns, &columns)?;
        self.add_platforms(stored, &columns, account);
        let companion = stored.companion.clone().unwrap_or_default();
        let companion = companion.of(&known, account, revision, fingerprint::of(&columns));
        self.companions.push(companion.row(account.id));
        let before = found.map(|_| &known);
        Ok(Settlement::new(before, account, stored.is_as_written()))
    }

    /// The columns of `user` that differ. A new row has the shop's defaults in all others.
    fn add_user(
        &mut self,
        id: AccountId,
        is_new: bool,
        before: &ShopColumns,
        after: &ShopColumns,
    ) -> Result<(), Fault> {
        let differing = after.user().into_iter().zip(before.user()).filter(|(after, before)| after != before);
        let mut cells: Cells = differing.map(|(after, _)| after).collect();
        let number = u32::try_from(id.get()).map_err(|_| Fault::Unwritable("account id above the shop's"))?;
        if is_new {
            cells.push(("id", number.into()));
            self.new_users.push(cells);
        } else if !cells.is_empty() {
            self.known_users.push((id, cells));
        }
        Ok(())
    }

    fn add_platforms(&mut self, stored: &Stored, columns: &ShopColumns, account: &Account) {
        let at = account.updated_at.unwrap_or(account.added_at);
        for platform in Platform::ALL {
            let (before, after) = (stored.columns.platform(platform), columns.platform(platform));
            if before != after {
                self.add_platform(stored, platform.name(), after, at);
            }
        }
        let web_openid = columns.weixin_web_openid.as_str();
        if stored.columns.weixin_web_openid != web_openid {
            self.add_platform(stored, "pc", vec![("weixin_web_openid", web_openid.into())], at);
        }
    }

    fn add_session(&mut self, locked: &Locked, opened: &Session) {
        let absent = Stored::nothing(opened.account);
        let stored = locked.0.get(&opened.account).unwrap_or(&absent);
        let name = opened.client_type.name();
        let tokens = stored.platform(name).map(|row| row.token.as_str()).filter(|token| !token.is_empty());
        self.ended.extend(tokens.map(EndedToken::of_default));
        self.add_platform(stored, name, vec![("token", tokens::text_of(opened.id).into())], opened.issued_at);
    }

    /// Cells of all rows that an account has of a platform, or of a new one.
    fn add_platform(&mut self, stored: &Stored, name: &'static str, cells: Cells, at: Timestamp) {
        let mut is_new = true;
        for row in stored.platform(name) {
            is_new = false;
            let known = self.known_platforms.entry(row.id).or_insert_with(|| vec![("id", row.id.into())]);
            set(known, cells.iter().cloned());
            set(known, [("upd_time", at.as_seconds().into())]);
        }
        if !is_new {
            return;
        }
        let new = self.new_platforms.entry((stored.id, name)).or_default();
        let (time, id) = (if new.is_empty() { "add_time" } else { "upd_time" }, stored.id.get());
        set(new, [("user_id", id.into()), ("system_type", "default".into()), ("platform", name.into())]);
        set(new, cells.into_iter().chain([(time, at.as_seconds().into())]));
    }

    async fn store(&mut self, conn: &mut Conn, tables: &Tables) -> Result<(), Rejection> {
        let (user, user_platform) = (tables.user(), tables.user_platform());
        for (names, rows) in by_columns(std::mem::take(&mut self.new_users)) {
            insert_new(conn, &format!("INSERT INTO {user} ({})", names.join(", ")), &rows).await?;
        }
        for (id, cells) in std::mem::take(&mut self.known_users) {
            let (names, mut values): (Vec<_>, Vec<_>) = cells.into_iter().unzip();
            let settings: Vec<String> = names.iter().map(|name| format!("{name} = ?")).collect();
            values.push(id.get().into());
            execute(conn, &format!("UPDATE {user} SET {} WHERE id = ?", settings.join(", ")), values).await?;
        }
        for (names, rows) in by_columns(std::mem::take(&mut self.new_platforms).into_values()) {
            insert_new(conn, &format!("INSERT INTO {user_platform} ({})", names.join(", ")), &rows).await?;
        }
        // They are locked, so that each is there: one statement writes them all by their keys.
        for (names, rows) in by_columns(std::mem::take(&mut self.known_platforms).into_values()) {
            let settings = names.iter().filter(|name| **name != "id").map(|name| format!("{name} = VALUES({name})"));
            let settings: Vec<String> = settings.collect();
            let otherwise = format!("ON DUPLICATE KEY UPDATE {}", settings.join(", "));
            insert(conn, &format!("INSERT INTO {user_platform} ({})", names.join(", ")), &rows, &otherwise).await?;
        }
        companion::store(conn, &self.companions).await
    }
}

/// Puts cells into a row, in the place of those that it has of their columns.
fn set(row: &mut Cells, cells: impl IntoIterator<Item = (&'static str, Value)>) {
    for (name, value) in cells {
        match row.iter_mut().find(|(known, _)| *known == name) {
            Some((_, known)) => *known = value,
            None => row.push((name, value)),
        }
    }
}

/// The rows by the columns that they name.
fn by_columns(rows: impl IntoIterator<Item = Cells>) -> BTreeMap<Vec<&'static str>, Vec<Vec<Value>>> {
    let mut sorted: BTreeMap<_, Vec<_>> = BTreeMap::new();
    for row in rows {
        let (names, values): (Vec<_>, Vec<_>) = row.into_iter().unzip();
        sorted.entry(names).or_default().push(values);
    }
    sorted
}
