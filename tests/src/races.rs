//! Races: the same story told many times, each time by people who do something at the same moment at different nodes.

use std::collections::{BTreeMap, BTreeSet};
use std::future::{Future, ready};
use std::sync::Arc;

use anyhow::{Context, Result, anyhow, ensure};
use mobile_bind_domain::service::LoggedIn;
use mobile_bind_domain::{Account, Refusal};
use tokio::task::JoinSet;

use crate::nodes::{Attempt, Nodes};

/// How many times each race is run.
pub const ROUNDS: usize = 1_000;

/// How many of them at once.
const AT_ONCE: usize = 6;

/// How many do the same thing at the same moment.
pub const RIVALS: usize = 4;

/// What became of a bind.
pub type Answer = Result<LoggedIn, Refusal>;

/// Runs all rounds.
async fn rounds<F: Future<Output = Result<()>> + Send + 'static>(round: impl Fn(usize) -> F) -> Result<()> {
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
async fn at_once(nodes: &Nodes, attempts: Vec<Attempt>) -> Result<Vec<Answer>> {
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

/// Runs all rounds of a race: who attempts what in a round, what goes on beside that at the same moment, and what the answers must
/// be.
///
/// # Errors
/// Where a round fails, or its answers are not what they must be.
pub async fn race<A, B>(
    nodes: &Arc<Nodes>,
    attempts: impl Fn(Arc<Nodes>, usize) -> A,
    beside: impl Fn(usize, &[Attempt]) -> B + Send + Sync + 'static,
    judged: fn(&[Answer]) -> Result<()>,
) -> Result<()>
where
    A: Future<Output = Result<Vec<Attempt>>> + Send + 'static,
    B: Future<Output = Result<()>> + Send + 'static,
{
    let beside = Arc::new(beside);
    rounds(|round| {
        let attempts = attempts(Arc::clone(nodes), round);
        let (nodes, beside) = (Arc::clone(nodes), Arc::clone(&beside));
        async move {
            let attempts = attempts.await?;
            let beside = tokio::spawn(beside(round, &attempts));
            let answers = at_once(&nodes, attempts).await?;
            beside.await??;
            judged(&answers)
        }
    })
    .await
}

/// Nothing goes on beside a round.
pub fn nothing_beside(_: usize, _: &[Attempt]) -> impl Future<Output = Result<()>> + Send + use<> {
    ready(Ok(()))
}

/// So many people, each with an openid of his own, have a code for one number.
///
/// # Errors
/// Where a code is not sent.
pub async fn openids_for_one_number(nodes: Arc<Nodes>, round: usize, rivals: usize) -> Result<Vec<Attempt>> {
    let mut attempts = Vec::new();
    for rival in 0..rivals {
        let (number, uuid) = (format!("13{round:09}"), format!("u{rival}"));
        let code = nodes.code(rival, &number, &uuid).await?;
        attempts.push(Attempt { number, code, uuid, openid: format!("o{round}-{rival}"), token: String::new() });
    }
    Ok(attempts)
}

/// One openid has codes for so many numbers.
///
/// # Errors
/// Where a code is not sent.
pub async fn numbers_for_one_openid(nodes: Arc<Nodes>, round: usize, rivals: usize) -> Result<Vec<Attempt>> {
    let mut attempts = Vec::new();
    for rival in 0..rivals {
        let (number, uuid) = (format!("1{}{round:09}", 3 + rival), format!("u{rival}"));
        let code = nodes.code(rival, &number, &uuid).await?;
        attempts.push(Attempt { number, code, uuid, openid: format!("o{round}"), token: String::new() });
    }
    Ok(attempts)
}

/// One code of one client is used with so many openids.
///
/// # Errors
/// Where the code is not sent.
pub async fn places_for_one_code(nodes: Arc<Nodes>, round: usize, rivals: usize) -> Result<Vec<Attempt>> {
    let (number, uuid) = (format!("13{round:09}"), "u".to_owned());
    let code = nodes.code(round, &number, &uuid).await?;
    let place = |rival| Attempt {
        number: number.clone(),
        code: code.clone(),
        uuid: uuid.clone(),
        openid: format!("o{round}-{rival}"),
        token: String::new(),
    };
    Ok((0..rivals).map(place).collect())
}

/// One of them binds, and the others are told that the code is gone.
///
/// # Errors
/// Where it is otherwise.
pub fn one_wins(answers: &[Answer]) -> Result<()> {
    ensure!(answers.iter().flatten().count() == 1, "one wins: {answers:?}");
    let expired = answers.iter().filter(|answer| matches!(answer, Err(Refusal::CodeExpired)));
    ensure!(expired.count() == answers.len() - 1, "the others are told that the code is gone: {answers:?}");
    Ok(())
}

/// What came of a log-out that met a bind by the same session.
#[derive(Clone, Copy, Debug)]
pub struct LogOutMet {
    /// Whether the session named the bind's caller: its account has the new number.
    pub by_session: bool,
    /// Whether the log-out found the session.
    pub logged_out: bool,
}

/// Runs all rounds of a log-out that meets a bind by the same session; what goes on beside is given the session's number.
///
/// # Errors
/// Where a round fails, or came to what it must not.
pub async fn log_outs<B>(
    nodes: &Arc<Nodes>,
    beside: impl Fn(String) -> B + Send + Sync + 'static,
    may_be: fn(LogOutMet) -> bool,
) -> Result<()>
where
    B: Future<Output = Result<()>> + Send + 'static,
{
    let beside = Arc::new(beside);
    rounds(|round| {
        let (nodes, beside) = (Arc::clone(nodes), Arc::clone(&beside));
        async move {
            let (first, second, uuid) = (format!("13{round:09}"), format!("14{round:09}"), "u".to_owned());
            let mut attempt = Attempt { number: first.clone(), uuid: uuid.clone(), ..Attempt::default() };
            attempt.code = nodes.code(0, &first, &uuid).await?;
            let known = attempt.clone().bind(nodes.node(0)?).await.map_err(|refusal| anyhow!("{refusal:?}"))?;
            let token = known.token.expose().to_owned();
            attempt = Attempt { number: second.clone(), token: token.clone(), ..attempt };
            attempt.code = nodes.code(1, &second, &uuid).await?;
            let beside = tokio::spawn(beside(first));
            let bind = tokio::spawn(attempt.bind(nodes.node(round)?));
            let other = nodes.node(round + 1)?;
            let log_out = tokio::spawn(async move { other.log_out(&token).await });
            let (bound, logged_out) = (bind.await?, log_out.await?.is_ok());
            beside.await??;
            let bound = bound.map_err(|refusal| anyhow!("the code is right: {refusal:?}"))?;
            let met = LogOutMet { by_session: bound.account.id == known.account.id, logged_out };
            ensure!(may_be(met), "{met:?}: {bound:?}");
            Ok(())
        }
    })
    .await
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
