//! Mini-programs on all six platforms, over HTTP: the log-in, the number that a platform vouches for, and how long its word
//! counts. The fake verifies what it is sent as the platforms do.

#![expect(clippy::unwrap_used, reason = "a test may panic")]

use std::time::Duration;

use mobile_bind::Settings;
use mobile_bind::settings::{LimitMode, ProofSetting};
use mobile_bind_domain::Platform;
use mobile_bind_platforms::fake::Play;
use mobile_bind_tests::harness::{Answer, TestServer};

const MOBILE: &str = "17602128368";
const OTHER: &str = "13500135000";
const DAY: Duration = Duration::from_secs(24 * 3600);

struct Shop(TestServer);

impl Shop {
    async fn start(proof: ProofSetting) -> Self {
        Self::start_with(|settings| settings.platform_proof = proof).await
    }

    async fn start_with(set: impl FnOnce(&mut Settings)) -> Self {
        let server = TestServer::start_with(|settings| {
            settings.limits.mode = LimitMode::Off;
            set(settings);
        });
        Self(server.await.unwrap())
    }

    async fn post(&self, platform: Platform, uuid: &str, path: &str, fields: &[(&str, &str)]) -> Answer {
        let body = fields.iter().fold(form_urlencoded::Serializer::new(String::new()), |mut form, (name, value)| {
            form.append_pair(name, value);
            form
        });
        let path = format!("/user/{path}?application_client_type={}&uuid={uuid}", platform.name());
        self.0.post(&path, &{ body }.finish()).await.unwrap()
    }

    async fn log_in(&self, platform: Platform, uuid: &str, code: &str) -> Answer {
        self.post(platform, uuid, "appminiuserauth", &[("authcode", code)]).await
    }

    /// Binds by code and openid.
    async fn bind(&self, platform: Platform, uuid: &str, user: &str, mobile: &str) -> Answer {
        self.0.clock.advance(Duration::from_secs(61));
        assert_eq!(self.0.send_code(uuid, mobile).await.unwrap().code(), Some(0));
        let verify = self.0.last_code(mobile).unwrap();
        let (name, openid) = (format!("{}_openid", platform.name()), openid(platform, user));
        let fields = [("mobile", mobile), ("verify", &verify), (&name, &openid)];
        self.post(platform, uuid, "appmobilebind", &fields).await
    }

    /// Binds the number that the platform vouches for, encrypted.
    async fn bind_encrypted(&self, platform: Platform, uuid: &str, user: &str, mobile: &str) -> Answer {
        let shown = self.0.app.platforms.as_ref().unwrap().number(platform, user, mobile).unwrap();
        let fields = [("openid", openid(platform, user)), ("encrypted_data", shown.encrypted_data), ("iv", shown.iv)];
        let fields = fields.each_ref().map(|(name, value)| (*name, value.as_str()));
        self.post(platform, uuid, "onekeyusermobilebind", &fields).await
    }

    fn play(&self, play: Play) {
        self.0.app.platforms.as_ref().unwrap().play(play);
    }
}

fn openid(platform: Platform, user: &str) -> String {
    format!("o-{}-{user}", platform.name())
}

#[tokio::test]
async fn a_user_of_each_platform_logs_in_binds_and_is_known_again() {
    for proof in [ProofSetting::Required, ProofSetting::Trust] {
        let shop = Shop::start(proof).await;
        for (index, platform) in Platform::ALL.into_iter().enumerate() {
            let (uuid, mobile) = (platform.name(), format!("1760212836{index}"));
            let stranger = shop.log_in(platform, uuid, "alice.1").await;
            assert_eq!(
                (stranger.code(), &stranger.body["data"]["is_user_exist"]),
                (Some(0), &0.into()),
                "{}",
                stranger.text
            );
            assert_eq!(stranger.field("openid"), openid(platform, "alice"), "{}", stranger.text);
            let bound = shop.bind(platform, uuid, "alice", &mobile).await;
            assert_eq!((bound.code(), bound.field("mobile")), (Some(0), mobile.as_str()), "{}", bound.text);
            let known = shop.log_in(platform, "another phone", "alice.2").await;
            assert_eq!(&known.body["data"]["is_user_exist"], &1, "{}", known.text);
            assert_eq!((known.field("id"), known.field("mobile")), (bound.field("id"), mobile.as_str()));
        }
        shop.0.stop().await.unwrap();
    }
}

#[tokio::test]
async fn a_platforms_faults_prove_nothing_and_pass() {
    let shop = Shop::start(ProofSetting::Required).await;
    for platform in Platform::ALL {
        let (uuid, mut code) = (platform.name(), 0);
        for play in [Play::Busy, Play::Block, Play::Garbage, Play::Crash, Play::Forge] {
            // Alipay alone signs.
            if play == Play::Forge && platform != Platform::Alipay {
                continue;
            }
            shop.play(play);
            code += 1;
            let failed = shop.log_in(platform, uuid, &format!("alice.{code}")).await;
            assert!(failed.code().is_some_and(|code| code < 0), "{platform:?} {play:?}: {}", failed.text);
            assert!(!failed.text.contains("an inner text") && !failed.text.contains("o-"), "{}", failed.text);
            shop.play(Play::Answer);
            let refused = shop.bind(platform, uuid, "alice", MOBILE).await;
            assert_eq!(refused.code(), Some(-400), "{platform:?} {play:?}: {}", refused.text);
        }
        assert_eq!(shop.log_in(platform, uuid, "alice.9").await.code(), Some(0), "{platform:?}");
    }
    shop.0.stop().await.unwrap();
}

/// All at once, so that one timeout is waited for, and no more.
#[tokio::test]
async fn a_platform_that_never_answers_is_given_up_and_nothing_is_left_of_it() {
    let shop = Shop::start_with(|settings| {
        settings.platform_proof = ProofSetting::Required;
        settings.platforms.timeout_ms = 2_000;
    });
    let shop = shop.await;
    shop.log_in(Platform::Weixin, "known", "carol.1").await;
    let by_code = async || {
        let fields = [("openid", "o-weixin-carol"), ("code", &*format!("number-{OTHER}.1"))];
        shop.post(Platform::Weixin, "known", "onekeyusermobilebind", &fields).await
    };
    shop.play(Play::Hang);
    let [a, b, c, d, e, f] = Platform::ALL.map(|platform| shop.log_in(platform, platform.name(), "alice.1"));
    let given_up: [Answer; 7] = tokio::join!(a, b, c, d, e, f, by_code()).into();
    for answer in &given_up {
        let said = answer.body["msg"].as_str().unwrap_or_default();
        assert_eq!((answer.code(), &answer.body["data"]), (Some(-100), &serde_json::json!([])), "{}", answer.text);
        assert!(said.ends_with("[平台暂时无法连接，请稍后再试]"), "{}", answer.text);
    }
    shop.play(Play::Answer);
    for platform in Platform::ALL {
        // Nothing was proved, and the code that was sent in vain is good still.
        let refused = shop.bind(platform, platform.name(), "alice", MOBILE).await;
        assert_eq!(refused.code(), Some(-400), "{platform:?}: {}", refused.text);
        let again = shop.log_in(platform, platform.name(), "alice.1").await;
        assert_eq!((again.code(), &again.body["data"]["is_user_exist"]), (Some(0), &0.into()), "{}", again.text);
    }
    let bound = by_code().await;
    assert_eq!((bound.code(), bound.field("mobile")), (Some(0), OTHER), "{}", bound.text);
    shop.0.stop().await.unwrap();
}

#[tokio::test]
async fn weixin_vouches_for_a_number_by_a_code() {
    // Also under trust the openid must be proved here.
    for proof in [ProofSetting::Required, ProofSetting::Trust] {
        let shop = Shop::start(proof).await;
        let by_code = async |code: &str, openid: &str| {
            let fields = [("openid", openid), ("code", code)];
            shop.post(Platform::Weixin, "u", "onekeyusermobilebind", &fields).await
        };
        let code = format!("number-{MOBILE}.1");
        assert_eq!(by_code(&code, "o-weixin-alice").await.code(), Some(-400), "not proved");
        shop.log_in(Platform::Weixin, "u", "alice.1").await;
        let bound = by_code(&code, "o-weixin-alice").await;
        assert_eq!((bound.code(), bound.field("mobile")), (Some(0), MOBILE), "{}", bound.text);
        assert!(shop.0.app.sms.messages(None).is_empty(), "no message is needed");
        assert_eq!(by_code(&format!("number-{OTHER}.2"), "o-weixin-bob").await.code(), Some(-400), "another's openid");
        // Whoever has a number keeps it, and is let in.
        let entered = by_code(&format!("number-{OTHER}.3"), "o-weixin-alice").await;
        assert_eq!(
            (entered.code(), entered.field("id"), entered.field("mobile")),
            (Some(0), bound.field("id"), MOBILE)
        );
        assert_ne!(by_code(&format!("number-{OTHER}.3"), "o-weixin-alice").await.code(), Some(0), "a code counts once");
        shop.0.stop().await.unwrap();
    }
}

#[tokio::test]
async fn four_platforms_vouch_for_an_encrypted_number() {
    let shop = Shop::start(ProofSetting::Required).await;
    let platforms = [Platform::Weixin, Platform::Qq, Platform::Toutiao, Platform::Baidu];
    for (index, platform) in platforms.into_iter().enumerate() {
        let (uuid, mobile) = (platform.name(), format!("1760212836{index}"));
        shop.log_in(platform, uuid, "alice.1").await;
        let elsewhere = shop.bind_encrypted(platform, "another phone", "alice", &mobile).await;
        assert_eq!(elsewhere.code(), Some(-400), "{platform:?}: {}", elsewhere.text);
        let bound = shop.bind_encrypted(platform, uuid, "alice", &mobile).await;
        assert_eq!((bound.code(), bound.field("mobile")), (Some(0), mobile.as_str()), "{platform:?}: {}", bound.text);

        // What was encrypted for a log-in before this one is of no use.
        let old = shop.0.app.platforms.as_ref().unwrap().number(platform, "alice", OTHER).unwrap();
        shop.log_in(platform, uuid, "alice.2").await;
        let openid = openid(platform, "alice");
        let fields = [("openid", &*openid), ("encrypted_data", &old.encrypted_data), ("iv", &old.iv)];
        let stale = shop.post(platform, uuid, "onekeyusermobilebind", &fields).await;
        assert_eq!(stale.code(), Some(-400), "{platform:?}: {}", stale.text);
    }
    shop.0.stop().await.unwrap();
}

#[tokio::test]
async fn a_number_that_was_vouched_for_long_ago_is_refused() {
    let shop = Shop::start(ProofSetting::Required).await;
    for platform in [Platform::Weixin, Platform::Qq, Platform::Toutiao] {
        let uuid = platform.name();
        shop.log_in(platform, uuid, "alice.1").await;
        let old = shop.0.app.platforms.as_ref().unwrap().number(platform, "alice", MOBILE).unwrap();
        shop.0.clock.advance(Duration::from_secs(301));
        let openid = openid(platform, "alice");
        let fields = [("openid", &*openid), ("encrypted_data", &old.encrypted_data), ("iv", &old.iv)];
        let late = shop.post(platform, uuid, "onekeyusermobilebind", &fields).await;
        assert_eq!(late.code(), Some(-400), "{platform:?}: {}", late.text);
    }
    shop.0.stop().await.unwrap();
}

#[tokio::test]
async fn kuaishou_and_alipay_vouch_for_no_number() {
    let shop = Shop::start(ProofSetting::Required).await;
    for platform in [Platform::Kuaishou, Platform::Alipay] {
        shop.log_in(platform, platform.name(), "alice.1").await;
        let openid = openid(platform, "alice");
        let fields = [("openid", openid.as_str()), ("encrypted_data", "AAAA"), ("iv", "AAAA")];
        let refused = shop.post(platform, platform.name(), "onekeyusermobilebind", &fields).await;
        assert!(refused.code().is_some_and(|code| code < 0), "{platform:?}: {}", refused.text);
    }
    shop.0.stop().await.unwrap();
}

/// Thirty days from the last use, across a restart.
#[tokio::test]
async fn a_proof_lasts_for_as_long_as_it_is_used() {
    let shop = Shop::start(ProofSetting::Required).await;
    shop.log_in(Platform::Weixin, "u", "alice.1").await;
    shop.0.clock.advance(DAY * 29);
    assert_eq!(shop.bind(Platform::Weixin, "u", "alice", MOBILE).await.code(), Some(0));
    let shop = Shop(shop.0.restart().await.unwrap());
    shop.0.clock.advance(DAY * 29);
    // -51: the number is his already, and the proof was taken.
    assert_eq!(shop.bind(Platform::Weixin, "u", "alice", MOBILE).await.code(), Some(-51));
    shop.0.stop().await.unwrap();

    let shop = Shop::start(ProofSetting::Required).await;
    shop.log_in(Platform::Weixin, "u", "alice.1").await;
    shop.0.clock.advance(DAY * 30);
    let late = shop.bind(Platform::Weixin, "u", "alice", MOBILE).await;
    assert_eq!(late.code(), Some(-400), "{}", late.text);
    shop.log_in(Platform::Weixin, "u", "alice.2").await;
    assert_eq!(shop.bind(Platform::Weixin, "u", "alice", MOBILE).await.code(), Some(0));
    shop.0.stop().await.unwrap();
}
