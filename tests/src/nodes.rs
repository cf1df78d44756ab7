//! Nodes of the service over one database, in one process: each has a store of its own, and with it its own connections,
//! ids and node number; time, codes and tokens are shared.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv4Addr};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use anyhow::{Context, Result};
use async_trait::async_trait;
use mobile_bind_domain::bind::BindParameters;
use mobile_bind_domain::ports::{Accepted, SendFailure, SmsSender, Store, TextMessage};
use mobile_bind_domain::service::LoggedIn;
use mobile_bind_domain::{
    ClientType, CodeKey, CodeKeys, Guards, Installation, KeyId, Language, LimitMode, Platform, PlatformProof, Policy,
    Refusal, Requester, SendParameters, Service,
};

use mobile_bind_sealing::AeadSealer;

use crate::model::ambience::Ambience;

type Observer = Box<dyn Fn() + Send>;

/// The last code that went to each number.
#[derive(Default)]
pub struct Outbox {
    codes: Mutex<HashMap<String, String>>,
    observer: Mutex<Option<Observer>>,
}

#[async_trait]
impl SmsSender for Outbox {
    async fn send(&self, message: TextMessage) -> Result<Accepted, SendFailure> {
        if let Some(observe) = &*self.observer.lock().unwrap_or_else(PoisonError::into_inner) {
            observe();
        }
        let mut codes = self.codes.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(code) = message.content.code() {
            codes.insert(message.mobile.as_str().to_owned(), code.digits().to_owned());
        }
        Ok(Accepted::default())
    }
}

/// Services over stores that hold the same data.
pub struct Nodes {
    /// The services.
    pub services: Vec<Arc<Service>>,
    outbox: Arc<Outbox>,
}

/// What a person binds with.
#[derive(Clone, Debug, Default)]
pub struct Attempt {
    /// The number.
    pub number: String,
    /// The code.
    pub code: String,
    /// The installation.
    pub uuid: String,
    /// The openid on WeChat; a mobile web page where it is empty.
    pub openid: String,
    /// The session token.
    pub token: String,
}

impl Nodes {
    /// One service over each store. Numbers do not rest, and quotas are off.
    ///
    /// # Errors
    /// Never, in truth.
    pub fn over(stores: Vec<Arc<dyn Store>>) -> Result<Self> {
        let (ambience, outbox) = (Arc::new(Ambience::default()), Arc::new(Outbox::default()));
        let key = CodeKey::new(KeyId::new("nodes").context("a key id")?, [7; 32]);
        let mut policy = Policy { platform_proof: PlatformProof::Trust, ..Policy::default() };
        policy.limits.mode = LimitMode::Off;
        policy.send_interval = Duration::ZERO;
        let keys = CodeKeys::new(key, Vec::new());
        let sealer = Arc::new(AeadSealer::new(keys.derived(b"outbox"), ambience.clone())?);
        let service = |store: Arc<dyn Store>| {
            let relay = mobile_bind_domain::Outbox {
                store: store.clone(),
                sms: outbox.clone(),
                sealer: sealer.clone(),
                clock: ambience.clone(),
                policy: policy.outbox,
                attempts: policy.attempts,
            };
            Arc::new(Service {
                platforms: Arc::new(mobile_bind_domain::ports::NoPlatforms),
                audit: Default::default(),
                store,
                relay: Arc::new(relay),
                sealer: sealer.clone(),
                clock: ambience.clone(),
                randomness: ambience.clone(),
                codes: ambience.clone(),
                tokens: ambience.clone(),
                keys: keys.clone(),
                policy: policy.clone().into(),
                guards: Guards::default(),
            })
        };
        Ok(Self { services: stores.into_iter().map(service).collect(), outbox })
    }

    /// The node of that number, counted round.
    ///
    /// # Errors
    /// Where there are none.
    pub fn node(&self, index: usize) -> Result<Arc<Service>> {
        let node = self.services.get(index % self.services.len().max(1));
        node.cloned().context("a node")
    }

    /// Has something done whenever a message leaves.
    pub fn observe_messages(&self, observer: impl Fn() + Send + 'static) {
        *self.outbox.observer.lock().unwrap_or_else(PoisonError::into_inner) = Some(Box::new(observer));
    }

    /// Has a code sent, and answers it.
    ///
    /// # Errors
    /// Where none is sent.
    pub async fn code(&self, node: usize, number: &str, uuid: &str) -> Result<String> {
        let sent = self
            .node(node)?
            .send_code(requester(uuid, ""), &SendParameters { mobile: number, ..SendParameters::default() })
            .await;
        sent.map_err(|refusal| anyhow::anyhow!("no code was sent: {refusal:?}"))?;
        let codes = self.outbox.codes.lock().unwrap_or_else(PoisonError::into_inner);
        codes.get(number).cloned().context("a code")
    }
}

fn requester(uuid: &str, openid: &str) -> Requester {
    let client_type = if openid.is_empty() { ClientType::H5 } else { ClientType::MiniProgram(Platform::Weixin) };
    let address = IpAddr::V4(Ipv4Addr::new(192, 0, 2, 1)).into();
    Requester {
        client_type,
        installation: Installation::new(uuid),
        address,
        language: Language::Zh,
        request: Default::default(),
    }
}

impl Attempt {
    /// Binds through a node.
    ///
    /// # Errors
    /// Where it is refused.
    pub async fn bind(self, node: Arc<Service>) -> Result<LoggedIn, Refusal> {
        let parameters = BindParameters {
            mobile: &self.number,
            verify: &self.code,
            openid: &self.openid,
            token: &self.token,
            ..BindParameters::default()
        };
        node.bind(requester(&self.uuid, &self.openid), &parameters).await
    }
}
