use mobile_bind_domain::{
    Account, AccountId, AccountStatus, AppId, Avatar, Gender, MemberCode, Mobile, OpenId, Platform, PlatformIdentity,
    Profile, ProfileText, Revision, ShopDetails, Timestamp, UnionId,
};
use proptest::prelude::*;

use super::super::companion::Companion;
use super::super::fingerprint;
use super::ShopColumns;

const ID: AccountId = AccountId::MIN;

fn blank() -> Account {
    ShopColumns::default().account(ID, None, None)
}

/// An account as it is read after it was written over `before`.
fn written(before: &ShopColumns, companion: Option<&Companion>, account: &Account) -> (ShopColumns, Companion) {
    let known = before.account(ID, companion, None);
    let columns = before.saying(&known, account).unwrap();
    let fingerprint = fingerprint::of(&columns);
    let companion = companion.cloned().unwrap_or_default().of(&known, account, Revision(7), fingerprint);
    (columns, companion)
}

fn text() -> impl Strategy<Value = String> {
    prop_oneof![Just(String::new()), "[a-zA-Z名<&' \u{1F600}]{0,59}[a-z]"]
}

prop_compose! {
    fn identity()(app in "[a-z]{0,5}", openid in "[a-zA-Z0-9_-]{0,60}", unionid in "[a-zA-Z0-9_-]{0,60}", is_some: bool)
        -> (String, String, String, bool) { (app, openid, unionid, is_some) }
}

prop_compose! {
    fn profile()(texts in prop::array::uniform4(text()), avatar in "(https://x/[a-z?=&]{0,200})?", gender in 0_u8..3)
        -> Profile {
        let [nickname, province, city, county] = texts.map(|text| ProfileText::new(&text).unwrap());
        let gender = Gender::from_text(&gender.to_string());
        Profile { nickname, avatar: Avatar::new(&avatar).unwrap(), gender, province, city, county }
    }
}

prop_compose! {
    fn details()(texts in prop::array::uniform3(text()), birthday: i32, points: [i32; 2], has_password: bool) -> ShopDetails {
        let [username, email, address] = texts.map(String::into_boxed_str);
        ShopDetails {
            username, email, address, has_password, weixin_web_openid: "".into(), birthday: birthday.into(),
            integral: points[0].into(), locking_integral: points[1].into(),
        }
    }
}

prop_compose! {
    fn account()(
        profile in profile(), details in details(), identities in prop::collection::vec(identity(), 6),
        times in prop::array::uniform4(prop::option::of(1_u32..)), millis in prop::array::uniform2(prop::option::of(0_u64..1 << 60)),
        mobile in "(1[3-9][0-9]{9})?", status in 0_u8..4, referrer in 0_u32.., code in "([0-9]{1,30})?",
    ) -> Account {
        let [added_at, updated_at, deleted_at, closed_at] =
            times.map(|time| time.map(|seconds| Timestamp::from_seconds(seconds.into())));
        let mobile = Mobile::restore(&mobile);
        let mut made = Account {
            member_code: MemberCode::new(&code),
            status: AccountStatus::from_number(status).unwrap(),
            profile,
            shop: Some(Box::new(details)).filter(|details| **details != ShopDetails::default()),
            referrer: AccountId::new(referrer.into()),
            updated_at,
            mobile_since: mobile.as_ref().and_then(|_| millis[0]).map(Timestamp::from_millis),
            seen_at: millis[1].map(Timestamp::from_millis),
            deleted_at,
            closed_at,
            mobile,
            ..Account::new(ID, added_at.unwrap_or(Timestamp::from_seconds(1)))
        };
        for (platform, (app, openid, unionid, is_some)) in Platform::ALL.into_iter().zip(identities) {
            let unionid = UnionId::new(&unionid).filter(|_| platform.unionid_parameter().is_some());
            let identity = PlatformIdentity { app: AppId::new(&app).unwrap(), openid: OpenId::new(&openid), unionid };
            if is_some && (identity.openid.is_some() || identity.unionid.is_some()) {
                made.identities.insert(platform, identity);
            }
        }
        made
    }
}

proptest! {
    #[test]
    fn an_account_is_read_as_it_was_written(first in account(), second in account()) {
        let (columns, companion) = written(&ShopColumns::default(), None, &first);
        prop_assert_eq!(columns.account(ID, Some(&companion), None), first);
        prop_assert_eq!(fingerprint::revision(&columns, Some(&companion)), Revision(7));
        let (columns, companion) = written(&columns, Some(&companion), &second);
        prop_assert_eq!(columns.account(ID, Some(&companion), None), second);
    }

    /// What the shop changed is another version, which no write of mobile-bind's is ever given.
    #[test]
    fn a_change_by_the_shop_is_another_version(account in account(), nickname in "[a-z]{1,60}") {
        let (columns, companion) = written(&ShopColumns::default(), None, &account);
        let changed = ShopColumns { nickname, ..columns.clone() };
        prop_assume!(changed != columns);
        let (revision, without) =
            (fingerprint::revision(&changed, Some(&companion)), fingerprint::revision(&columns, None));
        prop_assert!(revision != Revision(7) && revision.0 >> 63 == 1 && without.0 >> 63 == 1 && revision != without);
    }
}

#[test]
fn what_mobile_bind_does_not_know_stays_as_the_shop_has_it() {
    let odd = ShopColumns {
        number_code: "vip-7".to_owned(),
        avatar: "static/upload/1.png".to_owned(),
        gender: 9,
        status: 8,
        mobile: "0000".to_owned(),
        ..ShopColumns::default()
    };
    let known = odd.account(ID, None, None);
    assert_eq!((known.status, &known.member_code), (AccountStatus::Disabled, &None));
    let mut changed = known.clone();
    changed.profile.nickname = ProfileText::new("n").unwrap();
    let columns = odd.saying(&known, &changed).unwrap();
    let differing: Vec<_> =
        columns.user().into_iter().zip(odd.user()).filter(|(after, before)| after != before).collect();
    assert_eq!(differing.len(), 1);
    assert_eq!(differing[0].0.0, "nickname");
}

#[test]
fn an_openid_of_the_shops_belongs_to_the_app_that_asks_until_it_is_written_here() {
    let mut columns = ShopColumns::default();
    columns.identities.insert(Platform::Weixin, ("o".to_owned(), String::new()));
    let wx = AppId::new("wx1").unwrap();
    let asked = columns.account(ID, None, Some((Platform::Weixin, &wx)));
    assert_eq!(asked.identities[&Platform::Weixin].app, wx);
    let (_, companion) = written(&columns, None, &asked);
    let unasked = columns.account(ID, Some(&companion), None);
    assert_eq!(unasked.identities[&Platform::Weixin].app, wx);
    let plain = columns.account(ID, None, None);
    let (_, companion) = written(&columns, None, &plain);
    assert!(companion.apps.is_empty());
}

#[test]
fn since_when_a_number_is_held_is_forgotten_with_the_number() {
    let since = Some(Timestamp::from_millis(1_634_727_340_123));
    let account = Account { mobile: Mobile::restore("17602128368"), mobile_since: since, ..blank() };
    let (columns, companion) = written(&ShopColumns::default(), None, &account);
    let changed = ShopColumns { mobile: "13500135000".to_owned(), ..columns };
    assert_eq!(changed.account(ID, Some(&companion), None).mobile_since, None);
}

#[test]
fn what_does_not_fit_is_refused_and_never_cut() {
    let too_late = Timestamp::from_seconds(u64::from(u32::MAX) + 1);
    let unfit = [
        Account { updated_at: Some(too_late), ..blank() },
        Account { referrer: Some(AccountId::MAX), ..blank() },
        Account { mobile: Mobile::restore("1760212836 "), ..blank() },
        Account { shop: Some(Box::new(ShopDetails { integral: i64::MAX, ..ShopDetails::default() })), ..blank() },
        Account {
            shop: Some(Box::new(ShopDetails { address: "a".repeat(151).into(), ..ShopDetails::default() })),
            ..blank()
        },
    ];
    for account in unfit {
        assert!(ShopColumns::default().saying(&blank(), &account).is_err(), "{account:?}");
    }
}
