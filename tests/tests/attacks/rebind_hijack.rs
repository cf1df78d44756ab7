//! Whoever has got hold of a token moves its account to a number of his own, and the owner is out.

use mobile_bind::settings::{LimitMode, Rebind};
use mobile_bind_domain::Mobile;
use mobile_bind_domain::ports::Purpose;
use mobile_bind_tests::harness::{Answer, TestServer};

use crate::stage::{ATTACKER, ATTACKERS_NUMBER, Stage, VICTIM, VICTIMS_NUMBER};

/// A shop under that rule, and the token of a victim who has bound his number.
async fn stage(rebind: Rebind, cooling_off_s: u64) -> (Stage, String) {
    let server = TestServer::start_with(|settings| {
        settings.limits.mode = LimitMode::Off;
        settings.numbers.rebind = rebind;
        settings.numbers.cooling_off_s = cooling_off_s;
        settings.numbers.tell_old_number = true;
    });
    let stage = Stage { server: server.await.unwrap() };
    let token = bind(&stage, VICTIM, VICTIMS_NUMBER, "").await.field("token").to_owned();
    (stage, token)
}

async fn bind(stage: &Stage, uuid: &str, number: &str, more: &str) -> Answer {
    stage.server.clock.advance(std::time::Duration::from_secs(61));
    assert_eq!(stage.server.send_code(uuid, number).await.unwrap().code(), Some(0));
    let code = stage.server.last_code(number).unwrap();
    let path = format!("/user/appmobilebind?application_client_type=h5&uuid={uuid}");
    stage.server.post(&path, &format!("mobile={number}&verify={code}&{more}")).await.unwrap()
}

#[tokio::test]
async fn under_allow_a_token_is_enough_and_the_owner_is_told() {
    let (stage, token) = stage(Rebind::Allow, 0).await;
    let taken = bind(&stage, ATTACKER, ATTACKERS_NUMBER, &format!("token={token}")).await;
    assert_eq!((taken.code(), taken.field("mobile")), (Some(0), ATTACKERS_NUMBER), "{}", taken.text);
    let victim = Mobile::restore(VICTIMS_NUMBER).unwrap();
    let messages = stage.server.app.service.store.messages_to(&victim, 9).await.unwrap();
    assert!(messages.iter().any(|message| message.value.purpose == Purpose::NumberChanged));
}

#[tokio::test]
async fn under_the_other_rules_it_is_not() {
    for (rebind, cooling_off_s) in [(Rebind::OldCode, 0), (Rebind::Deny, 0), (Rebind::Allow, 172_800)] {
        let (stage, token) = stage(rebind, cooling_off_s).await;
        let with_token = format!("token={token}");
        let refused = bind(&stage, ATTACKER, ATTACKERS_NUMBER, &with_token).await;
        assert!(refused.code().is_some_and(|code| code < 0), "{rebind:?}: {}", refused.text);
        // He has the victim's phone sent a code, which he does not see; another's does not do.
        let asked = stage.server.send_code(ATTACKER, VICTIMS_NUMBER).await.unwrap();
        assert_eq!(asked.code(), Some(0), "{}", asked.text);
        let real = stage.server.last_code(VICTIMS_NUMBER).unwrap();
        let guessed = if real == "1234" { "4321" } else { "1234" };
        let guess = bind(&stage, ATTACKER, ATTACKERS_NUMBER, &format!("{with_token}&old_verify={guessed}")).await;
        assert!(guess.code().is_some_and(|code| code < 0), "{rebind:?}: {}", guess.text);
        assert_eq!(stage.number_of(&token).await.field("mobile"), VICTIMS_NUMBER, "{rebind:?}");
        let victim = Mobile::restore(VICTIMS_NUMBER).unwrap();
        let messages = stage.server.app.service.store.messages_to(&victim, 9).await.unwrap();
        assert!(messages.iter().all(|message| message.value.purpose == Purpose::Bind), "nothing to tell");
    }
}
