//! One address that is listened on.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result};
use mobile_bind_http::{ConnectionLimits, Door, LimitedAcceptor};
use poem::endpoint::BoxEndpoint;
use poem::listener::{Acceptor, Listener, TcpListener};
use poem::{Response, Server};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tracing::warn;

/// Files that the process needs besides connections.
const OTHER_FILES: u64 = 64;

/// A server at an address.
pub(crate) struct Listening {
    /// Where it listens.
    pub(crate) address: SocketAddr,
    server: JoinHandle<std::io::Result<()>>,
}

impl Listening {
    /// Listens until `stopped` says so, and then as long as `timeout` for what is in flight.
    pub(crate) async fn start(
        address: SocketAddr,
        endpoint: BoxEndpoint<'static, Response>,
        limits: ConnectionLimits,
        door: Option<Arc<Door>>,
        mut stopped: watch::Receiver<bool>,
        timeout: Duration,
    ) -> Result<Self> {
        let acceptor = TcpListener::bind(address).into_acceptor().await;
        let acceptor = acceptor.with_context(|| format!("cannot listen on {address}"))?;
        let own = acceptor.local_addr().first().and_then(|address| address.as_socket_addr().copied());
        let address = own.context("the listener has no address")?;
        let acceptor = LimitedAcceptor::new(acceptor, limits, door);
        let server = tokio::spawn(async move {
            let stopped = async move {
                // An error means that the sender is gone, which is as good a reason to stop.
                let _ = stopped.wait_for(|stop| *stop).await;
            };
            Server::new_with_acceptor(acceptor).run_with_graceful_shutdown(endpoint, stopped, Some(timeout)).await
        });
        Ok(Self { address, server })
    }

    /// The end of it, once it was told to stop.
    pub(crate) async fn ended(self) -> Result<()> {
        self.server.await.context("the server ended badly")?.context("the server failed")
    }
}

/// Lets the process have as many files open as the system allows it: each connection is one.
pub(crate) fn raise_file_limit(connections: usize) {
    let limit = getrlimit(Resource::Nofile);
    if limit.current != limit.maximum {
        // Where it is refused, the limit stays, and is told of below where it is too low.
        let _ = setrlimit(Resource::Nofile, Rlimit { current: limit.maximum, maximum: limit.maximum });
    }
    let needed = u64::try_from(connections).unwrap_or(u64::MAX).saturating_add(OTHER_FILES);
    if let Some(files) = getrlimit(Resource::Nofile).current.filter(|&files| files < needed) {
        warn!(files, needed, "the limit of open files (ulimit -n) is below what server.max_connections may need");
    }
}
