//! What operators look up and do: nothing is shown that the audit does not know of.

use mobile_bind_domain::administration::{AccountName, AccountOrder, OrderRefusal};
use mobile_bind_domain::audit::{Actor, AuditAction};
use mobile_bind_domain::service::OrderError;
use mobile_bind_domain::{AccountId, AccountStatus, ClientType};

use crate::support::world::{World, ready};
use crate::support::{BIND, MOBILE, account_id, mobile};

fn by_number() -> AccountName {
    AccountName::Mobile(mobile(MOBILE))
}

/// What operators did, in the order of the audit.
fn noted(world: &World) -> Vec<(String, AuditAction, Option<AccountId>, bool)> {
    let events = ready(world.service.audit_tail(100)).unwrap();
    let by_operators = events.into_iter().filter_map(|event| match event.actor {
        Actor::Operator(name) => Some((name.into(), event.action, event.account, event.number.is_some())),
        _ => None,
    });
    by_operators.collect()
}

fn actions(world: &World, name: &AccountName) -> Vec<AuditAction> {
    let looked_up = ready(world.service.look_up_account("ann", name)).unwrap();
    looked_up.events.iter().map(|event| event.action).collect()
}

#[test]
fn every_look_up_is_noted_whether_or_not_anybody_is_found() {
    let world = World::new();
    let nobody = ready(world.service.look_up_account("ann", &by_number())).unwrap();
    assert!(nobody.details.is_none() && nobody.events.is_empty());
    let id = AccountName::Id(account_id(1));
    assert!(matches!(ready(world.service.look_up_account("ann", &id)), Err(OrderError::NotFound)));
    world.send_and_bind(ClientType::H5, "u", &BIND).unwrap();
    let found = ready(world.service.look_up_account("bob", &id)).unwrap();
    assert_eq!(found.details.unwrap().account.value.mobile, Some(mobile(MOBILE)));
    let (look_up, one) = (AuditAction::LookUp, Some(account_id(1)));
    let expected = [("ann", look_up, None, true), ("ann", look_up, one, false), ("bob", look_up, one, true)];
    assert_eq!(noted(&world), expected.map(|(name, action, id, number)| (name.to_owned(), action, id, number)));
}

#[test]
fn a_look_up_tells_why_a_number_was_refused() {
    let world = World::new();
    world.send(MOBILE, "u").unwrap();
    world.bind(ClientType::H5, "u", &BIND).unwrap_err();
    world.send(MOBILE, "u").unwrap_err();
    let looked_up = ready(world.service.look_up_account("ann", &by_number())).unwrap();
    let told = looked_up.events.iter().map(|event| (event.action, event.rule.as_deref())).collect::<Vec<_>>();
    let expected = [
        (AuditAction::Send, None),
        (AuditAction::Try, Some("code_wrong")),
        (AuditAction::RefuseSend, Some("send_too_soon")),
    ];
    assert_eq!(told, expected);
}

#[test]
fn looking_does_not_push_out_what_happened() {
    let world = World::new();
    world.send_and_bind(ClientType::H5, "u", &BIND).unwrap();
    for _ in 0..50 {
        actions(&world, &by_number());
    }
    assert_eq!(actions(&world, &by_number()), [AuditAction::Send, AuditAction::Create, AuditAction::LookUp]);
}

#[test]
fn what_is_shown_whole_is_noted_before() {
    let world = World::new();
    let bound = world.send_and_bind(ClientType::H5, "u", &BIND).unwrap().account;
    let shown = ready(world.service.unmask("ann", &AccountName::Id(bound.id))).unwrap();
    assert_eq!(shown.account.value, bound);
    assert_eq!(noted(&world), [("ann".to_owned(), AuditAction::Unmask, Some(bound.id), true)]);
    let nobody = AccountName::Id(account_id(7));
    assert!(matches!(ready(world.service.unmask("ann", &nobody)), Err(OrderError::NotFound)));
    assert_eq!(noted(&world).len(), 1);
}

#[test]
fn an_order_answers_the_account_and_what_led_to_it() {
    let world = World::new();
    let bound = world.send_and_bind(ClientType::H5, "u", &BIND).unwrap();
    let id = AccountName::Id(bound.account.id);
    let order = |order| ready(world.service.administer_and_look("ann", &id, order));
    let disabled = order(AccountOrder::Disable).unwrap().details.unwrap();
    assert_eq!(disabled.account.value.status, AccountStatus::Disabled);
    assert_eq!((disabled.sessions.len(), disabled.seen_at().is_some()), (0, true));
    assert!(matches!(order(AccountOrder::Disable), Err(OrderError::Refused(OrderRefusal::Disabled))));
    let unbound = order(AccountOrder::Unbind).unwrap();
    assert_eq!(unbound.details.unwrap().account.value.mobile, None);
    let last = unbound.events.last().unwrap();
    assert_eq!((last.action, last.account), (AuditAction::Unbind, Some(bound.account.id)));
    // The number is free, and its history is not lost.
    let looked_up = ready(world.service.look_up_account("ann", &by_number())).unwrap();
    assert!(looked_up.details.is_none());
    assert_eq!(looked_up.events.last().unwrap().action, AuditAction::Unbind);
}

#[test]
fn orders_that_can_be_given_are_those_that_are_carried_out() {
    let world = World::new();
    let bound = world.send_and_bind(ClientType::H5, "u", &BIND).unwrap();
    let id = AccountName::Id(bound.account.id);
    let all = [
        AccountOrder::Enable,
        AccountOrder::Revoke(Some(ClientType::Ios)),
        AccountOrder::Revoke(Some(ClientType::H5)),
        AccountOrder::Revoke(None),
        AccountOrder::Disable,
        AccountOrder::Enable,
        AccountOrder::Unbind,
        AccountOrder::Unbind,
        AccountOrder::Delete,
        AccountOrder::Delete,
    ];
    for order in all {
        let expected = ready(world.service.find_account(&id)).unwrap().check(order);
        match ready(world.service.administer("ann", &id, order)) {
            Ok(_) => assert_eq!(expected, Ok(())),
            Err(OrderError::Refused(refusal)) => assert_eq!(expected, Err(refusal)),
            Err(error) => unreachable!("{error}"),
        }
    }
    assert_eq!(ready(world.service.find_account(&id)).unwrap().check(AccountOrder::Enable), Err(OrderRefusal::Gone));
}
