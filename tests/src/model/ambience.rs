//! Time, randomness, codes, messages and tokens in the model's hands.

use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};

use async_trait::async_trait;
use mobile_bind_domain::ports::{
    Accepted, Clock, CodeSource, NumberEvidence, OpenedSession, PlatformFailure, PlatformUser, Platforms, Randomness,
    SendFailure, SmsSender, TextMessage, TokenError, TokenIssuer, VouchedNumber,
};
use mobile_bind_domain::{
    CodeLength, Identity, KeyId, OpenId, Platform, Session, SessionId, SessionSeed, Timestamp, Token, UnionId,
    VerificationCode,
};

use super::reference::{Delivery, code_text};

/// When the model's time begins.
const BEGIN: Timestamp = Timestamp::from_seconds(1_634_727_340);

/// All ports but the store.
pub struct Ambience {
    millis: AtomicU64,
    seeds: AtomicU64,
    draws: AtomicU32,
    delivery: Mutex<Delivery>,
    outbox: Mutex<Vec<TextMessage>>,
}

impl Default for Ambience {
    fn default() -> Self {
        Self {
            millis: AtomicU64::new(BEGIN.as_millis()),
            seeds: AtomicU64::new(1),
            draws: AtomicU32::new(0),
            delivery: Mutex::new(Delivery::Sent),
            outbox: Mutex::default(),
        }
    }
}

impl Ambience {
    /// Moves the clock on.
    pub fn advance(&self, seconds: u64) {
        self.millis.fetch_add(seconds * 1000, Ordering::Relaxed);
    }

    /// What becomes of the messages from now on.
    pub fn deliver(&self, delivery: Delivery) {
        *self.delivery.lock().unwrap_or_else(PoisonError::into_inner) = delivery;
    }

    /// The messages that were sent since this was last asked.
    pub fn take_messages(&self) -> Vec<TextMessage> {
        std::mem::take(&mut *self.outbox.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Clock for Ambience {
    fn now(&self) -> Timestamp {
        Timestamp::from_millis(self.millis.load(Ordering::Relaxed))
    }
}

impl Randomness for Ambience {
    fn fill(&self, bytes: &mut [u8]) {
        let seed = self.seeds.fetch_add(1, Ordering::Relaxed).to_be_bytes();
        for (byte, source) in bytes.iter_mut().rev().zip(seed.iter().rev()) {
            *byte = *source;
        }
    }
}

impl CodeSource for Ambience {
    #[expect(clippy::expect_used, reason = "the model's codes are four digits")]
    fn draw(&self, _: CodeLength) -> VerificationCode {
        let text = code_text(self.draws.fetch_add(1, Ordering::Relaxed));
        VerificationCode::from_digits(&text).expect("a code")
    }
}

#[async_trait]
impl SmsSender for Ambience {
    async fn send(&self, message: TextMessage) -> Result<Accepted, SendFailure> {
        let delivery = *self.delivery.lock().unwrap_or_else(PoisonError::into_inner);
        if delivery != Delivery::Refused {
            self.outbox.lock().unwrap_or_else(PoisonError::into_inner).push(message);
        }
        match delivery {
            Delivery::Sent => Ok(Accepted::default()),
            Delivery::Refused => Err(SendFailure::Refused),
            Delivery::Unknown => Err(SendFailure::Unknown),
        }
    }
}

/// The token is its seed in hexadecimal digits.
impl TokenIssuer for Ambience {
    fn open(&self, seed: SessionSeed) -> Result<OpenedSession, TokenError> {
        let key = KeyId::new("model").ok_or_else(|| TokenError("a key id".into()))?;
        Ok(OpenedSession { seed, id: SessionId(seed.0), key })
    }

    fn issue(&self, session: &Session, _: Timestamp) -> Result<Token, TokenError> {
        Ok(Token::new(format!("{:032x}", u128::from_be_bytes(session.seed.0))))
    }

    fn read(&self, token: &str, _: Timestamp) -> Option<SessionId> {
        u128::from_str_radix(token, 16).ok().map(|seed| SessionId(seed.to_be_bytes()))
    }
}

/// A log-in code says whose it is; it is the service that lets it count once.
#[async_trait]
impl Platforms for Ambience {
    async fn log_in(&self, platform: Platform, code: &str) -> Result<PlatformUser, PlatformFailure> {
        let mut parts = code.split('/');
        let openid = parts.next().and_then(OpenId::new).ok_or(PlatformFailure::Stale)?;
        let unionid = parts.next().and_then(UnionId::new).filter(|_| platform.unionid_parameter().is_some());
        Ok(PlatformUser { openid, unionid, session_key: None })
    }

    async fn vouch(&self, _: &Identity, _: NumberEvidence<'_>) -> Result<VouchedNumber, PlatformFailure> {
        Err(PlatformFailure::NotOffered)
    }
}
