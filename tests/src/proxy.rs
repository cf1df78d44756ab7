//! A faulty network: a TCP proxy that passes everything on, until so many bytes have gone one way, or for as long as the
//! network is not parted.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use anyhow::{Context, Result};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinHandle;

/// Which way bytes go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Way {
    /// To the server.
    There,
    /// To the client.
    Back,
}

/// What happens to a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// It is cut.
    Cut,
    /// This way it is closed, and what comes is dropped; the other way stays open.
    HalfClose,
    /// What comes is kept for so long, then passed on.
    Delay(Duration),
}

#[derive(Debug, Default)]
struct State {
    armed: Option<(Way, usize, Fault)>,
    there: usize,
    back: usize,
    /// How often bytes went there after others had come back.
    round_trips: usize,
    last: Option<Way>,
}

/// The proxy. It goes when this does.
pub struct Proxy {
    /// Where it listens.
    pub address: SocketAddr,
    state: Arc<Mutex<State>>,
    parted: watch::Sender<bool>,
    task: JoinHandle<()>,
}

impl Proxy {
    /// Passes connections on to the server of a store's address, `kind://user@host:port/…`; answers the address through it.
    ///
    /// # Errors
    /// Where no port is to be had, or the address is of another form.
    pub async fn before(address: &str) -> Result<(Self, String)> {
        let (who, place) = address.split_once('@').context("an address with a user")?;
        let (server, database) = place.split_once('/').context("an address with a database")?;
        let proxy = Self::start(server.to_owned()).await?;
        let through = format!("{who}@{}/{database}", proxy.address);
        Ok((proxy, through))
    }

    /// Passes connections on to a server.
    ///
    /// # Errors
    /// Where no port is to be had.
    pub async fn start(server: String) -> Result<Self> {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await?;
        let address = listener.local_addr()?;
        let state = Arc::new(Mutex::new(State::default()));
        let shared = Arc::clone(&state);
        let (parted, network) = watch::channel(false);
        let task = tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                tokio::spawn(pass_on(client, server.clone(), Arc::clone(&shared), network.clone()));
            }
        });
        Ok(Self { address, state, parted, task })
    }

    /// Parts the network, or makes it whole. While it is parted nothing comes through and nobody is told, as where packets are
    /// dropped; what was sent meanwhile arrives afterwards.
    pub fn part(&self, parted: bool) {
        self.parted.send_replace(parted);
    }

    /// Counts from 0 again, and has the fault happen once, when so many bytes have gone that way.
    pub fn arm(&self, fault: Option<(Way, usize, Fault)>) {
        *lock(&self.state) = State { armed: fault, ..State::default() };
    }

    /// How many bytes have gone there and back since.
    #[must_use]
    pub fn passed(&self) -> (usize, usize) {
        let state = lock(&self.state);
        (state.there, state.back)
    }

    /// How often the client has waited for an answer since: bytes that go one way together, however many requests they are,
    /// are one round trip with what comes back for them.
    #[must_use]
    pub fn round_trips(&self) -> usize {
        lock(&self.state).round_trips
    }

    /// Whether the fault has happened.
    #[must_use]
    pub fn has_struck(&self) -> bool {
        lock(&self.state).armed.is_none()
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.task.abort();
    }
}

fn lock(state: &Mutex<State>) -> MutexGuard<'_, State> {
    state.lock().unwrap_or_else(PoisonError::into_inner)
}

impl State {
    /// How many of the bytes may pass, and what happens after them.
    fn count(&mut self, way: Way, bytes: usize) -> (usize, Option<Fault>) {
        if bytes > 0 {
            self.round_trips += usize::from(way == Way::There && self.last != Some(Way::There));
            self.last = Some(way);
        }
        let passed = match way {
            Way::There => &mut self.there,
            Way::Back => &mut self.back,
        };
        match self.armed {
            Some((armed, after, fault)) if armed == way && *passed + bytes > after => {
                let pass = after.saturating_sub(*passed);
                *passed += pass;
                self.armed = None;
                (pass, Some(fault))
            }
            _ => {
                *passed += bytes;
                (bytes, None)
            }
        }
    }
}

/// Waits until the network is whole. Where the proxy is gone it stays as it was.
async fn whole(network: &mut watch::Receiver<bool>) {
    let _ = network.wait_for(|parted| !*parted).await;
}

async fn pass_on(client: TcpStream, server: String, state: Arc<Mutex<State>>, mut network: watch::Receiver<bool>) {
    whole(&mut network).await;
    let Ok(server) = TcpStream::connect(server).await else { return };
    let ((client_read, client_write), (server_read, server_write)) = (client.into_split(), server.into_split());
    let (cut, _) = watch::channel(false);
    let there = pump(client_read, server_write, Way::There, &state, &cut, network.clone());
    let back = pump(server_read, client_write, Way::Back, &state, &cut, network);
    tokio::join!(there, back);
}

async fn pump(
    mut from: OwnedReadHalf,
    mut to: OwnedWriteHalf,
    way: Way,
    state: &Mutex<State>,
    cut: &watch::Sender<bool>,
    mut network: watch::Receiver<bool>,
) {
    let mut is_cut = cut.subscribe();
    let mut block = vec![0; 16 * 1024];
    loop {
        let read = tokio::select! {
            read = from.read(&mut block) => read.unwrap_or(0),
            _ = is_cut.wait_for(|cut| *cut) => return,
        };
        whole(&mut network).await;
        let (pass, fault) = lock(state).count(way, read);
        let (now, later) = block.split_at(pass.min(read));
        if read == 0 || to.write_all(now).await.is_err() {
            // The other end hears of it when this half is dropped.
            return;
        }
        match fault {
            None => {}
            Some(Fault::Cut) => {
                cut.send_replace(true);
                return;
            }
            Some(Fault::HalfClose) => {
                let _ = to.shutdown().await;
                return drop_all(from, is_cut).await;
            }
            Some(Fault::Delay(delay)) => {
                tokio::time::sleep(delay).await;
                let later = later.get(..read - now.len()).unwrap_or_default();
                if to.write_all(later).await.is_err() {
                    return;
                }
            }
        }
    }
}

/// Reads to the end for nothing.
async fn drop_all(mut from: OwnedReadHalf, mut is_cut: watch::Receiver<bool>) {
    let mut block = vec![0; 1024];
    loop {
        tokio::select! {
            read = from.read(&mut block) => if read.unwrap_or(0) == 0 { return },
            _ = is_cut.wait_for(|cut| *cut) => return,
        }
    }
}
