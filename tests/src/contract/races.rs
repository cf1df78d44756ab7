//! Many changes at once.

use std::collections::BTreeSet;
use std::future::Future;
use std::sync::Arc;

use anyhow::{Result, ensure};
use mobile_bind_domain::ports::{CommitError, Store};
use mobile_bind_domain::{Account, ClientType, Platform, Quota, Revision, Subject, Write};
use tokio::task::JoinSet;

use super::StoreUnderTest;
use super::records::{
    NOW, account, account_with_mobile, challenge, challenge_at, commit, give_identity, id, identity, identity_holders,
    key, mobile, mobile_holder, new_account, session,
};

const MOBILE: &str = "17602128368";
const TASKS: u64 = 64;

/// The results of as many tasks as there are changes, started together.
async fn all<T: Send + 'static>(
    tasks: impl Iterator<Item = impl Future<Output = T> + Send + 'static>,
) -> Result<Vec<T>> {
    let mut set: JoinSet<T> = tasks.collect();
    let mut results = Vec::new();
    while let Some(result) = set.join_next().await {
        results.push(result?);
    }
    Ok(results)
}

/// Commits each account in a task of its own; the ids of those that were stored. All others must have conflicted.
async fn stored(store: &Arc<dyn Store>, accounts: Vec<Account>) -> Result<Vec<u64>> {
    let number = accounts.len();
    let tasks = accounts.into_iter().map(|account| {
        let store = Arc::clone(store);
        async move { (account.id.get(), commit(&*store, vec![new_account(&account)]).await) }
    });
    let results = all(tasks).await?;
    ensure!(results.len() == number);
    let mut winners = Vec::new();
    for (id, result) in results {
        match result {
            Ok(_) => winners.push(id),
            Err(CommitError::Conflict) => {}
            Err(error) => return Err(error.into()),
        }
    }
    Ok(winners)
}

/// See the name.
pub async fn one_of_many_claims_of_a_number_wins(under_test: &dyn StoreUnderTest) -> Result<()> {
    let store = under_test.open().await?;
    let claims = (1..=TASKS).map(|number| account_with_mobile(number, MOBILE)).collect::<Result<_>>()?;
    let winners = stored(&store, claims).await?;
    ensure!(winners.len() == 1, "{winners:?}");
    ensure!(mobile_holder(&*store, MOBILE).await? == winners.first().copied());
    ensure!(store.accounts(None, 100).await?.len() == 1);
    Ok(())
}

/// See the name.
pub async fn one_of_many_claims_of_an_openid_wins(under_test: &dyn StoreUnderTest) -> Result<()> {
    let store = under_test.open().await?;
    let claim = |number: u64| {
        let mut made = account_with_mobile(number, &format!("135001350{number:02}"))?;
        give_identity(&mut made, Platform::Weixin, "", "o", "")?;
        Ok(made)
    };
    let winners = stored(&store, (1..=TASKS).map(claim).collect::<Result<_>>()?).await?;
    ensure!(winners.len() == 1, "{winners:?}");
    let holder = identity_holders(&*store, identity(Platform::Weixin, "", "o")?, "").await?.0;
    ensure!(holder == winners.first().copied());
    for number in 1..=TASKS {
        let held = mobile_holder(&*store, &format!("135001350{number:02}")).await?;
        ensure!(held == holder.filter(|&winner| winner == number), "a loser's number is free");
    }
    Ok(())
}

/// With a session for each task that used it.
pub async fn a_challenge_is_used_once(under_test: &dyn StoreUnderTest) -> Result<()> {
    let store = under_test.open().await?;
    let key = key(MOBILE, "u")?;
    let write = |expected, challenge| Write::Challenge { expected, key: key.clone(), challenge };
    let sent = commit(&*store, vec![new_account(&account(1)?), write(Revision::ABSENT, Some(challenge(1)?))]).await?;
    let mut tasks = Vec::new();
    for tag in 1..=TASKS {
        let opened = session(u8::try_from(tag)?, 1, ClientType::H5)?;
        let (store, writes) = (Arc::clone(&store), vec![write(sent, None), Write::OpenSession(opened)]);
        tasks.push(async move { (tag, commit(&*store, writes).await) });
    }
    let results = all(tasks.into_iter()).await?;
    let winners: Vec<_> = results.iter().filter(|(_, result)| result.is_ok()).collect();
    ensure!(winners.len() == 1, "{winners:?}");
    ensure!(challenge_at(&*store, &key).await?.is_none());
    let sessions = store.sessions_of(id(1)?).await?;
    let opened: Vec<u64> = sessions.iter().map(|session| u64::from(session.id.0[0])).collect();
    ensure!(winners.iter().map(|(tag, _)| *tag).eq(opened), "the winner's session alone");
    Ok(())
}

/// See the name.
pub async fn ids_allotted_at_once_differ(under_test: &dyn StoreUnderTest) -> Result<()> {
    let store = under_test.open().await?;
    let tasks = (0..TASKS).map(|_| {
        let store = Arc::clone(&store);
        async move { store.allot_account_id().await }
    });
    let ids = all(tasks).await?.into_iter().collect::<Result<BTreeSet<_>, _>>()?;
    ensure!(ids.len() == usize::try_from(TASKS)?);
    Ok(())
}

/// As many succeed as there is room for.
pub async fn a_kept_quota_holds_against_many(under_test: &dyn StoreUnderTest) -> Result<()> {
    let store = under_test.open().await?;
    let subject = Subject::SendsTo(mobile(MOBILE)?);
    let tasks = (0..TASKS).map(|_| {
        let store = Arc::clone(&store);
        let count =
            Write::Count { subject: subject.clone(), at: NOW, kept: vec![Quota::new(5, 3600)], watched: Vec::new() };
        async move { commit(&*store, vec![count]).await }
    });
    let results = all(tasks).await?;
    ensure!(results.iter().filter(|result| result.is_ok()).count() == 5);
    Ok(())
}

/// Grouping them, or not, is the store's own affair.
pub async fn many_changes_of_different_records_all_succeed(under_test: &dyn StoreUnderTest) -> Result<()> {
    let store = under_test.open().await?;
    let made: Vec<Account> = (1..=TASKS)
        .map(|number| account_with_mobile(number, &format!("135001350{number:02}")))
        .collect::<Result<_>>()?;
    let mut winners = stored(&store, made.clone()).await?;
    winners.sort_unstable();
    ensure!(winners == (1..=TASKS).collect::<Vec<_>>());
    let store = super::reopen(under_test, store).await?;
    let found: Vec<Account> = store.accounts(None, 100).await?.into_iter().map(|found| found.value).collect();
    ensure!(found == made);
    Ok(())
}
