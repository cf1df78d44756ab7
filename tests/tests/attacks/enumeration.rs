//! Finding out which numbers have accounts.

use std::time::Duration;

use mobile_bind_tests::harness::TestServer;

use crate::support::{VICTIM, bind, post, send, server, wrong_codes};

/// What a stranger is answered about a number until he has a right code.
async fn told(server: &TestServer, mobile: &str) -> Vec<String> {
    let mut told = Vec::new();
    told.push(server.send_code("stranger", mobile).await.unwrap().text);
    let right = server.last_code(mobile).unwrap();
    for wrong in wrong_codes(&right).take(6) {
        told.push(bind(server, "stranger", mobile, &wrong).await.text);
    }
    told.push(bind(server, "another", mobile, &right).await.text);
    for round in 0..12 {
        told.push(server.send_code(&format!("client-{round}"), mobile).await.unwrap().text);
        server.clock.advance(Duration::from_secs(61));
    }
    told
}

#[tokio::test]
async fn strangers_are_told_the_same_of_every_number() {
    let server = server(|settings| settings.limits.sends_from_address = Vec::new()).await;
    send(&server, "owner", VICTIM).await;
    let code = server.last_code(VICTIM).unwrap();
    let owner = bind(&server, "owner", VICTIM, &code).await;
    let token = owner.field("token").to_owned();
    server.clock.advance(Duration::from_secs(100_000));
    let (held, free) = (told(&server, VICTIM).await, told(&server, "13500135000").await);
    assert_eq!(held, free);

    // With a right code and an account of his own he is told, and so is the referrer's field where that is on.
    server.clock.advance(Duration::from_secs(100_000));
    send(&server, "other", "13900139000").await;
    let code = server.last_code("13900139000").unwrap();
    let other = bind(&server, "other", "13900139000", &code).await.field("token").to_owned();
    assert_ne!(other, token);
    server.clock.advance(Duration::from_secs(61));
    send(&server, "other", VICTIM).await;
    let code = server.last_code(VICTIM).unwrap();
    let form = format!("mobile={VICTIM}&verify={code}&token={other}");
    assert_eq!(post(&server, "/user/appmobilebind?uuid=other", &[], &form).await.code(), Some(-50));
}
