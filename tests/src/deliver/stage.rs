//! Two providers that are fakes, the phones behind them, and the receipts that they send.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use anyhow::{Context, Result};
use mobile_bind::ambient::SystemClock;
use mobile_bind_sms::fake_provider::{FakeAccount, FakeMessage, FakeProvider, Phones, Play};
use mobile_bind_sms::{Kind, Secret};
use tokio::sync::{mpsc, watch};

use crate::failover::clock::Clock;

/// Opens the path of receipts; the same for both providers, which tell them apart by their names.
const KEY: &str = "0123456789abcdef";
const SECRET: &str = "secret";
/// How many receipts are told at once, and when one that was not heard is told again.
const TELLERS: usize = 8;
const AGAIN: Duration = Duration::from_millis(100);

/// A message that a phone has.
#[derive(Clone, Debug)]
pub(super) struct Arrival {
    pub(super) provider: &'static str,
    pub(super) reference: String,
    pub(super) at: Duration,
    /// When the service took its receipt.
    pub(super) heard: Option<Duration>,
}

/// All phones, by number.
#[derive(Clone, Default)]
pub(super) struct Arrivals(Arc<Mutex<HashMap<String, Vec<Arrival>>>>);

impl Arrivals {
    fn locked(&self) -> MutexGuard<'_, HashMap<String, Vec<Arrival>>> {
        // Nothing here is left half-done by a panic.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What came to a number, in its order.
    pub(super) fn to(&self, number: &str) -> Vec<Arrival> {
        self.locked().get(number).cloned().unwrap_or_default()
    }

    fn add(&self, number: &str, arrival: Arrival) {
        self.locked().entry(number.to_owned()).or_default().push(arrival);
    }

    fn note_heard(&self, receipt: &Receipt, at: Duration) {
        let mut all = self.locked();
        let arrivals = all.get_mut(&receipt.number).map(Vec::as_mut_slice).unwrap_or_default();
        let own =
            |arrival: &&mut Arrival| arrival.provider == receipt.provider && arrival.reference == receipt.reference;
        if let Some(arrival) = arrivals.iter_mut().find(own) {
            arrival.heard = Some(at);
        }
    }
}

struct Receipt {
    number: String,
    provider: &'static str,
    reference: String,
}

impl Receipt {
    /// As the vendor writes it.
    fn body(&self) -> String {
        let reference = &self.reference;
        if self.provider == "main" {
            format!(r#"[{{"biz_id":"{reference}","success":true}}]"#)
        } else {
            format!(r#"[{{"sid":"{reference}","report_status":"SUCCESS"}}]"#)
        }
    }
}

/// Both providers.
pub(super) struct Stage {
    pub(super) arrivals: Arrivals,
    pub(super) main: Option<FakeProvider>,
    pub(super) spare: FakeProvider,
}

impl Stage {
    /// Writes the settings of a service that has both.
    pub(super) fn settings(&self, folder: &Path) -> Result<PathBuf> {
        let main = self.main.as_ref().context("the first provider is gone")?;
        let provider = |name: &str, kind: &str, url: &str, more: &str| {
            format!(
                "[sms.providers.{name}]\nkind = \"{kind}\"\nurl = \"{url}\"\naccount = \"id\"\nsecret = \"{SECRET}\"\n\
                 from = \"shop\"\ntemplates.bind.zh = \"1\"\nreceipts_key = \"{KEY}\"\nreceipts_from = [\"127.0.0.1\"]\n\
                 timeout_ms = 1600\nmax_in_flight = 256\n{more}\n"
            )
        };
        let text = format!(
            "[sms]\nsender = \"providers\"\ntimeout_s = 4\nanswer_after_ms = 500\nreceipt_within_s = {}\n{}{}",
            super::RECEIPT_WITHIN.as_secs(),
            provider("main", "aliyun", &main.url(), "parameters = [\"code={code}\"]\nrank = 1"),
            provider(
                "spare",
                "tencent",
                &self.spare.url(),
                "parameters = [\"{code}\"]\napp_id = \"1400006666\"\nrank = 2"
            ),
        );
        let file = folder.join("settings.toml");
        std::fs::write(&file, text)?;
        Ok(file)
    }

    /// Starts both. Receipts go to the service at `base`, again and again until it takes them, as vendors do.
    pub(super) async fn start(clock: Clock, base: watch::Receiver<String>) -> Result<Self> {
        let arrivals = Arrivals::default();
        let (tell, to_tell) = mpsc::unbounded_channel();
        let to_tell = Arc::new(tokio::sync::Mutex::new(to_tell));
        let http = reqwest::Client::builder().no_proxy().timeout(Duration::from_secs(5)).build()?;
        for _ in 0..TELLERS {
            drop(tokio::spawn(tell_receipts(
                http.clone(),
                base.clone(),
                Arc::clone(&to_tell),
                arrivals.clone(),
                clock,
            )));
        }
        let fake = |name, kind| start(name, kind, clock, arrivals.clone(), tell.clone());
        let (main, spare) = (fake("main", Kind::Aliyun).await?, fake("spare", Kind::Tencent).await?);
        Ok(Self { main: Some(main), spare, arrivals })
    }

    /// Has the first provider do something else from now on; `None` ends it.
    pub(super) fn play(&mut self, play: Option<Play>) {
        match play {
            Some(play) => self.main.iter().for_each(|main| main.set_play(play.clone())),
            None => self.main = None,
        }
    }
}

async fn start(
    provider: &'static str,
    kind: Kind,
    clock: Clock,
    arrivals: Arrivals,
    tell: mpsc::UnboundedSender<Receipt>,
) -> Result<FakeProvider> {
    let account = FakeAccount { kind, account: "id".to_owned(), secret: Secret::new(SECRET.to_owned()) };
    let phones: Phones = Box::new(move |FakeMessage { id, to, .. }| {
        let number = to.strip_prefix("+86").unwrap_or(to);
        arrivals.add(number, Arrival { provider, reference: id.clone(), at: clock.now(), heard: None });
        // Whoever would tell it is gone at the end of the run.
        let _ = tell.send(Receipt { number: number.to_owned(), provider, reference: id.clone() });
    });
    let listen = ([127, 0, 0, 1], 0).into();
    FakeProvider::start(&account, listen, Play::Accept, Arc::new(SystemClock::default()), Some(phones))
        .await
        .context("no fake")
}

async fn tell_receipts(
    http: reqwest::Client,
    base: watch::Receiver<String>,
    to_tell: Arc<tokio::sync::Mutex<mpsc::UnboundedReceiver<Receipt>>>,
    arrivals: Arrivals,
    clock: Clock,
) {
    loop {
        let next = to_tell.lock().await.recv().await;
        let Some(receipt) = next else { return };
        loop {
            let url = format!("{}/sms/receipts/{}/{KEY}", *base.borrow(), receipt.provider);
            if http.post(url).body(receipt.body()).send().await.is_ok_and(|answer| answer.status().is_success()) {
                arrivals.note_heard(&receipt, clock.now());
                break;
            }
            tokio::time::sleep(AGAIN).await;
        }
    }
}
