//! What an operator does to an account: the orders, and the decision on each.

use crate::audit::{Actor, AuditAction, AuditEvent, AuditedNumber};
use crate::{
    Account, AccountId, AccountStatus, Change, ClientType, CodeKeys, Mobile, Profile, Session, Timestamp, Versioned,
    Write,
};

/// How an operator names an account.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AccountName {
    /// By its id, live or not.
    Id(AccountId),
    /// By the number that it holds.
    Mobile(Mobile),
}

/// What an operator wants done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AccountOrder {
    /// Its number is taken from it, and is free at once.
    Unbind,
    /// It may no longer log in; its sessions end.
    Disable,
    /// A disabled account may log in again.
    Enable,
    /// It is deleted: number, openids and member code are free at once, what is known of the person is erased, its sessions
    /// end.
    Delete,
    /// Its sessions end: the one on a client type, or all.
    Revoke(Option<ClientType>),
}

/// An account and its sessions, as they were read.
#[derive(Clone, Debug)]
pub struct AccountDetails {
    /// The account.
    pub account: Versioned<Account>,
    /// Its sessions, live or not.
    pub sessions: Vec<Session>,
}

impl AccountDetails {
    /// When its owner was last seen, as far as that is known.
    #[must_use]
    pub fn seen_at(&self) -> Option<Timestamp> {
        self.sessions.iter().map(|session| session.used_at).chain(self.account.value.seen_at).max()
    }
}

/// Why an order cannot be carried out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum OrderRefusal {
    /// It was deleted or closed before.
    #[error("the account is deleted or closed")]
    Gone,
    /// There is no number to take.
    #[error("the account has no number")]
    NoNumber,
    /// Only a disabled account can be enabled.
    #[error("the account is not disabled")]
    NotDisabled,
    /// It is disabled already.
    #[error("the account is disabled already")]
    Disabled,
    /// There is no session to end.
    #[error("the account has no such session")]
    NoSession,
}

/// Decides an order: what to commit, with its event, and the account as it is then.
///
/// # Errors
/// Where there is nothing to do.
pub fn decide(
    details: &AccountDetails,
    order: AccountOrder,
    operator: &str,
    keys: &CodeKeys,
    now: Timestamp,
) -> Result<(Change, Account), OrderRefusal> {
    let known = &details.account;
    let mut account = known.value.clone();
    if !account.is_live() {
        return Err(OrderRefusal::Gone);
    }
    let number = account.held_mobile().map(|mobile| AuditedNumber::of(mobile, keys));
    let (action, ended) = match order {
        AccountOrder::Unbind => {
            account.mobile.take().ok_or(OrderRefusal::NoNumber)?;
            account.mobile_since = None;
            (AuditAction::Unbind, false)
        }
        AccountOrder::Disable if account.status == AccountStatus::Disabled => return Err(OrderRefusal::Disabled),
        AccountOrder::Disable => {
            account.status = AccountStatus::Disabled;
            (AuditAction::Disable, true)
        }
        AccountOrder::Enable if account.status != AccountStatus::Disabled => return Err(OrderRefusal::NotDisabled),
        AccountOrder::Enable => {
            account.status = AccountStatus::Normal;
            (AuditAction::Enable, false)
        }
        AccountOrder::Delete => {
            erase(&mut account);
            account.deleted_at = Some(now);
            (AuditAction::Delete, true)
        }
        AccountOrder::Revoke(client_type) => {
            let among = |session: &Session| client_type.is_none_or(|client_type| session.client_type == client_type);
            if !details.sessions.iter().any(among) {
                return Err(OrderRefusal::NoSession);
            }
            (AuditAction::Revoke, client_type.is_none())
        }
    };
    // What ends with its sessions must still be known.
    account.seen_at = details.seen_at().filter(|_| order != AccountOrder::Delete);
    if order != AccountOrder::Revoke(None) || account.seen_at != known.value.seen_at {
        account.updated_at = Some(now);
    }
    let mut change = Change::writing(Write::Account { expected: known.revision, account: Box::new(account.clone()) });
    if ended {
        change.writes.push(Write::EndSessions { account: account.id, except: None });
    } else if let AccountOrder::Revoke(Some(client_type)) = order {
        let of_type = details.sessions.iter().filter(|session| session.client_type == client_type);
        change.writes.extend(of_type.map(|session| Write::EndSession(session.id)));
    }
    let actor = Actor::Operator(operator.into());
    let event = AuditEvent { number, account: Some(account.id), ..AuditEvent::new(action, actor, now) };
    change.writes.push(Write::Audit(Box::new(event)));
    Ok((change, account))
}

/// Forgets the person: what stays is that there was such an account, and when.
fn erase(account: &mut Account) {
    account.mobile = None;
    account.mobile_since = None;
    account.member_code = None;
    account.identities.clear();
    account.profile = Profile::default();
    account.shop = None;
    account.referrer = None;
}

#[cfg(test)]
mod tests {
    use super::{AccountDetails, AccountOrder, OrderRefusal, decide};
    use crate::audit::AuditAction;
    use crate::{
        Account, AccountId, AccountStatus, Change, CodeKey, CodeKeys, KeyId, Mobile, Revision, Timestamp, Versioned,
        Write,
    };

    const NOW: Timestamp = Timestamp::from_seconds(1_634_727_340);

    fn details(change: impl FnOnce(&mut Account)) -> AccountDetails {
        let mut account = Account::new(AccountId::MIN, Timestamp::from_seconds(1));
        account.mobile = Mobile::restore("17602128368");
        change(&mut account);
        AccountDetails { account: Versioned { revision: Revision(7), value: account }, sessions: Vec::new() }
    }

    fn decided(details: &AccountDetails, order: AccountOrder) -> Result<(Change, Account), OrderRefusal> {
        let keys = CodeKeys::new(CodeKey::new(KeyId::new("k").unwrap(), [7; 32]), Vec::new());
        decide(details, order, "ann", &keys, NOW)
    }

    fn action(change: &Change) -> Option<AuditAction> {
        change.writes.iter().find_map(|write| match write {
            Write::Audit(event) => Some(event.action),
            _ => None,
        })
    }

    #[test]
    fn a_deleted_account_holds_nothing_and_says_nothing() {
        let (change, account) = decided(&details(|_| ()), AccountOrder::Delete).unwrap();
        let erased = Account {
            member_code: None,
            deleted_at: Some(NOW),
            updated_at: Some(NOW),
            ..Account::new(AccountId::MIN, Timestamp::from_seconds(1))
        };
        assert_eq!(account, erased);
        assert!(change.writes.iter().any(|write| matches!(write, Write::EndSessions { except: None, .. })));
        assert_eq!(action(&change), Some(AuditAction::Delete));
    }

    #[test]
    fn orders_that_make_no_sense_are_refused() {
        let gone = details(|account| account.deleted_at = Some(NOW));
        for order in [AccountOrder::Unbind, AccountOrder::Delete, AccountOrder::Enable, AccountOrder::Revoke(None)] {
            assert_eq!(decided(&gone, order).unwrap_err(), OrderRefusal::Gone);
        }
        let refused = |change: fn(&mut Account), order| decided(&details(change), order).unwrap_err();
        assert_eq!(refused(|account| account.mobile = None, AccountOrder::Unbind), OrderRefusal::NoNumber);
        assert_eq!(refused(|_| (), AccountOrder::Enable), OrderRefusal::NotDisabled);
        let disabled: fn(&mut Account) = |account| account.status = AccountStatus::Disabled;
        assert_eq!(refused(disabled, AccountOrder::Disable), OrderRefusal::Disabled);
        assert_eq!(refused(|_| (), AccountOrder::Revoke(None)), OrderRefusal::NoSession);
    }

    #[test]
    fn a_number_is_taken_and_nothing_else() {
        let before = details(|_| ());
        let (_, account) = decided(&before, AccountOrder::Unbind).unwrap();
        let expected = Account { mobile: None, updated_at: Some(NOW), ..before.account.value };
        assert_eq!(account, expected);
    }
}
