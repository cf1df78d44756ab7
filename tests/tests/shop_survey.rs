//! What `mobile-bind shopxo check` looks at, in a shop's database.

use anyhow::Result;
use mobile_bind_shopxo::{Options, ShopSettingsReader, Survey, install, survey, uninstall};
use mobile_bind_tests::shop::Shop;
use mysql_async::Value;

async fn found(shop: &Shop) -> Result<Survey> {
    Ok(survey(&Options::new(&shop.store())).await?)
}

fn has(texts: &[String], part: &str) -> bool {
    texts.iter().any(|text| text.contains(part))
}

#[tokio::test]
async fn a_shop_as_it_is_installed_is_in_order() -> Result<()> {
    let shop = Shop::open().await?;
    let found = found(&shop).await?;
    assert_eq!((&found.obstacles[..], &found.remarks[..]), (&[][..], &[][..]));
    assert!(has(&found.facts, "server 1") && has(&found.facts, "sxo_user_platform: InnoDB, utf8mb4_general_ci"));
    Ok(())
}

#[tokio::test]
async fn what_is_made_is_seen_and_leaves_no_trace() -> Result<()> {
    let shop = Shop::open().await?;
    let options = Options::new(&shop.store());
    let tables = "SELECT table_name FROM information_schema.tables WHERE table_schema = DATABASE()
        AND table_name LIKE 'mb\\_%'";
    install(&options).await?;
    assert!(!shop.rows(tables, ()).await?.is_empty());
    assert!(has(&found(&shop).await?.facts, "mobile-bind's tables have version"));
    assert_eq!(install(&options).await?, 0, "there is nothing left to make");
    assert!(!uninstall(&options).await?.is_empty());
    assert!(shop.rows(tables, ()).await?.is_empty());
    assert!(has(&found(&shop).await?.facts, "are not there"));
    Ok(())
}

#[tokio::test]
async fn duplicates_are_named_by_the_users_that_have_them() -> Result<()> {
    let shop = Shop::open().await?;
    let mobile = |closed: u32| [("mobile", Value::from("13900000001")), ("is_logout_time", Value::from(closed))];
    let one = shop.insert_user(&mobile(0)).await?;
    let other = shop.insert_user(&mobile(0)).await?;
    shop.insert_user(&mobile(1)).await?;
    for (user, openid, token) in [(one, "oAbc", "0123456789abcdef0123456789abcdef"), (other, "oABC", "0123")] {
        let columns = [("weixin_openid", Value::from(openid)), ("token", Value::from(token))];
        shop.insert_platform(user, "weixin", &columns).await?;
        shop.insert_platform(user, "qq", &[("qq_unionid", Value::from("same"))]).await?;
    }
    let found = found(&shop).await?;
    assert!(found.obstacles.is_empty(), "{found:?}");
    let both = format!("{one}, {other}");
    for part in ["the same number", "the same qq_unionid", "whose weixin_openid differs in case alone"] {
        let told: Vec<_> = found.remarks.iter().filter(|remark| remark.contains(part)).collect();
        assert!(told.len() == 1 && told[0].ends_with(&both), "{part}: {found:?}");
    }
    assert!(!has(&found.remarks, "the same weixin_openid"), "{found:?}");
    assert!(has(&found.remarks, "1 tokens are not 32 hexadecimal digits"), "{found:?}");
    assert!(!format!("{found:?}").contains("13900000001"));
    Ok(())
}

#[tokio::test]
async fn what_stands_in_the_way_is_named() -> Result<()> {
    let shop = Shop::open().await?;
    shop.execute(
        "ALTER TABLE sxo_user DROP INDEX mobile, MODIFY nickname char(16) NOT NULL DEFAULT '', DROP COLUMN county,
            ADD COLUMN plugin int NOT NULL;
        ALTER TABLE sxo_user_platform MODIFY upd_time int NOT NULL DEFAULT 0, ADD COLUMN plugin int NOT NULL DEFAULT 0",
    )
    .await?;
    let looked = found(&shop).await;
    // The next test has the tables as they were.
    shop.execute(
        "ALTER TABLE sxo_user ADD INDEX mobile (mobile), MODIFY nickname char(60) NOT NULL DEFAULT '',
            ADD COLUMN county char(60) NOT NULL DEFAULT '' AFTER city, DROP COLUMN plugin;
        ALTER TABLE sxo_user_platform MODIFY upd_time int unsigned NOT NULL DEFAULT 0, DROP COLUMN plugin",
    )
    .await?;
    let found = looked?;
    for part in [
        "sxo_user.mobile has no index",
        "sxo_user.nickname is char(16)",
        "sxo_user has no column county",
        "sxo_user.plugin has no default",
        "sxo_user_platform.upd_time is int",
    ] {
        assert!(has(&found.obstacles, part), "{part}: {found:?}");
    }
    assert!(has(&found.remarks, "sxo_user_platform.plugin is none"), "{found:?}");
    Ok(())
}

#[tokio::test]
async fn a_user_who_may_only_read_is_told_what_he_may_not() -> Result<()> {
    let shop = Shop::open().await?;
    let (place, name) = shop.database().rsplit_once('/').map(|(a, b)| (a.to_owned(), b.to_owned())).unwrap();
    let reader = format!("reader_{}", std::process::id());
    shop.execute(&format!(
        "CREATE USER IF NOT EXISTS {reader}@localhost IDENTIFIED BY 'hush';
         GRANT SELECT ON {name}.* TO {reader}@localhost"
    ))
    .await?;
    let address = format!("shopxo:{}/{name}", place.replace("root@", &format!("{reader}:hush@")));
    let looked = survey(&Options::new(&address)).await;
    shop.execute(&format!("DROP USER {reader}@localhost")).await?;
    let found = looked?;
    for part in ["may not UPDATE in sxo_user", "may not INSERT in sxo_user_platform"] {
        assert!(has(&found.obstacles, part), "{part}: {found:?}");
    }
    assert!(has(&found.remarks, "CREATE, ALTER, INDEX, DROP"), "{found:?}");
    Ok(())
}

#[tokio::test]
async fn a_shop_that_counts_users_by_system_is_refused() -> Result<()> {
    let shop = Shop::open().await?;
    shop.configure("common_user_unique_system_type_model", "1").await?;
    assert!(has(&found(&shop).await?.obstacles, "common_user_unique_system_type_model"));
    Ok(())
}

#[tokio::test]
async fn the_shops_settings_are_read_as_they_are_now() -> Result<()> {
    let shop = Shop::open().await?;
    let reader = ShopSettingsReader::new(Options::new(&shop.store()))?;
    assert_eq!(reader.read().await?, Default::default());
    shop.configure("common_verify_expire_time", "300").await?;
    shop.configure("home_userregister_unique_forbid_value", "13800138000,admin").await?;
    let read = reader.read().await?;
    assert_eq!(read.code_lifetime_s, Some(300));
    assert_eq!(read.forbidden, Some(vec!["13800138000".to_owned(), "admin".to_owned()]));
    Ok(())
}
