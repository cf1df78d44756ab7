//! Messages to a whole range of numbers, for a share of what they cost.

use std::time::Duration;

use mobile_bind::settings::LimitMode;

use crate::support::{messages, post, server};

/// Three hundred numbers of one block, each asked for from an address of its own; what became of the last.
async fn pumped(mode: LimitMode, captcha: &str) -> (usize, String) {
    let server = server(|settings| {
        settings.limits.range_mode = mode;
        settings.server.trusted_proxies = vec!["127.0.0.1".to_owned()];
        settings.captcha.provider = captcha.to_owned();
        settings.captcha.site_key = "key".to_owned();
    })
    .await;
    let mut last = String::new();
    for number in 0..300_u32 {
        let form = format!("mobile=1760212{number:04}");
        let from = format!("198.51.{}.{}", number / 200, number % 200);
        let path = format!("/user/appmobilebindverifysend?uuid=client-{number}");
        last = post(&server, &path, &[("x-forwarded-for", &from)], &form).await.text;
        server.clock.advance(Duration::from_secs(1));
    }
    (messages(&server, None), last)
}

#[tokio::test]
async fn a_range_of_numbers() {
    assert_eq!(pumped(LimitMode::Off, "").await.0, 300);
    assert_eq!(pumped(LimitMode::Shadow, "").await.0, 300, "watched alone");
    let (sent, refused) = pumped(LimitMode::Enforce, "").await;
    assert_eq!(sent, 60);
    assert!(refused.contains("\"code\":-100") && !refused.contains("captcha"), "{refused}");
    let (sent, refused) = pumped(LimitMode::Enforce, "fake").await;
    assert_eq!(sent, 60);
    assert!(refused.ends_with(r#","data":[],"captcha":{"provider":"fake","site_key":"key"}}"#), "{refused}");
}

/// Messages to numbers of his own all over the country, each from an address of its own, within all limits: nobody types the
/// codes. What honest clients did before is known across the restart between.
async fn pumped_without_typing_codes(mode: LimitMode) -> usize {
    let server = server(|settings| {
        settings.limits.conversion_mode = mode;
        settings.limits.conversion_least = 20;
        settings.server.trusted_proxies = vec!["127.0.0.1".to_owned()];
    })
    .await;
    for number in 0..30_u32 {
        let (mobile, from) = (format!("139{number:04}0000"), format!("192.0.2.{number}"));
        let path = format!("/user/appmobilebindverifysend?uuid=honest-{number}");
        post(&server, &path, &[("x-forwarded-for", &from)], &format!("mobile={mobile}")).await;
        let form = format!("mobile={mobile}&verify={}", server.last_code(&mobile).unwrap());
        let path = format!("/user/appmobilebind?uuid=honest-{number}");
        assert_eq!(post(&server, &path, &[("x-forwarded-for", &from)], &form).await.code(), Some(0));
    }
    let server = server.restart().await.unwrap();
    server.clock.advance(Duration::from_secs(2 * 3600));
    for number in 0..100_u32 {
        let path = format!("/user/appmobilebindverifysend?uuid=client-{number}");
        let from = format!("198.51.100.{number}");
        post(&server, &path, &[("x-forwarded-for", &from)], &format!("mobile=138{number:04}0000")).await;
        // As each node does once a second.
        server.app.service.store_conversions().await.unwrap();
    }
    messages(&server, None)
}

#[tokio::test]
async fn a_country_whose_codes_nobody_types() {
    assert_eq!(pumped_without_typing_codes(LimitMode::Off).await, 100);
    assert_eq!(pumped_without_typing_codes(LimitMode::Shadow).await, 100, "watched alone");
    assert_eq!(pumped_without_typing_codes(LimitMode::Enforce).await, 20);
}

#[tokio::test]
async fn whoever_solves_the_captcha_goes_on_once() {
    let server = server(|settings| {
        settings.captcha.provider = "fake".to_owned();
        settings.limits.sends_from_address = vec!["1/1h".parse().unwrap()];
    })
    .await;
    let ask = async |number: u32, captcha: &str| {
        let form = format!("mobile=1760212{number:04}&captcha={captcha}");
        post(&server, &format!("/user/appmobilebindverifysend?uuid=client-{number}"), &[], &form).await
    };
    assert_eq!(ask(1, "").await.code(), Some(0));
    assert!(ask(2, "").await.body["captcha"].is_object());
    assert!(ask(2, "wrong").await.body["captcha"].is_object());
    assert_eq!(ask(2, "pass-1").await.code(), Some(0));
    assert!(ask(3, "pass-1").await.body["captcha"].is_object(), "a response is good once");
    let away = ask(3, "away").await;
    assert!(away.code() == Some(-100) && away.body["captcha"].is_null(), "as where there is no captcha");
    assert!(away.headers.contains_key("retry-after"));
}
