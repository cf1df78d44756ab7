//! A ticket that was overheard is sent again, changed, or used for another openid.

use std::time::Duration;

use mobile_bind::settings::ProofSetting;

use crate::stage::{ATTACKER, ATTACKERS_NUMBER, Stage, VICTIMS_NUMBER};

const OPENID: &str = "weixin_openid=o-weixin-victim";

/// What a ticket is worth: it proves the openid from any installation, once.
#[tokio::test]
async fn a_fresh_ticket_is_taken_and_a_spent_one_is_not() {
    let stage = Stage::with_openids(ProofSetting::Required).await;
    let ticket = stage.log_in("", "victim.1").await.field("auth_ticket").to_owned();
    let form = format!("{OPENID}&auth_ticket={ticket}");
    let bound = stage.bind("", VICTIMS_NUMBER, &form).await;
    assert_eq!(bound.code(), Some(0), "{}", bound.text);
    for uuid in [ATTACKER, ""] {
        let refused = stage.bind(uuid, ATTACKERS_NUMBER, &form).await;
        assert_eq!(refused.code(), Some(-400), "{}", refused.text);
    }
    let trusting = Stage::with_openids(ProofSetting::Trust).await;
    for number in [VICTIMS_NUMBER, ATTACKERS_NUMBER] {
        assert_eq!(trusting.bind(ATTACKER, number, &form).await.code(), Some(0), "on trust no ticket is needed");
    }
}

#[tokio::test]
async fn a_ticket_is_spent_across_a_restart() {
    let stage = Stage::with_openids(ProofSetting::Required).await;
    let ticket = stage.log_in("", "victim.1").await.field("auth_ticket").to_owned();
    let form = format!("{OPENID}&auth_ticket={ticket}");
    assert_eq!(stage.bind("", VICTIMS_NUMBER, &form).await.code(), Some(0));
    let stage = Stage { server: stage.server.restart().await.unwrap() };
    assert_eq!(stage.bind(ATTACKER, ATTACKERS_NUMBER, &form).await.code(), Some(-400));
}

#[tokio::test]
async fn a_ticket_is_for_its_openid_app_and_client_type_and_for_a_while() {
    let stage = Stage::with_openids(ProofSetting::Required).await;
    let ticket = stage.log_in("", "attacker.1").await.field("auth_ticket").to_owned();
    let stolen = format!("{OPENID}&auth_ticket={ticket}");
    assert_eq!(stage.bind(ATTACKER, ATTACKERS_NUMBER, &stolen).await.code(), Some(-400));
    // The same openid on another platform is another identity.
    stage.server.clock.advance(Duration::from_secs(61));
    stage.server.send_code("u", ATTACKERS_NUMBER).await.unwrap();
    let verify = stage.server.last_code(ATTACKERS_NUMBER).unwrap();
    let form = format!("mobile={ATTACKERS_NUMBER}&verify={verify}&qq_openid=o-weixin-attacker&auth_ticket={ticket}");
    let elsewhere = stage.server.post("/user/appmobilebind?application_client_type=qq&uuid=u", &form).await.unwrap();
    assert_eq!(elsewhere.code(), Some(-400), "{}", elsewhere.text);
    stage.server.clock.advance(Duration::from_secs(600));
    let late = format!("weixin_openid=o-weixin-attacker&auth_ticket={ticket}");
    assert_eq!(stage.bind("", ATTACKERS_NUMBER, &late).await.code(), Some(-400));
}

#[tokio::test]
async fn a_changed_ticket_proves_nothing() {
    let stage = Stage::with_openids(ProofSetting::Required).await;
    let token = stage.victim().await;
    let ticket = stage.log_in("", "attacker.1").await.field("auth_ticket").to_owned();
    let parts: Vec<&str> = ticket.split('.').collect();
    let forged = parts[2].replace('A', "B");
    let changed = [
        format!("{}.{}.{forged}.{}", parts[0], parts[1], parts[3]),
        format!("{}.{}.{}.", parts[0], parts[1], parts[2]),
        format!("{}.unknown.{}.{}", parts[0], parts[2], parts[3]),
        format!("t2.{}.{}.{}", parts[1], parts[2], parts[3]),
        token.clone(),
    ];
    for ticket in changed {
        for openid in [OPENID, "weixin_openid=o-weixin-attacker"] {
            let refused = stage.bind("", ATTACKERS_NUMBER, &format!("{openid}&auth_ticket={ticket}")).await;
            assert_eq!(refused.code(), Some(-400), "{ticket}: {}", refused.text);
        }
    }
}
