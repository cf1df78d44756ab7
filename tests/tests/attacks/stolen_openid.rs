//! Whoever has seen an openid names it, and moves its account to a number of his own.

use mobile_bind::settings::ProofSetting;

use crate::stage::{ATTACKER, ATTACKERS_NUMBER, Stage, VICTIM, VICTIMS_NUMBER};

const STOLEN: &str = "weixin_openid=o-weixin-victim";

#[tokio::test]
async fn on_trust_the_account_is_taken() {
    let stage = Stage::with_openids(ProofSetting::Trust).await;
    stage.victim().await;
    let taken = stage.bind(ATTACKER, ATTACKERS_NUMBER, STOLEN).await;
    assert_eq!((taken.code(), taken.field("mobile")), (Some(0), ATTACKERS_NUMBER), "{}", taken.text);
}

#[tokio::test]
async fn proved_openids_are_not_believed_from_elsewhere() {
    let stage = Stage::with_openids(ProofSetting::Required).await;
    let token = stage.victim().await;
    for uuid in [ATTACKER, "", "VICTIMS-PHONE"] {
        let refused = stage.bind(uuid, ATTACKERS_NUMBER, STOLEN).await;
        assert_eq!(refused.code(), Some(-400), "{}", refused.text);
    }
    // Somebody who has an openid of his own has no other's.
    stage.log_in(ATTACKER, "attacker.1").await;
    assert_eq!(stage.bind(ATTACKER, ATTACKERS_NUMBER, STOLEN).await.code(), Some(-400));
    assert_eq!(stage.number_of(&token).await.field("mobile"), VICTIMS_NUMBER);
}

/// A `uuid` travels in URLs: to know it as well does not suffice to take a number away.
#[tokio::test]
async fn a_stolen_uuid_changes_no_number() {
    let stage = Stage::with_openids(ProofSetting::Required).await;
    let token = stage.victim().await;
    let refused = stage.bind(VICTIM, ATTACKERS_NUMBER, STOLEN).await;
    assert_eq!(refused.code(), Some(-400), "{}", refused.text);
    assert_eq!(stage.number_of(&token).await.field("mobile"), VICTIMS_NUMBER);
    // With the account's own token, or a ticket, the owner can.
    let moved = stage.bind(VICTIM, ATTACKERS_NUMBER, &format!("{STOLEN}&token={token}")).await;
    assert_eq!(moved.code(), Some(0), "{}", moved.text);
    let ticket = stage.log_in(VICTIM, "victim.2").await.field("auth_ticket").to_owned();
    let back = stage.bind(VICTIM, VICTIMS_NUMBER, &format!("{STOLEN}&auth_ticket={ticket}")).await;
    assert_eq!(back.code(), Some(0), "{}", back.text);
}
