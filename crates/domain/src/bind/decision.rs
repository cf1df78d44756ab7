//! Who is the caller, and which account gets the number.

use super::command::Bind;
use super::proving::{Grounds, ProvedIdentity};
use super::receipt::BindReceipt;
use super::vouched::Vouched;
use crate::account::{Account, AccountId, AccountStatus};
use crate::challenge::VerifiedMobile;
use crate::ports::{BindSnapshot, EarlierBind, OpenedSession, PlatformFailure, ReceiptSnapshot, SessionSnapshot};
use crate::{
    Change, CodeKeys, Expectation, FinalRefusal, Guard, IdempotencyRecord, IdempotentOutcome, LimitMode, Operation,
    PlatformProof, Policy, Quota, Refusal, Revision, Session, SessionId, Subject, Timestamp, Versioned, Write,
};

/// What a bind needs that only the world can give: an id for the account it may make, and a session to open.
#[derive(Clone, Debug)]
pub struct Fresh {
    /// For a new account; needed where [`Decision::needs_account`] says so.
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
    /// The guards that would have refused, where they are only watched.
    pub observed: Vec<Guard>,
    /// Whether the code was right, and all that is missing is an id for the account to make: decide again with one. Before a
    /// right code nothing is asked for that depends on whether somebody has the number, and guessing uses up no ids.
    pub needs_account: bool,
    /// Whether the code was right, and was used.
    pub verified: bool,
}

impl Decision {
    fn refuse(refusal: Refusal) -> Self {
        Self::refuse_after(Change::default(), refusal)
    }

    fn refuse_after(change: Change, refusal: Refusal) -> Self {
        Self { change, answer: Err(refusal), observed: Vec::new(), needs_account: false, verified: false }
    }

    fn bound(change: Change, answer: Result<Bound, Refusal>) -> Self {
        Self { change, answer, observed: Vec::new(), needs_account: false, verified: false }
    }
}

impl BindSnapshot {
    /// A mini-program's openid, which must be its own; `None` for any other client.
    fn proved(&self, command: &Bind, now: Timestamp, policy: &Policy) -> Result<Option<ProvedIdentity>, Refusal> {
        command.claim.as_ref().map(|claim| claim.prove(&self.evidence, now, policy)).transpose()
    }

    fn caller(&self, command: &Bind, now: Timestamp, policy: &Policy) -> Option<&Versioned<Account>> {
        match &command.claim {
            Some(claim) => {
                let proved = claim.prove(&self.evidence, now, policy);
                let proved = proved.is_ok_and(|proved| proved.grounds() != Grounds::Trust);
                self.identity_holder.as_ref().or_else(|| self.unionid_holder.as_ref().filter(|_| proved))
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
    Situation { snapshot, command, fresh, keys, policy, now }.decide()
}

/// Decides a bind of a number that the platform vouches for.
#[must_use]
pub fn decide_vouched(
    snapshot: &BindSnapshot,
    command: &Bind,
    vouched: &Vouched,
    fresh: &Fresh,
    keys: &CodeKeys,
    policy: &Policy,
    now: Timestamp,
) -> Decision {
    Situation { snapshot, command, fresh, keys, policy, now }.decide_vouched(vouched)
}

/// Everything that a decision rests on.
#[derive(Clone, Copy)]
struct Situation<'a> {
    snapshot: &'a BindSnapshot,
    command: &'a Bind,
    fresh: &'a Fresh,
    keys: &'a CodeKeys,
    policy: &'a Policy,
    now: Timestamp,
}

/// Why no account has got the number.
enum Unplaced {
    Refused(Refusal),
    /// One must be made, and there is no id for it yet.
    NeedsId,
}

impl From<Refusal> for Unplaced {
    fn from(refusal: Refusal) -> Self {
        Self::Refused(refusal)
    }
}

/// An account that got the number, or is entered through it, and what that rests on.
struct Placed {
    account: Account,
    revision: Revision,
    changed: bool,
    /// The session that named the caller: it must still be there when the bind is committed.
    session: Option<SessionId>,
}

impl Situation<'_> {
    fn decide(self) -> Decision {
        if let Some(answered) = self.earlier() {
            return answered;
        }
        let decision = self.repeat().unwrap_or_else(|| self.decide_anew());
        self.recorded(decision)
    }

    fn decide_anew(self) -> Decision {
        let key = &self.command.key;
        let challenge = self.snapshot.challenge.as_ref();
        let revision = Versioned::revision_of(challenge);
        let tries = self.policy.tries_per_code;
        let Some(counted) = challenge.and_then(|found| found.value.clone().take_try(self.now, tries)) else {
            return self.no_live_code();
        };
        let on_number = Subject::FailuresOn(key.mobile.clone());
        let quotas = self.failure_quotas();
        let over = self.over(Guard::Failures, &on_number, &quotas);
        if let (Some(refusal), LimitMode::Enforce) = (&over, self.policy.limits.mode) {
            return Decision::refuse(refusal.clone());
        }
        let decision = match counted.compare(key, &self.command.attempt, self.keys) {
            Err(challenge) => {
                let challenge = Some(challenge);
                let write = Write::Challenge { expected: revision, key: key.clone(), challenge };
                let mut change = Change::writing(write);
                change.writes.extend(self.count(on_number, quotas));
                Decision::refuse_after(change, Refusal::CodeWrong)
            }
            Ok(proof) => match self.place(proof) {
                Err(Unplaced::Refused(refusal)) => {
                    // Only the holder of the right code gets here, and only while the code is what it was.
                    let mut change = Change::expecting(Expectation::Challenge(key.clone(), revision));
                    change.expectations.extend(self.room(on_number, quotas));
                    Decision::refuse_after(change, refusal)
                }
                Err(Unplaced::NeedsId) => {
                    let refusal = Refusal::NotStored(Operation::Bind);
                    Decision { needs_account: true, ..Decision::refuse(refusal) }
                }
                Ok(placed) => {
                    let mut decision = self.complete(placed, Some(revision));
                    decision.change.expectations.extend(self.room(on_number.clone(), quotas));
                    decision.change.writes.extend(self.reset(on_number));
                    decision.verified = true;
                    decision
                }
            },
        };
        Decision {
            observed: over.and_then(|refusal| refusal.guard()).map(|(guard, _)| guard).into_iter().collect(),
            ..decision
        }
    }

    /// The platform's word stands for a code; it counts once.
    fn decide_vouched(self, vouched: &Vouched) -> Decision {
        if let Some(answered) = self.earlier() {
            return answered;
        }
        let decision = self.repeat().unwrap_or_else(|| self.decide_vouched_anew(vouched));
        self.recorded(decision)
    }

    fn decide_vouched_anew(self, vouched: &Vouched) -> Decision {
        if self.snapshot.evidence.spent.contains(&vouched.mark()) {
            return Decision::refuse(Refusal::Platform(PlatformFailure::Stale));
        }
        match self.place_vouched(vouched) {
            Err(Unplaced::Refused(refusal)) => Decision::refuse(refusal),
            Err(Unplaced::NeedsId) => {
                Decision { needs_account: true, ..Decision::refuse(Refusal::NotStored(Operation::Bind)) }
            }
            Ok(placed) => {
                let mut decision = self.complete(placed, None);
                decision.change.writes.push(Write::Spend(vouched.mark(), vouched.until()));
                decision
            }
        }
    }

    /// Which account gets a number that the platform vouches for. An account that has one is entered, and keeps it.
    fn place_vouched(self, vouched: &Vouched) -> Result<Placed, Unplaced> {
        let claim = self.command.claim.as_ref().ok_or(Refusal::NoMiniProgram)?;
        let proved = claim.prove_strictly(&self.snapshot.evidence, self.now, self.policy)?;
        let caller = self.snapshot.caller(self.command, self.now, self.policy);
        match caller.filter(|caller| caller.value.held_mobile().is_some()) {
            Some(caller) => Ok(self.enter(caller, Some(&proved))?),
            None => self.place(VerifiedMobile::vouched(vouched)),
        }
    }

    /// The very same bind again, because its answer was lost: answered as the first time.
    fn repeat(self) -> Option<Decision> {
        let ReceiptSnapshot { receipt, session } = self.snapshot.receipt.as_ref()?;
        if receipt.fingerprint != self.command.fingerprint || self.now >= receipt.expires_at {
            return None;
        }
        if receipt.session.is_none() {
            return Some(Decision::refuse(Refusal::AccountAwaitingApproval));
        }
        let found = session.as_ref().filter(|found| found.session.is_live(self.now, &self.policy.session))?;
        let account = &found.account.value;
        if account.held_mobile() != Some(&self.command.key.mobile) || !account.status.may_log_in() {
            return None;
        }
        // The commit that wrote the receipt may not be on disk yet; this one, which comes after it, is when it returns.
        let change = Change::expecting(Expectation::Session(found.session.id));
        let answer = Ok(Bound { account: account.clone(), session: found.session.clone() });
        Some(Decision::bound(change, answer))
    }

    /// The very same request again, by its idempotency key.
    fn earlier(self) -> Option<Decision> {
        let repeatable = self.command.repeatable.as_ref()?;
        let EarlierBind { record, session } = self.snapshot.earlier.as_ref()?;
        if self.now >= record.value.expires_at {
            return None;
        }
        // What was read may not be on disk yet; it is when this, which comes after it, is.
        let mut change = Change::expecting(Expectation::Idempotency(repeatable.name, record.revision));
        if record.value.fingerprint != repeatable.fingerprint {
            return Some(Decision::refuse_after(change, Refusal::IdempotencyKeyReused));
        }
        let refusal = match &record.value.outcome {
            IdempotentOutcome::Bound { session: None, .. } => Refusal::AccountAwaitingApproval,
            IdempotentOutcome::Refused(refusal) => refusal.refusal(),
            IdempotentOutcome::Bound { session: Some(_), .. } => {
                match session.as_ref().filter(|found| self.may_go_on(found)) {
                    Some(found) => {
                        change.expectations.push(Expectation::Session(found.session.id));
                        let bound = Bound { account: found.account.value.clone(), session: found.session.clone() };
                        return Some(Decision::bound(change, Ok(bound)));
                    }
                    // The code was used, and the session that it opened has ended.
                    None => Refusal::CodeExpired,
                }
            }
            // No bind is recorded so.
            IdempotentOutcome::Sending | IdempotentOutcome::Sent => Refusal::IdempotencyKeyReused,
        };
        Some(Decision::refuse_after(change, refusal))
    }

    fn may_go_on(self, found: &SessionSnapshot) -> bool {
        let account = &found.account.value;
        found.session.is_live(self.now, &self.policy.session) && account.is_live() && account.status.may_log_in()
    }

    /// The decision, and the note of it for whoever asks again with the same idempotency key. What only says to wait, and what
    /// the service could not carry out, is not noted.
    fn recorded(self, mut decision: Decision) -> Decision {
        let Some(repeatable) = &self.command.repeatable else { return decision };
        let outcome = match &decision.answer {
            Ok(bound) => Some(IdempotentOutcome::Bound { account: bound.account.id, session: Some(bound.session.id) }),
            Err(refusal) => FinalRefusal::of(refusal).map(IdempotentOutcome::Refused),
        };
        let expected = Versioned::revision_of(self.snapshot.earlier.as_ref().map(|earlier| &earlier.record));
        let record = outcome.map(|outcome| IdempotencyRecord {
            fingerprint: repeatable.fingerprint,
            at: self.now,
            expires_at: self.now.after(self.policy.idempotency_lifetime),
            outcome,
        });
        if record.is_some() {
            decision.change.writes.push(Write::Idempotency { expected, name: repeatable.name, record });
        }
        decision
    }

    /// A try with no code to try counts against its client alone.
    fn no_live_code(self) -> Decision {
        let quotas = &self.policy.limits.failures_by_client;
        let by_client = Subject::FailuresBy(self.command.key.client.clone());
        let over = self.over(Guard::Tries, &by_client, quotas);
        if let (Some(refusal), LimitMode::Enforce) = (&over, self.policy.limits.mode) {
            return Decision::refuse(refusal.clone());
        }
        let writes = self.count(by_client, quotas.clone()).into_iter().collect();
        let change = Change { expectations: Vec::new(), writes };
        let observed = if over.is_some() { vec![Guard::Tries] } else { Vec::new() };
        Decision { observed, ..Decision::refuse_after(change, Refusal::CodeExpired) }
    }

    /// Which account gets the number.
    fn place(self, proof: VerifiedMobile) -> Result<Placed, Unplaced> {
        let proved = self.snapshot.proved(self.command, self.now, self.policy)?;
        let proved = proved.as_ref();
        let holder = self.snapshot.mobile_holder.as_ref();
        let Some(caller) = self.snapshot.caller(self.command, self.now, self.policy) else {
            return match holder {
                Some(holder) => Ok(self.enter(holder, proved)?),
                None => self.create(proof, proved),
            };
        };
        may_log_in(&caller.value)?;
        match holder {
            Some(holder) if holder.value.id == caller.value.id => Err(Refusal::HeldByCaller.into()),
            Some(_) => Err(Refusal::HeldByOther.into()),
            None => {
                let session = self.may_set_number(&caller.value, proved)?;
                Ok(self.set_number(caller, proof, proved, session))
            }
        }
    }

    /// The session that the change of an account's number rests on, where it rests on one.
    fn may_set_number(self, caller: &Account, proved: Option<&ProvedIdentity>) -> Result<Option<SessionId>, Refusal> {
        let session = self.snapshot.session.as_ref();
        let Some(proved) = proved else { return Ok(session.map(|found| found.session.id)) };
        let weak = proved.grounds() == Grounds::Installation && self.policy.platform_proof == PlatformProof::Required;
        if !weak || caller.held_mobile().is_none() {
            return Ok(None);
        }
        let live = session.filter(|found| found.session.is_live(self.now, &self.policy.session));
        let own = live.filter(|found| found.account.value.id == caller.id);
        own.map(|found| Some(found.session.id)).ok_or(Refusal::IdentityUnproved)
    }

    fn set_number(
        self,
        caller: &Versioned<Account>,
        proof: VerifiedMobile,
        proved: Option<&ProvedIdentity>,
        session: Option<SessionId>,
    ) -> Placed {
        let mut account = caller.value.clone();
        account.take_mobile(proof, self.now);
        account.profile.overwrite_with(&self.command.profile);
        self.claim_identity(&mut account, proved);
        account.updated_at = Some(self.now);
        Placed { account, revision: caller.revision, changed: true, session }
    }

    /// Proof of the phone is the log-in: the number's account is entered, and its profile left alone.
    fn enter(self, holder: &Versioned<Account>, proved: Option<&ProvedIdentity>) -> Result<Placed, Refusal> {
        may_log_in(&holder.value)?;
        let mut account = holder.value.clone();
        self.claim_identity(&mut account, proved);
        let changed = account != holder.value;
        if changed {
            account.updated_at = Some(self.now);
        }
        Ok(Placed { account, revision: holder.revision, changed, session: None })
    }

    fn create(self, proof: VerifiedMobile, proved: Option<&ProvedIdentity>) -> Result<Placed, Unplaced> {
        if self.policy.forbidden_mobiles.contains(proof.mobile()) {
            return Err(Refusal::NumberForbidden.into());
        }
        let id = self.fresh.account.ok_or(Unplaced::NeedsId)?;
        let mut account = Account::new(id, self.now);
        if self.policy.register_audit {
            account.status = AccountStatus::AwaitingApproval;
        }
        account.take_mobile(proof, self.now);
        account.profile.overwrite_with(&self.command.profile);
        let counts = |account: &&Account| account.is_live() && account.status == AccountStatus::Normal;
        account.referrer = self.snapshot.referrer.as_ref().filter(counts).map(|account| account.id);
        self.claim_identity(&mut account, proved);
        Ok(Placed { account, revision: Revision::ABSENT, changed: true, session: None })
    }

    fn claim_identity(self, account: &mut Account, proved: Option<&ProvedIdentity>) {
        let Some(proved) = proved else { return };
        account.take_identity(proved);
        let holder = self.snapshot.unionid_holder.as_ref();
        let held_by_another = holder.is_some_and(|holder| holder.value.id != account.id);
        if let Some(unionid) = proved.unionid().filter(|_| !held_by_another) {
            account.fill_unionid(proved.identity().platform, unionid);
        }
    }

    /// Everything that a bind changes, in one change: the code used up, the account written, the session opened, the
    /// receipt kept.
    fn complete(self, placed: Placed, challenge: Option<Revision>) -> Decision {
        let Placed { account, revision, changed, session: callers } = placed;
        let session = account.status.may_log_in().then(|| self.open_session(account.id));
        let receipt = BindReceipt {
            fingerprint: self.command.fingerprint,
            expires_at: self.now.after(self.policy.repeat_window),
            account: account.id,
            session: session.as_ref().map(|session| session.id),
        };
        let key = self.command.key.clone();
        let used_up = challenge.map(|expected| Write::Challenge { expected, key: key.clone(), challenge: None });
        let mut change = Change { expectations: Vec::new(), writes: used_up.into_iter().collect() };
        if changed {
            change.writes.push(Write::Account { expected: revision, account: Box::new(account.clone()) });
        } else {
            change.expectations.push(Expectation::Account(account.id, revision));
        }
        change.expectations.extend(callers.map(Expectation::Session));
        change.writes.extend(session.clone().map(Write::OpenSession));
        change.writes.push(Write::Receipt(key, receipt));
        change.writes.extend(self.command.use_of_proof(self.snapshot, self.now, self.policy));
        let answer = session.map(|session| Bound { account, session }).ok_or(Refusal::AccountAwaitingApproval);
        Decision::bound(change, answer)
    }

    fn open_session(self, account: AccountId) -> Session {
        let OpenedSession { id, seed, key } = self.fresh.session.clone();
        let client_type = self.command.requester.client_type;
        Session { id, seed, key, account, client_type, issued_at: self.now, used_at: self.now }
    }

    /// How many wrong codes for the number this caller may bring the count to.
    fn failure_quotas(self) -> Vec<Quota> {
        let limits = &self.policy.limits;
        let quotas = [&limits.failures_on_number[..], &limits.failures_since_success[..]].concat();
        limits.quotas_for(&quotas, self.may_be_owner())
    }

    /// Whether the number may be the caller's: his token, or an openid that is proved, leads to the account that has it.
    fn may_be_owner(self) -> bool {
        let holds = |account: &Account| account.held_mobile() == Some(&self.command.key.mobile);
        let session = self.snapshot.session.as_ref();
        let by_token = session.is_some_and(|found| self.may_go_on(found) && holds(&found.account.value));
        let proved = self.snapshot.proved(self.command, self.now, self.policy).ok().flatten();
        let proved = proved.is_some_and(|proved| proved.grounds() != Grounds::Trust);
        let by_openid = self.snapshot.identity_holder.as_ref().is_some_and(|holder| holds(&holder.value));
        by_token || (proved && by_openid)
    }

    /// A right code is only told so while one more wrong one would be, however many are tried at once.
    fn room(self, subject: Subject, quotas: Vec<Quota>) -> Option<Expectation> {
        let kept = self.policy.limits.mode == LimitMode::Enforce;
        kept.then_some(Expectation::Room { subject, at: self.now, kept: quotas })
    }

    /// A success ends what is counted since the last one.
    fn reset(self, subject: Subject) -> Vec<Write> {
        let counted = self.snapshot.tallies.get(&subject).map(|tally| &tally.meters[..]).unwrap_or_default();
        let lasting = &self.policy.limits.failures_since_success;
        let ends = |window| lasting.iter().any(|quota| quota.window == window);
        let windows = counted.iter().map(|meter| meter.window).filter(|&window| ends(window));
        windows.map(|window| Write::Forget { subject: subject.clone(), window }).collect()
    }

    /// What a quota that has no room left says, kept or only watched.
    fn over(self, guard: Guard, subject: &Subject, quotas: &[Quota]) -> Option<Refusal> {
        if self.policy.limits.mode == LimitMode::Off {
            return None;
        }
        let wait = self.snapshot.tallies.get(subject)?.wait(quotas, self.now)?;
        Some(Refusal::TryLimit { guard, wait })
    }

    fn count(self, subject: Subject, quotas: Vec<Quota>) -> Option<Write> {
        let (kept, watched) = match self.policy.limits.mode {
            LimitMode::Enforce => (quotas, Vec::new()),
            LimitMode::Shadow => (Vec::new(), quotas),
            LimitMode::Off => return None,
        };
        Some(Write::Count { subject, at: self.now, kept, watched })
    }
}

pub(crate) fn may_log_in(account: &Account) -> Result<(), Refusal> {
    match account.status {
        AccountStatus::Normal | AccountStatus::Muted => Ok(()),
        AccountStatus::Disabled => Err(Refusal::AccountDisabled),
        AccountStatus::AwaitingApproval => Err(Refusal::AccountAwaitingApproval),
    }
}
