//! The way of the schema.

use mobile_bind_domain::ports::Store;
use tokio::task::JoinSet;

use super::{drop_schema, empty_schema};
use crate::{OpenError, Options, PostgresStore, migrate, schema, verify};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_nodes_may_start_at_once_on_an_empty_database() {
    let (options, client) = empty_schema("at_once").await;
    let mut starting: JoinSet<_> = (0..12).map(|_| PostgresStore::open(options.clone())).collect();
    let mut nodes = std::collections::BTreeSet::new();
    while let Some(started) = starting.join_next().await {
        let store = started.unwrap().unwrap();
        store.check().await.unwrap();
        assert!(nodes.insert(store.node()), "each node has a number of its own");
    }
    assert_eq!(schema::version(&client).await.unwrap(), schema::VERSION);
    assert_eq!(migrate(&options).await.unwrap(), 0, "there is nothing left to do");
    drop_schema(&client).await;
}

#[tokio::test]
async fn a_schema_that_is_not_ours_to_change_is_refused_by_what_to_do() {
    let (options, client) = empty_schema("by_hand").await;
    let by_hand = Options { migrate: false, ..options.clone() };
    let error = PostgresStore::open(by_hand.clone()).await.err().unwrap();
    assert!(error.to_string().contains("mobile-bind db migrate"), "{error}");
    assert_eq!(migrate(&options).await.unwrap(), schema::VERSION);
    PostgresStore::open(by_hand).await.unwrap();
    client.execute("INSERT INTO schema_versions (version) VALUES (1000)", &[]).await.unwrap();
    assert!(matches!(PostgresStore::open(options).await.err(), Some(OpenError::Ahead { found: 1000, .. })));
    drop_schema(&client).await;
}

#[tokio::test]
async fn keys_are_replaced_only_as_they_were_read() {
    let (options, client) = empty_schema("keys").await;
    let store = PostgresStore::open(options).await.unwrap();
    assert_eq!(store.keys("tokens").await.unwrap(), None);
    assert!(store.replace_keys("tokens", None, "a").await.unwrap());
    assert!(!store.replace_keys("tokens", None, "b").await.unwrap());
    assert!(!store.replace_keys("tokens", Some("b"), "c").await.unwrap());
    assert!(store.replace_keys("tokens", Some("a"), "c").await.unwrap());
    assert_eq!(store.keys("tokens").await.unwrap().as_deref(), Some("c"));
    assert_eq!(store.keys("codes").await.unwrap(), None);
    drop_schema(&client).await;
}

#[tokio::test]
async fn one_node_at_a_time_clears_away() {
    let (options, client) = empty_schema("lease").await;
    let (first, second) =
        (PostgresStore::open(options.clone()).await.unwrap(), PostgresStore::open(options).await.unwrap());
    let fill = "INSERT INTO receipts SELECT 'm' || n, 'c', '', 0, 1 FROM generate_series(1, 3) AS n";
    client.batch_execute(fill).await.unwrap();
    let now = mobile_bind_domain::Timestamp::from_seconds(1);
    let some = async |store: &PostgresStore| store.purge(now, now, 1).await.unwrap().forgotten;
    assert_eq!([some(&first).await, some(&second).await, some(&first).await], [1, 0, 1]);
    first.close().await.unwrap();
    assert_eq!(some(&second).await, 1, "who stops leaves the lease");
    drop_schema(&client).await;
}

#[tokio::test]
async fn what_does_not_fit_together_is_found() {
    let (options, client) = empty_schema("verify").await;
    migrate(&options).await.unwrap();
    let account = |id: u32, deleted: &str| {
        format!(
            "INSERT INTO accounts VALUES ({id}, 1, NULL, 0, NULL, '', '', 0, '', '', '', NULL, NULL, 0, NULL, {deleted}, NULL)"
        )
    };
    client.batch_execute(&format!("{}; {}", account(1, "NULL"), account(2, "5"))).await.unwrap();
    client.batch_execute("INSERT INTO identities VALUES (1, 1, '', 'o', NULL, true)").await.unwrap();
    let found = verify(&options, |_| {}).await.unwrap();
    assert_eq!((found.rows["accounts"], found.rows["identities"], found.problems.len()), (2, 1, 0));
    client
        .batch_execute(
            "INSERT INTO identities VALUES (2, 1, '', 'p', NULL, true), (3, 1, '', 'q', NULL, true);
             INSERT INTO sessions VALUES ('x', 4, 1, '', 'k', 0, 0); UPDATE accounts SET status = 9 WHERE id = 1",
        )
        .await
        .unwrap();
    let found = verify(&options, |_| {}).await.unwrap();
    assert_eq!(found.problems.values().copied().collect::<Vec<_>>(), [1, 1, 1, 1], "{found:?}");
    drop_schema(&client).await;
}
