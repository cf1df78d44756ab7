//! Connecting to one of several servers. The one that was good last is tried first, and one that hangs is given up for the
//! next, also where it takes the connection and then says nothing, as a machine that is stopped does.

use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;

use deadpool_postgres::Connect;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::task::JoinHandle;
use tokio::time::timeout;
use tokio_postgres::error::Severity;
use tokio_postgres::{AsyncMessage, Client, Config, Connection, Error, Socket};
use tokio_postgres_rustls::MakeRustlsConnect;

/// How many warnings the server has given on any connection of a pool.
///
/// PostgreSQL answers a commit as if all were well, but for a warning, where its wait for the synchronous standby was
/// cancelled: the change is on the primary alone, and a failover loses it. So a commit during which one came is not taken
/// for one. (`SyncRepWaitForLSN` in `src/backend/replication/syncrep.c`)
#[derive(Clone, Debug, Default)]
pub(crate) struct Warnings(Arc<AtomicU64>);

impl Warnings {
    pub(crate) fn count(&self) -> u64 {
        self.0.load(Ordering::SeqCst)
    }
}

/// The servers of an address.
pub(crate) struct Hosts {
    each: Vec<Config>,
    good: Arc<AtomicUsize>,
    tls: MakeRustlsConnect,
    /// How long one server is waited for while there is another.
    patience: Duration,
    warnings: Warnings,
}

impl Hosts {
    pub(crate) fn of(config: &Config, tls: MakeRustlsConnect, patience: Duration, warnings: Warnings) -> Self {
        let count = config.get_hosts().len().max(config.get_hostaddrs().len());
        let each = (0..count).map(|index| one_host(config, index)).collect();
        Self { each, good: Arc::default(), tls, patience, warnings }
    }
}

type Connecting = Pin<Box<dyn Future<Output = Result<(Client, JoinHandle<()>), Error>> + Send>>;

impl Connect for Hosts {
    fn connect(&self, config: &Config) -> Connecting {
        let first = self.good.load(Ordering::Relaxed);
        let numbered = self.each.iter().cloned().enumerate();
        let mut ordered: Vec<(usize, Config)> = numbered.cycle().skip(first).take(self.each.len()).collect();
        // An address without a server is the driver's to refuse.
        let (last, last_config) = ordered.pop().unwrap_or_else(|| (0, config.clone()));
        let (good, tls, patience) = (Arc::clone(&self.good), self.tls.clone(), self.patience);
        let warnings = self.warnings.clone();
        Box::pin(async move {
            for (index, config) in ordered {
                if let Ok(Ok((client, connection))) = timeout(patience, config.connect(tls.clone())).await {
                    good.store(index, Ordering::Relaxed);
                    return Ok((client, tokio::spawn(listen(connection, warnings))));
                }
            }
            // The pool's own time limit ends this one.
            let (client, connection) = last_config.connect(tls).await?;
            good.store(last, Ordering::Relaxed);
            Ok((client, tokio::spawn(listen(connection, warnings))))
        })
    }
}

/// Serves a connection until it ends, and counts the server's warnings before what they are about is answered.
async fn listen<S: AsyncRead + AsyncWrite + Unpin>(mut connection: Connection<Socket, S>, warnings: Warnings) {
    loop {
        match poll_fn(|context| connection.poll_message(context)).await {
            Some(Ok(AsyncMessage::Notice(notice))) if notice.parsed_severity() == Some(Severity::Warning) => {
                warnings.0.fetch_add(1, Ordering::SeqCst);
                // Its words may quote what was stored.
                tracing::warn!(code = notice.code().code(), "the database warned");
            }
            Some(Ok(_)) => {}
            Some(Err(error)) => {
                tracing::warn!(error = &error as &dyn std::error::Error, "a connection to the database ended");
                return;
            }
            None => return,
        }
    }
}

/// The same address with one of its servers alone.
fn one_host(config: &Config, index: usize) -> Config {
    let mut one = Config::new();
    if let Some(user) = config.get_user() {
        one.user(user);
    }
    if let Some(password) = config.get_password() {
        one.password(password);
    }
    if let Some(database) = config.get_dbname() {
        one.dbname(database);
    }
    if let Some(options) = config.get_options() {
        one.options(options);
    }
    if let Some(name) = config.get_application_name() {
        one.application_name(name);
    }
    match config.get_hosts().get(index) {
        Some(tokio_postgres::config::Host::Tcp(name)) => drop(one.host(name)),
        Some(tokio_postgres::config::Host::Unix(folder)) => drop(one.host_path(folder)),
        None => {}
    }
    if let Some(address) = config.get_hostaddrs().get(index) {
        one.hostaddr(*address);
    }
    if let Some(port) = config.get_ports().get(index).or_else(|| config.get_ports().first()) {
        one.port(*port);
    }
    if let Some(limit) = config.get_connect_timeout() {
        one.connect_timeout(*limit);
    }
    if let Some(limit) = config.get_tcp_user_timeout() {
        one.tcp_user_timeout(*limit);
    }
    one.keepalives(config.get_keepalives()).keepalives_idle(config.get_keepalives_idle());
    if let Some(interval) = config.get_keepalives_interval() {
        one.keepalives_interval(interval);
    }
    if let Some(retries) = config.get_keepalives_retries() {
        one.keepalives_retries(retries);
    }
    one.ssl_mode(config.get_ssl_mode()).ssl_negotiation(config.get_ssl_negotiation());
    one.channel_binding(config.get_channel_binding());
    one.target_session_attrs(config.get_target_session_attrs());
    one.load_balance_hosts(config.get_load_balance_hosts());
    one
}

#[cfg(test)]
mod tests {
    use tokio_postgres::Config;

    use super::one_host;

    #[test]
    fn one_server_is_reached_as_all_are() {
        let rest = "user=u password=p dbname=d options=-cx%3D1 application_name=n sslmode=require \
            sslnegotiation=direct connect_timeout=7 tcp_user_timeout=9 keepalives=0 keepalives_idle=11 \
            keepalives_interval=13 keepalives_retries=15 target_session_attrs=read-write channel_binding=require \
            load_balance_hosts=random";
        let all: Config = format!("host=a,/run/b hostaddr=127.0.0.1,127.0.0.2 port=1,2 {rest}").parse().unwrap();
        let first: Config = format!("host=a hostaddr=127.0.0.1 port=1 {rest}").parse().unwrap();
        let second: Config = format!("host=/run/b hostaddr=127.0.0.2 port=2 {rest}").parse().unwrap();
        assert_eq!([one_host(&all, 0), one_host(&all, 1)], [first, second]);
        let plain: Config = "host=a,b port=3".parse().unwrap();
        assert_eq!(one_host(&plain, 1), "host=b port=3".parse().unwrap());
    }
}
