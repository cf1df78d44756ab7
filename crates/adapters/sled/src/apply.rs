//! What each expectation and each write of a change means for the records and the indexes.

use mobile_bind_domain::{
    Account, AccountId, Challenge, Change, ClientType, Expectation, IdempotencyName, IdempotencyRecord, MemberCode,
    Proof, ProofId, Quota, Revision, Session, SessionId, SpentMark, Subject, Tally, Timestamp, Versioned, Write,
};

use crate::audit;
use crate::fault::{Fault, Rejection};
use crate::group::Scratch;
use crate::layout::{self, Key};
use crate::messages;
use crate::records::Spent;
use crate::source::Source;

/// Checks the change and writes it.
pub(crate) fn apply(scratch: &mut Scratch<'_>, change: &Change) -> Result<(), Rejection> {
    for expectation in &change.expectations {
        let holds = match expectation {
            Expectation::Account(id, revision) => scratch.revision(&layout::account(*id))? == *revision,
            Expectation::Challenge(key, revision) => scratch.revision(&layout::challenge(key))? == *revision,
            Expectation::Idempotency(name, revision) => scratch.revision(&layout::idempotency(*name))? == *revision,
            Expectation::Room { subject, at, kept } => {
                let tally =
                    scratch.record::<Tally>(&layout::tally(subject))?.map(|found| found.value).unwrap_or_default();
                tally.wait(kept, *at).is_none()
            }
            Expectation::Session(id) => scratch.value(layout::session(*id).as_bytes())?.is_some(),
        };
        demand(holds)?;
    }
    let mut place = 0_u8;
    for write in &change.writes {
        if let Write::Audit(event) = write {
            audit::add(scratch, place, event)?;
            place = place.saturating_add(1);
        } else {
            apply_write(scratch, write)?;
        }
    }
    Ok(())
}

pub(crate) fn demand(holds: bool) -> Result<(), Rejection> {
    if holds { Ok(()) } else { Err(Rejection::Conflict) }
}

fn apply_write(scratch: &mut Scratch<'_>, write: &Write) -> Result<(), Rejection> {
    match write {
        Write::Account { expected, account } => put_account(scratch, *expected, account)?,
        Write::Challenge { expected, key, challenge } => {
            put_challenge(scratch, *expected, layout::challenge(key), challenge.as_ref())?;
        }
        Write::OpenSession(session) => open_session(scratch, session)?,
        Write::UseSession(id, at) => use_session(scratch, *id, *at)?,
        Write::EndSession(id) => end_session(scratch, *id)?,
        Write::EndSessions { account, except } => end_sessions(scratch, *account, *except)?,
        // Those have a place in their change.
        Write::Audit(_) => {}
        Write::AuditCopy(event) => audit::copy(scratch, event),
        Write::Checkpoint(checkpoint) => audit::seal(scratch, checkpoint)?,
        Write::DropSegment { node, segment, last } => audit::drop_segment(scratch, *node, *segment, *last)?,
        Write::Receipt(key, receipt) => scratch.put(layout::receipt(key), receipt)?,
        Write::Idempotency { expected, name, record } => put_idempotency(scratch, *expected, *name, record.as_ref())?,
        Write::Count { subject, at, kept, watched } => count(scratch, subject, *at, kept, watched)?,
        Write::CountMany { subject, at, events, watched } => count_many(scratch, subject, *at, *events, watched)?,
        Write::Forget { subject, window } => change_tally(scratch, subject, |tally| tally.forget(*window))?,
        Write::Uncount { subject, at } => change_tally(scratch, subject, |tally| tally.remove(*at))?,
        Write::Proof(id, proof) => scratch.put(layout::proof(*id), proof)?,
        Write::UseProof(id, until) => use_proof(scratch, *id, *until)?,
        Write::Spend(mark, until) => spend(scratch, *mark, *until)?,
        Write::Message { expected, message } => messages::put(scratch, *expected, message)?,
    }
    Ok(())
}

fn put_account(scratch: &mut Scratch<'_>, expected: Revision, account: &Account) -> Result<(), Rejection> {
    let key = layout::account(account.id);
    let old: Option<Versioned<Account>> = scratch.record(&key)?;
    demand(Versioned::revision_of(old.as_ref()) == expected)?;

    demand(own_code_is_free(scratch, account)?)?;
    let claims = claims(account);
    for claim in old.iter().flat_map(|old| self::claims(&old.value)) {
        if !claims.contains(&claim) && scratch.account_at(&claim)? == Some(account.id) {
            scratch.remove(claim);
        }
    }
    for claim in claims {
        match scratch.account_at(&claim)? {
            Some(holder) => demand(holder == account.id)?,
            None => scratch.put_value(claim, &account.id.get().to_be_bytes()),
        }
    }
    scratch.put(key, account)?;
    Ok(())
}

/// Whether nobody else has the account's member code, as far as no index entry of its own claims it: a code that is made of
/// an account's id leads to that account by itself, and to another by an index entry.
fn own_code_is_free(scratch: &Scratch<'_>, account: &Account) -> Result<bool, Fault> {
    let Some(code) = account.held_member_code() else { return Ok(true) };
    match code.account() {
        Some(id) if id == account.id => Ok(scratch.account_at(&layout::by_member_code(code))?.is_none()),
        Some(id) => {
            let owner: Option<Versioned<Account>> = scratch.record(&layout::account(id))?;
            Ok(owner.is_none_or(|owner| owner.value.held_member_code() != Some(code)))
        }
        None => Ok(true),
    }
}

/// The index entries that lead to an account: none where it is not live, and none for a code that is made of its id.
pub(crate) fn claims(account: &Account) -> Vec<Key> {
    let mobile = account.held_mobile().map(layout::by_mobile);
    let given = |code: &&MemberCode| code.account() != Some(account.id);
    let member_code = account.held_member_code().filter(given).map(layout::by_member_code);
    let identities = account.held_identities().map(|identity| layout::by_identity(&identity));
    let unionids = account.held_unionids().map(|(platform, unionid)| layout::by_unionid(platform, unionid));
    mobile.into_iter().chain(member_code).chain(identities).chain(unionids).collect()
}

fn put_challenge(
    scratch: &mut Scratch<'_>,
    expected: Revision,
    key: Key,
    challenge: Option<&Challenge>,
) -> Result<(), Rejection> {
    demand(scratch.revision(&key)? == expected)?;
    match challenge {
        Some(challenge) => scratch.put(key, challenge)?,
        None => scratch.remove(key),
    }
    Ok(())
}

fn put_idempotency(
    scratch: &mut Scratch<'_>,
    expected: Revision,
    name: IdempotencyName,
    record: Option<&IdempotencyRecord>,
) -> Result<(), Rejection> {
    let key = layout::idempotency(name);
    demand(scratch.revision(&key)? == expected)?;
    match record {
        Some(record) => scratch.put(key, record)?,
        None => scratch.remove(key),
    }
    Ok(())
}

fn open_session(scratch: &mut Scratch<'_>, session: &Session) -> Result<(), Fault> {
    let index = layout::session_of(session.account, session.client_type);
    if let Some(replaced) = scratch.session_at(&index)? {
        scratch.remove(layout::session(replaced));
    }
    scratch.put_value(index, &session.id.0);
    scratch.put(layout::session(session.id), session)
}

fn use_session(scratch: &mut Scratch<'_>, id: SessionId, at: Timestamp) -> Result<(), Fault> {
    let key = layout::session(id);
    let Some(Versioned { value: mut session, .. }) = scratch.record::<Session>(&key)? else { return Ok(()) };
    // Two uses may arrive the wrong way round.
    session.used_at = session.used_at.max(at);
    scratch.put(key, &session)
}

fn end_sessions(scratch: &mut Scratch<'_>, account: AccountId, except: Option<ClientType>) -> Result<(), Fault> {
    for client_type in ClientType::ALL.into_iter().filter(|&client_type| Some(client_type) != except) {
        let index = layout::session_of(account, client_type);
        if let Some(id) = scratch.session_at(&index)? {
            scratch.remove(layout::session(id));
            scratch.remove(index);
        }
    }
    Ok(())
}

/// Ends a session, if it is there.
pub(crate) fn end_session(scratch: &mut Scratch<'_>, id: SessionId) -> Result<(), Fault> {
    let key = layout::session(id);
    let Some(Versioned { value: session, .. }) = scratch.record::<Session>(&key)? else { return Ok(()) };
    let index = layout::session_of(session.account, session.client_type);
    if scratch.session_at(&index)? == Some(id) {
        scratch.remove(index);
    }
    scratch.remove(key);
    Ok(())
}

fn count(
    scratch: &mut Scratch<'_>,
    subject: &Subject,
    at: Timestamp,
    kept: &[Quota],
    watched: &[Quota],
) -> Result<(), Rejection> {
    let key = layout::tally(subject);
    let mut tally = scratch.record::<Tally>(&key)?.map(|found| found.value).unwrap_or_default();
    demand(tally.wait(kept, at).is_none())?;
    tally.add(kept.iter().chain(watched), at);
    put_tally(scratch, key, &tally)?;
    Ok(())
}

fn count_many(
    scratch: &mut Scratch<'_>,
    subject: &Subject,
    at: Timestamp,
    events: u32,
    watched: &[Quota],
) -> Result<(), Fault> {
    let key = layout::tally(subject);
    let mut tally = scratch.record::<Tally>(&key)?.map(|found| found.value).unwrap_or_default();
    tally.add_many(watched.iter(), at, events);
    put_tally(scratch, key, &tally)
}

/// Changes what was counted of a subject, if there is anything.
fn change_tally(scratch: &mut Scratch<'_>, subject: &Subject, change: impl FnOnce(&mut Tally)) -> Result<(), Fault> {
    let key = layout::tally(subject);
    let Some(Versioned { value: mut tally, .. }) = scratch.record::<Tally>(&key)? else { return Ok(()) };
    change(&mut tally);
    put_tally(scratch, key, &tally)
}

fn put_tally(scratch: &mut Scratch<'_>, key: Key, tally: &Tally) -> Result<(), Fault> {
    if tally.meters.iter().all(|meter| meter.events.is_empty()) {
        scratch.remove(key);
        return Ok(());
    }
    scratch.put(key, tally)
}

fn use_proof(scratch: &mut Scratch<'_>, id: ProofId, until: Timestamp) -> Result<(), Fault> {
    let key = layout::proof(id);
    let Some(Versioned { value: mut proof, .. }) = scratch.record::<Proof>(&key)? else { return Ok(()) };
    proof.expires_at = proof.expires_at.max(until);
    scratch.put(key, &proof)
}

fn spend(scratch: &mut Scratch<'_>, mark: SpentMark, until: Timestamp) -> Result<(), Rejection> {
    let key = layout::spent(mark);
    demand(scratch.value(key.as_bytes())?.is_none())?;
    scratch.put(key, &Spent { until })?;
    Ok(())
}

/// The accounts that a change writes.
pub(crate) fn accounts_in(change: &Change) -> impl Iterator<Item = AccountId> {
    change.writes.iter().filter_map(|write| match write {
        Write::Account { account, .. } => Some(account.id),
        _ => None,
    })
}
