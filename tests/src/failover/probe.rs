//! What the database itself does meanwhile: each server is asked to take a row, again and again, beside its nodes.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use anyhow::{Context, Result};
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};
use tokio_postgres::{Client, NoTls};

use super::clock::Clock;

const EVERY: Duration = Duration::from_millis(25);
const PATIENCE: Duration = Duration::from_millis(1500);

/// A row that a server has taken.
#[derive(Clone, Copy, Debug)]
pub(super) struct Taken {
    pub(super) server: usize,
    pub(super) number: i64,
    /// When it was asked, and when it had answered.
    pub(super) began: Duration,
    pub(super) at: Duration,
}

/// Asks until it goes.
pub(super) struct Probe {
    taken: Arc<Mutex<Vec<Taken>>>,
    _asking: JoinSet<()>,
}

impl Probe {
    pub(super) fn start(ports: &[u16], clock: Clock) -> Self {
        let taken = Arc::new(Mutex::new(Vec::new()));
        let mut asking = JoinSet::new();
        for (server, &port) in ports.iter().enumerate() {
            asking.spawn(ask(server, port, clock, Arc::clone(&taken)));
        }
        Self { taken, _asking: asking }
    }

    pub(super) fn taken(&self) -> Vec<Taken> {
        self.taken.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// The first row that was asked for after that moment and taken.
    pub(super) fn first_since(&self, moment: Duration) -> Option<Taken> {
        self.taken().into_iter().filter(|taken| taken.began > moment).min_by_key(|taken| taken.at)
    }
}

/// A superuser's connection to one server.
pub(super) async fn connect(port: u16) -> Result<Client> {
    let address = format!("host=127.0.0.1 port={port} user=postgres dbname=postgres connect_timeout=1");
    let connecting = timeout(PATIENCE, tokio_postgres::connect(&address, NoTls)).await;
    let (client, connection) = connecting.context("the server hangs")??;
    tokio::spawn(connection);
    Ok(client)
}

async fn ask(server: usize, port: u16, clock: Clock, taken: Arc<Mutex<Vec<Taken>>>) {
    let mut number = i64::try_from(server).unwrap_or_default() * 1_000_000_000;
    loop {
        sleep(EVERY).await;
        let Ok(client) = connect(port).await else { continue };
        while !client.is_closed() {
            number += 1;
            let began = clock.now();
            let insert = format!("INSERT INTO failover_probe (number) VALUES ({number})");
            match timeout(PATIENCE, client.batch_execute(&insert)).await {
                Ok(Ok(())) => {
                    let row = Taken { server, number, began, at: clock.now() };
                    taken.lock().unwrap_or_else(PoisonError::into_inner).push(row);
                }
                // A standby says no at once.
                Ok(Err(_)) => {}
                Err(_) => break,
            }
            sleep(EVERY).await;
        }
    }
}
