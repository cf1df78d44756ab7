//! An old number is told that its account has left it, by the provider that has the words: from the bind to the receipt.

#![expect(clippy::unwrap_used, reason = "a test that fails says where")]

use std::sync::Arc;
use std::time::Duration;

use mobile_bind::settings::{LimitMode, SmsProvider, SmsSenderName};
use mobile_bind_domain::outbox::MessageState;
use mobile_bind_domain::ports::Purpose;
use mobile_bind_domain::{Mobile, OutboxMessage};
use mobile_bind_sms::fake_provider::{FakeAccount, FakeMessage, FakeProvider, Play};
use mobile_bind_sms::{Kind, Secret};
use mobile_bind_tests::harness::{ManualClock, TestServer};
use tokio::sync::mpsc;

const OLD: &str = "13500135000";
const NEW: &str = "17602128368";
const KEY: &str = "0123456789abcdef";

/// A fake of Tencent Cloud, and its phones.
async fn vendor() -> (FakeProvider, mpsc::UnboundedReceiver<FakeMessage>) {
    let account =
        FakeAccount { kind: Kind::Tencent, account: "id".to_owned(), secret: Secret::new("secret".to_owned()) };
    let (sent, phones) = mpsc::unbounded_channel();
    let tell = Box::new(move |message: &FakeMessage| drop(sent.send(message.clone())));
    let (anywhere, clock) = (([127, 0, 0, 1], 0).into(), Arc::new(ManualClock::default()));
    (FakeProvider::start(&account, anywhere, Play::Accept, clock, Some(tell)).await.unwrap(), phones)
}

/// An account there, with an approved template for each of these purposes.
fn provider(fake: &FakeProvider, rank: u16, templates: &[(&str, &str)]) -> SmsProvider {
    let template =
        |&(purpose, id): &(&str, &str)| (purpose.to_owned(), [("zh".to_owned(), id.to_owned())].into_iter().collect());
    SmsProvider {
        kind: "tencent".to_owned(),
        url: fake.url(),
        account: "id".to_owned(),
        secret: "secret".to_owned().into(),
        from: "shop".to_owned(),
        app_id: "1400006666".to_owned(),
        templates: templates.iter().map(template).collect(),
        parameters: vec!["{code}".to_owned()],
        receipts_key: KEY.to_owned().into(),
        receipts_from: vec!["127.0.0.1".to_owned()],
        rank,
        ..SmsProvider::default()
    }
}

/// The last message to the old number, once it is as it shall be: nobody waits for it.
async fn once(server: &TestServer, is: impl Fn(&OutboxMessage) -> bool) -> OutboxMessage {
    let mobile = Mobile::restore(OLD).unwrap();
    loop {
        let message = server.app.service.store.messages_to(&mobile, 1).await.unwrap().remove(0).value;
        if is(&message) {
            return message;
        }
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn the_vendor_that_has_a_template_for_it_tells_the_old_number() {
    let ((first, mut codes), (second, mut notices)) = (vendor().await, vendor().await);
    let without = provider(&first, 1, &[("bind", "1")]);
    let with = provider(&second, 2, &[("bind", "1"), ("number_changed", "2")]);
    let server = TestServer::start_with(|settings| {
        settings.limits.mode = LimitMode::Off;
        settings.numbers.tell_old_number = true;
        settings.sms.sender = SmsSenderName::Providers;
        settings.sms.providers = [("without".to_owned(), without), ("with".to_owned(), with)].into();
    });
    let server = server.await.unwrap();
    let mut bind = async |mobile: &str, token: &str| {
        assert_eq!(server.send_code("u", mobile).await.unwrap().code(), Some(0));
        let text = codes.recv().await.unwrap().text;
        let verify = text.rsplit(' ').next().unwrap();
        let form = format!("mobile={mobile}&verify={verify}&token={token}");
        server.post("/user/appmobilebind?uuid=u", &form).await.unwrap()
    };
    let token = bind(OLD, "").await.field("token").to_owned();
    // The newest message is told apart by its time.
    server.clock.advance(Duration::from_secs(60));
    assert_eq!(bind(NEW, &token).await.code(), Some(0));

    let notice = notices.recv().await.unwrap();
    assert_eq!((notice.to.as_str(), notice.text.as_str()), ("+8613500135000", "[shop] 2 "), "with no code in it");
    let told = once(&server, |message| message.state >= MessageState::Accepted).await;
    let providers: Vec<_> = told.attempts.iter().map(|attempt| &*attempt.provider).collect();
    assert_eq!((told.purpose, providers), (Purpose::NumberChanged, vec!["with"]));
    let receipt = format!(
        r#"[{{"sid":"{}","report_status":"SUCCESS","errmsg":"","nationcode":"86"}}]"#,
        told.attempts[0].reference
    );
    let call = server.client().post(server.url(&format!("/sms/receipts/with/{KEY}")));
    assert_eq!(server.send(call.header("content-type", "application/json").body(receipt)).await.unwrap().status, 200);
    assert_eq!(once(&server, |message| message.state > MessageState::Accepted).await.state, MessageState::Delivered);
    server.stop().await.unwrap();
}
