//! An SMS provider that hangs for ten seconds with 1000 sends waiting: binds, whose codes were sent before, go on as ever.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use tokio::task::JoinSet;

use super::binds::{Crowd, MOST_A_SECOND, Play, Played, percentile_ms, play as play_binds};
use super::files::allow;
use super::report::Findings;
use crate::client::{Answer, Connection};
use crate::clock::now;
use crate::figures::count;
use crate::load::Pace;
use crate::people::{People, Person};
use crate::preparation::invite;
use crate::requests::Requests;
use crate::run::tell;
use crate::server::{Server, Setup};
use crate::targets::{Bound, CONNECTIONS};

/// How many sends wait.
const SENDS: usize = 1000;
/// How long the provider hangs: the service gives it up then.
const HANG: Duration = Duration::from_secs(10);

const WARM_UP: Duration = Duration::from_secs(1);
/// Before, and again afterwards.
const NORMAL: Duration = Duration::from_secs(4);
const DURING: Duration = Duration::from_secs(5);

/// How long the sends may take until all of them wait.
const PATIENCE: Duration = Duration::from_secs(4);

pub(crate) async fn play(folder: &Path) -> Result<Findings> {
    allow(2 * u64::try_from(SENDS)?)?;
    let settings = [
        ("SMS__TIMEOUT_S", HANG.as_secs().to_string()),
        // Whoever asked waits as long as the provider may take: the worst for everybody else.
        ("SMS__ANSWER_AFTER_MS", (HANG * 2).as_millis().to_string()),
        ("SMS__MAX_IN_FLIGHT", SENDS.to_string()),
    ];
    let server = Server::start_with(Setup::Sled, folder, &settings).await?;
    let people = Arc::new(People::default());
    let crowd = Arc::new(Crowd::default());
    tell("sending codes");
    let seconds = usize::try_from((WARM_UP + NORMAL * 2 + DURING).as_secs())?;
    crowd.join(invite(&server, &people, seconds * MOST_A_SECOND).await?);
    let hanging = hang(&server, &people).await?;

    let closed = |duration| Play { connections: CONNECTIONS, pace: Pace::Closed, settle: Duration::ZERO, duration };
    let binds = |duration| play_binds(server.address, &crowd, closed(duration));
    tell("binds as ever");
    binds(WARM_UP).await?;
    let before = binds(NORMAL).await?;
    tell(&format!("{SENDS} sends, and a provider that hangs"));
    let mut sends = JoinSet::new();
    for person in hanging {
        let connection = Connection::open(server.address).await?;
        sends.spawn(send(connection, Requests::to(server.address)?, person));
    }
    let start = now();
    while waiting(&server).await? < SENDS {
        ensure!(start.elapsed() < PATIENCE, "the sends do not get to the provider");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let during = binds(DURING).await?;
    let still_waiting = waiting(&server).await?;
    tell("waiting for the sends to be given up");
    let mut given_up = 0;
    while let Some(answer) = sends.join_next().await {
        given_up += usize::from(answer.context("a send's task ended badly")??.code() == Some(NOT_SENT));
    }
    let after = binds(NORMAL).await?;
    ensure!(crowd.len() > 0, "the service is faster than this scenario is made for");
    server.stop()?;
    Ok(findings(before.and(after), &during, still_waiting, given_up))
}

fn findings(normal: Played, during: &Played, still_waiting: usize, given_up: usize) -> Findings {
    let wrong = normal.wrong + during.wrong + u64::try_from(normal.shed_us.len() + during.shed_us.len()).unwrap_or(0);
    let mut findings = Findings::default();
    findings.figure("binds before and after, 64 connections", normal.made_per_second(), "1/s");
    findings.figure("p50 before and after", percentile_ms(&normal.made_us, 50.0), "ms");
    findings.figure("p99 before and after", normal.made_p99_ms(), "ms");
    findings.figure("binds while the sends wait", during.made_per_second(), "1/s");
    findings.figure("p50 while the sends wait", percentile_ms(&during.made_us, 50.0), "ms");
    findings.figure("p99 while the sends wait", during.made_p99_ms(), "ms");
    let ratio = during.made_p99_ms() / normal.made_p99_ms();
    findings.promise("bind p99 while the sends wait ÷ normally", Bound::AtMost(1.5), ratio);
    findings.promise("sends that wait all the while", Bound::AtLeast(count(SENDS)), count(still_waiting));
    findings.promise("sends that are then answered with -100", Bound::AtLeast(count(SENDS)), count(given_up));
    let wrong = f64::from(u32::try_from(wrong).unwrap_or(u32::MAX));
    findings.promise("binds that were not made", Bound::AtMost(0.0), wrong);
    findings
}

/// Messages to these people will hang.
async fn hang(server: &Server, people: &People) -> Result<Vec<Person>> {
    let requests = Requests::to(server.address)?;
    let mut connection = Connection::open(server.address).await?;
    let mut hanging = Vec::with_capacity(SENDS);
    for _ in 0..SENDS {
        let person = people.next();
        let answer = connection.send(requests.let_messages_hang(person)?).await?;
        ensure!(answer.code() == Some(DONE), "the provider cannot be told to hang");
        hanging.push(person);
    }
    Ok(hanging)
}

const DONE: i32 = 0;
const NOT_SENT: i32 = -100;

async fn send(mut connection: Connection, requests: Requests, person: Person) -> Result<Answer> {
    connection.send(requests.send_code(person)?).await
}

/// How many sends are being worked on.
async fn waiting(server: &Server) -> Result<usize> {
    let mut connection = Connection::open(server.address).await?;
    let metrics = connection.send(Requests::to(server.address)?.get("/metrics")?).await?;
    let metrics = std::str::from_utf8(&metrics.body)?;
    in_flight(metrics).context("the metrics do not tell how many sends are in flight")
}

fn in_flight(metrics: &str) -> Option<usize> {
    let value =
        |line: &str| line.strip_prefix("mobile_bind_http_requests_in_flight{bulkhead=\"sends\"}")?.trim().parse().ok();
    metrics.lines().find_map(value)
}

#[cfg(test)]
mod tests {
    use super::in_flight;

    #[test]
    fn sends_in_flight_are_read_from_the_metrics() {
        let metrics = "mobile_bind_http_requests_in_flight{bulkhead=\"requests\"} 3\n\
                       mobile_bind_http_requests_in_flight{bulkhead=\"sends\"} 1000\n";
        assert_eq!(in_flight(metrics), Some(1000));
        assert_eq!(in_flight("# nothing"), None);
    }
}
