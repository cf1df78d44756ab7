//! Connections: how they are secured, what each is told first, and how they are kept.

use std::time::Duration;

use deadpool::Runtime;
use deadpool::managed::{self, Metrics, Object, RecycleError, RecycleResult};
use mysql_async::{Conn, Opts, OptsBuilder, SslOpts};
use rustls::RootCertStore;
use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject;
use tokio::time::timeout;

use crate::address::{self, Address};
use crate::fault::{Fault, MayBeFault, OpenError};
use crate::options::Options;
use crate::tables::Tables;

/// Connections to one database.
pub(crate) type Pool = managed::Pool<Manager>;

/// How old a connection grows before it is replaced.
const LIFETIME: Duration = Duration::from_secs(30 * 60);

/// How long a connection that is given up may take to say so.
const FAREWELL: Duration = Duration::from_secs(1);

/// How many statements a connection keeps prepared: all that there are.
const STATEMENTS: usize = 512;

/// Makes connections.
pub(crate) struct Manager {
    driver: Opts,
    patience: Duration,
}

/// What every connection is told. Each statement sees what was committed before it, and no gap lock is relied on, so that the
/// same holds on databases that have none. Whatever does not fit is refused, never cut. A row that is matched counts as
/// affected even where it is as it was.
fn setup(options: &Options) -> Vec<String> {
    let lock_seconds = options.lock_timeout.as_secs().max(1);
    vec![
        "SET SESSION sql_mode = 'STRICT_ALL_TABLES,ERROR_FOR_DIVISION_BY_ZERO,NO_ENGINE_SUBSTITUTION'".to_owned(),
        "SET SESSION TRANSACTION ISOLATION LEVEL READ COMMITTED".to_owned(),
        "SET NAMES utf8mb4 COLLATE utf8mb4_general_ci".to_owned(),
        format!("SET SESSION innodb_lock_wait_timeout = {lock_seconds}, time_zone = '+00:00', autocommit = 1"),
    ]
}

/// A pool that opens connections as they are needed, and the shop's tables.
pub(crate) fn pool(options: &Options) -> Result<(Pool, Tables), OpenError> {
    let Address { driver, tables, secured } = address::read(&options.address)?;
    let manager = Manager { driver: driver_options(options, driver, secured)?, patience: options.connect_timeout };
    let pool = Pool::builder(manager)
        .max_size(options.connections)
        .runtime(Runtime::Tokio1)
        .wait_timeout(Some(options.timeout))
        .build()
        .map_err(|_| OpenError::Pool)?;
    Ok((pool, tables))
}

fn driver_options(options: &Options, driver: OptsBuilder, secured: bool) -> Result<Opts, OpenError> {
    let security = if secured { Some(security(options)?) } else { None };
    let driver = driver
        .ssl_opts(security)
        // The pool of the driver is not used; a connection that moves to a socket by itself would not be where it was sent.
        .prefer_socket(false)
        .client_found_rows(true)
        .stmt_cache_size(STATEMENTS)
        .tcp_nodelay(true)
        // The system counts in whole seconds.
        .tcp_keepalive(Some(options.timeout.max(Duration::from_secs(1))))
        .setup(setup(options));
    Ok(driver.into())
}

fn security(options: &Options) -> Result<SslOpts, OpenError> {
    let mut usable = RootCertStore::empty();
    let certificates = certificates(options)?.into_iter().filter(|found| usable.add(found.clone()).is_ok());
    let roots: Vec<_> = certificates.map(|found| found.to_vec().into()).collect();
    if roots.is_empty() {
        return Err(OpenError::NoCertificates);
    }
    Ok(SslOpts::default().with_root_certs(roots).with_disable_built_in_roots(true))
}

fn certificates(options: &Options) -> Result<Vec<CertificateDer<'static>>, OpenError> {
    let Some(file) = &options.root_certificates else {
        return Ok(rustls_native_certs::load_native_certs().certs);
    };
    let unreadable = || OpenError::Certificates(file.clone());
    let read = CertificateDer::pem_file_iter(file).map_err(|_| unreadable())?;
    read.collect::<Result<_, _>>().map_err(|_| unreadable())
}

impl managed::Manager for Manager {
    type Type = Conn;
    type Error = Fault;

    async fn create(&self) -> Result<Conn, Fault> {
        let connected = timeout(self.patience, Conn::new(self.driver.clone())).await;
        Ok(connected.map_err(|_| Fault::NoConnection)??)
    }

    async fn recycle(&self, _: &mut Conn, metrics: &Metrics) -> RecycleResult<Fault> {
        if metrics.age() > LIFETIME { Err(RecycleError::message("old")) } else { Ok(()) }
    }
}

/// A connection in use. Whoever does not say how its use ended, because it was interrupted, has it closed: a transaction may
/// be open on it, or an answer on its way.
pub(crate) struct Held {
    pool: Pool,
    object: Option<Object<Manager>>,
}

impl Held {
    /// Waits for a connection.
    pub(crate) async fn of(pool: &Pool) -> Result<Self, Fault> {
        let object = Some(pool.get().await?);
        Ok(Self { pool: pool.clone(), object })
    }

    /// The connection.
    pub(crate) fn conn(&mut self) -> Result<&mut Conn, Fault> {
        self.object.as_deref_mut().ok_or(Fault::Closed)
    }

    /// Gives the connection back, unless what came of its use says that it is good for nothing more.
    pub(crate) fn done<T, E: MayBeFault>(mut self, result: Result<T, E>) -> Result<T, E> {
        match result.as_ref().err().and_then(MayBeFault::fault) {
            None => drop(self.object.take()),
            Some(fault) if fault.is_of_server() => {
                self.discard();
                // Those that are idle lead to the same place.
                self.pool.retain(|_, _| false);
            }
            Some(_) => self.discard(),
        }
        result
    }

    fn discard(&mut self) {
        let Some(object) = self.object.take() else { return };
        let conn = Object::take(object);
        // Outside of a runtime nothing is left to be closed in order.
        if let Ok(runtime) = tokio::runtime::Handle::try_current() {
            drop(runtime.spawn(timeout(FAREWELL, conn.disconnect())));
        }
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        self.discard();
    }
}

/// One connection for what is asked now and then beside a store.
pub(crate) struct Aside {
    pool: Pool,
    tables: Tables,
    timeout: Duration,
}

impl Aside {
    /// Connects when it is first asked.
    pub(crate) fn new(options: Options) -> Result<Self, OpenError> {
        let options = Options { connections: 1, ..options };
        let (pool, tables) = pool(&options)?;
        Ok(Self { pool, tables, timeout: options.timeout })
    }

    /// Asks. Takes no longer than the options' timeout.
    pub(crate) async fn ask<T>(
        &self,
        question: impl AsyncFnOnce(&mut Conn, &Tables) -> Result<T, Fault>,
    ) -> Result<T, Fault> {
        let asked = timeout(self.timeout, async {
            let mut held = Held::of(&self.pool).await?;
            let answer = question(held.conn()?, &self.tables).await;
            held.done(answer)
        });
        asked.await.map_err(|_| Fault::Timeout)?
    }
}

/// How many are open, used and waited for.
pub(crate) fn facts(pool: &Pool) -> mobile_bind_domain::ports::PoolFacts {
    let status = pool.status();
    mobile_bind_domain::ports::PoolFacts {
        limit: status.max_size,
        open: status.size,
        in_use: status.size.saturating_sub(status.available),
        waiting: status.waiting,
    }
}

#[cfg(test)]
mod tests {
    use super::pool;
    use crate::options::Options;

    #[test]
    fn certificates_that_are_not_there_are_named() {
        let root_certificates = Some("/no/such/file.pem".into());
        let options = Options { root_certificates, ..Options::new("shopxo:mysql://u@db.example/shop") };
        assert!(pool(&options).err().unwrap().to_string().contains("/no/such/file.pem"));
    }
}
