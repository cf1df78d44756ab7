//! All six platforms against the fake, over real HTTP.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use data_encoding::BASE64;
use mobile_bind_domain::ports::{Clock, NumberEvidence, PlatformFailure, PlatformUser, Platforms, Randomness};
use mobile_bind_domain::{AppId, Identity, KeyId, Platform, Timestamp};

use crate::config::{PlatformConfig, Secret};
use crate::fake::{FakePlatforms, Play};
use crate::{MiniPrograms, SealingKeys, Shared};

struct Set(AtomicU64);

impl Clock for Set {
    fn now(&self) -> Timestamp {
        Timestamp::from_seconds(1_634_727_340)
    }
}

impl Randomness for Set {
    fn fill(&self, bytes: &mut [u8]) {
        for byte in bytes {
            let drawn = self.0.fetch_add(0x9e37, Ordering::Relaxed);
            *byte = drawn.to_be_bytes()[6];
        }
    }
}

const NUMBER: &str = "17602128368";

struct Stage {
    fake: FakePlatforms,
    apps: MiniPrograms,
}

impl Stage {
    async fn with(change: impl Fn(&mut PlatformConfig)) -> Self {
        let set = Arc::new(Set(AtomicU64::new(7)));
        let app = |platform: Platform| format!("app-{}", platform.name());
        let fake = FakePlatforms::start(([127, 0, 0, 1], 0).into(), set.clone(), set.clone(), app).await.unwrap();
        let mut configs = fake.configs();
        configs.iter_mut().for_each(&change);
        let keys = SealingKeys::new(vec![(KeyId::new("k").unwrap(), [5; 32].into())]);
        Self { fake, apps: MiniPrograms::new(configs, Shared { clock: set, keys }).unwrap() }
    }

    async fn new() -> Self {
        Self::with(|_| {}).await
    }

    async fn user(&self, platform: Platform) -> (Identity, PlatformUser) {
        let user = self.apps.log_in(platform, "alice.1").await.unwrap();
        let app = AppId::new(&format!("app-{}", platform.name())).unwrap();
        (Identity { platform, app, openid: user.openid.clone() }, user)
    }
}

#[tokio::test]
async fn every_platform_says_whose_a_code_is_once() {
    let stage = Stage::new().await;
    for platform in Platform::ALL {
        let (_, user) = stage.user(platform).await;
        assert_eq!(user.openid.as_str(), format!("o-{}-alice", platform.name()));
        let has_unionid = platform.unionid_parameter().is_some();
        assert_eq!(user.unionid.map(|unionid| unionid.as_str().to_owned()), has_unionid.then(|| "u-alice".to_owned()));
        assert_eq!(user.session_key.is_some(), platform != Platform::Alipay);
        for code in ["alice.1", "nonsense"] {
            assert_eq!(stage.apps.log_in(platform, code).await, Err(PlatformFailure::Stale), "{platform:?} {code}");
        }
    }
}

#[tokio::test]
async fn a_wrong_secret_is_the_operators_matter() {
    let other = include_str!("fake/alipay.pem");
    let stage = Stage::with(|config| {
        let wrong = if config.platform == Platform::Alipay { other } else { "wrong" };
        config.secret = Secret::new(wrong.to_owned());
    });
    let stage = stage.await;
    for platform in Platform::ALL {
        assert_eq!(stage.apps.log_in(platform, "alice.1").await, Err(PlatformFailure::AppRefused), "{platform:?}");
    }
}

#[tokio::test]
async fn what_is_no_answer_is_told_as_such() {
    let stage = Stage::with(|config| config.timeout = Duration::from_millis(300)).await;
    for platform in Platform::ALL {
        for (play, failure) in [
            (Play::Garbage, PlatformFailure::Unreadable),
            (Play::Crash, PlatformFailure::Unavailable),
            (Play::Hang, PlatformFailure::Unavailable),
        ] {
            stage.fake.play(play);
            assert_eq!(stage.apps.log_in(platform, "alice.1").await, Err(failure), "{platform:?} {play:?}");
        }
    }
    stage.fake.play(Play::Busy);
    for platform in Platform::ALL {
        assert_eq!(stage.apps.log_in(platform, "alice.1").await, Err(PlatformFailure::Busy), "{platform:?}");
    }
    stage.fake.play(Play::Block);
    assert_eq!(stage.apps.log_in(Platform::Qq, "alice.1").await, Err(PlatformFailure::Blocked));
    let nobody = Stage::with(|config| config.url = "http://127.0.0.1:1".to_owned()).await;
    assert_eq!(nobody.apps.log_in(Platform::Weixin, "alice.1").await, Err(PlatformFailure::Unavailable));
}

#[tokio::test]
async fn alipays_answer_must_be_signed_by_alipay() {
    let stage = Stage::new().await;
    stage.fake.play(Play::Forge);
    assert_eq!(stage.apps.log_in(Platform::Alipay, "alice.1").await, Err(PlatformFailure::Unreadable));
    stage.fake.play(Play::Answer);
    assert!(stage.apps.log_in(Platform::Alipay, "alice.2").await.is_ok());
}

#[tokio::test]
async fn a_number_is_decrypted_with_the_log_ins_key_alone() {
    let stage = Stage::new().await;
    for platform in [Platform::Weixin, Platform::Qq, Platform::Toutiao, Platform::Baidu] {
        let (identity, user) = stage.user(platform).await;
        let key = user.session_key.unwrap();
        let shown = stage.fake.number(platform, "alice", NUMBER).unwrap();
        let vouch = async |identity: &Identity, data: &str, iv: &str| {
            stage.apps.vouch(identity, NumberEvidence::Encrypted { data, iv, session_key: &key }).await
        };
        let number = vouch(&identity, &shown.encrypted_data, &shown.iv).await.unwrap();
        assert_eq!((number.country.as_str(), number.national.as_str()), ("86", NUMBER), "{platform:?}");
        assert_eq!(number.vouched_at.is_none(), platform == Platform::Baidu);
        let again = vouch(&identity, &shown.encrypted_data, &shown.iv).await.unwrap();
        assert!(again.occasion == number.occasion);
        let mut bytes = BASE64.decode(shown.encrypted_data.as_bytes()).unwrap();
        let last = bytes.len() - 1;
        bytes[last] ^= 1;
        let openid = mobile_bind_domain::OpenId::new("another").unwrap();
        let other = Identity { openid, ..identity.clone() };
        for (identity, data, iv) in [
            (&identity, BASE64.encode(&bytes).as_str(), shown.iv.as_str()),
            (&identity, "", shown.iv.as_str()),
            (&identity, "not base64", shown.iv.as_str()),
            (&identity, shown.encrypted_data.as_str(), ""),
            (&other, shown.encrypted_data.as_str(), shown.iv.as_str()),
        ] {
            assert!(vouch(identity, data, iv).await == Err(PlatformFailure::Stale), "{platform:?}");
        }
        // The next log-in has another key.
        stage.apps.log_in(platform, "alice.2").await.unwrap();
        let newer = stage.fake.number(platform, "alice", NUMBER).unwrap();
        assert!(vouch(&identity, &newer.encrypted_data, &newer.iv).await == Err(PlatformFailure::Stale));
    }
}

#[tokio::test]
async fn a_number_for_another_app_is_refused() {
    let stage = Stage::new().await;
    let (identity, user) = stage.user(Platform::Weixin).await;
    let key = user.session_key.unwrap();
    let shown = stage.fake.number(Platform::Weixin, "alice", NUMBER).unwrap();
    let evidence = NumberEvidence::Encrypted { data: &shown.encrypted_data, iv: &shown.iv, session_key: &key };
    assert!(stage.apps.vouch(&identity, evidence).await.is_ok());
    let text =
        r#"{"phoneNumber":"1","purePhoneNumber":"1","countryCode":"86","watermark":{"timestamp":1,"appid":"wx"}}"#;
    let info = || serde_json::from_str::<crate::encrypted::PhoneInfo>(text).unwrap();
    assert!(info().vouched("wx").is_some() && info().vouched("wy").is_none());
}

#[tokio::test]
async fn weixin_tells_a_number_by_code_with_one_access_token() {
    let stage = Stage::new().await;
    let (identity, _) = stage.user(Platform::Weixin).await;
    let vouch = async |code: &str| stage.apps.vouch(&identity, NumberEvidence::Code(code)).await;
    for nonce in 1..=2 {
        let number = vouch(&format!("number-{NUMBER}.{nonce}")).await.unwrap();
        assert_eq!((number.country.as_str(), number.national.as_str()), ("86", NUMBER));
    }
    assert_eq!(stage.fake.access_tokens(), 1);
    assert!(vouch(&format!("number-{NUMBER}.1")).await == Err(PlatformFailure::Stale), "a code counts once");
    assert!(vouch("alice.9").await == Err(PlatformFailure::Stale), "a log-in code is none for a number");
    stage.fake.end_access_token();
    assert!(vouch(&format!("number-{NUMBER}.3")).await.is_ok(), "another token is fetched, and the code is not lost");
    assert_eq!(stage.fake.access_tokens(), 2);
}

#[tokio::test]
async fn what_a_platform_does_not_offer_is_refused() {
    let stage = Stage::new().await;
    for platform in [Platform::Qq, Platform::Toutiao, Platform::Baidu, Platform::Kuaishou, Platform::Alipay] {
        let (identity, _) = stage.user(platform).await;
        let refused = stage.apps.vouch(&identity, NumberEvidence::Code("number-1.1")).await;
        assert!(refused == Err(PlatformFailure::NotOffered), "{platform:?}");
    }
}
