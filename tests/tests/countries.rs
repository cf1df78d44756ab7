//! Numbers of the shop's own country however they are written, and those of other countries where they are allowed.

#![expect(clippy::unwrap_used, reason = "a test may panic")]

use std::time::Duration;

use mobile_bind::settings::LimitMode;
use mobile_bind_tests::harness::{Answer, TestServer};

async fn shop(countries: &[&str]) -> TestServer {
    let countries = countries.iter().map(|&code| code.to_owned()).collect();
    TestServer::start_with(|settings| {
        settings.limits.mode = LimitMode::Off;
        settings.countries = countries;
    })
    .await
    .unwrap()
}

/// A form's field, in which `+` is a space unless it is escaped.
fn form(mobile: &str) -> String {
    format!("mobile={}", mobile.replace('+', "%2B").replace(' ', "+"))
}

async fn send(server: &TestServer, mobile: &str) -> Answer {
    server.clock.advance(Duration::from_secs(60));
    server.post("/user/appmobilebindverifysend?uuid=u", &form(mobile)).await.unwrap()
}

/// Has a code sent to a number that is written so, and binds it, written otherwise.
async fn bind(server: &TestServer, asked: &str, bound: &str, kept: &str) -> Answer {
    let sent = send(server, asked).await;
    assert_eq!(sent.code(), Some(0), "{asked}: {}", sent.text);
    let verify = server.last_code(kept).unwrap();
    server.post("/user/appmobilebind?uuid=u", &format!("{}&verify={verify}", form(bound))).await.unwrap()
}

#[tokio::test]
async fn a_number_of_the_shops_country_is_kept_as_shopxo_keeps_it() {
    let server = shop(&["86", "852"]).await;
    let kept = "17602128368";
    let first = bind(&server, kept, "+86 176 0212 8368", kept).await;
    assert_eq!((first.code(), first.field("mobile")), (Some(0), kept), "{}", first.text);
    let again = bind(&server, "008617602128368", "+8617602128368", kept).await;
    assert_eq!((again.field("id"), again.field("mobile")), (first.field("id"), kept), "one account: {}", again.text);
    server.stop().await.unwrap();
}

#[tokio::test]
async fn numbers_of_other_countries_are_refused_unless_they_are_allowed() {
    let server = shop(&["86"]).await;
    for mobile in ["+85251234567", "0085251234567", "+12015550123", "+86 12345678901", "+8617602128368"] {
        let refused = send(&server, mobile).await;
        let malformed = send(&server, "123").await;
        assert_eq!((refused.code(), &refused.text), (malformed.code(), &malformed.text), "{mobile}");
        assert_ne!(refused.code(), Some(0));
    }
    assert!(server.app.sms.messages(None).is_empty());
    server.stop().await.unwrap();

    let server = shop(&["86", "852"]).await;
    let kept = "+85251234567";
    let first = bind(&server, "+852 5123 4567", "0085251234567", kept).await;
    assert_eq!((first.code(), first.field("mobile")), (Some(0), kept), "{}", first.text);
    assert_eq!(first.field("mobile_security"), "+85***567");
    let again = bind(&server, kept, kept, kept).await;
    assert_eq!(again.field("id"), first.field("id"), "one account: {}", again.text);
    // Not allowed, no mobile's, and without a country.
    for mobile in ["+12015550123", "+85221234567", "51234567"] {
        assert_ne!(send(&server, mobile).await.code(), Some(0), "{mobile}");
    }
    server.stop().await.unwrap();
}

#[tokio::test]
async fn countries_that_make_no_sense_are_refused_at_the_start() {
    for (countries, complaint) in [(&["852"][..], "sms.country_code"), (&["86", "+852"], "calling codes")] {
        let countries = countries.iter().map(|&code| code.to_owned()).collect();
        let started = TestServer::start_with(|settings| settings.countries = countries).await;
        let error = started.err().unwrap();
        assert!(format!("{error:#}").contains(complaint), "{error:#}");
    }
}
