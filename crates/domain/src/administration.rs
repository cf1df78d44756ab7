//! What an operator does to an account: the orders, and the decision on each.

use crate::audit::{Actor, AuditAction, AuditEvent, AuditedNumber};
use crate::policy::SessionPolicy;
use crate::{
    Account, AccountId, AccountStatus, Change, ClientType, CodeKeys, Mobile, MobileRule, Profile, Session, Timestamp,
    Versioned, Write,
};

/// How an operator names an account.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AccountName {
    /// By its id, live or not.
    Id(AccountId),
    /// By the number that it holds.
    Mobile(Mobile),
}

impl AccountName {
    /// What an operator typed: a number as the rule has them, or else an id; `#1` is an id whatever the rule. Spaces and
    /// hyphens between the digits do not count. `None` where it can be neither.
    #[must_use]
    pub fn parse(typed: &str, rule: &MobileRule) -> Option<Self> {
        let text: String = typed.chars().filter(|character| !character.is_whitespace() && *character != '-').collect();
        let id = |digits: &str| {
            let plain = digits.len() <= AccountId::MAX_DIGITS && digits.bytes().all(|byte| byte.is_ascii_digit());
            digits.parse().ok().filter(|_| plain).and_then(AccountId::new).map(Self::Id)
        };
        match text.strip_prefix('#') {
            Some(digits) => id(digits),
            None => rule.parse(&text).map(Self::Mobile).or_else(|| id(&text)),
        }
    }
}

/// What an operator wants done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AccountOrder {
    /// Its number is taken from it, and is free at once.
    Unbind,
    /// It may no longer log in; its sessions end.
    Disable,
    /// A disabled account may log in again. It is normal then, whatever it was before it was disabled.
    Enable,
    /// It is deleted: number, openids and member code are free at once, what is known of the person is erased, its sessions
    /// end. One that its owner has closed, too: what is known of him is erased when he asks for it.
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

    /// Its sessions whose tokens are still good.
    pub fn live_sessions(&self, now: Timestamp, policy: &SessionPolicy) -> impl Iterator<Item = &Session> {
        let may_log_in = self.account.value.is_live() && self.account.value.status.may_log_in();
        self.sessions.iter().filter(move |session| may_log_in && session.is_live(now, policy))
    }

    /// Why an order cannot be carried out, if it cannot.
    ///
    /// # Errors
    /// Where there is nothing to do.
    pub fn check(&self, order: AccountOrder) -> Result<(), OrderRefusal> {
        let account = &self.account.value;
        let is_disabled = account.status == AccountStatus::Disabled;
        match order {
            AccountOrder::Delete if account.deleted_at.is_none() => Ok(()),
            _ if !account.is_live() => Err(OrderRefusal::Gone),
            AccountOrder::Unbind if account.mobile.is_none() => Err(OrderRefusal::NoNumber),
            AccountOrder::Disable if is_disabled => Err(OrderRefusal::Disabled),
            AccountOrder::Enable if !is_disabled => Err(OrderRefusal::NotDisabled),
            AccountOrder::Revoke(of) if !self.sessions.iter().any(|session| is_meant(session, of)) => {
                Err(OrderRefusal::NoSession)
            }
            _ => Ok(()),
        }
    }
}

fn is_meant(session: &Session, client_type: Option<ClientType>) -> bool {
    client_type.is_none_or(|client_type| session.client_type == client_type)
}

/// What an operator's look-up found.
#[derive(Clone, Debug)]
pub struct LookedUp {
    /// The account; `None` where nobody has the number.
    pub details: Option<AccountDetails>,
    /// What is known of the number, oldest first: why it was refused, and what was done with it.
    pub events: Vec<AuditEvent>,
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
    details.check(order)?;
    // A closed account holds its number no more, and is found by it in the audit all the same.
    let number = account.mobile.as_ref().map(|mobile| AuditedNumber::of(mobile, keys));
    let (action, ended) = match order {
        AccountOrder::Unbind => {
            account.lose_mobile();
            (AuditAction::Unbind, false)
        }
        AccountOrder::Disable => {
            account.status = AccountStatus::Disabled;
            (AuditAction::Disable, true)
        }
        AccountOrder::Enable => {
            account.status = AccountStatus::Normal;
            (AuditAction::Enable, false)
        }
        AccountOrder::Delete => {
            erase(&mut account);
            account.deleted_at = Some(now);
            (AuditAction::Delete, true)
        }
        AccountOrder::Revoke(client_type) => (AuditAction::Revoke, client_type.is_none()),
    };
    // What ends with its sessions must still be known.
    account.seen_at = details.seen_at().filter(|_| order != AccountOrder::Delete);
    if order != AccountOrder::Revoke(None) || account.seen_at != known.value.seen_at {
        account.updated_at = Some(now);
    }
    let mut change = Change::writing(Write::Account { expected: known.revision, account: Box::new(account.clone()) });
    if ended {
        change.writes.push(Write::EndSessions { account: account.id, except: None });
    } else if let AccountOrder::Revoke(client_type) = order {
        let of_type = details.sessions.iter().filter(|session| is_meant(session, client_type));
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
    use super::{AccountDetails, AccountName, AccountOrder, OrderRefusal, decide};
    use crate::audit::AuditAction;
    use crate::{
        Account, AccountId, AccountStatus, Change, CodeKey, CodeKeys, KeyId, Mobile, MobileRule, Revision, Timestamp,
        Versioned, Write,
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
    fn an_account_that_its_owner_closed_can_be_erased_and_nothing_else() {
        let closed = details(|account| account.closed_at = Some(Timestamp::from_seconds(2)));
        let (change, account) = decided(&closed, AccountOrder::Delete).unwrap();
        assert_eq!((account.mobile, account.closed_at), (None, Some(Timestamp::from_seconds(2))));
        assert_eq!((account.deleted_at, action(&change)), (Some(NOW), Some(AuditAction::Delete)));
        for order in [AccountOrder::Unbind, AccountOrder::Disable, AccountOrder::Enable, AccountOrder::Revoke(None)] {
            assert_eq!(decided(&closed, order).unwrap_err(), OrderRefusal::Gone);
        }
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

    #[test]
    fn what_an_operator_types_is_a_number_or_an_id() {
        let rule = MobileRule::new(crate::mobile::DEFAULT_PATTERN).unwrap();
        let parse = |text| AccountName::parse(text, &rule);
        let (id, mobile) = (|id| AccountId::new(id).map(AccountName::Id), Mobile::restore("17602128368"));
        for number in ["17602128368", " 176 0212 8368\n", "176-0212-8368"] {
            assert_eq!(parse(number), mobile.clone().map(AccountName::Mobile), "{number:?}");
        }
        assert_eq!((parse("1"), parse(" #42 "), parse("9999999999")), (id(1), id(42), id(9_999_999_999)));
        for neither in ["", "#", "0", "#0", "+1", "1.0", "12602128368", "#17602128368", "alice", "１"] {
            assert_eq!(parse(neither), None, "{neither:?}");
        }
        // Where numbers are as short as ids, the mark tells them apart.
        let short = MobileRule::new(r"^\d{8}$").unwrap();
        assert!(matches!(AccountName::parse("60212836", &short), Some(AccountName::Mobile(_))));
        assert_eq!(AccountName::parse("#60212836", &short), id(60_212_836));
    }
}
