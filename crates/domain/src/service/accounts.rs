//! What operators do to accounts.

use super::Service;
use crate::administration::{self, AccountDetails, AccountName, AccountOrder, LookedUp, OrderRefusal};
use crate::audit::{Actor, AuditAction, AuditEvent, AuditedNumber};
use crate::ports::{CommitError, StoreError};
use crate::{Account, AccountId, Mobile};

/// How many events of a number an operator is shown.
const EVENTS: usize = 100;

/// Why an operator's order was not carried out.
#[derive(Debug, thiserror::Error)]
pub enum OrderError {
    /// Nobody has that id or number.
    #[error("there is no such account")]
    NotFound,
    /// There is nothing to do.
    #[error(transparent)]
    Refused(#[from] OrderRefusal),
    /// The account goes on changing.
    #[error("the account is being changed by others; try again")]
    Busy,
    /// The store could not be read or written.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl Service {
    /// An account and its sessions.
    ///
    /// # Errors
    /// Where there is none, or the store is unavailable.
    pub async fn find_account(&self, name: &AccountName) -> Result<AccountDetails, OrderError> {
        let found = match name {
            AccountName::Id(id) => self.store.account(*id).await?,
            AccountName::Mobile(mobile) => self.store.account_of(mobile).await?,
        };
        let account = found.ok_or(OrderError::NotFound)?;
        let sessions = self.store.sessions_of(account.value.id).await?;
        Ok(AccountDetails { account, sessions })
    }

    /// Carries out an operator's order, with its event, in one commit. Answers the account as it is then.
    ///
    /// # Errors
    /// Where there is no such account, nothing to do, or the store is unavailable.
    pub async fn administer(
        &self,
        operator: &str,
        name: &AccountName,
        order: AccountOrder,
    ) -> Result<Account, OrderError> {
        for _ in 0..self.policy.get().attempts {
            let details = self.find_account(name).await?;
            let (change, account) = administration::decide(&details, order, operator, &self.keys, self.clock.now())?;
            match self.store.commit(change).await {
                Ok(_) => return Ok(account),
                Err(CommitError::Conflict) => {}
                Err(CommitError::Store(error)) => return Err(error.into()),
            }
        }
        Err(OrderError::Busy)
    }

    /// What an operator looks for: the account, and what is known of the number that was asked for or that the account
    /// holds. The look-up is noted first, also where nobody has that number.
    ///
    /// # Errors
    /// Where there is no account of that id, or the store is unavailable.
    pub async fn look_up_account(&self, operator: &str, name: &AccountName) -> Result<LookedUp, OrderError> {
        let details = match self.find_account(name).await {
            Ok(details) => Some(details),
            Err(OrderError::NotFound) => None,
            Err(error) => return Err(error),
        };
        let account = details.as_ref().map(|details| &details.account.value);
        let (asked, mobile) = match name {
            AccountName::Id(id) => (Some(*id), account.and_then(Account::held_mobile)),
            AccountName::Mobile(mobile) => (account.map(|account| account.id), Some(mobile)),
        };
        let events = self.events_of(mobile).await?;
        self.note_deed(operator, AuditAction::LookUp, asked, mobile).await?;
        if details.is_none() && matches!(name, AccountName::Id(_)) {
            return Err(OrderError::NotFound);
        }
        Ok(LookedUp { details, events })
    }

    /// Carries out an order as [`Service::administer`] does, and answers the account as it is then, with what is known of
    /// the number that it held.
    ///
    /// # Errors
    /// Those of [`Service::administer`]. Where the store fails only after the order, it was carried out all the same.
    pub async fn administer_and_look(
        &self,
        operator: &str,
        name: &AccountName,
        order: AccountOrder,
    ) -> Result<LookedUp, OrderError> {
        let held = self.find_account(name).await?.account.value.held_mobile().cloned();
        let account = self.administer(operator, name, order).await?;
        let details = self.find_account(&AccountName::Id(account.id)).await?;
        Ok(LookedUp { details: Some(details), events: self.events_of(held.as_ref()).await? })
    }

    /// The account, for an operator who is to be shown it whole. That he was is noted first.
    ///
    /// # Errors
    /// Where there is no such account, or it cannot be noted.
    pub async fn unmask(&self, operator: &str, name: &AccountName) -> Result<AccountDetails, OrderError> {
        let details = self.find_account(name).await?;
        self.note_disclosure(operator, &details.account.value, false).await?;
        Ok(details)
    }

    /// Notes that an operator was shown, or given, what is masked otherwise. To be called before it is shown.
    ///
    /// # Errors
    /// Where it cannot be noted: then nothing is to be shown.
    pub async fn note_disclosure(&self, operator: &str, account: &Account, exported: bool) -> Result<(), OrderError> {
        let action = if exported { AuditAction::Export } else { AuditAction::Unmask };
        self.note_deed(operator, action, Some(account.id), account.mobile.as_ref()).await
    }

    async fn note_deed(
        &self,
        operator: &str,
        action: AuditAction,
        account: Option<AccountId>,
        mobile: Option<&Mobile>,
    ) -> Result<(), OrderError> {
        let number = mobile.map(|mobile| AuditedNumber::of(mobile, &self.keys));
        let actor = Actor::Operator(operator.into());
        let event = AuditEvent { number, account, ..AuditEvent::new(action, actor, self.clock.now()) };
        match self.add_event(event).await {
            Ok(()) => Ok(()),
            Err(CommitError::Conflict) => Err(OrderError::Busy),
            Err(CommitError::Store(error)) => Err(error.into()),
        }
    }

    async fn events_of(&self, mobile: Option<&Mobile>) -> Result<Vec<AuditEvent>, StoreError> {
        let Some(mobile) = mobile else { return Ok(Vec::new()) };
        // Twice as many as are shown: looking at a number must not push out why it was refused.
        let mut events = summed(self.audit_of(mobile, 2 * EVENTS).await?);
        events.drain(..events.len().saturating_sub(EVENTS));
        Ok(events)
    }
}

/// The same events; but look-ups by one operator that follow each other stand as one.
fn summed(events: Vec<AuditEvent>) -> Vec<AuditEvent> {
    let mut summed: Vec<AuditEvent> = Vec::with_capacity(events.len());
    for event in events {
        match summed.last_mut() {
            Some(last)
                if last.action == AuditAction::LookUp && event.action == last.action && event.actor == last.actor =>
            {
                last.times = last.times.saturating_add(event.times);
                last.at = event.at;
            }
            _ => summed.push(event),
        }
    }
    summed
}

#[cfg(test)]
mod tests {
    use super::{AuditAction, AuditEvent, summed};
    use crate::audit::Actor;
    use crate::{ClientType, Timestamp};

    #[test]
    fn looking_often_is_told_once() {
        let at = Timestamp::from_seconds;
        let looked =
            |name: &str, second| AuditEvent::new(AuditAction::LookUp, Actor::Operator(name.into()), at(second));
        let sent = AuditEvent::new(AuditAction::Send, Actor::Client(ClientType::H5, None), at(3));
        let events = vec![looked("ann", 1), looked("ann", 2), sent.clone(), looked("ann", 4), looked("bob", 5), sent];
        let told: Vec<_> = summed(events).iter().map(|event| (event.action.name(), event.at, event.times)).collect();
        let expected = [
            ("look_up", at(2), 2),
            ("send", at(3), 1),
            ("look_up", at(4), 1),
            ("look_up", at(5), 1),
            ("send", at(3), 1),
        ];
        assert_eq!(told, expected);
    }
}
