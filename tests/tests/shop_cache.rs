//! The shop's cache in Redis: a token that ended is forgotten there, too.

use std::path::Path;
use std::time::Duration;

use anyhow::Result;
use mobile_bind_domain::ports::Store;
use mobile_bind_domain::{Change, ClientType, Session, Write};
use mobile_bind_shopxo::{CacheOptions, Options, ShopxoStore, check_cache};
use mobile_bind_tests::contract::records::session;
use mobile_bind_tests::shop::Shop;
use mobile_bind_tests::shop::redis::Redis;
use mysql_async::Value;

const ENDED: &str = "0123456789abcdef0123456789abcdef";
const OTHER: &str = "fedcba9876543210fedcba9876543210";

fn cache(socket: &Path) -> CacheOptions {
    CacheOptions { url: format!("unix://{}", socket.display()), prefix: "redis_shopxo".to_owned() }
}

fn name(token: &str) -> String {
    format!("redis_shopxocache_user_info__default_api{token}")
}

/// A session's token, as the shop has it.
fn text(session: &Session) -> String {
    session.id.0.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// A store over a shop one of whose users has a token, in place of which a session is opened.
async fn store_where_a_token_ended(shop: &Shop, socket: &Path) -> Result<ShopxoStore> {
    let user = shop.insert_user(&[("mobile", Value::from("13900000001"))]).await?;
    shop.insert_platform(user, "h5", &[("token", Value::from(ENDED))]).await?;
    let store = ShopxoStore::open(Options { cache: Some(cache(socket)), ..Options::new(&shop.store()) }).await?;
    let opened = session(7, user.into(), ClientType::H5)?;
    store.commit(Change { writes: vec![Write::OpenSession(opened)], ..Change::default() }).await?;
    Ok(store)
}

#[tokio::test]
async fn a_replaced_token_is_forgotten_and_no_other() -> Result<()> {
    let (shop, folder) = (Shop::open().await?, tempfile::tempdir()?);
    let socket = folder.path().join("redis");
    let redis = Redis::start(&socket)?;
    check_cache(&cache(&socket)).await?;
    for token in [ENDED, OTHER] {
        redis.ask(&["SET", &name(token), "a:1:{}"])?;
    }
    store_where_a_token_ended(&shop, &socket).await?.close().await?;
    assert_eq!(redis.ask(&["KEYS", "*"])?, name(OTHER));
    Ok(())
}

#[tokio::test]
async fn a_session_that_is_purged_is_forgotten_and_no_other() -> Result<()> {
    let (shop, folder) = (Shop::open().await?, tempfile::tempdir()?);
    let socket = folder.path().join("redis");
    let redis = Redis::start(&socket)?;
    let user = shop.insert_user(&[("mobile", Value::from("13900000001"))]).await?;
    let store = ShopxoStore::open(Options { cache: Some(cache(&socket)), ..Options::new(&shop.store()) }).await?;
    let (unused, used) = (session(7, user.into(), ClientType::H5)?, session(8, user.into(), ClientType::Ios)?);
    let last_use = unused.used_at.after(Duration::from_secs(2));
    for opened in [&unused, &used] {
        redis.ask(&["SET", &name(&text(opened)), "a:1:{}"])?;
        store.commit(Change { writes: vec![Write::OpenSession(opened.clone())], ..Change::default() }).await?;
    }
    store.commit(Change { writes: vec![Write::UseSession(used.id, last_use)], ..Change::default() }).await?;
    let purged = store.purge(last_use, last_use, 100).await?;
    assert_eq!((purged.forgotten, purged.more), (1, false));
    store.close().await?;
    assert_eq!(redis.ask(&["KEYS", "*"])?, name(&text(&used)));
    let left = shop.rows("SELECT token FROM sxo_user_platform WHERE token <> ''", ()).await?;
    assert_eq!(left.into_iter().map(mysql_async::from_row::<String>).collect::<Vec<_>>(), [text(&used)]);
    Ok(())
}

#[tokio::test]
async fn a_cache_that_is_away_stops_nothing_and_is_told_when_it_is_back() -> Result<()> {
    let (shop, folder) = (Shop::open().await?, tempfile::tempdir()?);
    let socket = folder.path().join("redis");
    assert!(check_cache(&cache(&socket)).await.is_err());
    let store = store_where_a_token_ended(&shop, &socket).await?;
    let redis = Redis::start(&socket)?;
    redis.ask(&["SET", &name(ENDED), "a:1:{}"])?;
    store.close().await?;
    assert_eq!(redis.ask(&["KEYS", "*"])?, "");
    Ok(())
}
