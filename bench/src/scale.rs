//! What a number of users costs: speed, memory, disk, and the time to start.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Result;

use crate::load::Pace;
use crate::people::People;
use crate::report::{Cell, Measured, Operation, Scale};
use crate::run::{measure, tell};
use crate::server::{Server, Setup, fill};
use crate::targets::CONNECTIONS;

/// Fills a store for each number of users, and binds on them in turn, so that what disturbs one disturbs all.
pub(crate) async fn scale(users: &[u64], repeats: usize, duration: Duration, folder: &Path) -> Result<Vec<Scale>> {
    let mut servers = Vec::new();
    for &users in users {
        let folder = folder.join(format!("users-{users}"));
        tell(&format!("filling a store with {users} accounts"));
        fill(&folder, users)?;
        servers.push(Server::start(Setup::Sled, &folder).await?);
    }
    let cell =
        Cell { operation: Operation::Bind, setup: Some(Setup::Sled), connections: CONNECTIONS, pace: Pace::Closed };
    let mut measured = vec![Measured { cell: cell.clone(), repeats: Vec::new() }; servers.len()];
    let people = Arc::new(People::default());
    for repeat in 0..=repeats {
        for (server, measured) in servers.iter().zip(&mut measured) {
            // The first one warms up.
            let (duration, rate) = match measured.repeats.last() {
                None if repeat == 0 => (duration / 4, 10_000.0),
                last => (duration, last.map_or(10_000.0, |figures| figures.per_second)),
            };
            let figures = measure(server, &people, &cell, duration, rate).await?;
            if repeat > 0 {
                measured.repeats.push(figures);
            }
        }
    }
    let mut scales = Vec::new();
    for ((server, bind), &users) in servers.into_iter().zip(measured).zip(users) {
        let (resident_bytes, disk_bytes) = (server.resident()?, server.on_disk()?);
        let ready_after_s = server.ready_after.as_secs_f64();
        scales.push(Scale { users, ready_after_s, bind, resident_bytes, disk_bytes });
        server.stop()?;
    }
    Ok(scales)
}

/// The resident memory of a server that has nothing to do, on an empty store.
pub(crate) async fn idle_resident(folder: &Path) -> Result<u64> {
    let server = Server::start(Setup::Sled, &folder.join("idle")).await?;
    // What it does once, after it is ready, is done by then.
    tokio::time::sleep(Duration::from_secs(2)).await;
    let resident = server.resident()?;
    server.stop()?;
    Ok(resident)
}
