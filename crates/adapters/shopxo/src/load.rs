//! Snapshots, each read as the database was at one moment: by one question, or where that leads to rows of the shop that must
//! be read besides, by several in a transaction that sees one moment.

use std::collections::BTreeSet;

use mobile_bind_domain::ports::{
    BindQuery, BindSnapshot, Contested, Evidence, LogInQuery, LogInSnapshot, SendQuery, SendSnapshot, SessionSnapshot,
};
use mobile_bind_domain::{Account, AccountId, Identity, Mobile, Session, SessionId, Subject, UnionId, Versioned};
use mysql_async::Conn;
use mysql_async::prelude::Queryable;

use crate::bind_lead::BindLead;
use crate::fault::Fault;
use crate::question::Question;
use crate::records::{challenge, idempotency, proof, tally};
use crate::shop::account::{Accounts, Holder};
use crate::shop::claims::Claim;
use crate::shop::session::AskedSession;
use crate::shop::{account, session};
use crate::tables::Tables;

/// Nothing is locked: what is read is as it was when this was said.
const BEGIN: &str = "SET TRANSACTION ISOLATION LEVEL REPEATABLE READ; START TRANSACTION WITH CONSISTENT SNAPSHOT";

async fn begin(conn: &mut Conn) -> Result<(), Fault> {
    Ok(conn.query_drop(BEGIN).await?)
}

async fn end<T>(conn: &mut Conn, found: T) -> Result<T, Fault> {
    conn.query_drop("COMMIT").await?;
    Ok(found)
}

/// What a send is decided on.
pub(crate) async fn send_snapshot(conn: &mut Conn, tables: &Tables, query: &SendQuery) -> Result<SendSnapshot, Fault> {
    let (found, session) = ask_for_send(conn, tables, query).await?;
    if session.is_none() {
        return Ok(found);
    }
    begin(conn).await?;
    let (mut found, session) = ask_for_send(conn, tables, query).await?;
    if let Some(session) = session {
        found.caller = with_account(conn, tables, session).await?;
    }
    if let Some(caller) = &found.caller {
        let mut question = Question::default();
        let of_account = tally::ask(&mut question, [Subject::SendsOf(caller.account.value.id)]);
        found.tallies.extend(of_account.found(&question.ask(conn).await?)?);
    }
    end(conn, found).await
}

async fn ask_for_send(
    conn: &mut Conn,
    tables: &Tables,
    query: &SendQuery,
) -> Result<(SendSnapshot, Option<Session>), Fault> {
    let mut question = Question::default();
    let challenge = challenge::ask(&mut question, &query.key);
    let earlier = query.idempotency.map(|name| idempotency::ask(&mut question, name));
    let tallies = tally::ask(&mut question, query.subjects());
    let session = query.session.map(|id| AskedSession::ask(&mut question, tables, id));
    let answer = question.ask(conn).await?;
    let found = SendSnapshot {
        challenge: answer.one(Some(&challenge))?,
        caller: None,
        earlier: answer.one(earlier.as_ref())?,
        tallies: tallies.found(&answer)?,
    };
    Ok((found, session.map_or(Ok(None), |session| session.found(&answer))?))
}

/// What a bind is decided on.
pub(crate) async fn bind_snapshot(conn: &mut Conn, tables: &Tables, query: &BindQuery) -> Result<BindSnapshot, Fault> {
    let lead = BindLead::ask(conn, tables, query).await?;
    if !lead.leads_on() {
        return lead.follow(conn, tables, query).await;
    }
    begin(conn).await?;
    let found = BindLead::ask(conn, tables, query).await?.follow(conn, tables, query).await?;
    end(conn, found).await
}

/// What a mini-program's log-in is decided on.
pub(crate) async fn log_in_snapshot(
    conn: &mut Conn,
    tables: &Tables,
    query: &LogInQuery,
) -> Result<LogInSnapshot, Fault> {
    let (evidence, ids) = ask_for_log_in(conn, tables, query).await?;
    if ids.is_empty() {
        return Ok(LogInSnapshot { evidence, ..LogInSnapshot::default() });
    }
    begin(conn).await?;
    let (evidence, ids) = ask_for_log_in(conn, tables, query).await?;
    let accounts = account::read_all(conn, tables, &ids).await?;
    let mut contested = Contested::default();
    let holders = holders(&accounts, Some(&query.identity), query.unionid.as_ref(), &mut contested);
    let (identity_holder, unionid_holder) = holders;
    end(conn, LogInSnapshot { identity_holder, unionid_holder, contested, evidence }).await
}

async fn ask_for_log_in(
    conn: &mut Conn,
    tables: &Tables,
    query: &LogInQuery,
) -> Result<(Evidence, BTreeSet<AccountId>), Fault> {
    let mut question = Question::default();
    let evidence = proof::ask(&mut question, &query.evidence);
    let claims = claims_of(Some(&query.identity), query.unionid.as_ref());
    let asked: Vec<_> = claims.iter().flat_map(|claim| account::ask_holders(&mut question, tables, claim)).collect();
    let answer = question.ask(conn).await?;
    let mut ids = BTreeSet::new();
    for asked in &asked {
        ids.extend(answer.all(asked)?);
    }
    Ok((evidence.found(&answer)?, ids))
}

/// What names a caller of a mini-program. A unionid comes without its platform, so that it is nobody's without an openid.
pub(crate) fn claims_of(identity: Option<&Identity>, unionid: Option<&UnionId>) -> Vec<Claim> {
    let Some(identity) = identity else { return Vec::new() };
    let unionid = unionid.map(|unionid| Claim::UnionId(identity.platform, unionid.clone()));
    [Claim::Identity(identity.clone())].into_iter().chain(unionid).collect()
}

/// A session and its account.
pub(crate) async fn session_snapshot(
    conn: &mut Conn,
    tables: &Tables,
    id: SessionId,
) -> Result<Option<SessionSnapshot>, Fault> {
    begin(conn).await?;
    let found = match session::by_id(conn, tables, id).await? {
        Some(session) => with_account(conn, tables, session).await?,
        None => None,
    };
    end(conn, found).await
}

/// One account, live or not.
pub(crate) async fn account(
    conn: &mut Conn,
    tables: &Tables,
    id: AccountId,
) -> Result<Option<Versioned<Account>>, Fault> {
    begin(conn).await?;
    let found = account::by_id(conn, tables, id).await?;
    end(conn, found).await
}

/// The live account that holds a number; several are a fault that names them.
pub(crate) async fn account_of(
    conn: &mut Conn,
    tables: &Tables,
    mobile: &Mobile,
) -> Result<Option<Versioned<Account>>, Fault> {
    begin(conn).await?;
    let found = match account::holder_of_mobile(conn, tables, mobile).await? {
        Holder::Nobody => None,
        Holder::One(account) => Some(*account),
        Holder::Several(ids) => {
            let ids: Vec<String> = ids.iter().map(|id| id.get().to_string()).collect();
            return Err(Fault::Contested(ids.join(", ").into()));
        }
    };
    end(conn, found).await
}

/// Accounts in the order of their ids.
pub(crate) async fn accounts(
    conn: &mut Conn,
    tables: &Tables,
    after: Option<AccountId>,
    limit: usize,
) -> Result<Vec<Versioned<Account>>, Fault> {
    begin(conn).await?;
    let found = account::page(conn, tables, after, limit).await?;
    end(conn, found).await
}

type Found = Option<Versioned<Account>>;

/// Who of the accounts holds an identity, and who a unionid where one is given.
pub(crate) fn holders(
    accounts: &Accounts,
    identity: Option<&Identity>,
    unionid: Option<&UnionId>,
    contested: &mut Contested,
) -> (Found, Found) {
    let mut found = (None, None);
    for claim in claims_of(identity, unionid) {
        if matches!(claim, Claim::Identity(_)) {
            found.0 = settled(accounts.holder(&claim), &mut contested.identity);
        } else {
            found.1 = settled(accounts.holder(&claim), &mut contested.unionid);
        }
    }
    found
}

/// The one holder; that there are several is noted.
pub(crate) fn settled(holder: Holder, contested: &mut bool) -> Found {
    match holder {
        Holder::Nobody => None,
        Holder::One(account) => Some(*account),
        Holder::Several(_) => {
            *contested = true;
            None
        }
    }
}

async fn with_account(conn: &mut Conn, tables: &Tables, session: Session) -> Result<Option<SessionSnapshot>, Fault> {
    let account = account::by_id(conn, tables, session.account).await?;
    Ok(account.map(|account| SessionSnapshot { session, account }))
}
