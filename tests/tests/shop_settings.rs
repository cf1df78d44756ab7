//! The settings of the shop's administration, where the operator has set none: in force within the minute, without a restart.

use std::time::Duration;

use anyhow::Result;
use mobile_bind::settings::LimitMode;
use mobile_bind_tests::harness::TestServer;
use mobile_bind_tests::shop::Shop;
use mysql_async::Value;

const MOBILE: &str = "13900000001";
const OTHER: &str = "13900000002";

async fn server(shop: &Shop, given: &[&str]) -> Result<TestServer> {
    TestServer::start_with(|settings| {
        settings.store = shop.store();
        settings.limits.mode = LimitMode::Off;
        settings.given = given.iter().map(|key| (*key).to_owned()).collect();
    })
    .await
}

async fn bind(server: &TestServer, mobile: &str) -> Result<mobile_bind_tests::harness::Answer> {
    let code = server.last_code(mobile)?;
    let path = "/user/appmobilebind?application_client_type=h5&uuid=U";
    server.post(path, &format!("mobile={mobile}&verify={code}")).await
}

#[tokio::test]
async fn what_the_administration_changes_is_in_force_without_a_restart() -> Result<()> {
    let shop = Shop::open().await?;
    shop.configure("common_verify_interval_time", "100").await?;
    let server = server(&shop, &[]).await?;
    assert_eq!(server.send_code("U", MOBILE).await?.code(), Some(0));
    server.clock.advance(Duration::from_secs(90));
    assert_ne!(
        server.send_code("U", MOBILE).await?.code(),
        Some(0),
        "the shop waits longer than mobile-bind's default"
    );

    shop.configure("common_verify_interval_time", "30").await?;
    shop.configure("common_register_is_enable_audit", "1").await?;
    shop.configure("common_user_is_mandatory_bind_mobile", "1").await?;
    shop.configure("home_userregister_unique_forbid_value", &format!("admin,{OTHER}")).await?;
    server.app.refresh_shop_settings().await?;

    assert_eq!(server.send_code("U", MOBILE).await?.code(), Some(0));
    assert_eq!(bind(&server, MOBILE).await?.code(), Some(-110), "a new account waits for approval now");
    server.send_code("U", OTHER).await?;
    assert_ne!(bind(&server, OTHER).await?.code(), Some(-110), "a forbidden number makes none");
    let users = "SELECT status FROM sxo_user ORDER BY id";
    let statuses: Vec<u8> = shop.rows(users, ()).await?.into_iter().filter_map(|row| row.get(0)).collect();
    assert_eq!(statuses, [3]);

    shop.configure("common_register_is_enable_audit", "0").await?;
    shop.configure("home_userregister_unique_forbid_value", "").await?;
    server.app.refresh_shop_settings().await?;
    server.clock.advance(Duration::from_secs(31));
    server.send_code("U", OTHER).await?;
    let bound = bind(&server, OTHER).await?;
    assert_eq!((bound.code(), &bound.body["data"]["is_mandatory_bind_mobile"]), (Some(0), &1.into()), "{}", bound.text);
    Ok(())
}

#[tokio::test]
async fn what_the_operator_has_set_wins_and_what_cannot_be_used_changes_nothing() -> Result<()> {
    let shop = Shop::open().await?;
    shop.configure("common_verify_interval_time", "100").await?;
    shop.configure("common_regex_mobile", "^(?=unreadable)").await?;
    let server = server(&shop, &["code.send_interval_s"]).await?;
    assert_eq!(server.send_code("U", MOBILE).await?.code(), Some(0));
    server.clock.advance(Duration::from_secs(61));
    assert_eq!(server.send_code("U", MOBILE).await?.code(), Some(0), "sixty seconds are the operator's");
    let user = shop.insert_user(&[("mobile", Value::from(MOBILE))]).await?;
    assert_eq!(bind(&server, MOBILE).await?.field("id"), user.to_string(), "it is the shop's own user");
    Ok(())
}
