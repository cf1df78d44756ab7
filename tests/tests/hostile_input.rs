//! Rubbish: whatever bytes come, the answer is the envelope, never a 5xx, and nothing is stored.

use mobile_bind_tests::harness::TestServer;
use proptest::prelude::*;
use reqwest::Method;
use tokio::runtime::Runtime;

const ROUTES: [&str; 5] =
    ["appmobilebind", "appmobilebindverifysend", "appmobilebindverifystatus", "tokenuserinfo", "logout"];
const CONTENT_TYPES: [Option<&str>; 6] = [
    Some("application/json"),
    Some("application/x-www-form-urlencoded"),
    Some("multipart/form-data; boundary=x"),
    Some("multipart/form-data"),
    Some("text/plain"),
    None,
];

/// Bytes that look a little like what is expected, so that they get further than the first check.
fn body() -> impl Strategy<Value = Vec<u8>> {
    let names =
        prop::sample::select(vec!["mobile", "verify", "nickname", "token", "uuid", "lang", "gender", "referrer"]);
    let pair = (names, "\\PC{0,40}");
    let pairs = prop::collection::vec(pair, 0..6);
    prop_oneof![
        prop::collection::vec(any::<u8>(), 0..400),
        pairs.clone().prop_map(|pairs| {
            pairs.iter().map(|(name, value)| format!("{name}={value}")).collect::<Vec<_>>().join("&").into_bytes()
        }),
        pairs.clone().prop_map(|pairs| {
            let members: Vec<_> = pairs.iter().map(|(name, value)| format!("\"{name}\":{value:?}")).collect();
            format!("{{{}}}", members.join(",")).into_bytes()
        }),
        pairs.prop_map(|pairs| {
            let part = |(name, value): &(&str, String)| {
                format!("--x\r\nContent-Disposition: form-data; name=\"{name}\"\r\n\r\n{value}\r\n")
            };
            pairs.iter().map(part).collect::<String>().into_bytes()
        }),
        (0_usize..3000).prop_map(|depth| format!("{{\"mobile\":{}", "[".repeat(depth)).into_bytes()),
    ]
}

#[test]
fn rubbish_is_answered_and_stores_nothing() {
    let runtime = Runtime::new().unwrap();
    let server = runtime.block_on(TestServer::start()).unwrap();
    let case = (prop::sample::select(&ROUTES[..]), prop::sample::select(&CONTENT_TYPES[..]), body(), "[ -~]{0,60}");
    let result = proptest::test_runner::TestRunner::default().run(&case, |(route, content_type, body, query)| {
        let query: String = query.chars().filter(|character| !" #<>\"`{}".contains(*character)).collect();
        let path = format!("/api.php?s=user/{route}&{query}");
        let answer = runtime.block_on(server.request(Method::POST, &path, content_type, body)).unwrap();
        prop_assert!(answer.status < 500, "{} {}", answer.status, answer.text);
        prop_assert!(answer.code().is_some_and(|code| code != 0), "{}", answer.text);
        prop_assert_eq!(&answer.body["data"], &serde_json::json!([]));
        Ok(())
    });
    result.unwrap();
    let stored = runtime.block_on(server.app.service.store.accounts(None, 10)).unwrap();
    assert!(stored.is_empty() && server.app.sms.messages(None).is_empty());
    runtime.block_on(server.stop()).unwrap();
}
