//! The shop that the other suites have beside them behaves as a shop does, its faults included.

use anyhow::Result;
use mobile_bind_tests::shop::{PhpWriter, Registration, Shop};
use mysql_async::Value;

const MOBILE: &str = "13900000001";

#[tokio::test]
async fn a_number_registers_once_when_nobody_is_beside_it() -> Result<()> {
    let shop = Shop::open().await?;
    let mut php = PhpWriter::new(&shop, 1_790_000_000).await?;
    let Registration::Made(made) = php.register(MOBILE, "h5").await? else { panic!("the number was free") };
    assert_eq!(php.register(MOBILE, "h5").await?, Registration::Held(made.user));
    assert_eq!(php.holder_of_token(&made.token, "ios").await?, Some(made.user));
    let entered = php.log_in(MOBILE, "h5").await?.expect("the number has a user");
    assert_eq!(entered.user, made.user);
    assert_eq!(php.holder_of_token(&made.token, "h5").await?, None, "a log-in replaces the platform's token");
    Ok(())
}

#[tokio::test]
async fn two_that_look_before_either_writes_make_two_users() -> Result<()> {
    let shop = Shop::open().await?;
    let (mut one, mut other) = (PhpWriter::new(&shop, 1).await?, PhpWriter::new(&shop, 1).await?);
    assert_eq!((one.holder_of_mobile(MOBILE).await?, other.holder_of_mobile(MOBILE).await?), (None, None));
    let (one, other) = (one.insert_user(MOBILE, "h5", &[]).await?, other.insert_user(MOBILE, "h5", &[]).await?);
    assert_ne!(one.user, other.user);
    assert_ne!(one.token, other.token);
    Ok(())
}

#[tokio::test]
async fn what_is_deleted_or_closed_frees_its_number() -> Result<()> {
    let shop = Shop::open().await?;
    let mut php = PhpWriter::new(&shop, 1).await?;
    let first = shop.insert_user(&[("mobile", Value::from(MOBILE))]).await?;
    shop.insert_platform(first, "weixin", &[("weixin_openid", Value::from("oA"))]).await?;
    php.delete(first).await?;
    assert!(shop.rows("SELECT * FROM sxo_user_platform", ()).await?.is_empty());
    let second = php.bind(MOBILE, "h5", "").await?.expect("the number is free");
    php.close(second.user).await?;
    assert_eq!(php.holder_of_token(&second.token, "h5").await?, None);
    assert_eq!(php.holder_of_mobile(MOBILE).await?, None);
    Ok(())
}

#[tokio::test]
async fn a_bind_sets_the_callers_number_and_no_other_users() -> Result<()> {
    let shop = Shop::open().await?;
    let mut php = PhpWriter::new(&shop, 1).await?;
    let caller = php.bind(MOBILE, "h5", "").await?.expect("the number is free");
    let changed = php.bind("13900000002", "h5", &caller.token).await?.expect("the other number is free too");
    assert_eq!(changed.user, caller.user);
    php.register(MOBILE, "h5").await?;
    assert_eq!(php.bind(MOBILE, "h5", &changed.token).await?, None);
    Ok(())
}
