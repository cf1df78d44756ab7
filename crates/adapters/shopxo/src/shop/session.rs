//! Sessions: the tokens in the shop's `user_platform`, and in `mb_sessions` what mobile-bind knows of them besides.
//!
//! A session is there exactly while a row of the shop's has its token. The token is the session's id in 32 lower-case
//! hexadecimal digits, so an id is as secret as a token here; the shop's table has them in clear text anyway. The shop's own
//! tokens are sessions too: of those that have no row in `mb_sessions`, the shop's row tells when they were issued.

use std::collections::BTreeSet;

use mobile_bind_domain::{AccountId, ClientType, KeyId, Session, SessionId, SessionSeed, Timestamp};
use mysql_async::{Conn, Value};

use crate::fault::{Fault, Rejection};
use crate::records::{Columns, all, execute, limited, one};
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
}

/// A shop's row with a token that mobile-bind can read.
struct Found {
    row: u64,
    system_type: String,
    session: Session,
}

const KIND: &str = "session";

const COLUMNS: &str = "p.id, p.user_id, p.system_type, p.platform, p.token, GREATEST(p.add_time, p.upd_time), \
     s.user_id, s.seed, s.key_id, s.issued_at, s.used_at";

/// The shop's rows that a condition finds, with what mobile-bind knows of their tokens. Tokens of another form are none of
/// mobile-bind's.
async fn find(
    conn: &mut Conn,
    tables: &Tables,
    condition: &str,
    values: Vec<Value>,
    lock: &str,
) -> Result<Vec<Found>, Fault> {
    let question = format!(
        "SELECT {COLUMNS} FROM {} p LEFT JOIN mb_sessions s ON s.id = UNHEX(p.token) \
         WHERE p.system_type = 'default' AND {condition} ORDER BY p.id {lock}",
        tables.user_platform(),
    );
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
    let found = with_token(conn, tables, id, "").await?;
    let users: BTreeSet<AccountId> = found.iter().map(|found| found.session.account).collect();
    Ok(found.into_iter().next().filter(|_| users.len() == 1).map(|found| found.session))
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

/// Stores a session. What its account had on its client type ends.
pub(crate) async fn open(conn: &mut Conn, tables: &Tables, session: &Session) -> Result<Vec<EndedToken>, Rejection> {
    let user = session.account.get();
    // Two that are opened at once must not both find no row: nothing at the shop would keep them apart.
    let lock = format!("SELECT id FROM {} WHERE id = ? FOR UPDATE", tables.user());
    let owner = one(conn, KIND, &lock, vec![user.into()], Columns::account).await?;
    owner.ok_or(Rejection::Conflict)?;
    let name = session.client_type.name();
    let rows = format!(
        "SELECT system_type, token FROM {} WHERE user_id = ? AND platform = ? AND system_type = 'default' FOR UPDATE",
        tables.user_platform()
    );
    let rows = all(conn, KIND, &rows, vec![user.into(), name.into()], ended).await?;
    let at = session.issued_at.as_seconds();
    let token = tokens::text_of(session.id);
    if rows.is_empty() {
        let insert = format!(
            "INSERT INTO {} (user_id, system_type, platform, token, add_time) VALUES (?, 'default', ?, ?, ?)",
            tables.user_platform()
        );
        execute(conn, &insert, vec![user.into(), name.into(), token.into(), at.into()]).await?;
    } else {
        let update = format!(
            "UPDATE {} SET token = ?, upd_time = ? WHERE user_id = ? AND platform = ? AND system_type = 'default'",
            tables.user_platform()
        );
        execute(conn, &update, vec![token.into(), at.into(), user.into(), name.into()]).await?;
    }
    let ended: Vec<EndedToken> = rows.into_iter().filter(|ended| !ended.token.is_empty()).collect();
    forget(conn, ended.iter().filter_map(|ended| tokens::id_in(&ended.token))).await?;
    remember(conn, session).await?;
    Ok(ended)
}

fn ended(columns: &mut Columns) -> Result<EndedToken, Fault> {
    Ok(EndedToken { system_type: columns.take()?, token: columns.take()? })
}

/// Keeps what is known of a session besides its token.
async fn remember(conn: &mut Conn, session: &Session) -> Result<(), Rejection> {
    let statement = "INSERT INTO mb_sessions (id, seed, key_id, user_id, issued_at, used_at) \
         VALUES (?, ?, ?, ?, ?, ?) ON DUPLICATE KEY UPDATE seed = VALUES(seed), key_id = VALUES(key_id), \
         user_id = VALUES(user_id), issued_at = VALUES(issued_at), \
         used_at = VALUES(used_at)";
    let values = vec![
        session.id.0.as_slice().into(),
        session.seed.0.as_slice().into(),
        session.key.as_str().into(),
        session.account.get().into(),
        session.issued_at.as_millis().into(),
        session.used_at.as_millis().into(),
    ];
    execute(conn, statement, values).await.map(|_| ())
}

async fn forget(conn: &mut Conn, ids: impl Iterator<Item = SessionId>) -> Result<(), Rejection> {
    let values: Vec<Value> = ids.map(|id| id.0.as_slice().into()).collect();
    if values.is_empty() {
        return Ok(());
    }
    let places = vec!["?"; values.len()].join(", ");
    let statement = format!("DELETE FROM mb_sessions WHERE id IN ({places})");
    execute(conn, &statement, values).await.map(|_| ())
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
            remember(conn, &Session { used_at, ..of_the_shop }).await
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
