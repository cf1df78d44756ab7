//! The routes for people who build a front end.

use mobile_bind_tests::harness::TestServer;
use reqwest::Method;
use serde_json::json;

const JSON: Option<&str> = Some("application/json");

#[tokio::test]
async fn the_inbox_shows_what_was_sent_newest_first() {
    let server = TestServer::start().await.unwrap();
    for mobile in ["13800138000", "13900139000"] {
        server.send_code("u", mobile).await.unwrap();
    }
    let all = server.request(Method::GET, "/dev/sms", None, "").await.unwrap();
    assert_eq!(all.body.as_array().unwrap().len(), 2);
    assert_eq!(all.body[0]["mobile"], "13900139000");
    let one = server.request(Method::GET, "/dev/sms?mobile=13800138000", None, "").await.unwrap();
    let message = &one.body[0];
    let code = message["code"].as_str().unwrap();
    assert!(message["text"].as_str().unwrap().contains(code) && code.len() == 4);
    assert!(
        message["sent_at"].as_str().unwrap().starts_with("2026-")
            && message["sent_at"].as_str().unwrap().ends_with('Z')
    );
    assert_eq!(message.as_object().unwrap().keys().collect::<Vec<_>>(), ["mobile", "text", "code", "sent_at"]);
}

#[tokio::test]
async fn the_provider_can_be_told_to_refuse_and_to_hang() {
    let set = |settings: &mut mobile_bind::Settings| settings.sms.timeout_s = 0;
    let server = TestServer::start_with(set).await.unwrap();
    let tell = |behaviour: &'static str| {
        let body = json!({ "mobile": "13800138000", "behaviour": behaviour }).to_string();
        server.request(Method::POST, "/dev/sms/behaviour", JSON, body)
    };
    assert_eq!(tell("refuse").await.unwrap().code(), Some(0));
    assert_eq!(server.send_code("u", "13800138000").await.unwrap().code(), Some(-100));
    assert_eq!(tell("hang").await.unwrap().code(), Some(0));
    // What became of the message is unknown: the number rests.
    assert_eq!(server.send_code("u", "13800138000").await.unwrap().code(), Some(-100));
    assert_eq!(tell("deliver").await.unwrap().code(), Some(0));
    let rests = server.send_code("u", "13800138000").await.unwrap();
    assert!(rests.headers.contains_key("retry-after"));
    assert_eq!(server.send_code("u", "13900139000").await.unwrap().code(), Some(0));
    for body in ["{}", "rubbish", "{\"mobile\":\"13800138000\",\"behaviour\":\"explode\"}"] {
        assert_eq!(server.request(Method::POST, "/dev/sms/behaviour", JSON, body).await.unwrap().status, 400);
    }
}

#[tokio::test]
async fn strangers_are_kept_out() {
    let server = TestServer::start().await.unwrap();
    let get = |name: &'static str, value: &'static str| {
        server.send(server.client().get(server.url("/dev/sms")).header(name, value))
    };
    for host in ["evil.example", "evil.example:8080", "127.0.0.1.evil.example"] {
        let refused = get("host", host).await.unwrap();
        assert_eq!((refused.status, refused.body["data"].clone()), (403, json!([])), "{host}");
    }
    assert_eq!(get("origin", "http://evil.example").await.unwrap().status, 403);
    assert_eq!(get("host", "localhost:8080").await.unwrap().status, 200);
    let own: &'static str = server.url("").leak();
    assert_eq!(get("origin", own).await.unwrap().status, 200);
}

#[tokio::test]
async fn they_stand_outside_the_document() {
    let document = mobile_bind_http::openapi_document();
    assert!(!document.contains("/dev/"));
}

#[tokio::test]
async fn the_inbox_is_told_of_each_change_and_does_not_keep_the_service_from_stopping() {
    let server = TestServer::start().await.unwrap();
    let mut events = server.client().get(server.url("/dev/inbox/events")).send().await.unwrap();
    let first = events.chunk().await.unwrap().unwrap();
    assert!(String::from_utf8_lossy(&first).contains(r#""messages":[]"#));
    server.send_code("u", "13800138000").await.unwrap();
    let second = events.chunk().await.unwrap().unwrap();
    assert!(String::from_utf8_lossy(&second).contains("13800138000"));
    let body = json!({ "mobile": "13900139000", "behaviour": "hang" }).to_string();
    server.request(Method::POST, "/dev/sms/behaviour", JSON, body).await.unwrap();
    let third = events.chunk().await.unwrap().unwrap();
    assert!(String::from_utf8_lossy(&third).contains(r#"["13900139000","hang"]"#));
    server.stop().await.unwrap();
    assert!(events.chunk().await.unwrap().is_none());
}
