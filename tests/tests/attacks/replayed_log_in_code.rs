//! A log-in code that was overheard is sent again.

use mobile_bind::settings::ProofSetting;

use crate::stage::{ATTACKER, ATTACKERS_NUMBER, Stage};

#[tokio::test]
async fn a_code_is_worth_an_account_until_it_is_used() {
    let stage = Stage::with_openids(ProofSetting::Required).await;
    stage.victim().await;
    // A code that nobody has used yet: whoever sends it first is its user. That is the platform's to guard.
    let taken = stage.log_in(ATTACKER, "victim.2").await;
    assert_eq!((taken.code(), taken.body["data"]["is_user_exist"].as_i64()), (Some(0), Some(1)));
}

#[tokio::test]
async fn a_used_code_proves_nothing() {
    let stage = Stage::with_openids(ProofSetting::Required).await;
    stage.victim().await;
    let replayed = stage.log_in(ATTACKER, "victim.1").await;
    assert_eq!(replayed.code(), Some(-400), "{}", replayed.text);
    let refused = stage.bind(ATTACKER, ATTACKERS_NUMBER, "weixin_openid=o-weixin-victim").await;
    assert_eq!(refused.code(), Some(-400), "{}", refused.text);
}

/// On trust the code is not even needed.
#[tokio::test]
async fn on_trust_the_openid_alone_suffices() {
    let stage = Stage::with_openids(ProofSetting::Trust).await;
    stage.victim().await;
    assert_eq!(stage.log_in(ATTACKER, "victim.1").await.code(), Some(-400));
    assert_eq!(stage.bind(ATTACKER, ATTACKERS_NUMBER, "weixin_openid=o-weixin-victim").await.code(), Some(0));
}
