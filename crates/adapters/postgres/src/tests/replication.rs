//! Standbys: what is told of them, and what is made of a commit that did not wait for them; and servers that hang.

use std::time::Duration;

use mobile_bind_domain::ports::{CommitError, Store};
use mobile_bind_domain::{Account, Change, Revision, Timestamp, Write};
use tokio::io::AsyncReadExt;
use tokio::net::TcpListener;

use super::{drop_schema, empty_schema};
use crate::{Options, PostgresStore};

/// Has every commit of an account warn, as PostgreSQL does where a wait for the standby was cancelled.
const WARN: &str = "CREATE FUNCTION warn() RETURNS trigger LANGUAGE plpgsql
        AS $$ BEGIN RAISE WARNING 'may not have been replicated'; RETURN NULL; END $$;
    CREATE CONSTRAINT TRIGGER warns AFTER INSERT ON accounts DEFERRABLE INITIALLY DEFERRED
        FOR EACH ROW EXECUTE FUNCTION warn()";

async fn make_account(store: &PostgresStore) -> Result<Revision, CommitError> {
    let id = store.allot_account_id().await?;
    let account = Account::new(id, Timestamp::from_seconds(1));
    let write = Write::Account { expected: Revision::ABSENT, account: Box::new(account) };
    store.commit(Change { expectations: Vec::new(), writes: vec![write] }).await
}

#[tokio::test]
async fn a_commit_that_is_answered_with_a_warning_is_not_confirmed() {
    let (options, client) = empty_schema("warning").await;
    let store = PostgresStore::open(options).await.unwrap();
    make_account(&store).await.unwrap();
    client.batch_execute(WARN).await.unwrap();
    let error = make_account(&store).await.unwrap_err();
    assert!(matches!(error, CommitError::Store(_)), "whether it is there for good is not known: {error:?}");
    assert_eq!(store.accounts(None, 10).await.unwrap().len(), 2, "for now it is");
    client.batch_execute("DROP TRIGGER warns ON accounts").await.unwrap();
    make_account(&store).await.unwrap();
    drop_schema(&client).await;
}

#[tokio::test]
async fn standbys_are_told_to_those_who_may_know() {
    let (options, client) = empty_schema("standbys").await;
    let store = PostgresStore::open(options).await.unwrap();
    assert_eq!(store.facts().replication, None, "nobody has asked yet");
    store.check().await.unwrap();
    let facts = store.facts();
    let told = facts.replication.unwrap();
    assert_eq!((facts.kind, facts.node, told.standbys, told.lag_bytes), ("postgres", Some(1), 0, 0));
    let pool = facts.pool.unwrap();
    assert_eq!((pool.limit, pool.open, pool.in_use, pool.waiting), (16, 1, 0, 0));
    let role = format!("may_not_know_{}", std::process::id());
    client.batch_execute(&format!("CREATE ROLE {role}; SET ROLE {role}")).await.unwrap();
    let unprivileged = crate::replication::Replication::default();
    unprivileged.ask(&client).await;
    assert_eq!(unprivileged.known(), None);
    client.batch_execute(&format!("RESET ROLE; DROP ROLE {role}")).await.unwrap();
    drop_schema(&client).await;
}

/// A server that takes connections and says nothing.
async fn silent() -> std::net::SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            tokio::spawn(async move { while stream.read(&mut [0; 64]).await.is_ok_and(|read| read > 0) {} });
        }
    });
    address
}

/// The same database, behind a server that is tried before it.
fn behind(options: &Options, first: std::net::SocketAddr) -> Options {
    Options { address: options.address.replacen("@127.0.0.1", &format!("@{first},127.0.0.1"), 1), ..options.clone() }
}

#[tokio::test]
async fn a_server_that_hangs_is_passed_over_and_then_tried_last() {
    let (options, client) = empty_schema("hangs").await;
    let connect_timeout = Duration::from_millis(50);
    let hangs = Options { connect_timeout, ..behind(&options, silent().await) };
    let store = PostgresStore::open(hangs).await.unwrap();
    make_account(&store).await.unwrap();
    drop_schema(&client).await;
}

#[tokio::test]
async fn a_probe_does_not_wait_for_as_long_as_a_request() {
    let (options, client) = empty_schema("probe").await;
    let hour = Duration::from_secs(3600);
    let store = PostgresStore::open(Options { timeout: hour, connections: 1, ..options }).await.unwrap();
    store.check().await.unwrap();
    assert!(store.facts().replication.is_some());
    // Somebody else has the only connection.
    let held = store.inner.pool.get().await.unwrap();
    tokio::time::pause();
    let probed = tokio::time::timeout(Duration::from_secs(2), store.check()).await;
    assert!(probed.expect("a probe has two seconds").is_err());
    assert_eq!(store.facts().replication, None, "what is not known now is not told");
    tokio::time::resume();
    drop(held);
    store.check().await.unwrap();
    drop_schema(&client).await;
}
