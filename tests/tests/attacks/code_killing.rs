//! Wrong tries at somebody else's code, so that he cannot use it.

use mobile_bind::settings::LimitMode;

use crate::support::{VICTIM, bind, send, server, wrong_codes};

#[tokio::test]
async fn a_stranger_does_not_use_up_the_tries_of_another() {
    let server = server(|settings| settings.limits.mode = LimitMode::Off).await;
    // By the same client the code is burnt: that is what it would be to share a number's tries.
    send(&server, "owner", VICTIM).await;
    let code = server.last_code(VICTIM).unwrap();
    for wrong in wrong_codes(&code).take(5) {
        assert_eq!(bind(&server, "owner", VICTIM, &wrong).await.code(), Some(-11));
    }
    assert_eq!(bind(&server, "owner", VICTIM, &code).await.code(), Some(-10));

    server.clock.advance(std::time::Duration::from_secs(600));
    send(&server, "owner", VICTIM).await;
    let code = server.last_code(VICTIM).unwrap();
    for wrong in wrong_codes(&code).take(50) {
        assert_eq!(bind(&server, "stranger", VICTIM, &wrong).await.code(), Some(-10));
    }
    server.clock.advance(std::time::Duration::from_secs(60));
    assert_eq!(send(&server, "stranger", VICTIM).await, Some(0), "nor does a code of his own end it");
    assert_eq!(bind(&server, "owner", VICTIM, &code).await.code(), Some(0));
}
