//! Deciding a bind: the code, the account, and all that changes with them.

use super::command::Bind;
use super::placing::{Placed, Unplaced};
use super::receipt::BindReceipt;
use super::tries::RightCode;
use super::vouched::Vouched;
use crate::account::{Account, AccountId};
use crate::challenge::VerifiedMobile;
use crate::outbox::MessageId;
use crate::ports::{BindSnapshot, OpenedSession, PlatformFailure};
use crate::{Change, CodeKeys, Expectation, Guard, Operation, Policy, Refusal, Session, Timestamp, Write};

/// An account that is to be made, and has no id yet. Nothing is asked for that depends on whether somebody has the number
/// before the code was right, and guessing uses up no ids.
#[derive(Clone, Debug)]
pub struct WantedAccount {
    verified: VerifiedMobile,
}

/// The same with an id. It brings along that the code was right, so that codes are compared once.
#[derive(Clone, Debug)]
pub struct AllottedAccount {
    /// The id.
    pub id: AccountId,
    verified: VerifiedMobile,
}

impl WantedAccount {
    pub(super) fn of(verified: VerifiedMobile) -> Self {
        Self { verified }
    }

    /// With an id that no account has had.
    #[must_use]
    pub fn with(self, id: AccountId) -> AllottedAccount {
        AllottedAccount { id, verified: self.verified }
    }
}

/// What a bind needs that only the world can give: an id for the account it may make, and a session to open.
#[derive(Clone, Debug)]
pub struct Fresh {
    /// What an earlier decision on the very same snapshot wanted; `None` for the first.
    pub account: Option<AllottedAccount>,
    /// For the new session.
    pub session: OpenedSession,
    /// For the message to an account's old number, where such messages are sent.
    pub notice: Option<MessageId>,
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
    /// Where all that is missing is an id for the account to make: decide again with one.
    pub wanted: Option<WantedAccount>,
    /// Whether the code was right, and was used.
    pub verified: bool,
}

impl Decision {
    pub(super) fn refuse(refusal: Refusal) -> Self {
        Self::refuse_after(Change::default(), refusal)
    }

    pub(super) fn refuse_after(change: Change, refusal: Refusal) -> Self {
        Self::bound(change, Err(refusal))
    }

    pub(super) fn bound(change: Change, answer: Result<Bound, Refusal>) -> Self {
        Self { change, answer, observed: Vec::new(), wanted: None, verified: false }
    }

    fn wanting(account: WantedAccount) -> Self {
        Self { wanted: Some(account), ..Self::refuse(Refusal::NotStored(Operation::Bind)) }
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
    let situation = Situation { snapshot, command, fresh, keys, policy, now };
    situation.decide(Situation::decide_anew)
}

/// Decides a bind of a number that the platform vouches for: its word stands for a code, and counts once.
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
    let situation = Situation { snapshot, command, fresh, keys, policy, now };
    situation.decide(|situation| situation.decide_vouched_anew(vouched))
}

/// Everything that a decision rests on.
#[derive(Clone, Copy)]
pub(super) struct Situation<'a> {
    pub(super) snapshot: &'a BindSnapshot,
    pub(super) command: &'a Bind,
    pub(super) fresh: &'a Fresh,
    pub(super) keys: &'a CodeKeys,
    pub(super) policy: &'a Policy,
    pub(super) now: Timestamp,
}

impl Situation<'_> {
    fn decide(self, anew: impl FnOnce(Self) -> Decision) -> Decision {
        if let Some(answered) = self.earlier() {
            return answered;
        }
        let decision = self.repeat().unwrap_or_else(|| anew(self));
        self.recorded(decision)
    }

    fn decide_anew(self) -> Decision {
        let known = self.fresh.account.as_ref().map(|account| &account.verified);
        let right = match self.try_code(known) {
            Ok(right) => right,
            Err(refused) => return *refused,
        };
        let RightCode { verified, observed, .. } = &right;
        let mut decision = match self.place(verified.clone()) {
            // Only the holder of the right code gets here, and only while the code is what it was.
            Err(Unplaced::Refused(refused)) => refused.and(self.left(&right)),
            Err(Unplaced::NeedsId) => Decision::wanting(WantedAccount::of(verified.clone())),
            Ok(placed) => Decision { verified: true, ..self.complete(placed).and(self.used_up(&right)) },
        };
        decision.observed.extend(observed);
        decision
    }

    fn decide_vouched_anew(self, vouched: &Vouched) -> Decision {
        if self.snapshot.evidence.spent.contains(&vouched.mark()) {
            return Decision::refuse(Refusal::Platform(PlatformFailure::Stale));
        }
        match self.place_vouched(vouched) {
            Err(Unplaced::Refused(refused)) => *refused,
            Err(Unplaced::NeedsId) => Decision::wanting(WantedAccount::of(VerifiedMobile::vouched(vouched))),
            Ok(placed) => self.complete(placed).and(Change::writing(Write::Spend(vouched.mark(), vouched.until()))),
        }
    }

    /// Everything that a bind changes, in one change: the account written, the session opened, the receipt kept.
    fn complete(self, placed: Placed) -> Decision {
        let Placed { account, revision, changed, besides, observed } = placed;
        let session = account.status.may_log_in().then(|| self.open_session(account.id));
        let receipt = BindReceipt {
            fingerprint: self.command.fingerprint,
            expires_at: self.now.after(self.policy.repeat_window),
            account: account.id,
            session: session.as_ref().map(|session| session.id),
        };
        let mut change = besides;
        if changed {
            change.writes.push(Write::Account { expected: revision, account: Box::new(account.clone()) });
        } else {
            change.expectations.push(Expectation::Account(account.id, revision));
        }
        change.writes.extend(session.clone().map(Write::OpenSession));
        change.writes.push(Write::Receipt(self.command.key.clone(), receipt));
        change.writes.extend(self.command.use_of_proof(self.snapshot, self.now, self.policy));
        let answer = session.map(|session| Bound { account, session }).ok_or(Refusal::AccountAwaitingApproval);
        Decision { observed, ..Decision::bound(change, answer) }
    }

    fn open_session(self, account: AccountId) -> Session {
        let OpenedSession { id, seed, key } = self.fresh.session.clone();
        let client_type = self.command.requester.client_type;
        Session { id, seed, key, account, client_type, issued_at: self.now, used_at: self.now }
    }
}

impl Decision {
    fn and(mut self, change: Change) -> Self {
        self.change.expectations.extend(change.expectations);
        self.change.writes.extend(change.writes);
        self
    }
}
