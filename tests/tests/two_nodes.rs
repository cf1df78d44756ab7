//! Two nodes over one database, and people who do things at both at once: never two accounts, never two winners.

use std::future::ready;
use std::sync::Arc;

use anyhow::{Result, ensure};
use mobile_bind_tests::contract::StoreUnderTest;
use mobile_bind_tests::contract::postgres::PostgresSchema;
use mobile_bind_tests::nodes::{Attempt, Nodes};
use mobile_bind_tests::races::{
    Answer, RIVALS, ROUNDS, entered, held_once, log_outs, nothing_beside, numbers_for_one_openid, one_wins,
    openids_for_one_number, places_for_one_code, race,
};

async fn two_nodes(schema: &PostgresSchema) -> Result<Arc<Nodes>> {
    Ok(Arc::new(Nodes::over(vec![schema.open().await?, schema.open().await?])?))
}

/// Whoever comes later enters the account of the first: he has proved that the number is his.
fn enter_one_account(answers: &[Answer]) -> Result<()> {
    ensure!(entered(answers).len() == 1, "{answers:?}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_openids_bind_one_number() -> Result<()> {
    let schema = PostgresSchema::empty()?;
    let nodes = two_nodes(&schema).await?;
    let attempts = |nodes, round| openids_for_one_number(nodes, round, RIVALS);
    race(&nodes, attempts, nothing_beside, enter_one_account).await?;
    ensure!(held_once(&nodes).await? == ROUNDS);
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_openid_binds_many_numbers() -> Result<()> {
    let schema = PostgresSchema::empty()?;
    let nodes = two_nodes(&schema).await?;
    let attempts = |nodes, round| numbers_for_one_openid(nodes, round, RIVALS);
    race(&nodes, attempts, nothing_beside, enter_one_account).await?;
    ensure!(held_once(&nodes).await? == ROUNDS);
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_code_is_used_from_two_places() -> Result<()> {
    let schema = PostgresSchema::empty()?;
    let nodes = two_nodes(&schema).await?;
    let attempts = |nodes, round| places_for_one_code(nodes, round, RIVALS);
    race(&nodes, attempts, nothing_beside, one_wins).await?;
    ensure!(held_once(&nodes).await? == ROUNDS);
    Ok(())
}

async fn the_same(nodes: Arc<Nodes>, round: usize) -> Result<Vec<Attempt>> {
    let attempts = places_for_one_code(nodes, round, 1).await?;
    Ok(attempts.into_iter().cycle().take(RIVALS).collect())
}

/// The receipt answers them all alike.
fn are_told_the_same(answers: &[Answer]) -> Result<()> {
    let told: Vec<_> = answers.iter().flatten().map(|answer| answer.token.expose().to_owned()).collect();
    ensure!(told.len() == RIVALS && told.iter().all(|token| Some(token) == told.first()), "{answers:?}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_same_bind_is_sent_twice() -> Result<()> {
    let schema = PostgresSchema::empty()?;
    let nodes = two_nodes(&schema).await?;
    race(&nodes, the_same, nothing_beside, are_told_the_same).await?;
    ensure!(held_once(&nodes).await? == ROUNDS);
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_log_out_meets_a_bind_by_the_same_session() -> Result<()> {
    let schema = PostgresSchema::empty()?;
    let nodes = two_nodes(&schema).await?;
    // The session either named the caller, and was replaced by the bind, or was ended before.
    log_outs(&nodes, |_| ready(Ok(())), |met| met.by_session != met.logged_out).await?;
    held_once(&nodes).await?;
    Ok(())
}
