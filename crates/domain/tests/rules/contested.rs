//! What a shop that writes beside the service has given to several accounts: none of them is chosen.

use std::time::Duration;

use mobile_bind_domain::bind::BindParameters;
use mobile_bind_domain::log_in::LogInOutcome;
use mobile_bind_domain::ports::{Contested, LogInSnapshot};
use mobile_bind_domain::{AccountStatus, ClientType, Refusal, Write};
use proptest::prelude::*;

use crate::support::scene::{Scene, log_in, sent, versioned};
use crate::support::{CODE, MINI_BIND, MOBILE, OPENID, WEIXIN, account_id, person, weixin_of};

fn contested(client_type: ClientType, contested: Contested) -> Scene {
    let mut scene = Scene::new(client_type);
    scene.snapshot.contested = contested;
    scene
}

const MOBILE_CONTESTED: Contested = Contested { mobile: true, identity: false, unionid: false };
const IDENTITY_CONTESTED: Contested = Contested { mobile: false, identity: true, unionid: false };
const UNIONID_CONTESTED: Contested = Contested { mobile: false, identity: false, unionid: true };

#[test]
fn what_several_accounts_have_leads_to_none_of_them() {
    let several = Refusal::HeldBySeveral;
    for client_type in [WEIXIN, ClientType::H5] {
        let by_number = contested(client_type, MOBILE_CONTESTED);
        assert_eq!(by_number.refused_with_the_code_left(&MINI_BIND), several);
        let own = by_number.logged_in(person(1).mobile(MOBILE)).openid_held_by(person(1).mobile(MOBILE));
        assert_eq!(own.refused_with_the_code_left(&MINI_BIND), several, "one of them is no better than the others");
    }
    let by_openid = contested(WEIXIN, IDENTITY_CONTESTED);
    assert_eq!(by_openid.refused_with_the_code_left(&MINI_BIND), several);
    let held = by_openid.clone().unionid_held_by(person(1)).number_held_by(person(2).mobile(MOBILE));
    assert_eq!(held.refused_with_the_code_left(&MINI_BIND), several);
    assert_eq!(contested(WEIXIN, UNIONID_CONTESTED).refused_with_the_code_left(&MINI_BIND), several);
}

#[test]
fn a_contested_unionid_is_stored_with_nobody_and_hinders_no_holder_of_the_openid() {
    let known = contested(WEIXIN, UNIONID_CONTESTED).openid_held_by(person(1).weixin(Some(OPENID), None));
    let bound = known.bound(&MINI_BIND);
    assert_eq!((bound.account.id, weixin_of(&bound.account)), (account_id(1), (Some(OPENID), None)));
}

#[test]
fn a_disabled_caller_hears_of_that_alone() {
    let disabled = person(1).weixin(Some(OPENID), None).status(AccountStatus::Disabled);
    let scene = contested(WEIXIN, MOBILE_CONTESTED).openid_held_by(disabled);
    assert_eq!(scene.refused_with_the_code_left(&MINI_BIND), Refusal::AccountDisabled);
}

proptest! {
    /// Strangers learn nothing: until the code is right and the openid proved, every answer and every count is as if nothing
    /// were contested; and after it, a contested number or openid never binds.
    #[test]
    fn what_is_contested_is_told_after_a_right_code_alone(
        mobile in any::<bool>(), identity in any::<bool>(), unionid in any::<bool>(), failures in 0_u8..6,
        verify in prop_oneof![Just(CODE), Just("0000")], proved in any::<bool>(),
        client_type in prop_oneof![Just(WEIXIN), Just(ClientType::H5)],
    ) {
        let mut plain = Scene::new(client_type);
        plain.proved = proved;
        plain.snapshot.challenge = Some(sent(CODE, Duration::from_secs(60), failures));
        let mut scene = plain.clone();
        scene.snapshot.contested = Contested { mobile, identity: identity && client_type == WEIXIN, unionid };
        let parameters = BindParameters { verify, ..MINI_BIND };
        let (told, usual) = (scene.decide(&parameters), plain.decide(&parameters));
        let is_told = mobile || (client_type == WEIXIN && (identity || unionid));
        if usual.answer.is_ok() && is_told {
            prop_assert_eq!(told.answer.unwrap_err(), Refusal::HeldBySeveral);
            prop_assert!(told.change.writes.is_empty());
        } else {
            prop_assert_eq!(told.answer.map(|bound| bound.account), usual.answer.map(|bound| bound.account));
            prop_assert_eq!(told.change.writes, usual.change.writes);
        }
    }
}

#[test]
fn a_log_in_of_several_is_of_nobody_and_the_openid_is_proved_all_the_same() {
    for contested in [IDENTITY_CONTESTED, UNIONID_CONTESTED] {
        let decision = log_in(&LogInSnapshot { contested, ..LogInSnapshot::default() });
        assert_eq!(decision.answer.unwrap_err(), Refusal::HeldBySeveral);
        let kept = |write: &Write| matches!(write, Write::Spend(..) | Write::Proof(..));
        assert!(decision.change.writes.iter().all(kept) && decision.change.writes.len() == 2);
    }
    let holder = versioned(person(1).weixin(Some(OPENID), None).0);
    let known =
        LogInSnapshot { identity_holder: Some(holder), contested: UNIONID_CONTESTED, ..LogInSnapshot::default() };
    let Ok(LogInOutcome::Entered(bound)) = log_in(&known).answer else { panic!("its holder is known") };
    assert_eq!(weixin_of(&bound.account), (Some(OPENID), None));
}
