//! Who is the caller, and which account gets the number.

use super::command::Bind;
use super::decision::{Decision, Situation};
use super::proving::{Grounds, ProvedIdentity};
use super::vouched::Vouched;
use crate::account::{Account, AccountStatus};
use crate::challenge::VerifiedMobile;
use crate::ports::BindSnapshot;
use crate::{Change, Expectation, Guard, PlatformProof, Policy, Refusal, Revision, SessionId, Timestamp, Versioned};

impl BindSnapshot {
    /// A mini-program's openid, which must be its own; `None` for any other client.
    pub(super) fn proved(
        &self,
        command: &Bind,
        now: Timestamp,
        policy: &Policy,
    ) -> Result<Option<ProvedIdentity>, Refusal> {
        command.claim.as_ref().map(|claim| claim.prove(&self.evidence, now, policy)).transpose()
    }

    fn caller(&self, command: &Bind, now: Timestamp, policy: &Policy) -> Result<Option<&Versioned<Account>>, Refusal> {
        let Some(claim) = &command.claim else {
            let live = self.session.as_ref().filter(|found| found.session.is_live(now, &policy.session));
            return Ok(live.map(|found| &found.account).filter(|account| account.value.is_live()));
        };
        let proved = claim.prove(&self.evidence, now, policy);
        let by_unionid = proved.is_ok_and(|proved| proved.grounds() != Grounds::Trust);
        match &self.identity_holder {
            Some(holder) => Ok(Some(holder)),
            None if self.contested.identity || (self.contested.unionid && by_unionid) => Err(Refusal::HeldBySeveral),
            None => Ok(self.unionid_holder.as_ref().filter(|_| by_unionid)),
        }
    }
}

/// Why no account has got the number.
pub(super) enum Unplaced {
    /// It was refused.
    Refused(Box<Decision>),
    /// One must be made, and there is no id for it yet.
    NeedsId,
}

impl From<Refusal> for Unplaced {
    fn from(refusal: Refusal) -> Self {
        Self::Refused(Box::new(Decision::refuse(refusal)))
    }
}

impl From<Box<Decision>> for Unplaced {
    fn from(refused: Box<Decision>) -> Self {
        Self::Refused(refused)
    }
}

/// An account that got the number, or is entered through it.
pub(super) struct Placed {
    pub(super) account: Account,
    pub(super) revision: Revision,
    pub(super) changed: bool,
    /// What that rests on, and what else changes with it, before the account is written and its session opened.
    pub(super) besides: Change,
    pub(super) observed: Vec<Guard>,
}

impl Situation<'_> {
    /// Which account gets the number.
    pub(super) fn place(self, verified: VerifiedMobile) -> Result<Placed, Unplaced> {
        let proved = self.snapshot.proved(self.command, self.now, self.policy)?;
        let proved = proved.as_ref();
        let holder = self.snapshot.mobile_holder.as_ref();
        let Some(caller) = self.snapshot.caller(self.command, self.now, self.policy)? else {
            return match holder {
                _ if self.snapshot.contested.mobile => Err(Refusal::HeldBySeveral.into()),
                Some(holder) => self.enter_by_number(holder, verified, proved),
                None => self.create(verified, proved),
            };
        };
        may_log_in(&caller.value)?;
        match holder {
            _ if self.snapshot.contested.mobile => Err(Refusal::HeldBySeveral.into()),
            Some(holder) if holder.value.id == caller.value.id => Err(Refusal::HeldByCaller.into()),
            Some(_) => Err(Refusal::HeldByOther.into()),
            None => self.set_number(caller, verified, proved),
        }
    }

    /// Which account gets a number that the platform vouches for. An account that has one is entered, and keeps it.
    pub(super) fn place_vouched(self, vouched: &Vouched) -> Result<Placed, Unplaced> {
        let claim = self.command.claim.as_ref().ok_or(Refusal::NoMiniProgram)?;
        let proved = claim.prove_strictly(&self.snapshot.evidence, self.now, self.policy)?;
        let caller = self.snapshot.caller(self.command, self.now, self.policy)?;
        match caller.filter(|caller| caller.value.held_mobile().is_some()) {
            Some(caller) => Ok(self.enter(caller, Some(&proved))?),
            None => self.place(VerifiedMobile::vouched(vouched)),
        }
    }

    fn set_number(
        self,
        caller: &Versioned<Account>,
        verified: VerifiedMobile,
        proved: Option<&ProvedIdentity>,
    ) -> Result<Placed, Unplaced> {
        let session = self.may_set_number(&caller.value, proved)?;
        let (mut besides, observed) = self.may_change_number(&caller.value)?;
        // The session that named the caller must still be there.
        besides.expectations.extend(session.map(Expectation::Session));
        let mut account = caller.value.clone();
        account.take_mobile(verified, self.now);
        account.profile.overwrite_with(&self.command.profile);
        self.claim_identity(&mut account, proved);
        account.updated_at = Some(self.now);
        Ok(Placed { account, revision: caller.revision, changed: true, besides, observed })
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

    /// Proof of the phone is the log-in: the number's account is entered, and its profile left alone.
    pub(super) fn enter(self, holder: &Versioned<Account>, proved: Option<&ProvedIdentity>) -> Result<Placed, Refusal> {
        may_log_in(&holder.value)?;
        let mut account = holder.value.clone();
        self.claim_identity(&mut account, proved);
        let changed = account != holder.value;
        if changed {
            account.updated_at = Some(self.now);
        }
        let changed = account.note_presence(self.now, self.policy.numbers.recycled_after) || changed;
        let (besides, observed) = (Change::default(), Vec::new());
        Ok(Placed { account, revision: holder.revision, changed, besides, observed })
    }

    pub(super) fn create(self, verified: VerifiedMobile, proved: Option<&ProvedIdentity>) -> Result<Placed, Unplaced> {
        if self.policy.forbidden_mobiles.contains(verified.mobile()) {
            return Err(Refusal::NumberForbidden.into());
        }
        let id = self.fresh.account.as_ref().ok_or(Unplaced::NeedsId)?.id;
        let mut account = Account::new(id, self.now);
        if self.policy.register_audit {
            account.status = AccountStatus::AwaitingApproval;
        }
        account.take_mobile(verified, self.now);
        account.profile.overwrite_with(&self.command.profile);
        let counts = |account: &&Account| account.is_live() && account.status == AccountStatus::Normal;
        account.referrer = self.snapshot.referrer.as_ref().filter(counts).map(|account| account.id);
        self.claim_identity(&mut account, proved);
        let (besides, observed) = (Change::default(), Vec::new());
        Ok(Placed { account, revision: Revision::ABSENT, changed: true, besides, observed })
    }

    fn claim_identity(self, account: &mut Account, proved: Option<&ProvedIdentity>) {
        let Some(proved) = proved else { return };
        account.take_identity(proved);
        let holder = self.snapshot.unionid_holder.as_ref();
        let held_by_another =
            self.snapshot.contested.unionid || holder.is_some_and(|holder| holder.value.id != account.id);
        if let Some(unionid) = proved.unionid().filter(|_| !held_by_another) {
            account.fill_unionid(proved.identity().platform, unionid);
        }
    }
}

pub(crate) fn may_log_in(account: &Account) -> Result<(), Refusal> {
    match account.status {
        AccountStatus::Normal | AccountStatus::Muted => Ok(()),
        AccountStatus::Disabled => Err(Refusal::AccountDisabled),
        AccountStatus::AwaitingApproval => Err(Refusal::AccountAwaitingApproval),
    }
}
