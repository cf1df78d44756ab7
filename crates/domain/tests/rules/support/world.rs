//! The service over a store in memory, with time, codes and messages in the test's hands.

use std::future::Future;
use std::pin::pin;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Waker};

use async_trait::async_trait;
use mobile_bind_domain::bind::BindParameters;
use mobile_bind_domain::policy::OutboxPolicy;
use mobile_bind_domain::ports::{
    Accepted, Clock, CodeSource, NoPlatforms, OpenedSession, Outgoing, Randomness, Relay, SendFailure, SendQuery,
    SendSnapshot, SmsSender, Store, TextMessage, TokenError, TokenIssuer,
};
use mobile_bind_domain::service::LoggedIn;
use mobile_bind_domain::{
    Account, ChallengeKey, Change, ClientType, CodeLength, Guards, KeyId, Outbox, OutboxMessage, PlatformProof, Policy,
    Refusal, Revision, SendParameters, Service, Session, SessionId, SessionSeed, Timestamp, Token, VerificationCode,
    Write,
};
use mobile_bind_memory::MemoryStore;
use mobile_bind_sealing::AeadSealer;

use super::{NOW, client, keys, mobile, requester};

/// The result of a future that never waits, as none does over a store in memory.
pub(crate) fn ready<F: Future>(future: F) -> F::Output {
    match pin!(future).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(output) => output,
        Poll::Pending => unreachable!("nothing waits in memory"),
    }
}

/// Time that stands still until it is moved, randomness and codes that count up, and an outbox.
pub(crate) struct Ambience {
    millis: AtomicU64,
    drawn: AtomicU64,
    pub(crate) outbox: Mutex<Vec<TextMessage>>,
    pub(crate) failure: Mutex<Option<SendFailure>>,
    reference: Mutex<Accepted>,
}

impl Clock for Ambience {
    fn now(&self) -> Timestamp {
        Timestamp::from_millis(self.millis.load(Ordering::Relaxed))
    }
}

impl Randomness for Ambience {
    fn fill(&self, bytes: &mut [u8]) {
        let drawn = self.drawn.fetch_add(1, Ordering::Relaxed).to_le_bytes();
        for (byte, source) in bytes.iter_mut().zip(drawn.iter().cycle()) {
            *byte = *source;
        }
    }
}

impl CodeSource for Ambience {
    fn draw(&self, _: CodeLength) -> VerificationCode {
        let drawn = self.drawn.fetch_add(1, Ordering::Relaxed) % 10_000;
        VerificationCode::from_digits(&format!("{drawn:04}")).unwrap()
    }
}

#[async_trait]
impl SmsSender for Ambience {
    async fn send(&self, message: TextMessage) -> Result<Accepted, SendFailure> {
        if let Some(failure) = *self.failure.lock().unwrap() {
            return Err(failure);
        }
        self.outbox.lock().unwrap().push(message);
        Ok(self.reference.lock().unwrap().clone())
    }
}

impl TokenIssuer for Ambience {
    fn open(&self, seed: SessionSeed) -> Result<OpenedSession, TokenError> {
        Ok(OpenedSession { seed, id: SessionId(seed.0), key: KeyId::new("k").unwrap() })
    }

    fn issue(&self, session: &Session, _: Timestamp) -> Result<Token, TokenError> {
        Ok(Token::new(format!("{:032x}", u128::from_be_bytes(session.seed.0))))
    }

    fn read(&self, token: &str, _: Timestamp) -> Option<SessionId> {
        u128::from_str_radix(token, 16).ok().map(|seed| SessionId(seed.to_be_bytes()))
    }
}

/// Takes messages, and does nothing about them.
struct Forgetful;

#[async_trait]
impl Relay for Forgetful {
    async fn relay(&self, _: Outgoing) -> Result<(), SendFailure> {
        Ok(())
    }
}

pub(crate) struct World {
    pub(crate) ambience: Arc<Ambience>,
    pub(crate) store: Arc<MemoryStore>,
    pub(crate) outbox: Arc<Outbox>,
    pub(crate) service: Service,
}

impl World {
    /// With openids taken on trust.
    pub(crate) fn new() -> Self {
        let ambience = Arc::new(Ambience {
            millis: AtomicU64::new(NOW.as_millis()),
            drawn: AtomicU64::new(1000),
            outbox: Mutex::default(),
            failure: Mutex::default(),
            reference: Mutex::default(),
        });
        let store = Arc::new(MemoryStore::default());
        let policy = Policy { platform_proof: PlatformProof::Trust, ..Policy::default() };
        let sealer = Arc::new(AeadSealer::new(keys().derived(b"outbox"), ambience.clone()).unwrap());
        let outbox = Arc::new(Outbox {
            store: store.clone(),
            sms: ambience.clone(),
            sealer: sealer.clone(),
            clock: ambience.clone(),
            policy: policy.outbox,
            attempts: policy.attempts,
        });
        let service = Service {
            audit: Default::default(),
            store: store.clone(),
            relay: outbox.clone(),
            sealer,
            clock: ambience.clone(),
            randomness: ambience.clone(),
            codes: ambience.clone(),
            platforms: Arc::new(NoPlatforms),
            tokens: ambience.clone(),
            keys: keys(),
            policy: policy.into(),
            guards: Guards::default(),
        };
        Self { ambience, store, outbox, service }
    }

    /// From now on a message stays where it is once it is stored, as if the node ended there.
    pub(crate) fn forget_to_relay(&mut self) {
        self.service.relay = Arc::new(Forgetful);
    }

    /// From now on the outbox follows this policy.
    pub(crate) fn set_outbox(&mut self, policy: OutboxPolicy) {
        let sealer = Arc::clone(&self.outbox.sealer);
        self.service.policy.change(|current| current.outbox = policy);
        self.outbox = Arc::new(Outbox {
            store: self.store.clone(),
            sms: self.ambience.clone(),
            sealer,
            clock: self.ambience.clone(),
            policy,
            attempts: 64,
        });
        self.service.relay = self.outbox.clone();
    }

    /// The provider answers with this from now on.
    pub(crate) fn answer_with_reference(&self, provider: &str, reference: &str) {
        *self.ambience.reference.lock().unwrap() = Accepted { provider: provider.to_owned(), id: reference.to_owned() };
    }

    /// Stores that a message was handed over, and no more.
    pub(crate) fn hand_over(&self, message: &OutboxMessage) {
        let found = ready(self.store.message(&message.key)).unwrap().unwrap();
        let message = Box::new(message.handed_over(self.service.clock.now()));
        let write = Write::Message { expected: found.revision, message };
        ready(self.store.commit(Change { expectations: Vec::new(), writes: vec![write] })).unwrap();
    }

    pub(crate) fn advance(&self, seconds: u64) {
        self.ambience.millis.fetch_add(seconds * 1000, Ordering::Relaxed);
    }

    /// Stores an account as the shop would.
    pub(crate) fn put(&self, account: Account) {
        let found = ready(self.store.account(account.id)).unwrap();
        let expected = found.map_or(Revision::ABSENT, |found| found.revision);
        let write = Write::Account { expected, account: Box::new(account) };
        ready(self.store.commit(Change { expectations: Vec::new(), writes: vec![write] })).unwrap();
    }

    pub(crate) fn send(&self, number: &str, uuid: &str) -> Result<(), Refusal> {
        ready(self.service.send_code(
            requester(ClientType::H5, uuid),
            &SendParameters { mobile: number, ..SendParameters::default() },
        ))
    }

    /// The code of the last message.
    pub(crate) fn last_code(&self) -> String {
        self.ambience
            .outbox
            .lock()
            .unwrap()
            .iter()
            .rev()
            .find_map(|message| message.content.code())
            .unwrap()
            .digits()
            .to_owned()
    }

    pub(crate) fn bind(
        &self,
        client_type: ClientType,
        uuid: &str,
        parameters: &BindParameters<'_>,
    ) -> Result<LoggedIn, Refusal> {
        ready(self.service.bind(requester(client_type, uuid), parameters))
    }

    /// Sends a code and binds with it.
    pub(crate) fn send_and_bind(
        &self,
        client_type: ClientType,
        uuid: &str,
        parameters: &BindParameters<'_>,
    ) -> Result<LoggedIn, Refusal> {
        self.send(parameters.mobile, uuid)?;
        let code = self.last_code();
        self.bind(client_type, uuid, &BindParameters { verify: &code, ..*parameters })
    }

    /// What the next send of that client to that number would be decided on.
    pub(crate) fn send_snapshot(&self, number: &str, uuid: &str) -> SendSnapshot {
        let key = ChallengeKey { mobile: mobile(number), client: client(uuid) };
        let address = requester(ClientType::H5, uuid).address;
        ready(self.store.load_send(&SendQuery { key, address, session: None, idempotency: None, sources: Vec::new() }))
            .unwrap()
    }
}
