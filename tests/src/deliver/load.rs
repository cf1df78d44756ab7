//! People who ask for a code, each once, and again where no answer came.

use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use anyhow::Result;
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::{Interval, MissedTickBehavior, interval};

use crate::crash::client::Client;
use crate::failover::clock::Clock;

/// How many ask in a second: as at a large shop's busiest, and well below what a machine bears that plays all parts at once.
const RATE: u32 = 150;
/// How many ask at once, at most, and the share of all that they are otherwise: few are under way when the service is killed.
const WORKERS: u64 = 64;
const SHARE: u64 = 10;

/// What one person was told.
#[derive(Clone, Debug)]
pub(super) struct Asked {
    pub(super) number: String,
    /// The envelope's code of the last answer.
    pub(super) code: i64,
    /// When he first asked.
    pub(super) at: Duration,
    /// Whether the first time was not answered.
    pub(super) again: bool,
}

/// All who ask in one phase.
pub(super) struct Crowd {
    next: Arc<AtomicU64>,
    workers: JoinSet<Result<Vec<Asked>>>,
}

impl Crowd {
    /// Lets them ask, one number each.
    pub(super) fn start(numbers: Range<u64>, base: &watch::Receiver<String>, clock: Clock) -> Self {
        let next = Arc::new(AtomicU64::new(numbers.start));
        let mut pace = interval(Duration::from_secs(1) / RATE);
        pace.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let pace = Arc::new(tokio::sync::Mutex::new(pace));
        let mut workers = JoinSet::new();
        for _ in 0..((numbers.end - numbers.start) / SHARE).clamp(1, WORKERS) {
            workers.spawn(ask(Arc::clone(&next), Arc::clone(&pace), numbers.end, base.clone(), clock));
        }
        Self { next, workers }
    }

    /// Waits until that number is being asked for.
    pub(super) async fn until(&self, number: u64) {
        while self.next.load(Ordering::Relaxed) < number {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    }

    /// Waits for all of them.
    pub(super) async fn end(mut self) -> Result<Vec<Asked>> {
        let mut all = Vec::new();
        while let Some(asked) = self.workers.join_next().await {
            all.extend(asked??);
        }
        Ok(all)
    }
}

async fn ask(
    next: Arc<AtomicU64>,
    pace: Arc<tokio::sync::Mutex<Interval>>,
    end: u64,
    mut base: watch::Receiver<String>,
    clock: Clock,
) -> Result<Vec<Asked>> {
    let mut all = Vec::new();
    let mut client = Client::new(&base.borrow_and_update())?;
    loop {
        pace.lock().await.tick().await;
        let number = next.fetch_add(1, Ordering::Relaxed);
        if number >= end {
            return Ok(all);
        }
        let number = number.to_string();
        let (at, mut again) = (clock.now(), false);
        let answer = loop {
            if base.has_changed()? {
                client = Client::new(&base.borrow_and_update())?;
            }
            match client.send_code(&format!("u-{number}"), &number).await {
                Ok(answer) => break answer,
                // The service was killed: it is somewhere else soon, or already.
                Err(_) => {
                    again = true;
                    base.changed().await?;
                    base.mark_changed();
                }
            }
        };
        all.push(Asked { number, code: answer.code(), at, again });
    }
}
