//! What a bind is decided on: what can be asked for by what the request says, and then the shop's rows that this leads to.

use std::collections::{BTreeSet, HashMap};

use mobile_bind_domain::bind::BindReceipt;
use mobile_bind_domain::ports::{
    BindQuery, BindSnapshot, CallerQuery, EarlierBind, Evidence, ReceiptSnapshot, SessionSnapshot,
};
use mobile_bind_domain::{
    AccountId, Challenge, ChallengeKey, IdempotencyRecord, IdempotentOutcome, Identity, Session, SessionId, Subject,
    Tally, Timestamp, UnionId, Versioned,
};
use mysql_async::Conn;

use crate::fault::Fault;
use crate::load::{claims_of, holders, settled};
use crate::question::Question;
use crate::records::{challenge, idempotency, proof, receipt, tally};
use crate::shop::account::AskedReferrer;
use crate::shop::claims::Claim;
use crate::shop::session::AskedSession;
use crate::shop::{account, session};
use crate::tables::Tables;

/// What the request's own keys lead to.
pub(crate) struct BindLead {
    challenge: Option<Versioned<Challenge>>,
    receipt: Option<BindReceipt>,
    earlier: Option<Versioned<IdempotencyRecord>>,
    tallies: HashMap<Subject, Tally>,
    evidence: Evidence,
    session: Option<Session>,
    /// Accounts that may be what is asked for.
    accounts: BTreeSet<AccountId>,
}

impl BindLead {
    /// One question.
    pub(crate) async fn ask(conn: &mut Conn, tables: &Tables, query: &BindQuery) -> Result<Self, Fault> {
        let mut question = Question::default();
        let challenge = challenge::ask(&mut question, &query.key);
        let receipt = receipt::ask(&mut question, &query.key);
        let earlier = query.idempotency.map(|name| idempotency::ask(&mut question, name));
        let tallies = tally::ask(&mut question, query.subjects());
        let evidence = proof::ask(&mut question, &query.evidence);
        let (identity, unionid, session) = caller(query);
        let session = session.map(|id| AskedSession::ask(&mut question, tables, id));
        let claims = claims_of(identity, unionid).into_iter().chain([mobile(query)]);
        let holders: Vec<_> = claims.filter_map(|claim| account::ask_holders(&mut question, tables, &claim)).collect();
        let referrer = query.referrer.as_ref().map(|name| AskedReferrer::ask(&mut question, tables, name));
        let answer = question.ask(conn).await?;
        let mut accounts = referrer.map_or_else(|| Ok(BTreeSet::new()), |referrer| referrer.ids(&answer))?;
        for asked in &holders {
            accounts.extend(answer.all(asked)?);
        }
        let session = session.map_or(Ok(None), |session| session.found(&answer))?;
        accounts.extend(session.as_ref().map(|session| session.account));
        Ok(Self {
            challenge: answer.one(Some(&challenge))?,
            receipt: answer.one(Some(&receipt))?,
            earlier: answer.one(earlier.as_ref())?,
            tallies: tallies.found(&answer)?,
            evidence: evidence.found(&answer)?,
            session,
            accounts,
        })
    }

    fn session_of_receipt(&self) -> Option<SessionId> {
        self.receipt.as_ref()?.session
    }

    fn session_of_earlier(&self) -> Option<SessionId> {
        if let IdempotentOutcome::Bound { session, .. } = self.earlier.as_ref()?.value.outcome { session } else { None }
    }

    /// Whether there is more to be read.
    pub(crate) fn leads_on(&self) -> bool {
        !self.accounts.is_empty() || self.session_of_receipt().is_some() || self.session_of_earlier().is_some()
    }

    /// Reads what this leads to. Nothing is asked where it does not.
    pub(crate) async fn follow(
        mut self,
        conn: &mut Conn,
        tables: &Tables,
        query: &BindQuery,
    ) -> Result<BindSnapshot, Fault> {
        let of_receipt = session_by_id(conn, tables, self.session_of_receipt()).await?;
        let of_earlier = session_by_id(conn, tables, self.session_of_earlier()).await?;
        let sessions = of_receipt.iter().chain(&of_earlier);
        self.accounts.extend(sessions.map(|session| session.account));
        let accounts = account::read_all(conn, tables, &self.accounts).await?;
        let with_account =
            |session: Session| accounts.get(session.account).map(|account| SessionSnapshot { session, account });
        let (identity, unionid, _) = caller(query);
        let mut found = BindSnapshot {
            challenge: self.challenge,
            receipt: self
                .receipt
                .map(|receipt| ReceiptSnapshot { receipt, session: of_receipt.and_then(with_account) }),
            earlier: self.earlier.map(|record| EarlierBind { record, session: of_earlier.and_then(with_account) }),
            session: self.session.and_then(with_account),
            tallies: self.tallies,
            evidence: self.evidence,
            referrer: query.referrer.as_ref().and_then(|name| account::referrer(&accounts, name)),
            ..BindSnapshot::default()
        };
        found.mobile_holder = settled(accounts.holder(&mobile(query)), &mut found.contested.mobile);
        (found.identity_holder, found.unionid_holder) = holders(&accounts, identity, unionid, &mut found.contested);
        found.holder_used_at = match &found.mobile_holder {
            Some(holder) if query.holder_use => used_at(conn, tables, holder.value.id).await?,
            _ => None,
        };
        load_former(conn, query, &mut found).await?;
        Ok(found)
    }
}

fn mobile(query: &BindQuery) -> Claim {
    Claim::Mobile(query.key.mobile.clone())
}

/// The caller's identity, unionid and session.
fn caller(query: &BindQuery) -> (Option<&Identity>, Option<&UnionId>, Option<SessionId>) {
    match &query.caller {
        CallerQuery::Session(id) => (None, None, *id),
        CallerQuery::Identity { identity, unionid, session } => (identity.as_ref(), unionid.as_ref(), *session),
    }
}

async fn session_by_id(conn: &mut Conn, tables: &Tables, id: Option<SessionId>) -> Result<Option<Session>, Fault> {
    match id {
        Some(id) => session::by_id(conn, tables, id).await,
        None => Ok(None),
    }
}

async fn used_at(conn: &mut Conn, tables: &Tables, account: AccountId) -> Result<Option<Timestamp>, Fault> {
    let sessions = session::of_accounts(conn, tables, &[account]).await?;
    Ok(sessions.into_iter().map(|session| session.used_at).max())
}

/// What there is for the number that the caller has now.
async fn load_former(conn: &mut Conn, query: &BindQuery, found: &mut BindSnapshot) -> Result<(), Fault> {
    let former =
        query.former_mobile(found.identity_holder.as_ref(), found.unionid_holder.as_ref(), found.session.as_ref());
    let Some(former) = former.cloned() else { return Ok(()) };
    let key = ChallengeKey { mobile: former, client: query.key.client.clone() };
    let mut question = Question::default();
    let challenge = challenge::ask(&mut question, &key);
    let failures = tally::ask(&mut question, [Subject::FailuresOn(key.mobile)]);
    let answer = question.ask(conn).await?;
    found.former_challenge = answer.one(Some(&challenge))?;
    found.tallies.extend(failures.found(&answer)?);
    Ok(())
}
