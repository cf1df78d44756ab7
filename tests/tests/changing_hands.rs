//! Numbers that change hands, over HTTP, once over each store.

#![expect(clippy::unwrap_used, reason = "a test may panic")]

use std::time::Duration;

use mobile_bind::Settings;
use mobile_bind::settings::{LimitMode, Rebind, Recycled};
use mobile_bind_domain::Mobile;
use mobile_bind_domain::ports::Purpose;
use mobile_bind_sms::Behaviour;
use mobile_bind_tests::contract::StoreUnderTest;
use mobile_bind_tests::contract::postgres::PostgresSchema;
use mobile_bind_tests::harness::{Answer, TestServer};

const OLD: &str = "13500135000";
const NEW: &str = "17602128368";
const DAYS: Duration = Duration::from_secs(24 * 3600);

struct Shop(TestServer);

impl Shop {
    async fn code(&self, uuid: &str, mobile: &str) -> String {
        self.0.clock.advance(Duration::from_secs(60));
        let sent = self.0.send_code(uuid, mobile).await.unwrap();
        assert_eq!(sent.code(), Some(0), "{}", sent.text);
        self.0.last_code(mobile).unwrap()
    }

    async fn bind_with(&self, who: &str, mobile: &str, verify: &str, more: &str) -> Answer {
        let path = format!("/user/appmobilebind?{who}");
        self.0.post(&path, &format!("mobile={mobile}&verify={verify}&{more}")).await.unwrap()
    }

    /// Has a code sent, and binds with it.
    async fn bind(&self, who: &str, mobile: &str, more: &str) -> Answer {
        let uuid = who.rsplit('=').next().unwrap();
        let verify = self.code(uuid, mobile).await;
        self.bind_with(who, mobile, &verify, more).await
    }

    async fn number_of(&self, token: &str) -> Option<String> {
        let answer = self.0.post("/user/tokenuserinfo", &format!("token={token}")).await.unwrap();
        (answer.code() == Some(0)).then(|| answer.field("mobile").to_owned())
    }
}

/// A shop over the embedded store, then one over PostgreSQL. Each is stopped: a clock that is ahead forgets what is not its own.
async fn over_each_store(set: impl Fn(&mut Settings), story: impl AsyncFn(&Shop)) {
    let schema = PostgresSchema::empty().unwrap();
    schema.prepare().await.unwrap();
    for store in ["sled:".to_owned(), schema.address()] {
        let server = TestServer::start_with(|settings| {
            settings.limits.mode = LimitMode::Off;
            settings.store = store;
            set(settings);
        });
        let shop = Shop(server.await.unwrap());
        story(&shop).await;
        shop.0.stop().await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_change_takes_a_code_for_the_old_number_too() {
    over_each_store(
        |settings| settings.numbers.rebind = Rebind::OldCode,
        async |shop: &Shop| {
            let token = shop.bind("uuid=u", OLD, "").await.field("token").to_owned();
            let with_token = format!("token={token}");
            let verify = shop.code("u", NEW).await;
            let wanted = shop.bind_with("uuid=u", NEW, &verify, &with_token).await;
            assert_eq!(
                (wanted.code(), wanted.body["old_mobile"].as_str()),
                (Some(-100), Some("135***000")),
                "{}",
                wanted.text
            );
            // Somebody else's code for the old number is no help.
            let elsewhere = shop.code("v", OLD).await;
            let tried = shop.bind_with("uuid=u", NEW, &verify, &format!("{with_token}&old_verify={elsewhere}")).await;
            assert_eq!(tried.code(), Some(-10), "{}", tried.text);
            let old = shop.code("u", OLD).await;
            let wrong = format!("{:04}", (old.parse::<u32>().unwrap() + 1) % 10_000);
            let tried = shop.bind_with("uuid=u", NEW, &verify, &format!("{with_token}&old_verify={wrong}")).await;
            assert_eq!(tried.code(), Some(-11), "{}", tried.text);
            assert_eq!(shop.number_of(&token).await.as_deref(), Some(OLD));
            let changed = shop.bind_with("uuid=u", NEW, &verify, &format!("{with_token}&old_verify={old}")).await;
            assert_eq!((changed.code(), changed.field("mobile")), (Some(0), NEW), "{}", changed.text);
            // The lost answer of the very same bind is given again.
            let again = shop.bind_with("uuid=u", NEW, &verify, &format!("{with_token}&old_verify={old}")).await;
            assert_eq!(again.text, changed.text);
        },
    )
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_old_number_is_told_where_that_is_set() {
    for tells in [true, false] {
        over_each_store(
            |settings| settings.numbers.tell_old_number = tells,
            async |shop: &Shop| {
                let token = shop.bind("uuid=u", OLD, "").await.field("token").to_owned();
                // The bind is answered whatever becomes of the message.
                shop.0.app.sms.set_behaviour(OLD, Behaviour::Hang);
                let changed = shop.bind("uuid=u", NEW, &format!("token={token}&lang=en")).await;
                assert_eq!((changed.code(), changed.field("mobile")), (Some(0), NEW), "{}", changed.text);
                let old = Mobile::restore(OLD).unwrap();
                let stored = shop.0.app.service.store.messages_to(&old, 9).await.unwrap();
                let purposes: Vec<_> = stored.iter().map(|message| message.value.purpose).collect();
                let expected = if tells { vec![Purpose::NumberChanged, Purpose::Bind] } else { vec![Purpose::Bind] };
                assert_eq!(purposes, expected, "it is there with the bind, or not at all");
                shop.0.app.sms.set_behaviour(OLD, Behaviour::Deliver);
            },
        )
        .await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_message_to_the_old_number_comes_in_the_clients_language() {
    over_each_store(
        |settings| settings.numbers.tell_old_number = true,
        async |shop: &Shop| {
            let token = shop.bind("uuid=u", OLD, "").await.field("token").to_owned();
            let mut changes = shop.0.app.sms.changes();
            let told = || shop.0.app.sms.messages(Some(OLD)).into_iter().find(|sent| sent.code().is_none());
            shop.bind("uuid=u", NEW, &format!("token={token}&lang=en")).await;
            let message = loop {
                if let Some(message) = told() {
                    break message;
                }
                changes.changed().await.unwrap();
            };
            assert!(message.text().starts_with("Your account now has another mobile number"), "{}", message.text());
        },
    )
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn old_codes_run_out_of_tries() {
    over_each_store(
        |settings| settings.numbers.rebind = Rebind::OldCode,
        async |shop: &Shop| {
            let token = shop.bind("uuid=u", OLD, "").await.field("token").to_owned();
            let old = shop.code("u", OLD).await;
            let verify = shop.code("u", NEW).await;
            for offset in 1..=6 {
                let guess = format!("{:04}", (old.parse::<u32>().unwrap() + offset) % 10_000);
                let more = format!("token={token}&old_verify={guess}");
                let answer = shop.bind_with("uuid=u", NEW, &verify, &more).await;
                assert_eq!(answer.code(), Some(if offset <= 5 { -11 } else { -10 }), "{}", answer.text);
            }
            let more = format!("token={token}&old_verify={old}");
            assert_eq!(shop.bind_with("uuid=u", NEW, &verify, &more).await.code(), Some(-10));
            assert_eq!(shop.number_of(&token).await.as_deref(), Some(OLD));
        },
    )
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_change_may_be_denied_or_have_to_wait() {
    over_each_store(
        |settings| settings.numbers.rebind = Rebind::Deny,
        async |shop: &Shop| {
            let token = shop.bind("uuid=u", OLD, "").await.field("token").to_owned();
            let denied = shop.bind("uuid=u", NEW, &format!("token={token}&lang=en")).await;
            assert_eq!(denied.code(), Some(-1));
            assert!(denied.body["msg"].as_str().unwrap().contains("contact us"), "{}", denied.text);
        },
    )
    .await;
    over_each_store(
        |settings| settings.numbers.cooling_off_s = 3600,
        async |shop: &Shop| {
            let token = shop.bind("uuid=u", OLD, "").await.field("token").to_owned();
            let early = shop.bind("uuid=u", NEW, &format!("token={token}&lang=en")).await;
            assert_eq!(early.code(), Some(-100));
            assert_eq!(early.headers["retry-after"], "3540");
            shop.0.clock.advance(Duration::from_secs(3600));
            let late = shop.bind("uuid=u", NEW, &format!("token={token}")).await;
            assert_eq!((late.code(), late.field("mobile")), (Some(0), NEW), "{}", late.text);
        },
    )
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn other_client_types_are_logged_out_by_a_change_where_that_is_set() {
    for revoke in [false, true] {
        over_each_store(
            move |settings| settings.numbers.revoke_on_change = revoke,
            async |shop: &Shop| {
                let page = shop.bind("application_client_type=h5&uuid=u", OLD, "").await.field("token").to_owned();
                let desk = shop.bind("application_client_type=pc&uuid=u", OLD, "").await.field("token").to_owned();
                let form = format!("token={desk}");
                let changed = shop.bind("application_client_type=pc&uuid=u", NEW, &form).await;
                assert_eq!(changed.code(), Some(0), "{}", changed.text);
                assert_eq!(shop.number_of(&page).await.is_none(), revoke);
                assert_eq!(shop.number_of(&desk).await, None, "replaced");
                assert_eq!(shop.number_of(changed.field("token")).await.as_deref(), Some(NEW));
            },
        )
        .await;
    }
}

const OWNER: &str = "application_client_type=h5&uuid=owner";
const STRANGER: &str = "application_client_type=weixin&uuid=stranger";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_recycled_number_is_entered_alone() {
    over_each_store(
        |_| {},
        async |shop: &Shop| {
            let owner = shop.bind(OWNER, NEW, "").await;
            shop.0.clock.advance(89 * DAYS);
            let early = shop.bind(STRANGER, NEW, "weixin_openid=o1").await;
            assert_eq!(early.field("id"), owner.field("id"), "{}", early.text);
            assert!(shop.number_of(owner.field("token")).await.is_some(), "not silent for long enough");
            shop.0.clock.advance(91 * DAYS);
            let late = shop.bind(STRANGER, NEW, "weixin_openid=o2").await;
            assert_eq!(late.field("id"), owner.field("id"), "{}", late.text);
            assert_eq!(shop.number_of(owner.field("token")).await, None, "whoever had the number before is out");
            assert!(shop.number_of(late.field("token")).await.is_some());
        },
    )
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_recycled_number_is_detached_or_refused() {
    over_each_store(
        |settings| settings.numbers.recycled = Recycled::Detach,
        async |shop: &Shop| {
            let owner = shop.bind(OWNER, NEW, "nickname=owner").await;
            shop.0.clock.advance(91 * DAYS);
            let stranger = shop.bind(STRANGER, NEW, "weixin_openid=o1&nickname=stranger").await;
            assert_eq!((stranger.code(), stranger.field("nickname")), (Some(0), "stranger"), "{}", stranger.text);
            assert_ne!(stranger.field("id"), owner.field("id"));
            assert_eq!(shop.number_of(owner.field("token")).await.as_deref(), Some(""), "he keeps his account");
            let back = shop.bind(OWNER, OLD, &format!("token={}", owner.field("token"))).await;
            assert_eq!((back.field("id"), back.field("mobile")), (owner.field("id"), OLD), "{}", back.text);
        },
    )
    .await;
    over_each_store(
        |settings| settings.numbers.recycled = Recycled::Refuse,
        async |shop: &Shop| {
            let owner = shop.bind(OWNER, NEW, "").await;
            shop.0.clock.advance(91 * DAYS);
            let stranger = shop.bind(STRANGER, NEW, "weixin_openid=o1").await;
            assert_eq!(stranger.code(), Some(-50), "{}", stranger.text);
            assert_eq!(shop.number_of(owner.field("token")).await.as_deref(), Some(NEW));
            // A look-up is a use: the number is its owner's again.
            let known = shop.bind("application_client_type=pc&uuid=owner", NEW, "").await;
            assert_eq!(known.field("id"), owner.field("id"), "{}", known.text);
        },
    )
    .await;
}
