//! Loading what decisions are made on, straight from the tree.

use std::collections::{BTreeSet, HashMap};

use mobile_bind_domain::bind::BindReceipt;
use mobile_bind_domain::ports::{
    BindQuery, BindSnapshot, CallerQuery, Contested, EarlierBind, Evidence, EvidenceQuery, LogInQuery, LogInSnapshot,
    ReceiptSnapshot, SendQuery, SendSnapshot, SessionSnapshot,
};
use mobile_bind_domain::referrer::ReferrerName;
use mobile_bind_domain::{
    Account, AccountId, ChallengeKey, IdempotencyName, IdempotencyRecord, IdempotentOutcome, MemberCode, Proof,
    ProofId, Session, SessionId, SpentMark, Subject, Tally, Timestamp, Versioned,
};

use crate::blocks::Blocks;
use crate::fault::Fault;
use crate::layout::{self, Key};
use crate::records::{self, Spent};
use crate::source::{Source, session_id};
use crate::view::Reader;

pub(crate) fn for_send(reader: &Reader<'_>, query: &SendQuery) -> Result<SendSnapshot, Fault> {
    let caller = query.session.map_or(Ok(None), |id| session(reader, id))?;
    let mut subjects = query.subjects();
    subjects.extend(caller.as_ref().map(|caller| Subject::SendsOf(caller.account.value.id)));
    Ok(SendSnapshot {
        challenge: reader.record(&layout::challenge(&query.key))?,
        caller,
        earlier: query.idempotency.map_or(Ok(None), |name| reader.record(&layout::idempotency(name)))?,
        tallies: tallies(reader, subjects)?,
    })
}

pub(crate) fn for_bind(reader: &Reader<'_>, query: &BindQuery) -> Result<BindSnapshot, Fault> {
    let mut snapshot = BindSnapshot {
        challenge: reader.record(&layout::challenge(&query.key))?,
        receipt: receipt(reader, &query.key)?,
        earlier: query.idempotency.map_or(Ok(None), |name| earlier(reader, name))?,
        mobile_holder: holder(reader, &layout::by_mobile(&query.key.mobile))?,
        tallies: tallies(reader, query.subjects())?,
        evidence: evidence(reader, &query.evidence)?,
        ..BindSnapshot::default()
    };
    match &query.caller {
        CallerQuery::Identity { identity, unionid, session: by_token } => {
            snapshot.session = by_token.map_or(Ok(None), |id| session(reader, id))?;
            // A unionid comes without its platform; where there is no openid either, the bind is refused for that.
            if let Some(identity) = identity {
                snapshot.identity_holder = holder(reader, &layout::by_identity(identity))?;
                let index = unionid.as_ref().map(|unionid| layout::by_unionid(identity.platform, unionid));
                snapshot.unionid_holder = index.map_or(Ok(None), |index| holder(reader, &index))?;
            }
        }
        CallerQuery::Session(Some(id)) => snapshot.session = session(reader, *id)?,
        CallerQuery::Session(None) => {}
    }
    complete(reader, query, &mut snapshot)?;
    if let Some(name) = &query.referrer {
        snapshot.referrer = referrer(reader, name)?;
    }
    Ok(snapshot)
}

/// What depends on who the caller is, and is wanted: the code sent to the number that he has now, or when the number's holder
/// was last seen.
fn complete(reader: &Reader<'_>, query: &BindQuery, snapshot: &mut BindSnapshot) -> Result<(), Fault> {
    let BindSnapshot { identity_holder, unionid_holder, session, .. } = &*snapshot;
    let former = query.former_mobile(identity_holder.as_ref(), unionid_holder.as_ref(), session.as_ref());
    if let Some(mobile) = former.cloned() {
        let key = ChallengeKey { mobile, client: query.key.client.clone() };
        snapshot.former_challenge = reader.record(&layout::challenge(&key))?;
        snapshot.tallies.extend(tallies(reader, [Subject::FailuresOn(key.mobile)])?);
    }
    if let Some(holder) = snapshot.mobile_holder.as_ref().filter(|_| query.holder_use) {
        let sessions = sessions_of(reader, holder.value.id)?;
        snapshot.holder_used_at = sessions.iter().map(|session| session.used_at).max();
    }
    Ok(())
}

pub(crate) fn for_log_in(reader: &Reader<'_>, query: &LogInQuery) -> Result<LogInSnapshot, Fault> {
    let by_unionid = query.unionid.as_ref().map(|unionid| layout::by_unionid(query.identity.platform, unionid));
    Ok(LogInSnapshot {
        identity_holder: holder(reader, &layout::by_identity(&query.identity))?,
        unionid_holder: by_unionid.map_or(Ok(None), |index| holder(reader, &index))?,
        contested: Contested::default(),
        evidence: evidence(reader, &query.evidence)?,
    })
}

fn evidence(reader: &Reader<'_>, query: &EvidenceQuery) -> Result<Evidence, Fault> {
    let proof = query.proof.map_or(Ok(None), |id| reader.record::<Proof>(&layout::proof(id)))?;
    let mut spent = Vec::new();
    for mark in &query.marks {
        if reader.value(layout::spent(*mark).as_bytes())?.is_some() {
            spent.push(*mark);
        }
    }
    Ok(Evidence { proof: proof.map(|proof| proof.value), spent })
}

/// The proofs after an id, in order.
pub(crate) fn proofs(
    reader: &Reader<'_>,
    after: Option<ProofId>,
    limit: usize,
) -> Result<Vec<(ProofId, Proof)>, Fault> {
    let entries = reader.range(layout::kind_after(layout::PROOF, after.map(layout::proof))).take(limit);
    let read =
        |(key, value): (sled::IVec, sled::IVec)| Ok((ProofId(named(&key)?), records::decode::<Proof>(&value)?.value));
    entries.map(|entry| read(entry?)).collect()
}

/// The marks after another, in order.
pub(crate) fn spent(
    reader: &Reader<'_>,
    after: Option<SpentMark>,
    limit: usize,
) -> Result<Vec<(SpentMark, Timestamp)>, Fault> {
    let entries = reader.range(layout::kind_after(layout::SPENT, after.map(layout::spent))).take(limit);
    let read = |(key, value): (sled::IVec, sled::IVec)| {
        Ok((SpentMark(named(&key)?), records::decode::<Spent>(&value)?.value.until))
    };
    entries.map(|entry| read(entry?)).collect()
}

/// The 32 bytes that a key has after its kind.
fn named(key: &[u8]) -> Result<[u8; 32], Fault> {
    key.split_first().and_then(|(_, name)| name.try_into().ok()).ok_or(Fault::Unreadable("key"))
}

/// A session and its account.
pub(crate) fn session(reader: &Reader<'_>, id: SessionId) -> Result<Option<SessionSnapshot>, Fault> {
    let Some(Versioned { value: session, .. }) = reader.record::<Session>(&layout::session(id))? else {
        return Ok(None);
    };
    let account = reader.record(&layout::account(session.account))?;
    Ok(account.map(|account| SessionSnapshot { session, account }))
}

/// The accounts after an id, in order.
pub(crate) fn accounts(
    reader: &Reader<'_>,
    after: Option<AccountId>,
    limit: usize,
) -> Result<Vec<Versioned<Account>>, Fault> {
    let entries = reader.range(layout::accounts_after(after)).take(limit);
    entries.map(|entry| records::decode(&entry?.1)).collect()
}

/// The largest account id in the database.
pub(crate) fn last_account(blocks: &Blocks) -> Result<Option<AccountId>, Fault> {
    let last = blocks.last(layout::ACCOUNT)?;
    last.map(|(_, value)| records::decode::<Account>(&value).map(|account| account.value.id)).transpose()
}

pub(crate) fn sessions_of(reader: &Reader<'_>, account: AccountId) -> Result<Vec<Session>, Fault> {
    let mut sessions = Vec::new();
    for entry in reader.range(layout::all_sessions_of(account)) {
        let (_, id) = entry?;
        let session = reader.record::<Session>(&layout::session(session_id(&id)?))?;
        sessions.extend(session.map(|session| session.value));
    }
    Ok(sessions)
}

/// The sessions of several accounts: in one pass where they are neighbours, since each pass goes through all that is new.
pub(crate) fn sessions_of_all(reader: &Reader<'_>, accounts: &[AccountId]) -> Result<Vec<Session>, Fault> {
    let wanted: BTreeSet<AccountId> = accounts.iter().copied().collect();
    let (Some(first), Some(last)) = (wanted.first(), wanted.last()) else { return Ok(Vec::new()) };
    let mut sessions = Vec::new();
    if last.get() - first.get() > 16 * wanted.len() as u64 {
        for account in wanted {
            sessions.extend(sessions_of(reader, account)?);
        }
        return Ok(sessions);
    }
    for entry in reader.range(layout::all_sessions_of(*first).start..layout::all_sessions_of(*last).end) {
        let (_, id) = entry?;
        let session = reader.record::<Session>(&layout::session(session_id(&id)?))?;
        sessions.extend(session.map(|session| session.value).filter(|session| wanted.contains(&session.account)));
    }
    Ok(sessions)
}

fn receipt(reader: &Reader<'_>, key: &ChallengeKey) -> Result<Option<ReceiptSnapshot>, Fault> {
    let Some(Versioned { value: receipt, .. }) = reader.record::<BindReceipt>(&layout::receipt(key))? else {
        return Ok(None);
    };
    let session = receipt.session.map_or(Ok(None), |id| session(reader, id))?;
    Ok(Some(ReceiptSnapshot { receipt, session }))
}

fn earlier(reader: &Reader<'_>, name: IdempotencyName) -> Result<Option<EarlierBind>, Fault> {
    let Some(record) = reader.record::<IdempotencyRecord>(&layout::idempotency(name))? else { return Ok(None) };
    let session = match record.value.outcome {
        IdempotentOutcome::Bound { session: Some(id), .. } => session(reader, id)?,
        _ => None,
    };
    Ok(Some(EarlierBind { record, session }))
}

/// The account that an index leads to. Indexes lead to live accounts alone.
pub(crate) fn holder(reader: &Reader<'_>, index: &Key) -> Result<Option<Versioned<Account>>, Fault> {
    reader.account_at(index)?.map_or(Ok(None), |id| reader.record(&layout::account(id)))
}

fn referrer(reader: &Reader<'_>, name: &ReferrerName) -> Result<Option<Account>, Fault> {
    let found: Option<Versioned<Account>> = match name {
        ReferrerName::Id(id) => reader.record(&layout::account(*id))?,
        ReferrerName::Mobile(mobile) => holder(reader, &layout::by_mobile(mobile))?,
        ReferrerName::Code(code) => member(reader, code)?,
    };
    Ok(found.map(|found| found.value).filter(Account::is_live))
}

/// The live account with a member code: its own by right, or one that it was given.
fn member(reader: &Reader<'_>, code: &MemberCode) -> Result<Option<Versioned<Account>>, Fault> {
    if let Some(id) = code.account() {
        let by_right: Option<Versioned<Account>> = reader.record(&layout::account(id))?;
        if let Some(found) = by_right.filter(|found| found.value.held_member_code() == Some(code)) {
            return Ok(Some(found));
        }
    }
    holder(reader, &layout::by_member_code(code))
}

fn tallies(reader: &Reader<'_>, subjects: impl IntoIterator<Item = Subject>) -> Result<HashMap<Subject, Tally>, Fault> {
    let mut tallies = HashMap::new();
    for subject in subjects {
        if let Some(tally) = reader.record::<Tally>(&layout::tally(&subject))? {
            tallies.insert(subject, tally.value);
        }
    }
    Ok(tallies)
}
