//! Trying a code: what a try counts for, and what it may find out.

use super::decision::{Decision, Situation};
use super::proving::Grounds;
use crate::challenge::VerifiedMobile;
use crate::{
    Account, Challenge, ChallengeKey, Change, CodeAttempt, Expectation, Guard, LimitMode, Mobile, Quota, Refusal,
    Revision, Subject, Versioned, Write,
};

/// A code that was right, and has not been used yet.
pub(super) struct RightCode {
    pub(super) verified: VerifiedMobile,
    pub(super) observed: Vec<Guard>,
    key: ChallengeKey,
    revision: Revision,
    quotas: Vec<Quota>,
}

/// A code to try, and what to say of it.
struct Try<'a> {
    key: ChallengeKey,
    challenge: Option<&'a Versioned<Challenge>>,
    attempt: &'a CodeAttempt,
    expired: Refusal,
    wrong: Refusal,
}

impl Situation<'_> {
    /// Tries the code that was sent to the number that is bound. `known` is what came of the same try before.
    pub(super) fn try_code(self, known: Option<&VerifiedMobile>) -> Result<RightCode, Box<Decision>> {
        let tried = Try {
            key: self.command.key.clone(),
            challenge: self.snapshot.challenge.as_ref(),
            attempt: &self.command.attempt,
            expired: Refusal::CodeExpired,
            wrong: Refusal::CodeWrong,
        };
        self.tried(tried, known)
    }

    /// Tries the code that was sent to the number that the caller has now.
    pub(super) fn try_old_code(self, number: &Mobile, attempt: &CodeAttempt) -> Result<RightCode, Box<Decision>> {
        let tried = Try {
            key: ChallengeKey { mobile: number.clone(), client: self.command.key.client.clone() },
            challenge: self.snapshot.former_challenge.as_ref(),
            attempt,
            expired: Refusal::OldCodeExpired,
            wrong: Refusal::OldCodeWrong,
        };
        self.tried(tried, None)
    }

    fn tried(self, tried: Try<'_>, known: Option<&VerifiedMobile>) -> Result<RightCode, Box<Decision>> {
        let Try { key, challenge, attempt, expired, wrong } = tried;
        self.policy.test_number(&key.mobile, self.now).map_err(Decision::refuse)?;
        let revision = Versioned::revision_of(challenge);
        let tries = self.policy.tries_per_code;
        let Some(counted) = challenge.and_then(|found| found.value.clone().take_try(self.now, tries)) else {
            return Err(self.no_live_code(expired).into());
        };
        let on_number = Subject::FailuresOn(key.mobile.clone());
        let quotas = self.failure_quotas(&key.mobile);
        let over = self.over(Guard::Failures, &on_number, &quotas);
        if let (Some(refusal), LimitMode::Enforce) = (&over, self.policy.limits.mode) {
            return Err(Decision::refuse(refusal.clone()).into());
        }
        let observed = over.and_then(|refusal| refusal.guard()).map(|(guard, _)| guard).into_iter().collect();
        let known = known.filter(|known| *known.mobile() == key.mobile);
        let compared = known.cloned().map_or_else(|| counted.compare(&key, attempt, self.keys), Ok);
        match compared {
            Ok(verified) => Ok(RightCode { verified, observed, key, revision, quotas }),
            Err(challenge) => {
                let challenge = Some(challenge);
                let mut change = Change::writing(Write::Challenge { expected: revision, key, challenge });
                change.writes.extend(self.count(on_number, quotas));
                Err(Decision { observed, ..Decision::refuse_after(change, wrong) }.into())
            }
        }
    }

    /// A try with no code to try counts against its client alone.
    fn no_live_code(self, refusal: Refusal) -> Decision {
        let quotas = &self.policy.limits.failures_by_client;
        let by_client = Subject::FailuresBy(self.command.key.client.clone());
        let over = self.over(Guard::Tries, &by_client, quotas);
        if let (Some(refusal), LimitMode::Enforce) = (&over, self.policy.limits.mode) {
            return Decision::refuse(refusal.clone());
        }
        let writes = self.count(by_client, quotas.clone()).into_iter().collect();
        let change = Change { expectations: Vec::new(), writes };
        let observed = if over.is_some() { vec![Guard::Tries] } else { Vec::new() };
        Decision { observed, ..Decision::refuse_after(change, refusal) }
    }

    /// That a code is as it was read, and stays so.
    pub(super) fn left(self, right: &RightCode) -> Change {
        let mut change = Change::expecting(Expectation::Challenge(right.key.clone(), right.revision));
        change.expectations.extend(self.room(right));
        change
    }

    /// That a code is used up.
    pub(super) fn used_up(self, right: &RightCode) -> Change {
        let key = right.key.clone();
        let mut change = Change::writing(Write::Challenge { expected: right.revision, key, challenge: None });
        change.expectations.extend(self.room(right));
        change.writes.extend(self.reset(Subject::FailuresOn(right.key.mobile.clone())));
        change
    }

    /// A right code is only told so while one more wrong one would be, however many are tried at once.
    fn room(self, right: &RightCode) -> Option<Expectation> {
        let kept = self.policy.limits.mode == LimitMode::Enforce;
        let subject = Subject::FailuresOn(right.key.mobile.clone());
        kept.then(|| Expectation::Room { subject, at: self.now, kept: right.quotas.clone() })
    }

    /// How many wrong codes for a number this caller may bring the count to.
    fn failure_quotas(self, number: &Mobile) -> Vec<Quota> {
        let limits = &self.policy.limits;
        let quotas = [&limits.failures_on_number[..], &limits.failures_since_success[..]].concat();
        limits.quotas_for(&quotas, self.may_be_owner(number))
    }

    /// Whether a number may be the caller's: his token, or an openid that is proved, leads to the account that has it.
    fn may_be_owner(self, number: &Mobile) -> bool {
        let holds = |account: &Account| account.held_mobile() == Some(number);
        let session = self.snapshot.session.as_ref();
        let by_token = session.is_some_and(|found| self.may_go_on(found) && holds(&found.account.value));
        let proved = self.snapshot.proved(self.command, self.now, self.policy).ok().flatten();
        let proved = proved.is_some_and(|proved| proved.grounds() != Grounds::Trust);
        let by_openid = self.snapshot.identity_holder.as_ref().is_some_and(|holder| holds(&holder.value));
        by_token || (proved && by_openid)
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
