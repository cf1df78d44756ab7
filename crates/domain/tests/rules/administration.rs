//! What holds after every order that an operator may give, whatever the account.

use std::collections::BTreeMap;

use mobile_bind_domain::administration::{AccountDetails, AccountOrder, OrderRefusal, decide};
use mobile_bind_domain::audit::{Actor, AuditAction, AuditEvent, AuditedNumber};
use mobile_bind_domain::{
    Account, AccountStatus, AppId, ClientType, KeyId, OpenId, Platform, PlatformIdentity, ProfileText, Revision,
    Session, SessionId, SessionSeed, Timestamp, UnionId, Versioned, Write,
};
use proptest::prelude::*;

use crate::support::{MOBILE, NOW, account_id, keys, mobile};

fn client_types() -> impl Strategy<Value = ClientType> {
    prop::sample::select(vec![ClientType::H5, ClientType::Ios, ClientType::MiniProgram(Platform::Weixin)])
}

fn orders() -> impl Strategy<Value = AccountOrder> {
    prop_oneof![
        Just(AccountOrder::Unbind),
        Just(AccountOrder::Disable),
        Just(AccountOrder::Enable),
        Just(AccountOrder::Delete),
        prop::option::of(client_types()).prop_map(AccountOrder::Revoke),
    ]
}

fn accounts() -> impl Strategy<Value = Account> {
    let status = prop::sample::select(vec![
        AccountStatus::Normal,
        AccountStatus::Muted,
        AccountStatus::Disabled,
        AccountStatus::AwaitingApproval,
    ]);
    let gone = prop_oneof![8 => Just((None, None)), 1 => Just((Some(NOW), None)), 1 => Just((None, Some(NOW)))];
    let seen = prop::option::of(0_u64..2_000_000_000);
    (status, any::<bool>(), any::<[bool; 2]>(), gone, seen).prop_map(|(status, has_number, ids, gone, seen)| {
        let mut account = Account::new(account_id(7), Timestamp::from_seconds(1));
        account.status = status;
        account.mobile = has_number.then(|| mobile(MOBILE));
        account.mobile_since = has_number.then_some(Timestamp::from_seconds(2));
        let identity = PlatformIdentity {
            app: AppId::default(),
            openid: ids[0].then(|| OpenId::new("o-1").unwrap()),
            unionid: ids[1].then(|| UnionId::new("u-1").unwrap()),
        };
        account.identities = BTreeMap::from([(Platform::Weixin, identity)]);
        account.profile.nickname = ProfileText::new("Ann").unwrap();
        (account.deleted_at, account.closed_at) = gone;
        account.seen_at = seen.map(Timestamp::from_seconds);
        account
    })
}

fn details() -> impl Strategy<Value = AccountDetails> {
    let sessions = prop::collection::vec((client_types(), 0_u64..2_000_000_000), 0..3);
    (accounts(), sessions).prop_map(|(account, sessions)| {
        let session = |(place, (client_type, used)): (usize, (ClientType, u64))| Session {
            id: SessionId([u8::try_from(place).unwrap(); 16]),
            seed: SessionSeed([9; 16]),
            key: KeyId::new("k").unwrap(),
            account: account.id,
            client_type,
            issued_at: Timestamp::from_seconds(1),
            used_at: Timestamp::from_seconds(used),
        };
        let sessions = sessions.into_iter().enumerate().map(session).collect();
        AccountDetails { account: Versioned { revision: Revision(5), value: account }, sessions }
    })
}

/// The sessions that a change ends.
fn ended(writes: &[Write], details: &AccountDetails) -> Vec<SessionId> {
    let ids = |write: &Write| match write {
        Write::EndSessions { except: None, .. } => details.sessions.iter().map(|session| session.id).collect(),
        Write::EndSession(id) => vec![*id],
        _ => Vec::new(),
    };
    let mut ended: Vec<SessionId> = writes.iter().flat_map(ids).collect();
    ended.sort_unstable();
    ended.dedup();
    ended
}

fn meant(details: &AccountDetails, order: AccountOrder) -> Vec<SessionId> {
    let is_meant = |session: &&Session| match order {
        AccountOrder::Disable | AccountOrder::Delete | AccountOrder::Revoke(None) => true,
        AccountOrder::Revoke(Some(client_type)) => session.client_type == client_type,
        AccountOrder::Unbind | AccountOrder::Enable => false,
    };
    details.sessions.iter().filter(is_meant).map(|session| session.id).collect()
}

/// What is left of an account beside what an order may change.
fn untouched(account: &Account) -> Account {
    let status = AccountStatus::Normal;
    Account { status, mobile: None, mobile_since: None, updated_at: None, seen_at: None, ..account.clone() }
}

proptest! {
    /// An order that is carried out changes what it is for, in one change with its event; one that is refused leaves no change
    /// at all, and is refused for a reason that holds.
    #[test]
    fn an_order_does_what_it_says_and_nothing_else(details in details(), order in orders()) {
        let before = &details.account.value;
        let decided = decide(&details, order, "ann", &keys(), NOW);
        let (change, after) = match decided {
            Ok(decided) => decided,
            Err(refusal) => {
                let holds = match refusal {
                    OrderRefusal::Gone => !before.is_live(),
                    OrderRefusal::NoNumber => before.mobile.is_none(),
                    OrderRefusal::Disabled => before.status == AccountStatus::Disabled,
                    OrderRefusal::NotDisabled => before.status != AccountStatus::Disabled,
                    OrderRefusal::NoSession => meant(&details, order).is_empty(),
                };
                prop_assert!(holds, "{refusal:?}");
                return Ok(());
            }
        };
        prop_assert!(before.is_live() || order == AccountOrder::Delete && before.deleted_at.is_none());
        let written = Write::Account { expected: Revision(5), account: Box::new(after.clone()) };
        prop_assert_eq!(&change.writes[0], &written);
        prop_assert_eq!(ended(&change.writes, &details), meant(&details, order));
        let action = match order {
            AccountOrder::Unbind => AuditAction::Unbind,
            AccountOrder::Disable => AuditAction::Disable,
            AccountOrder::Enable => AuditAction::Enable,
            AccountOrder::Delete => AuditAction::Delete,
            AccountOrder::Revoke(_) => AuditAction::Revoke,
        };
        let number = before.mobile.as_ref().map(|mobile| AuditedNumber::of(mobile, &keys()));
        let actor = Actor::Operator("ann".into());
        let event = AuditEvent { number, account: Some(before.id), ..AuditEvent::new(action, actor, NOW) };
        let event = Write::Audit(Box::new(event));
        let events: Vec<_> = change.writes.iter().filter(|write| matches!(write, Write::Audit(_))).collect();
        prop_assert_eq!(events, vec![&event]);

        if order == AccountOrder::Delete {
            prop_assert_eq!(after.deleted_at, Some(NOW));
            prop_assert!(after.mobile.is_none() && after.member_code.is_none() && after.identities.is_empty());
            prop_assert!(after.profile == Default::default() && after.shop.is_none() && after.referrer.is_none());
            prop_assert!(after.seen_at.is_none() && after.mobile_since.is_none());
            return Ok(());
        }
        prop_assert_eq!(untouched(&after), untouched(before));
        let number = if order == AccountOrder::Unbind { None } else { before.mobile.clone() };
        prop_assert_eq!(&after.mobile, &number);
        let status = match order {
            AccountOrder::Disable => AccountStatus::Disabled,
            AccountOrder::Enable => AccountStatus::Normal,
            _ => before.status,
        };
        prop_assert_eq!(after.status, status);
        // What its sessions told of the owner is still known.
        prop_assert_eq!(after.seen_at, details.seen_at());
    }
}
