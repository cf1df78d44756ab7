//! Races: the same story told many times, each time by people who do something at the same moment at different nodes.

use std::collections::{BTreeMap, BTreeSet};
use std::future::Future;

use anyhow::{Context, Result, ensure};
use mobile_bind_domain::service::LoggedIn;
use mobile_bind_domain::{Account, Refusal};
use tokio::task::JoinSet;

use crate::nodes::{Attempt, Nodes};

/// How many times each race is run.
pub const ROUNDS: usize = 1_000;

/// How many of them at once.
pub const AT_ONCE: usize = 6;

/// How many do the same thing at the same moment.
pub const RIVALS: usize = 4;

/// What became of a bind.
pub type Answer = Result<LoggedIn, Refusal>;

/// Runs all rounds.
///
/// # Errors
/// Where one fails.
pub async fn rounds<F: Future<Output = Result<()>> + Send + 'static>(round: impl Fn(usize) -> F) -> Result<()> {
    let mut under_way = JoinSet::new();
    for number in 0..ROUNDS {
        if under_way.len() == AT_ONCE {
            under_way.join_next().await.context("a round")???;
        }
        let played = round(number);
        under_way.spawn(async move { played.await.with_context(|| format!("round {number}")) });
    }
    while let Some(played) = under_way.join_next().await {
        played??;
    }
    Ok(())
}

/// Binds at once, every other one at the other node.
///
/// # Errors
/// Where one panics.
pub async fn at_once(nodes: &Nodes, attempts: Vec<Attempt>) -> Result<Vec<Answer>> {
    let mut tasks = Vec::new();
    for (index, attempt) in attempts.into_iter().enumerate() {
        tasks.push(tokio::spawn(attempt.bind(nodes.node(index)?)));
    }
    let mut answers = Vec::new();
    for task in tasks {
        answers.push(task.await?);
    }
    Ok(answers)
}

/// The accounts that binds led to.
#[must_use]
pub fn entered(answers: &[Answer]) -> BTreeSet<u64> {
    answers.iter().flatten().map(|answer| answer.account.id.get()).collect()
}

/// All accounts.
///
/// # Errors
/// Where they cannot be read.
pub async fn accounts(nodes: &Nodes) -> Result<Vec<Account>> {
    let stored = nodes.node(0)?.store.accounts(None, usize::MAX).await?;
    Ok(stored.into_iter().map(|account| account.value).collect())
}

/// How many accounts there are, and that no number and no openid is held twice.
///
/// # Errors
/// Where one is.
pub async fn held_once(nodes: &Nodes) -> Result<usize> {
    let accounts = accounts(nodes).await?;
    let mut held: BTreeMap<String, u64> = BTreeMap::new();
    for account in &accounts {
        let number = account.held_mobile().map(|mobile| mobile.as_str().to_owned());
        let openids = account.held_identities().map(|identity| identity.openid.as_str().to_owned());
        for claim in number.into_iter().chain(openids) {
            ensure!(held.insert(claim, account.id.get()).is_none(), "{account:?} holds what another does");
        }
    }
    Ok(accounts.len())
}
