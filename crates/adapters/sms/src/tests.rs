//! What the tests of this crate share.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use mobile_bind_domain::ports::{Clock, Content, Randomness, TextMessage};
use mobile_bind_domain::{Language, Mobile, Timestamp, VerificationCode};

use crate::config::{Kind, ProviderConfig};
use crate::http_client::HttpClient;
use crate::provider::Shared;
use crate::secret::Secret;
use crate::wording::Templates;

/// The code 0944 in English, good for ten minutes.
pub(crate) fn message(mobile: &str) -> TextMessage {
    TextMessage {
        mobile: Mobile::restore(mobile).unwrap(),
        content: Content::Code(VerificationCode::from_digits("0944").unwrap()),
        language: Language::En,
        lifetime: Duration::from_secs(600),
        trail: Default::default(),
    }
}

/// Templates for binding, by language.
/// What providers share, with a clock that stands still and nobody who hears receipts.
pub(crate) fn shared() -> Shared {
    Shared {
        client: HttpClient::new().unwrap(),
        clock: Arc::new(HandClock::default()),
        randomness: Arc::new(Counting::default()),
        receipts: Arc::new(|_, _| {}),
    }
}

pub(crate) fn templates(by_language: &[(&str, &str)]) -> Templates {
    let by_language = by_language.iter().map(|&(language, text)| (language.to_owned(), text.to_owned())).collect();
    Templates(BTreeMap::from([("bind".to_owned(), by_language)]))
}

/// A good configuration of each kind.
pub(crate) fn config(kind: Kind, url: &str) -> ProviderConfig {
    let texts = |texts: [&'static str; 5]| texts.map(str::to_owned);
    let [account, secret, from, app_id, parameter] = texts(match kind {
        Kind::Aliyun => ["key-id", "s3cret-of-aliyun", "阿里云", "", "code={code}"],
        Kind::Tencent => ["secret-id", "s3cret-of-tencent", "腾讯云", "1400006666", "{code}"],
        Kind::Twilio => ["AC1", "s3cret-of-twilio", "+15005550006", "", ""],
        Kind::Webhook => ["", "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", "", "", ""],
        Kind::Smpp => ["system-id", "pass-wd", "Shop", "", ""],
    });
    let approved = matches!(kind, Kind::Aliyun | Kind::Tencent);
    ProviderConfig {
        kind,
        url: url.to_owned(),
        account,
        secret: Secret::new(secret),
        from,
        app_id,
        region: if kind == Kind::Tencent { "ap-guangzhou".to_owned() } else { String::new() },
        templates: if approved { templates(&[("zh", "1001"), ("en", "1002")]).0 } else { BTreeMap::new() },
        parameters: if approved { vec![parameter] } else { Vec::new() },
        domain: String::new(),
        home: "86".to_owned(),
        timeout: Duration::from_secs(3),
        max_in_flight: 8,
        rate: Vec::new(),
        countries: Vec::new(),
        purposes: Vec::new(),
        rank: 1,
        weight: 1,
        price: 0,
        prices: Default::default(),
        callbacks: Default::default(),
        plain_http: false,
    }
}

/// A clock that is moved by hand.
#[derive(Default)]
pub(crate) struct HandClock(AtomicU64);

impl HandClock {
    pub(crate) fn advance(&self, by: Duration) {
        self.0.fetch_add(u64::try_from(by.as_millis()).unwrap(), Ordering::Relaxed);
    }
}

impl Clock for HandClock {
    fn now(&self) -> Timestamp {
        Timestamp::from_seconds(1_700_000_000).after(Duration::from_millis(self.0.load(Ordering::Relaxed)))
    }
}

/// Bytes that count up.
#[derive(Default)]
pub(crate) struct Counting(AtomicU64);

impl Randomness for Counting {
    fn fill(&self, bytes: &mut [u8]) {
        // A step that is coprime to everything small spreads the draws evenly.
        let drawn = self.0.fetch_add(1, Ordering::Relaxed).wrapping_mul(0x9E37_79B9_7F4A_7C15).to_be_bytes();
        for (byte, source) in bytes.iter_mut().zip(drawn.iter().cycle()) {
            *byte = *source;
        }
    }
}
