//! Whoever has seen a unionid sends it with an openid of his own, and enters the account that holds it.

use mobile_bind::settings::ProofSetting;

use crate::stage::{ATTACKER, ATTACKERS_NUMBER, Stage, VICTIMS_NUMBER};

const STOLEN: &str = "weixin_openid=o-weixin-attacker&weixin_unionid=u-victim";

/// What a unionid opens for him whose it is: another app's openid of the same person leads to the account.
#[tokio::test]
async fn a_proved_unionid_finds_its_account() {
    let stage = Stage::with_openids(ProofSetting::Required).await;
    let token = stage.victim().await;
    let id = stage.number_of(&token).await.field("id").to_owned();
    let known = stage.log_in("another-phone", "victim.2").await;
    assert_eq!((known.body["data"]["is_user_exist"].as_i64(), known.field("id")), (Some(1), id.as_str()));
}

#[tokio::test]
async fn anothers_unionid_is_refused_with_the_openid_that_is_proved() {
    let stage = Stage::with_openids(ProofSetting::Required).await;
    let token = stage.victim().await;
    let ticket = stage.log_in(ATTACKER, "attacker.1").await.field("auth_ticket").to_owned();
    for form in [STOLEN.to_owned(), format!("{STOLEN}&auth_ticket={ticket}")] {
        let refused = stage.bind(ATTACKER, ATTACKERS_NUMBER, &form).await;
        assert_eq!(refused.code(), Some(-400), "{}", refused.text);
    }
    assert_eq!(stage.number_of(&token).await.field("mobile"), VICTIMS_NUMBER);
    // With his own he gets an account of his own.
    let own = "weixin_openid=o-weixin-attacker&weixin_unionid=u-attacker";
    let bound = stage.bind(ATTACKER, ATTACKERS_NUMBER, own).await;
    assert_eq!(bound.code(), Some(0), "{}", bound.text);
    assert_ne!(bound.field("id"), stage.number_of(&token).await.field("id"));
}
