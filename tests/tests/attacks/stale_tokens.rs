//! A token that was replaced or ended is used on.

use std::time::Duration;

use mobile_bind::settings::ProofSetting;

use crate::stage::{ATTACKERS_NUMBER, Stage, VICTIM, VICTIMS_NUMBER};

#[tokio::test]
async fn a_token_changes_the_number_while_it_lives_and_not_after() {
    let stage = Stage::with_openids(ProofSetting::Required).await;
    let first = stage.victim().await;
    let openid = "weixin_openid=o-weixin-victim";
    let with = |token: &str| format!("{openid}&token={token}");
    let moved = stage.bind(VICTIM, ATTACKERS_NUMBER, &with(&first)).await;
    assert_eq!(moved.code(), Some(0), "{}", moved.text);
    // Replaced by that very bind.
    assert_eq!(stage.bind(VICTIM, VICTIMS_NUMBER, &with(&first)).await.code(), Some(-400));
    let second = moved.field("token").to_owned();
    // Replaced by a log-in, which answers another.
    let third = stage.log_in(VICTIM, "victim.2").await.field("token").to_owned();
    assert_eq!(stage.bind(VICTIM, VICTIMS_NUMBER, &with(&second)).await.code(), Some(-400));
    // Logged out.
    let out = stage.server.post("/user/logout", &format!("token={third}")).await.unwrap();
    assert_eq!(out.code(), Some(0));
    assert_eq!(stage.bind(VICTIM, VICTIMS_NUMBER, &with(&third)).await.code(), Some(-400));
    // Expired: a year without use.
    let fourth = stage.log_in(VICTIM, "victim.3").await.field("token").to_owned();
    stage.server.clock.advance(Duration::from_secs(366 * 24 * 3600));
    assert_eq!(stage.number_of(&fourth).await.code(), Some(-1));
}
