//! Accounts and what belongs to one of them alone.

use mobile_bind_domain::referrer::ReferrerName;
use mobile_bind_domain::{Account, AccountId, AppId, Identity, MemberCode, OpenId, Platform, Revision};

use super::{MOBILE, NOW, Shop, account, is_conflict, mobile, with_mobile, with_openid};
use crate::question::Question;
use crate::shop::account::{self as accounts, AskedReferrer, Holder};
use crate::shop::allotment;
use crate::shop::claims::Claim;

async fn holder(shop: &mut Shop, number: &str) -> Vec<u64> {
    let (conn, tables) = shop.at();
    ids(accounts::holder_of_mobile(conn, tables, &mobile(number)).await.unwrap())
}

async fn holder_of_openid(shop: &mut Shop, app: &str, openid: &str) -> Vec<u64> {
    let (app, openid) = (AppId::new(app).unwrap(), OpenId::new(openid).unwrap());
    let identity = Identity { platform: Platform::Weixin, app, openid };
    let (conn, tables) = shop.at();
    let (mut question, claim) = (Question::default(), Claim::Identity(identity));
    let asked = accounts::ask_holders(&mut question, tables, &claim).unwrap();
    let found = question.ask(conn).await.unwrap().all(&asked).unwrap();
    ids(accounts::read_all(conn, tables, &found.into_iter().collect()).await.unwrap().holder(&claim))
}

async fn referrer(shop: &mut Shop, name: &ReferrerName) -> Option<Account> {
    let (conn, tables) = shop.at();
    let mut question = Question::default();
    let asked = AskedReferrer::ask(&mut question, tables, name);
    let ids = asked.ids(&question.ask(conn).await.unwrap()).unwrap();
    accounts::referrer(&accounts::read_all(conn, tables, &ids).await.unwrap(), name)
}

fn ids(holder: Holder) -> Vec<u64> {
    match holder {
        Holder::Nobody => Vec::new(),
        Holder::One(found) => vec![found.value.id.get()],
        Holder::Several(ids) => ids.into_iter().map(AccountId::get).collect(),
    }
}

#[tokio::test]
async fn a_new_account_is_a_row_as_the_shop_makes_them() {
    let mut shop = Shop::open().await;
    shop.write(Revision::ABSENT, &with_mobile(7, MOBILE)).await.unwrap();
    let row =
        "SELECT number_code, status, mobile, add_time, upd_time, pwd, is_delete_time, is_logout_time FROM sxo_user";
    assert_eq!(shop.seen(row).await, ["88880000000007", "0", MOBILE, "1634727340", "0", "", "0", "0"]);
    let mut linked = with_openid(8, "oAb");
    linked.updated_at = None;
    shop.write(Revision::ABSENT, &linked).await.unwrap();
    let row = "SELECT user_id, system_type, platform, token, weixin_openid, add_time, upd_time FROM sxo_user_platform";
    assert_eq!(shop.seen(row).await, ["8", "default", "weixin", "", "oAb", "1634727340", "0"]);
}

#[tokio::test]
async fn a_write_by_the_shop_between_load_and_commit_is_a_conflict() {
    let mut shop = Shop::open().await;
    let mut known = with_mobile(1, MOBILE);
    let revision = shop.write(Revision::ABSENT, &known).await.unwrap();
    assert_eq!(shop.account(1).await.unwrap().revision, revision);
    shop.php("UPDATE sxo_user SET nickname = 'php' WHERE id = 1").await;
    known.status = mobile_bind_domain::AccountStatus::Muted;
    assert!(is_conflict(&shop.write(revision, &known).await));
    let read = shop.account(1).await.unwrap();
    assert!(read.revision != revision && read.value.profile.nickname.as_str() == "php");
    let muted = Account { status: known.status, ..read.value };
    let revision = shop.write(read.revision, &muted).await.unwrap();
    assert_eq!(shop.account(1).await.unwrap().revision, revision);
    assert_eq!(shop.seen("SELECT status, nickname FROM sxo_user").await, ["1", "php"]);
}

#[tokio::test]
async fn what_the_shop_has_and_mobile_bind_does_not_know_is_left_alone() {
    let mut shop = Shop::open().await;
    shop.php(
        "INSERT INTO sxo_user (id, mobile, avatar, salt, pwd, email) VALUES (1, '', 'static/a.png', 's', 'p', 'e@x')",
    )
    .await;
    shop.php("INSERT INTO sxo_user_platform (user_id, platform, token, weixin_web_openid) VALUES (1, 'weixin', 'tok', 'web')").await;
    let read = shop.account(1).await.unwrap();
    let mut bound = with_openid(1, "o");
    bound.mobile = Some(mobile(MOBILE));
    let bound = Account { identities: bound.identities, mobile: bound.mobile, updated_at: Some(NOW), ..read.value };
    shop.write(read.revision, &bound).await.unwrap();
    let user = "SELECT mobile, avatar, salt, pwd, email, number_code, upd_time FROM sxo_user";
    assert_eq!(shop.seen(user).await, [MOBILE, "static/a.png", "s", "p", "e@x", "", "1634727340"]);
    let platform =
        "SELECT COUNT(*), MAX(token), MAX(weixin_web_openid), MAX(weixin_openid), MAX(upd_time) FROM sxo_user_platform";
    assert_eq!(shop.seen(platform).await, ["1", "tok", "web", "o", "1634727340"]);
}

#[tokio::test]
async fn what_a_live_user_of_the_shops_has_cannot_be_taken_and_what_it_lets_go_can() {
    let mut shop = Shop::open().await;
    shop.php(&format!("INSERT INTO sxo_user (id, mobile) VALUES (1, '{MOBILE}')")).await;
    let newcomer = with_mobile(2, MOBILE);
    assert!(is_conflict(&shop.write(Revision::ABSENT, &newcomer).await));
    assert!(shop.account(2).await.is_none(), "nothing is left of it");
    for freed in
        ["UPDATE sxo_user SET is_logout_time = 5", "UPDATE sxo_user SET is_delete_time = 5", "DELETE FROM sxo_user"]
    {
        shop.php(freed).await;
        assert_eq!(holder(&mut shop, MOBILE).await, Vec::<u64>::new());
        shop.write(Revision::ABSENT, &newcomer).await.unwrap();
        assert_eq!(holder(&mut shop, MOBILE).await, [2]);
        shop.php("DELETE FROM sxo_user WHERE id = 2; UPDATE sxo_user SET is_delete_time = 0, is_logout_time = 0").await;
    }
}

#[tokio::test]
async fn a_claim_whose_account_the_shop_changed_is_taken_over() {
    let mut shop = Shop::open().await;
    shop.write(Revision::ABSENT, &with_mobile(1, MOBILE)).await.unwrap();
    assert!(is_conflict(&shop.write(Revision::ABSENT, &with_mobile(2, MOBILE)).await));
    shop.php("UPDATE sxo_user SET mobile = '13500135000' WHERE id = 1").await;
    shop.write(Revision::ABSENT, &with_mobile(2, MOBILE)).await.unwrap();
    assert_eq!(holder(&mut shop, MOBILE).await, [2]);
    assert_eq!(holder(&mut shop, "13500135000").await, [1]);
    assert!(is_conflict(&shop.write(Revision::ABSENT, &with_mobile(3, "13500135000")).await), "the shop's word counts");
    assert_eq!(shop.seen("SELECT user_id FROM mb_claims WHERE kind = 1 AND value = '17602128368'").await, ["2"]);
}

#[tokio::test]
async fn duplicates_of_the_shops_are_told_and_hinder_neither_of_them() {
    let mut shop = Shop::open().await;
    shop.php(&format!("INSERT INTO sxo_user (id, mobile) VALUES (1, '{MOBILE}'), (2, '{MOBILE}')")).await;
    assert_eq!(holder(&mut shop, MOBILE).await, [1, 2]);
    for id in [1, 2] {
        let read = shop.account(id).await.unwrap();
        let seen = Account { seen_at: Some(NOW), ..read.value };
        let revision = shop.write(read.revision, &seen).await.unwrap();
        shop.write(revision, &seen).await.unwrap();
    }
    assert!(is_conflict(&shop.write(Revision::ABSENT, &with_mobile(3, MOBILE)).await));
    assert!(referrer(&mut shop, &ReferrerName::Mobile(mobile(MOBILE))).await.is_none());
}

#[tokio::test]
async fn openids_that_differ_in_letter_case_are_different_people() {
    let mut shop = Shop::open().await;
    shop.write(Revision::ABSENT, &with_openid(1, "oAb")).await.unwrap();
    assert_eq!(holder_of_openid(&mut shop, "", "oaB").await, Vec::<u64>::new());
    shop.write(Revision::ABSENT, &with_openid(2, "oaB")).await.unwrap();
    assert_eq!(holder_of_openid(&mut shop, "", "oAb").await, [1]);
    assert_eq!(holder_of_openid(&mut shop, "", "oaB").await, [2]);
    shop.php("INSERT INTO sxo_user (id) VALUES (3)").await;
    shop.php("INSERT INTO sxo_user_platform (user_id, platform, weixin_openid) VALUES (3, 'weixin', 'oAB')").await;
    assert_eq!(holder_of_openid(&mut shop, "any app", "oAB").await, [3]);
    assert!(is_conflict(&shop.write(Revision::ABSENT, &with_openid(4, "oAB")).await));
}

#[tokio::test]
async fn a_member_code_leads_to_its_account_by_the_id_in_it_or_by_its_claim() {
    let mut shop = Shop::open().await;
    shop.php("INSERT INTO sxo_user (id, number_code) VALUES (12, '88887730500012')").await;
    let odd = Account { member_code: MemberCode::new("123456"), ..account(3) };
    shop.write(Revision::ABSENT, &odd).await.unwrap();
    for (code, id) in [("88887730500012", Some(12)), ("123456", Some(3)), ("88880000000012", None), ("3", None)] {
        let named = ReferrerName::Code(MemberCode::new(code).unwrap());
        let found = referrer(&mut shop, &named).await;
        assert_eq!(found.map(|found| found.id.get()), id, "{code}");
    }
    let thief = Account { member_code: MemberCode::new("88887730500012"), ..account(4) };
    assert!(is_conflict(&shop.write(Revision::ABSENT, &thief).await));
}

#[tokio::test]
async fn ids_are_the_shops_own_and_given_once() {
    let mut shop = Shop::open().await;
    shop.php("INSERT INTO sxo_user (id) VALUES (41)").await;
    let mut ids = Vec::new();
    for _ in 0..2 {
        let (conn, tables) = shop.at();
        ids.extend(allotment::take(conn, tables, 4).await.unwrap().into_iter().map(|block| block.next));
        shop.php("INSERT INTO sxo_user (mobile) VALUES ('')").await;
    }
    assert_eq!(ids, [42, 43, 44, 45, 47, 48, 49, 50]);
    assert_eq!(shop.seen("SELECT GROUP_CONCAT(id ORDER BY id) FROM sxo_user").await, ["41,46,51"]);
}
