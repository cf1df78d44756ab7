//! Messages by real HTTP: through providers' fakes, with receipts, in time, and after a restart.

#![expect(clippy::unwrap_used, reason = "a test that fails says where")]

use std::sync::Arc;

use mobile_bind::settings::{LimitMode, SmsProvider, SmsSenderName};
use mobile_bind_domain::outbox::MessageState;
use mobile_bind_domain::{Mobile, OutboxMessage};
use mobile_bind_sms::fake_provider::{FakeAccount, FakeProvider, Play};
use mobile_bind_sms::{Behaviour, Kind, Secret};
use mobile_bind_tests::harness::{ManualClock, TestServer};

const MOBILE: &str = "17602128368";
const KEY: &str = "0123456789abcdef";

async fn fake(play: Play) -> FakeProvider {
    let account =
        FakeAccount { kind: Kind::Aliyun, account: "id".to_owned(), secret: Secret::new("secret".to_owned()) };
    let clock = Arc::new(ManualClock::default());
    FakeProvider::start(&account, ([127, 0, 0, 1], 0).into(), play, clock, None).await.unwrap()
}

fn provider(fake: &FakeProvider, rank: u16, receipts_from: &str) -> SmsProvider {
    SmsProvider {
        kind: "aliyun".to_owned(),
        url: fake.url(),
        account: "id".to_owned(),
        secret: "secret".to_owned().into(),
        from: "shop".to_owned(),
        templates: [("bind".to_owned(), [("zh".to_owned(), "1".to_owned())].into())].into(),
        parameters: vec!["code={code}".to_owned()],
        receipts_key: KEY.to_owned().into(),
        receipts_from: vec![receipts_from.to_owned()],
        rank,
        ..SmsProvider::default()
    }
}

async fn server(main: &FakeProvider, spare: &FakeProvider, from: &str) -> TestServer {
    let providers = [("main", provider(main, 1, from)), ("spare", provider(spare, 2, from))];
    TestServer::start_with(|settings| {
        settings.limits.mode = LimitMode::Off;
        settings.sms.sender = SmsSenderName::Providers;
        settings.sms.providers = providers.map(|(name, provider)| (name.to_owned(), provider)).into();
    })
    .await
    .unwrap()
}

async fn last(server: &TestServer) -> OutboxMessage {
    let mobile = Mobile::restore(MOBILE).unwrap();
    server.app.service.store.messages_to(&mobile, 1).await.unwrap().remove(0).value
}

/// The message, once it is in a state: what came of it is stored after the answer.
async fn settled(server: &TestServer, state: MessageState) -> OutboxMessage {
    loop {
        let message = last(server).await;
        if message.state == state {
            return message;
        }
        tokio::task::yield_now().await;
    }
}

async fn tell(server: &TestServer, key: &str, id: &str, success: bool) -> (u16, String) {
    let body = format!(r#"[{{"biz_id":"{id}","success":{success},"err_code":"MK:0015"}}]"#);
    let path = format!("/sms/receipts/spare/{key}");
    let answer = server.request(reqwest::Method::POST, &path, Some("application/json"), body).await.unwrap();
    (answer.status, answer.text)
}

#[tokio::test]
async fn the_next_provider_sends_and_its_receipts_advance_the_message() {
    let (main, spare) = (fake(Play::Error("isv.BUSINESS_LIMIT_CONTROL".to_owned())).await, fake(Play::Accept).await);
    let server = server(&main, &spare, "127.0.0.1").await;
    assert_eq!(server.send_code("u", MOBILE).await.unwrap().code(), Some(0));
    let message = settled(&server, MessageState::Accepted).await;
    assert_eq!(message.attempts.iter().map(|attempt| &*attempt.provider).collect::<Vec<_>>(), ["main", "spare"]);
    assert!(message.sealed.is_none(), "its code is gone");
    let id = message.attempts[1].reference.to_string();

    assert_eq!(tell(&server, "fedcba9876543210", &id, true).await.0, 404, "another key");
    assert_eq!(last(&server).await.state, MessageState::Accepted);
    for (success, state) in
        [(false, MessageState::Failed), (true, MessageState::Delivered), (true, MessageState::Delivered)]
    {
        let (status, thanks) = tell(&server, KEY, &id, success).await;
        assert_eq!((status, thanks.as_str()), (200, r#"{"code":0,"msg":"OK"}"#));
        assert_eq!(last(&server).await.state, state);
    }
    tell(&server, KEY, &id, false).await;
    assert_eq!(last(&server).await.state, MessageState::Delivered, "never back");

    let ready = server.request(reqwest::Method::GET, "/readyz", None, "").await.unwrap();
    assert_eq!(ready.body["sms"]["main"], "closed", "{}", ready.text);
    server.stop().await.unwrap();
}

#[tokio::test]
async fn calls_from_elsewhere_are_not_heard() {
    let (main, spare) = (fake(Play::Accept).await, fake(Play::Accept).await);
    let server = server(&main, &spare, "192.0.2.0/24").await;
    assert_eq!(tell(&server, KEY, "fake-1", true).await.0, 404);
    server.stop().await.unwrap();
}

/// A server that waits for nobody, with a provider that hangs on one number's messages.
async fn hanging() -> TestServer {
    let server = TestServer::start_with(|settings| {
        settings.limits.mode = LimitMode::Off;
        settings.sms.answer_after_ms = 0;
        settings.sms.timeout_s = 1;
    })
    .await
    .unwrap();
    server.app.sms.set_behaviour(MOBILE, Behaviour::Hang);
    server
}

#[tokio::test]
async fn a_provider_that_hangs_keeps_nobody_waiting_longer_than_is_set() {
    let server = hanging().await;
    assert_eq!(server.send_code("u", MOBILE).await.unwrap().code(), Some(0), "the outbox goes on");
    assert!(last(&server).await.state <= MessageState::HandedOver);
    server.stop().await.unwrap();
}

async fn status(server: &TestServer, query: &str) -> (Option<i64>, String) {
    let path = format!("/user/appmobilebindverifystatus?{query}");
    let answer = server.request(reqwest::Method::GET, &path, None, "").await.unwrap();
    (answer.code(), answer.field("status").to_owned())
}

#[tokio::test]
async fn the_client_that_asked_learns_whether_a_provider_took_its_code_and_nobody_else_anything() {
    let (main, spare) = (fake(Play::Accept).await, fake(Play::Accept).await);
    let server = server(&main, &spare, "127.0.0.1").await;
    let own = format!("uuid=u&mobile={MOBILE}");
    let (nothing, taken) = ((Some(-10), String::new()), (Some(0), "accepted".to_owned()));
    assert_eq!(status(&server, &own).await, nothing);
    assert_eq!(status(&server, "uuid=u&mobile=1").await.0, Some(-1));
    assert_eq!(status(&server, "uuid=u").await.0, Some(-1));
    server.send_code("u", MOBILE).await.unwrap();
    let id = settled(&server, MessageState::Accepted).await.attempts[0].reference.to_string();
    assert_eq!(status(&server, &own).await, taken);
    let body = format!(r#"[{{"biz_id":"{id}","success":false,"err_code":"MK:0015"}}]"#);
    let path = format!("/sms/receipts/main/{KEY}");
    server.request(reqwest::Method::POST, &path, Some("application/json"), body).await.unwrap();
    assert_eq!(last(&server).await.state, MessageState::Failed);
    assert_eq!(status(&server, &own).await, taken, "whether the phone is there is not told");
    for stranger in
        [format!("uuid=other&mobile={MOBILE}"), format!("mobile={MOBILE}"), "uuid=u&mobile=13800138000".into()]
    {
        assert_eq!(status(&server, &stranger).await, nothing, "{stranger}");
    }

    main.set_play(Play::Error("isv.MOBILE_NUMBER_ILLEGAL".to_owned()));
    server.clock.advance(std::time::Duration::from_secs(61));
    assert_eq!(server.send_code("u", MOBILE).await.unwrap().code(), Some(-100));
    assert_eq!(status(&server, &own).await, (Some(0), "failed".to_owned()));
    server.clock.advance(std::time::Duration::from_secs(601));
    assert_eq!(status(&server, &own).await, nothing, "its code has expired");
    server.stop().await.unwrap();
}

#[tokio::test]
async fn a_message_that_is_on_its_way_is_pending() {
    let server = hanging().await;
    server.send_code("u", MOBILE).await.unwrap();
    assert_eq!(status(&server, &format!("uuid=u&mobile={MOBILE}")).await, (Some(0), "pending".to_owned()));
    server.stop().await.unwrap();
}
