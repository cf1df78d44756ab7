//! Putting load on a server: in a closed loop, where each connection asks again once it is answered, or in an open one, where
//! requests start when they are due, answered or not.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use anyhow::{Context, Result};
use tokio::sync::Barrier;
use tokio::task::JoinSet;

use crate::client::Connection;
use crate::clock::now;
use crate::requests::Requests;
use crate::workload::{Outcome, Workload};

/// How requests follow each other.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Pace {
    /// The next one when the last one was answered.
    Closed,
    /// So many a second. Latency counts from when a request was due, so that a server that stalls is not spared the
    /// requests it kept from being sent.
    Open { per_second: f64 },
}

/// What a load came to.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Load {
    /// Each answered operation's latency in microseconds, ascending.
    pub(crate) latencies_us: Vec<u32>,
    /// Answers with another code than the one due.
    pub(crate) unexpected: u64,
    /// From the first request to the last answer.
    pub(crate) elapsed: Duration,
}

/// Longer than any answer may take.
const PATIENCE: Duration = Duration::from_secs(60);

/// Puts load on a server for a while, or until the workload is used up.
///
/// # Errors
/// Where a connection fails, or no answer comes for a minute.
pub(crate) async fn load(
    address: SocketAddr,
    connections: usize,
    pace: Pace,
    workload: Workload,
    duration: Duration,
) -> Result<Load> {
    let shared = Arc::new(Shared {
        requests: Requests::to(address)?,
        workload,
        pace,
        duration,
        due: AtomicU64::new(0),
        ready: Barrier::new(connections + 1),
    });
    let mut workers = JoinSet::new();
    for _ in 0..connections {
        let connection = Connection::open(address).await?;
        workers.spawn(work(connection, Arc::clone(&shared)));
    }
    shared.ready.wait().await;
    let start = now();
    let mut load = Load::default();
    let all = async {
        while let Some(worked) = workers.join_next().await {
            let worked = worked.context("a connection's task ended badly")??;
            load.latencies_us.extend(worked.latencies_us);
            load.unexpected += worked.unexpected;
        }
        anyhow::Ok(())
    };
    tokio::time::timeout(duration + PATIENCE, all).await.context("the server does not answer")??;
    load.elapsed = start.elapsed();
    load.latencies_us.sort_unstable();
    Ok(load)
}

struct Shared {
    requests: Requests,
    workload: Workload,
    pace: Pace,
    duration: Duration,
    /// How many requests of an open loop have been taken on.
    due: AtomicU64,
    ready: Barrier,
}

async fn work(mut connection: Connection, shared: Arc<Shared>) -> Result<Load> {
    let mut done = Load::default();
    shared.ready.wait().await;
    let start = now();
    let end = start + shared.duration;
    loop {
        let due = match shared.pace {
            Pace::Closed => now(),
            Pace::Open { per_second } => {
                let number = shared.due.fetch_add(1, Ordering::Relaxed);
                start + due_after(number, per_second)
            }
        };
        if due >= end {
            return Ok(done);
        }
        if shared.pace != Pace::Closed {
            tokio::time::sleep_until(due.into()).await;
        }
        match shared.workload.perform(&shared.requests, &mut connection).await? {
            Outcome::AsExpected => {}
            Outcome::Unexpected => done.unexpected += 1,
            Outcome::UsedUp => return Ok(done),
        }
        done.latencies_us.push(u32::try_from(due.elapsed().as_micros()).unwrap_or(u32::MAX));
    }
}

/// When a request of an open loop is due, in whole milliseconds: what the timer can do.
pub(crate) fn due_after(number: u64, per_second: f64) -> Duration {
    #[expect(clippy::cast_precision_loss, reason = "no run has 2^52 requests")]
    let seconds = number as f64 / per_second;
    Duration::from_millis(Duration::from_secs_f64(seconds).as_millis().try_into().unwrap_or(u64::MAX))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use hyper::header::HeaderValue;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    use super::{Pace, due_after, load};
    use crate::workload::{Ring, Workload};

    /// Answers everything with an empty 200.
    async fn serve(listener: tokio::net::TcpListener) {
        while let Ok((mut stream, _)) = listener.accept().await {
            tokio::spawn(async move {
                let mut request = [0; 1024];
                while stream.read(&mut request).await.is_ok_and(|read| read > 0) {
                    stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n").await.unwrap();
                }
            });
        }
    }

    #[tokio::test]
    async fn an_open_loop_asks_as_often_as_it_should_and_then_ends() {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        tokio::spawn(serve(listener));
        let pace = Pace::Open { per_second: 200.0 };
        let duration = Duration::from_millis(200);
        let loaded = load(address, 64, pace, Workload::Health, duration).await.unwrap();
        assert_eq!((loaded.latencies_us.len(), loaded.unexpected), (40, 0));
        // An empty body has no code.
        let token = HeaderValue::from_static("Bearer none");
        let closed = load(address, 2, Pace::Closed, Workload::LookUp(Ring::new(vec![token])), duration).await.unwrap();
        assert!(closed.unexpected > 0 && closed.unexpected == closed.latencies_us.len() as u64);
    }

    #[test]
    fn requests_of_an_open_loop_are_due_at_its_rate() {
        assert_eq!(due_after(0, 1000.0), Duration::ZERO);
        assert_eq!(due_after(2_500, 1000.0), Duration::from_millis(2_500));
        assert_eq!(due_after(3, 4000.0), Duration::ZERO);
        assert_eq!(due_after(4, 4000.0), Duration::from_millis(1));
    }
}
