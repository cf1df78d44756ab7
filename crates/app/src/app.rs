//! Wiring, start and stop.

use std::io::Write;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result, anyhow, bail};
use mobile_bind_domain::ports::{Clock, CodeSource, RandomCodes, Randomness, SmsSender, Store, TokenIssuer};
use mobile_bind_domain::{PlatformProof, Service};
use mobile_bind_http::{Parts, Presentation};
use mobile_bind_jwt::{JwtIssuer, OpaqueIssuer};
use mobile_bind_memory::MemoryStore;
use mobile_bind_sled::{Options, SledStore};
use mobile_bind_sms::{Deadline, FakeSms};
use poem::Server;
use poem::listener::{Acceptor, Listener, TcpListener};
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tracing::{info, warn};

use crate::ambient::{SystemClock, SystemRandomness};
use crate::development::DevelopmentDesk;
use crate::keys;
use crate::settings::{Environment, Settings, SmsSenderName, TokenFormat, refuse_unsafe};

/// How often what has ended is looked for, and at how many records a time.
const PURGE_EVERY: Duration = Duration::from_secs(1);
const PURGE_LIMIT: usize = 4_000;

/// Ports that a caller plugs in himself; what is absent is the machine's own.
#[derive(Default)]
pub struct Ports {
    /// The time.
    pub clock: Option<Arc<dyn Clock>>,
    /// The codes.
    pub codes: Option<Arc<dyn CodeSource>>,
    /// Where the fake provider prints messages.
    pub printer: Option<Box<dyn Write + Send>>,
}

/// A running service.
pub struct App {
    /// Where it listens.
    pub address: SocketAddr,
    /// The use cases, over the ports.
    pub service: Arc<Service>,
    /// The fake provider.
    pub sms: Arc<FakeSms>,
    stop: watch::Sender<bool>,
    server: JoinHandle<std::io::Result<()>>,
    purge: JoinHandle<()>,
}

impl App {
    /// Opens the store, makes the keys that are missing, and listens.
    ///
    /// # Errors
    /// Where a setting is refused or cannot be used, the store cannot be opened, or the address is taken.
    pub async fn start(settings: &Settings, ports: Ports) -> Result<Self> {
        refuse_unsafe(settings)?;
        let policy = settings.policy()?;
        let presentation = presentation(settings)?;
        let store = open_store(settings)?;

        let machine_clock = Arc::new(SystemClock::default());
        let own_clock = ports.clock.is_none().then(|| Arc::clone(&machine_clock));
        let clock = ports.clock.unwrap_or(machine_clock);
        let randomness: Arc<dyn Randomness> = Arc::new(SystemRandomness);
        let (tokens, key_set) = token_issuer(settings, randomness.as_ref())?;
        let sms = Arc::new(FakeSms::new(Arc::clone(&clock), ports.printer));
        let sender: Arc<dyn SmsSender> = match settings.sms.sender {
            SmsSenderName::Fake => Arc::clone(&sms) as Arc<dyn SmsSender>,
        };
        if policy.platform_proof == PlatformProof::Trust {
            warn!("platform_proof is \"trust\": openids are believed, and whoever knows one enters its account");
        }
        let service = Arc::new(Service {
            store,
            sms: Arc::new(Deadline::new(sender, Duration::from_secs(settings.sms.timeout_s))),
            clock,
            codes: ports.codes.unwrap_or_else(|| Arc::new(RandomCodes(Arc::clone(&randomness)))),
            keys: keys::code_keys(&settings.data_dir, randomness.as_ref())?,
            randomness,
            tokens,
            policy,
        });

        let desk = || Arc::new(DevelopmentDesk { sms: Arc::clone(&sms), clock: own_clock }) as Arc<_>;
        let endpoint = mobile_bind_http::endpoint(Parts {
            service: Arc::clone(&service),
            presentation,
            cors_origins: settings.cors.origins.clone(),
            key_set,
            development: (settings.environment == Environment::Development).then(desk),
        });
        let acceptor = TcpListener::bind(settings.listen).into_acceptor().await;
        let acceptor = acceptor.with_context(|| format!("cannot listen on {}", settings.listen))?;
        let address = acceptor.local_addr().first().and_then(|address| address.as_socket_addr().copied());
        let address = address.context("the listener has no address")?;

        let (stop, stopped) = watch::channel(false);
        let mut signal = stopped.clone();
        let timeout = Duration::from_secs(settings.shutdown_timeout_s);
        let server = tokio::spawn(async move {
            let stopped = async move {
                // An error means that the sender is gone, which is as good a reason to stop.
                let _ = signal.wait_for(|stop| *stop).await;
            };
            Server::new_with_acceptor(acceptor).run_with_graceful_shutdown(endpoint, stopped, Some(timeout)).await
        });
        let purge = tokio::spawn(purge(Arc::clone(&service)));
        Ok(Self { address, service, sms, stop, server, purge })
    }

    /// Takes no more connections, finishes what is in flight, and puts everything on disk.
    ///
    /// # Errors
    /// Where the server or the store fails while it stops.
    pub async fn stop(self) -> Result<()> {
        self.stop.send_replace(true);
        let served = self.server.await.context("the server ended badly");
        self.purge.abort();
        // Until it is gone it holds the store, and the store its folder.
        let _ = self.purge.await;
        self.service.store.close().await.map_err(|error| anyhow!(error).context("the store could not be closed"))?;
        served?.context("the server failed")?;
        info!("stopped");
        Ok(())
    }
}

async fn purge(service: Arc<Service>) {
    let mut interval = tokio::time::interval(PURGE_EVERY);
    interval.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        interval.tick().await;
        if let Err(error) = service.purge(PURGE_LIMIT).await {
            warn!(%error, "what has ended could not be cleared away");
        }
    }
}

fn presentation(settings: &Settings) -> Result<Presentation> {
    let time_zone = jiff::tz::TimeZone::get(&settings.shop.time_zone);
    Ok(Presentation {
        default_avatar: settings.shop.default_avatar.clone(),
        attachment_host: settings.shop.attachment_host.trim_end_matches('/').to_owned(),
        time_zone: time_zone.context("shop.time_zone is not known")?,
        mandatory_bind: settings.shop.mandatory_bind,
    })
}

/// The store that the settings name like a URL.
fn open_store(settings: &Settings) -> Result<Arc<dyn Store>> {
    let (scheme, place) = settings.store.split_once(':').unwrap_or((settings.store.as_str(), ""));
    match scheme {
        "sled" => {
            let own = || settings.data_dir.join("store");
            let folder = if place.is_empty() { own() } else { PathBuf::from(place) };
            let cache_bytes = settings.sled.cache_mib.saturating_mul(1024 * 1024);
            let store = SledStore::open(&folder, Options { cache_bytes, ..Options::default() });
            let store = store.with_context(|| format!("the store in {} cannot be opened", folder.display()))?;
            Ok(Arc::new(store))
        }
        "memory" => Ok(Arc::new(MemoryStore::new())),
        _ => bail!("store = \"{}\" names no known store; the embedded one is \"sled:\"", settings.store),
    }
}

type Issuer = (Arc<dyn TokenIssuer>, Option<serde_json::Value>);

fn token_issuer(settings: &Settings, randomness: &dyn Randomness) -> Result<Issuer> {
    let tokens = &settings.tokens;
    let keys = keys::token_keys(&settings.data_dir, tokens.algorithm, randomness)?;
    match tokens.format {
        TokenFormat::Opaque => Ok((Arc::new(OpaqueIssuer::new(keys)), None)),
        TokenFormat::Jwt => {
            let issuer = JwtIssuer::new(&keys, &tokens.issuer, &tokens.audience)?;
            let key_set = issuer.key_set();
            Ok((Arc::new(issuer), key_set))
        }
    }
}
