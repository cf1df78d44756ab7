//! Snapshots, each read as the database was at one moment.

use mobile_bind_domain::ports::{
    BindQuery, BindSnapshot, CallerQuery, Contested, EarlierBind, LogInQuery, LogInSnapshot, ReceiptSnapshot,
    SendQuery, SendSnapshot, SessionSnapshot,
};
use mobile_bind_domain::{
    Account, AccountId, ChallengeKey, IdempotencyName, IdempotentOutcome, Identity, Mobile, SessionId, Subject,
    Timestamp, UnionId, Versioned,
};
use mysql_async::Conn;
use mysql_async::prelude::Queryable;

use crate::fault::Fault;
use crate::records::{challenge, idempotency, proof, receipt, tally};
use crate::shop::account::Holder;
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
    begin(conn).await?;
    let caller = session_of(conn, tables, query.session).await?;
    let of_account = caller.as_ref().map(|caller| Subject::SendsOf(caller.account.value.id));
    let found = SendSnapshot {
        challenge: challenge::find(conn, &query.key).await?,
        caller,
        earlier: match query.idempotency {
            Some(name) => idempotency::find(conn, name).await?,
            None => None,
        },
        tallies: tally::find(conn, query.subjects().into_iter().chain(of_account)).await?,
    };
    end(conn, found).await
}

/// What a bind is decided on.
pub(crate) async fn bind_snapshot(conn: &mut Conn, tables: &Tables, query: &BindQuery) -> Result<BindSnapshot, Fault> {
    begin(conn).await?;
    let mut found = BindSnapshot { challenge: challenge::find(conn, &query.key).await?, ..BindSnapshot::default() };
    load_caller(conn, tables, query, &mut found).await?;
    found.receipt = load_receipt(conn, tables, &query.key).await?;
    found.mobile_holder =
        settled(account::holder_of_mobile(conn, tables, &query.key.mobile).await?, &mut found.contested.mobile);
    found.holder_used_at = match &found.mobile_holder {
        Some(holder) if query.holder_use => used_at(conn, tables, holder.value.id).await?,
        _ => None,
    };
    load_counts(conn, query, &mut found).await?;
    found.earlier = match query.idempotency {
        Some(name) => load_earlier(conn, tables, name).await?,
        None => None,
    };
    found.referrer = match &query.referrer {
        Some(name) => account::referrer(conn, tables, name).await?,
        None => None,
    };
    found.evidence = proof::evidence(conn, &query.evidence).await?;
    end(conn, found).await
}

/// Who calls: by the token, by the openid, by the unionid.
async fn load_caller(
    conn: &mut Conn,
    tables: &Tables,
    query: &BindQuery,
    found: &mut BindSnapshot,
) -> Result<(), Fault> {
    match &query.caller {
        CallerQuery::Session(id) => found.session = session_of(conn, tables, *id).await?,
        CallerQuery::Identity { identity, unionid, session } => {
            found.session = session_of(conn, tables, *session).await?;
            // A unionid comes without its platform; where there is no openid either, the bind is refused for that.
            if let Some(identity) = identity {
                let holders = load_holders(conn, tables, identity, unionid.as_ref(), &mut found.contested).await?;
                (found.identity_holder, found.unionid_holder) = holders;
            }
        }
    }
    Ok(())
}

/// What was counted, and what there is for the number that the caller has now.
async fn load_counts(conn: &mut Conn, query: &BindQuery, found: &mut BindSnapshot) -> Result<(), Fault> {
    let former =
        query.former_mobile(found.identity_holder.as_ref(), found.unionid_holder.as_ref(), found.session.as_ref());
    let former = former.map(|mobile| ChallengeKey { mobile: mobile.clone(), client: query.key.client.clone() });
    if let Some(key) = &former {
        found.former_challenge = challenge::find(conn, key).await?;
    }
    let on_former = former.map(|key| Subject::FailuresOn(key.mobile));
    found.tallies = tally::find(conn, query.subjects().into_iter().chain(on_former)).await?;
    Ok(())
}

/// What a mini-program's log-in is decided on.
pub(crate) async fn log_in_snapshot(
    conn: &mut Conn,
    tables: &Tables,
    query: &LogInQuery,
) -> Result<LogInSnapshot, Fault> {
    begin(conn).await?;
    let mut contested = Contested::default();
    let (identity_holder, unionid_holder) =
        load_holders(conn, tables, &query.identity, query.unionid.as_ref(), &mut contested).await?;
    let evidence = proof::evidence(conn, &query.evidence).await?;
    end(conn, LogInSnapshot { identity_holder, unionid_holder, contested, evidence }).await
}

/// A session and its account.
pub(crate) async fn session_snapshot(
    conn: &mut Conn,
    tables: &Tables,
    id: SessionId,
) -> Result<Option<SessionSnapshot>, Fault> {
    begin(conn).await?;
    let found = session_of(conn, tables, Some(id)).await?;
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

/// Who holds an identity, and who a unionid where one is given.
async fn load_holders(
    conn: &mut Conn,
    tables: &Tables,
    identity: &Identity,
    unionid: Option<&UnionId>,
    contested: &mut Contested,
) -> Result<(Found, Found), Fault> {
    let of_identity = account::holder_of_identity(conn, tables, identity).await?;
    let of_identity = settled(of_identity, &mut contested.identity);
    let Some(unionid) = unionid else { return Ok((of_identity, None)) };
    let of_unionid = account::holder_of_unionid(conn, tables, identity.platform, unionid).await?;
    Ok((of_identity, settled(of_unionid, &mut contested.unionid)))
}

/// The one holder; that there are several is noted.
fn settled(holder: Holder, contested: &mut bool) -> Found {
    match holder {
        Holder::Nobody => None,
        Holder::One(account) => Some(*account),
        Holder::Several(_) => {
            *contested = true;
            None
        }
    }
}

async fn session_of(conn: &mut Conn, tables: &Tables, id: Option<SessionId>) -> Result<Option<SessionSnapshot>, Fault> {
    let Some(id) = id else { return Ok(None) };
    let Some(session) = session::by_id(conn, tables, id).await? else { return Ok(None) };
    let account = account::by_id(conn, tables, session.account).await?;
    Ok(account.map(|account| SessionSnapshot { session, account }))
}

async fn load_receipt(conn: &mut Conn, tables: &Tables, key: &ChallengeKey) -> Result<Option<ReceiptSnapshot>, Fault> {
    let Some(receipt) = receipt::find(conn, key).await? else { return Ok(None) };
    let session = session_of(conn, tables, receipt.session).await?;
    Ok(Some(ReceiptSnapshot { receipt, session }))
}

async fn load_earlier(conn: &mut Conn, tables: &Tables, name: IdempotencyName) -> Result<Option<EarlierBind>, Fault> {
    let Some(record) = idempotency::find(conn, name).await? else { return Ok(None) };
    let session = match record.value.outcome {
        IdempotentOutcome::Bound { session, .. } => session_of(conn, tables, session).await?,
        _ => None,
    };
    Ok(Some(EarlierBind { record, session }))
}

async fn used_at(conn: &mut Conn, tables: &Tables, account: AccountId) -> Result<Option<Timestamp>, Fault> {
    let sessions = session::of_accounts(conn, tables, &[account]).await?;
    Ok(sessions.into_iter().map(|session| session.used_at).max())
}
