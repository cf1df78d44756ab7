//! Against parts that were not written here: the vendors' SDKs, and a message centre.

#![expect(clippy::expect_used, clippy::panic, clippy::unwrap_used, reason = "a test may panic")]

mod message_centre;
mod vendors_sdks;

use std::collections::BTreeMap;
use std::process::{Command, Stdio};
use std::time::{Duration, SystemTime};

use mobile_bind_domain::ports::{Clock, Content, Randomness, TextMessage};
use mobile_bind_domain::{Language, Mobile, Timestamp, VerificationCode};
use mobile_bind_sms::{Kind, ProviderConfig, Secret};

/// Runs a command that fetches a part; says what to do where it cannot.
fn fetch(command: &mut Command, cure: &str) {
    match command.stdin(Stdio::null()).output() {
        Ok(output) if output.status.success() => {}
        Ok(output) => panic!("{command:?} failed; {cure}\n{}", String::from_utf8_lossy(&output.stderr)),
        Err(error) => panic!("{command:?} cannot be started ({error}); {cure}"),
    }
}

/// The code 0944 in Chinese, good for ten minutes.
fn message(mobile: &str) -> TextMessage {
    TextMessage {
        mobile: Mobile::restore(mobile).unwrap(),
        content: Content::Code(VerificationCode::from_digits("0944").unwrap()),
        language: Language::Zh,
        lifetime: Duration::from_secs(600),
        trail: Default::default(),
    }
}

/// A configuration with what all kinds have.
fn config(kind: Kind, url: String, credentials: [&str; 2], from: &str, template: &str) -> ProviderConfig {
    ProviderConfig {
        kind,
        url,
        account: credentials[0].to_owned(),
        secret: Secret::new(credentials[1].to_owned()),
        from: from.to_owned(),
        app_id: String::new(),
        region: String::new(),
        templates: BTreeMap::from([("bind".to_owned(), BTreeMap::from([("zh".to_owned(), template.to_owned())]))]),
        parameters: Vec::new(),
        domain: String::new(),
        home: "86".to_owned(),
        timeout: Duration::from_secs(10),
        max_in_flight: 4,
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

struct SystemClock;

impl Clock for SystemClock {
    #[expect(clippy::disallowed_methods, reason = "the other parts go by the machine's time, so this side must")]
    fn now(&self) -> Timestamp {
        Timestamp::default().after(SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap())
    }
}

struct Sevens;

impl Randomness for Sevens {
    fn fill(&self, bytes: &mut [u8]) {
        bytes.fill(7);
    }
}
