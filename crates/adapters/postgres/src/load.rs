//! Snapshots: one statement each, so that all that is in one was true at once.

use deadpool_postgres::Client;
use mobile_bind_domain::ports::{
    BindQuery, BindSnapshot, CallerQuery, Contested, EarlierBind, LogInQuery, LogInSnapshot, ReceiptSnapshot,
    SendQuery, SendSnapshot, SessionSnapshot,
};
use mobile_bind_domain::referrer::ReferrerName;
use mobile_bind_domain::{
    Account, AccountId, ChallengeKey, IdempotencyName, Identity, Mobile, OutboxMessage, Proof, ProofId, Session,
    SessionId, SpentMark, Subject, Timestamp, UnionId, Versioned,
};
use tokio_postgres::Row;

use crate::fault::Fault;
use crate::query::{Columns, Question, Selection, Statement, Value};
use crate::records::account::{live, platform_number};
use crate::records::{
    account, challenge, idempotency, message, proof, receipt, session, stored_client, stored_id, stored_text, tally,
    timestamp,
};

fn join_challenge(selection: &mut Selection, key: &ChallengeKey) {
    let mobile = selection.bind(stored_text(key.mobile.as_str()), "text");
    let client = selection.bind(stored_client(&key.client), "text");
    selection.columns(challenge::COLUMNS);
    selection.join("challenges", "c", &format!("c.mobile = {mobile} AND c.client = {client}"));
}

/// What became of a request with an idempotency key, `i`.
fn join_earlier(selection: &mut Selection, name: IdempotencyName) {
    let name = selection.bind(name.0.to_vec(), "bytea");
    selection.join("idempotency_keys", "i", &format!("i.name = {name}"));
    selection.columns(idempotency::COLUMNS);
}

/// A session `s` and its account `sa`.
fn join_session(selection: &mut Selection, id: SessionId) {
    let id = selection.bind(id.0.to_vec(), "bytea");
    selection.join("sessions", "s", &format!("s.id = {id}"));
    selection.join("accounts", "sa", "sa.id = s.account_id");
    selection.columns(&session::columns("s"));
    selection.columns(&account::columns("sa"));
}

fn take_session(columns: &mut Columns<'_>) -> Result<Option<SessionSnapshot>, Fault> {
    let (session, account) = (session::take(columns)?, account::take(columns)?);
    Ok(session.zip(account).map(|(session, account)| SessionSnapshot { session, account }))
}

pub(crate) fn send_question(query: &SendQuery) -> Question {
    let mut selection = Selection::default();
    join_challenge(&mut selection, &query.key);
    let mut subjects = bind_subjects(&mut selection, &query.subjects());
    if let Some(id) = query.session {
        join_session(&mut selection, id);
        subjects.push(format!("'{}' || s.account_id::text", tally::SENDS_OF));
    }
    selection.columns(&tally::columns(&subjects.join(", ")));
    if let Some(name) = query.idempotency {
        join_earlier(&mut selection, name);
    }
    selection.into_question()
}

fn bind_subjects(selection: &mut Selection, subjects: &[Subject]) -> Vec<String> {
    subjects.iter().map(|subject| selection.bind(tally::stored_subject(subject), "text")).collect()
}

pub(crate) fn send_snapshot(row: &Row, query: &SendQuery) -> Result<SendSnapshot, Fault> {
    let columns = &mut Columns::of_answer(row);
    let challenge = challenge::take(columns)?;
    let caller = if query.session.is_some() { take_session(columns)? } else { None };
    let of_account = caller.as_ref().map(|caller| Subject::SendsOf(caller.account.value.id));
    let tallies = tally::take(columns, query.subjects().into_iter().chain(of_account))?;
    let earlier = if query.idempotency.is_some() { idempotency::take(columns)? } else { None };
    Ok(SendSnapshot { challenge, caller, earlier, tallies })
}

pub(crate) fn bind_question(query: &BindQuery) -> Question {
    let mut selection = Selection::default();
    join_challenge(&mut selection, &query.key);

    // The first two values are the challenge's key.
    selection.join("receipts", "r", "r.mobile = q.v1 AND r.client = q.v2");
    selection.columns(receipt::COLUMNS);
    selection.join("sessions", "rs", "rs.id = r.session_id");
    selection.join("accounts", "ra", "ra.id = rs.account_id");
    selection.columns(&session::columns("rs"));
    selection.columns(&account::columns("ra"));

    selection.join("accounts", "m", &format!("m.mobile = q.v1 AND {}", live("m")));
    selection.columns(&account::columns("m"));
    if query.holder_use {
        selection.columns("(SELECT max(x.used_at) FROM sessions x WHERE x.account_id = m.id)");
    }

    let mut subjects = bind_subjects(&mut selection, &query.subjects());
    join_caller(&mut selection, &query.caller);
    if let Some(mobile) = former_mobile(query) {
        selection.join("challenges", "fc", &format!("fc.mobile = {mobile} AND fc.client = q.v2"));
        selection.columns(&challenge::columns("fc"));
        subjects.push(format!("'{}' || {mobile}", tally::FAILURES_ON));
    }
    selection.columns(&tally::columns(&subjects.join(", ")));
    if let Some(name) = &query.referrer {
        join_referrer(&mut selection, name);
    }
    if let Some(name) = query.idempotency {
        join_earlier(&mut selection, name);
        selection.join("sessions", "es", "es.id = i.session_id");
        selection.join("accounts", "ea", "ea.id = es.account_id");
        selection.columns(&session::columns("es"));
        selection.columns(&account::columns("ea"));
    }
    proof::join_evidence(&mut selection, &query.evidence);
    selection.into_question()
}

fn join_caller(selection: &mut Selection, caller: &CallerQuery) {
    match caller {
        // A unionid comes without its platform; where there is no openid either, the bind is refused for that.
        CallerQuery::Identity { identity: Some(identity), unionid, session } => {
            join_holders(selection, identity, unionid.as_ref());
            if let Some(id) = session {
                join_session(selection, *id);
            }
        }
        CallerQuery::Session(Some(id)) => join_session(selection, *id),
        CallerQuery::Identity { identity: None, .. } | CallerQuery::Session(None) => {}
    }
}

/// The number that the caller has, where there may be one and it matters.
fn former_mobile(query: &BindQuery) -> Option<&'static str> {
    match &query.caller {
        _ if !query.former => None,
        CallerQuery::Identity { identity: Some(_), unionid: Some(_), .. } => {
            Some("(CASE WHEN oa.id IS NULL THEN ua.mobile ELSE oa.mobile END)")
        }
        CallerQuery::Identity { identity: Some(_), unionid: None, .. } => Some("oa.mobile"),
        CallerQuery::Session(Some(_)) => Some("sa.mobile"),
        CallerQuery::Identity { identity: None, .. } | CallerQuery::Session(None) => None,
    }
}

/// Who holds an identity, and who a unionid where one is given.
fn join_holders(selection: &mut Selection, identity: &Identity, unionid: Option<&UnionId>) {
    let platform = selection.bind(Value::Small(platform_number(identity.platform)), "smallint");
    let app = selection.bind(stored_text(identity.app.as_str()), "text");
    let openid = selection.bind(stored_text(identity.openid.as_str()), "text");
    let held = format!("o.platform = {platform} AND o.app_id = {app} AND o.openid = {openid} AND o.held");
    selection.join("identities", "o", &held);
    selection.join("accounts", "oa", "oa.id = o.account_id");
    selection.columns(&account::columns("oa"));
    if let Some(unionid) = unionid {
        let unionid = selection.bind(stored_text(unionid.as_str()), "text");
        let held = format!("u.platform = {platform} AND u.unionid = {unionid} AND u.held");
        selection.join("identities", "u", &held);
        selection.join("accounts", "ua", "ua.id = u.account_id");
        selection.columns(&account::columns("ua"));
    }
}

pub(crate) fn log_in_question(query: &LogInQuery) -> Question {
    let mut selection = Selection::default();
    join_holders(&mut selection, &query.identity, query.unionid.as_ref());
    proof::join_evidence(&mut selection, &query.evidence);
    selection.into_question()
}

pub(crate) fn log_in_snapshot(row: &Row, query: &LogInQuery) -> Result<LogInSnapshot, Fault> {
    let columns = &mut Columns::of_answer(row);
    let identity_holder = account::take(columns)?;
    let unionid_holder = if query.unionid.is_some() { account::take(columns)? } else { None };
    let evidence = proof::take_evidence(columns, &query.evidence)?;
    Ok(LogInSnapshot { identity_holder, unionid_holder, contested: Contested::default(), evidence })
}

fn join_referrer(selection: &mut Selection, name: &ReferrerName) {
    let named = match name {
        ReferrerName::Id(id) => format!("f.id = {}", selection.bind(stored_id(*id), "bigint")),
        ReferrerName::Mobile(mobile) => {
            format!("f.mobile = {}", selection.bind(stored_text(mobile.as_str()), "text"))
        }
        ReferrerName::Code(code) => {
            format!("f.member_code = {}", selection.bind(stored_text(code.as_str()), "text"))
        }
    };
    selection.join("accounts", "f", &format!("{named} AND {}", live("f")));
    selection.columns(&account::columns("f"));
}

pub(crate) fn bind_snapshot(row: &Row, query: &BindQuery) -> Result<BindSnapshot, Fault> {
    let columns = &mut Columns::of_answer(row);
    let challenge = challenge::take(columns)?;
    let receipt = receipt::take(columns)?;
    let session_then = take_session(columns)?;
    let mobile_holder = account::take(columns)?;
    let holder_used_at = if query.holder_use { columns.take::<Option<i64>>("session")? } else { None };
    let holder_used_at = holder_used_at.map(|at| timestamp(at, "session")).transpose()?;
    let (mut identity_holder, mut unionid_holder, mut session) = (None, None, None);
    match &query.caller {
        CallerQuery::Identity { identity: Some(_), unionid, session: by_token } => {
            identity_holder = account::take(columns)?;
            unionid_holder = if unionid.is_some() { account::take(columns)? } else { None };
            session = if by_token.is_some() { take_session(columns)? } else { None };
        }
        CallerQuery::Session(Some(_)) => session = take_session(columns)?,
        CallerQuery::Identity { identity: None, .. } | CallerQuery::Session(None) => {}
    }
    let former_challenge = if former_mobile(query).is_some() { challenge::take(columns)? } else { None };
    let former = query.former_mobile(identity_holder.as_ref(), unionid_holder.as_ref(), session.as_ref()).cloned();
    // The number that is being bound was asked for too.
    let former_challenge = former_challenge.filter(|_| former.is_some());
    let tallies = tally::take(columns, query.subjects().into_iter().chain(former.map(Subject::FailuresOn)))?;
    let referrer = if query.referrer.is_some() { account::take(columns)? } else { None };
    let mut earlier = None;
    if query.idempotency.is_some() {
        let record = idempotency::take(columns)?;
        let session = take_session(columns)?;
        earlier = record.map(|record| EarlierBind { record, session });
    }
    let evidence = proof::take_evidence(columns, &query.evidence)?;
    Ok(BindSnapshot {
        challenge,
        earlier,
        receipt: receipt.map(|receipt| ReceiptSnapshot { receipt, session: session_then }),
        mobile_holder,
        holder_used_at,
        former_challenge,
        identity_holder,
        unionid_holder,
        contested: Contested::default(),
        session,
        referrer: referrer.map(|account| account.value),
        tallies,
        evidence,
    })
}

pub(crate) fn session_question(id: SessionId) -> Question {
    let mut selection = Selection::default();
    join_session(&mut selection, id);
    selection.into_question()
}

/// A session and its account.
pub(crate) fn session_snapshot(row: &Row) -> Result<Option<SessionSnapshot>, Fault> {
    take_session(&mut Columns::of_answer(row))
}

pub(crate) fn account_question(id: AccountId) -> Question {
    let mut selection = Selection::default();
    let id = selection.bind(stored_id(id), "bigint");
    selection.join("accounts", "a", &format!("a.id = {id}"));
    selection.columns(&account::columns("a"));
    selection.into_question()
}

pub(crate) fn one_account(row: &Row) -> Result<Option<Versioned<Account>>, Fault> {
    account::take(&mut Columns::of_answer(row))
}

/// The live account that holds a number.
pub(crate) fn account_of_question(mobile: &Mobile) -> Question {
    let mut selection = Selection::default();
    let mobile = selection.bind(stored_text(mobile.as_str()), "text");
    selection.join("accounts", "m", &format!("m.mobile = {mobile} AND {}", live("m")));
    selection.columns(&account::columns("m"));
    selection.into_question()
}

pub(crate) fn accounts_statement(after: Option<AccountId>, limit: usize) -> Statement {
    let text = format!(
        "SELECT {} FROM accounts a WHERE a.id > $1::bigint ORDER BY a.id LIMIT $2::bigint",
        account::columns("a")
    );
    let after = after.map_or(0, stored_id);
    let limit = i64::try_from(limit).unwrap_or(i64::MAX);
    Statement { text: text.into(), parameters: vec![Box::new(after), Box::new(limit)] }
}

/// The accounts after an id, in order.
pub(crate) async fn accounts(
    client: &Client,
    after: Option<AccountId>,
    limit: usize,
) -> Result<Vec<Versioned<Account>>, Fault> {
    let statement = accounts_statement(after, limit);
    let prepared = client.prepare_cached(&statement.text).await?;
    let rows = client.query(&prepared, &statement.references()).await?;
    let found = rows.iter().map(|row| account::take(&mut Columns::new(row)));
    Ok(found.collect::<Result<Vec<_>, _>>()?.into_iter().flatten().collect())
}

/// The proofs after an id, in order.
pub(crate) async fn proofs(
    client: &Client,
    after: Option<ProofId>,
    limit: usize,
) -> Result<Vec<(ProofId, Proof)>, Fault> {
    let statement = proof::proofs_statement(after, limit);
    let prepared = client.prepare_cached(&statement.text).await?;
    let rows = client.query(&prepared, &statement.references()).await?;
    rows.iter().map(|row| proof::take_named(&mut Columns::new(row))).collect()
}

/// The marks after another, in order.
pub(crate) async fn spent(
    client: &Client,
    after: Option<SpentMark>,
    limit: usize,
) -> Result<Vec<(SpentMark, Timestamp)>, Fault> {
    let statement = proof::spent_statement(after, limit);
    let prepared = client.prepare_cached(&statement.text).await?;
    let rows = client.query(&prepared, &statement.references()).await?;
    rows.iter().map(|row| proof::take_spent(&mut Columns::new(row))).collect()
}

/// What became of reading some accounts.
#[derive(Default)]
pub(crate) struct Page {
    pub(crate) rows: u64,
    pub(crate) unreadable: u64,
    /// The last id; `None` where there were none.
    pub(crate) last: Option<i64>,
}

/// Reads the accounts after an id, whether or not they can be read.
pub(crate) async fn page(client: &Client, after: i64, limit: usize) -> Result<Page, Fault> {
    let mut statement = accounts_statement(None, limit);
    if let Some(first) = statement.parameters.first_mut() {
        *first = Box::new(after);
    }
    let prepared = client.prepare_cached(&statement.text).await?;
    let mut page = Page::default();
    for row in client.query(&prepared, &statement.references()).await? {
        page.rows += 1;
        page.unreadable += u64::from(account::take(&mut Columns::new(&row)).is_err());
        page.last = Some(row.try_get(0)?);
    }
    Ok(page)
}

pub(crate) fn sessions_of_statement(accounts: &[AccountId]) -> Statement {
    let text = format!("SELECT {} FROM sessions s WHERE s.account_id = ANY ($1::bigint[])", session::columns("s"));
    let accounts: Vec<i64> = accounts.iter().copied().map(stored_id).collect();
    Statement { text: text.into(), parameters: vec![Box::new(accounts)] }
}

pub(crate) async fn sessions_of(client: &Client, accounts: &[AccountId]) -> Result<Vec<Session>, Fault> {
    let statement = sessions_of_statement(accounts);
    let prepared = client.prepare_cached(&statement.text).await?;
    let rows = client.query(&prepared, &statement.references()).await?;
    let found = rows.iter().map(|row| session::take(&mut Columns::new(row)));
    Ok(found.collect::<Result<Vec<_>, _>>()?.into_iter().flatten().collect())
}

/// The messages that a statement selects, in its order.
pub(crate) async fn messages(client: &Client, statement: Statement) -> Result<Vec<Versioned<OutboxMessage>>, Fault> {
    let prepared = client.prepare_cached(&statement.text).await?;
    let rows = client.query(&prepared, &statement.references()).await?;
    rows.iter().map(|row| message::take(&mut Columns::new(row))).collect()
}
