//! What Prometheus finds, and whether the dashboard and the alerts ask for it.

#![expect(clippy::unwrap_used, reason = "a test may panic")]

use std::collections::BTreeSet;
use std::sync::Arc;

use mobile_bind::settings::{LimitMode, ProofSetting, SmsProvider, SmsSenderName};
use mobile_bind_platforms::fake::Play as FakePlatform;
use mobile_bind_sms::fake_provider::{FakeAccount, FakeMessage, FakeProvider, Play};
use mobile_bind_sms::{Behaviour, Kind, Secret};
use mobile_bind_tests::contract::StoreUnderTest;
use mobile_bind_tests::contract::postgres::PostgresSchema;
use mobile_bind_tests::harness::{ManualClock, TestServer};
use mobile_bind_tests::shop::Shop;
use regex::Regex;
use serde_json::Value;
use tokio::sync::{Mutex, mpsc};

const MOBILE: &str = "13800138000";
const OPENID: &str = "oSECRETOPENID";

/// What a node tells of itself stands in gauges that this process has once: each test has them for itself.
static GAUGES: Mutex<()> = Mutex::const_new(());

/// A scrape after a bind, a wrong code, a refused message and a log-out; and the token that there was.
async fn scrape() -> (String, String) {
    let set = |settings: &mut mobile_bind::Settings| {
        settings.limits.mode = LimitMode::Off;
        settings.metrics.listen = "127.0.0.1:0".to_owned();
    };
    let server = TestServer::start_with(set).await.unwrap();
    server.app.sms.set_behaviour("13900139000", Behaviour::Refuse);
    server.send_code("uSECRETUUID", "13900139000").await.unwrap();
    server.send_code("uSECRETUUID", MOBILE).await.unwrap();
    let code = server.last_code(MOBILE).unwrap();
    let path = format!("/user/appmobilebind?application_client_type=weixin&uuid=uSECRETUUID&mobile={MOBILE}");
    server.post(&path, "verify=00000&weixin_openid=x").await.unwrap();
    let bound = server.post(&path, &format!("verify={code}&weixin_openid={OPENID}")).await.unwrap();
    let token = bound.field("token").to_owned();
    server.post("/user/logout", &format!("token={token}")).await.unwrap();
    server.post(&format!("/{MOBILE}"), "").await.unwrap();
    let beside = server.send(server.client().get(server.url("/metrics"))).await.unwrap();
    assert_eq!(beside.status, 404, "metrics with an address of their own are nowhere else");
    let url = format!("http://{}/metrics", server.app.metrics_address.unwrap());
    let scraped = server.send(server.client().get(url)).await.unwrap();
    assert_eq!(scraped.headers["content-type"], "text/plain; version=0.0.4; charset=utf-8");
    server.stop().await.unwrap();
    (scraped.text, token)
}

#[tokio::test]
async fn a_scrape_counts_what_was_done_and_names_nobody() {
    let _alone = GAUGES.lock().await;
    let (text, token) = scrape().await;
    // Other tests of this process count as well: no number of events is certain.
    let is_counted = |line: &str| {
        let found = text.lines().find_map(|found| found.strip_prefix(line)?.trim().parse::<f64>().ok());
        assert!(found.is_some_and(|count| count >= 1.0), "{line} in\n{text}");
    };
    is_counted("mobile_bind_sends_total{client_type=\"pc\",outcome=\"sms_refused\"}");
    is_counted("mobile_bind_sends_total{client_type=\"pc\",outcome=\"done\"}");
    is_counted("mobile_bind_binds_total{client_type=\"weixin\",outcome=\"code_wrong\"}");
    is_counted("mobile_bind_binds_total{client_type=\"weixin\",outcome=\"done\"}");
    is_counted("mobile_bind_sessions_opened_total{client_type=\"weixin\"}");
    is_counted("mobile_bind_sessions_ended_total");
    is_counted("mobile_bind_http_requests_total{route=\"/user/appmobilebind\",status=\"200\",code=\"-11\"}");
    is_counted("mobile_bind_http_requests_total{route=\"unknown\",status=\"404\",code=\"-1000\"}");
    is_counted("mobile_bind_http_request_duration_seconds_bucket{route=\"/user/appmobilebind\",le=\"+Inf\"}");
    is_counted("mobile_bind_store_group_size_count");
    is_counted("mobile_bind_store_group_duration_seconds_count");
    is_counted("mobile_bind_store_disk_bytes");
    is_counted("mobile_bind_store_ready");
    is_counted("mobile_bind_platform_proof_trust");
    for secret in [MOBILE, "13900139000", OPENID, "uSECRETUUID", token.as_str()] {
        assert!(!text.contains(secret), "a secret is in a label");
    }
}

#[tokio::test]
async fn development_shows_them_beside_everything_else() {
    let _alone = GAUGES.lock().await;
    let server = TestServer::start().await.unwrap();
    let scraped = server.send(server.client().get(server.url("/metrics"))).await.unwrap();
    assert_eq!((scraped.status, server.app.metrics_address), (200, None));
    assert!(scraped.text.contains("\nmobile_bind_store_ready 1\n"), "{}", scraped.text);
}

/// A scrape of a node over PostgreSQL.
async fn scrape_over_postgres() -> String {
    let schema = PostgresSchema::empty().unwrap();
    schema.prepare().await.unwrap();
    scrape_over(&schema.address()).await
}

/// A scrape of a node over that store, while no request waits for a connection.
async fn scrape_over(store: &str) -> String {
    let server = TestServer::start_with(|settings| store.clone_into(&mut settings.store)).await.unwrap();
    let mut text = String::new();
    // A chore of the node's may be waiting for a connection at one moment; it is not at every one.
    for _ in 0..100 {
        text = server.send(server.client().get(server.url("/metrics"))).await.unwrap().text;
        if text.contains("\nmobile_bind_store_pool_waiting 0\n") {
            break;
        }
    }
    server.stop().await.unwrap();
    text
}

#[tokio::test]
async fn a_node_tells_of_its_database() {
    let _alone = GAUGES.lock().await;
    let text = scrape_over_postgres().await;
    for line in [
        "mobile_bind_store_pool_connections{state=\"limit\"} 16",
        "mobile_bind_store_pool_waiting 0",
        "mobile_bind_store_standbys{mode=\"synchronous\"} 0",
        "mobile_bind_store_replication_lag_bytes 0",
    ] {
        assert!(text.lines().any(|found| found == line), "{line} in\n{text}");
    }
    assert!(text.contains("mobile_bind_node_info{store=\"postgres\",node=\""), "{text}");
}

#[tokio::test]
async fn a_node_tells_of_a_shops_database() {
    let _alone = GAUGES.lock().await;
    let shop = Shop::open().await.unwrap();
    let text = scrape_over(&shop.store()).await;
    for line in ["mobile_bind_store_pool_connections{state=\"limit\"} 16", "mobile_bind_store_pool_waiting 0"] {
        assert!(text.lines().any(|found| found == line), "{line} in\n{text}");
    }
    assert!(text.contains("mobile_bind_node_info{store=\"shopxo\",node=\""), "{text}");
}

/// A message centre, and what reaches the phones.
async fn message_centre() -> (FakeProvider, mpsc::UnboundedReceiver<FakeMessage>) {
    let (sent, phones) = mpsc::unbounded_channel();
    let account = FakeAccount { kind: Kind::Smpp, account: "id".to_owned(), secret: Secret::new("secret".to_owned()) };
    let deliver = Box::new(move |message: &FakeMessage| drop(sent.send(message.clone())));
    let (listen, clock) = (([127, 0, 0, 1], 0).into(), Arc::new(ManualClock::default()));
    (FakeProvider::start(&account, listen, Play::Accept, clock, Some(deliver)).await.unwrap(), phones)
}

/// A scrape after a message by a provider, its receipt, and a bind by its code.
async fn scrape_of_messages() -> String {
    let (centre, mut phones) = message_centre().await;
    let provider = SmsProvider {
        kind: "smpp".to_owned(),
        url: centre.url(),
        account: "id".to_owned(),
        secret: "secret".to_owned().into(),
        from: "shop".to_owned(),
        price: "0.045".to_owned(),
        ..SmsProvider::default()
    };
    let set = |settings: &mut mobile_bind::Settings| {
        settings.limits.mode = LimitMode::Off;
        settings.sms.sender = SmsSenderName::Providers;
        settings.sms.providers = [("centre".to_owned(), provider)].into();
    };
    let server = TestServer::start_with(set).await.unwrap();
    server.send_code("u", MOBILE).await.unwrap();
    let text = phones.recv().await.unwrap().text;
    let code = Regex::new(r"\d{4,}").unwrap().find(&text).unwrap().as_str().to_owned();
    let path = format!("/user/appmobilebind?application_client_type=weixin&uuid=u&mobile={MOBILE}");
    let bound = server.post(&path, &format!("verify={code}&weixin_openid={OPENID}")).await.unwrap();
    assert_eq!(bound.code(), Some(0), "{}", bound.text);
    // It is counted beside the answers.
    let scraped = loop {
        let scraped = server.send(server.client().get(server.url("/metrics"))).await.unwrap().text;
        if ["delivered", "verified"].iter().all(|state| scraped.contains(&of_centre(MESSAGES, state))) {
            break scraped;
        }
        tokio::task::yield_now().await;
    };
    server.stop().await.unwrap();
    scraped
}

const MESSAGES: &str = "mobile_bind_sms_messages_total";

fn of_centre(metric: &str, state: &str) -> String {
    format!("\n{metric}{{state=\"{state}\",provider=\"centre\",country=\"86\",purpose=\"bind\"}} ")
}

#[tokio::test]
async fn messages_are_counted_by_how_far_they_came_and_what_they_cost() {
    let _alone = GAUGES.lock().await;
    let text = scrape_of_messages().await;
    let value = |line: &str| {
        let found = text.lines().find_map(|found| found.strip_prefix(line)?.trim().parse::<u64>().ok());
        found.unwrap_or_else(|| panic!("{line} in\n{text}"))
    };
    let segments = value("mobile_bind_sms_segments_total{provider=\"centre\",country=\"86\"}");
    let cost = value("mobile_bind_sms_cost_micros_total{provider=\"centre\",country=\"86\"}");
    assert!(segments >= 1);
    assert_eq!(cost, 45_000 * segments);
    assert_eq!(value("mobile_bind_sms_provider_health{provider=\"centre\"}"), 1);
    // A phone may be off for minutes.
    let delivery = "mobile_bind_sms_delivery_duration_seconds_bucket{provider=\"centre\",country=\"86\",le=\"600\"}";
    assert!(value(delivery) >= 1);
    assert!(!text.contains(MOBILE), "a number is in a label");
}

/// A scrape after log-ins that two platforms took, refused and did not answer.
async fn scrape_of_platforms() -> String {
    let set = |settings: &mut mobile_bind::Settings| {
        settings.limits.mode = LimitMode::Off;
        settings.platform_proof = ProofSetting::Required;
    };
    let server = TestServer::start_with(set).await.unwrap();
    let log_in = async |code: &str| {
        let path = "/user/appminiuserauth?application_client_type=weixin&uuid=uSECRETUUID";
        server.post(path, &format!("authcode={code}")).await.unwrap().code()
    };
    let fake = server.app.platforms.as_ref().unwrap();
    assert_eq!((log_in("SECRETUSER.1").await, log_in("SECRETUSER.1").await), (Some(0), Some(-400)));
    fake.play(FakePlatform::Crash);
    assert_eq!(log_in("SECRETUSER.2").await, Some(-100));
    let bind = format!("/user/appmobilebind?application_client_type=weixin&uuid=another&mobile={MOBILE}");
    server.send_code("another", MOBILE).await.unwrap();
    let code = server.last_code(MOBILE).unwrap();
    let unproved = server.post(&bind, &format!("verify={code}&weixin_openid=o-weixin-SECRETUSER")).await.unwrap();
    assert_eq!(unproved.code(), Some(-400), "{}", unproved.text);
    let text = server.send(server.client().get(server.url("/metrics"))).await.unwrap().text;
    server.stop().await.unwrap();
    text
}

const PLATFORMS: &str = "mobile_bind_platform_requests_total";

#[tokio::test]
async fn platforms_are_counted_by_what_became_of_what_they_were_asked() {
    let _alone = GAUGES.lock().await;
    let text = scrape_of_platforms().await;
    let value = |line: &str| {
        let found = text.lines().find_map(|found| found.strip_prefix(line)?.trim().parse::<f64>().ok());
        found.unwrap_or_else(|| panic!("{line} in\n{text}"))
    };
    let of = |platform: &str, outcome: &str| {
        value(&format!("{PLATFORMS}{{platform=\"{platform}\",operation=\"log_in\",outcome=\"{outcome}\"}}"))
    };
    for outcome in ["answered", "stale", "unavailable"] {
        assert!(of("weixin", outcome) >= 1.0, "{outcome}");
    }
    // What no platform has said yet is there all the same: the first is a rise.
    for platform in ["weixin", "alipay", "baidu", "toutiao", "qq", "kuaishou"] {
        assert!(of(platform, "app_refused") >= 0.0, "{platform}");
    }
    assert!(value("mobile_bind_platform_request_duration_seconds_bucket{platform=\"weixin\",le=\"+Inf\"}") >= 2.0);
    assert!(value("mobile_bind_binds_total{client_type=\"weixin\",outcome=\"identity_unproved\"}") >= 1.0);
    for secret in ["SECRETUSER", "uSECRETUUID", MOBILE] {
        assert!(!text.contains(secret), "a secret is in a label");
    }
}

/// The outcomes that queries ask for by name are some that are counted: a misspelt one would never raise an alarm.
#[tokio::test]
async fn alerts_name_outcomes_that_there_are() {
    let _alone = GAUGES.lock().await;
    let text = scrape_of_platforms().await;
    let alerts = include_str!("../../deploy/grafana/alerts.yml");
    let queries = alerts.lines().filter(|line| line.contains("expr: ") && line.contains(PLATFORMS));
    let named = Regex::new(r#"outcome=~?"([a-z_|]+)""#).unwrap();
    let mut outcomes = BTreeSet::new();
    for query in queries {
        outcomes.extend(
            named.captures_iter(query).flat_map(|found| found[1].split('|').map(str::to_owned).collect::<Vec<_>>()),
        );
    }
    assert_eq!(
        outcomes.iter().map(String::as_str).collect::<Vec<_>>(),
        ["answered", "app_refused", "unavailable", "unreadable"]
    );
    for outcome in outcomes {
        let counted = format!("{PLATFORMS}{{platform=\"qq\",operation=\"log_in\",outcome=\"{outcome}\"}}");
        assert!(text.contains(&counted), "{counted} in\n{text}");
    }
}

/// The names of what a query asks for.
fn metrics_in(query: &str) -> BTreeSet<String> {
    let name = Regex::new(r"\b(?:mobile_bind|process)_[a-z0-9_]+\b").unwrap();
    name.find_iter(query).map(|found| found.as_str().to_owned()).collect()
}

#[tokio::test]
async fn every_query_of_the_dashboard_and_the_alerts_finds_something() {
    let _alone = GAUGES.lock().await;
    let dashboard: Value = serde_json::from_str(include_str!("../../deploy/grafana/dashboard.json")).unwrap();
    let panels = dashboard["panels"].as_array().unwrap();
    let targets = panels.iter().flat_map(|panel| panel["targets"].as_array().unwrap());
    let mut queries: Vec<&str> = targets.map(|target| target["expr"].as_str().unwrap()).collect();
    let alerts = include_str!("../../deploy/grafana/alerts.yml");
    let rules = alerts.lines().filter_map(|line| line.trim().strip_prefix("expr: "));
    queries.extend(rules);
    assert!(queries.len() > panels.len() && alerts.matches("- alert:").count() == alerts.matches("expr: ").count());

    let text =
        scrape().await.0 + &scrape_over_postgres().await + &scrape_of_messages().await + &scrape_of_platforms().await;
    let name = |line: &str| line.split(['{', ' ']).next().unwrap().to_owned();
    let scraped: BTreeSet<String> = text.lines().filter(|line| !line.starts_with('#')).map(name).collect();
    for query in queries {
        let asked = metrics_in(query);
        assert!(!asked.is_empty(), "{query}");
        assert!(asked.is_subset(&scraped), "{query}: {:?}", asked.difference(&scraped));
    }
}
