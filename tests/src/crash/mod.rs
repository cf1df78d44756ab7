//! Kills the service in the middle of its work, again and again, and looks whether anything that it had answered is lost or
//! half there. The service is the real binary, the store a real folder, and the moments are random.

mod check;
pub(crate) mod client;
pub(crate) mod load;
pub(crate) mod process;
mod random;
mod store;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result};
use tempfile::TempDir;
use tokio::sync::watch;
use tokio::task::JoinSet;

use check::Check;
use client::Client;
use load::{Journal, Worker};
use process::Running;
pub use random::Random;

/// How many clients ask at once, and how many numbers each has for itself in a round.
const WORKERS: u64 = 16;
const NUMBERS: u64 = 50_000;
/// How many binds of earlier rounds are looked at after each kill; all of them are at the end.
const SAMPLE: usize = 200;

/// What to do.
#[derive(Clone, Debug)]
pub struct Options {
    /// The service's binary.
    pub binary: PathBuf,
    /// How often to kill it.
    pub kills: u32,
    /// What the random moments and choices come from.
    pub seed: u64,
    /// The longest and the shortest time from the first request to the kill, in milliseconds.
    pub moments: std::ops::Range<u64>,
}

/// What came out.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Outcome {
    /// How often the service was killed.
    pub kills: u32,
    /// Binds that were answered with code 0.
    pub acknowledged: usize,
    /// Answers that the service forgot.
    pub lost: usize,
    /// Records that are there in part, or that nobody was told of.
    pub torn: usize,
}

/// What goes on from round to round.
struct Run {
    options: Options,
    folder: TempDir,
    random: Random,
    journal: Journal,
    outcome: Outcome,
    next_number: u64,
}

/// Kills the service as often as asked, and tells `say` of each round and each thing that is wrong.
///
/// # Errors
/// Where the service does not start, or does not do its work at all.
pub async fn run(options: Options, say: &mut dyn FnMut(&str)) -> Result<Outcome> {
    let random = Random::new(options.seed);
    let mut run = Run {
        options,
        folder: tempfile::tempdir()?,
        random,
        journal: Journal::default(),
        outcome: Outcome::default(),
        next_number: 13_000_000_000,
    };
    let mut server = run.start().await?;
    for _ in 0..run.options.kills {
        let earlier = run.journal.bound.len();
        let load = run.load_and_kill(&mut server).await?;
        // The service and the check each meet stores that nothing has opened since the kill.
        let found = if run.random.draw().is_multiple_of(2) { run.verify().await? } else { None };
        server = run.start().await?;
        let mut check = Check::new(Client::new(&server.base)?);
        check.torn.extend(found);
        check.round(&mut run.journal, load, earlier, SAMPLE, &mut run.random).await?;
        run.note(check, earlier, say);
    }
    let mut check = Check::new(Client::new(&server.base)?);
    check.everything(&run.journal).await?;
    server.stop().await?;
    check.torn.extend(run.verify().await?);
    store::check(&run.store_folder(), &run.journal, &mut check).await?;
    run.finish(check, say);
    Ok(run.outcome)
}

impl Run {
    async fn start(&self) -> Result<Running> {
        Running::start(&self.options.binary, self.folder.path()).await
    }

    async fn verify(&self) -> Result<Option<String>> {
        let found = process::verify(&self.options.binary, self.folder.path()).await?;
        Ok(found.map(|found| format!("the store: {}", found.trim())))
    }

    fn store_folder(&self) -> PathBuf {
        Path::join(self.folder.path(), "store")
    }

    /// What was asked until the service was gone.
    async fn load_and_kill(&mut self, server: &mut Running) -> Result<Journal> {
        let moment = Duration::from_millis(self.random.within(self.options.moments.clone()));
        let client = Arc::new(Client::new(&server.base)?);
        let (stop, stopped) = watch::channel(false);
        let mut workers = JoinSet::new();
        for index in 0..WORKERS {
            // Each has numbers of its own.
            let first = self.next_number + index * NUMBERS;
            let worker = Worker::new(
                Arc::clone(&client),
                first,
                Random::new(self.random.draw()),
                self.journal.some_bound(index),
            );
            workers.spawn(worker.run(stopped.clone()));
        }
        self.next_number += WORKERS * NUMBERS;
        // Real time is the point: the service is to be hit wherever it happens to be.
        tokio::time::sleep(moment).await;
        server.kill().await?;
        stop.send_replace(true);
        let mut done = Journal::default();
        while let Some(journal) = workers.join_next().await {
            done.add(journal?);
        }
        Ok(done)
    }

    fn note(&mut self, check: Check, earlier: usize, say: &mut dyn FnMut(&str)) {
        self.outcome.kills += 1;
        let new = self.journal.bound.len() - earlier;
        let seen = check.seen();
        self.finish(check, say);
        let Outcome { kills, lost, torn, .. } = self.outcome;
        say(&format!("kill {kills}: {new} binds acknowledged, {seen} answers checked, {lost} lost, {torn} torn"));
    }

    fn finish(&mut self, check: Check, say: &mut dyn FnMut(&str)) {
        self.outcome.acknowledged = self.journal.bound.len();
        self.outcome.lost += check.lost.len();
        self.outcome.torn += check.torn.len();
        check.lost.iter().for_each(|what| say(&format!("lost: {what}")));
        check.torn.iter().for_each(|what| say(&format!("torn: {what}")));
    }
}

/// The last line: what a machine reads.
#[must_use]
pub fn summary(outcome: &Outcome) -> String {
    let Outcome { kills, acknowledged, lost, torn } = outcome;
    format!("{kills} kills, {acknowledged} acknowledged, {lost} lost, {torn} torn")
}

/// The whole path of a program.
///
/// # Errors
/// Where it is not there.
pub fn existing(binary: &Path) -> Result<PathBuf> {
    binary.canonicalize().with_context(|| format!("there is no {}", binary.display()))
}
