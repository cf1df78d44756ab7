//! The transport's rules: scalars, bodies, languages, faults.

use mobile_bind_tests::harness::TestServer;
use reqwest::Method;
use serde_json::{Value, json};

const JSON: Option<&str> = Some("application/json");
const FORM: Option<&str> = Some("application/x-www-form-urlencoded");

fn assert_envelope(body: &Value) {
    assert!(body["msg"].as_str().is_some_and(|msg| !msg.is_empty()), "{body}");
    assert!(body["code"].is_i64(), "{body}");
    assert_eq!(body["data"], json!([]));
}

#[tokio::test]
async fn whatever_goes_wrong_the_answer_is_the_envelope() {
    let server = TestServer::start().await.unwrap();
    let big = "x".repeat(65 * 1024);
    let nested = "[".repeat(50_000);
    type Case<'a> = (Method, &'a str, Option<&'a str>, Vec<u8>, u16, i64);
    let cases: [Case<'_>; 17] = [
        (Method::POST, "/nowhere", None, vec![], 404, -1000),
        (Method::GET, "/api.php", None, vec![], 404, -1000),
        (Method::POST, "/api.php?s=user/nowhere", None, vec![], 404, -1000),
        (Method::PUT, "/user/appmobilebind", None, vec![], 405, -1000),
        (Method::DELETE, "/api.php?s=user/appmobilebind", None, vec![], 405, -1000),
        (Method::POST, "/user/appmobilebind", FORM, big.clone().into(), 413, -1),
        (Method::POST, "/user/appmobilebind", JSON, nested.into(), 200, -1),
        (Method::POST, "/user/appmobilebind", JSON, b"{\"mobile\":\"\xff\"}".to_vec(), 200, -1),
        (Method::POST, "/user/appmobilebind", JSON, b"{\"mobile\":".to_vec(), 200, -1),
        (Method::POST, "/user/appmobilebind", JSON, b"[]".to_vec(), 200, -1),
        (Method::POST, "/user/appmobilebind", JSON, b"".to_vec(), 200, -1),
        (Method::POST, "/user/appmobilebind", Some("text/plain"), b"mobile=13800138000".to_vec(), 200, -1),
        (Method::POST, "/user/appmobilebind", None, b"mobile=13800138000".to_vec(), 200, -1),
        (Method::POST, "/user/appmobilebind", Some("multipart/form-data"), b"x".to_vec(), 200, -1),
        (
            Method::POST,
            "/user/appmobilebind",
            Some("multipart/form-data; boundary=x"),
            b"--x\r\nrubbish".to_vec(),
            200,
            -1,
        ),
        (Method::POST, "/user/appmobilebind?%ff=%zz&mobile=%", FORM, b"%%%".to_vec(), 200, -1),
        (Method::GET, "/user/appmobilebind", None, vec![], 200, -1),
    ];
    for (method, path, content_type, body, status, code) in cases {
        let name = format!("{method} {path} {content_type:?}");
        let answer = server.request(method, path, content_type, body).await.unwrap();
        assert_eq!((answer.status, answer.code()), (status, Some(code)), "{name}: {}", answer.text);
        assert_envelope(&answer.body);
        assert_eq!(answer.headers["cache-control"], "no-store", "{name}");
        assert!(answer.headers.contains_key("x-request-id"), "{name}");
    }
    assert!(server.app.service.store.accounts(None, 10).await.unwrap().is_empty());
}

#[tokio::test]
async fn arrays_where_a_scalar_is_due_are_invalid_parameters() {
    let server = TestServer::start().await.unwrap();
    for query in
        ["lang[]=en", "token[]=x", "application_client_type[]=x", "uuid[a]=x", "mobile[]=13800138000", "verify[]=1"]
    {
        let answer = server.post(&format!("/user/appmobilebind?{query}"), "").await.unwrap();
        assert_eq!((answer.status, answer.code()), (200, Some(-1)), "{query}");
    }
    for (name, value) in [("mobile", json!(["13800138000"])), ("mobile", json!({ "a": 1 })), ("token", json!([]))] {
        let body = json!({ name: value }).to_string();
        let answer = server.request(Method::POST, "/user/appmobilebindverifysend", JSON, body).await.unwrap();
        assert_eq!((answer.status, answer.code()), (200, Some(-1)), "{name}");
    }
    assert!(server.app.sms.messages(None).is_empty());
}

#[tokio::test]
async fn the_order_of_checks() {
    let server = TestServer::start().await.unwrap();
    let path = "/user/appmobilebind?application_client_type=weixin&uuid=u";
    let steps = [
        ("", -1),
        ("mobile=1", -1),
        ("mobile=1&verify=1", -2),
        ("mobile=13800138000&verify=1", -10),
        ("mobile=13800138000&verify=1&weixin_openid=o", -10),
    ];
    for (body, code) in steps {
        assert_eq!(server.post(path, body).await.unwrap().code(), Some(code), "{body}");
    }
    server.send_code("u", "13800138000").await.unwrap();
    let code = server.last_code("13800138000").unwrap();
    let right = format!("mobile=13800138000&verify={code}");
    assert_eq!(server.post(path, "mobile=13800138000&verify=0000").await.unwrap().code(), Some(-11));
    assert_eq!(server.post(path, &right).await.unwrap().code(), Some(-20));
    assert_eq!(server.post(path, &format!("{right}&weixin_openid=o")).await.unwrap().code(), Some(0));
    let malformed = server.post("/user/appmobilebindverifysend", "mobile=1").await.unwrap();
    assert_eq!(malformed.code(), Some(-1));
}

#[tokio::test]
async fn every_language_has_its_own_words() {
    let server = TestServer::start().await.unwrap();
    let mut told = Vec::new();
    for language in ["zh", "en", "cht", "spa"] {
        let by_parameter = server.post(&format!("/user/appmobilebind?lang={language}"), "").await.unwrap();
        let in_body = server.post("/user/appmobilebind", &format!("lang={language}")).await.unwrap();
        assert_eq!(by_parameter.body, in_body.body);
        told.push(by_parameter.body["msg"].as_str().unwrap().to_owned());
    }
    assert_eq!(told[0], "手机号码不能为空");
    // Nobody's language is remembered: it comes with each request.
    server.post("/user/appmobilebind?uuid=u&lang=en", "").await.unwrap();
    assert_eq!(server.post("/user/appmobilebind?uuid=u", "").await.unwrap().body["msg"], told[0]);
    let distinct: std::collections::BTreeSet<_> = told.iter().collect();
    assert_eq!(distinct.len(), 4, "{told:?}");
    for (accepted, index) in [("en-US,en;q=0.9", 1), ("zh-CN", 0), ("es-MX", 3), ("zh-TW", 2), ("fr", 0)] {
        let request = server.client().post(server.url("/user/appmobilebind")).header("accept-language", accepted);
        assert_eq!(server.send(request).await.unwrap().body["msg"], told[index], "{accepted}");
    }
}

#[tokio::test]
async fn unknown_client_types_count_as_pc_and_ignore_openids() {
    let server = TestServer::start().await.unwrap();
    for (index, client_type) in ["", "foo", "WEIXIN", "weixin%20"].into_iter().enumerate() {
        let mobile = format!("1380013800{index}");
        server.send_code("u", &mobile).await.unwrap();
        let code = server.last_code(&mobile).unwrap();
        let path = format!("/user/appmobilebind?application_client_type={client_type}&uuid=u");
        let body = format!("mobile={mobile}&verify={code}&weixin_openid=oAPP");
        let bound = server.post(&path, &body).await.unwrap();
        assert_eq!((bound.code(), bound.field("weixin_openid"), bound.field("platform")), (Some(0), "", "pc"));
    }
}

#[tokio::test]
async fn only_the_documented_parameters_are_taken() {
    let server = TestServer::start().await.unwrap();
    server.send_code("u", "13800138000").await.unwrap();
    let code = server.last_code("13800138000").unwrap();
    let body = json!({
        "mobile": "13800138000", "verify": code, "weixin_openid": "oU", "application_client_type": "weixin", "uuid": "u",
        "id": 5, "status": 2, "integral": 999, "email": "x@y.z", "username": "root", "is_delete_time": 1, "platform": "evil",
        "number_code": "1", "system_type": "evil", "unknown": { "deep": [1, 2, { "x": null }] },
        "nickname": null
    });
    let bound = server.request(Method::POST, "/user/appmobilebind", JSON, body.to_string()).await.unwrap();
    assert_eq!((bound.code(), bound.field("status"), bound.field("integral")), (Some(0), "0", "0"));
    let ignored =
        [("email", ""), ("username", ""), ("nickname", ""), ("platform", "weixin"), ("system_type", "default")];
    for (name, value) in ignored {
        assert_eq!(bound.field(name), value, "{name}");
    }
    assert_eq!(bound.field("is_delete_time"), "0");
}

#[tokio::test]
async fn invalid_utf8_is_replaced_in_forms() {
    let server = TestServer::start().await.unwrap();
    server.send_code("u", "13800138000").await.unwrap();
    let code = server.last_code("13800138000").unwrap();
    let body = format!("mobile=13800138000&verify={code}&nickname=%ff%fe%80abc");
    let bound = server.post("/user/appmobilebind?application_client_type=h5&uuid=u", &body).await.unwrap();
    assert_eq!((bound.code(), bound.field("nickname")), (Some(0), "\u{fffd}\u{fffd}\u{fffd}abc"));
}

#[tokio::test]
async fn a_request_id_is_taken_over_where_it_is_harmless() {
    let server = TestServer::start().await.unwrap();
    for (sent, kept) in [("abc-123_X.y", true), ("a b", false), (&"x".repeat(65), false)] {
        let request = server.client().post(server.url("/user/logout")).header("x-request-id", sent);
        let answer = server.send(request).await.unwrap();
        assert_eq!(answer.headers["x-request-id"] == sent, kept, "{sent}");
    }
}

#[tokio::test]
async fn cors_is_for_configured_origins() {
    let set = |settings: &mut mobile_bind::Settings| settings.cors.origins = vec!["https://shop.example".to_owned()];
    let server = TestServer::start_with(set).await.unwrap();
    let preflight = |origin: &'static str| {
        let url = server.url("/user/appmobilebind");
        let request = server.client().request(Method::OPTIONS, url).header("origin", origin);
        server.send(
            request
                .header("access-control-request-method", "POST")
                .header("access-control-request-headers", "content-type"),
        )
    };
    let allowed = preflight("https://shop.example").await.unwrap();
    assert_eq!(allowed.headers["access-control-allow-origin"], "https://shop.example");
    let refused = preflight("https://evil.example").await.unwrap();
    assert!(!refused.headers.contains_key("access-control-allow-origin"));
}

#[tokio::test]
async fn health_document_and_explorer() {
    let server = TestServer::start().await.unwrap();
    let get = |path: &'static str| server.request(Method::GET, path, None, "");
    assert_eq!(get("/healthz").await.unwrap().status, 200);
    assert_eq!(get("/readyz").await.unwrap().status, 200);
    let document = get("/openapi.json").await.unwrap();
    assert!(document.body["openapi"].as_str().unwrap().starts_with("3."));
    let explorer = get("/docs").await.unwrap();
    assert_eq!(explorer.status, 200);
    let outside = regex::Regex::new(r#"(?:src|href)\s*=\s*["'](?:https?:)?//"#).unwrap();
    assert!(!outside.is_match(&explorer.text), "the explorer loads nothing from elsewhere");
}

#[tokio::test]
async fn public_keys_are_published_where_there_are_any() {
    let secret = TestServer::start().await.unwrap();
    let none = secret.request(Method::GET, "/.well-known/jwks.json", None, "").await.unwrap();
    assert_eq!((none.status, none.code()), (404, Some(-1000)));
    let set = |settings: &mut mobile_bind::Settings| {
        settings.tokens.algorithm = mobile_bind::settings::TokenAlgorithm::EdDsa;
    };
    let public = TestServer::start_with(set).await.unwrap();
    let keys = public.request(Method::GET, "/.well-known/jwks.json", None, "").await.unwrap();
    assert_eq!(keys.body["keys"][0]["alg"], "EdDSA");
    public.send_code("u", "13800138000").await.unwrap();
    let code = public.last_code("13800138000").unwrap();
    let body = format!("mobile=13800138000&verify={code}");
    let bound = public.post("/user/appmobilebind?application_client_type=h5&uuid=u", &body).await.unwrap();
    let found = public.post("/user/tokenuserinfo", &format!("token={}", bound.field("token"))).await.unwrap();
    assert_eq!(found.code(), Some(0));
}

#[tokio::test]
async fn opaque_tokens_have_32_hexadecimal_digits() {
    let set = |settings: &mut mobile_bind::Settings| {
        settings.tokens.format = mobile_bind::settings::TokenFormat::Opaque;
    };
    let server = TestServer::start_with(set).await.unwrap();
    server.send_code("u", "13800138000").await.unwrap();
    let code = server.last_code("13800138000").unwrap();
    let body = format!("mobile=13800138000&verify={code}");
    let bound = server.post("/user/appmobilebind?application_client_type=h5&uuid=u", &body).await.unwrap();
    let token = bound.field("token").to_owned();
    assert!(token.len() == 32 && token.bytes().all(|byte| byte.is_ascii_hexdigit()));
    let server = server.restart().await.unwrap();
    let found = server.post("/user/tokenuserinfo", &format!("token={token}")).await.unwrap();
    assert_eq!(found.code(), Some(0));
}
