//! Two nodes over one database, and people who do things at both at once: never two accounts, never two winners.

use std::sync::Arc;

use anyhow::{Result, ensure};
use mobile_bind_domain::Refusal;
use mobile_bind_tests::contract::StoreUnderTest;
use mobile_bind_tests::contract::postgres::PostgresSchema;
use mobile_bind_tests::nodes::{Attempt, Nodes};
use mobile_bind_tests::races::{RIVALS, ROUNDS, at_once, entered, held_once, rounds};

async fn two_nodes(schema: &PostgresSchema) -> Result<Arc<Nodes>> {
    Ok(Arc::new(Nodes::over(vec![schema.open().await?, schema.open().await?])?))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_openids_bind_one_number() -> Result<()> {
    let schema = PostgresSchema::empty()?;
    let nodes = two_nodes(&schema).await?;
    rounds(|round| {
        let nodes = Arc::clone(&nodes);
        async move {
            let number = format!("13{round:09}");
            let mut attempts = Vec::new();
            for rival in 0..RIVALS {
                let uuid = format!("u{rival}");
                let code = nodes.code(rival, &number, &uuid).await?;
                let openid = format!("o{round}-{rival}");
                attempts.push(Attempt { number: number.clone(), code, uuid, openid, token: String::new() });
            }
            let answers = at_once(&nodes, attempts).await?;
            // Whoever comes later enters the account of the first: he has proved that the number is his.
            ensure!(entered(&answers).len() == 1, "{answers:?}");
            Ok(())
        }
    })
    .await?;
    ensure!(held_once(&nodes).await? == ROUNDS);
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_openid_binds_many_numbers() -> Result<()> {
    let schema = PostgresSchema::empty()?;
    let nodes = two_nodes(&schema).await?;
    rounds(|round| {
        let nodes = Arc::clone(&nodes);
        async move {
            let mut attempts = Vec::new();
            for rival in 0..RIVALS {
                let (number, uuid) = (format!("1{}{round:09}", 3 + rival), format!("u{rival}"));
                let code = nodes.code(rival, &number, &uuid).await?;
                attempts.push(Attempt { number, code, uuid, openid: format!("o{round}"), token: String::new() });
            }
            let answers = at_once(&nodes, attempts).await?;
            ensure!(entered(&answers).len() == 1, "{answers:?}");
            Ok(())
        }
    })
    .await?;
    ensure!(held_once(&nodes).await? == ROUNDS);
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_code_is_used_from_two_places() -> Result<()> {
    let schema = PostgresSchema::empty()?;
    let nodes = two_nodes(&schema).await?;
    rounds(|round| {
        let nodes = Arc::clone(&nodes);
        async move {
            let (number, uuid) = (format!("13{round:09}"), "u".to_owned());
            let code = nodes.code(round, &number, &uuid).await?;
            let place = |rival| Attempt {
                number: number.clone(),
                code: code.clone(),
                uuid: uuid.clone(),
                openid: format!("o{round}-{rival}"),
                token: String::new(),
            };
            let answers = at_once(&nodes, (0..RIVALS).map(place).collect()).await?;
            ensure!(answers.iter().flatten().count() == 1, "one wins: {answers:?}");
            let expired = answers.iter().filter(|answer| matches!(answer, Err(Refusal::CodeExpired)));
            ensure!(expired.count() == RIVALS - 1, "the others are told that the code is gone: {answers:?}");
            Ok(())
        }
    })
    .await?;
    ensure!(held_once(&nodes).await? == ROUNDS);
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_same_bind_is_sent_twice() -> Result<()> {
    let schema = PostgresSchema::empty()?;
    let nodes = two_nodes(&schema).await?;
    rounds(|round| {
        let nodes = Arc::clone(&nodes);
        async move {
            let (number, uuid) = (format!("13{round:09}"), "u".to_owned());
            let code = nodes.code(round, &number, &uuid).await?;
            let attempt = Attempt { number, code, uuid, openid: format!("o{round}"), token: String::new() };
            let answers = at_once(&nodes, vec![attempt; RIVALS]).await?;
            let told: Vec<_> = answers.iter().flatten().map(|answer| answer.token.expose().to_owned()).collect();
            // The receipt answers them all alike.
            ensure!(told.len() == RIVALS && told.iter().all(|token| Some(token) == told.first()), "{answers:?}");
            Ok(())
        }
    })
    .await?;
    ensure!(held_once(&nodes).await? == ROUNDS);
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_log_out_meets_a_bind_by_the_same_session() -> Result<()> {
    let schema = PostgresSchema::empty()?;
    let nodes = two_nodes(&schema).await?;
    rounds(|round| {
        let nodes = Arc::clone(&nodes);
        async move {
            let (first, second, uuid) = (format!("13{round:09}"), format!("14{round:09}"), "u".to_owned());
            let mut attempt = Attempt { number: first.clone(), uuid: uuid.clone(), ..Attempt::default() };
            attempt.code = nodes.code(0, &first, &uuid).await?;
            let known = attempt.clone().bind(nodes.node(0)?).await.map_err(|refusal| anyhow::anyhow!("{refusal:?}"))?;
            let token = known.token.expose().to_owned();
            attempt = Attempt { number: second.clone(), token: token.clone(), ..attempt };
            attempt.code = nodes.code(1, &second, &uuid).await?;
            let bind = tokio::spawn(attempt.bind(nodes.node(round)?));
            let other = nodes.node(round + 1)?;
            let log_out = tokio::spawn(async move { other.log_out(&token).await });
            let (bound, logged_out) = (bind.await?, log_out.await?);
            let bound = bound.map_err(|refusal| anyhow::anyhow!("the code is right: {refusal:?}"))?;
            // The session either named the caller, and was replaced by the bind, or was ended before.
            let by_session = bound.account.id == known.account.id;
            ensure!(by_session != logged_out.is_ok(), "{bound:?} and {logged_out:?}");
            Ok(())
        }
    })
    .await?;
    held_once(&nodes).await?;
    Ok(())
}
