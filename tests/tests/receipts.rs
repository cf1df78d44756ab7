//! Receipts by real HTTP and SMPP: who is heard, what they say in any order and any number of times, and what follows where
//! none comes.

#![expect(clippy::unwrap_used, reason = "a test that fails says where")]

use std::sync::Arc;
use std::time::Duration;

use aws_lc_rs::hmac;
use data_encoding::BASE64;
use mobile_bind::settings::{LimitMode, SmsProvider, SmsSenderName};
use mobile_bind_domain::outbox::MessageState;
use mobile_bind_domain::ports::Clock;
use mobile_bind_domain::{Mobile, OutboxMessage};
use mobile_bind_sms::fake_provider::{FakeAccount, FakeMessage, FakeProvider, Phones, Play};
use mobile_bind_sms::{Kind, Receipt, ReceiptState, Secret};
use mobile_bind_tests::harness::{ManualClock, TestServer};
use tokio::sync::mpsc;

const KEY: &str = "0123456789abcdef";
const TWILIO_URL: &str = "https://shop.example/sms/receipts/main/0123456789abcdef";
/// Base64 of 24 zeros and of 24 others.
const WEBHOOK_SECRET: &str = "whsec_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA";
const OTHER_WEBHOOK_SECRET: &str = "whsec_////////////////////////////////";
const STATES: [ReceiptState; 3] = [ReceiptState::Pending, ReceiptState::Failed, ReceiptState::Delivered];

fn secret(kind: Kind) -> &'static str {
    if kind == Kind::Webhook { WEBHOOK_SECRET } else { "secret" }
}

async fn fake(kind: Kind, play: Play, phones: Option<Phones>) -> FakeProvider {
    let account = if kind == Kind::Webhook { "" } else { "id" };
    let account = FakeAccount { kind, account: account.to_owned(), secret: Secret::new(secret(kind).to_owned()) };
    FakeProvider::start(&account, ([127, 0, 0, 1], 0).into(), play, Arc::new(ManualClock::default()), phones)
        .await
        .unwrap()
}

/// A provider's settings over its fake; calls are heard from `from` alone.
fn provider(kind: Kind, fake: &FakeProvider, rank: u16, from: &str) -> SmsProvider {
    let text = |text: &str| text.to_owned();
    let template = |template: &str| [(text("bind"), [(text("zh"), text(template))].into())].into();
    let common = SmsProvider {
        url: fake.url(),
        account: text("id"),
        secret: text(secret(kind)).into(),
        from: text("shop"),
        receipts_key: text(KEY).into(),
        receipts_from: vec![text(from)],
        rank,
        ..SmsProvider::default()
    };
    match kind {
        Kind::Aliyun => SmsProvider {
            kind: text("aliyun"),
            templates: template("1"),
            parameters: vec![text("code={code}")],
            ..common
        },
        Kind::Tencent => SmsProvider {
            kind: text("tencent"),
            app_id: text("1400006666"),
            templates: template("1"),
            parameters: vec![text("{code}")],
            ..common
        },
        Kind::Twilio => SmsProvider { kind: text("twilio"), receipts_url: text(TWILIO_URL), ..common },
        Kind::Webhook => SmsProvider { kind: text("webhook"), account: text(""), from: text(""), ..common },
        Kind::Smpp => {
            SmsProvider { kind: text("smpp"), receipts_key: text("").into(), receipts_from: Vec::new(), ..common }
        }
    }
}

async fn server(providers: Vec<(&str, SmsProvider)>, receipt_within_s: u64) -> TestServer {
    TestServer::start_with(|settings| {
        settings.limits.mode = LimitMode::Off;
        settings.sms.sender = SmsSenderName::Providers;
        settings.sms.receipt_within_s = receipt_within_s;
        settings.sms.providers = providers.into_iter().map(|(name, provider)| (name.to_owned(), provider)).collect();
    })
    .await
    .unwrap()
}

async fn last(server: &TestServer, mobile: &str) -> OutboxMessage {
    let mobile = Mobile::restore(mobile).unwrap();
    server.app.service.store.messages_to(&mobile, 1).await.unwrap().remove(0).value
}

/// The message, once it is as it shall be: what came of it is stored after the answer.
async fn once(server: &TestServer, mobile: &str, is: impl Fn(&OutboxMessage) -> bool) -> OutboxMessage {
    loop {
        let message = last(server, mobile).await;
        if is(&message) {
            return message;
        }
        tokio::task::yield_now().await;
    }
}

/// Sends a code; answers the provider's id of its message.
async fn accepted(server: &TestServer, mobile: &str) -> String {
    assert_eq!(server.send_code(mobile, mobile).await.unwrap().code(), Some(0));
    let message = once(server, mobile, |message| message.state >= MessageState::Accepted).await;
    message.attempts[0].reference.to_string()
}

/// A vendor's call.
struct ProviderCall {
    path: String,
    content_type: &'static str,
    headers: Vec<(&'static str, String)>,
    body: String,
}

impl ProviderCall {
    async fn status(&self, server: &TestServer) -> u16 {
        let call = server.client().post(server.url(&self.path)).header("content-type", self.content_type);
        let call = self.headers.iter().fold(call, |call, (name, value)| call.header(*name, value));
        server.send(call.body(self.body.clone())).await.unwrap().status
    }

    fn with(mut self, name: &'static str, value: String) -> Self {
        self.headers.retain(|(known, _)| *known != name);
        self.headers.push((name, value));
        self
    }
}

/// As each vendor's documentation has it.
fn call(kind: Kind, id: &str, state: ReceiptState, now: u64) -> ProviderCall {
    let path = format!("/sms/receipts/main/{KEY}");
    match kind {
        Kind::Tencent => {
            let status = match state {
                ReceiptState::Delivered => "SUCCESS",
                ReceiptState::Failed => "FAIL",
                ReceiptState::Pending => "WAITING",
            };
            let body = format!(r#"[{{"sid":"{id}","report_status":"{status}","errmsg":"UNDELIV","nationcode":"86"}}]"#);
            ProviderCall { path, content_type: "application/json", headers: Vec::new(), body }
        }
        Kind::Twilio => {
            let status = match state {
                ReceiptState::Delivered => "delivered",
                ReceiptState::Failed => "undelivered",
                ReceiptState::Pending => "sent",
            };
            let body = format!("MessageSid={id}&MessageStatus={status}&ErrorCode=30003");
            let headers = vec![("x-twilio-signature", twilio_signature("secret", TWILIO_URL, id, status))];
            ProviderCall { path, content_type: "application/x-www-form-urlencoded", headers, body }
        }
        _ => {
            let name = match state {
                ReceiptState::Delivered => "sms.delivered",
                ReceiptState::Failed => "sms.failed",
                ReceiptState::Pending => "sms.queued",
            };
            let body = format!(r#"{{"type":"{name}","data":{{"id":"{id}","error":"UNDELIV"}}}}"#);
            let headers = vec![
                ("webhook-id", "msg_1".to_owned()),
                ("webhook-timestamp", now.to_string()),
                ("webhook-signature", webhook_signature(WEBHOOK_SECRET, now, &body)),
            ];
            ProviderCall { path, content_type: "application/json", headers, body }
        }
    }
}

/// The URL and the form's fields, by their names: <https://www.twilio.com/docs/usage/security#validating-requests>
fn twilio_signature(token: &str, url: &str, id: &str, status: &str) -> String {
    let key = hmac::Key::new(hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY, token.as_bytes());
    let signed = format!("{url}ErrorCode30003MessageSid{id}MessageStatus{status}");
    BASE64.encode(hmac::sign(&key, signed.as_bytes()).as_ref())
}

fn webhook_signature(secret: &str, at: u64, body: &str) -> String {
    let key = BASE64.decode(secret.strip_prefix("whsec_").unwrap().as_bytes()).unwrap();
    let signed = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, &key), format!("msg_1.{at}.{body}").as_bytes());
    format!("v1,{}", BASE64.encode(signed.as_ref()))
}

/// The furthest that receipts say.
fn furthest(told: &[ReceiptState]) -> MessageState {
    if told.contains(&ReceiptState::Delivered) {
        MessageState::Delivered
    } else if told.contains(&ReceiptState::Failed) {
        MessageState::Failed
    } else {
        MessageState::Accepted
    }
}

/// Every three receipts, in every order and with every repetition.
fn sequences() -> impl Iterator<Item = [ReceiptState; 3]> {
    let pairs = STATES.into_iter().flat_map(|first| STATES.map(|second| (first, second)));
    pairs.flat_map(|(first, second)| STATES.map(|third| [first, second, third]))
}

async fn advances_by_calls_alone(kind: Kind) {
    let fake = fake(kind, Play::Accept, None).await;
    let server = server(vec![("main", provider(kind, &fake, 1, "127.0.0.1"))], 0).await;
    let now = server.clock.now().as_seconds();
    for (number, told) in sequences().enumerate() {
        let mobile = format!("176021283{number:02}");
        let id = accepted(&server, &mobile).await;
        for heard in 0..told.len() {
            assert_eq!(call(kind, &id, told[heard], now).status(&server).await, 200);
            let message = last(&server, &mobile).await;
            assert_eq!(message.state, furthest(&told[..=heard]), "{kind:?} {told:?}");
            assert_eq!(message.error.is_empty(), message.state != MessageState::Failed, "{kind:?} {told:?}");
        }
    }
    server.stop().await.unwrap();
}

#[tokio::test]
async fn twilios_receipts_advance_a_message_in_any_order() {
    advances_by_calls_alone(Kind::Twilio).await;
}

#[tokio::test]
async fn a_webhooks_receipts_advance_a_message_in_any_order() {
    advances_by_calls_alone(Kind::Webhook).await;
}

#[tokio::test]
async fn tencents_receipts_advance_a_message_in_any_order() {
    advances_by_calls_alone(Kind::Tencent).await;
}

#[tokio::test]
async fn calls_that_are_not_signed_as_their_vendor_signs_are_not_heard() {
    let mobile = "17602128368";
    for kind in [Kind::Twilio, Kind::Webhook] {
        let fake = fake(kind, Play::Accept, None).await;
        let server = server(vec![("main", provider(kind, &fake, 1, "127.0.0.1"))], 0).await;
        let (id, now) = (accepted(&server, mobile).await, server.clock.now().as_seconds());
        let right = |at| call(kind, &id, ReceiptState::Delivered, at);
        let wrong = if kind == Kind::Twilio {
            let signed =
                |token, url, status| right(now).with("x-twilio-signature", twilio_signature(token, url, &id, status));
            vec![
                signed("Secret", TWILIO_URL, "delivered"),
                signed("secret", "https://shop.example/", "delivered"),
                signed("secret", TWILIO_URL, "sent"),
                right(now).with("x-twilio-signature", String::new()),
                ProviderCall { headers: Vec::new(), ..right(now) },
            ]
        } else {
            let body = right(now).body;
            let forged = webhook_signature(OTHER_WEBHOOK_SECRET, now, &body);
            vec![
                right(now).with("webhook-signature", forged),
                right(now).with("webhook-signature", webhook_signature(WEBHOOK_SECRET, now, "{}")),
                right(now).with("webhook-timestamp", (now + 1).to_string()),
                right(now).with("webhook-id", "msg_2".to_owned()),
                right(now - 301),
                right(now + 301),
                ProviderCall { headers: Vec::new(), ..right(now) },
            ]
        };
        for (index, call) in wrong.into_iter().enumerate() {
            assert_eq!(call.status(&server).await, 404, "{kind:?} {index}");
            assert_eq!(last(&server, mobile).await.state, MessageState::Accepted, "{kind:?} {index}");
        }
        assert_eq!(right(now).status(&server).await, 200);
        assert_eq!(last(&server, mobile).await.state, MessageState::Delivered);
        server.stop().await.unwrap();
    }
}

#[tokio::test]
async fn tencents_calls_are_known_by_their_path_and_address() {
    let mobile = "17602128368";
    for (from, is_near) in [("192.0.2.0/24", false), ("127.0.0.0/8", true)] {
        let fake = fake(Kind::Tencent, Play::Accept, None).await;
        let server = server(vec![("main", provider(Kind::Tencent, &fake, 1, from))], 0).await;
        let id = accepted(&server, mobile).await;
        let right = || call(Kind::Tencent, &id, ReceiptState::Delivered, 0);
        for path in ["/sms/receipts/main/fedcba9876543210", "/sms/receipts/other/0123456789abcdef"] {
            assert_eq!(ProviderCall { path: path.to_owned(), ..right() }.status(&server).await, 404, "{path}");
        }
        // Whatever a caller says of himself, it is the connection's address that counts.
        let named = right().with("x-forwarded-for", "192.0.2.7".to_owned());
        assert_eq!(named.status(&server).await, if is_near { 200 } else { 404 });
        let expected = if is_near { MessageState::Delivered } else { MessageState::Accepted };
        assert_eq!(last(&server, mobile).await.state, expected);
        let garbage = ProviderCall { body: "garbage".to_owned(), ..right() };
        assert_eq!(garbage.status(&server).await, if is_near { 400 } else { 404 });
        server.stop().await.unwrap();
    }
}

#[tokio::test]
async fn a_message_centres_receipts_advance_a_message_in_any_order() {
    // One that sends no receipts of its own accord.
    let centre = fake(Kind::Smpp, Play::Lie, None).await;
    let server = server(vec![("main", provider(Kind::Smpp, &centre, 1, ""))], 0).await;
    let report = |id: &str, state| centre.report(Receipt { id: id.to_owned(), state, error: String::new() });
    let mut sent = Vec::new();
    for (number, told) in sequences().enumerate() {
        let mobile = format!("176021283{number:02}");
        sent.push((accepted(&server, &mobile).await, mobile, told));
    }
    for heard in 0..STATES.len() {
        for (id, _, told) in &sent {
            report(id, told[heard]);
        }
        // They are taken one after the other: with the last one's all are.
        let mark = accepted(&server, &format!("1760212840{heard}")).await;
        report(&mark, ReceiptState::Delivered);
        once(&server, &format!("1760212840{heard}"), |message| message.state == MessageState::Delivered).await;
        for (_, mobile, told) in &sent {
            assert_eq!(last(&server, mobile).await.state, furthest(&told[..=heard]), "{told:?}");
        }
    }
    // One whose receipt may be here before it is stored that the message was accepted.
    centre.set_play(Play::Accept);
    let mobile = "17602128500";
    assert_eq!(server.send_code(mobile, mobile).await.unwrap().code(), Some(0));
    once(&server, mobile, |message| message.state == MessageState::Delivered).await;
    assert_eq!(centre.sessions(), 1);
    server.stop().await.unwrap();
}

async fn with_phones(kind: Kind) -> (FakeProvider, mpsc::UnboundedReceiver<FakeMessage>) {
    let (sent, phones) = mpsc::unbounded_channel();
    (fake(kind, Play::Accept, Some(Box::new(move |message| drop(sent.send(message.clone()))))).await, phones)
}

/// The code in a text: its only digits of that length.
fn code(text: &str) -> String {
    text.split(|c: char| !c.is_ascii_digit()).find(|digits| digits.len() >= 4).unwrap().to_owned()
}

#[tokio::test]
async fn without_a_receipt_in_time_the_next_provider_sends_the_same_code() {
    let ((main, mut mains), (spare, mut spares)) = (with_phones(Kind::Tencent).await, with_phones(Kind::Twilio).await);
    let providers = vec![
        ("main", provider(Kind::Tencent, &main, 1, "127.0.0.1")),
        ("spare", provider(Kind::Twilio, &spare, 2, "127.0.0.1")),
    ];
    let server = server(providers, 30).await;
    let (heard, silent) = ("17602128301", "17602128302");
    let told = accepted(&server, heard).await;
    let late = accepted(&server, silent).await;
    let of_heard = code(&mains.recv().await.unwrap().text);
    let of_silent = code(&mains.recv().await.unwrap().text);
    assert_ne!(of_heard, of_silent);
    assert_eq!(call(Kind::Tencent, &told, ReceiptState::Delivered, 0).status(&server).await, 200);

    let due = || async { server.app.service.store.due_messages(server.clock.now(), 10).await.unwrap().len() };
    server.clock.advance(Duration::from_millis(29_999));
    assert_eq!((due().await, last(&server, silent).await.attempts.len()), (0, 1));
    server.clock.advance(Duration::from_millis(1));
    let message = spares.recv().await.unwrap();
    assert_eq!((message.to.as_str(), code(&message.text)), ("+8617602128302", of_silent.clone()));
    let both = |message: &OutboxMessage| message.attempts.iter().all(|attempt| !attempt.reference.is_empty());
    let message = once(&server, silent, |message| message.attempts.len() == 2 && both(message)).await;
    assert_eq!(message.attempts.iter().map(|attempt| &*attempt.provider).collect::<Vec<_>>(), ["main", "spare"]);
    assert_eq!(last(&server, heard).await.attempts.len(), 1, "its receipt was there");

    // The first provider's receipt comes late, and says that it failed: the second may still succeed.
    assert_eq!(call(Kind::Tencent, &late, ReceiptState::Failed, 0).status(&server).await, 200);
    assert_eq!(last(&server, silent).await.state, MessageState::Accepted);
    let path = format!("/user/appmobilebind?uuid={silent}&application_client_type=weixin");
    let bound = server.post(&path, &format!("mobile={silent}&verify={of_silent}&weixin_openid=o1")).await.unwrap();
    assert_eq!(bound.code(), Some(0), "{}", bound.text);
    // Nobody is left to ask after that.
    server.clock.advance(Duration::from_secs(31));
    once(&server, silent, |message| message.due_at.is_none()).await;
    assert!(mains.try_recv().is_err() && spares.try_recv().is_err(), "each was asked once");
    server.stop().await.unwrap();
}
