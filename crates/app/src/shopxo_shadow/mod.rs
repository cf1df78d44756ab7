//! Binds that the shop's PHP has answered, played again on a copy: where would mobile-bind differ?
//!
//! nginx writes what came into a log (`deploy/shopxo/shadow.conf`), or mirrors it (`deploy/shopxo/mirror.conf`). The code that a user
//! typed is the shop's, and nothing tells whether it was right but that the shop bound: so only binds that the shop carried out are
//! compared, each with a code that is right here. That it did, and what, is seen in its rows, which are only read.

mod comparison;
mod copy;
mod mirror;
mod recorded;
mod replay;
mod report;

use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use mobile_bind_domain::ports::Clock;
use mobile_bind_domain::{PlatformProof, Timestamp};
use mobile_bind_shopxo::{ShopObserver, ShopTokens};
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::watch;

use self::mirror::Mirror;
use self::recorded::Recorded;
use self::replay::{RecordedTime, Replay};
use crate::ambient::SystemClock;
use crate::cli::print;
use crate::listening::Listening;
use crate::settings::{Environment, ProofSetting, Settings, SmsSenderName};
use crate::shop_settings::LiveShopSettings;
use crate::stores::shopxo_options;
use crate::{App, Ports};

/// How long requests that are under way may take when the shadow stops.
const FAREWELL: Duration = Duration::from_secs(1);

/// The settings of a service that nobody but the replay speaks to, over the copy.
fn aside(settings: &Settings) -> Settings {
    let mut aside = Settings {
        listen: SocketAddr::from(([127, 0, 0, 1], 0)),
        environment: Environment::Development,
        platform_proof: match settings.proof() {
            PlatformProof::Trust => ProofSetting::Trust,
            PlatformProof::Required => ProofSetting::Required,
        },
        ..settings.clone()
    };
    aside.sms.sender = SmsSenderName::Fake;
    aside.sms.print = false;
    aside.server.trusted_proxies = vec!["127.0.0.1".to_owned()];
    aside.metrics.listen = String::new();
    aside.console.listen = String::new();
    aside.telemetry.otlp_endpoint = String::new();
    aside
}

/// The settings with what the shop's administration has set, and how the shop is looked at.
async fn beside(settings: &Settings, shop: Option<&str>) -> Result<(Settings, Option<ShopObserver>)> {
    let Some(shop) = shop else { return Ok((settings.clone(), None)) };
    let at_the_shop = Settings { store: shop.to_owned(), store_file: String::new(), ..settings.clone() };
    let observer = ShopObserver::new(shopxo_options(&at_the_shop)?).context("the shop cannot be looked at")?;
    let (_, merged) = LiveShopSettings::start(&at_the_shop).await?.context("--shop names no shop's database")?;
    let (store, store_file) = (settings.store.clone(), settings.store_file.clone());
    Ok((Settings { store, store_file, ..merged.settings }, Some(observer)))
}

/// A replay over the store that the settings name, which is a copy and is changed.
async fn replay(settings: &Settings, shop: Option<&str>, began: Timestamp) -> Result<Replay> {
    ensure!(
        settings.store_address()?.starts_with("sled:"),
        "a shadow changes what it works on, so it takes a copy: mobile-bind store copy --from shopxo:… --to sled:FOLDER, and then \
         --store sled:FOLDER"
    );
    let (settings, observer) = beside(settings, shop).await?;
    let time = Arc::new(RecordedTime::default());
    time.reach(began);
    let ports =
        Ports { clock: Some(Arc::clone(&time) as Arc<_>), tokens: Some(Arc::new(ShopTokens)), ..Ports::default() };
    let app = App::start(&aside(&settings), ports).await?;
    Replay::new(app, time, observer)
}

/// Plays nginx's log, and prints the differences and the sums. With `shop`, an address like a store's, it looks there at what the
/// shop did.
///
/// # Errors
/// Where the store is the shop's own database, or the log, the store or the shop cannot be used.
pub(crate) async fn shadow_of_log(settings: &Settings, log: &Path, shop: Option<&str>) -> Result<()> {
    let text = std::fs::read_to_string(log).with_context(|| format!("cannot read {}", log.display()))?;
    let began = text.lines().find_map(Recorded::in_log).map(|first| first.at).unwrap_or_default();
    let mut replay = replay(settings, shop, began).await?;
    for (number, line) in (1..).zip(text.lines()) {
        let Some(recorded) = Recorded::in_log(line) else {
            replay.report.unreadable += 1;
            continue;
        };
        let Some(bind) = replay.take(recorded).await? else { continue };
        let seen = replay.look(&bind).await;
        if let Some(difference) = replay.compare(&bind, Some(number), seen.as_ref(), seen.as_ref()).await? {
            print(&difference)?;
        }
    }
    print(&replay.finish().await?)
}

/// Takes mirrored requests where the settings listen, until it is told to stop; prints the differences as they are found, and the
/// sums in the end. The shop gets `moment` to carry out a request before it is looked at.
///
/// # Errors
/// Where the store is the shop's own database, or the store, the shop or the address cannot be used.
pub(crate) async fn shadow_of_mirror(settings: &Settings, shop: &str, moment: Duration) -> Result<()> {
    ensure!(
        settings.listen.ip().is_loopback(),
        "mirrored requests hold numbers, tokens and codes: let nginx send them to this machine alone, --listen 127.0.0.1:PORT"
    );
    // Before anything is promised: a signal that comes early must not be lost.
    let mut signals =
        Signals { terminate: signal(SignalKind::terminate())?, interrupt: signal(SignalKind::interrupt())? };
    let mut replay = replay(settings, Some(shop), SystemClock::default().now()).await?;
    let (mut mirror, endpoint) = Mirror::new(moment);
    let (stop, stopped) = watch::channel(false);
    let limits = settings.connection_limits()?;
    let endpoint = poem::EndpointExt::boxed(endpoint);
    let listening = Listening::start(settings.listen, endpoint, limits, None, stopped, FAREWELL).await?;
    print(&format!("mirrored requests are taken at http://{}\n", listening.address))?;
    mirror.work(&mut replay, signals.next()).await?;
    stop.send_replace(true);
    listening.ended().await?;
    tokio::select! {
        finished = mirror.finish(&mut replay) => finished?,
        // Whoever says so twice wants no more of it.
        () = signals.next() => {}
    }
    replay.report.dropped = mirror.dropped();
    print(&replay.finish().await?)
}

/// What tells the process to stop.
struct Signals {
    terminate: Signal,
    interrupt: Signal,
}

impl Signals {
    async fn next(&mut self) {
        tokio::select! {
            _ = self.terminate.recv() => {}
            _ = self.interrupt.recv() => {}
        }
    }
}
