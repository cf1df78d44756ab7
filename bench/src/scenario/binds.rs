//! Binds, and what became of each: made, turned away, or something that must not be.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use anyhow::{Context, Result};
use hyper::StatusCode;
use tokio::sync::Barrier;
use tokio::task::JoinSet;

use crate::client::Answer;
use crate::clock::now;
use crate::figures::{count, quantile, ratio};
use crate::load::{Pace, due_after};
use crate::people::Person;
use crate::requests::Requests;
use crate::wire::Wire;
use crate::workload::Invited;

/// People who have their codes. Who was turned away comes again, as a client would.
#[derive(Debug, Default)]
pub(crate) struct Crowd(Mutex<VecDeque<Invited>>);

impl Crowd {
    pub(crate) fn join(&self, invited: Vec<Invited>) {
        self.people().extend(invited);
    }

    pub(crate) fn len(&self) -> usize {
        self.people().len()
    }

    fn people(&self) -> MutexGuard<'_, VecDeque<Invited>> {
        // A queue is left whole by whoever panics beside it.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A bind that was answered with code 0.
#[derive(Clone, Debug)]
pub(crate) struct Acknowledged {
    pub(crate) person: Person,
    pub(crate) token: String,
}

/// What became of many binds.
#[derive(Debug, Default)]
pub(crate) struct Played {
    /// All that were acknowledged, also before it counted.
    pub(crate) acknowledged: Vec<Acknowledged>,
    /// The latencies of those that were made, in microseconds, ascending.
    pub(crate) made_us: Vec<u32>,
    /// The latencies of those that were turned away as the contract says, in microseconds, ascending.
    pub(crate) shed_us: Vec<u32>,
    /// How late they were sent, in microseconds, ascending: what the driver itself, and connections that were all busy,
    /// kept waiting.
    pub(crate) late_us: Vec<u32>,
    /// Answers that were neither.
    pub(crate) wrong: u64,
    /// How long it counted.
    pub(crate) elapsed: Duration,
}

impl Played {
    pub(crate) fn made_per_second(&self) -> f64 {
        ratio(count(self.made_us.len()), self.elapsed.as_secs_f64())
    }

    pub(crate) fn asked_per_second(&self) -> f64 {
        ratio(count(self.made_us.len() + self.shed_us.len()), self.elapsed.as_secs_f64())
    }

    /// The latency that 99 % of those that were made did not exceed, in milliseconds.
    pub(crate) fn made_p99_ms(&self) -> f64 {
        percentile_ms(&self.made_us, 99.0)
    }

    fn add(&mut self, other: Self) {
        self.acknowledged.extend(other.acknowledged);
        self.made_us.extend(other.made_us);
        self.shed_us.extend(other.shed_us);
        self.late_us.extend(other.late_us);
        self.wrong += other.wrong;
    }

    /// What two plays came to together.
    pub(crate) fn and(mut self, other: Self) -> Self {
        self.elapsed += other.elapsed;
        self.add(other);
        self.sort();
        self
    }

    fn sort(&mut self) {
        for latencies in [&mut self.made_us, &mut self.shed_us, &mut self.late_us] {
            latencies.sort_unstable();
        }
    }
}

/// In milliseconds, from ascending microseconds.
pub(crate) fn percentile_ms(ascending_us: &[u32], percent: f64) -> f64 {
    f64::from(quantile(ascending_us, percent)) / 1000.0
}

/// How binds are played.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Play {
    pub(crate) connections: usize,
    pub(crate) pace: Pace,
    /// What is asked in the beginning does not count, but for what was acknowledged.
    pub(crate) settle: Duration,
    /// How long it counts.
    pub(crate) duration: Duration,
}

/// The most that is prepared for a second in a closed loop.
pub(crate) const MOST_A_SECOND: usize = 20_000;

/// Longer than any answer may take.
const PATIENCE: Duration = Duration::from_secs(60);

/// Plays binds until the time is over, or nobody is left who has not bound.
///
/// # Errors
/// Where a connection fails, or no answer comes for a minute.
pub(crate) async fn play(address: SocketAddr, crowd: &Arc<Crowd>, how: Play) -> Result<Played> {
    let shared = Arc::new(Shared {
        requests: Requests::to(address)?,
        crowd: Arc::clone(crowd),
        how,
        due: AtomicU64::new(0),
        ready: Barrier::new(how.connections + 1),
    });
    let mut workers = JoinSet::new();
    for _ in 0..how.connections {
        let connection = Wire::open(address).await?;
        workers.spawn(work(connection, Arc::clone(&shared)));
    }
    shared.ready.wait().await;
    let start = now();
    let mut played = Played::default();
    let all = async {
        while let Some(worked) = workers.join_next().await {
            played.add(worked.context("a connection's task ended badly")??);
        }
        anyhow::Ok(())
    };
    tokio::time::timeout(how.settle + how.duration + PATIENCE, all).await.context("the server does not answer")??;
    played.elapsed = start.elapsed().saturating_sub(how.settle);
    played.sort();
    Ok(played)
}

struct Shared {
    requests: Requests,
    crowd: Arc<Crowd>,
    how: Play,
    /// How many binds of an open loop have been taken on.
    due: AtomicU64,
    ready: Barrier,
}

async fn work(mut connection: Wire, shared: Arc<Shared>) -> Result<Played> {
    let mut played = Played::default();
    shared.ready.wait().await;
    let start = now();
    let counted_from = start + shared.how.settle;
    let end = counted_from + shared.how.duration;
    loop {
        let due = match shared.how.pace {
            Pace::Closed => now(),
            Pace::Open { per_second } => {
                let due = start + due_after(shared.due.fetch_add(1, Ordering::Relaxed), per_second);
                tokio::time::sleep_until(due.min(end).into()).await;
                due
            }
        };
        if due >= end {
            return Ok(played);
        }
        let Some(invited) = shared.crowd.people().pop_front() else { return Ok(played) };
        let late = due.elapsed();
        let answer = connection.send(shared.requests.bind(invited.person, invited.code)?).await?;
        let took_us = micros(due.elapsed());
        let counts = due >= counted_from;
        if counts {
            played.late_us.push(micros(late));
        }
        match fate(&answer) {
            Fate::Made(token) => {
                played.acknowledged.push(Acknowledged { person: invited.person, token });
                played.made_us.extend(counts.then_some(took_us));
            }
            Fate::Shed => {
                shared.crowd.people().push_back(invited);
                played.shed_us.extend(counts.then_some(took_us));
            }
            Fate::Wrong => played.wrong += 1,
        }
    }
}

fn micros(duration: Duration) -> u32 {
    u32::try_from(duration.as_micros()).unwrap_or(u32::MAX)
}

#[derive(Debug, PartialEq, Eq)]
enum Fate {
    Made(String),
    Shed,
    Wrong,
}

const BOUND: i32 = 0;
const NOT_BOUND: i32 = -100;

/// 200 with a token and code 0, or 503 with code -100 and the seconds to wait; nothing else is right.
fn fate(answer: &Answer) -> Fate {
    match (answer.status, answer.code()) {
        (StatusCode::OK, Some(BOUND)) => answer.text("token").map_or(Fate::Wrong, |token| Fate::Made(token.to_owned())),
        (StatusCode::SERVICE_UNAVAILABLE, Some(NOT_BOUND)) if answer.retry_after_s().is_some() => Fate::Shed,
        _ => Fate::Wrong,
    }
}
