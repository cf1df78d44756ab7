//! Sessions, and the very same bind sent again.

use mobile_bind_domain::bind::BindParameters;
use mobile_bind_domain::policy::SessionPolicy;
use mobile_bind_domain::ports::Store;
use mobile_bind_domain::{AccountStatus, ClientType, Refusal};
use proptest::prelude::*;

use crate::support::world::{World, ready};
use crate::support::{BIND, MINI_BIND, MOBILE, WEIXIN, account_id};

const OTHER: &str = "13500135000";

#[test]
fn every_bind_issues_a_token_and_ends_the_one_it_replaces() {
    let world = World::new();
    let first = world.send_and_bind(ClientType::H5, "u", &BIND).unwrap();
    assert_eq!(ready(world.service.look_up(first.token.expose())).unwrap().account, first.account);
    world.advance(60);
    let elsewhere = world.send_and_bind(ClientType::Ios, "u", &BIND).unwrap();
    assert!(ready(world.service.look_up(first.token.expose())).is_ok(), "another client type has its own session");
    world.advance(60);
    let second = world.send_and_bind(ClientType::H5, "u", &BIND).unwrap();
    assert_eq!(ready(world.service.look_up(first.token.expose())).unwrap_err(), Refusal::TokenUnknown);
    for token in [elsewhere.token, second.token] {
        assert!(ready(world.service.look_up(token.expose())).is_ok());
    }
}

#[test]
fn a_token_is_good_from_any_client_type() {
    let world = World::new();
    let first = world.send_and_bind(ClientType::H5, "u", &BIND).unwrap();
    let moved = BindParameters { mobile: OTHER, token: first.token.expose(), ..BIND };
    let second = world.send_and_bind(ClientType::Pc, "u", &moved).unwrap();
    assert_eq!(second.account.id, first.account.id);
}

#[test]
fn the_very_same_bind_is_answered_the_same_for_ten_seconds() {
    let world = World::new();
    world.send(MOBILE, "u").unwrap();
    let code = world.last_code();
    let parameters = BindParameters { verify: &code, ..MINI_BIND };
    let first = world.bind(WEIXIN, "u", &parameters).unwrap();
    world.advance(9);
    let again = world.bind(WEIXIN, "u", &parameters).unwrap();
    assert_eq!((&again.account, &again.token), (&first.account, &first.token));
    assert_eq!(ready(world.store.sessions_of(first.account.id)).unwrap().len(), 1);
    world.advance(1);
    assert_eq!(world.bind(WEIXIN, "u", &parameters).unwrap_err(), Refusal::CodeExpired);
}

#[test]
fn a_repeated_bind_of_another_client_type_or_client_is_another() {
    let world = World::new();
    world.send(MOBILE, "u").unwrap();
    let code = world.last_code();
    let parameters = BindParameters { verify: &code, ..BIND };
    world.bind(ClientType::H5, "u", &parameters).unwrap();
    assert_eq!(world.bind(ClientType::Pc, "u", &parameters).unwrap_err(), Refusal::CodeExpired);
    assert_eq!(world.bind(ClientType::H5, "v", &parameters).unwrap_err(), Refusal::CodeExpired);
}

#[test]
fn a_session_that_has_ended_is_not_answered_again() {
    let world = World::new();
    world.send(MOBILE, "u").unwrap();
    let code = world.last_code();
    let parameters = BindParameters { verify: &code, ..BIND };
    let first = world.bind(ClientType::H5, "u", &parameters).unwrap();
    ready(world.service.log_out(first.token.expose())).unwrap();
    assert_eq!(world.bind(ClientType::H5, "u", &parameters).unwrap_err(), Refusal::CodeExpired);
}

#[test]
fn waiting_for_approval_is_answered_again() {
    let world = World::new();
    world.service.policy.change(|policy| policy.register_audit = true);
    world.send(MOBILE, "u").unwrap();
    let code = world.last_code();
    let parameters = BindParameters { verify: &code, ..BIND };
    for _ in 0..2 {
        assert_eq!(world.bind(ClientType::H5, "u", &parameters).unwrap_err(), Refusal::AccountAwaitingApproval);
    }
    assert_eq!(ready(world.store.accounts(None, 10)).unwrap().len(), 1);
    assert_eq!(ready(world.store.sessions_of(account_id(1))).unwrap(), []);
}

#[test]
fn tokens_are_missing_unknown_or_ended() {
    let world = World::new();
    assert_eq!(ready(world.service.look_up("")).unwrap_err(), Refusal::TokenMissing);
    assert_eq!(ready(world.service.look_up("zz")).unwrap_err(), Refusal::TokenUnknown);
    assert_eq!(ready(world.service.log_out("")).unwrap_err(), Refusal::LoginRequired);
    let token = world.send_and_bind(ClientType::H5, "u", &BIND).unwrap().token;
    ready(world.service.log_out(token.expose())).unwrap();
    assert_eq!(ready(world.service.log_out(token.expose())).unwrap_err(), Refusal::LoginRequired);
    assert_eq!(ready(world.service.look_up(token.expose())).unwrap_err(), Refusal::TokenUnknown);
}

#[test]
fn a_disabled_or_deleted_account_has_no_token() {
    let world = World::new();
    let bound = world.send_and_bind(ClientType::H5, "u", &BIND).unwrap();
    let look_up = || ready(world.service.look_up(bound.token.expose())).map(drop);
    for status in [AccountStatus::Disabled, AccountStatus::AwaitingApproval] {
        let mut account = bound.account.clone();
        account.status = status;
        world.put(account);
        assert_eq!(look_up(), Err(Refusal::TokenUnknown));
    }
    let mut account = bound.account.clone();
    account.status = AccountStatus::Muted;
    world.put(account);
    assert_eq!(look_up(), Ok(()));
    let mut account = bound.account.clone();
    account.deleted_at = Some(world.service.clock.now());
    world.put(account);
    assert_eq!(look_up(), Err(Refusal::TokenUnknown));
    world.advance(60);
    let entered = world.send_and_bind(ClientType::H5, "v", &BIND).unwrap();
    assert_ne!(entered.account.id, bound.account.id, "the number of a deleted account is free");
}

#[test]
fn guessing_without_a_code_uses_up_no_ids() {
    let world = World::new();
    for _ in 0..20 {
        assert_eq!(world.bind(ClientType::H5, "u", &BIND).unwrap_err(), Refusal::CodeExpired);
    }
    assert_eq!(ready(world.store.allot_account_id()).unwrap(), account_id(1));
}

proptest! {
    /// Any parameter that differs makes it another bind.
    #[test]
    fn another_parameter_is_another_bind(which in 0_usize..9, text in "[a-z0-9]{1,5}") {
        let world = World::new();
        world.send(MOBILE, "u").unwrap();
        let code = world.last_code();
        let first = BindParameters { verify: &code, ..MINI_BIND };
        prop_assert!(world.bind(WEIXIN, "u", &first).is_ok());
        let mut changed = first;
        let parameter = [
            &mut changed.nickname,
            &mut changed.avatar,
            &mut changed.province,
            &mut changed.city,
            &mut changed.county,
            &mut changed.gender,
            &mut changed.referrer,
            &mut changed.openid,
            &mut changed.unionid,
        ];
        *parameter.into_iter().nth(which).unwrap() = &text;
        prop_assert_eq!(world.bind(WEIXIN, "u", &changed).map(drop).unwrap_err(), Refusal::CodeExpired);
    }

    /// Use prolongs a session, and disuse or age ends it, whatever the rhythm of look-ups.
    #[test]
    fn a_session_lasts_while_it_is_used_and_never_beyond_its_lifetime(gaps in prop::collection::vec(1_u64..130, 1..20)) {
        let world = World::new();
        let seconds = std::time::Duration::from_secs;
        let session = SessionPolicy { inactivity: seconds(100), absolute: seconds(500), refresh_after: seconds(10) };
        world.service.policy.change(|policy| policy.session = session);
        let token = world.send_and_bind(ClientType::H5, "u", &BIND).unwrap().token;
        let (mut age, mut used) = (0, 0);
        for gap in gaps {
            world.advance(gap);
            age += gap;
            let live = age - used < 100 && age < 500;
            prop_assert_eq!(ready(world.service.look_up(token.expose())).is_ok(), live, "age {}", age);
            if !live {
                break;
            }
            if age - used >= 10 {
                used = age;
            }
        }
    }
}
