//! Numbers for the reviewers of app stores.

#![expect(clippy::unwrap_used, reason = "a test may panic")]

use std::time::Duration;

use mobile_bind::Settings;
use mobile_bind::settings::TestNumber;
use mobile_bind_tests::harness::{Answer, TestServer};

const NUMBER: &str = "13000000000";
const CODE: &str = "824613";

/// One that is good through the day on which the tests' time begins.
fn listed(settings: &mut Settings) {
    let until = "2026-09-21".to_owned();
    let number = TestNumber { mobile: NUMBER.to_owned(), code: CODE.to_owned().into(), until };
    settings.test_numbers.insert("review".to_owned(), number);
}

async fn bind(server: &TestServer, uuid: &str, verify: &str) -> Answer {
    let path = format!("/user/appmobilebind?uuid={uuid}");
    server.post(&path, &format!("mobile={NUMBER}&verify={verify}")).await.unwrap()
}

#[tokio::test]
async fn the_code_is_the_same_and_no_message_leaves() {
    let server = TestServer::start_with(listed).await.unwrap();
    for uuid in ["a", "b"] {
        assert_eq!(server.send_code(uuid, NUMBER).await.unwrap().code(), Some(0));
        assert_eq!(bind(&server, uuid, "824614").await.code(), Some(-11));
        let bound = bind(&server, uuid, CODE).await;
        assert_eq!((bound.code(), bound.field("mobile")), (Some(0), NUMBER), "{}", bound.text);
        server.clock.advance(Duration::from_secs(60));
    }
    let asked = server.post("/user/appmobilebindverifystatus?uuid=b", &format!("mobile={NUMBER}")).await.unwrap();
    assert_eq!(asked.field("status"), "accepted", "{}", asked.text);
    assert!(server.app.sms.messages(None).is_empty());
    let number = mobile_bind_domain::Mobile::restore(NUMBER).unwrap();
    assert!(server.app.service.store.messages_to(&number, 10).await.unwrap().is_empty());
    assert_eq!(server.send_code("a", "17602128368").await.unwrap().code(), Some(0));
    assert_eq!(server.app.sms.messages(None).len(), 1, "other numbers get theirs");
}

#[tokio::test]
async fn limits_hold_as_for_any_number() {
    let server = TestServer::start_with(listed).await.unwrap();
    assert_eq!(bind(&server, "a", CODE).await.code(), Some(-10), "nobody asked for a code");
    assert_eq!(server.send_code("a", NUMBER).await.unwrap().code(), Some(0));
    assert_eq!(server.send_code("a", NUMBER).await.unwrap().code(), Some(-100), "too soon");
    for wrong in 0..5 {
        assert_eq!(bind(&server, "a", &format!("00000{wrong}")).await.code(), Some(-11));
    }
    assert_eq!(bind(&server, "a", CODE).await.code(), Some(-10), "burnt");
}

#[tokio::test]
async fn it_is_refused_when_past_its_date() {
    let server = TestServer::start_with(listed).await.unwrap();
    server.send_code("a", NUMBER).await.unwrap();
    server.clock.advance(Duration::from_secs(24 * 3600));
    let sent = server.post("/user/appmobilebindverifysend?uuid=b&lang=en", &format!("mobile={NUMBER}")).await.unwrap();
    assert_eq!((sent.code(), sent.body["msg"].as_str()), (Some(-1), Some("This test number is past its date")));
    assert_eq!(bind(&server, "a", CODE).await.code(), Some(-1), "nor does a code that it had");
    assert_eq!(server.send_code("b", "17602128368").await.unwrap().code(), Some(0));
}

#[tokio::test]
async fn one_that_cannot_be_used_is_named() {
    for (mobile, code, until, named) in [
        ("1", CODE, "2026-12-31", "test_numbers.review.mobile"),
        (NUMBER, "12", "2026-12-31", "test_numbers.review.code"),
        (NUMBER, CODE, "tomorrow", "test_numbers.review.until"),
    ] {
        let number = TestNumber { mobile: mobile.to_owned(), code: code.to_owned().into(), until: until.to_owned() };
        let mut settings = Settings::default();
        settings.test_numbers.insert("review".to_owned(), number);
        assert!(settings.policy().unwrap_err().to_string().starts_with(named));
    }
}
