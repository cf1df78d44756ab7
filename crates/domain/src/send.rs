//! Sending a code: the command and the decision.

use std::time::Duration;

use crate::bind::is_empty;
use crate::ports::{CaptchaResponse, SendQuery, SendSnapshot};
use crate::{
    BudgetUse, Challenge, ChallengeKey, Change, Client, CodeKeys, CodeMac, Expectation, FinalRefusal, Guard,
    IdempotencyKey, IdempotencyRecord, IdempotentOutcome, LimitMode, Operation, Policy, Quota, Refusal, Repeatable,
    Requester, Revision, SessionId, Subject, Timestamp, Versioned, Write,
};

/// The parameters of a send.
#[derive(Clone, Copy, Debug, Default)]
pub struct SendParameters<'a> {
    /// `mobile`.
    pub mobile: &'a str,
    /// The session token.
    pub token: &'a str,
    /// What the captcha's widget gave, where one was wanted.
    pub captcha: Option<&'a CaptchaResponse>,
    /// The request's idempotency key.
    pub idempotency_key: Option<&'a IdempotencyKey>,
}

/// A well-formed request for a code.
#[derive(Clone, Debug)]
pub struct Send {
    pub(crate) requester: Requester,
    pub(crate) key: ChallengeKey,
    pub(crate) session: Option<SessionId>,
    pub(crate) repeatable: Option<Repeatable>,
}

impl Send {
    /// Reads the parameters. `session` is what the token leads to.
    ///
    /// # Errors
    /// Where the number is empty or malformed.
    pub fn parse(
        requester: Requester,
        parameters: &SendParameters<'_>,
        session: Option<SessionId>,
        policy: &Policy,
        keys: &CodeKeys,
    ) -> Result<Self, Refusal> {
        if is_empty(parameters.mobile) {
            return Err(Refusal::MobileMissing);
        }
        let mobile = policy.mobile_rule.parse(parameters.mobile);
        let mobile = mobile.ok_or(Refusal::MobileMalformed(Operation::Send))?;
        let client = requester.client();
        let repeatable = parameters.idempotency_key.map(|key| Repeatable {
            name: keys.idempotency_name(Operation::Send, &client, key),
            fingerprint: keys.fingerprint(&[
                b"send",
                requester.client_type.name().as_bytes(),
                parameters.mobile.as_bytes(),
                parameters.token.as_bytes(),
            ]),
        });
        Ok(Self { key: ChallengeKey { mobile, client }, requester, session, repeatable })
    }

    /// What the decision needs.
    #[must_use]
    pub fn query(&self, policy: &Policy) -> SendQuery {
        SendQuery {
            key: self.key.clone(),
            address: self.requester.address,
            session: self.session,
            idempotency: self.repeatable.as_ref().map(|repeatable| repeatable.name),
            sources: policy.sources(&self.key.mobile, self.requester.address),
        }
    }
}

/// What became of the very same request, which was sent before with the same idempotency key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Earlier {
    /// It is being carried out: its outcome is worth waiting for.
    UnderWay,
    /// It was answered so. What to commit makes sure that it still was when this is answered.
    Answered(Box<Change>, Result<(), Refusal>),
}

impl SendSnapshot {
    /// What became of the same request before; `None` where there was none.
    #[must_use]
    pub fn earlier(&self, command: &Send, policy: &Policy, now: Timestamp) -> Option<Earlier> {
        let repeatable = command.repeatable.as_ref()?;
        let found = self.earlier.as_ref().filter(|found| now < found.value.expires_at)?;
        let answered = |answer| {
            let unchanged = Expectation::Idempotency(repeatable.name, found.revision);
            Some(Earlier::Answered(Box::new(Change::expecting(unchanged)), answer))
        };
        if found.value.fingerprint != repeatable.fingerprint {
            return answered(Err(Refusal::IdempotencyKeyReused));
        }
        match &found.value.outcome {
            IdempotentOutcome::Sending if now < found.value.at.after(policy.sending_patience) => {
                Some(Earlier::UnderWay)
            }
            // Whoever was sending it is gone.
            IdempotentOutcome::Sending => answered(Err(Refusal::SmsUnknown)),
            IdempotentOutcome::Sent | IdempotentOutcome::Bound { .. } => answered(Ok(())),
            IdempotentOutcome::Refused(refusal) => answered(Err(refusal.refusal())),
        }
    }
}

/// Whether somebody proved that he is a person.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CaptchaState {
    /// Nobody can: no captcha is configured.
    Unavailable,
    /// He has not.
    Open,
    /// He has.
    Solved,
}

/// What the snapshot does not know.
#[derive(Clone, Copy, Debug)]
pub struct Circumstances {
    /// Whether a captcha was solved.
    pub captcha: CaptchaState,
    /// When.
    pub now: Timestamp,
}

/// What to commit before the message leaves.
#[derive(Clone, Debug)]
pub struct Permission {
    /// What to commit.
    pub change: Change,
    /// The guards that would have refused, where they are only watched.
    pub observed: Vec<Guard>,
    /// How much of the overall budget is used with this message.
    pub budget: Vec<BudgetUse>,
    key: ChallengeKey,
    previous: Option<Challenge>,
    repeatable: Option<Repeatable>,
    at: Timestamp,
    expires_at: Timestamp,
}

impl Permission {
    /// The counts taken back, for a message that certainly did not leave.
    #[must_use]
    pub fn uncount(&self) -> Change {
        let uncount = |write: &Write| match write {
            Write::Count { subject, at, .. } => Some(Write::Uncount { subject: subject.clone(), at: *at }),
            _ => None,
        };
        Change { expectations: Vec::new(), writes: self.change.writes.iter().filter_map(uncount).collect() }
    }

    /// The code that the new one ended, back in its place, for a message that certainly did not leave. `committed` is
    /// the revision of the commit that put the new one there.
    #[must_use]
    pub fn restore(&self, committed: Revision) -> Change {
        let challenge = self.previous.clone();
        Change::writing(Write::Challenge { expected: committed, key: self.key.clone(), challenge })
    }

    /// What became of the message, for whoever asks again with the same idempotency key; `None` where there is no key. A
    /// refusal that is not for good frees the key.
    #[must_use]
    pub fn concluded(&self, committed: Revision, outcome: &Result<(), Refusal>) -> Option<Change> {
        let outcome = match outcome {
            Ok(()) => Some(IdempotentOutcome::Sent),
            Err(refusal) => FinalRefusal::of(refusal).map(IdempotentOutcome::Refused),
        };
        let record = outcome.map(|outcome| self.record(outcome));
        let name = self.repeatable.as_ref()?.name;
        Some(Change::writing(Write::Idempotency { expected: committed, name, record: record.flatten() }))
    }

    fn record(&self, outcome: IdempotentOutcome) -> Option<IdempotencyRecord> {
        let fingerprint = self.repeatable.as_ref()?.fingerprint;
        Some(IdempotencyRecord { fingerprint, at: self.at, expires_at: self.expires_at, outcome })
    }
}

/// Decides a send. Every send draws a new code, MACed in `mac`, and ends the one before; the wrong tries of a code that is
/// still live carry over, but for one.
///
/// # Errors
/// Where the number still rests, a quota is used up, or the number is one for tests and past its date.
pub fn decide(
    snapshot: &SendSnapshot,
    command: &Send,
    mac: CodeMac,
    policy: &Policy,
    circumstances: &Circumstances,
) -> Result<Permission, Refusal> {
    let now = circumstances.now;
    policy.test_number(&command.key.mobile, now)?;
    let interval = Quota { limit: 1, window: policy.send_interval, reserved: 0 };
    let to_number = Subject::SendsTo(command.key.mobile.clone());
    let rests = snapshot.tallies.get(&to_number).and_then(|tally| tally.wait(&[interval], now));
    if let Some(wait) = rests {
        return Err(Refusal::SendTooSoon { wait });
    }
    let counted = counted(snapshot, command, policy, circumstances);
    let fallen = fallen(snapshot, command, policy, circumstances);
    let observed = judge(snapshot, &counted, &fallen, policy, circumstances)?;
    let previous = snapshot.challenge.as_ref();
    let mut challenge = Challenge::issue(mac, now, policy.code_lifetime);
    let live = previous.filter(|previous| now < previous.value.expires_at);
    let carried = live.map_or(0, |previous| previous.value.failures);
    challenge.failures = carried.min(policy.tries_per_code.saturating_sub(1));
    let mut permission = Permission {
        change: Change::default(),
        observed,
        budget: budget(snapshot, policy, now),
        key: command.key.clone(),
        previous: previous.map(|challenge| challenge.value.clone()),
        repeatable: command.repeatable.clone(),
        at: now,
        expires_at: now.after(policy.idempotency_lifetime),
    };
    permission.change.writes.push(Write::Challenge {
        expected: Versioned::revision_of(previous),
        key: command.key.clone(),
        challenge: Some(challenge),
    });
    permission.change.writes.extend(counted.into_iter().map(|count| {
        let (mut kept, mut watched) = match count.mode {
            LimitMode::Enforce => (count.quotas, Vec::new()),
            LimitMode::Shadow | LimitMode::Off => (Vec::new(), count.quotas),
        };
        if count.subject == to_number {
            // The interval stands whatever the mode.
            kept.retain(|quota| quota.window != interval.window);
            watched.retain(|quota| quota.window != interval.window);
            kept.push(interval);
        }
        Write::Count { subject: count.subject, at: now, kept, watched }
    }));
    if let Some(repeatable) = &command.repeatable {
        let expected = Versioned::revision_of(snapshot.earlier.as_ref());
        let record = permission.record(IdempotentOutcome::Sending);
        permission.change.writes.push(Write::Idempotency { expected, name: repeatable.name, record });
    }
    Ok(permission)
}

/// One thing that is counted.
struct Count {
    guard: Guard,
    subject: Subject,
    quotas: Vec<Quota>,
    mode: LimitMode,
}

/// Who is counted, and for which quotas. Where quotas are off nobody is, but the number, for its interval.
fn counted(snapshot: &SendSnapshot, command: &Send, policy: &Policy, circumstances: &Circumstances) -> Vec<Count> {
    let limits = &policy.limits;
    let mode = limits.mode;
    let mobile = &command.key.mobile;
    let count = |guard, subject, quotas: Vec<Quota>| Count { guard, subject, quotas, mode };
    let number = Subject::SendsTo(mobile.clone());
    if mode == LimitMode::Off {
        return vec![count(Guard::Number, number, Vec::new())];
    }
    let live = snapshot.caller.as_ref().filter(|caller| {
        let account = &caller.account.value;
        caller.session.is_live(circumstances.now, &policy.session) && account.is_live()
    });
    let may_be_owner = live.is_some_and(|caller| caller.account.value.held_mobile() == Some(mobile));
    let more = |quotas: &[Quota]| -> Vec<Quota> {
        let times = if circumstances.captcha == CaptchaState::Solved { limits.captcha_multiple } else { 1 };
        quotas.iter().map(|quota| Quota { limit: quota.limit.saturating_mul(times), ..*quota }).collect()
    };
    let address = command.requester.address;
    let mut counted = vec![
        count(Guard::Number, number, limits.quotas_for(&limits.sends_to_number, may_be_owner)),
        count(Guard::Address, Subject::SendsFrom(address), more(limits.sends_from(address))),
        count(Guard::Budget, Subject::Sends, limits.quotas_for(&limits.sends, may_be_owner)),
    ];
    let range_mode = limits.range_mode.at_most(mode);
    if range_mode != LimitMode::Off {
        let (subject, quotas) = (Subject::SendsToRange(mobile.range()), more(&limits.sends_to_range));
        counted.push(Count { guard: Guard::Range, subject, quotas, mode: range_mode });
    }
    if let Client::Installation(installation) = &command.key.client {
        let subject = Subject::SendsBy(installation.clone());
        counted.push(count(Guard::Installation, subject, limits.sends_by_installation.clone()));
    }
    if let Some(caller) = live {
        let subject = Subject::SendsOf(caller.account.value.id);
        counted.push(count(Guard::Account, subject, limits.sends_of_account.clone()));
    }
    counted
}

/// Which guards would refuse and are only watched.
fn judge(
    snapshot: &SendSnapshot,
    counted: &[Count],
    fallen: &[Guard],
    policy: &Policy,
    circumstances: &Circumstances,
) -> Result<Vec<Guard>, Refusal> {
    let wait = |count: &Count| snapshot.tallies.get(&count.subject)?.wait(&count.quotas, circumstances.now);
    let mut over: Vec<(Guard, LimitMode, Duration)> =
        counted.iter().filter_map(|count| Some((count.guard, count.mode, wait(count)?))).collect();
    let conversion = policy.limits.conversion_mode.at_most(policy.limits.mode);
    over.extend(fallen.iter().map(|&guard| (guard, conversion, policy.limits.conversion.recent)));
    let enforced = over.iter().filter(|(_, mode, _)| *mode == LimitMode::Enforce);
    let captcha = circumstances.captcha == CaptchaState::Open;
    // What a captcha does not help with comes first; of several the one that holds longest.
    let first = enforced.max_by_key(|(guard, _, wait)| (!(captcha && guard.is_soft()), *wait));
    match first {
        Some(&(guard, _, wait)) if captcha && guard.is_soft() => Err(Refusal::CaptchaWanted { guard, wait }),
        Some(&(guard, _, wait)) => Err(Refusal::SendLimit { guard, wait }),
        None => Ok(over.into_iter().map(|(guard, ..)| guard).collect()),
    }
}

/// The shares of verified messages that have fallen, where that is held against the caller.
fn fallen(snapshot: &SendSnapshot, command: &Send, policy: &Policy, circumstances: &Circumstances) -> Vec<Guard> {
    // Whoever solves a captcha is a person, whatever others from there do.
    if circumstances.captcha == CaptchaState::Solved {
        return Vec::new();
    }
    let sources = policy.sources(&command.key.mobile, command.requester.address);
    policy.limits.conversion.fallen(&sources, &snapshot.tallies, circumstances.now)
}

fn budget(snapshot: &SendSnapshot, policy: &Policy, now: Timestamp) -> Vec<BudgetUse> {
    if policy.limits.mode == LimitMode::Off {
        return Vec::new();
    }
    let tally = snapshot.tallies.get(&Subject::Sends);
    let used = |quota: &Quota| BudgetUse { quota: *quota, used: tally.map_or(0, |tally| tally.used(quota, now)) + 1 };
    policy.limits.sends.iter().map(used).collect()
}
