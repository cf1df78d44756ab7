//! Each provider against its fake, over real HTTP.

use std::sync::Arc;
use std::time::Duration;

use mobile_bind_domain::ports::{SendFailure, SmsSender};

use super::{FakeAccount, FakeProvider, Play, documented_errors};
use crate::config::{Kind, ProviderConfig};
use crate::failover::Failover;
use crate::provider::{Provider, Shared};
use crate::secret::Secret;
use crate::tests::{Counting, HandClock, config, message, shared};

const KINDS: [Kind; 4] = [Kind::Aliyun, Kind::Tencent, Kind::Twilio, Kind::Webhook];
const MOBILE: &str = "17602128368";

struct Scene {
    clock: Arc<HandClock>,
    shared: Shared,
}

impl Scene {
    fn new() -> Self {
        let clock = Arc::new(HandClock::default());
        let shared = Shared { clock: Arc::clone(&clock) as _, ..shared() };
        Self { clock, shared }
    }

    async fn fake(&self, kind: Kind, play: Play) -> FakeProvider {
        let config = config(kind, "");
        let account = FakeAccount { kind, account: config.account, secret: config.secret };
        let clock = Arc::clone(&self.clock) as _;
        FakeProvider::start(&account, "127.0.0.1:0".parse().unwrap(), play, clock, None).await.unwrap()
    }

    fn provider(&self, name: &str, config: ProviderConfig) -> Arc<Provider> {
        Arc::new(Provider::new(name, config, &self.shared).unwrap())
    }
}

/// Which class each documented error is of; what is not named is the account's affair, and another provider can serve.
fn expected(code: &str) -> SendFailure {
    let refused = [
        "isv.MOBILE_NUMBER_ILLEGAL",
        "isv.BLACK_KEY_CONTROL_LIMIT",
        "FailedOperation.ContainSensitiveWord",
        "FailedOperation.PhoneNumberInBlacklist",
        "InvalidParameterValue.IncorrectPhoneNumber",
        "21211",
        "21214",
        "21217",
        "21265",
        "21266",
        "21610",
        "21614",
        "21635",
        "422",
    ];
    let limited = [
        "isv.BUSINESS_LIMIT_CONTROL",
        "isv.DAY_LIMIT_CONTROL",
        "isv.MONTH_LIMIT_CONTROL",
        "Throttling.User",
        "LimitExceeded.AppCountryOrRegionDailyLimit",
        "LimitExceeded.AppDailyLimit",
        "LimitExceeded.DailyLimit",
        "LimitExceeded.DeliveryFrequencyLimit",
        "LimitExceeded.PhoneNumberDailyLimit",
        "LimitExceeded.PhoneNumberOneHourLimit",
        "LimitExceeded.PhoneNumberSameContentDailyLimit",
        "LimitExceeded.PhoneNumberThirtySecondLimit",
        "RequestLimitExceeded",
        "14107",
        "20429",
        "21611",
        "63038",
        "429",
        "503",
    ];
    let unknown = [
        "isp.SYSTEM_ERROR",
        "InternalError",
        "InternalError.OtherError",
        "InternalError.RequestTimeException",
        "InternalError.SendAndRecvFail",
        "InternalError.Timeout",
        "InternalError.UnknownError",
        "20500",
        "500",
    ];
    if refused.contains(&code) {
        SendFailure::Refused
    } else if limited.contains(&code) {
        SendFailure::Limited
    } else if unknown.contains(&code) {
        SendFailure::Unknown
    } else {
        SendFailure::Unavailable
    }
}

#[tokio::test]
async fn a_good_message_is_accepted_and_its_id_kept() {
    let scene = Scene::new();
    for kind in KINDS {
        let fake = scene.fake(kind, Play::Accept).await;
        let provider = scene.provider("one", config(kind, &fake.url()));
        for round in 1..=3 {
            let accepted = provider.send(message(MOBILE)).await.unwrap();
            assert_eq!((accepted.provider.as_str(), accepted.id), ("one", format!("fake-{round}")), "{kind:?}");
        }
        let received = fake.received();
        assert!(received.len() == 3 && received.iter().all(|request| request.accepted));
    }
}

#[tokio::test]
async fn wrong_credentials_get_nowhere() {
    let scene = Scene::new();
    for kind in KINDS {
        let fake = scene.fake(kind, Play::Accept).await;
        let good = config(kind, &fake.url());
        let other_secret = Secret::new("whsec_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA".to_owned());
        let wrong = ProviderConfig { secret: other_secret, ..good.clone() };
        assert_eq!(scene.provider("one", wrong).send(message(MOBILE)).await, Err(SendFailure::Unavailable), "{kind:?}");
        if kind != Kind::Webhook {
            let wrong = ProviderConfig { account: "somebody".to_owned(), ..good };
            assert_eq!(
                scene.provider("one", wrong).send(message(MOBILE)).await,
                Err(SendFailure::Unavailable),
                "{kind:?}"
            );
        }
        assert!(fake.received().iter().all(|request| !request.accepted));
    }
}

#[tokio::test]
async fn a_clock_that_is_wrong_is_refused_where_the_signature_holds_the_time() {
    for kind in [Kind::Aliyun, Kind::Tencent, Kind::Webhook] {
        let (scene, late) = (Scene::new(), Scene::new());
        let fake = scene.fake(kind, Play::Accept).await;
        late.clock.advance(Duration::from_secs(16 * 60));
        let provider = late.provider("one", config(kind, &fake.url()));
        assert_eq!(provider.send(message(MOBILE)).await, Err(SendFailure::Unavailable), "{kind:?}");
    }
}

/// What was captured cannot be sent again, changed or not.
#[tokio::test]
async fn a_request_that_was_tampered_with_is_refused() {
    let scene = Scene::new();
    let client = reqwest::Client::builder().no_proxy().build().unwrap();
    for kind in [Kind::Aliyun, Kind::Tencent, Kind::Webhook] {
        let fake = scene.fake(kind, Play::Accept).await;
        let provider = scene.provider("one", config(kind, &fake.url()));
        let request = provider.request(&message(MOBILE));
        let (url, body) = match kind {
            Kind::Aliyun => (request.url.replace(MOBILE, "13800138000"), request.body.clone()),
            _ => {
                let text = String::from_utf8(request.body.clone()).unwrap();
                (request.url.clone(), text.replace(MOBILE, "13800138000").into_bytes())
            }
        };
        let mut sent = client.post(url).body(body);
        for (name, value) in &request.headers {
            sent = sent.header(*name, value);
        }
        sent.send().await.unwrap();
        assert!(!fake.received()[0].accepted, "{kind:?}");
    }
}

#[tokio::test]
async fn every_documented_error_has_its_class() {
    let scene = Scene::new();
    for kind in KINDS {
        let fake = scene.fake(kind, Play::Accept).await;
        for code in documented_errors(kind) {
            fake.set_play(Play::Error((*code).to_owned()));
            // A provider of its own for each, so that none is left alone for the failures of those before it.
            let provider = scene.provider("one", config(kind, &fake.url()));
            assert_eq!(provider.send(message(MOBILE)).await, Err(expected(code)), "{kind:?} {code}");
        }
    }
}

#[tokio::test]
async fn misbehaviour_leaves_open_what_was_sent_and_ends_in_time() {
    let scene = Scene::new();
    for kind in KINDS {
        let fake = scene.fake(kind, Play::Accept).await;
        for (play, failure) in [
            (Play::Hang, SendFailure::Unknown),
            (Play::Cut, SendFailure::Unknown),
            (Play::Close, SendFailure::Unknown),
            (Play::Status(200), SendFailure::Unknown),
            (Play::Status(302), SendFailure::Unavailable),
            (Play::Status(403), SendFailure::Unavailable),
            (Play::Status(429), SendFailure::Limited),
            (Play::Status(502), SendFailure::Unknown),
        ] {
            // A webhook needs no more than the status to accept.
            if kind == Kind::Webhook && play == Play::Status(200) {
                continue;
            }
            fake.set_play(play.clone());
            let mut provider = Provider::new("one", config(kind, &fake.url()), &scene.shared).unwrap();
            provider.shorten(Duration::from_millis(200));
            assert_eq!(provider.send(message(MOBILE)).await, Err(failure), "{kind:?} {play}");
        }
        if kind != Kind::Webhook {
            fake.set_play(Play::Garbage);
            let provider = scene.provider("one", config(kind, &fake.url()));
            assert_eq!(provider.send(message(MOBILE)).await, Err(SendFailure::Unknown), "{kind:?}");
        }
    }
}

#[tokio::test]
async fn where_nobody_listens_nothing_was_sent() {
    let scene = Scene::new();
    let url = scene.fake(Kind::Twilio, Play::Accept).await.url();
    let provider = scene.provider("one", config(Kind::Twilio, &url));
    assert_eq!(provider.send(message(MOBILE)).await, Err(SendFailure::Unavailable));
}

#[tokio::test]
async fn a_certificate_that_is_not_trusted_is_no_connection() {
    let scene = Scene::new();
    // The fake speaks no TLS: whatever it says, it is not the vendor.
    let fake = scene.fake(Kind::Twilio, Play::Accept).await;
    let provider = scene.provider("one", config(Kind::Twilio, &fake.url().replace("http:", "https:")));
    assert_eq!(provider.send(message(MOBILE)).await, Err(SendFailure::Unavailable));
    assert!(fake.received().is_empty());
}

#[tokio::test]
async fn the_next_is_asked_where_nothing_was_sent_and_only_there() {
    let scene = Scene::new();
    let (first, second) = (scene.fake(Kind::Aliyun, Play::Accept).await, scene.fake(Kind::Tencent, Play::Accept).await);
    for (play, outcome) in [
        (Play::Accept, Ok("first")),
        (Play::Error("isv.BUSINESS_LIMIT_CONTROL".to_owned()), Ok("second")),
        (Play::Error("isv.AMOUNT_NOT_ENOUGH".to_owned()), Ok("second")),
        (Play::Error("isv.MOBILE_NUMBER_ILLEGAL".to_owned()), Err(SendFailure::Refused)),
        (Play::Error("isp.SYSTEM_ERROR".to_owned()), Err(SendFailure::Unknown)),
        (Play::Close, Err(SendFailure::Unknown)),
    ] {
        first.set_play(play.clone());
        let after = ProviderConfig { rank: 2, ..config(Kind::Tencent, &second.url()) };
        let providers =
            vec![scene.provider("second", after), scene.provider("first", config(Kind::Aliyun, &first.url()))];
        let sender = Failover::new(providers, Arc::new(Counting::default()));
        let before = second.received().len();
        let sent = sender.send(message(MOBILE)).await;
        assert_eq!(
            sent.as_ref().map(|accepted| accepted.provider.as_str()).map_err(|failure| *failure),
            outcome,
            "{play}"
        );
        assert_eq!(second.received().len() - before, usize::from(outcome == Ok("second")), "{play}");
    }
}

#[tokio::test]
async fn a_failing_provider_is_left_alone_and_tried_again() {
    let scene = Scene::new();
    let (first, second) = (scene.fake(Kind::Aliyun, Play::Accept).await, scene.fake(Kind::Tencent, Play::Accept).await);
    first.set_play(Play::Error("isv.AMOUNT_NOT_ENOUGH".to_owned()));
    let after = ProviderConfig { rank: 2, ..config(Kind::Tencent, &second.url()) };
    let providers = vec![scene.provider("first", config(Kind::Aliyun, &first.url())), scene.provider("second", after)];
    let sender = Failover::new(providers, Arc::new(Counting::default()));
    for _ in 0..10 {
        assert_eq!(sender.send(message(MOBILE)).await.unwrap().provider, "second");
    }
    assert_eq!(first.received().len(), 5, "five failures were enough");
    first.set_play(Play::Accept);
    scene.clock.advance(Duration::from_secs(10));
    assert_eq!(sender.send(message(MOBILE)).await.unwrap().provider, "first");
}

#[tokio::test]
async fn a_full_bulkhead_passes_on_to_the_next() {
    let scene = Scene::new();
    let (first, second) = (scene.fake(Kind::Aliyun, Play::Hang).await, scene.fake(Kind::Tencent, Play::Accept).await);
    let narrow = ProviderConfig { max_in_flight: 1, ..config(Kind::Aliyun, &first.url()) };
    let after = ProviderConfig { rank: 2, ..config(Kind::Tencent, &second.url()) };
    let providers = vec![scene.provider("first", narrow), scene.provider("second", after)];
    let sender = Arc::new(Failover::new(providers, Arc::new(Counting::default())));
    let hanging = tokio::spawn({
        let sender = Arc::clone(&sender);
        async move { sender.send(message(MOBILE)).await }
    });
    while first.received().is_empty() {
        tokio::task::yield_now().await;
    }
    assert_eq!(sender.send(message("13800138000")).await.unwrap().provider, "second");
    hanging.abort();
}

#[test]
fn weights_share_a_rank_and_countries_choose() {
    let scene = Scene::new();
    let with = |weight, countries: &[&str]| ProviderConfig {
        weight,
        countries: countries.iter().map(|&code| code.to_owned()).collect(),
        ..config(Kind::Twilio, "https://sms.example")
    };
    let providers = vec![
        scene.provider("three", with(3, &[])),
        scene.provider("one", with(1, &[])),
        scene.provider("abroad", with(1000, &["852", "1"])),
    ];
    let sender = Failover::new(providers, Arc::new(Counting::default()));
    let mut firsts = 0;
    for _ in 0..4_000 {
        let order = sender.order(&message(MOBILE));
        assert_eq!(order.len(), 2);
        firsts += usize::from(order[0].name() == "three");
    }
    assert!((2_900..3_100).contains(&firsts), "{firsts}");
    assert!(sender.order(&message("+85261234567")).iter().any(|provider| provider.name() == "abroad"));
}
