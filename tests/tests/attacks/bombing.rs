//! Many messages to one number, from clients that are always new ones.

use std::time::Duration;

use mobile_bind::settings::LimitMode;

use crate::support::{VICTIM, bind, messages, post, send, server};

async fn bombed(mode: LimitMode) -> usize {
    let server = server(|settings| settings.limits.mode = mode).await;
    for round in 0..200 {
        send(&server, &format!("client-{round}"), VICTIM).await;
        server.clock.advance(Duration::from_secs(300));
    }
    messages(&server, Some(VICTIM))
}

#[tokio::test]
async fn one_number() {
    assert_eq!(bombed(LimitMode::Off).await, 200);
    assert_eq!(bombed(LimitMode::Enforce).await, 5, "in 16 hours: half of ten a day");
}

/// However strangers bomb, its owner gets his code: half is kept for him.
#[tokio::test]
async fn the_owner_is_not_locked_out() {
    for (keep, owners) in [(false, Some(-100)), (true, Some(0))] {
        let server = server(|settings| settings.limits.keep_half_for_owners = keep).await;
        send(&server, "owner", VICTIM).await;
        let code = server.last_code(VICTIM).unwrap();
        let token = bind(&server, "owner", VICTIM, &code).await.field("token").to_owned();
        server.clock.advance(Duration::from_secs(100_000));
        for round in 0..20 {
            send(&server, &format!("client-{round}"), VICTIM).await;
            server.clock.advance(Duration::from_secs(61));
        }
        let form = format!("mobile={VICTIM}&token={token}");
        let answer = post(&server, "/user/appmobilebindverifysend?uuid=owner", &[], &form).await;
        assert_eq!(answer.code(), owners, "{}", answer.text);
        if owners == Some(-100) {
            assert!(answer.headers.contains_key("retry-after"));
        }
    }
}
