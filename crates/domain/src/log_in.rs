//! A mini-program's log-in: the platform has said who it is; whose account that is, and what is remembered of it.

use crate::bind::{Bound, ProvedIdentity, may_log_in};
use crate::ports::{EvidenceQuery, LogInQuery, LogInSnapshot, OpenedSession, PlatformUser};
use crate::{
    Account, Change, Identity, Policy, Proof, ProofId, Refusal, Requester, Session, SpentMark, Timestamp, UnionId,
    Versioned, Write,
};

/// A log-in that the platform has vouched for.
#[derive(Clone, Debug)]
pub struct LogIn {
    requester: Requester,
    identity: Identity,
    user: PlatformUser,
    /// Of the log-in code: it counts once, whatever the platform thinks of it.
    code: SpentMark,
}

/// Who logged in.
#[derive(Clone, Debug)]
pub enum LogInOutcome {
    /// Somebody who has an account.
    Entered(Box<Bound>),
    /// Somebody who has none yet.
    Stranger,
}

/// What to commit, and what to answer once it is committed.
#[derive(Clone, Debug)]
pub struct LogInDecision {
    /// What to commit.
    pub change: Change,
    /// What to answer then.
    pub answer: Result<LogInOutcome, Refusal>,
}

impl LogIn {
    /// A log-in by that code of whom the platform named.
    #[must_use]
    pub fn new(requester: Requester, identity: Identity, user: PlatformUser, code: &str) -> Self {
        let parts = [identity.platform.name().as_bytes(), identity.app.as_str().as_bytes(), code.as_bytes()];
        Self { code: SpentMark::of(b"log-in code", &parts), requester, identity, user }
    }

    /// What the decision needs.
    #[must_use]
    pub fn query(&self) -> LogInQuery {
        let evidence = EvidenceQuery { proof: None, marks: vec![self.code] };
        LogInQuery { identity: self.identity.clone(), unionid: self.user.unionid.clone(), evidence }
    }

    /// Who the platform said that it is.
    #[must_use]
    pub fn identity(&self) -> &Identity {
        &self.identity
    }

    /// The unionid that came with it.
    #[must_use]
    pub fn unionid(&self) -> Option<&UnionId> {
        self.user.unionid.as_ref()
    }
}

/// Decides a log-in.
#[must_use]
pub fn decide(
    snapshot: &LogInSnapshot,
    command: &LogIn,
    fresh: &OpenedSession,
    policy: &Policy,
    now: Timestamp,
) -> LogInDecision {
    if snapshot.evidence.spent.contains(&command.code) {
        let refusal = Refusal::Platform(crate::ports::PlatformFailure::Stale);
        return LogInDecision { change: Change::default(), answer: Err(refusal) };
    }
    let mut change = Change::writing(Write::Spend(command.code, now.after(policy.log_in_code_lifetime)));
    if let Some(installation) = &command.requester.installation {
        let PlatformUser { unionid, session_key, .. } = command.user.clone();
        let proof = Proof::new(unionid, session_key, now, policy.proof_lifetime);
        change.writes.push(Write::Proof(ProofId::of(installation, &command.identity), proof));
    }
    let contested = snapshot.contested;
    if snapshot.identity_holder.is_none() && (contested.identity || contested.unionid) {
        return LogInDecision { change, answer: Err(Refusal::HeldBySeveral) };
    }
    let Some(holder) = snapshot.identity_holder.as_ref().or(snapshot.unionid_holder.as_ref()) else {
        return LogInDecision { change, answer: Ok(LogInOutcome::Stranger) };
    };
    if let Err(refusal) = may_log_in(&holder.value) {
        // That the openid is proved holds all the same.
        return LogInDecision { change, answer: Err(refusal) };
    }
    let mut account = identified(snapshot, holder, command, now);
    account.note_presence(now, policy.numbers.recycled_after);
    if account == holder.value {
        change.expectations.push(crate::Expectation::Account(account.id, holder.revision));
    } else {
        change.writes.push(Write::Account { expected: holder.revision, account: Box::new(account.clone()) });
    }
    let OpenedSession { id, seed, key } = fresh.clone();
    let client_type = command.requester.client_type;
    let session = Session { id, seed, key, account: account.id, client_type, issued_at: now, used_at: now };
    change.writes.push(Write::OpenSession(session.clone()));
    LogInDecision { change, answer: Ok(LogInOutcome::Entered(Box::new(Bound { account, session }))) }
}

/// The account, with what the platform told filled in where nothing was known.
fn identified(snapshot: &LogInSnapshot, holder: &Versioned<Account>, command: &LogIn, now: Timestamp) -> Account {
    let mut account = holder.value.clone();
    let platform = command.identity.platform;
    let proved = ProvedIdentity::by_platform(command.identity.clone(), command.user.unionid.clone());
    if account.identities.get(&platform).is_none_or(|known| known.openid.is_none()) {
        account.take_identity(&proved);
    }
    let held = account.held_identities().any(|identity| identity == command.identity);
    let by_another = snapshot.contested.unionid
        || snapshot.unionid_holder.as_ref().is_some_and(|found| found.value.id != account.id);
    if let Some(unionid) = proved.unionid().filter(|_| held && !by_another) {
        account.fill_unionid(platform, unionid);
    }
    if account != holder.value {
        account.updated_at = Some(now);
    }
    account
}
