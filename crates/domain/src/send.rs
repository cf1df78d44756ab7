//! Sending a code: the command and the decision.

use std::time::Duration;

use crate::bind::is_empty;
use crate::ports::{SendQuery, SendSnapshot};
use crate::{
    Challenge, ChallengeKey, Change, Client, CodeMac, LimitMode, Operation, Policy, Quota, Refusal, Requester,
    Revision, SessionId, Subject, Timestamp, Versioned, Write,
};

/// A well-formed request for a code.
#[derive(Clone, Debug)]
pub struct Send {
    pub(crate) requester: Requester,
    pub(crate) key: ChallengeKey,
    pub(crate) session: Option<SessionId>,
}

impl Send {
    /// Reads the parameters. `session` is what the token leads to.
    ///
    /// # Errors
    /// Where the number is empty or malformed.
    pub fn parse(
        requester: Requester,
        mobile: &str,
        session: Option<SessionId>,
        policy: &Policy,
    ) -> Result<Self, Refusal> {
        if is_empty(mobile) {
            return Err(Refusal::MobileMissing);
        }
        let mobile = policy.mobile_rule.parse(mobile).ok_or(Refusal::MobileMalformed(Operation::Send))?;
        Ok(Self { key: ChallengeKey { mobile, client: requester.client() }, requester, session })
    }

    /// What the decision needs.
    #[must_use]
    pub fn query(&self) -> SendQuery {
        SendQuery { key: self.key.clone(), address: self.requester.address, session: self.session, idempotency: None }
    }
}

/// What to commit before the message leaves.
#[derive(Clone, Debug)]
pub struct Permission {
    /// What to commit.
    pub change: Change,
    /// What the quotas would have refused, where they are only watched.
    pub observed: Option<Refusal>,
    key: ChallengeKey,
    previous: Option<Challenge>,
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
}

/// Decides a send. Every send draws a new code, MACed in `mac`, and ends the one before.
///
/// # Errors
/// Where the number still rests, or a quota is used up.
pub fn decide(
    snapshot: &SendSnapshot,
    command: &Send,
    mac: CodeMac,
    policy: &Policy,
    now: Timestamp,
) -> Result<Permission, Refusal> {
    let interval = Quota { limit: 1, window: policy.send_interval, reserved: 0 };
    let wait =
        |subject: &Subject, quotas: &[Quota]| -> Option<Duration> { snapshot.tallies.get(subject)?.wait(quotas, now) };
    let to_number = Subject::SendsTo(command.key.mobile.clone());
    if let Some(wait) = wait(&to_number, &[interval]) {
        return Err(Refusal::SendTooSoon { wait });
    }
    let counted = counted(snapshot, command, policy, now);
    let over = counted.iter().filter_map(|(subject, quotas)| wait(subject, quotas)).max();
    let over = over.map(|wait| Refusal::SendLimit { wait });
    if let (Some(refusal), LimitMode::Enforce) = (&over, policy.limits.mode) {
        return Err(refusal.clone());
    }
    let previous = snapshot.challenge.as_ref();
    let mut change = Change::writing(Write::Challenge {
        expected: Versioned::revision_of(previous),
        key: command.key.clone(),
        challenge: Some(Challenge::issue(mac, now, policy.code_lifetime)),
    });
    change.writes.extend(counted.into_iter().map(|(subject, quotas)| {
        let (mut kept, mut watched) = match policy.limits.mode {
            LimitMode::Enforce => (quotas, Vec::new()),
            LimitMode::Shadow | LimitMode::Off => (Vec::new(), quotas),
        };
        if subject == to_number {
            // The interval stands whatever the mode.
            kept.retain(|quota| quota.window != interval.window);
            watched.retain(|quota| quota.window != interval.window);
            kept.push(interval);
        }
        Write::Count { subject, at: now, kept, watched }
    }));
    Ok(Permission {
        change,
        observed: over,
        key: command.key.clone(),
        previous: previous.map(|challenge| challenge.value.clone()),
    })
}

/// Who is counted, and for which quotas. Where quotas are off nobody is, but the number, for its interval.
fn counted(snapshot: &SendSnapshot, command: &Send, policy: &Policy, now: Timestamp) -> Vec<(Subject, Vec<Quota>)> {
    let limits = &policy.limits;
    let number = Subject::SendsTo(command.key.mobile.clone());
    if limits.mode == LimitMode::Off {
        return vec![(number, Vec::new())];
    }
    let mut counted = vec![
        (number, limits.sends_to_number.clone()),
        (Subject::SendsFrom(command.requester.address), limits.sends_from_address.clone()),
        (Subject::Sends, limits.sends.clone()),
    ];
    if let Client::Installation(installation) = &command.key.client {
        counted.push((Subject::SendsBy(installation.clone()), limits.sends_by_installation.clone()));
    }
    let live = snapshot.caller.as_ref().filter(|caller| caller.session.is_live(now, &policy.session));
    if let Some(caller) = live {
        counted.push((Subject::SendsOf(caller.account.value.id), limits.sends_of_account.clone()));
    }
    counted
}
