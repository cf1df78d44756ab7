//! Numbers that change hands: an account that takes another number, and a number that somebody else has by now.

use super::decision::Situation;
use super::placing::{Placed, Unplaced, may_log_in};
use super::proving::ProvedIdentity;
use super::tries::RightCode;
use crate::account::Account;
use crate::challenge::VerifiedMobile;
use crate::policy::{Rebind, Recycled};
use crate::{Change, Guard, MessageKey, Mobile, OutboxMessage, Refusal, Revision, Timestamp, Versioned, Write};

impl Situation<'_> {
    /// Whether an account may take another number than it has, and what changes with that. An account without one may take
    /// any.
    pub(super) fn may_change_number(self, account: &Account) -> Result<(Change, Vec<Guard>), Unplaced> {
        let Some(former) = account.held_mobile() else { return Ok((Change::default(), Vec::new())) };
        let rules = &self.policy.numbers;
        if rules.rebind == Rebind::Deny {
            return Err(Refusal::NumberChangeDenied.into());
        }
        let rests_until = account.mobile_since.map(|since| since.after(rules.cooling_off));
        if let Some(rests_until) = rests_until.filter(|&until| self.now < until) {
            return Err(Refusal::NumberChangedLately { wait: rests_until.since(self.now) }.into());
        }
        let (mut change, mut observed) = (Change::default(), Vec::new());
        if rules.rebind == Rebind::OldCode {
            let right = self.old_code(former)?;
            change = self.used_up(&right);
            observed = right.observed;
        }
        if rules.revoke_on_change {
            change.writes.push(self.end_other_sessions(account));
        }
        change.writes.extend(self.told(former));
        Ok((change, observed))
    }

    /// Word to the number that an account leaves. None goes to a number for tests.
    fn told(self, former: &Mobile) -> Option<Write> {
        let id = self.fresh.notice.filter(|_| !self.policy.test_numbers.contains_key(former))?;
        let (key, requester) = (MessageKey { mobile: former.clone(), id }, &self.command.requester);
        let (client, language) = (requester.client(), requester.language);
        let message = OutboxMessage::of_number_changed(key, client, language, self.now, &self.policy.outbox);
        Some(Write::Message { expected: Revision::ABSENT, message: Box::new(message) })
    }

    fn old_code(self, former: &Mobile) -> Result<RightCode, Unplaced> {
        let attempt = self.command.old_attempt.as_ref();
        let attempt = attempt.ok_or_else(|| Refusal::OldCodeWanted { mobile: former.clone() })?;
        Ok(self.try_old_code(former, attempt)?)
    }

    /// Somebody whom nothing but the number leads to its account.
    pub(super) fn enter_by_number(
        self,
        holder: &Versioned<Account>,
        verified: VerifiedMobile,
        proved: Option<&ProvedIdentity>,
    ) -> Result<Placed, Unplaced> {
        if !self.is_recycled(&holder.value) {
            return Ok(self.enter(holder, proved)?);
        }
        match self.policy.numbers.recycled {
            Recycled::Enter => {
                let mut placed = self.enter(holder, proved)?;
                placed.besides.writes.push(self.end_other_sessions(&holder.value));
                Ok(placed)
            }
            Recycled::Detach => {
                may_log_in(&holder.value)?;
                let mut placed = self.create(verified, proved)?;
                placed.besides.writes.push(self.detached(holder));
                Ok(placed)
            }
            Recycled::Refuse => {
                may_log_in(&holder.value)?;
                Err(Refusal::NumberRecycled.into())
            }
        }
    }

    /// Whether a number's account was silent for so long that the number may be somebody else's by now. A live token of it is
    /// its owner's, also where it names no caller.
    fn is_recycled(self, holder: &Account) -> bool {
        let Some(silence) = self.policy.numbers.recycled_after else { return false };
        let session = self.snapshot.session.as_ref();
        let is_known = session.is_some_and(|found| found.account.value.id == holder.id && self.may_go_on(found));
        !is_known && self.seen_at(holder).after(silence) <= self.now
    }

    fn seen_at(self, holder: &Account) -> Timestamp {
        self.snapshot.holder_used_at.into_iter().fold(holder.last_noted(), Timestamp::max)
    }

    /// The account that a number is taken from; what it has besides stays its own.
    fn detached(self, holder: &Versioned<Account>) -> Write {
        let mut account = holder.value.clone();
        account.seen_at = Some(self.seen_at(&account));
        account.lose_mobile();
        account.updated_at = Some(self.now);
        Write::Account { expected: holder.revision, account: Box::new(account) }
    }

    /// The session that is opened takes the place of the one on its own client type.
    fn end_other_sessions(self, account: &Account) -> Write {
        Write::EndSessions { account: account.id, except: Some(self.command.requester.client_type) }
    }
}
