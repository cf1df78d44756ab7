//! The user object against the interface document's own example.

use jiff::tz::TimeZone;
use mobile_bind_domain::{
    Account, AccountId, AppId, Avatar, ClientType, Gender, Language, MemberCode, Mobile, OpenId, Platform,
    PlatformIdentity, ProfileText, ShopDetails, Timestamp, UnionId,
};

use super::{User, Viewing, mask_email};
use crate::Presentation;
use crate::schemas::USER_EXAMPLE;

fn presentation() -> Presentation {
    Presentation {
        default_avatar: "https://shop.example/default.jpg".to_owned(),
        attachment_host: "https://static.shop.example".to_owned(),
        time_zone: TimeZone::get("Asia/Shanghai").unwrap(),
        mandatory_bind: std::sync::Arc::new(false.into()),
        captcha: None,
    }
}

/// The account of the interface document's example.
fn account() -> Account {
    let mut account = Account::new(AccountId::MIN, Timestamp::from_seconds(1_627_535_697));
    account.updated_at = Some(Timestamp::from_seconds(1_634_727_340));
    account.mobile = Mobile::restore("17602128368");
    account.profile.nickname = ProfileText::new("qqqqqq").unwrap();
    account.profile.avatar =
        Avatar::new("https://d1.shopxo.vip/static/index/default/images/default-user-avatar.jpg").unwrap();
    account.identities.insert(
        Platform::Weixin,
        PlatformIdentity {
            app: AppId::default(),
            openid: OpenId::new("oB6US5SNOngn196qzb3lagEBTh6w"),
            unionid: UnionId::new("o1Ang5xo5tiJD-l7Y1kY7-hT6emk"),
        },
    );
    account.shop = Some(Box::new(ShopDetails {
        username: "qqqqqq".into(),
        weixin_web_openid: "obfTQw7y972CqaHw2ohJ2PcETUw8".into(),
        integral: 1189,
        ..ShopDetails::default()
    }));
    account
}

fn user(account: &Account, language: Language, presentation: &Presentation) -> User {
    let client_type = ClientType::MiniProgram(Platform::Weixin);
    User::new(account, &Viewing { token: "1fa48232d7a0392ca22269a3d35b540f", client_type, language, presentation })
}

#[test]
fn the_interface_documents_own_example() {
    let user = user(&account(), Language::Zh, &presentation());
    let expected: serde_json::Value = serde_json::from_str(USER_EXAMPLE).unwrap();
    let answered = serde_json::to_string_pretty(&user).unwrap();
    assert_eq!(answered, serde_json::to_string_pretty(&expected).unwrap());
    assert_eq!(expected.as_object().unwrap().len(), 37 + 9);
    let integers = ["is_mandatory_bind_mobile", "is_setup_pwd"];
    for (name, value) in expected.as_object().unwrap() {
        assert_eq!(value.is_i64(), integers.contains(&name.as_str()), "{name}");
        assert_eq!(value.is_string(), !integers.contains(&name.as_str()), "{name}");
    }
}

#[test]
fn what_is_not_there_is_empty_or_zero() {
    let mut bare = Account::new(AccountId::MAX, Timestamp::from_seconds(1));
    bare.member_code = None;
    let user =
        user(&bare, Language::En, &Presentation { mandatory_bind: std::sync::Arc::new(true.into()), ..presentation() });
    let texts = [&user.mobile, &user.mobile_security, &user.user_name_view, &user.number_code, &user.birthday_text];
    assert_eq!(texts, [""; 5]);
    assert_eq!((user.upd_time.as_str(), user.upd_time_text.as_str()), ("0", ""));
    assert_eq!((user.referrer.as_str(), user.is_delete_time.as_str(), user.is_logout_time.as_str()), ("0", "0", "0"));
    assert_eq!((user.avatar.as_str(), user.is_mandatory_bind_mobile), ("https://shop.example/default.jpg", 1));
}

#[test]
fn places_avatars_and_names() {
    let mut account = account();
    account.profile.province = ProfileText::new("上海").unwrap();
    account.profile.city = ProfileText::new("上海市").unwrap();
    account.profile.county = ProfileText::new("徐汇区").unwrap();
    account.profile.avatar = Avatar::new("/upload/a.png").unwrap();
    account.profile.nickname = ProfileText::default();
    account.profile.gender = Gender::Female;
    account.referrer = AccountId::new(7);
    account.member_code = MemberCode::new("42");
    account.shop = Some(Box::new(ShopDetails {
        email: "user@shop.example".into(),
        birthday: 1_634_727_340,
        has_password: true,
        ..ShopDetails::default()
    }));
    let shown = user(&account, Language::Zh, &presentation());
    assert_eq!(shown.address_info, "上海上海市徐汇区");
    assert_eq!(shown.avatar, "https://static.shop.example/upload/a.png");
    assert_eq!((shown.referrer.as_str(), shown.number_code.as_str(), shown.is_setup_pwd), ("7", "42", 1));
    assert_eq!((shown.user_name_view.as_str(), shown.birthday_text.as_str()), ("176***368", "2021-10-20"));
    account.mobile = None;
    assert_eq!(user(&account, Language::Zh, &presentation()).user_name_view, "u***@shop.example");
    let genders = Language::ALL;
    let genders = genders.map(|language| user(&account, language, &presentation()).gender_text);
    assert_eq!(genders, ["女", "Female", "女", "Mujer"]);
}

#[test]
fn a_closed_account_shows_no_identities() {
    let mut account = account();
    account.closed_at = Some(Timestamp::from_seconds(2_000_000_000));
    let shown = user(&account, Language::Zh, &presentation());
    assert_eq!((shown.weixin_openid.as_str(), shown.weixin_unionid.as_str()), ("", ""));
    assert_eq!(shown.is_logout_time, "2000000000");
}

#[test]
fn masked_addresses_show_little() {
    let masked = ["", "user@x.com", "ü@x.com", "@x.com", "nobody", "a@b@c"].map(mask_email);
    assert_eq!(masked, ["", "u***@x.com", "ü***@x.com", "***", "***", "a***@c"]);
}
