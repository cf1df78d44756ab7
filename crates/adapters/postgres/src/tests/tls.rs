//! TLS to a real server, with certificates made here.

use std::path::PathBuf;

use deadpool_postgres::Client;
use mobile_bind_domain::ports::Store;
use rcgen::{BasicConstraints, Certificate, CertificateParams, IsCa, Issuer, KeyPair};
use tempfile::TempDir;

use super::{drop_schema, empty_schema};
use crate::{OpenError, Options, PostgresStore};

/// The name that the server has.
const NAME: &str = "db.example";

struct Authority {
    certificate: Certificate,
    issuer: Issuer<'static, KeyPair>,
}

impl Authority {
    fn new() -> Self {
        let mut params = CertificateParams::new(Vec::<String>::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate().unwrap();
        let certificate = params.self_signed(&key).unwrap();
        Self { certificate, issuer: Issuer::new(params, key) }
    }

    /// A file of the authority's own certificate.
    fn file(&self, folder: &TempDir, name: &str) -> Option<PathBuf> {
        let file = folder.path().join(name);
        std::fs::write(&file, self.certificate.pem()).unwrap();
        Some(file)
    }
}

/// Has the server write a file, readable for itself alone. It is the tests' own server, and this its superuser.
async fn write_beside_the_server(client: &Client, file: &str, text: &str) {
    let copy = format!("COPY (SELECT unnest(string_to_array('{text}', E'\\n'))) TO PROGRAM 'umask 077; cat > {file}'");
    client.batch_execute(&copy).await.unwrap();
}

/// Whoever connects by that host name; the server is where it was.
fn named(options: &Options, host: &str, mode: &str, root_certificates: Option<PathBuf>) -> Options {
    let address = options.address.replacen("@127.0.0.1", &format!("@{host}"), 1) + "&hostaddr=127.0.0.1" + mode;
    Options { address, root_certificates, ..options.clone() }
}

async fn refused(options: Options) -> String {
    let Err(error) = PostgresStore::open(options).await else { panic!("it was let in") };
    assert!(matches!(error, OpenError::Database(_)), "{error:?}");
    format!("{error:?}")
}

#[tokio::test]
async fn the_server_must_be_who_it_says() {
    let (options, client) = empty_schema("tls").await;
    let folder = tempfile::tempdir().unwrap();
    let (ours, foreign) = (Authority::new(), Authority::new());
    let (roots, foreign_roots) = (ours.file(&folder, "ours.pem"), foreign.file(&folder, "foreign.pem"));
    let without = refused(named(&options, NAME, "", roots.clone())).await;
    assert!(without.contains("TLS"), "a server without TLS is not spoken to in the open: {without}");

    let key = KeyPair::generate().unwrap();
    let params = CertificateParams::new(vec![NAME.to_owned(), "127.0.0.1".to_owned()]).unwrap();
    let certificate = params.signed_by(&key, &ours.issuer).unwrap();
    write_beside_the_server(&client, "tests.crt", &certificate.pem()).await;
    write_beside_the_server(&client, "tests.key", &key.serialize_pem()).await;
    for set in ["ssl_cert_file = 'tests.crt'", "ssl_key_file = 'tests.key'", "ssl = on"] {
        client.batch_execute(&format!("ALTER SYSTEM SET {set}")).await.unwrap();
    }
    client.batch_execute("SELECT pg_reload_conf()").await.unwrap();
    let store = opened(named(&options, NAME, "", roots.clone())).await;
    store.check().await.unwrap();
    let used = "SELECT count(*) FROM pg_stat_ssl s JOIN pg_stat_activity a USING (pid)
        WHERE s.ssl AND a.application_name = 'mobile-bind'";
    assert!(client.query_one(used, &[]).await.unwrap().get::<_, i64>(0) >= 1);
    for mode in ["&sslmode=verify-full", "&sslmode=require"] {
        opened(named(&options, NAME, mode, roots.clone())).await.check().await.unwrap();
        opened(named(&options, "127.0.0.1", mode, roots.clone())).await.check().await.unwrap();
    }

    let by_another = refused(named(&options, NAME, "", foreign_roots)).await;
    assert!(by_another.contains("UnknownIssuer") || by_another.contains("BadSignature"), "{by_another}");
    let by_the_world = refused(named(&options, NAME, "", None)).await;
    assert!(by_the_world.contains("UnknownIssuer"), "{by_the_world}");
    for mode in ["", "&sslmode=verify-full", "&sslmode=require"] {
        let of_another = refused(named(&options, "other.example", mode, roots.clone())).await;
        assert!(of_another.contains("NotValidForName"), "{of_another}");
    }
    drop_schema(&client).await;
}

/// The server takes its new settings up in its own time: until then it has no TLS.
async fn opened(options: Options) -> PostgresStore {
    for _ in 0..500 {
        match PostgresStore::open(options.clone()).await {
            Ok(store) => return store,
            Err(error) if format!("{error:?}").contains("does not support TLS") => tokio::task::yield_now().await,
            Err(error) => panic!("{error:?}"),
        }
    }
    panic!("the server has no TLS")
}
