//! Where codes and messages must not behave as ShopXO's: one test for each line of the contract's list.

#![expect(clippy::unwrap_used, reason = "a test may panic")]

use std::time::Duration;

use mobile_bind::settings::LimitMode;
use mobile_bind_tests::harness::{Answer, TestServer};
use reqwest::Method;
use serde_json::{Value, json};

const MOBILE: &str = "13800138000";

async fn bind(server: &TestServer, uuid: &str, verify: &str) -> Answer {
    bind_as(server, uuid, verify, "oGOLD1").await
}

async fn bind_as(server: &TestServer, uuid: &str, verify: &str, openid: &str) -> Answer {
    let path = format!("/user/appmobilebind?application_client_type=weixin&uuid={uuid}");
    server.post(&path, &format!("mobile={MOBILE}&verify={verify}&weixin_openid={openid}")).await.unwrap()
}

async fn server_with_code(uuid: &str) -> (TestServer, String) {
    let server = TestServer::start().await.unwrap();
    assert_eq!(server.send_code(uuid, MOBILE).await.unwrap().code(), Some(0));
    let code = server.last_code(MOBILE).unwrap();
    (server, code)
}

/// A code of the same length that is another one.
fn wrong(code: &str) -> &'static str {
    if code == "0000" { "1111" } else { "0000" }
}

#[tokio::test]
async fn codes_are_compared_exactly() {
    let (server, code) = server_with_code("u").await;
    let number: u32 = code.parse().unwrap();
    let loose = [format!("0{code}"), format!("%2B{code}"), format!("{:e}", f64::from(number)), format!("{code}.0")];
    for verify in loose {
        assert_eq!(bind(&server, "u", &verify).await.code(), Some(-11), "{verify}");
    }
    // ASCII white space around it is trimmed.
    assert_eq!(bind(&server, "u", &format!("+%09{code}%0A")).await.code(), Some(0));
}

#[tokio::test]
async fn a_json_integer_counts_where_it_prints_as_the_code() {
    let tries = |code: &str| -> Vec<(Value, i64)> {
        let number: u64 = code.parse().unwrap();
        vec![
            (json!(true), -11),
            (json!(number as f64), -11),
            (json!([code]), -1),
            (json!({ "a": code }), -1),
            (json!(1e30), -11),
            (json!(number), 0),
        ]
    };
    let (server, code) = server_with_code("u").await;
    for (verify, expected) in tries(&code) {
        let body =
            json!({ "mobile": MOBILE, "verify": verify, "weixin_openid": "oJ", "application_client_type": "weixin" });
        let answer =
            server.request(Method::POST, "/user/appmobilebind?uuid=u", Some("application/json"), body.to_string());
        assert_eq!(answer.await.unwrap().code(), Some(expected), "{verify}");
    }
}

#[tokio::test]
async fn codes_have_the_configured_length_and_all_digits() {
    for length in 4..=8 {
        let settings = |settings: &mut mobile_bind::Settings| {
            settings.code.length = length;
            settings.limits.mode = LimitMode::Off;
        };
        let server = TestServer::start_with(settings).await.unwrap();
        server.send_code("u", MOBILE).await.unwrap();
        let code = server.last_code(MOBILE).unwrap();
        assert_eq!(code.len(), usize::from(length));
        assert_eq!(bind(&server, "u", &code).await.code(), Some(0));
    }
}

#[tokio::test]
async fn five_wrong_tries_end_a_code_and_the_interval_stands() {
    let (server, code) = server_with_code("u").await;
    for _ in 0..5 {
        assert_eq!(bind(&server, "u", wrong(&code)).await.code(), Some(-11));
    }
    assert_eq!(bind(&server, "u", &code).await.code(), Some(-10));
    let too_soon = server.send_code("u", MOBILE).await.unwrap();
    assert_eq!((too_soon.status, too_soon.code()), (200, Some(-100)));
    let wait: u64 = too_soon.headers["retry-after"].to_str().unwrap().parse().unwrap();
    server.clock.advance(Duration::from_secs(wait - 1));
    assert_eq!(server.send_code("u", MOBILE).await.unwrap().code(), Some(-100));
    server.clock.advance(Duration::from_secs(1));
    assert_eq!(server.send_code("u", MOBILE).await.unwrap().code(), Some(0));
    assert_eq!(bind(&server, "u", &server.last_code(MOBILE).unwrap()).await.code(), Some(0));
}

#[tokio::test]
async fn concurrent_guesses_never_exceed_the_tries() {
    let (server, code) = server_with_code("u").await;
    let guesses = (0..32).map(|guess| {
        let verify = if guess == 31 { code.clone() } else { wrong(&code).to_owned() };
        let server = &server;
        async move { bind(server, "u", &verify).await.code() }
    });
    let outcomes = join_all(guesses).await;
    let count = |code| outcomes.iter().filter(|&&outcome| outcome == Some(code)).count();
    assert!(count(-11) <= 5 && count(0) <= 1 && count(-11) + count(-10) + count(0) == 32, "{outcomes:?}");
    assert!(count(0) == 1 || count(-11) == 5, "{outcomes:?}");
}

async fn join_all<F: Future>(futures: impl Iterator<Item = F>) -> Vec<F::Output> {
    let mut pending: Vec<_> = futures.map(Box::pin).collect();
    let mut outputs: Vec<Option<F::Output>> = pending.iter().map(|_| None).collect();
    std::future::poll_fn(|context| {
        for (future, output) in pending.iter_mut().zip(&mut outputs) {
            if output.is_none()
                && let std::task::Poll::Ready(value) = future.as_mut().poll(context)
            {
                *output = Some(value);
            }
        }
        if outputs.iter().all(Option::is_some) { std::task::Poll::Ready(()) } else { std::task::Poll::Pending }
    })
    .await;
    outputs.into_iter().flatten().collect()
}

#[tokio::test]
async fn failures_per_number_are_capped_and_a_new_code_does_not_reset_them() {
    let settings = |settings: &mut mobile_bind::Settings| {
        settings.limits.failures_on_number = vec!["7/1d".parse().unwrap()];
        settings.limits.keep_half_for_owners = false;
    };
    let server = TestServer::start_with(settings).await.unwrap();
    // The new code comes with the wrong tries of the one before, but for the last.
    for failures in [5, 1, 1] {
        server.send_code("u", MOBILE).await.unwrap();
        let code = server.last_code(MOBILE).unwrap();
        for _ in 0..failures {
            assert_eq!(bind(&server, "u", wrong(&code)).await.code(), Some(-11));
        }
        server.clock.advance(Duration::from_secs(60));
    }
    server.send_code("u", MOBILE).await.unwrap();
    // Even the right code has to wait now, and is told how long.
    let code = server.last_code(MOBILE).unwrap();
    let refused = bind(&server, "u", &code).await;
    assert_eq!(refused.code(), Some(-100));
    assert!(refused.headers.contains_key("retry-after"));
    server.clock.advance(Duration::from_secs(86_400));
    server.send_code("u", MOBILE).await.unwrap();
    assert_eq!(bind(&server, "u", &server.last_code(MOBILE).unwrap()).await.code(), Some(0));
}

#[tokio::test]
async fn nobody_kills_the_code_of_another_client() {
    let (server, code) = server_with_code("owner").await;
    for _ in 0..20 {
        assert_eq!(bind(&server, "stranger", wrong(&code)).await.code(), Some(-10));
    }
    // Not even with the right code; and without a uuid it is the address that counts.
    assert_eq!(bind(&server, "stranger", &code).await.code(), Some(-10));
    assert_eq!(bind(&server, "", &code).await.code(), Some(-10));
    assert_eq!(bind(&server, "owner", &code).await.code(), Some(0));
}

#[tokio::test]
async fn a_stranger_who_tries_too_often_waits_alone() {
    let settings = |settings: &mut mobile_bind::Settings| {
        settings.limits.failures_by_client = vec!["3/1h".parse().unwrap()];
    };
    let server = TestServer::start_with(settings).await.unwrap();
    server.send_code("owner", MOBILE).await.unwrap();
    for _ in 0..3 {
        assert_eq!(bind(&server, "stranger", "0000").await.code(), Some(-10));
    }
    let refused = bind(&server, "stranger", "0000").await;
    assert_eq!((refused.code(), refused.headers.contains_key("retry-after")), (Some(-100), true));
    assert_eq!(bind(&server, "owner", &server.last_code(MOBILE).unwrap()).await.code(), Some(0));
}

#[tokio::test]
async fn sending_is_limited_by_number_client_address_account_and_in_all() {
    type Set = fn(&mut mobile_bind::settings::Limits);
    let cases: [(&str, Set); 5] = [
        ("number", |limits| limits.sends_to_number = vec!["2/1d".parse().unwrap()]),
        ("installation", |limits| limits.sends_by_installation = vec!["2/1h".parse().unwrap()]),
        ("address", |limits| limits.sends_from_address = vec!["2/1h".parse().unwrap()]),
        ("account", |limits| limits.sends_of_account = vec!["2/1d".parse().unwrap()]),
        ("all", |limits| limits.sends = vec!["2/1m".parse().unwrap()]),
    ];
    for (name, set) in cases {
        for (mode, third) in [(LimitMode::Enforce, -100), (LimitMode::Shadow, 0), (LimitMode::Off, 0)] {
            let server = TestServer::start_with(|settings| {
                settings.code.send_interval_s = 1;
                settings.limits.keep_half_for_owners = false;
                set(&mut settings.limits);
            })
            .await
            .unwrap();
            let token = logged_in(&server).await;
            // Its own sends are over: what counts starts afresh.
            server.clock.advance(Duration::from_secs(100_000));
            let server = restart_in_mode(server, mode).await;
            let mut codes = Vec::new();
            for index in 0..3 {
                let (uuid, mobile) = match name {
                    "number" => (format!("u{index}"), MOBILE.to_owned()),
                    "installation" => ("u".to_owned(), format!("1390013900{index}")),
                    _ => (format!("u{index}"), format!("1390013900{index}")),
                };
                let path = format!("/user/appmobilebindverifysend?uuid={uuid}");
                let body = match name {
                    "account" => format!("mobile={mobile}&token={token}"),
                    _ => format!("mobile={mobile}"),
                };
                let answer = server.post(&path, &body).await.unwrap();
                assert!(answer.code() == Some(0) || answer.headers.contains_key("retry-after"));
                codes.push(answer.code().unwrap());
                server.clock.advance(Duration::from_secs(2));
            }
            assert_eq!(codes, [0, 0, third], "{name} {mode:?}");
        }
    }
}

async fn restart_in_mode(mut server: TestServer, mode: LimitMode) -> TestServer {
    server.settings.limits.mode = mode;
    server.restart().await.unwrap()
}

async fn logged_in(server: &TestServer) -> String {
    server.send_code("first", "13700137000").await.unwrap();
    let code = server.last_code("13700137000").unwrap();
    let path = "/user/appmobilebind?application_client_type=h5&uuid=first";
    let bound = server.post(path, &format!("mobile=13700137000&verify={code}")).await.unwrap();
    assert_eq!(bound.code(), Some(0));
    bound.field("token").to_owned()
}

#[tokio::test]
async fn the_interval_stands_without_quotas_whoever_asks() {
    let (server, code) = server_with_code("u").await;
    assert_eq!(server.send_code("v", MOBILE).await.unwrap().code(), Some(-100));
    assert_eq!(bind(&server, "u", &code).await.code(), Some(0));
    assert_eq!(server.send_code("u", MOBILE).await.unwrap().code(), Some(-100));
}

#[tokio::test]
async fn a_refused_message_is_as_if_never_asked_for() {
    use mobile_bind_sms::Behaviour;
    let (server, code) = server_with_code("u").await;
    server.clock.advance(Duration::from_secs(60));
    server.app.sms.set_behaviour(MOBILE, Behaviour::Refuse);
    for _ in 0..2 {
        let refused = server.send_code("u", MOBILE).await.unwrap();
        assert_eq!((refused.status, refused.code()), (200, Some(-100)));
    }
    // The code before is good still, and a message may leave at once.
    server.app.sms.set_behaviour(MOBILE, Behaviour::Deliver);
    assert_eq!(bind(&server, "u", wrong(&code)).await.code(), Some(-11));
    assert_eq!(bind(&server, "u", &code).await.code(), Some(0));
    assert_eq!(server.send_code("u", MOBILE).await.unwrap().code(), Some(0));
}

#[tokio::test]
async fn the_very_same_bind_is_answered_again_for_ten_seconds() {
    let (server, code) = server_with_code("u").await;
    let first = bind(&server, "u", &code).await;
    let again = bind(&server, "u", &code).await;
    assert_eq!((first.code(), &first.body), (Some(0), &again.body));
    assert_eq!(bind_as(&server, "u", &code, "oOTHER").await.code(), Some(-10));
    assert_eq!(bind(&server, "v", &code).await.code(), Some(-10));
    server.clock.advance(Duration::from_secs(10));
    assert_eq!(bind(&server, "u", &code).await.code(), Some(-10));
}

#[tokio::test]
async fn the_very_same_bind_twice_at_once_has_one_answer() {
    for opaque in [false, true] {
        let server = TestServer::start_with(|settings| {
            if opaque {
                settings.tokens.format = mobile_bind::settings::TokenFormat::Opaque;
            }
        })
        .await
        .unwrap();
        server.send_code("u", MOBILE).await.unwrap();
        let code = server.last_code(MOBILE).unwrap();
        let answers = join_all((0..4).map(|_| bind(&server, "u", &code))).await;
        for answer in &answers {
            assert_eq!((answer.code(), &answer.body), (Some(0), &answers[0].body));
        }
    }
}
