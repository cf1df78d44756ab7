//! Four times as many binds as the service can do, in an open loop: what is too much is turned away at once, what is taken
//! on is answered as at full load, memory stays flat, and nothing that was acknowledged is lost.

use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use hyper::header::HeaderValue;
use tokio::task::JoinSet;

use super::binds::{Acknowledged, Crowd, MOST_A_SECOND, Play, Played, percentile_ms, play as play_binds};
use super::files::allow;
use super::report::Findings;
use crate::client::Connection;
use crate::figures::{count, ratio};
use crate::load::Pace;
use crate::people::People;
use crate::preparation::invite;
use crate::process::processor_time;
use crate::requests::Requests;
use crate::run::tell;
use crate::server::{Server, Setup, verify};
use crate::targets::{Bound, CONNECTIONS, mebibytes};

/// How many times its capacity is asked of the service.
const TIMES: f64 = 4.0;
/// More than the service takes on at once, so that it is the service that turns away, not the driver that waits.
const OPEN_CONNECTIONS: usize = 1536;

const WARM_UP: Duration = Duration::from_secs(1);
const FULL_LOAD: Duration = Duration::from_secs(4);
/// Until the service has seen that this is no burst.
const SETTLE: Duration = Duration::from_secs(1);
const OVERLOAD: Duration = Duration::from_secs(9);
/// After that, when memory is looked at first.
const FIRST_LOOK: Duration = Duration::from_secs(3);

pub(crate) async fn play(folder: &Path) -> Result<Findings> {
    allow(2 * u64::try_from(OPEN_CONNECTIONS)?)?;
    // Where the driver comes late, it is the driver that is measured.
    let server = Server::start_giving_way(Setup::Sled, folder).await?;
    let people = Arc::new(People::default());
    let crowd = Arc::new(Crowd::default());

    tell("sending codes for full load");
    let seconds = usize::try_from((WARM_UP + FULL_LOAD).as_secs())?;
    crowd.join(invite(&server, &people, seconds * MOST_A_SECOND).await?);
    let closed = |duration| Play { connections: CONNECTIONS, pace: Pace::Closed, settle: Duration::ZERO, duration };
    tell("full load");
    let mut acknowledged = play_binds(server.address, &crowd, closed(WARM_UP)).await?.acknowledged;
    let full = play_binds(server.address, &crowd, closed(FULL_LOAD)).await?;
    ensure!(full.wrong == 0 && full.shed_us.is_empty(), "the service does not bear full load");
    ensure!(crowd.len() > 0, "the service is faster than this scenario is made for");
    let capacity = full.made_per_second();

    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "it is capped above")]
    let wanted = (capacity * (SETTLE + OVERLOAD).as_secs_f64() * 1.1) as usize + OPEN_CONNECTIONS;
    let missing = wanted.saturating_sub(crowd.len());
    tell(&format!("sending codes for {wanted} binds"));
    crowd.join(invite(&server, &people, missing).await?);

    tell(&format!("{:.0} binds a second, where {capacity:.0} can be done", TIMES * capacity));
    let pace = Pace::Open { per_second: TIMES * capacity };
    let how = Play { connections: OPEN_CONNECTIONS, pace, settle: SETTLE, duration: OVERLOAD };
    let used = || anyhow::Ok((server.processor_time()?, processor_time(std::process::id())?));
    let before = used()?;
    let memory_before = mebibytes(server.most_resident()?);
    // Connections cost what they cost, many or few of them overloading; they are all there by then.
    let settled = async {
        tokio::time::sleep(SETTLE + FIRST_LOOK).await;
        server.most_resident()
    };
    let (over, memory_settled) = tokio::join!(play_binds(server.address, &crowd, how), settled);
    let (mut over, memory_settled) = (over?, mebibytes(memory_settled?));
    let memory = mebibytes(server.most_resident()?);
    let after = used()?;
    let busy = |time: Duration| ratio(time.as_secs_f64(), (SETTLE + over.elapsed).as_secs_f64());
    let (of_service, of_driver) = (busy(after.0 - before.0), busy(after.1 - before.1));

    acknowledged.extend(full.acknowledged.iter().cloned());
    acknowledged.append(&mut over.acknowledged);
    tell(&format!("killing the service, and looking {} tokens up", acknowledged.len()));
    server.kill()?;
    let lost = lost(folder, &acknowledged).await?;
    let verified = verify(folder)?;

    let mut findings = Findings::default();
    describe(&mut findings, &full, &over);
    findings.figure("most resident before overload, codes and full load and all", memory_before, "MiB");
    findings.figure("most resident when it had lasted for 4 s", memory_settled, "MiB");
    findings.figure("most resident up to the end of overload", memory, "MiB");
    let grown = memory / memory_settled;
    findings.promise(
        "most resident up to the end of overload ÷ when it had lasted for 4 s",
        Bound::AtMost(1.25),
        grown,
    );
    findings.figure("processors that the service kept busy in overload", of_service, "");
    findings.figure("processors that the driver kept busy in overload", of_driver, "");
    findings.figure("binds acknowledged in all", count(acknowledged.len()), "");
    findings.promise("answers that were neither a bind nor 503 in the envelope", Bound::AtMost(0.0), real(over.wrong));
    findings.promise("acknowledged binds that were lost when the service was killed", Bound::AtMost(0.0), count(lost));
    findings.promise("stores that do not verify", Bound::AtMost(0.0), f64::from(u8::from(!verified)));
    Ok(findings)
}

fn describe(findings: &mut Findings, full: &Played, over: &Played) {
    let (full_p99, over_p99) = (full.made_p99_ms(), over.made_p99_ms());
    let shed_p99 = percentile_ms(&over.shed_us, 99.0);
    let (capacity, asked) = (full.made_per_second(), over.asked_per_second());
    findings.figure("binds at full load, 64 connections", capacity, "1/s");
    findings.figure("p50 at full load", percentile_ms(&full.made_us, 50.0), "ms");
    findings.figure("p99 at full load", full_p99, "ms");
    findings.figure("binds asked for in overload", asked, "1/s");
    findings.figure("binds made in overload", over.made_per_second(), "1/s");
    findings.figure("p50 of binds made in overload", percentile_ms(&over.made_us, 50.0), "ms");
    findings.figure("p99 of binds made in overload", over_p99, "ms");
    findings.figure("p50 of 503", percentile_ms(&over.shed_us, 50.0), "ms");
    findings.figure("p99 of 503", shed_p99, "ms");
    findings.figure("p99 of how late the driver was, within these", percentile_ms(&over.late_us, 99.0), "ms");
    findings.promise("times the capacity that was asked for", Bound::AtLeast(0.95 * TIMES), asked / capacity);
    findings.promise("p99 of binds made in overload ÷ at full load", Bound::AtMost(2.0), over_p99 / full_p99);
    findings.promise("p99 of 503 ÷ p99 of binds at full load", Bound::AtMost(1.0), shed_p99 / full_p99);
}

/// How many of the binds that were acknowledged the service does not know after a restart.
async fn lost(folder: &Path, acknowledged: &[Acknowledged]) -> Result<usize> {
    let server = Server::start(Setup::Sled, folder).await?;
    let acknowledged: Arc<[Acknowledged]> = acknowledged.into();
    let (next, lost) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicU64::new(0)));
    let mut workers = JoinSet::new();
    for _ in 0..CONNECTIONS {
        workers.spawn(look_up(server.address, Arc::clone(&acknowledged), Arc::clone(&next), Arc::clone(&lost)));
    }
    while let Some(worked) = workers.join_next().await {
        worked.context("a connection's task ended badly")??;
    }
    server.stop()?;
    Ok(usize::try_from(lost.load(Ordering::Relaxed))?)
}

async fn look_up(
    address: SocketAddr,
    acknowledged: Arc<[Acknowledged]>,
    next: Arc<AtomicUsize>,
    lost: Arc<AtomicU64>,
) -> Result<()> {
    let requests = Requests::to(address)?;
    let mut connection = Connection::open(address).await?;
    while let Some(bind) = acknowledged.get(next.fetch_add(1, Ordering::Relaxed)) {
        let authorization = HeaderValue::try_from(format!("Bearer {}", bind.token))?;
        let answer = connection.send(requests.look_up(&authorization)?).await?;
        let is_there = answer.text("mobile") == Some(&bind.person.mobile())
            && answer.text("weixin_openid") == Some(&bind.person.openid());
        lost.fetch_add(u64::from(!is_there), Ordering::Relaxed);
    }
    Ok(())
}

#[expect(clippy::cast_precision_loss, reason = "nothing here is counted beyond 2^52")]
fn real(count: u64) -> f64 {
    count as f64
}
