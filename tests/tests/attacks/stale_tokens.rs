//! A token that was replaced or ended is used on.

use std::time::Duration;

use mobile_bind::settings::ProofSetting;
use mobile_bind_domain::Mobile;
use mobile_bind_domain::administration::{AccountName, AccountOrder};

use crate::stage::{ATTACKER, ATTACKERS_NUMBER, Stage, VICTIM, VICTIMS_NUMBER};

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

/// What an operator does ends tokens at once, whatever they are shown for.
#[tokio::test]
async fn a_token_is_dead_at_once_when_its_account_is_disabled_or_deleted_or_its_sessions_are_revoked() {
    for order in [AccountOrder::Revoke(None), AccountOrder::Disable, AccountOrder::Delete] {
        let stage = Stage::with_openids(ProofSetting::Required).await;
        let token = stage.victim().await;
        // Until then it is good for everything.
        assert_eq!(stage.number_of(&token).await.field("mobile"), VICTIMS_NUMBER);
        let name = AccountName::Mobile(Mobile::restore(VICTIMS_NUMBER).unwrap());
        let service = &stage.server.app.service;
        service.administer("ann", &name, order).await.unwrap();
        let stolen = format!("weixin_openid=o-weixin-victim&token={token}");
        assert_ne!(stage.number_of(&token).await.code(), Some(0), "{order:?}");
        let moved = stage.bind(ATTACKER, ATTACKERS_NUMBER, &stolen).await;
        assert_ne!(moved.code(), Some(0), "{order:?}: {}", moved.text);
        let out = stage.server.post("/user/logout", &format!("token={token}")).await.unwrap();
        let info = stage.number_of(&token).await;
        assert_ne!((out.code(), info.code()), (Some(0), Some(0)), "{order:?}");
        let server = stage.server.restart().await.unwrap();
        let after = server.post("/user/tokenuserinfo", &format!("token={token}")).await.unwrap();
        assert_ne!(after.code(), Some(0), "{order:?}: not after a restart either");
    }
}
