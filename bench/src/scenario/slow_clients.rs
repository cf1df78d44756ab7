//! 5000 connections that were used once and are idle since, and 1000 clients that send a byte a second: they cost themselves,
//! not others, and are closed in time.

use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::task::JoinSet;

use super::binds::{Crowd, MOST_A_SECOND, Play, Played, percentile_ms, play as play_binds};
use super::files::allow;
use super::report::Findings;
use crate::clock::now;
use crate::figures::{count, ratio};
use crate::load::Pace;
use crate::people::People;
use crate::preparation::invite;
use crate::run::tell;
use crate::server::{Server, Setup};
use crate::targets::{Bound, CONNECTIONS};

const IDLE: usize = 5000;
const SLOW: usize = 1000;

/// The service's time-outs in this run: of a request, and of a connection without one.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(12);
const IDLE_TIMEOUT: Duration = Duration::from_secs(25);
/// How much later than that a connection may be closed.
const SLACK: Duration = Duration::from_secs(3);

const WARM_UP: Duration = Duration::from_secs(1);
/// Before, and again afterwards.
const NORMAL: Duration = Duration::from_secs(4);
const DURING: Duration = Duration::from_secs(6);

pub(crate) async fn play(folder: &Path) -> Result<Findings> {
    allow(u64::try_from(IDLE + SLOW + CONNECTIONS)?)?;
    let seconds = |duration: Duration| duration.as_secs().to_string();
    let settings =
        [("SERVER__IDLE_TIMEOUT_S", seconds(IDLE_TIMEOUT)), ("SERVER__REQUEST_TIMEOUT_S", seconds(REQUEST_TIMEOUT))];
    let server = Server::start_with(Setup::Sled, folder, &settings).await?;
    let people = Arc::new(People::default());
    let crowd = Arc::new(Crowd::default());
    tell("sending codes");
    let playing = usize::try_from((WARM_UP + NORMAL * 2 + DURING).as_secs())?;
    crowd.join(invite(&server, &people, playing * MOST_A_SECOND).await?);
    let closed = |duration| Play { connections: CONNECTIONS, pace: Pace::Closed, settle: Duration::ZERO, duration };
    let binds = |duration| play_binds(server.address, &crowd, closed(duration));
    tell("binds as ever");
    binds(WARM_UP).await?;
    let before = binds(NORMAL).await?;

    tell(&format!("{IDLE} idle connections and {SLOW} slow clients"));
    let resident = server.resident()?;
    let mut idle = JoinSet::new();
    for _ in 0..IDLE {
        let stream = used_once(server.address).await?;
        idle.spawn(closed_after(stream, now()));
    }
    let resident = server.resident()?.saturating_sub(resident);
    let mut slow = JoinSet::new();
    for number in 0..SLOW {
        let stream = TcpStream::connect(server.address).await.context("a slow client is not let in")?;
        slow.spawn(trickle(stream, number % 2 == 0));
    }
    let during = binds(DURING).await?;
    let still_open = idle.len() + slow.len() - finished(&mut idle) - finished(&mut slow);
    tell("waiting for them to be closed");
    let slow = ends(slow, REQUEST_TIMEOUT).await?;
    let idle = ends(idle, IDLE_TIMEOUT).await?;
    let after = binds(NORMAL).await?;
    ensure!(crowd.len() > 0, "the service is faster than this scenario is made for");
    server.stop()?;

    let mut findings = findings(&before.and(after), &during);
    let resident = f64::from(u32::try_from(resident / 1024)?);
    findings.figure("resident for each idle connection", ratio(resident, count(IDLE)), "KiB");
    findings.figure("until the last slow client was closed", slow.last_s, "s");
    findings.figure("until the last idle connection was closed", idle.last_s, "s");
    findings.promise("connections open all the while", Bound::AtLeast(count(IDLE + SLOW)), count(still_open));
    findings.promise("slow clients closed in time", Bound::AtLeast(count(SLOW)), count(slow.in_time));
    findings.promise("idle connections closed in time", Bound::AtLeast(count(IDLE)), count(idle.in_time));
    Ok(findings)
}

fn findings(normal: &Played, during: &Played) -> Findings {
    let mut findings = Findings::default();
    findings.figure("binds before and after, 64 connections", normal.made_per_second(), "1/s");
    findings.figure("p50 before and after", percentile_ms(&normal.made_us, 50.0), "ms");
    findings.figure("p99 before and after", normal.made_p99_ms(), "ms");
    findings.figure("binds beside them", during.made_per_second(), "1/s");
    findings.figure("p50 beside them", percentile_ms(&during.made_us, 50.0), "ms");
    findings.figure("p99 beside them", during.made_p99_ms(), "ms");
    let slower = during.made_p99_ms() / normal.made_p99_ms();
    let fewer = during.made_per_second() / normal.made_per_second();
    findings.promise("bind p99 beside them ÷ normally", Bound::AtMost(1.5), slower);
    findings.promise("binds/s beside them ÷ normally", Bound::AtLeast(0.8), fewer);
    let shed = normal.shed_us.len() + during.shed_us.len();
    let wrong = normal.wrong + during.wrong + u64::try_from(shed).unwrap_or(0);
    let wrong = f64::from(u32::try_from(wrong).unwrap_or(u32::MAX));
    findings.promise("binds that were not made", Bound::AtMost(0.0), wrong);
    findings
}

/// A connection that had one answer, as those of browsers have, so that it has all the buffers it ever gets.
async fn used_once(address: SocketAddr) -> Result<TcpStream> {
    let mut stream = TcpStream::connect(address).await.context("an idle connection is not let in")?;
    stream.write_all(b"GET /healthz HTTP/1.1\r\nhost: localhost\r\n\r\n").await?;
    let mut answer = [0; 1024];
    let read = stream.read(&mut answer).await?;
    ensure!(answer.get(..read).is_some_and(|answer| answer.starts_with(b"HTTP/1.1 200")), "no answer came");
    Ok(stream)
}

/// How long it takes until the server closes a connection.
async fn closed_after(mut stream: TcpStream, start: Instant) -> Duration {
    let mut rest = [0; 64];
    // The end is an end, with or without an error.
    while stream.read(&mut rest).await.is_ok_and(|read| read > 0) {}
    start.elapsed()
}

/// A byte a second, from the first of the head on, or from the first of the body.
async fn trickle(stream: TcpStream, from_the_head: bool) -> Duration {
    const HEAD: &[u8] = b"POST /user/appmobilebind HTTP/1.1\r\nhost: localhost\r\ncontent-length: 1000\r\n\
        content-type: application/x-www-form-urlencoded\r\n\r\n";
    let (mut reading, mut writing) = stream.into_split();
    let start = now();
    let ended = async {
        let mut rest = [0; 1024];
        while reading.read(&mut rest).await.is_ok_and(|read| read > 0) {}
    };
    let dripping = async {
        let told = if from_the_head { 0 } else { HEAD.len() };
        if writing.write_all(HEAD.get(..told).unwrap_or_default()).await.is_err() {
            return;
        }
        let mut clock = tokio::time::interval(Duration::from_secs(1));
        for byte in HEAD.iter().copied().chain(std::iter::repeat(b'x')).skip(told) {
            clock.tick().await;
            if writing.write_all(&[byte]).await.is_err() {
                return;
            }
        }
    };
    tokio::select! {
        () = ended => {}
        () = dripping => {}
    }
    start.elapsed()
}

/// How many have ended already.
fn finished(connections: &mut JoinSet<Duration>) -> usize {
    std::iter::from_fn(|| connections.try_join_next()).count()
}

struct Ends {
    in_time: usize,
    last_s: f64,
}

/// Waits for the server to close all of them.
async fn ends(mut connections: JoinSet<Duration>, due: Duration) -> Result<Ends> {
    let mut ends = Ends { in_time: 0, last_s: 0.0 };
    let all = async {
        while let Some(after) = connections.join_next().await {
            let after = after.context("a connection's task ended badly")?;
            ends.in_time += usize::from(after + SLACK >= due && after <= due + SLACK);
            ends.last_s = ends.last_s.max(after.as_secs_f64());
        }
        anyhow::Ok(())
    };
    match tokio::time::timeout(due + SLACK * 2, all).await {
        Ok(ended) => ended?,
        // Those that are open still are not in time.
        Err(_) => connections.abort_all(),
    }
    Ok(ends)
}
