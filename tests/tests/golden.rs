//! The recordings that come with the project.

use std::path::Path;

use mobile_bind_tests::contract::StoreUnderTest;
use mobile_bind_tests::contract::postgres::PostgresSchema;
use mobile_bind_tests::golden::{self, Case, Difference};
use mobile_bind_tests::shop::Shop;

fn recorded() -> anyhow::Result<Vec<Case>> {
    let mut cases = golden::read(Path::new(golden::OWN_CASES))?;
    cases.retain(Case::is_same);
    assert_eq!(cases.len(), 80);
    Ok(cases)
}

fn no_difference(differences: &[Difference]) {
    assert!(differences.is_empty(), "{}", differences.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n"));
}

#[tokio::test]
async fn every_recording_replays_without_a_difference() {
    for case in recorded().unwrap() {
        no_difference(&golden::replay(&case).await.unwrap());
    }
}

#[tokio::test]
async fn every_recording_replays_without_a_difference_over_postgres() {
    for case in recorded().unwrap() {
        let schema = PostgresSchema::empty().unwrap();
        schema.prepare().await.unwrap();
        no_difference(&golden::replay_over(&case, &schema.address()).await.unwrap());
    }
}

#[tokio::test]
async fn every_recording_replays_without_a_difference_over_a_shop() {
    for case in recorded().unwrap() {
        let shop = Shop::open().await.unwrap();
        no_difference(&golden::replay_over(&case, &shop.store()).await.unwrap());
    }
}
