//! Sends to many numbers by two providers, while the first has a bad hour and the service is killed in the middle of it, and
//! looks whether every number has its message, and none has it twice. The service is the real binary, the store a real folder;
//! the providers are fakes that keep what they have sent, whatever becomes of the service.

mod check;
mod load;
mod stage;

use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Result, bail};
use mobile_bind_sms::fake_provider::Play;
use tempfile::TempDir;
use tokio::sync::watch;

use crate::crash::process::Running;
use crate::failover::clock::Clock;
use load::{Asked, Crowd};
use stage::{Arrivals, Stage};

/// How long a receipt may take before the next provider is asked.
const RECEIPT_WITHIN: Duration = Duration::from_secs(5);
/// How often it is looked whether anything is left to do, at most, and how long the service has in between.
const LOOKS: u32 = 60;
const BETWEEN_LOOKS: Duration = Duration::from_secs(2);
/// The first number.
const FIRST: u64 = 13_000_000_000;

/// What to do.
#[derive(Clone, Debug)]
pub struct Options {
    /// The service's binary.
    pub binary: PathBuf,
    /// How many messages to send, each to a number of its own.
    pub sends: u32,
}

/// What came out.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Outcome {
    /// How often the service was killed.
    pub kills: u32,
    /// Numbers that a code was asked for.
    pub sends: u32,
    /// Numbers that have a message.
    pub delivered: u32,
    /// Of those, numbers that have it from the second provider first.
    pub by_spare: u32,
    /// Numbers without a message, whose request was refused.
    pub refused: u32,
    /// Numbers without a message, whose request was answered before that was known, or not at all; their status says so.
    pub failed: u32,
    /// Numbers without a message, of whose message nobody knows what became.
    pub unknown: u32,
    /// Numbers whose message is lost.
    pub lost: u32,
    /// Messages that were sent although it was known that the number has one.
    pub doubled: u32,
    /// Messages that were sent after an unknown outcome, or without a receipt in time, and turned out to be the second.
    pub after_unknown: u32,
}

impl Outcome {
    /// Nothing is lost, and nothing doubled that was known to be sent.
    #[must_use]
    pub fn is_good(&self) -> bool {
        self.lost == 0 && self.doubled == 0
    }
}

/// What the first provider does, one after the other.
fn phases() -> [(&'static str, Option<Play>); 5] {
    [
        ("limits", Some(Play::Error("isv.BUSINESS_LIMIT_CONTROL".to_owned()))),
        ("lies", Some(Play::Lie)),
        ("hangs", Some(Play::Hang)),
        ("cuts its answers", Some(Play::Cut)),
        ("is dead", None),
    ]
}

/// What goes on from phase to phase.
struct Run {
    binary: PathBuf,
    folder: TempDir,
    file: PathBuf,
    base: watch::Sender<String>,
    server: Running,
}

/// Sends through all phases, and tells `say` of each and of each thing that is wrong.
///
/// # Errors
/// Where the service does not start, or has not done its work after minutes.
pub async fn run(options: Options, say: &mut dyn FnMut(&str)) -> Result<Outcome> {
    let (base, bases) = watch::channel(String::new());
    let clock = Clock::start();
    let mut stage = Stage::start(clock, bases.clone()).await?;
    let mut run = Run::start(options.binary, base, &stage).await?;
    let all = phases();
    let share = u64::from(options.sends).div_ceil(all.len() as u64);
    let (mut asked, mut first) = (Vec::new(), FIRST);
    for (name, play) in all {
        stage.play(play);
        let last = (first + share).min(FIRST + u64::from(options.sends));
        let crowd = Crowd::start(first..last, &bases, clock);
        crowd.until(first.midpoint(last)).await;
        run.server.kill().await?;
        run.start_again().await?;
        asked.push((name, crowd.end().await?));
        first = last;
    }
    run.settle(&stage.arrivals).await?;
    let mut outcome = Outcome { kills: u32::try_from(asked.len())?, ..Outcome::default() };
    for (name, asked) in asked {
        say(&format!("the first provider {name}: {}", told(&asked, &stage.arrivals)));
        check::everything(&run.store_folder(), &asked, &stage.arrivals, &mut outcome, say).await?;
    }
    Ok(outcome)
}

impl Run {
    async fn start(binary: PathBuf, base: watch::Sender<String>, stage: &Stage) -> Result<Self> {
        let folder = tempfile::tempdir()?;
        let file = stage.settings(folder.path())?;
        let server = started(&binary, folder.path(), &file).await?;
        base.send_replace(server.base.clone());
        Ok(Self { binary, folder, file, base, server })
    }

    async fn start_again(&mut self) -> Result<()> {
        self.server = started(&self.binary, self.folder.path(), &self.file).await?;
        self.base.send_replace(self.server.base.clone());
        Ok(())
    }

    fn store_folder(&self) -> PathBuf {
        self.folder.path().join("store")
    }

    /// Lets the service run until nothing is left to do about any message, and stops it.
    async fn settle(&mut self, arrivals: &Arrivals) -> Result<()> {
        for _ in 0..LOOKS {
            tokio::time::sleep(BETWEEN_LOOKS).await;
            self.server.stop().await?;
            if check::is_quiet(&self.store_folder(), arrivals).await? {
                return Ok(());
            }
            self.start_again().await?;
        }
        bail!("there is no end to what is left to do")
    }
}

async fn started(binary: &Path, data: &Path, file: &Path) -> Result<Running> {
    Running::start_with(binary, data, |command| {
        command.arg("--config").arg(file);
        // What a provider does badly is warned of, message by message.
        command.env("MOBILE_BIND__LOG__LEVEL", "off");
    })
    .await
}

/// How many were reached, and how long it took where the second provider did it.
fn told(asked: &[Asked], arrivals: &Arrivals) -> String {
    let first = |one: &Asked| arrivals.to(&one.number).into_iter().next();
    let reached = asked.iter().filter(|one| first(one).is_some()).count();
    let by_spare = asked.iter().filter(|one| !one.again).filter_map(|one| {
        let arrival = first(one).filter(|arrival| arrival.provider == "spare")?;
        Some(arrival.at.saturating_sub(one.at).as_millis())
    });
    let mut waits: Vec<u128> = by_spare.collect();
    waits.sort_unstable();
    let of_hundred = |share: usize| waits.get(waits.len() * share / 100).or(waits.last()).copied().unwrap_or_default();
    format!(
        "{reached} of {} reached, {} by the second provider, after {} ms in the middle, {} ms for 99 of 100, {} ms at most",
        asked.len(),
        waits.len(),
        of_hundred(50),
        of_hundred(99),
        of_hundred(100),
    )
}

/// The last line: what a machine reads.
#[must_use]
pub fn summary(outcome: &Outcome) -> String {
    let Outcome { kills, sends, delivered, by_spare, refused, failed, unknown, lost, doubled, after_unknown } = outcome;
    format!(
        "{kills} kills, {sends} sends, {delivered} delivered ({by_spare} by the second provider), {refused} refused, {failed} failed, \
         {unknown} unknown, {lost} lost, {doubled} doubled, {after_unknown} doubled after an unknown outcome"
    )
}
