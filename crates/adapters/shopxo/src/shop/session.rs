//! Sessions: the tokens in the shop's `user_platform`, and in `mb_sessions` what mobile-bind knows of them besides.
//!
//! A session is there exactly while a row of the shop's has its token. The token is the session's id in 32 lower-case
//! hexadecimal digits, so an id is as secret as a token here; the shop's table has them in clear text anyway. The shop's own
//! tokens are sessions too: of those that have no row in `mb_sessions`, the shop's row tells when they were issued.

use std::collections::BTreeSet;

use mobile_bind_domain::{AccountId, ClientType, KeyId, Session, SessionId, SessionSeed, Timestamp};
use mysql_async::{Conn, Value};

use crate::fault::{Fault, Rejection};
use crate::question::Column::{Bytes, Number};
use crate::question::{Answer, Asked, Kind, Question};
use crate::records::{Columns, all, execute, in_parts, insert, limited, repeated};
use crate::tables::Tables;
use crate::tokens;

/// A shop's token that ended: the shop may have cached whom it leads to.
pub(crate) struct EndedToken {
    pub(crate) system_type: String,
    pub(crate) token: String,
}

impl EndedToken {
    fn of(found: Found) -> Self {
        Self { system_type: found.system_type, token: tokens::text_of(found.session.id) }
    }

    pub(super) fn of_default(token: &str) -> Self {
        Self { system_type: "default".to_owned(), token: token.to_owned() }
    }
}

/// A shop's row with a token that mobile-bind can read.
pub(crate) struct Found {
    row: u64,
    system_type: String,
    session: Session,
}

const KIND: &str = "session";

static STORED: Kind<Option<Found>> = Kind {
    name: KIND,
    columns: &[
        Number("p.id"),
        Number("p.user_id"),
        Bytes("p.system_type"),
        Bytes("p.platform"),
        Bytes("p.token"),
        Number("GREATEST(p.add_time, p.upd_time)"),
        Number("s.user_id"),
        Bytes("s.seed"),
        Bytes("s.key_id"),
        Number("s.issued_at"),
        Number("s.used_at"),
    ],
    take: read,
};

/// The shop's rows that a condition finds, with what mobile-bind knows of their tokens.
fn from(tables: &Tables, condition: &str) -> String {
    format!(
        "{} p LEFT JOIN mb_sessions s ON s.id = UNHEX(p.token) WHERE p.system_type = 'default' AND {condition}",
        tables.user_platform(),
    )
}

/// The shop's rows that a condition finds, with what mobile-bind knows of their tokens. Tokens of another form are none of
/// mobile-bind's.
async fn find(
    conn: &mut Conn,
    tables: &Tables,
    condition: &str,
    values: Vec<Value>,
    lock: &str,
) -> Result<Vec<Found>, Fault> {
    let question = format!("SELECT {} FROM {} ORDER BY p.id {lock}", STORED.list(), from(tables, condition));
    Ok(all(conn, KIND, &question, values, read).await?.into_iter().flatten().collect())
}

fn read(columns: &mut Columns) -> Result<Option<Found>, Fault> {
    let (row, user): (u64, u64) = (columns.take()?, columns.take()?);
    let (system_type, platform, token): (String, String, String) = (columns.take()?, columns.take()?, columns.take()?);
    let Some((account, id)) = AccountId::new(user).zip(tokens::id_in(&token)) else { return Ok(None) };
    let since = Timestamp::from_seconds(columns.take()?);
    let client_type = ClientType::from_name(&platform).unwrap_or(ClientType::Pc);
    let of_the_shop = Session {
        id,
        seed: SessionSeed(id.0),
        key: tokens::key()?,
        account,
        client_type,
        issued_at: since,
        used_at: since,
    };
    let session = known(columns, &of_the_shop)?.unwrap_or(of_the_shop);
    Ok(Some(Found { row, system_type, session }))
}

/// What `mb_sessions` has of the token, where that is of the same account.
fn known(columns: &mut Columns, of_the_shop: &Session) -> Result<Option<Session>, Fault> {
    if columns.take::<Option<u64>>()? != Some(of_the_shop.account.get()) {
        return Ok(None);
    }
    let (seed, key) = (columns.bytes()?, columns.read(KeyId::new)?);
    let (issued_at, used_at) = (columns.timestamp()?, columns.timestamp()?);
    Ok(Some(Session { seed: SessionSeed(seed), key, issued_at, used_at, ..of_the_shop.clone() }))
}

/// The rows that have a session's token; letter case counts, although the shop's collation knows none.
async fn with_token(conn: &mut Conn, tables: &Tables, id: SessionId, lock: &str) -> Result<Vec<Found>, Fault> {
    let token = tokens::text_of(id);
    let mut found = find(conn, tables, "p.token = ?", vec![token.into()], lock).await?;
    found.retain(|found| found.session.id == id);
    Ok(found)
}

/// The session of an id; none where the shop has given its token to several users.
pub(crate) async fn by_id(conn: &mut Conn, tables: &Tables, id: SessionId) -> Result<Option<Session>, Fault> {
    Ok(only(with_token(conn, tables, id, "").await?))
}

fn only(found: Vec<Found>) -> Option<Session> {
    let users: BTreeSet<AccountId> = found.iter().map(|found| found.session.account).collect();
    found.into_iter().next().filter(|_| users.len() == 1).map(|found| found.session)
}

/// A session that is asked for by its id.
pub(crate) struct AskedSession {
    id: SessionId,
    asked: Asked<Option<Found>>,
}

impl AskedSession {
    pub(crate) fn ask(question: &mut Question, tables: &Tables, id: SessionId) -> Self {
        let asked = question.add(&STORED, &from(tables, "p.token = ?"), vec![tokens::text_of(id).into()]);
        Self { id, asked }
    }

    /// As [`by_id`] finds it.
    pub(crate) fn found(&self, answer: &Answer) -> Result<Option<Session>, Fault> {
        let mut found: Vec<Found> = answer.all(&self.asked)?.into_iter().flatten().collect();
        found.retain(|found| found.session.id == self.id);
        found.sort_unstable_by_key(|found| found.row);
        Ok(only(found))
    }
}

/// The sessions of accounts, in no particular order.
pub(crate) async fn of_accounts(
    conn: &mut Conn,
    tables: &Tables,
    accounts: &[AccountId],
) -> Result<Vec<Session>, Fault> {
    if accounts.is_empty() {
        return Ok(Vec::new());
    }
    let condition = format!("p.user_id IN ({}) AND p.token <> ''", vec!["?"; accounts.len()].join(", "));
    let values = accounts.iter().map(|account| account.get().into()).collect();
    let found = find(conn, tables, &condition, values, "").await?;
    let mut seen = BTreeSet::new();
    Ok(found.into_iter().map(|found| found.session).filter(|session| seen.insert(session.id)).collect())
}

/// That a session is there, and stays so until the transaction ends.
pub(crate) async fn expect(conn: &mut Conn, tables: &Tables, id: SessionId) -> Result<(), Rejection> {
    let found = with_token(conn, tables, id, "FOR UPDATE").await?;
    if found.is_empty() { Err(Rejection::Conflict) } else { Ok(()) }
}

fn ended(columns: &mut Columns) -> Result<EndedToken, Fault> {
    Ok(EndedToken { system_type: columns.take()?, token: columns.take()? })
}

/// Keeps what is known of sessions besides their tokens.
pub(super) async fn remember<'a>(
    conn: &mut Conn,
    sessions: impl IntoIterator<Item = &'a Session>,
) -> Result<(), Rejection> {
    let row = |session: &Session| {
        vec![
            session.id.0.as_slice().into(),
            session.seed.0.as_slice().into(),
            session.key.as_str().into(),
            session.account.get().into(),
            session.issued_at.as_millis().into(),
            session.used_at.as_millis().into(),
        ]
    };
    let rows: Vec<Vec<Value>> = sessions.into_iter().map(row).collect();
    let into = "INSERT INTO mb_sessions (id, seed, key_id, user_id, issued_at, used_at)";
    let otherwise = "ON DUPLICATE KEY UPDATE seed = VALUES(seed), key_id = VALUES(key_id), \
         user_id = VALUES(user_id), issued_at = VALUES(issued_at), used_at = VALUES(used_at)";
    insert(conn, into, &rows, otherwise).await.map(|_| ())
}

/// Forgets what is known of sessions that ended.
pub(super) async fn forget(conn: &mut Conn, ids: impl Iterator<Item = SessionId>) -> Result<(), Rejection> {
    let ids: Vec<Value> = ids.map(|id| id.0.as_slice().into()).collect();
    for part in in_parts(&ids) {
        let statement = format!("DELETE FROM mb_sessions WHERE id IN ({})", repeated("?", part.len(), ", "));
        execute(conn, &statement, part.to_vec()).await?;
    }
    Ok(())
}

/// Notes that a session was used; nothing happens where it is gone.
pub(crate) async fn use_at(conn: &mut Conn, tables: &Tables, id: SessionId, at: Timestamp) -> Result<(), Rejection> {
    let update = "UPDATE mb_sessions SET used_at = GREATEST(used_at, ?) WHERE id = ?";
    if execute(conn, update, vec![at.as_millis().into(), id.0.as_slice().into()]).await? > 0 {
        return Ok(());
    }
    match by_id(conn, tables, id).await? {
        Some(of_the_shop) => {
            let used_at = at.max(of_the_shop.used_at);
            remember(conn, [&Session { used_at, ..of_the_shop }]).await
        }
        None => Ok(()),
    }
}

/// Ends a session, if it is there.
pub(crate) async fn end(conn: &mut Conn, tables: &Tables, id: SessionId) -> Result<Vec<EndedToken>, Rejection> {
    let found = with_token(conn, tables, id, "FOR UPDATE").await?;
    end_found(conn, tables, found).await
}

/// Ends the sessions of an account, but for the one on a client type that is named. The shop's tokens of any form are among
/// them.
pub(crate) async fn end_all(
    conn: &mut Conn,
    tables: &Tables,
    account: AccountId,
    except: Option<ClientType>,
) -> Result<Vec<EndedToken>, Rejection> {
    let condition = "user_id = ? AND system_type = 'default' AND token <> '' AND platform <> ?";
    let (user, except) = (account.get(), except.map_or("", ClientType::name));
    let rows = format!("SELECT system_type, token FROM {} WHERE {condition} FOR UPDATE", tables.user_platform());
    let values = || vec![user.into(), except.into()];
    let rows = all(conn, KIND, &rows, values(), ended).await?;
    if rows.is_empty() {
        return Ok(Vec::new());
    }
    let update = format!("UPDATE {} SET token = '' WHERE {condition}", tables.user_platform());
    execute(conn, &update, values()).await?;
    forget(conn, rows.iter().filter_map(|ended| tokens::id_in(&ended.token))).await?;
    Ok(rows)
}

async fn end_found(conn: &mut Conn, tables: &Tables, found: Vec<Found>) -> Result<Vec<EndedToken>, Rejection> {
    clear(conn, tables, &found).await?;
    forget(conn, found.iter().map(|found| found.session.id)).await?;
    Ok(found.into_iter().map(EndedToken::of).collect())
}

/// Takes the tokens out of the shop's rows.
async fn clear(conn: &mut Conn, tables: &Tables, found: &[Found]) -> Result<(), Rejection> {
    if found.is_empty() {
        return Ok(());
    }
    let places = vec!["?"; found.len()].join(", ");
    let update = format!("UPDATE {} SET token = '' WHERE id IN ({places})", tables.user_platform());
    execute(conn, &update, found.iter().map(|found| found.row.into()).collect()).await.map(|_| ())
}

/// Ends some sessions that were opened or used here and not since, and forgets what is known of tokens that the shop no longer
/// has. Tokens that the shop issued and nobody used here are left to it. Looks at no more than `limit`; answers how many it
/// forgot, and the tokens that end once that is committed.
pub(crate) async fn purge(
    conn: &mut Conn,
    tables: &Tables,
    sessions_before: Timestamp,
    limit: usize,
) -> Result<(usize, Vec<EndedToken>), Rejection> {
    let question = "SELECT id FROM mb_sessions WHERE used_at < ? ORDER BY used_at LIMIT ?";
    let values = vec![sessions_before.as_millis().into(), limited(limit)];
    let unused = all(conn, KIND, question, values, |columns| columns.bytes().map(SessionId)).await?;
    if unused.is_empty() {
        return Ok((0, Vec::new()));
    }
    let places = vec!["?"; unused.len()].join(", ");
    let tokens = unused.iter().map(|id| tokens::text_of(*id).into()).collect();
    let mut found = find(conn, tables, &format!("p.token IN ({places})"), tokens, "FOR UPDATE").await?;
    // One may have been used a moment ago, and letter case counts.
    found.retain(|found| found.session.used_at < sessions_before && unused.contains(&found.session.id));
    clear(conn, tables, &found).await?;
    let forget = format!("DELETE FROM mb_sessions WHERE id IN ({places}) AND used_at < ?");
    let ids = unused.iter().map(|id| id.0.as_slice().into());
    let forgotten = execute(conn, &forget, ids.chain([sessions_before.as_millis().into()]).collect()).await?;
    Ok((usize::try_from(forgotten).unwrap_or(usize::MAX), found.into_iter().map(EndedToken::of).collect()))
}
