//! One address that is listened on.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result};
use mobile_bind_http::{ConnectionLimits, Door, LimitedAcceptor};
use poem::endpoint::BoxEndpoint;
use poem::listener::{Acceptor, TcpAcceptor};
use poem::{Response, Server};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use tokio::net::{TcpListener, TcpSocket};
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tracing::warn;

/// How many connections may wait to be accepted; the system may allow fewer (`net.core.somaxconn`). The first packet of one more
/// is dropped, and its client comes again after a second: with the 128 that are usual, a burst of clients did.
const BACKLOG: u32 = 4096;

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
        let acceptor = bind(address).and_then(TcpAcceptor::from_tokio);
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

/// Listens on an address. Where no socket can be made, or the address is not to be had, that is the error.
fn bind(address: SocketAddr) -> std::io::Result<TcpListener> {
    let socket = if address.is_ipv4() { TcpSocket::new_v4() } else { TcpSocket::new_v6() }?;
    // A restart must not wait for the connections that the last process closed.
    socket.set_reuseaddr(true)?;
    socket.bind(address)?;
    socket.listen(BACKLOG)
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

#[cfg(test)]
mod tests {
    use std::net::TcpStream;
    use std::time::Duration;

    use super::bind;

    #[tokio::test]
    async fn a_burst_of_connections_is_kept_until_it_is_accepted() {
        let listener = bind(([127, 0, 0, 1], 0).into()).unwrap();
        let address = listener.local_addr().unwrap();
        // A packet that is dropped is sent again after a second.
        let connect = |_| TcpStream::connect_timeout(&address, Duration::from_millis(900));
        let connections: Result<Vec<_>, _> = (0..512).map(connect).collect();
        assert_eq!(connections.unwrap().len(), 512);
    }
}
