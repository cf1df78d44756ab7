//! Wiring, start and stop.

use std::io::Write;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use anyhow::{Context, Result, anyhow, ensure};
use mobile_bind_domain::outbox::DeliveryReceipt;
use mobile_bind_domain::ports::{Clock, CodeSource, RandomCodes, Randomness, SmsSender, TokenIssuer};
use mobile_bind_domain::{Outbox, PlatformProof, Policy, Service, Timestamp};
use mobile_bind_http::{Admission, Console, ConsoleParts, Door, Parts, Presentation, Recorder};
use mobile_bind_jwt::{JwtIssuer, OpaqueIssuer};
use mobile_bind_platforms::fake::FakePlatforms;
use mobile_bind_platforms::{MiniPrograms, PlatformConfig, SealingKeys, Shared};
use mobile_bind_sealing::AeadSealer;
use mobile_bind_shopxo::ShopTokens;
use mobile_bind_sms::{Deadline, FakeSms, HearReceipt};
use poem::EndpointExt;
use tokio::sync::{mpsc, watch};
use tokio::task::JoinHandle;
use tracing::{info, warn};

use crate::ambient::{SystemClock, SystemRandomness};
use crate::clearing::clear_away;
use crate::control::Control;
use crate::desk::Desk;
use crate::development::DevelopmentDesk;
use crate::guards;
use crate::keys;
use crate::listening::{Listening, raise_file_limit};
use crate::metered_store::MeteredStore;
use crate::metrics::Measured;
use crate::outbox::{self, BackgroundRelay, Callbacks, Measures, Receipts};
use crate::providers;
use crate::settings::{Environment, Settings, SmsSenderName, TokenFormat, refuse_unsafe};
use crate::shop_settings::LiveShopSettings;
use crate::stores::{OpenStore, cache_bytes, store_folder};
use crate::telemetry::TracedRequests;

/// Warns of what lets people in who need prove nothing.
fn announce(settings: &Settings, policy: &Policy, now: Timestamp) {
    if policy.platform_proof == PlatformProof::Trust {
        warn!("platform_proof is \"trust\": openids are believed, and whoever knows one enters its account");
    } else if settings.fakes_platforms() {
        warn!("platforms.source is \"fake\": the openids that it vouches for are anybody's");
    }
    for (mobile, number) in &policy.test_numbers {
        if now < number.until {
            warn!(%mobile, "a test number: whoever knows its code has it; no message goes there (test_numbers)");
        } else {
            warn!(%mobile, "a test number is past its date, and is refused: remove it (test_numbers)");
        }
    }
}

/// How many receipts wait to be stored.
const RECEIPTS_WAITING: usize = 4_096;

/// Ports that a caller plugs in himself; what is absent is the machine's own.
#[derive(Default)]
pub struct Ports {
    /// The time.
    pub clock: Option<Arc<dyn Clock>>,
    /// What makes tokens and reads them.
    pub tokens: Option<Arc<dyn TokenIssuer>>,
    /// The codes.
    pub codes: Option<Arc<dyn CodeSource>>,
    /// Where the fake provider prints messages.
    pub printer: Option<Box<dyn Write + Send>>,
}

/// A running service.
pub struct App {
    /// Where it listens.
    pub address: SocketAddr,
    /// Where the metrics have an address of their own.
    pub metrics_address: Option<SocketAddr>,
    /// Where the operators' console is.
    pub console_address: Option<SocketAddr>,
    /// The use cases, over the ports.
    pub service: Arc<Service>,
    /// The fake provider.
    pub sms: Arc<FakeSms>,
    /// The fake of all platforms, where one is used.
    pub platforms: Option<FakePlatforms>,
    stop: watch::Sender<bool>,
    server: Listening,
    metrics_server: Option<Listening>,
    console_server: Option<Listening>,
    /// Where operators' orders come in, if they can.
    control: Option<Control>,
    /// The shop's own settings, where the store is in its database, and what they set outside of the rules.
    shop_settings: Option<(Arc<LiveShopSettings>, Arc<AtomicBool>)>,
    /// What goes on beside the requests.
    chores: Vec<JoinHandle<()>>,
    relay: Arc<BackgroundRelay>,
}

impl App {
    /// Opens the store, makes the keys that are missing, and listens.
    ///
    /// # Errors
    /// Where a setting is refused or cannot be used, the store cannot be opened, or the address is taken.
    pub async fn start(settings: &Settings, ports: Ports) -> Result<Self> {
        refuse_unsafe(settings)?;
        let (shop_settings, merged) = LiveShopSettings::start(settings).await?.unzip();
        let settings = merged.as_ref().map_or(settings, |merged| &merged.settings);
        let policy = settings.policy()?;
        let presentation = presentation(settings)?;
        let mandatory_bind = Arc::clone(&presentation.mandatory_bind);
        let (capacity, connections) = (settings.capacity()?, settings.connection_limits()?);
        let (metrics_listen, tracing) = (settings.metrics_listen()?, settings.tracing()?);
        let console = settings.console()?;
        let measured = Arc::new(Measured::start(store_folder(settings))?);
        measured.note_settings(policy.platform_proof, cache_bytes(settings));
        raise_file_limit(connections.open);
        let opened = OpenStore::open(settings).await?;
        let keys = opened.keys(settings);
        let store = Arc::new(MeteredStore::new(opened.port()));

        let machine_clock = Arc::new(SystemClock::default());
        let own_clock = ports.clock.is_none().then(|| Arc::clone(&machine_clock));
        let clock = ports.clock.unwrap_or(machine_clock);
        let randomness: Arc<dyn Randomness> = Arc::new(SystemRandomness);
        let (tokens, key_set) = token_issuer(settings, &opened, randomness.as_ref()).await?;
        let tokens = ports.tokens.unwrap_or(tokens);
        let sms = Arc::new(FakeSms::new(Arc::clone(&clock), ports.printer.filter(|_| settings.sms.print)));
        // Bounded: a provider that floods loses receipts, and nothing else waits for it.
        let (heard, to_hear) = mpsc::channel::<DeliveryReceipt>(RECEIPTS_WAITING);
        let hear: HearReceipt = Arc::new(move |provider, receipt| {
            if heard.try_send(outbox::delivery(provider, receipt)).is_err() {
                warn!(provider, "a receipt is lost: too many wait");
            }
        });
        let failover = match settings.sms.sender {
            SmsSenderName::Fake => None,
            SmsSenderName::Providers => Some(Arc::new(providers::failover(settings, &clock, &randomness, hear)?)),
        };
        let providers = failover.as_ref().map(|failover| failover.providers().to_vec()).unwrap_or_default();
        providers.iter().for_each(|provider| provider.keep_open());
        let sender: Arc<dyn SmsSender> = match failover {
            Some(failover) => failover,
            None => Arc::clone(&sms) as Arc<dyn SmsSender>,
        };
        announce(settings, &policy, clock.now());
        let code_keys = keys::code_keys(&keys, randomness.as_ref()).await?;
        let sealer = Arc::new(AeadSealer::new(code_keys.derived(b"outbox"), Arc::clone(&randomness))?);
        let outbox = Arc::new(Outbox {
            store: Arc::clone(&store) as Arc<_>,
            sms: Arc::new(Deadline::new(sender, Duration::from_secs(settings.sms.timeout_s))),
            sealer: Arc::clone(&sealer) as Arc<_>,
            clock: Arc::clone(&clock),
            policy: policy.outbox,
            attempts: policy.attempts,
        });
        let shared =
            Shared { clock: Arc::clone(&clock), keys: SealingKeys::new(code_keys.derived(b"platform session key")) };
        let (apps, fake_platforms) = if settings.fakes_platforms() {
            let app_id = |platform| policy.app(platform).as_str().to_owned();
            let loopback = SocketAddr::from(([127, 0, 0, 1], 0));
            let fake = FakePlatforms::start(loopback, Arc::clone(&clock), Arc::clone(&randomness), app_id).await?;
            let timeout = settings.platform_timeout()?;
            let apps = fake.configs().into_iter().map(|app| PlatformConfig { timeout, ..app });
            (apps.collect(), Some(fake))
        } else {
            (settings.mini_programs()?, None)
        };
        let platforms = Arc::new(MiniPrograms::new(apps, shared)?);
        let measures = Arc::new(Measures::new(settings.sms.country_code.clone()));
        // The fake's messages are nobody's money, and to follow them costs a look-up for each bind.
        let follows_codes = settings.sms.sender == SmsSenderName::Providers;
        let answer_after = Duration::from_millis(settings.sms.answer_after_ms);
        let receipts = Receipts::new(Arc::clone(&outbox), Arc::clone(&measures), providers.clone());
        let relay = Arc::new(BackgroundRelay::new(outbox, measures, answer_after, follows_codes, providers));
        let service = Arc::new(Service {
            platforms,
            audit: Default::default(),
            store,
            relay: Arc::clone(&relay) as Arc<_>,
            sealer,
            clock,
            codes: ports.codes.unwrap_or_else(|| Arc::new(RandomCodes(Arc::clone(&randomness)))),
            keys: code_keys,
            randomness: Arc::clone(&randomness),
            tokens,
            policy: policy.into(),
            guards: guards::guards(settings)?,
        });

        let development = settings.environment == Environment::Development;
        let (stop, stopped) = watch::channel(false);
        let ending = stopped.clone();
        let desk = || Arc::new(DevelopmentDesk { sms: Arc::clone(&sms), clock: own_clock, stopped: ending }) as Arc<_>;
        let admission = Admission::new(capacity);
        let endpoint = mobile_bind_http::endpoint(Parts {
            service: Arc::clone(&service),
            presentation,
            forwarding: guards::forwarding(settings)?,
            cors_origins: settings.cors.origins.clone(),
            key_set,
            admission: Arc::clone(&admission),
            metrics: (development && metrics_listen.is_none()).then(|| Arc::clone(&measured) as Arc<_>),
            bind_page: development || settings.pages.bind,
            callbacks: follows_codes.then(|| Arc::new(Callbacks(Arc::clone(&receipts))) as Arc<_>),
            development: development.then(desk),
        });
        let endpoint = if tracing.is_some() { TracedRequests(endpoint).boxed() } else { endpoint };
        let timeout = Duration::from_secs(settings.shutdown_timeout_s);
        let listen =
            |address, endpoint, door| Listening::start(address, endpoint, connections, door, stopped.clone(), timeout);
        let door = Door::new(admission, randomness).await;
        let server = listen(settings.listen, endpoint, Some(door)).await?;
        let metrics_server = match metrics_listen {
            Some(address) => {
                let endpoint =
                    mobile_bind_http::metrics_endpoint(Arc::clone(&service), Arc::clone(&measured) as Arc<_>);
                Some(listen(address, endpoint, None).await?)
            }
            None => None,
        };
        let mut chores = vec![tokio::spawn(clear_away(Arc::clone(&service)))];
        let shop_settings = shop_settings.map(Arc::new);
        if let Some(live) = &shop_settings {
            let follow = Arc::clone(live).follow(Arc::clone(&service), Arc::clone(&mandatory_bind));
            chores.push(tokio::spawn(follow));
        }
        let console_server = match console {
            Some((address, operators)) => {
                let (service, scrape) = (Arc::clone(&service), Arc::clone(&measured) as Arc<_>);
                let console = Console::new(ConsoleParts { service, scrape, operators: Arc::new(operators) });
                chores.push(tokio::spawn(record(console.recorder())));
                let server = listen(address, console.endpoint(), None).await?;
                info!(address = %server.address, "the operators' console listens");
                Some(server)
            }
            None => None,
        };
        let control = opened.embedded().and_then(|_| {
            let (service, data_dir) = (Arc::clone(&service), settings.data_dir.clone());
            let control = Control::start(Desk { service, store: opened, data_dir });
            control.inspect_err(|error| warn!(error = format!("{error:#}"), "no orders are taken")).ok()
        });
        chores.push(tokio::spawn(async move { measured.keep_up().await }));
        chores.push(tokio::spawn(outbox::sweep(Arc::clone(&relay))));
        chores.push(tokio::spawn(take_receipts(receipts, to_hear)));
        let metrics_address = metrics_server.as_ref().map(|server| server.address);
        let console_address = console_server.as_ref().map(|server| server.address);
        let address = server.address;
        Ok(Self {
            address,
            metrics_address,
            console_address,
            service,
            sms,
            platforms: fake_platforms,
            stop,
            server,
            metrics_server,
            console_server,
            control,
            shop_settings: shop_settings.map(|live| (live, mandatory_bind)),
            chores,
            relay,
        })
    }

    /// Reads the shop's own settings again, which happens every minute by itself.
    ///
    /// # Errors
    /// Where they cannot be read or used; then they stay as they were.
    pub async fn refresh_shop_settings(&self) -> Result<()> {
        match &self.shop_settings {
            Some((live, mandatory_bind)) => live.refresh(&self.service, mandatory_bind).await,
            None => Ok(()),
        }
    }

    /// Takes no more connections, finishes what is in flight, and puts everything on disk.
    ///
    /// # Errors
    /// Where the server or the store fails while it stops.
    pub async fn stop(self) -> Result<()> {
        self.stop.send_replace(true);
        let served = self.server.ended().await;
        let mut others_served = Ok(());
        for server in [self.metrics_server, self.console_server].into_iter().flatten() {
            others_served = others_served.and(server.ended().await);
        }
        if let Some(control) = self.control {
            control.stop().await;
        }
        for chore in self.chores {
            chore.abort();
            // Until it is gone it may hold the store, and the store its folder.
            let _ = chore.await;
        }
        // Each message ends in bounded time, and what came of it is to be stored.
        self.relay.finish().await;
        if let Err(error) = self.service.finish_audit().await {
            warn!(%error, "the last refusals are not in the audit");
        }
        if let Err(error) = self.service.store_conversions().await {
            warn!(%error, "the last shares of verified messages are not stored");
        }
        self.service.store.close().await.map_err(|error| anyhow!(error).context("the store could not be closed"))?;
        served.and(others_served)?;
        info!("stopped");
        Ok(())
    }
}

/// Takes receipts that come over providers' own connections.
async fn take_receipts(receipts: Arc<Receipts>, mut to_hear: mpsc::Receiver<DeliveryReceipt>) {
    while let Some(receipt) = to_hear.recv().await {
        if let Err(error) = receipts.hear(receipt).await {
            warn!(%error, "a receipt could not be stored");
        }
    }
    // Without such connections there is nothing to do until the end.
    std::future::pending::<()>().await;
}

/// Keeps for the console what was measured.
async fn record(recorder: Recorder) {
    let mut interval = tokio::time::interval(Recorder::EVERY);
    interval.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        interval.tick().await;
        recorder.record();
    }
}

fn presentation(settings: &Settings) -> Result<Presentation> {
    let time_zone = jiff::tz::TimeZone::get(&settings.shop.time_zone);
    Ok(Presentation {
        default_avatar: settings.shop.default_avatar.clone(),
        attachment_host: settings.shop.attachment_host.trim_end_matches('/').to_owned(),
        time_zone: time_zone.context("shop.time_zone is not known")?,
        mandatory_bind: Arc::new(settings.shop.mandatory_bind.into()),
        captcha: guards::widget(settings),
    })
}

pub(crate) type Issuer = (Arc<dyn TokenIssuer>, Option<serde_json::Value>);

/// What makes session tokens and reads them; and the public keys, where others may check them.
///
/// # Errors
/// Where the keys cannot be had, or the tokens do not go with the store.
pub(crate) async fn token_issuer(
    settings: &Settings,
    store: &OpenStore,
    randomness: &dyn Randomness,
) -> Result<Issuer> {
    let tokens = &settings.tokens;
    if let OpenStore::Shopxo(_) = store {
        ensure!(
            tokens.format != TokenFormat::Jwt,
            "tokens.format = \"jwt\" does not go with a shop's own database: the shop keeps tokens of at most 60 characters; set \
             \"auto\" or \"opaque\""
        );
        return Ok((Arc::new(ShopTokens), None));
    }
    let keys = keys::token_keys(&store.keys(settings), tokens.algorithm, randomness).await?;
    match tokens.format {
        TokenFormat::Opaque => Ok((Arc::new(OpaqueIssuer::new(keys)), None)),
        TokenFormat::Auto | TokenFormat::Jwt => {
            let issuer = JwtIssuer::new(&keys, &tokens.issuer, &tokens.audience)?;
            let key_set = issuer.key_set();
            Ok((Arc::new(issuer), key_set))
        }
    }
}
