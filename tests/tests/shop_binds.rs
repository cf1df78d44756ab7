//! Binds over HTTP on a shop's own database: what the shop wrote counts here, and what is written here the shop goes on with.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use mobile_bind::settings::{LimitMode, ProofSetting};
use mobile_bind_domain::ports::Clock;
use mobile_bind_tests::harness::{Answer, TestServer};
use mobile_bind_tests::shop::{PhpWriter, Shop};
use mysql_async::Value;

const MOBILE: &str = "17602128368";
const OTHER: &str = "13800138000";
const TOKEN: &str = "0123456789abcdef0123456789abcdef";

/// A shop, and mobile-bind on its database.
struct Scene {
    shop: Shop,
    server: TestServer,
    php: PhpWriter,
    now: u32,
}

impl Scene {
    async fn open() -> Result<Self> {
        Self::with_openids(ProofSetting::Trust).await
    }

    async fn with_openids(proof: ProofSetting) -> Result<Self> {
        let shop = Shop::open().await?;
        let server = TestServer::start_with(|settings| {
            settings.store = shop.store();
            settings.limits.mode = LimitMode::Off;
            settings.platform_proof = proof;
        });
        let server = server.await?;
        let now = u32::try_from(server.clock.now().as_seconds())?;
        let php = PhpWriter::new(&shop, now).await?;
        Ok(Self { shop, server, php, now })
    }

    /// A user as the shop has them, logged in on H5 a while ago.
    async fn user(&self, columns: &[(&str, Value)]) -> Result<u32> {
        let made = [("number_code", Value::from("88887730500001")), ("pwd", "x".into()), ("add_time", 1000.into())];
        let user = self.shop.insert_user(&[&made[..], columns].concat()).await?;
        let at = Value::from(self.now - 3600);
        let token = [("token", TOKEN.into()), ("add_time", 1000.into()), ("upd_time", at)];
        self.shop.insert_platform(user, "h5", &token).await?;
        Ok(user)
    }

    async fn code(&self, mobile: &str) -> Result<String> {
        self.server.clock.advance(Duration::from_secs(61));
        let sent = self.server.send_code("u", mobile).await?;
        ensure!(sent.code() == Some(0), "{}", sent.text);
        self.server.last_code(mobile)
    }

    async fn bind(&self, client_type: &str, mobile: &str, more: &str) -> Result<Answer> {
        let verify = self.code(mobile).await?;
        let path = format!("/user/appmobilebind?uuid=u&application_client_type={client_type}");
        self.server.post(&path, &format!("mobile={mobile}&verify={verify}&{more}")).await
    }

    async fn look_up(&self, token: &str) -> Result<Option<i64>> {
        Ok(self.server.post("/user/tokenuserinfo", &format!("token={token}")).await?.code())
    }

    /// One row, as text.
    async fn row(&self, query: &str) -> Result<Vec<String>> {
        let rows = self.shop.rows(query, ()).await?;
        let row = rows.first().context("a row")?;
        Ok((0..row.len()).map(|column| text(row.as_ref(column))).collect())
    }

    fn seconds(&self) -> String {
        self.server.clock.now().as_seconds().to_string()
    }
}

fn text(value: Option<&Value>) -> String {
    match value {
        Some(Value::Bytes(bytes)) => String::from_utf8_lossy(bytes).into_owned(),
        Some(Value::Int(number)) => number.to_string(),
        Some(Value::UInt(number)) => number.to_string(),
        other => format!("{other:?}"),
    }
}

#[tokio::test]
async fn the_shops_token_names_the_caller_and_the_answers_token_is_the_shops() -> Result<()> {
    let mut scene = Scene::open().await?;
    let user = scene.user(&[]).await?;
    let bound = scene.bind("h5", MOBILE, &format!("token={TOKEN}&nickname=n")).await?;
    ensure!(bound.code() == Some(0) && bound.field("id") == user.to_string(), "{}", bound.text);
    let (token, at) = (bound.field("token").to_owned(), scene.seconds());
    let row = "SELECT mobile, nickname, number_code, pwd, add_time, upd_time, status FROM sxo_user";
    ensure!(scene.row(row).await? == [MOBILE, "n", "88887730500001", "x", "1000", &at, "0"]);
    let row = "SELECT platform, token, add_time, upd_time FROM sxo_user_platform";
    ensure!(scene.row(row).await? == ["h5", &token, "1000", &at]);
    ensure!(scene.php.holder_of_token(&token, "h5").await? == Some(user), "the shop goes on with it");
    ensure!(scene.php.holder_of_token(&token, "ios").await? == Some(user));
    Ok(())
}

#[tokio::test]
async fn a_token_that_was_replaced_is_dead_here_at_once() -> Result<()> {
    let mut scene = Scene::open().await?;
    scene.user(&[]).await?;
    ensure!(scene.look_up(TOKEN).await? == Some(0));
    let bound = scene.bind("h5", MOBILE, &format!("token={TOKEN}")).await?;
    let token = bound.field("token").to_owned();
    ensure!(scene.look_up(TOKEN).await? == Some(-1) && scene.look_up(&token).await? == Some(0));
    // The shop replaces it by a log-in of its own.
    let logged_in = scene.php.log_in(MOBILE, "h5").await?.context("the user")?;
    ensure!(scene.look_up(&token).await? == Some(-1) && scene.look_up(&logged_in.token).await? == Some(0));
    let logged_out = scene.server.post("/user/logout", &format!("token={}", logged_in.token)).await?;
    ensure!(logged_out.code() == Some(0), "{}", logged_out.text);
    ensure!(scene.php.holder_of_token(&logged_in.token, "h5").await?.is_none(), "the shop's row has no token");
    Ok(())
}

#[tokio::test]
async fn a_new_account_is_one_that_the_shop_would_have_made() -> Result<()> {
    let mut scene = Scene::open().await?;
    let bound = scene.bind("weixin", MOBILE, "weixin_openid=oAb&weixin_unionid=uAb&referrer=0").await?;
    ensure!(bound.code() == Some(0), "{}", bound.text);
    let (id, token, at) = (bound.field("id").to_owned(), bound.field("token").to_owned(), scene.seconds());
    let code = format!("8888{:0>10}", id);
    let row = "SELECT id, mobile, number_code, status, add_time, upd_time, is_delete_time, referrer FROM sxo_user";
    ensure!(scene.row(row).await? == [&id, MOBILE, &code, "0", &at, "0", "0", "0"]);
    let row =
        "SELECT user_id, system_type, platform, token, weixin_openid, weixin_unionid, add_time FROM sxo_user_platform";
    ensure!(scene.row(row).await? == [&id, "default", "weixin", &token, "oAb", "uAb", &at]);
    ensure!(scene.row("SELECT COUNT(*) FROM sxo_user_platform").await? == ["1"], "one row of a platform");
    ensure!(scene.php.holder_of_mobile(MOBILE).await?.map(|user| user.to_string()) == Some(id.clone()));
    ensure!(scene.php.log_in(MOBILE, "weixin").await?.is_some_and(|logged_in| logged_in.user.to_string() == id));
    ensure!(scene.row(row).await?[4] == "oAb", "the shop's log-in leaves the openid");
    Ok(())
}

#[tokio::test]
async fn openids_that_differ_in_letter_case_are_different_people() -> Result<()> {
    let scene = Scene::open().await?;
    let first = scene.bind("weixin", MOBILE, "weixin_openid=oAbC").await?;
    let second = scene.bind("weixin", OTHER, "weixin_openid=oabc").await?;
    ensure!(first.code() == Some(0) && second.code() == Some(0), "{}", second.text);
    ensure!(first.field("id") != second.field("id"));
    ensure!(scene.row("SELECT COUNT(*) FROM sxo_user").await? == ["2"]);
    Ok(())
}

#[tokio::test]
async fn a_deleted_or_closed_users_number_is_free() -> Result<()> {
    let mut scene = Scene::open().await?;
    let closed = scene.shop.insert_user(&[("mobile", MOBILE.into()), ("is_logout_time", 5.into())]).await?;
    let deleted = scene.shop.insert_user(&[("mobile", OTHER.into())]).await?;
    scene.php.delete(deleted).await?;
    for mobile in [MOBILE, OTHER] {
        let bound = scene.bind("h5", mobile, "").await?;
        ensure!(bound.code() == Some(0), "{}", bound.text);
        ensure!(![closed, deleted].map(|user| user.to_string()).contains(&bound.field("id").to_owned()));
    }
    Ok(())
}

#[tokio::test]
async fn a_user_who_may_not_log_in_cannot_bind_and_keeps_what_he_has() -> Result<()> {
    for status in [2, 3] {
        let scene = Scene::open().await?;
        let user = scene.user(&[("status", status.into()), ("mobile", OTHER.into())]).await?;
        for (mobile, more) in [(MOBILE, format!("token={TOKEN}")), (OTHER, String::new())] {
            let refused = scene.bind("h5", mobile, &more).await?;
            ensure!(refused.code() == Some(-110), "{}", refused.text);
        }
        ensure!(scene.look_up(TOKEN).await? == Some(-1));
        let row = format!("SELECT mobile, upd_time FROM sxo_user WHERE id = {user}");
        ensure!(scene.row(&row).await? == [OTHER, "0"]);
        ensure!(scene.row("SELECT COUNT(*) FROM sxo_user").await? == ["1"]);
    }
    Ok(())
}

#[tokio::test]
async fn what_the_shop_gave_to_two_is_told_to_whoever_has_the_code_alone() -> Result<()> {
    let scene = Scene::open().await?;
    for _ in 0..2 {
        let user = scene.shop.insert_user(&[("mobile", MOBILE.into())]).await?;
        scene.shop.insert_platform(user, "weixin", &[("weixin_openid", "o".into())]).await?;
    }
    let single = scene.bind("h5", OTHER, "").await?;
    ensure!(single.code() == Some(0), "{}", single.text);
    let wrong = |right: &str| if right == "0000" { "0001" } else { "0000" };
    for (mobile, doubled) in [(MOBILE, true), (OTHER, false)] {
        let right = scene.code(mobile).await?;
        let path = "/user/appmobilebind?uuid=u&application_client_type=h5";
        let refused = scene.server.post(path, &format!("mobile={mobile}&verify={}", wrong(&right))).await?;
        ensure!(refused.code() == Some(-11), "{}", refused.text);
        let answer = scene.server.post(path, &format!("mobile={mobile}&verify={right}")).await?;
        ensure!(answer.code() == Some(if doubled { -50 } else { 0 }), "{}", answer.text);
    }
    let by_openid = scene.bind("weixin", "13900139000", "weixin_openid=o").await?;
    ensure!(by_openid.code() == Some(-50), "{}", by_openid.text);
    ensure!(scene.row("SELECT COUNT(*) FROM sxo_user").await? == ["3"], "nobody was made");
    Ok(())
}

#[tokio::test]
async fn a_number_that_the_shop_gave_away_between_is_the_shops() -> Result<()> {
    let mut scene = Scene::open().await?;
    scene.user(&[]).await?;
    let verify = scene.code(MOBILE).await?;
    let registered = scene.php.bind(MOBILE, "h5", "").await?.context("the number is free")?;
    let form = format!("mobile={MOBILE}&verify={verify}&token={TOKEN}");
    let refused = scene.server.post("/user/appmobilebind?uuid=u&application_client_type=h5", &form).await?;
    ensure!(refused.code() == Some(-50), "{}", refused.text);
    ensure!(scene.php.holder_of_mobile(MOBILE).await? == Some(registered.user));
    Ok(())
}

/// A session's id is its token here: what is noted of it must not hold it.
#[tokio::test]
async fn no_token_stands_in_the_audit() -> Result<()> {
    let scene = Scene::open().await?;
    scene.user(&[]).await?;
    let bound = scene.bind("h5", MOBILE, &format!("token={TOKEN}")).await?;
    let token = bound.field("token").to_owned();
    ensure!(scene.server.post("/user/logout", &format!("token={token}")).await?.code() == Some(0));
    let events = scene.shop.rows("SELECT event FROM mb_audit_events", ()).await?;
    ensure!(events.len() >= 3, "{}", events.len());
    for event in events {
        let event: Vec<u8> = event.get(0).context("an event")?;
        for token in [TOKEN, &token] {
            let bytes = u128::from_str_radix(token, 16)?.to_be_bytes();
            let holds = |secret: &[u8]| event.windows(secret.len()).any(|part| part == secret);
            ensure!(!holds(token.as_bytes()) && !holds(&bytes), "{}", String::from_utf8_lossy(&event));
        }
    }
    Ok(())
}
