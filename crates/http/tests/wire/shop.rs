//! A service over fakes: a store that answers the same snapshots whatever is committed, a clock that stands still, and a
//! sender that can be held up.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use mobile_bind_domain::ports::{
    Accepted, AuditTrail, BindQuery, BindSnapshot, Clock, CommitError, LogInQuery, LogInSnapshot, OpenedSession,
    PoolFacts, Purged, RandomCodes, Randomness, ReplicationFacts, SendFailure, SendQuery, SendSnapshot,
    SessionSnapshot, SmsSender, Store, StoreError, StoreFacts, TextMessage, TokenError, TokenIssuer,
};
use mobile_bind_domain::{
    Account, AccountId, Challenge, Change, ClientType, CodeKey, CodeKeys, Guards, KeyId, MessageKey, Mobile,
    MobileRule, Outbox, OutboxMessage, PlatformProof, Policy, Proof, ProofId, Quota, Revision, Service, Session,
    SessionId, SessionSeed, SpentMark, Subject, Tally, Timestamp, Token, VerificationCode, Versioned,
};
use mobile_bind_http::{
    Admission, Behaviour, Capacity, Development, DevelopmentMessage, Forwarding, Parts, Presentation, endpoint,
};
use mobile_bind_sealing::AeadSealer;
use poem::endpoint::BoxEndpoint;
use poem::test::{TestClient, TestResponse};
use serde_json::Value;
use tokio::sync::{Notify, watch};

/// Any number may be sent a code, and the code is always [`CODE`]; but this one has just been sent one.
pub(crate) const RESTING_MOBILE: &str = "13800000001";
/// The store panics over this number.
pub(crate) const PANICKING_MOBILE: &str = "13800000002";
/// The SMS provider hangs over this number until [`Shop::release`] is notified.
pub(crate) const HANGING_MOBILE: &str = "13800000003";
/// The interface document's number.
pub(crate) const MOBILE: &str = "17602128368";
/// The interface document's code.
pub(crate) const CODE: &str = "0944";
/// The token of a session that is always there.
pub(crate) const TOKEN: &str = "1fa48232d7a0392ca22269a3d35b540f";
/// The session of [`TOKEN`].
pub(crate) const SESSION: SessionId = SessionId([7; 16]);

pub(crate) type Client = TestClient<BoxEndpoint<'static, poem::Response>>;

/// Everything that the fakes share.
#[derive(Default)]
pub(crate) struct Shop {
    pub(crate) broken: AtomicBool,
    pub(crate) commits: Mutex<Vec<Change>>,
    pub(crate) queries: Mutex<Vec<BindQuery>>,
    pub(crate) behaviours: Mutex<Vec<(String, Behaviour)>>,
    pub(crate) sent: Mutex<Vec<TextMessage>>,
    pub(crate) sending: Notify,
    pub(crate) release: Notify,
    pub(crate) released: Notify,
    advanced_millis: AtomicU64,
}

impl Shop {
    /// The service, with everything switched on.
    pub(crate) fn parts(self: &Arc<Self>) -> Parts {
        let rule = MobileRule::new(r"^1[3-9]\d{9}$").unwrap();
        let shop = || Arc::clone(self);
        let sealer = Arc::new(AeadSealer::new(keys().derived(b"outbox"), shop()).unwrap());
        let policy = Policy::new(rule, PlatformProof::Trust);
        let outbox = Outbox {
            store: shop(),
            sms: shop(),
            sealer: sealer.clone(),
            clock: shop(),
            policy: policy.outbox,
            attempts: policy.attempts,
        };
        let service = Service {
            platforms: Arc::new(mobile_bind_domain::ports::NoPlatforms),
            audit: Default::default(),
            store: shop(),
            relay: Arc::new(outbox),
            sealer,
            clock: shop(),
            randomness: shop(),
            codes: Arc::new(RandomCodes(shop())),
            tokens: shop(),
            keys: keys(),
            policy: policy.into(),
            guards: Guards::default(),
        };
        let presentation = Presentation {
            default_avatar: "https://shop.example/default.jpg".to_owned(),
            attachment_host: "https://shop.example".to_owned(),
            time_zone: jiff::tz::TimeZone::UTC,
            mandatory_bind: std::sync::Arc::new(false.into()),
            captcha: None,
        };
        Parts {
            service: Arc::new(service),
            presentation,
            forwarding: Forwarding::default(),
            cors_origins: Vec::new(),
            key_set: Some(serde_json::json!({ "keys": [] })),
            // How busy the machine is must not decide on what a test sees.
            admission: Admission::new(Capacity { long_wait: Duration::ZERO, ..Capacity::default() }),
            metrics: None,
            bind_page: false,
            callbacks: None,
            development: Some(shop()),
        }
    }

    pub(crate) fn client(self: &Arc<Self>) -> Client {
        TestClient::new(endpoint(self.parts()))
    }
}

/// The answer's envelope, after a look at what every answer must have.
pub(crate) async fn envelope(response: TestResponse) -> (i64, Value) {
    assert_eq!(response.0.content_type(), Some("application/json; charset=utf-8"));
    assert_standing_headers(&response);
    let envelope: Value = serde_json::from_str(&response.0.into_body().into_string().await.unwrap()).unwrap();
    assert_eq!(envelope.as_object().unwrap().keys().collect::<Vec<_>>(), ["msg", "code", "data"]);
    assert!(!envelope["msg"].as_str().unwrap().is_empty());
    let code = envelope["code"].as_i64().unwrap();
    if code != 0 {
        assert_eq!(envelope["data"], serde_json::json!([]));
    }
    (code, envelope)
}

pub(crate) fn assert_standing_headers(response: &TestResponse) {
    response.assert_header("cache-control", "no-store");
    response.assert_header("referrer-policy", "no-referrer");
    response.assert_header("x-content-type-options", "nosniff");
    response.assert_header_exist("x-request-id");
}

fn keys() -> CodeKeys {
    CodeKeys::new(CodeKey::new(KeyId::new("test").unwrap(), [1; 32]), Vec::new())
}

fn account(id: u64) -> Versioned<Account> {
    let mut account = Account::new(AccountId::new(id).unwrap(), Timestamp::from_seconds(1_627_535_697));
    account.mobile = Mobile::restore("13900000000");
    Versioned { revision: Revision(1), value: account }
}

impl Shop {
    fn check(&self) -> Result<(), StoreError> {
        let broken = self.broken.load(Ordering::Relaxed);
        if broken { Err(StoreError(Box::new(std::io::Error::other("broken")))) } else { Ok(()) }
    }
}

#[async_trait]
impl Store for Shop {
    async fn load_send(&self, query: &SendQuery) -> Result<SendSnapshot, StoreError> {
        self.check()?;
        let mobile = query.key.mobile.as_str();
        assert_ne!(mobile, PANICKING_MOBILE, "as the test wants it");
        let mut tallies = HashMap::new();
        if mobile == RESTING_MOBILE {
            let mut tally = Tally::default();
            tally.add([Quota::new(1, 60)].iter(), Timestamp::from_millis(self.now().as_millis() - 18_500));
            tallies.insert(Subject::SendsTo(query.key.mobile.clone()), tally);
        }
        Ok(SendSnapshot { tallies, ..SendSnapshot::default() })
    }

    async fn load_bind(&self, query: &BindQuery) -> Result<BindSnapshot, StoreError> {
        self.check()?;
        self.queries.lock().unwrap().push(query.clone());
        let mac = keys().seal(&query.key, &VerificationCode::from_digits(CODE).unwrap());
        let challenge = Challenge::issue(mac, self.now(), Duration::from_secs(600));
        let challenge = Some(Versioned { revision: Revision(1), value: challenge });
        Ok(BindSnapshot { challenge, ..BindSnapshot::default() })
    }

    async fn load_log_in(&self, _: &LogInQuery) -> Result<LogInSnapshot, StoreError> {
        self.check()?;
        Ok(LogInSnapshot::default())
    }

    async fn load_session(&self, id: SessionId) -> Result<Option<SessionSnapshot>, StoreError> {
        self.check()?;
        let session = Session {
            id,
            seed: SessionSeed([7; 16]),
            key: KeyId::new("test").unwrap(),
            account: AccountId::MIN,
            client_type: ClientType::Pc,
            issued_at: self.now(),
            used_at: self.now(),
        };
        Ok((id == SESSION).then(|| SessionSnapshot { session, account: account(1) }))
    }

    async fn allot_account_id(&self) -> Result<AccountId, StoreError> {
        Ok(AccountId::MIN)
    }

    async fn commit(&self, change: Change) -> Result<Revision, CommitError> {
        self.check()?;
        self.commits.lock().unwrap().push(change);
        Ok(Revision(2))
    }

    async fn account(&self, id: AccountId) -> Result<Option<Versioned<Account>>, StoreError> {
        Ok(Some(account(id.get())))
    }

    async fn account_of(&self, _: &Mobile) -> Result<Option<Versioned<Account>>, StoreError> {
        Ok(None)
    }

    async fn accounts(&self, _: Option<AccountId>, _: usize) -> Result<Vec<Versioned<Account>>, StoreError> {
        Ok(Vec::new())
    }

    async fn sessions_of(&self, _: AccountId) -> Result<Vec<Session>, StoreError> {
        Ok(Vec::new())
    }

    fn audit(&self) -> &dyn AuditTrail {
        unreachable!("nobody asks for the audit over the wire")
    }

    async fn proofs(&self, _: Option<ProofId>, _: usize) -> Result<Vec<(ProofId, Proof)>, StoreError> {
        Ok(Vec::new())
    }

    async fn spent(&self, _: Option<SpentMark>, _: usize) -> Result<Vec<(SpentMark, Timestamp)>, StoreError> {
        Ok(Vec::new())
    }

    async fn message(&self, _: &MessageKey) -> Result<Option<Versioned<OutboxMessage>>, StoreError> {
        Ok(None)
    }

    async fn messages_to(&self, _: &Mobile, _: usize) -> Result<Vec<Versioned<OutboxMessage>>, StoreError> {
        Ok(Vec::new())
    }

    async fn message_by_reference(&self, _: &str, _: &str) -> Result<Option<Versioned<OutboxMessage>>, StoreError> {
        Ok(None)
    }

    async fn messages(&self, _: Option<&MessageKey>, _: usize) -> Result<Vec<Versioned<OutboxMessage>>, StoreError> {
        Ok(Vec::new())
    }

    async fn due_messages(&self, _: Timestamp, _: usize) -> Result<Vec<Versioned<OutboxMessage>>, StoreError> {
        Ok(Vec::new())
    }

    async fn purge(&self, _: Timestamp, _: Timestamp, _: usize) -> Result<Purged, StoreError> {
        Ok(Purged::default())
    }

    async fn check(&self) -> Result<(), StoreError> {
        Self::check(self)
    }

    fn facts(&self) -> StoreFacts {
        let pool = PoolFacts { limit: 16, open: 3, in_use: 2, waiting: 1 };
        let lag = Some(Duration::from_micros(1500));
        let replication = ReplicationFacts { standbys: 2, synchronous: 1, lag_bytes: 512, lag };
        StoreFacts { kind: "shop", node: Some(7), pool: Some(pool), replication: Some(replication) }
    }

    async fn close(&self) -> Result<(), StoreError> {
        Ok(())
    }
}

#[async_trait]
impl SmsSender for Shop {
    async fn send(&self, message: TextMessage) -> Result<Accepted, SendFailure> {
        if message.mobile.as_str() == HANGING_MOBILE {
            self.sending.notify_one();
            self.release.notified().await;
            self.sent.lock().unwrap().push(message);
            self.released.notify_one();
            return Ok(Accepted::default());
        }
        self.sent.lock().unwrap().push(message);
        Ok(Accepted::default())
    }
}

impl Clock for Shop {
    fn now(&self) -> Timestamp {
        Timestamp::from_millis(1_634_727_340_000 + self.advanced_millis.load(Ordering::Relaxed))
    }
}

impl Randomness for Shop {
    fn fill(&self, bytes: &mut [u8]) {
        bytes.fill(7);
    }
}

impl TokenIssuer for Shop {
    fn open(&self, seed: SessionSeed) -> Result<OpenedSession, TokenError> {
        Ok(OpenedSession { seed, id: SESSION, key: KeyId::new("test").unwrap() })
    }

    fn issue(&self, _: &Session, _: Timestamp) -> Result<Token, TokenError> {
        Ok(Token::new(TOKEN.to_owned()))
    }

    fn read(&self, token: &str, _: Timestamp) -> Option<SessionId> {
        (token == TOKEN).then_some(SESSION)
    }
}

impl Development for Shop {
    fn messages(&self, mobile: Option<&str>) -> Vec<DevelopmentMessage> {
        let sent = self.sent.lock().unwrap();
        let wanted = sent.iter().rev().filter(|message| mobile.is_none_or(|mobile| mobile == message.mobile.as_str()));
        let told = |message: &TextMessage| {
            let code = message.content.code().unwrap().digits();
            let (mobile, text) = (message.mobile.as_str().to_owned(), format!("code {code}"));
            DevelopmentMessage { mobile, text, code: code.to_owned(), sent_at: self.now() }
        };
        wanted.map(told).collect()
    }

    /// Nothing changes any more: whoever listens is told once, and no more.
    fn changes(&self) -> watch::Receiver<u64> {
        watch::channel(0).1
    }

    fn behaviours(&self) -> Vec<(String, Behaviour)> {
        self.behaviours.lock().unwrap().clone()
    }

    fn set_behaviour(&self, mobile: &str, behaviour: Behaviour) {
        self.behaviours.lock().unwrap().push((mobile.to_owned(), behaviour));
    }

    fn advance_clock(&self, by: Duration) {
        let millis = u64::try_from(by.as_millis()).unwrap();
        self.advanced_millis.fetch_add(millis, Ordering::Relaxed);
    }
}
