//! Who is the caller, and which account gets the number.

use super::command::{Bind, ClaimedIdentity, ProofOfIdentity};
use super::receipt::BindReceipt;
use crate::account::{Account, AccountId, AccountStatus};
use crate::challenge::VerifiedMobile;
use crate::ports::{BindSnapshot, OpenedSession, ReceiptSnapshot};
use crate::{
    Change, CodeKeys, Expectation, LimitMode, PlatformProof, Policy, Quota, Refusal, Revision, Session, SessionId,
    Subject, Timestamp, Versioned, Write,
};

/// What a bind needs that only the world can give: an id for the account it may make, and a session to open.
#[derive(Clone, Debug)]
pub struct Fresh {
    /// For a new account; needed where [`BindSnapshot::makes_account`] says so.
    pub account: Option<AccountId>,
    /// For the new session.
    pub session: OpenedSession,
}

/// A successful bind.
#[derive(Clone, Debug)]
pub struct Bound {
    /// The account that has the number.
    pub account: Account,
    /// The session to answer a token of.
    pub session: Session,
}

/// What to commit, and what to answer once it is committed, not before.
#[derive(Clone, Debug)]
pub struct Decision {
    /// What to commit.
    pub change: Change,
    /// What to answer then.
    pub answer: Result<Bound, Refusal>,
    /// What the quotas would have refused, where they are only watched.
    pub observed: Option<Refusal>,
}

impl Decision {
    fn refuse(refusal: Refusal) -> Self {
        Self::refuse_after(Change::default(), refusal)
    }

    fn refuse_after(change: Change, refusal: Refusal) -> Self {
        Self { change, answer: Err(refusal), observed: None }
    }
}

impl BindSnapshot {
    /// Whether a right code would make an account: nobody is there to take the number, neither a caller nor a holder.
    /// Without a live code none is made, so that guessing uses up no ids.
    #[must_use]
    pub fn makes_account(&self, command: &Bind, now: Timestamp, policy: &Policy) -> bool {
        let challenge = self.challenge.as_ref();
        challenge.is_some_and(|found| found.value.may_be_tried(now, policy.tries_per_code))
            && self.mobile_holder.is_none()
            && self.caller(command, now, policy).is_none()
    }

    fn caller(&self, command: &Bind, now: Timestamp, policy: &Policy) -> Option<&Versioned<Account>> {
        match &command.claim {
            Some(claim) => {
                let by_unionid = || self.unionid_holder.as_ref().filter(|_| claim.proof == ProofOfIdentity::Platform);
                self.identity_holder.as_ref().or_else(by_unionid)
            }
            None => {
                let live = self.session.as_ref().filter(|found| found.session.is_live(now, &policy.session))?;
                Some(&live.account).filter(|account| account.value.is_live())
            }
        }
    }
}

/// Decides a bind.
#[must_use]
pub fn decide(
    snapshot: &BindSnapshot,
    command: &Bind,
    fresh: &Fresh,
    keys: &CodeKeys,
    policy: &Policy,
    now: Timestamp,
) -> Decision {
    if let Some(repeated) = repeat(snapshot, command, policy, now) {
        return repeated;
    }
    let watch = Watch { snapshot, policy, now };
    let challenge = snapshot.challenge.as_ref();
    let revision = Versioned::revision_of(challenge);
    let unchanged = Expectation::Challenge(command.key.clone(), revision);

    let counted = challenge.and_then(|found| found.value.clone().take_try(now, policy.tries_per_code));
    let Some(counted) = counted else {
        return no_live_code(&watch, command);
    };
    let on_number = Subject::FailuresOn(command.key.mobile.clone());
    let over = watch.over(&on_number, &policy.limits.failures_on_number);
    let over = over.map(|wait| Refusal::TryLimit { wait });
    if let (Some(refusal), LimitMode::Enforce) = (&over, policy.limits.mode) {
        return Decision::refuse(refusal.clone());
    }
    let mut decision = match counted.compare(&command.key, &command.attempt, keys) {
        Err(challenge) => {
            let write = Write::Challenge { expected: revision, key: command.key.clone(), challenge: Some(challenge) };
            let mut change = Change::writing(write);
            change.writes.extend(watch.count(on_number, &policy.limits.failures_on_number));
            Decision::refuse_after(change, Refusal::CodeWrong)
        }
        Ok(proof) => match place(snapshot, command, proof, fresh, policy, now) {
            // Only the holder of the right code gets here, and only while the code is what it was.
            Err(refusal) => Decision::refuse_after(Change::expecting(unchanged), refusal),
            Ok(placed) => complete(placed, command, revision, fresh, policy, now),
        },
    };
    decision.observed = over;
    decision
}

/// The very same bind again, because its answer was lost: answered as the first time.
fn repeat(snapshot: &BindSnapshot, command: &Bind, policy: &Policy, now: Timestamp) -> Option<Decision> {
    let ReceiptSnapshot { receipt, session } = snapshot.receipt.as_ref()?;
    if receipt.fingerprint != command.fingerprint || now >= receipt.expires_at {
        return None;
    }
    if receipt.session.is_none() {
        return Some(Decision::refuse(Refusal::AccountAwaitingApproval));
    }
    let found = session.as_ref().filter(|found| found.session.is_live(now, &policy.session))?;
    let account = &found.account.value;
    if account.held_mobile() != Some(&command.key.mobile) || !account.status.may_log_in() {
        return None;
    }
    // The commit that wrote the receipt may not be on disk yet; this one, which comes after it, is when it returns.
    let change = Change::expecting(Expectation::Session(found.session.id));
    let answer = Ok(Bound { account: account.clone(), session: found.session.clone() });
    Some(Decision { change, answer, observed: None })
}

/// A try with no code to try counts against its client alone.
fn no_live_code(watch: &Watch<'_>, command: &Bind) -> Decision {
    let quotas = &watch.policy.limits.failures_by_client;
    let by_client = Subject::FailuresBy(command.key.client.clone());
    let over = watch.over(&by_client, quotas).map(|wait| Refusal::TryLimit { wait });
    if let (Some(refusal), LimitMode::Enforce) = (&over, watch.policy.limits.mode) {
        return Decision::refuse(refusal.clone());
    }
    let writes = watch.count(by_client, quotas).into_iter().collect();
    let change = Change { expectations: Vec::new(), writes };
    Decision { observed: over, ..Decision::refuse_after(change, Refusal::CodeExpired) }
}

/// An account that got the number, or is entered through it, and what that rests on.
struct Placed {
    account: Account,
    revision: Revision,
    changed: bool,
    /// The session that named the caller: it must still be there when the bind is committed.
    session: Option<SessionId>,
}

fn place(
    snapshot: &BindSnapshot,
    command: &Bind,
    proof: VerifiedMobile,
    fresh: &Fresh,
    policy: &Policy,
    now: Timestamp,
) -> Result<Placed, Refusal> {
    if let Some(claim) = &command.claim {
        if claim.identity.is_none() {
            return Err(Refusal::OpenIdMissing);
        }
        if claim.proof == ProofOfIdentity::None && policy.platform_proof == PlatformProof::Required {
            return Err(Refusal::IdentityUnproved);
        }
    }
    let holder = snapshot.mobile_holder.as_ref();
    let Some(caller) = snapshot.caller(command, now, policy) else {
        return match holder {
            Some(holder) => enter(snapshot, command, holder, now),
            None => create(snapshot, command, proof, fresh, policy, now),
        };
    };
    may_log_in(&caller.value)?;
    match holder {
        Some(holder) if holder.value.id == caller.value.id => Err(Refusal::HeldByCaller),
        Some(_) => Err(Refusal::HeldByOther),
        None => {
            let mut account = caller.value.clone();
            account.take_mobile(proof);
            account.profile.overwrite_with(&command.profile);
            claim_identity(&mut account, snapshot, command);
            account.updated_at = Some(now);
            let session = snapshot.session.as_ref().filter(|_| command.claim.is_none()).map(|found| found.session.id);
            Ok(Placed { account, revision: caller.revision, changed: true, session })
        }
    }
}

/// Proof of the phone is the log-in: the number's account is entered, and its profile left alone.
fn enter(
    snapshot: &BindSnapshot,
    command: &Bind,
    holder: &Versioned<Account>,
    now: Timestamp,
) -> Result<Placed, Refusal> {
    may_log_in(&holder.value)?;
    let mut account = holder.value.clone();
    claim_identity(&mut account, snapshot, command);
    let changed = account != holder.value;
    if changed {
        account.updated_at = Some(now);
    }
    Ok(Placed { account, revision: holder.revision, changed, session: None })
}

fn create(
    snapshot: &BindSnapshot,
    command: &Bind,
    proof: VerifiedMobile,
    fresh: &Fresh,
    policy: &Policy,
    now: Timestamp,
) -> Result<Placed, Refusal> {
    if policy.forbidden_mobiles.contains(proof.mobile()) {
        return Err(Refusal::NumberForbidden);
    }
    let id = fresh.account.ok_or(Refusal::NotStored(crate::Operation::Bind))?;
    let mut account = Account::new(id, now);
    if policy.register_audit {
        account.status = AccountStatus::AwaitingApproval;
    }
    account.take_mobile(proof);
    account.profile.overwrite_with(&command.profile);
    let referrer = snapshot.referrer.as_ref();
    let counts = |account: &&Account| account.is_live() && account.status == AccountStatus::Normal;
    account.referrer = referrer.filter(counts).map(|account| account.id);
    claim_identity(&mut account, snapshot, command);
    Ok(Placed { account, revision: Revision::ABSENT, changed: true, session: None })
}

fn may_log_in(account: &Account) -> Result<(), Refusal> {
    match account.status {
        AccountStatus::Normal | AccountStatus::Muted => Ok(()),
        AccountStatus::Disabled => Err(Refusal::AccountDisabled),
        AccountStatus::AwaitingApproval => Err(Refusal::AccountAwaitingApproval),
    }
}

fn claim_identity(account: &mut Account, snapshot: &BindSnapshot, command: &Bind) {
    let Some(ClaimedIdentity { platform, identity: Some(identity), unionid, .. }) = &command.claim else { return };
    account.take_identity(identity);
    let held_by_another = snapshot.unionid_holder.as_ref().is_some_and(|holder| holder.value.id != account.id);
    if let Some(unionid) = unionid.as_ref().filter(|_| !held_by_another) {
        account.fill_unionid(*platform, unionid);
    }
}

/// Everything that a bind changes, in one change: the code used up, the account written, the session opened, the receipt
/// kept.
fn complete(
    placed: Placed,
    command: &Bind,
    challenge_revision: Revision,
    fresh: &Fresh,
    policy: &Policy,
    now: Timestamp,
) -> Decision {
    let Placed { account, revision, changed, session: callers } = placed;
    let session = account.status.may_log_in().then(|| Session {
        id: fresh.session.id,
        seed: fresh.session.seed,
        key: fresh.session.key.clone(),
        account: account.id,
        client_type: command.requester.client_type,
        issued_at: now,
        used_at: now,
    });
    let receipt = BindReceipt {
        fingerprint: command.fingerprint,
        answered_at: now,
        expires_at: now.after(policy.repeat_window),
        account: account.id,
        session: session.as_ref().map(|session| session.id),
    };
    let key = command.key.clone();
    let mut change =
        Change::writing(Write::Challenge { expected: challenge_revision, key: key.clone(), challenge: None });
    if changed {
        change.writes.push(Write::Account { expected: revision, account: Box::new(account.clone()) });
    } else {
        change.expectations.push(Expectation::Account(account.id, revision));
    }
    change.expectations.extend(callers.map(Expectation::Session));
    change.writes.extend(session.clone().map(Write::OpenSession));
    change.writes.push(Write::Receipt(key, receipt));
    let answer = session.map(|session| Bound { account, session }).ok_or(Refusal::AccountAwaitingApproval);
    Decision { change, answer, observed: None }
}

/// Looks at the quotas, and counts for them, as the mode says.
struct Watch<'a> {
    snapshot: &'a BindSnapshot,
    policy: &'a Policy,
    now: Timestamp,
}

impl Watch<'_> {
    fn over(&self, subject: &Subject, quotas: &[Quota]) -> Option<std::time::Duration> {
        if self.policy.limits.mode == LimitMode::Off {
            return None;
        }
        self.snapshot.tallies.get(subject)?.wait(quotas, self.now)
    }

    fn count(&self, subject: Subject, quotas: &[Quota]) -> Option<Write> {
        let (kept, watched) = match self.policy.limits.mode {
            LimitMode::Enforce => (quotas.to_vec(), Vec::new()),
            LimitMode::Shadow => (Vec::new(), quotas.to_vec()),
            LimitMode::Off => return None,
        };
        Some(Write::Count { subject, at: self.now, kept, watched })
    }
}
