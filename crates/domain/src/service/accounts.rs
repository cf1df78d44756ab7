//! What operators do to accounts.

use super::Service;
use crate::Account;
use crate::administration::{self, AccountDetails, AccountName, AccountOrder, OrderRefusal};
use crate::audit::{Actor, AuditAction, AuditEvent, AuditedNumber};
use crate::ports::{CommitError, StoreError};

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
        for _ in 0..self.policy.attempts {
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

    /// Notes that an operator was shown, or given, what is masked otherwise. To be called before it is shown.
    ///
    /// # Errors
    /// Where it cannot be noted: then nothing is to be shown.
    pub async fn note_disclosure(&self, operator: &str, account: &Account, exported: bool) -> Result<(), OrderError> {
        let action = if exported { AuditAction::Export } else { AuditAction::Unmask };
        let number = account.mobile.as_ref().map(|mobile| AuditedNumber::of(mobile, &self.keys));
        let actor = Actor::Operator(operator.into());
        let event =
            AuditEvent { number, account: Some(account.id), ..AuditEvent::new(action, actor, self.clock.now()) };
        match self.add_event(event).await {
            Ok(()) => Ok(()),
            Err(CommitError::Conflict) => Err(OrderError::Busy),
            Err(CommitError::Store(error)) => Err(error.into()),
        }
    }
}
