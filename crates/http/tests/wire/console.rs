//! The operators' console: who may see it, and what it shows.

use std::sync::Arc;

use mobile_bind_http::{Console, ConsoleParts, Operators, Scrape};
use poem::test::{TestClient, TestResponse};
use serde_json::Value;

use crate::shop::{Client, Shop, assert_standing_headers};

pub(crate) const TOKEN: &str = "mbc_of_alice";

pub(crate) struct Alice;

impl Operators for Alice {
    fn named(&self, token: &str) -> Option<String> {
        (token == TOKEN).then(|| "alice".to_owned())
    }
}

/// What was measured, more every time that it is asked for.
#[derive(Default)]
pub(crate) struct Measured(std::sync::atomic::AtomicU64);

impl Scrape for Measured {
    fn render(&self) -> String {
        let count = self.0.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        format!(
            "mobile_bind_sends_total{{client_type=\"h5\",outcome=\"done\"}} {count}\n\
             mobile_bind_binds_total{{client_type=\"h5\",outcome=\"code_wrong\"}} {count}\n\
             mobile_bind_sms_provider_health{{provider=\"main\"}} 1\n"
        )
    }
}

fn console() -> (Console, Arc<Shop>) {
    let shop = Arc::new(Shop::default());
    let service = shop.parts().service;
    (Console::new(ConsoleParts { service, scrape: Arc::new(Measured::default()), operators: Arc::new(Alice) }), shop)
}

fn client(console: Console) -> Client {
    TestClient::new(console.endpoint())
}

async fn overview(client: &Client, authorization: Option<&str>) -> TestResponse {
    let request = client.get("/console/api/overview");
    match authorization {
        Some(authorization) => request.header("authorization", authorization).send().await,
        None => request.send().await,
    }
}

pub(crate) async fn body(response: TestResponse) -> Value {
    serde_json::from_str(&response.0.into_body().into_string().await.unwrap()).unwrap()
}

#[tokio::test]
async fn the_page_is_there_for_everybody_and_holds_nothing() {
    let client = client(console().0);
    for path in ["/", "/console"] {
        let response = client.get(path).send().await;
        response.assert_status_is_ok();
        assert_standing_headers(&response);
        let policy = response.0.headers()["content-security-policy"].to_str().unwrap().to_owned();
        assert!(policy.starts_with("default-src 'none';") && !policy.contains("unsafe"), "{policy}");
    }
    client.get("/pages/console.js").send().await.assert_status_is_ok();
    assert_eq!(client.get("/user/appmobilebind").send().await.0.status(), 404);
}

#[tokio::test]
async fn only_an_operators_token_lets_in() {
    let client = client(console().0);
    for authorization in [None, Some("Bearer"), Some("Bearer mbc_of_bob"), Some("Basic mbc_of_alice"), Some(TOKEN)] {
        let response = overview(&client, authorization).await;
        assert_eq!(response.0.status(), 401, "{authorization:?}");
        response.assert_header("www-authenticate", "Bearer");
        assert_standing_headers(&response);
        assert_eq!(body(response).await, serde_json::json!({ "error": "token_wrong" }));
    }
    let response = overview(&client, Some("bearer mbc_of_alice")).await;
    response.assert_status_is_ok();
    assert_standing_headers(&response);
}

#[tokio::test]
async fn tokens_cannot_be_guessed_at_length() {
    let (console, shop) = console();
    let client = client(console);
    for _ in 0..10 {
        assert_eq!(overview(&client, Some("Bearer wrong")).await.0.status(), 401);
    }
    // The right one has to wait as well, or guessing would go on.
    let response = overview(&client, Some("Bearer mbc_of_alice")).await;
    assert_eq!(response.0.status(), 429);
    response.assert_header("retry-after", "60");
    mobile_bind_http::Development::advance_clock(shop.as_ref(), std::time::Duration::from_secs(60));
    overview(&client, Some("Bearer mbc_of_alice")).await.assert_status_is_ok();
}

#[tokio::test]
async fn asking_without_a_token_is_no_guess() {
    let client = client(console().0);
    for _ in 0..20 {
        assert_eq!(overview(&client, None).await.0.status(), 401);
    }
    overview(&client, Some("Bearer mbc_of_alice")).await.assert_status_is_ok();
}

#[tokio::test]
async fn the_overview_tells_what_came_since_it_was_last_kept() {
    let (console, _shop) = console();
    let recorder = console.recorder();
    let client = client(console);
    recorder.record();
    recorder.record();
    let overview = body(overview(&client, Some("Bearer mbc_of_alice")).await).await;
    assert_eq!(overview["operator"], "alice");
    assert_eq!((&overview["totals"]["sent"], &overview["step"]), (&2.into(), &10.into()));
    let frames = overview["frames"].as_array().unwrap();
    assert_eq!(frames.len(), 2);
    for frame in frames {
        assert_eq!((&frame["sent"], &frame["refused"]["bind:code_wrong"]), (&1.into(), &1.into()));
    }
    assert_eq!(overview["providers"]["main"]["health"], 1.0);
    assert_eq!(overview["service"]["store_ready"], true);
}
