//! Where accounts must not behave as ShopXO's: one test for each line of the contract's list.

#![expect(clippy::unwrap_used, reason = "a test may panic")]

use std::time::Duration;

use mobile_bind::settings::{LimitMode, ProofSetting};
use mobile_bind_domain::{AccountId, AccountStatus, Change, Write};
use mobile_bind_tests::harness::{Answer, TestServer};

struct Shop(TestServer);

impl Shop {
    async fn open() -> Self {
        Self(TestServer::start().await.unwrap())
    }

    /// Sends a code and binds with it.
    async fn bind(&self, client_type: &str, mobile: &str, more: &str) -> Answer {
        self.0.clock.advance(Duration::from_secs(60));
        assert_eq!(self.0.send_code("u", mobile).await.unwrap().code(), Some(0));
        let code = self.0.last_code(mobile).unwrap();
        let path = format!("/user/appmobilebind?application_client_type={client_type}&uuid=u");
        self.0.post(&path, &format!("mobile={mobile}&verify={code}&{more}")).await.unwrap()
    }

    async fn look_up(&self, token: &str) -> Answer {
        self.0.post("/user/tokenuserinfo", &format!("token={token}")).await.unwrap()
    }

    /// Changes a stored account, as a shop's administration would.
    async fn administer(&self, id: &str, change: impl FnOnce(&mut mobile_bind_domain::Account)) {
        let store = &self.0.app.service.store;
        let id = AccountId::new(id.parse().unwrap()).unwrap();
        let found = store.account(id).await.unwrap().unwrap();
        let mut account = Box::new(found.value);
        change(&mut account);
        let writes = vec![Write::Account { expected: found.revision, account }];
        store.commit(Change { expectations: vec![], writes }).await.unwrap();
    }

    async fn accounts(&self) -> usize {
        self.0.app.service.store.accounts(None, 1000).await.unwrap().len()
    }
}

#[tokio::test]
async fn the_openid_is_stored_on_the_first_bind() {
    let shop = Shop::open().await;
    let home = shop.bind("h5", "13800138000", "nickname=PCuser").await;
    let bound = shop.bind("qq", "13800138000", "qq_openid=oFRESH&qq_unionid=uni1&nickname=ignored").await;
    assert_eq!((bound.field("id"), bound.field("qq_openid")), (home.field("id"), "oFRESH"));
    assert_eq!((bound.field("qq_unionid"), bound.field("nickname")), ("uni1", "PCuser"));
    let again = shop.bind("qq", "13800138000", "qq_openid=oFRESH").await;
    assert_eq!(again.code(), Some(-51));
    assert_eq!(shop.accounts().await, 1);
}

#[tokio::test]
async fn racing_binds_for_one_number_end_with_one_account() {
    let shop = Shop::open().await;
    let server = &shop.0;
    for round in 0..10 {
        let mobile = format!("1380013800{round}");
        let mut codes = Vec::new();
        for uuid in ["a", "b"] {
            assert_eq!(server.send_code(uuid, &mobile).await.unwrap().code(), Some(0));
            codes.push(server.last_code(&mobile).unwrap());
            server.clock.advance(Duration::from_secs(60));
        }
        let bind = |uuid: &str, code: &str| {
            let path = format!("/user/appmobilebind?application_client_type=weixin&uuid={uuid}");
            let body = format!("mobile={mobile}&verify={code}&weixin_openid=o{round}{uuid}");
            async move { server.post(&path, &body).await.unwrap() }
        };
        let (first, second) = tokio::join!(bind("a", &codes[0]), bind("b", &codes[1]));
        assert_eq!((first.code(), second.code()), (Some(0), Some(0)), "both prove the number");
        assert_eq!(first.field("id"), second.field("id"), "one account");
        assert_eq!(shop.accounts().await, round + 1);
    }
}

#[tokio::test]
async fn racing_binds_of_one_openid_end_with_one_account() {
    let shop = Shop::open().await;
    let server = &shop.0;
    for round in 0..10 {
        let mobiles = [format!("1380013800{round}"), format!("1390013900{round}")];
        let mut codes = Vec::new();
        for mobile in &mobiles {
            server.send_code("u", mobile).await.unwrap();
            codes.push(server.last_code(mobile).unwrap());
        }
        let bind = |mobile: &str, code: &str| {
            let body = format!("mobile={mobile}&verify={code}&weixin_openid=o{round}");
            async move { server.post("/user/appmobilebind?application_client_type=weixin&uuid=u", &body).await.unwrap() }
        };
        let (first, second) = tokio::join!(bind(&mobiles[0], &codes[0]), bind(&mobiles[1], &codes[1]));
        assert_eq!((first.code(), second.code()), (Some(0), Some(0)), "the second changes the number");
        assert_eq!(first.field("id"), second.field("id"), "one account");
        assert_eq!(shop.accounts().await, round + 1);
    }
}

#[tokio::test]
async fn openids_are_case_sensitive() {
    let shop = Shop::open().await;
    let victim = shop.bind("weixin", "13800138000", "weixin_openid=oAbCdEf").await;
    let other = shop.bind("weixin", "13900139000", "weixin_openid=OABCDEF").await;
    assert_eq!(other.code(), Some(0));
    assert_ne!(other.field("id"), victim.field("id"));
}

#[tokio::test]
async fn genders_are_three_and_text_has_limits() {
    let shop = Shop::open().await;
    for (index, gender) in ["3", "9", "1.9", "256", "true", ""].into_iter().enumerate() {
        let mobile = format!("1380013800{index}");
        let bound = shop.bind("h5", &mobile, &format!("gender={gender}")).await;
        assert_eq!((bound.code(), bound.field("gender")), (Some(0), "0"), "{gender}");
    }
    let accounts = shop.accounts().await;
    let long = [("nickname", 61), ("nickname", 300), ("province", 61), ("city", 61), ("county", 61), ("avatar", 256)];
    for (index, (field, length)) in long.into_iter().enumerate() {
        let mobile = format!("1390013900{index}");
        let refused = shop.bind("h5", &mobile, &format!("{field}=/{}", "a".repeat(length - 1))).await;
        assert_eq!(refused.code(), Some(-1));
        assert!(refused.body["msg"].as_str().unwrap().contains(field), "{}", refused.text);
    }
    assert_eq!(shop.accounts().await, accounts, "nothing is stored");
}

#[tokio::test]
async fn an_unreadable_referrer_counts_as_none() {
    let shop = Shop::open().await;
    let inviter = shop.bind("h5", "13500135000", "").await;
    let id = inviter.field("id");
    let named = ["999", "7%27+or+1%3D1", "D44594A7E44455D3", "zz", "-1", ""];
    for (index, referrer) in named.into_iter().enumerate() {
        let bound = shop.bind("h5", &format!("1380013800{index}"), &format!("referrer={referrer}")).await;
        assert_eq!((bound.code(), bound.field("referrer")), (Some(0), "0"), "{referrer}");
    }
    let bound = shop.bind("h5", "13900139001", "referrer[]=7").await;
    assert_eq!((bound.code(), bound.field("referrer")), (Some(0), "0"));
    let by_code = shop.bind("h5", "13900139000", &format!("referrer={}", inviter.field("number_code"))).await;
    assert_eq!(by_code.field("referrer"), id);
}

#[tokio::test]
async fn a_replaced_token_stops_at_once() {
    let shop = Shop::open().await;
    let old = shop.bind("h5", "13800138000", "").await;
    let token = old.field("token");
    let new = shop.bind("h5", "13900139000", &format!("token={token}")).await;
    assert_eq!((new.code(), new.field("id")), (Some(0), old.field("id")));
    assert_eq!(shop.look_up(token).await.code(), Some(-1));
    assert_eq!(shop.look_up(new.field("token")).await.code(), Some(0));
    // It cannot move the number back: nobody calls with it any more.
    let back = shop.bind("h5", "13800138000", &format!("token={token}")).await;
    assert_ne!(back.field("id"), old.field("id"));
}

#[tokio::test]
async fn tokens_of_other_client_types_live_side_by_side() {
    let shop = Shop::open().await;
    let phone = shop.bind("ios", "13800138000", "").await;
    let page = shop.bind("h5", "13800138000", "").await;
    assert_eq!(phone.field("id"), page.field("id"));
    for token in [phone.field("token"), page.field("token")] {
        assert_eq!(shop.look_up(token).await.code(), Some(0));
    }
}

#[tokio::test]
async fn disabled_and_unapproved_accounts_get_no_token() {
    for status in [AccountStatus::Disabled, AccountStatus::AwaitingApproval] {
        let shop = Shop::open().await;
        let bound = shop.bind("weixin", "13800138000", "weixin_openid=oST").await;
        shop.administer(bound.field("id"), |account| account.status = status).await;
        assert_eq!(shop.look_up(bound.field("token")).await.code(), Some(-1), "its token stops at once");
        let by_number = shop.bind("h5", "13800138000", "").await;
        assert_eq!(by_number.code(), Some(-110));
        let by_openid = shop.bind("weixin", "13900139000", "weixin_openid=oST").await;
        assert_eq!(by_openid.code(), Some(-110));
        let stored = shop.0.app.service.store.accounts(None, 10).await.unwrap();
        assert_eq!(stored.len(), 1);
        assert_eq!(stored[0].value.mobile.as_ref().unwrap().as_str(), "13800138000", "the number is not moved");
        // The code stays: approved now, the very code binds.
        shop.administer(bound.field("id"), |account| account.status = AccountStatus::Muted).await;
        let code = shop.0.last_code("13900139000").unwrap();
        let body = format!("mobile=13900139000&verify={code}&weixin_openid=oST");
        let moved = shop.0.post("/user/appmobilebind?application_client_type=weixin&uuid=u", &body).await.unwrap();
        assert_eq!((moved.code(), moved.field("status")), (Some(0), "1"));
    }
}

#[tokio::test]
async fn a_new_account_under_approval_is_made_and_gets_no_token() {
    let set = |settings: &mut mobile_bind::Settings| {
        settings.register.audit = true;
        settings.limits.mode = LimitMode::Off;
    };
    let shop = Shop(TestServer::start_with(set).await.unwrap());
    let pending = shop.bind("weixin", "13800138000", "weixin_openid=oNEW").await;
    assert_eq!((pending.code(), &pending.body["data"]), (Some(-110), &serde_json::json!([])));
    let stored = shop.0.app.service.store.accounts(None, 10).await.unwrap();
    assert_eq!(stored[0].value.status, AccountStatus::AwaitingApproval);
    shop.administer("1", |account| account.status = AccountStatus::Normal).await;
    assert_eq!(shop.bind("h5", "13800138000", "").await.code(), Some(0));
    assert_eq!(shop.accounts().await, 1);
}

#[tokio::test]
async fn text_is_stored_as_sent() {
    let shop = Shop::open().await;
    let texts = [
        "<script>alert(1)</script>",
        "a&b",
        "'; DROP TABLE sxo_user; --",
        "a\\b\\\\c\\u4e2d",
        "   pad   ",
        "0",
        "a\0b",
    ];
    for (index, text) in texts.into_iter().enumerate() {
        let encoded = reqwest::Url::parse_with_params("http://x", [("nickname", text)]).unwrap();
        let bound = shop.bind("h5", &format!("1380013800{index}"), encoded.query().unwrap()).await;
        assert_eq!((bound.code(), bound.field("nickname")), (Some(0), text));
    }
    let avatars = [
        ("https%3A%2F%2Fx%2Fa.png%3Fa%3D1%26b%3D2", "https://x/a.png?a=1&b=2"),
        ("https%3A%2F%2Fx%2Fdefault-user-avatar-md.png", "https://x/default-user-avatar-md.png"),
    ];
    for (index, (sent, kept)) in avatars.into_iter().enumerate() {
        let bound = shop.bind("h5", &format!("1390013900{index}"), &format!("avatar={sent}")).await;
        assert_eq!(bound.field("avatar"), kept);
    }
    let shop_settings = &shop.0.settings.shop;
    for (index, sent) in ["javascript:alert(1)", "data:image/png;base64,AAAA", "<img src=x>"].into_iter().enumerate() {
        let bound = shop.bind("h5", &format!("1370013700{index}"), &format!("avatar={sent}")).await;
        assert_eq!(bound.field("avatar"), shop_settings.default_avatar);
    }
    let path = shop.bind("h5", "13600136000", "avatar=/static/x.png").await;
    assert_eq!(path.field("avatar"), format!("{}/static/x.png", shop_settings.attachment_host));
}

#[tokio::test]
async fn an_account_that_was_deleted_or_closed_frees_its_number_and_openid() {
    let shop = Shop::open().await;
    let gone = shop.bind("weixin", "13800138000", "weixin_openid=oDEL").await;
    let now = mobile_bind_domain::Timestamp::from_seconds(1);
    shop.administer(gone.field("id"), |account| account.closed_at = Some(now)).await;
    assert_eq!(shop.look_up(gone.field("token")).await.code(), Some(-1));
    let fresh = shop.bind("weixin", "13800138000", "weixin_openid=oDEL").await;
    assert_eq!(fresh.code(), Some(0));
    assert_ne!(fresh.field("id"), gone.field("id"));
    // Its own number and openid: -51, as everywhere; no third account.
    assert_eq!(shop.bind("weixin", "13800138000", "weixin_openid=oDEL").await.code(), Some(-51));
    assert_eq!(shop.accounts().await, 2);
}

#[tokio::test]
async fn an_openid_must_be_proved_where_it_is_not_taken_on_trust() {
    let set = |settings: &mut mobile_bind::Settings| {
        settings.platform_proof = ProofSetting::Required;
        settings.limits.mode = LimitMode::Off;
    };
    let shop = Shop(TestServer::start_with(set).await.unwrap());
    assert_eq!(shop.bind("weixin", "13800138000", "weixin_openid=oVICTIM").await.code(), Some(-400));
    assert_eq!(shop.bind("weixin", "13800138000", "").await.code(), Some(-20));
    assert_eq!(shop.bind("h5", "13800138000", "weixin_openid=oVICTIM").await.code(), Some(0));
    assert_eq!(shop.accounts().await, 1);
}

#[tokio::test]
async fn a_unionid_belongs_to_one_account_and_is_kept() {
    let shop = Shop::open().await;
    let first = shop.bind("weixin", "13800138000", "weixin_openid=oA&weixin_unionid=KEEP").await;
    let kept = shop.bind("weixin", "13800138001", "weixin_openid=oA&weixin_unionid=NEW").await;
    assert_eq!((kept.field("id"), kept.field("weixin_unionid")), (first.field("id"), "KEEP"));
    let other = shop.bind("weixin", "13900139000", "weixin_openid=oB&weixin_unionid=KEEP").await;
    assert_ne!(other.field("id"), first.field("id"));
    assert_eq!((other.code(), other.field("weixin_unionid")), (Some(0), ""));
}

#[tokio::test]
async fn sessions_slide_and_end() {
    let shop = Shop::open().await;
    let bound = shop.bind("h5", "13800138000", "").await;
    let token = bound.field("token");
    for _ in 0..4 {
        shop.0.clock.advance(Duration::from_secs(300 * 86_400));
        assert_eq!(shop.look_up(token).await.code(), Some(0), "used within a year");
    }
    shop.0.clock.advance(Duration::from_secs(365 * 86_400));
    assert_eq!(shop.look_up(token).await.code(), Some(-1), "not used for a year");
}
