//! The pages for people.

use std::sync::Arc;
use std::time::Duration;

use mobile_bind_domain::CodeLength;
use mobile_bind_http::{CaptchaWidget, Parts, endpoint};
use poem::test::TestClient;

use crate::shop::{Client, Shop, assert_standing_headers};

fn client(bind_page: bool, development: bool) -> Client {
    let parts = Arc::new(Shop::default()).parts();
    let development = parts.development.filter(|_| development);
    TestClient::new(endpoint(Parts { bind_page, development, ..Arc::new(Shop::default()).parts() }))
}

#[tokio::test]
async fn the_bind_page_is_served_where_it_is_asked_for() {
    let response = client(true, false).get("/").send().await;
    response.assert_status_is_ok();
    response.assert_header("content-type", "text/html; charset=utf-8");
    assert_standing_headers(&response);
    let policy = response.0.headers()["content-security-policy"].to_str().unwrap().to_owned();
    assert!(policy.starts_with("default-src 'none'; script-src 'self';") && !policy.contains("unsafe"), "{policy}");
    let html = response.0.into_body().into_string().await.unwrap();
    assert!(html.contains(r#"<html data-code-length="4" data-send-interval="60" lang="#), "{html}");
    for (asset, content_type) in
        [("bind.js", "text/javascript; charset=utf-8"), ("page.css", "text/css; charset=utf-8")]
    {
        let response = client(true, false).get(format!("/pages/{asset}")).send().await;
        response.assert_status_is_ok();
        response.assert_header("content-type", content_type);
    }
}

#[tokio::test]
async fn the_bind_page_may_load_the_captcha_that_is_configured_and_no_other() {
    for (provider, own, other) in [
        ("turnstile", "https://challenges.cloudflare.com", "hcaptcha.com"),
        ("hcaptcha", "https://*.hcaptcha.com", "cloudflare.com"),
    ] {
        let mut parts = Arc::new(Shop::default()).parts();
        let widget = CaptchaWidget { provider: provider.to_owned(), site_key: "key".to_owned() };
        parts.presentation.captcha = Some(widget);
        let client = TestClient::new(endpoint(Parts { bind_page: true, ..parts }));
        let policy = |response: poem::test::TestResponse| {
            response.0.headers()["content-security-policy"].to_str().unwrap().to_owned()
        };
        let bind = policy(client.get("/").send().await);
        for directive in ["script-src 'self' ", "frame-src "] {
            let sources = bind.split(directive).nth(1).unwrap().split(';').next().unwrap();
            assert!(sources.contains(own), "{directive} in {bind}");
        }
        assert!(!bind.contains(other) && !bind.contains("unsafe") && bind.contains("frame-ancestors 'none'"), "{bind}");
        let docs = policy(client.get("/docs").send().await);
        assert!(!docs.contains("https:") && docs.contains("require-trusted-types-for"), "{docs}");
    }
    let plain = client(true, false).get("/").send().await;
    let policy = plain.0.headers()["content-security-policy"].to_str().unwrap().to_owned();
    assert!(!policy.contains("https:") && policy.contains("require-trusted-types-for"), "{policy}");
}

#[tokio::test]
async fn the_bind_page_goes_by_the_settings_in_force() {
    let parts = Parts { bind_page: true, ..Arc::new(Shop::default()).parts() };
    let service = Arc::clone(&parts.service);
    let client = TestClient::new(endpoint(parts));
    service.policy.change(|policy| {
        policy.send_interval = Duration::from_secs(30);
        policy.code_length = CodeLength::new(6).unwrap();
    });
    let html = client.get("/").send().await.0.into_body().into_string().await.unwrap();
    assert!(html.contains(r#"<html data-code-length="6" data-send-interval="30" "#), "{html}");
}

#[tokio::test]
async fn it_is_absent_where_it_is_not() {
    for path in ["/", "/pages/bind.js", "/pages/inbox.js", "/pages/console.js", "/dev/inbox", "/dev/inbox/events"] {
        assert_eq!(client(false, false).get(path).send().await.0.status(), 404, "{path}");
    }
    for path in ["/dev/inbox", "/dev/inbox/events"] {
        assert_eq!(client(true, false).get(path).send().await.0.status(), 404, "{path}");
    }
}

#[tokio::test]
async fn the_inbox_is_told_what_there_is() {
    let client = client(false, true);
    let local = |path: &str| client.get(path).header("host", "127.0.0.1");
    let page = local("/dev/inbox").send().await;
    page.assert_status_is_ok();
    page.assert_header_exist("content-security-policy");
    local("/pages/inbox.js").send().await.assert_status_is_ok();
    let events = local("/dev/inbox/events").send().await;
    events.assert_header("content-type", "text/event-stream");
    let text = events.0.into_body().into_string().await.unwrap();
    let data = text.lines().find_map(|line| line.strip_prefix("data: ")).unwrap();
    let shown: serde_json::Value = serde_json::from_str(data).unwrap();
    assert_eq!(shown["messages"], serde_json::json!([]));
    assert_eq!(shown["behaviours"], serde_json::json!([]));
    assert!(shown["now"].as_str().unwrap().ends_with('Z'));
}

#[tokio::test]
async fn strangers_do_not_see_the_inbox() {
    for path in ["/dev/inbox", "/dev/inbox/events"] {
        let refused = client(false, true).get(path).header("host", "evil.example").send().await;
        assert_eq!(refused.0.status(), 403, "{path}");
    }
}
