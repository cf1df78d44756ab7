//! Who is the caller, and which account gets the number: the contract's section of that name, line by line.

use std::time::Duration;

use mobile_bind_domain::bind::BindParameters;
use mobile_bind_domain::policy::SessionPolicy;
use mobile_bind_domain::{
    AccountStatus, AppId, ClientType, Gender, Platform, PlatformProof, ProfileText, Refusal, Timestamp, Write,
};

use crate::support::scene::{ACCOUNT_REVISION, NEW_ACCOUNT, Scene};
use crate::support::{
    BIND, MINI_BIND, MOBILE, OPENID, UNIONID, WEIXIN, account_id, identity, mobile, person, weixin_of,
};

const OTHER: &str = "13500135000";

#[test]
fn a_mini_programs_caller_holds_the_openid_not_the_token() {
    let scene = Scene::new(WEIXIN).logged_in(person(1)).openid_held_by(person(2).weixin(Some(OPENID), None));
    assert_eq!(scene.bound(&MINI_BIND).account.id, account_id(2));
}

#[test]
fn a_mini_programs_token_names_no_caller() {
    let scene = Scene::new(WEIXIN).logged_in(person(1));
    assert_eq!(scene.bound(&MINI_BIND).account.id, account_id(NEW_ACCOUNT));
}

#[test]
fn a_proved_unionid_finds_its_account() {
    let mut scene = Scene::new(WEIXIN).unionid_held_by(person(2).weixin(None, Some(UNIONID)));
    scene.proved = true;
    let bound = scene.bound(&MINI_BIND);
    assert_eq!(bound.account.id, account_id(2));
    assert_eq!(weixin_of(&bound.account), (Some(OPENID), Some(UNIONID)));
}

#[test]
fn a_proved_unionid_brings_its_account_the_new_openid() {
    let scene = Scene::new(WEIXIN).unionid_held_by(person(2).weixin(Some("older"), Some(UNIONID)));
    let bound = scene.bound(&MINI_BIND);
    assert_eq!((bound.account.id, weixin_of(&bound.account)), (account_id(2), (Some(OPENID), Some(UNIONID))));
}

#[test]
fn an_unproved_unionid_never_finds_an_account_nor_is_it_taken_away() {
    let mut scene = Scene::new(WEIXIN).unionid_held_by(person(2).weixin(None, Some(UNIONID)));
    scene.proved = false;
    scene.policy.platform_proof = PlatformProof::Trust;
    let bound = scene.bound(&MINI_BIND);
    assert_eq!(bound.account.id, account_id(NEW_ACCOUNT));
    assert_eq!(weixin_of(&bound.account), (Some(OPENID), None));
}

#[test]
fn the_openid_comes_before_the_unionid() {
    let scene = Scene::new(WEIXIN)
        .openid_held_by(person(1).weixin(Some(OPENID), None))
        .unionid_held_by(person(2).weixin(None, Some(UNIONID)));
    let bound = scene.bound(&MINI_BIND);
    assert_eq!(bound.account.id, account_id(1));
    assert_eq!(weixin_of(&bound.account), (Some(OPENID), None), "the unionid is another account's");
}

#[test]
fn an_openid_on_trust_is_taken_only_where_that_is_the_policy() {
    let mut scene = Scene::new(WEIXIN);
    scene.proved = false;
    assert_eq!(scene.refused_with_the_code_left(&MINI_BIND), Refusal::IdentityUnproved);
    scene.policy.platform_proof = PlatformProof::Trust;
    assert_eq!(weixin_of(&scene.bound(&MINI_BIND).account).0, Some(OPENID));
}

#[test]
fn an_identity_is_of_the_configured_app() {
    let mut scene = Scene::new(WEIXIN);
    scene.policy.apps.insert(Platform::Weixin, AppId::new("wx1").unwrap());
    let held: Vec<_> = scene.bound(&MINI_BIND).account.held_identities().collect();
    assert_eq!(held.len(), 1);
    assert_eq!(held[0].app.as_str(), "wx1");
    assert_ne!(held[0], identity(Platform::Weixin, OPENID), "the same openid of another app is another identity");
}

#[test]
fn elsewhere_the_caller_is_the_tokens_account_and_openids_are_ignored() {
    for client_type in [ClientType::Pc, ClientType::H5, ClientType::Ios, ClientType::Android] {
        let bound = Scene::new(client_type).logged_in(person(1)).bound(&MINI_BIND);
        assert_eq!((bound.account.id, weixin_of(&bound.account)), (account_id(1), (None, None)));
        assert_eq!(bound.session.client_type, client_type, "the session before was h5");
    }
}

#[test]
fn an_ended_session_has_no_caller() {
    let mut scene = Scene::new(ClientType::H5).logged_in(person(1));
    let an_hour = Duration::from_secs(3600);
    scene.policy.session = SessionPolicy { inactivity: an_hour, ..SessionPolicy::default() };
    assert_eq!(scene.bound(&BIND).account.id, account_id(NEW_ACCOUNT));
    scene.policy.session.inactivity = an_hour + Duration::from_millis(1);
    assert_eq!(scene.bound(&BIND).account.id, account_id(1));
}

#[test]
fn a_deleted_or_closed_account_calls_nobody() {
    for closed in [false, true] {
        let mut gone = person(1).mobile(OTHER);
        *if closed { &mut gone.0.closed_at } else { &mut gone.0.deleted_at } = Some(Timestamp::from_seconds(5));
        assert_eq!(gone.0.held_mobile(), None);
        assert_eq!(Scene::new(ClientType::H5).logged_in(gone).bound(&BIND).account.id, account_id(NEW_ACCOUNT));
    }
}

#[test]
fn a_known_caller_gets_a_free_number_in_place_of_his_own() {
    let scene = Scene::new(ClientType::H5).logged_in(person(1).mobile(OTHER));
    let decision = scene.decide(&BIND);
    let bound = decision.answer.unwrap();
    assert_eq!((bound.account.id, bound.account.mobile.clone()), (account_id(1), Some(mobile(MOBILE))));
    assert_eq!(bound.account.updated_at, Some(scene.now));
    let written = Write::Account { expected: ACCOUNT_REVISION, account: Box::new(bound.account) };
    assert!(decision.change.writes.contains(&written));
}

#[test]
fn a_known_caller_is_refused_anothers_number_and_his_own() {
    let scene = Scene::new(ClientType::H5).logged_in(person(1));
    let held = scene.clone().number_held_by(person(2).mobile(MOBILE));
    assert_eq!(held.refused_with_the_code_left(&BIND), Refusal::HeldByOther);
    let own = scene.number_held_by(person(1).mobile(MOBILE));
    assert_eq!(own.refused_with_the_code_left(&BIND), Refusal::HeldByCaller);
}

#[test]
fn a_new_profile_overwrites_and_empty_text_never_does() {
    let mut known = person(1);
    known.0.profile.nickname = ProfileText::new("old").unwrap();
    known.0.profile.city = ProfileText::new("上海").unwrap();
    known.0.profile.gender = Gender::Male;
    let scene = Scene::new(ClientType::H5).logged_in(known);
    let told = BindParameters { nickname: "new", county: "浦东新区", gender: "0", ..BIND };
    let profile = scene.bound(&told).account.profile;
    assert_eq!(
        (profile.nickname.as_str(), profile.city.as_str(), profile.county.as_str()),
        ("new", "上海", "浦东新区")
    );
    assert_eq!(profile.gender, Gender::Male);
    let told = BindParameters { gender: "1", province: "浙江", avatar: "https://x/a.png", ..BIND };
    let profile = scene.bound(&told).account.profile;
    assert_eq!((profile.gender, profile.province.as_str()), (Gender::Female, "浙江"));
    assert_eq!((profile.avatar.as_str(), profile.nickname.as_str()), ("https://x/a.png", "old"));
}

#[test]
fn an_unknown_caller_enters_the_numbers_account_and_leaves_its_profile_alone() {
    let mut holder = person(2).mobile(MOBILE);
    holder.0.profile.nickname = ProfileText::new("old").unwrap();
    let scene = Scene::new(ClientType::H5).number_held_by(person(2).mobile(MOBILE));
    let told = BindParameters { nickname: "new", gender: "1", city: "x", avatar: "/a", referrer: "5", ..BIND };
    let decision = scene.decide(&told);
    assert_eq!(decision.answer.unwrap().account, person(2).mobile(MOBILE).0, "nothing is changed, and nothing written");
    assert!(!decision.change.writes.iter().any(|write| matches!(write, Write::Account { .. })));

    let mini = Scene::new(WEIXIN).number_held_by(holder);
    let told = BindParameters { nickname: "new", gender: "1", ..MINI_BIND };
    let entered = mini.bound(&told).account;
    assert_eq!((entered.id, weixin_of(&entered)), (account_id(2), (Some(OPENID), Some(UNIONID))));
    assert_eq!((entered.profile.nickname.as_str(), entered.profile.gender), ("old", Gender::Undisclosed));
}

#[test]
fn entering_replaces_the_openid_and_frees_its_unionid() {
    let holder = || person(2).mobile(MOBILE).weixin(Some("older"), Some("older union"));
    let entered = Scene::new(WEIXIN).number_held_by(holder()).bound(&MINI_BIND).account;
    assert_eq!(weixin_of(&entered), (Some(OPENID), Some(UNIONID)));
    let no_unionid = BindParameters { unionid: "", ..MINI_BIND };
    let entered = Scene::new(WEIXIN).number_held_by(holder()).bound(&no_unionid).account;
    assert_eq!(weixin_of(&entered), (Some(OPENID), None));
}

#[test]
fn an_openid_on_one_platform_leaves_the_others_alone() {
    let holder = person(2).mobile(MOBILE).weixin(Some("older"), Some("older union"));
    let entered = Scene::new(ClientType::MiniProgram(Platform::Qq)).number_held_by(holder).bound(&MINI_BIND).account;
    assert_eq!(weixin_of(&entered), (Some("older"), Some("older union")));
    assert!(entered.held_identities().any(|held| held == identity(Platform::Qq, OPENID)));
}

#[test]
fn a_stored_unionid_is_kept() {
    let caller = person(1).weixin(Some(OPENID), Some("first"));
    let bound = Scene::new(WEIXIN).openid_held_by(caller).bound(&MINI_BIND);
    assert_eq!(weixin_of(&bound.account), (Some(OPENID), Some("first")));
    let without_openid = person(2).mobile(MOBILE).weixin(None, Some("first"));
    let entered = Scene::new(WEIXIN).number_held_by(without_openid).bound(&MINI_BIND);
    assert_eq!(weixin_of(&entered.account), (Some(OPENID), Some("first")));
}

#[test]
fn a_missing_unionid_is_filled_in() {
    let bound = Scene::new(WEIXIN).openid_held_by(person(1).weixin(Some(OPENID), None)).bound(&MINI_BIND);
    assert_eq!(weixin_of(&bound.account), (Some(OPENID), Some(UNIONID)));
}

#[test]
fn platforms_without_unionids_store_none() {
    for platform in [Platform::Alipay, Platform::Baidu, Platform::Kuaishou] {
        let bound = Scene::new(ClientType::MiniProgram(platform)).bound(&MINI_BIND);
        assert_eq!(bound.account.held_identities().collect::<Vec<_>>(), [identity(platform, OPENID)]);
        assert_eq!(bound.account.held_unionids().count(), 0);
    }
}

#[test]
fn nobody_known_makes_an_account_with_what_was_told() {
    let mut scene = Scene::new(WEIXIN);
    scene.snapshot.referrer = Some(person(5).0);
    let told = BindParameters { nickname: "qqqqqq", gender: "2", referrer: "5", ..MINI_BIND };
    let account = scene.bound(&told).account;
    assert_eq!((account.id, account.status), (account_id(NEW_ACCOUNT), AccountStatus::Normal));
    assert_eq!((account.mobile.as_ref(), account.referrer), (Some(&mobile(MOBILE)), Some(account_id(5))));
    assert_eq!((account.profile.nickname.as_str(), account.profile.gender), ("qqqqqq", Gender::Male));
    assert_eq!((weixin_of(&account), account.updated_at), ((Some(OPENID), Some(UNIONID)), None));
    assert_eq!(account.member_code.unwrap().as_str(), "88880000000009");
}

#[test]
fn a_referrer_counts_only_live_and_normal_and_for_a_new_account() {
    for status in [AccountStatus::Muted, AccountStatus::Disabled, AccountStatus::AwaitingApproval] {
        let mut scene = Scene::new(ClientType::H5);
        scene.snapshot.referrer = Some(person(5).status(status).0);
        assert_eq!(scene.bound(&BIND).account.referrer, None, "{status:?}");
    }
    let mut deleted = person(5).0;
    deleted.closed_at = Some(Timestamp::from_seconds(5));
    let mut scene = Scene::new(ClientType::H5);
    scene.snapshot.referrer = Some(deleted);
    assert_eq!(scene.bound(&BIND).account.referrer, None);

    scene.snapshot.referrer = Some(person(5).0);
    assert_eq!(scene.clone().logged_in(person(1)).bound(&BIND).account.referrer, None);
    assert_eq!(scene.number_held_by(person(1).mobile(MOBILE)).bound(&BIND).account.referrer, None);
}

#[test]
fn a_new_account_under_approval_uses_the_code_and_gets_no_session() {
    let mut scene = Scene::new(WEIXIN);
    scene.policy.register_audit = true;
    let decision = scene.decide(&MINI_BIND);
    assert_eq!(decision.answer.unwrap_err(), Refusal::AccountAwaitingApproval);
    let made = decision.change.writes.iter().find_map(|write| match write {
        Write::Account { account, .. } => Some(account),
        _ => None,
    });
    let made = made.unwrap();
    assert_eq!((made.status, made.mobile.as_ref()), (AccountStatus::AwaitingApproval, Some(&mobile(MOBILE))));
    let used_up = |write: &Write| matches!(write, Write::Challenge { challenge: None, .. });
    assert!(decision.change.writes.iter().any(used_up));
    assert!(!decision.change.writes.iter().any(|write| matches!(write, Write::OpenSession(_))));
    let receipt = |write: &Write| matches!(write, Write::Receipt(_, receipt) if receipt.session.is_none());
    assert!(decision.change.writes.iter().any(receipt));
}

#[test]
fn approval_is_asked_of_new_accounts_alone() {
    let mut scene = Scene::new(ClientType::H5).logged_in(person(1));
    scene.policy.register_audit = true;
    assert_eq!(scene.bound(&BIND).account.status, AccountStatus::Normal);
}

#[test]
fn disabled_and_unapproved_accounts_leave_the_code_and_muted_ones_bind() {
    let stopped = [
        (AccountStatus::Disabled, Refusal::AccountDisabled),
        (AccountStatus::AwaitingApproval, Refusal::AccountAwaitingApproval),
    ];
    for (status, refusal) in stopped {
        let entered = Scene::new(ClientType::H5).number_held_by(person(2).mobile(MOBILE).status(status));
        assert_eq!(entered.refused_with_the_code_left(&BIND), refusal);
        let caller = Scene::new(ClientType::H5).logged_in(person(1).status(status));
        assert_eq!(caller.refused_with_the_code_left(&BIND), refusal);
        let mini = Scene::new(WEIXIN).openid_held_by(person(1).status(status));
        assert_eq!(mini.refused_with_the_code_left(&MINI_BIND), refusal);
    }
    let muted = || person(2).mobile(MOBILE).status(AccountStatus::Muted);
    assert_eq!(Scene::new(ClientType::H5).number_held_by(muted()).bound(&BIND).account, muted().0);
    let caller = Scene::new(ClientType::H5).logged_in(person(1).status(AccountStatus::Muted));
    assert_eq!(caller.bound(&BIND).account.mobile, Some(mobile(MOBILE)));
}

#[test]
fn a_forbidden_number_is_refused_only_where_an_account_would_be_made() {
    let mut scene = Scene::new(ClientType::H5);
    scene.policy.forbidden_mobiles.insert(mobile(MOBILE));
    assert_eq!(scene.refused_with_the_code_left(&BIND), Refusal::NumberForbidden);
    assert_eq!(scene.clone().logged_in(person(1)).bound(&BIND).account.id, account_id(1));
    assert_eq!(scene.clone().number_held_by(person(2).mobile(MOBILE)).bound(&BIND).account.id, account_id(2));
    let both = scene.logged_in(person(1)).number_held_by(person(2).mobile(MOBILE));
    assert_eq!(both.refused_with_the_code_left(&BIND), Refusal::HeldByOther);
}
