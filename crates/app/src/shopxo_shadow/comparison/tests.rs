//! The rules of the comparison.

use mobile_bind_domain::Account;
use proptest::prelude::*;
use proptest::sample::select;

use super::*;

const AT: u64 = 1_790_000_000;

fn id(id: u64) -> AccountId {
    AccountId::new(id).unwrap()
}

fn mobile(last: u8) -> Mobile {
    Mobile::restore(&format!("139000000{last:02}")).unwrap()
}

/// An account that was made and last written so many seconds from the request.
fn holder(number: u64, made: i64, changed: i64) -> SeenAccount {
    let at = |offset: i64| Timestamp::from_seconds(AT.saturating_add_signed(offset));
    let mut account = Account::new(id(number), at(made));
    account.updated_at = Some(at(changed));
    SeenAccount { account, sessions: Vec::new() }
}

fn done(answered: Option<bool>, holders: &[SeenAccount], before: Option<Option<Mobile>>) -> AtTheShop {
    // Whatever the milliseconds: the shop's rows have none.
    let at = Timestamp::from_millis(AT * 1000 + 999);
    let request = Request { at, mobile: &mobile(1), answered_with_user: answered };
    at_the_shop(&request, holders, |_| before.clone())
}

#[test]
fn what_the_shop_did_shows_in_who_has_the_number() {
    let known = Some(Some(mobile(1)));
    assert_eq!(done(None, &[holder(7, 0, 0)], None), AtTheShop::Made(id(7)));
    assert_eq!(done(None, &[holder(7, -9, 1)], known.clone()), AtTheShop::Entered(id(7)));
    assert_eq!(done(None, &[holder(7, -9, 1)], Some(None)), AtTheShop::Changed(id(7), None));
    let changed = AtTheShop::Changed(id(7), Some(mobile(2)));
    assert_eq!(done(None, &[holder(7, -9, 0)], Some(Some(mobile(2)))), changed);
    assert_eq!(done(None, &[holder(7, -9, -1)], known.clone()), AtTheShop::Unclear(Unclear::NothingDone));
    assert_eq!(done(None, &[], known), AtTheShop::Unclear(Unclear::NothingDone));
}

#[test]
fn a_user_who_logged_in_was_written() {
    let mut entered = holder(7, -9, -9);
    entered.sessions.push(mobile_bind_domain::Session {
        id: mobile_bind_domain::SessionId([1; 16]),
        seed: mobile_bind_domain::SessionSeed([1; 16]),
        key: mobile_bind_domain::KeyId::new("shop").unwrap(),
        account: id(7),
        client_type: mobile_bind_domain::ClientType::H5,
        issued_at: Timestamp::from_seconds(AT + 1),
        used_at: Timestamp::from_seconds(AT + 1),
    });
    assert_eq!(done(None, &[entered], Some(Some(mobile(1)))), AtTheShop::Entered(id(7)));
}

#[test]
fn what_cannot_be_told_is_said_to_be_so() {
    let unclear = AtTheShop::Unclear;
    assert_eq!(done(None, &[holder(7, -9, 1)], None), unclear(Unclear::NotInTheCopy));
    assert_eq!(done(Some(true), &[], None), unclear(Unclear::PassedOn));
    assert_eq!(done(Some(true), &[holder(7, 61, 61)], None), unclear(Unclear::PassedOn));
    assert_eq!(done(None, &[holder(7, -9, 1), holder(8, 1, 1)], None), unclear(Unclear::Several));
    assert_eq!(done(None, &[holder(7, -9, -9), holder(8, 1, 1)], None), AtTheShop::Doubled(id(8)));
    assert_eq!(
        done(Some(false), &[holder(7, 0, 0)], None),
        AtTheShop::Unclear(Unclear::NothingDone),
        "its answer held no user"
    );
}

fn any_mobile() -> impl Strategy<Value = Option<Mobile>> {
    proptest::option::of((0_u8..4).prop_map(mobile))
}

fn any_holders() -> impl Strategy<Value = Vec<SeenAccount>> {
    let one = (1_u64..5, -100_i64..100, 0_i64..100);
    proptest::collection::vec(one.prop_map(|(id, made, later)| holder(id, made, made + later)), 0..3)
}

fn any_shop() -> impl Strategy<Value = AtTheShop> {
    let whose = (1_u64..5).prop_map(id);
    prop_oneof![
        Just(AtTheShop::CarriedOut),
        whose.clone().prop_map(AtTheShop::Made),
        whose.clone().prop_map(AtTheShop::Entered),
        whose.clone().prop_map(AtTheShop::Doubled),
        (whose, any_mobile()).prop_map(|(id, from)| AtTheShop::Changed(id, from)),
        select(&[Unclear::NothingDone, Unclear::PassedOn, Unclear::NotInTheCopy, Unclear::Several][..])
            .prop_map(AtTheShop::Unclear),
    ]
}

fn any_copy() -> impl Strategy<Value = OnTheCopy> {
    let whose = (1_u64..5).prop_map(id);
    prop_oneof![
        (-200_i64..0, ".{0,9}").prop_map(|(code, text)| OnTheCopy::Refused { code, text }),
        whose.clone().prop_map(OnTheCopy::Made),
        whose.clone().prop_map(OnTheCopy::Entered),
        (whose, any_mobile()).prop_map(|(id, from)| OnTheCopy::Changed(id, from)),
    ]
}

/// Whose it is, where it is about an account that was there before.
fn shops_own(shop: &AtTheShop) -> Option<AccountId> {
    match shop {
        AtTheShop::Entered(id) | AtTheShop::Changed(id, _) => Some(*id),
        _ => None,
    }
}

proptest! {
    #[test]
    fn alike_is_only_what_did_the_same_to_the_same_account(shop in any_shop(), copy in any_copy(), shift in 0_u64..3) {
        let counterpart = |shop: AccountId| AccountId::new(shop.get() + shift);
        let verdict = compare(&shop, &copy, counterpart);
        match (&shop, &copy) {
            (AtTheShop::Unclear(why), _) => prop_assert_eq!(verdict, Verdict::NotComparable(*why)),
            (_, OnTheCopy::Refused { .. }) => prop_assert_eq!(verdict, Verdict::Different),
            _ => {}
        }
        if verdict == Verdict::Alike {
            let on_the_copy = match &copy {
                OnTheCopy::Entered(id) | OnTheCopy::Changed(id, _) => Some(*id),
                _ => None,
            };
            prop_assert_eq!(matches!(shop, AtTheShop::Made(_)), matches!(copy, OnTheCopy::Made(_)) && shop != AtTheShop::CarriedOut);
            if let Some(shops) = shops_own(&shop) {
                prop_assert_eq!(counterpart(shops), on_the_copy);
            }
        }
    }

    #[test]
    fn an_account_that_the_copy_does_not_have_is_never_alike(shop in any_shop(), copy in any_copy()) {
        prop_assume!(shops_own(&shop).is_some());
        prop_assert_eq!(compare(&shop, &copy, |_| None), Verdict::Different);
    }

    #[test]
    fn the_shop_did_nothing_to_accounts_that_it_has_not_written(
        holders in any_holders(),
        before in proptest::option::of(any_mobile()),
        answered in proptest::option::of(any::<bool>()),
    ) {
        let done = done(answered, &holders, before.clone());
        let written = |account: AccountId| {
            holders.iter().any(|seen| seen.account.id == account && seen.changed_at().as_seconds() >= AT)
        };
        match &done {
            AtTheShop::Made(id) => prop_assert!(written(*id)),
            AtTheShop::Entered(id) => prop_assert!(written(*id) && before == Some(Some(mobile(1)))),
            AtTheShop::Changed(id, from) => {
                prop_assert!(written(*id) && *from != Some(mobile(1)) && before == Some(from.clone()));
            }
            AtTheShop::Doubled(id) => prop_assert!(written(*id) && holders.len() > 1),
            AtTheShop::CarriedOut => prop_assert!(false, "somebody has looked"),
            AtTheShop::Unclear(Unclear::NothingDone) => prop_assert!(answered != Some(true)),
            AtTheShop::Unclear(_) => prop_assert!(answered != Some(false)),
        }
        prop_assert!(answered != Some(false) || done == AtTheShop::Unclear(Unclear::NothingDone));
    }
}
