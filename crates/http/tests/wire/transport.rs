//! Faults, headers, cross-origin requests, and the routes beside the operations.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use mobile_bind_http::{Parts, endpoint, openapi_document};
use poem::http::{Method, StatusCode};
use poem::test::TestClient;
use poem::{Body, Response};

use crate::shop::{MOBILE, PANICKING_MOBILE, Shop, assert_standing_headers, envelope};

#[tokio::test]
async fn faults_keep_their_status_in_the_envelope() {
    let client = Arc::new(Shop::default()).client();
    for uri in [
        "/",
        "/nowhere",
        "/user",
        "/user/nothing",
        "/api.php",
        "/api.php?s=user/nothing",
        "/api.php?s=healthz",
        "/user/%FF?%zz",
        "/docs/%FF",
    ] {
        for method in [Method::GET, Method::POST, Method::DELETE, Method::OPTIONS] {
            let response = client.request(method, uri).send().await;
            response.assert_status(StatusCode::NOT_FOUND);
            assert_eq!(envelope(response).await.0, -1000, "{uri}");
        }
    }
    for (method, uri, allowed) in [
        (Method::PUT, "/user/appmobilebind", "GET, POST"),
        (Method::HEAD, "/api.php?s=user/appmobilebind", "GET, POST"),
        (Method::OPTIONS, "/user/logout", "GET, POST"),
        (Method::POST, "/healthz", "GET, HEAD"),
    ] {
        let response = client.request(method, uri).send().await;
        response.assert_status(StatusCode::METHOD_NOT_ALLOWED);
        response.assert_header("allow", allowed);
        assert_eq!(envelope(response).await.0, -1000);
    }
}

#[tokio::test]
async fn bodies_have_a_limit() {
    let client = Arc::new(Shop::default()).client();
    let fits = format!("mobile={MOBILE}&x={}", "x".repeat(64 * 1024 - MOBILE.len() - "mobile=&x=".len()));
    assert_eq!(fits.len(), 64 * 1024);
    let send = |body: String, declared: bool| {
        let request = client.post("/user/appmobilebindverifysend").content_type("application/x-www-form-urlencoded");
        let length = body.len();
        // A stream does not say how long it is.
        let request = request.body(Body::from_bytes_stream(Body::from(body).into_bytes_stream()));
        if declared { request.header("content-length", length).send() } else { request.send() }
    };
    for declared in [true, false] {
        assert_eq!(envelope(send(fits.clone(), declared).await).await.0, 0);
        let response = send(format!("{fits}x"), declared).await;
        response.assert_status(StatusCode::PAYLOAD_TOO_LARGE);
        assert_eq!(envelope(response).await.0, -1);
    }
}

#[tokio::test]
async fn a_panic_is_an_envelope_too() {
    let client = Arc::new(Shop::default()).client();
    let request = client.post("/user/appmobilebindverifysend?lang=en").form(&[("mobile", PANICKING_MOBILE)]);
    let response = request.send().await;
    response.assert_status(StatusCode::INTERNAL_SERVER_ERROR);
    let (code, answer) = envelope(response).await;
    assert_eq!((code, answer["msg"].as_str().unwrap()), (-500, "Something went wrong. Try again later"));
}

#[tokio::test]
async fn requests_are_named() {
    let client = Arc::new(Shop::default()).client();
    let named = client.get("/healthz").header("x-request-id", "abc-1.2_3").send().await;
    named.assert_header("x-request-id", "abc-1.2_3");
    for unfit in ["", "a b", &"x".repeat(65)] {
        let renamed = client.get("/healthz").header("x-request-id", unfit).send().await;
        renamed.assert_header("x-request-id", "0707070707070707");
    }
}

#[tokio::test]
async fn health_readiness_and_keys() {
    let shop = Arc::new(Shop::default());
    let client = shop.client();
    for uri in ["/healthz", "/readyz", "/.well-known/jwks.json", "/openapi.json", "/docs"] {
        for method in [Method::GET, Method::HEAD] {
            let response = client.request(method, uri).send().await;
            response.assert_status_is_ok();
            assert_standing_headers(&response);
        }
    }
    client.get("/.well-known/jwks.json").send().await.assert_text(r#"{"keys":[]}"#).await;
    let facts = r#""store":"shop","node":7,"pool":{"limit":16,"open":3,"in_use":2,"waiting":1},"#.to_owned()
        + r#""replication":{"standbys":2,"synchronous":1,"lag_bytes":512,"lag_ms":1.5}}"#;
    client.get("/readyz").send().await.assert_text(format!(r#"{{"status":"ready",{facts}"#)).await;
    shop.broken.store(true, Ordering::Relaxed);
    client.get("/healthz").send().await.assert_status_is_ok();
    let response = client.get("/readyz").send().await;
    response.assert_status(StatusCode::SERVICE_UNAVAILABLE);
    // Not one of the interface's operations: the envelope carries the facts.
    let told: serde_json::Value = serde_json::from_str(&response.0.into_body().into_string().await.unwrap()).unwrap();
    assert_eq!((told["code"].as_i64(), told["data"]["status"].as_str()), (Some(-100), Some("not ready")));
    assert_eq!(told["data"]["node"].as_i64(), Some(7));
    let stored = client.post("/user/appmobilebindverifysend").form(&[("mobile", MOBILE)]).send().await;
    stored.assert_status_is_ok();
    assert_eq!(envelope(stored).await.0, -100);

    let plain = TestClient::new(endpoint(Parts { key_set: None, development: None, ..shop.parts() }));
    for uri in ["/.well-known/jwks.json", "/dev/sms"] {
        let response = plain.get(uri).header("host", "127.0.0.1").send().await;
        response.assert_status(StatusCode::NOT_FOUND);
        assert_eq!(envelope(response).await.0, -1000);
    }
}

#[tokio::test]
async fn the_document_and_its_explorer_need_nothing_from_outside() {
    let client = Arc::new(Shop::default()).client();
    let response = client.get("/openapi.json").send().await;
    response.assert_text(openapi_document()).await;
    let response = client.get("/docs").send().await;
    let policy = response.0.headers()["content-security-policy"].to_str().unwrap().to_owned();
    assert!(policy.starts_with("default-src 'none';") && policy.contains("connect-src 'self'"), "{policy}");
    assert!(!policy.contains("unsafe") && !policy.contains("http"), "{policy}");
    let page = response.0.into_body().into_string().await.unwrap();
    assert!(page.contains("/pages/docs.js"));
    for asset in ["docs.js", "page.js", "page.css"] {
        client.get(format!("/pages/{asset}")).send().await.assert_status_is_ok();
    }
}

fn shop_with_origins(origins: &[&str]) -> TestClient<impl poem::Endpoint<Output = Response>> {
    let cors_origins = origins.iter().map(|&origin| origin.to_owned()).collect();
    TestClient::new(endpoint(Parts { cors_origins, ..Arc::new(Shop::default()).parts() }))
}

#[tokio::test]
async fn origins_that_may_call() {
    let client = shop_with_origins(&["https://shop.example", "http://localhost:3000/"]);
    for origin in ["https://shop.example", "http://localhost:3000"] {
        let preflight = client.request(Method::OPTIONS, "/user/appmobilebind").header("origin", origin);
        let preflight = preflight.header("access-control-request-method", "POST").send().await;
        preflight.assert_status(StatusCode::NO_CONTENT);
        preflight.assert_header("access-control-allow-origin", origin);
        preflight.assert_header("access-control-allow-methods", "GET, POST");
        let headers = "content-type, authorization, idempotency-key, x-request-id";
        preflight.assert_header("access-control-allow-headers", headers);
        preflight.assert_header("access-control-max-age", "7200");
        preflight.assert_header_is_not_exist("access-control-allow-credentials");
        assert_standing_headers(&preflight);
        let answer = client.post("/user/logout").header("origin", origin).send().await;
        answer.assert_header("access-control-allow-origin", origin);
        answer.assert_header("access-control-expose-headers", "retry-after, x-request-id");
        answer.assert_header("vary", "Origin");
        assert_eq!(envelope(answer).await.0, -400);
    }
}

#[tokio::test]
async fn origins_that_may_not_call() {
    for client in [shop_with_origins(&["https://shop.example"]), shop_with_origins(&[])] {
        for origin in ["https://evil.example", "null", "https://shop.example.evil.example"] {
            let preflight = client.request(Method::OPTIONS, "/user/appmobilebind").header("origin", origin);
            let preflight = preflight.header("access-control-request-method", "POST").send().await;
            preflight.assert_header_is_not_exist("access-control-allow-origin");
            preflight.assert_status(StatusCode::METHOD_NOT_ALLOWED);
            let answer = client.post("/user/logout").header("origin", origin).send().await;
            answer.assert_header_is_not_exist("access-control-allow-origin");
        }
    }
    let any = shop_with_origins(&["*"]).post("/user/logout").header("origin", "https://any.example").send().await;
    any.assert_header("access-control-allow-origin", "*");
}
