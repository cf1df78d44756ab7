//! Connections: where to, how they are secured, and how they are kept.

use std::sync::Arc;

use deadpool_postgres::{Hook, HookError, Manager, ManagerConfig, Pool, RecyclingMethod, Runtime};
use rustls::{ClientConfig, RootCertStore};
use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject;
use tokio_postgres::config::{Host, LoadBalanceHosts, SslMode, TargetSessionAttrs};
use tokio_postgres_rustls::MakeRustlsConnect;

use crate::fault::OpenError;
use crate::hosts::{Hosts, Warnings};
use crate::options::Options;

/// What every connection is told first. What is committed must be on disk, and on the standby where there is one, before it
/// is answered, whatever the server's default; a statement that waits for ever, or a transaction whose client is gone, must
/// not keep its locks. How long a statement may take is said in each transaction, not here: were a transaction's own
/// beginning cut short, what follows would be committed one by one.
fn setup(options: &Options) -> String {
    let (timeout, lock_timeout) = (options.timeout.as_millis(), options.lock_timeout.as_millis());
    format!(
        "SELECT set_config('synchronous_commit', 'on', false)
            WHERE current_setting('synchronous_commit') IN ('off', 'local');
         SET statement_timeout = 0;
         SET lock_timeout = {lock_timeout};
         SET idle_in_transaction_session_timeout = {timeout}"
    )
}

/// What keeps PostgreSQL to the indexes, and from planning each statement anew: a plan that is made while a table is small
/// would read it whole for as long as it is kept. Rows are looked up in the order of their keys, not of their places, whatever the
/// table's size. Systems that only speak its protocol may know none of these.
const PLANS: [&str; 5] = [
    "SET plan_cache_mode = force_generic_plan",
    "SET enable_seqscan = off",
    "SET enable_hashjoin = off",
    "SET enable_mergejoin = off",
    "SET enable_bitmapscan = off",
];

/// A pool that opens connections as they are needed.
pub(crate) fn pool(options: &Options, warnings: &Warnings) -> Result<Pool, OpenError> {
    let config = config(options)?;
    let tls = MakeRustlsConnect::new(tls(options, config.get_ssl_mode())?);
    let patience = config.get_connect_timeout().copied().unwrap_or(options.connect_timeout);
    let hosts = Hosts::of(&config, tls, patience, warnings.clone());
    let manager = Manager::from_connect(config, hosts, ManagerConfig { recycling_method: RecyclingMethod::Fast });
    let told = setup(options);
    let lifetime = options.connection_lifetime;
    Pool::builder(manager)
        .max_size(options.connections)
        .runtime(Runtime::Tokio1)
        .wait_timeout(Some(options.timeout))
        .create_timeout(Some(options.timeout))
        .recycle_timeout(Some(options.timeout))
        .post_create(Hook::async_fn(move |client, _| {
            let told = told.clone();
            Box::pin(async move {
                client.batch_execute(&told).await.map_err(HookError::Backend)?;
                for plan in PLANS {
                    if let Err(error) = client.batch_execute(plan).await {
                        if error.code().is_none() {
                            return Err(HookError::Backend(error));
                        }
                        tracing::debug!(plan, "the database does not know a setting for plans");
                    }
                }
                Ok(())
            })
        }))
        .pre_recycle(Hook::sync_fn(
            move |_, metrics| {
                if metrics.age() > lifetime { Err(HookError::message("old")) } else { Ok(()) }
            },
        ))
        .build()
        .map_err(|_| OpenError::Pool)
}

/// The address, with what it leaves open settled: over a network TLS is required and the server's certificate is checked;
/// one of several servers must be the one that takes changes.
fn config(options: &Options) -> Result<tokio_postgres::Config, OpenError> {
    // The driver knows only whether there is TLS; where there is, all of the certificate is checked.
    let address = options.address.replace("sslmode=verify-full", "sslmode=require");
    let mut config: tokio_postgres::Config = address.parse().map_err(OpenError::Address)?;
    if !options.address.contains("sslmode=") {
        let near = |host: &Host| match host {
            Host::Tcp(name) => matches!(name.as_str(), "localhost" | "127.0.0.1" | "::1"),
            Host::Unix(_) => true,
        };
        let here = config.get_hosts().iter().all(near);
        config.ssl_mode(if here { SslMode::Disable } else { SslMode::Require });
    }
    if !options.address.contains("target_session_attrs=") {
        config.target_session_attrs(TargetSessionAttrs::ReadWrite);
    }
    if !options.address.contains("load_balance_hosts=") && config.get_hosts().len() > 1 {
        // One that hangs must not be what every attempt begins with.
        config.load_balance_hosts(LoadBalanceHosts::Random);
    }
    if config.get_connect_timeout().is_none() {
        config.connect_timeout(options.connect_timeout);
    }
    if config.get_tcp_user_timeout().is_none() {
        config.tcp_user_timeout(options.timeout);
    }
    if config.get_application_name().is_none() {
        config.application_name("mobile-bind");
    }
    Ok(config)
}

fn tls(options: &Options, mode: SslMode) -> Result<ClientConfig, OpenError> {
    let mut roots = RootCertStore::empty();
    if mode != SslMode::Disable {
        roots.add_parsable_certificates(certificates(options)?);
        if roots.is_empty() {
            return Err(OpenError::NoCertificates);
        }
    }
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let builder = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions();
    Ok(builder.map_err(OpenError::Tls)?.with_root_certificates(roots).with_no_client_auth())
}

fn certificates(options: &Options) -> Result<Vec<CertificateDer<'static>>, OpenError> {
    let Some(file) = &options.root_certificates else {
        return Ok(rustls_native_certs::load_native_certs().certs);
    };
    let unreadable = || OpenError::Certificates(file.clone());
    let read = CertificateDer::pem_file_iter(file).map_err(|_| unreadable())?;
    read.collect::<Result<_, _>>().map_err(|_| unreadable())
}

#[cfg(test)]
mod tests {
    use tokio_postgres::config::{LoadBalanceHosts, SslMode, TargetSessionAttrs};

    use super::{config, pool};
    use crate::fault::OpenError;
    use crate::hosts::Warnings;
    use crate::options::Options;

    #[test]
    fn tls_is_left_out_on_this_machine_alone() {
        let mode = |address: &str| config(&Options::new(address)).unwrap().get_ssl_mode();
        assert_eq!(mode("postgres://u@127.0.0.1/d"), SslMode::Disable);
        assert_eq!(mode("host=/run/postgresql user=u"), SslMode::Disable);
        assert_eq!(mode("postgres://u@db.example/d"), SslMode::Require);
        assert_eq!(mode("postgres://u@127.0.0.1,db.example/d"), SslMode::Require);
        assert_eq!(mode("postgres://u@db.example/d?sslmode=disable"), SslMode::Disable);
        assert_eq!(mode("postgres://u@127.0.0.1/d?sslmode=verify-full"), SslMode::Require);
    }

    #[test]
    fn of_several_servers_the_one_that_takes_changes_is_looked_for() {
        let several = config(&Options::new("postgres://u@a.example,b.example/d")).unwrap();
        assert_eq!(several.get_target_session_attrs(), TargetSessionAttrs::ReadWrite);
        assert_eq!(several.get_load_balance_hosts(), LoadBalanceHosts::Random);
    }

    #[test]
    fn an_address_that_cannot_be_read_is_not_repeated() {
        let error = pool(&Options::new("postgres://u:hush@h/d?nonsense=hush"), &Warnings::default()).unwrap_err();
        assert!(matches!(error, OpenError::Address(_)));
        assert!(!format!("{error} {error:?}").contains("hush"), "{error:?}");
    }

    #[test]
    fn certificates_that_are_not_there_are_named() {
        let options = Options {
            root_certificates: Some("/no/such/file.pem".into()),
            ..Options::new("postgres://u@db.example/d")
        };
        assert!(pool(&options, &Warnings::default()).unwrap_err().to_string().contains("/no/such/file.pem"));
    }
}
