//! Sessions.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use mobile_bind_domain::ports::{BindQuery, CallerQuery, EvidenceQuery, Store};
use mobile_bind_domain::{AccountStatus, ClientType, Expectation, Platform, Session, SessionId, Timestamp, Write};

use super::StoreUnderTest;
use super::records::{
    NOW, account, commit, commit_expecting, ensure_conflict, id, key, overwrite, put, send_snapshot, session,
};

async fn ids_of(store: &dyn Store, account: u64) -> Result<Vec<SessionId>> {
    let mut ids: Vec<_> = store.sessions_of(id(account)?).await?.into_iter().map(|session| session.id).collect();
    ids.sort_unstable();
    Ok(ids)
}

async fn opened(store: &dyn Store, tag: u8, account: u64, client_type: ClientType) -> Result<Session> {
    let opened = session(tag, account, client_type)?;
    commit(store, vec![Write::OpenSession(opened.clone())]).await?;
    Ok(opened)
}

/// And no other.
pub async fn opening_replaces_the_session_of_that_client_type(under_test: &dyn StoreUnderTest) -> Result<()> {
    let store = under_test.open().await?;
    put(&*store, &[&account(1)?, &account(256)?]).await?;
    let weixin = ClientType::MiniProgram(Platform::Weixin);
    let first = opened(&*store, 1, 1, ClientType::H5).await?;
    let elsewhere = opened(&*store, 2, 1, weixin).await?;
    let anothers = opened(&*store, 3, 256, ClientType::H5).await?;
    ensure!(ids_of(&*store, 1).await? == [first.id, elsewhere.id]);
    let second = opened(&*store, 4, 1, ClientType::H5).await?;
    ensure!(store.load_session(first.id).await?.is_none());
    for kept in [&elsewhere, &anothers, &second] {
        let found = store.load_session(kept.id).await?.context("a session")?;
        ensure!(&found.session == kept && found.account.value.id == kept.account);
    }
    ensure!(ids_of(&*store, 1).await? == [elsewhere.id, second.id]);
    ensure!(ids_of(&*store, 256).await? == [anothers.id]);
    Ok(())
}

/// Whether the accounts are neighbours or far apart, and of nobody who was not asked for.
pub async fn sessions_of_several_accounts_are_found_together(under_test: &dyn StoreUnderTest) -> Result<()> {
    let store = under_test.open().await?;
    let last = under_test.limits().largest_id;
    for (tag, number) in [(1_u8, 1_u64), (2, 2), (3, 3), (4, last)] {
        put(&*store, &[&account(number)?]).await?;
        opened(&*store, tag, number, ClientType::H5).await?;
    }
    opened(&*store, 5, 1, ClientType::Pc).await?;
    for (asked, tags) in [(vec![1, 3], vec![1, 3, 5]), (vec![last, 2], vec![2, 4]), (vec![7], vec![]), (vec![], vec![])]
    {
        let accounts = asked.iter().map(|&number| id(number)).collect::<Result<Vec<_>>>()?;
        let mut found: Vec<_> = store.sessions_of_all(&accounts).await?.iter().map(|session| session.id).collect();
        found.sort_unstable();
        let expected: Vec<_> = tags.into_iter().map(|tag: u8| SessionId([tag; 16])).collect();
        ensure!(found == expected, "of {asked:?}: {found:?}");
    }
    Ok(())
}

/// Use is noted, and ending frees the place.
pub async fn a_session_is_used_and_ended(under_test: &dyn StoreUnderTest) -> Result<()> {
    let store = under_test.open().await?;
    put(&*store, &[&account(1)?]).await?;
    let first = opened(&*store, 1, 1, ClientType::H5).await?;
    let later = NOW.after(Duration::from_millis(86_400_001));
    commit(&*store, vec![Write::UseSession(first.id, later)]).await?;
    let found = store.load_session(first.id).await?.context("a session")?;
    ensure!(found.session == Session { used_at: later, ..first.clone() });
    commit(&*store, vec![Write::EndSession(first.id)]).await?;
    ensure!(store.load_session(first.id).await?.is_none());
    ensure!(store.sessions_of(id(1)?).await?.is_empty());
    let second = opened(&*store, 2, 1, ClientType::H5).await?;
    ensure!(ids_of(&*store, 1).await? == [second.id]);
    Ok(())
}

/// Using and ending one that is gone is no conflict; expecting it is.
pub async fn what_happens_to_an_absent_session_is_nothing(under_test: &dyn StoreUnderTest) -> Result<()> {
    let store = under_test.open().await?;
    put(&*store, &[&account(1)?]).await?;
    let (first, absent) = (opened(&*store, 1, 1, ClientType::H5).await?, SessionId([9; 16]));
    commit(&*store, vec![Write::UseSession(absent, NOW), Write::EndSession(absent)]).await?;
    ensure!(store.load_session(absent).await?.is_none());
    ensure!(ids_of(&*store, 1).await? == [first.id]);
    ensure_conflict(commit_expecting(&*store, Expectation::Session(absent), Vec::new()).await)?;
    commit_expecting(&*store, Expectation::Session(first.id), Vec::new()).await?;
    // A session that was replaced does not come back, nor take its successor with it.
    let second = opened(&*store, 2, 1, ClientType::H5).await?;
    commit(&*store, vec![Write::UseSession(first.id, NOW), Write::EndSession(first.id)]).await?;
    ensure!(ids_of(&*store, 1).await? == [second.id]);
    Ok(())
}

/// What is expected is what stands before the change.
pub async fn an_expected_session_may_be_replaced_in_the_same_change(under_test: &dyn StoreUnderTest) -> Result<()> {
    let store = under_test.open().await?;
    put(&*store, &[&account(1)?]).await?;
    let first = opened(&*store, 1, 1, ClientType::H5).await?;
    let second = session(2, 1, ClientType::H5)?;
    let replacing = || vec![Write::OpenSession(second.clone())];
    commit_expecting(&*store, Expectation::Session(first.id), replacing()).await?;
    ensure!(ids_of(&*store, 1).await? == [second.id]);
    ensure_conflict(commit_expecting(&*store, Expectation::Session(first.id), replacing()).await)?;
    Ok(())
}

/// Deleted ones included: whether it counts is for the rules to say.
pub async fn a_session_shows_its_account_as_it_is_now(under_test: &dyn StoreUnderTest) -> Result<()> {
    let store = under_test.open().await?;
    let mut known = account(1)?;
    put(&*store, &[&known]).await?;
    let opened = opened(&*store, 1, 1, ClientType::H5).await?;
    for status in [AccountStatus::Disabled, AccountStatus::Normal] {
        known.status = status;
        known.deleted_at = (status == AccountStatus::Normal).then_some(Timestamp::from_seconds(5));
        let revision = overwrite(&*store, &known).await?;
        let caller = CallerQuery::Session(Some(opened.id));
        let evidence = EvidenceQuery::default();
        let query = BindQuery { evidence, ..BindQuery::new(key("17602128368", "u")?, caller) };
        let for_bind = store.load_bind(&query).await?.session.context("for a bind")?;
        let for_send = send_snapshot(&*store, &query.key, Some(opened.id)).await?.caller.context("for a send")?;
        let alone = store.load_session(opened.id).await?.context("alone")?;
        for found in [for_bind, for_send, alone] {
            ensure!(found.session == opened && found.account.value == known && found.account.revision == revision);
        }
    }
    Ok(())
}
