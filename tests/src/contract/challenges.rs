//! Challenges and receipts.

use anyhow::{Context, Result, ensure};
use mobile_bind_domain::ports::Store;
use mobile_bind_domain::{
    AddressBlock, Challenge, ChallengeKey, Client, ClientType, Expectation, Revision, Versioned, Write,
};

use super::StoreUnderTest;
use super::records::{
    account, bind_snapshot, challenge, challenge_at, commit, commit_expecting, ensure_conflict, key, mobile, put,
    receipt, session,
};

const MOBILE: &str = "17602128368";

fn write(expected: Revision, key: &ChallengeKey, challenge: Option<Challenge>) -> Vec<Write> {
    vec![Write::Challenge { expected, key: key.clone(), challenge }]
}

/// And removed only so.
pub async fn a_challenge_is_written_only_as_it_was_read(under_test: &dyn StoreUnderTest) -> Result<()> {
    let store = under_test.open().await?;
    let key = key(MOBILE, "u")?;
    let first = commit(&*store, write(Revision::ABSENT, &key, Some(challenge(1)?))).await?;
    ensure!(challenge_at(&*store, &key).await? == Some(Versioned { revision: first, value: challenge(1)? }));
    ensure_conflict(commit(&*store, write(Revision::ABSENT, &key, Some(challenge(2)?))).await)?;
    let tried = Challenge { failures: 1, ..challenge(1)? };
    let second = commit(&*store, write(first, &key, Some(tried.clone()))).await?;
    ensure_conflict(commit(&*store, write(first, &key, Some(challenge(2)?))).await)?;
    ensure_conflict(commit(&*store, write(first, &key, None)).await)?;
    let stale = Expectation::Challenge(key.clone(), first);
    ensure_conflict(commit_expecting(&*store, stale, Vec::new()).await)?;
    ensure!(challenge_at(&*store, &key).await? == Some(Versioned { revision: second, value: tried }));
    commit(&*store, write(second, &key, None)).await?;
    ensure!(challenge_at(&*store, &key).await?.is_none());
    ensure_conflict(commit(&*store, write(second, &key, None)).await)?;
    Ok(())
}

/// The very same challenge put back has another revision, and absence is not a version.
pub async fn a_removed_challenge_never_looks_unchanged(under_test: &dyn StoreUnderTest) -> Result<()> {
    let store = under_test.open().await?;
    let key = key(MOBILE, "u")?;
    never_unchanged(&*store, &key).await
}

async fn never_unchanged(store: &dyn Store, key: &ChallengeKey) -> Result<()> {
    let mut seen = vec![Revision::ABSENT];
    for _ in 0..4 {
        let revision = commit(store, write(Revision::ABSENT, key, Some(challenge(1)?))).await?;
        for &stale in &seen {
            ensure_conflict(commit(store, write(stale, key, None)).await)?;
            let stale = Expectation::Challenge(key.clone(), stale);
            ensure_conflict(commit_expecting(store, stale, Vec::new()).await)?;
        }
        seen.push(revision);
        commit(store, write(revision, key, None)).await?;
        let absent = Expectation::Challenge(key.clone(), Revision::ABSENT);
        commit_expecting(store, absent, Vec::new()).await?;
    }
    Ok(())
}

/// A uuid that reads like an address is still a uuid.
pub async fn challenges_are_kept_apart_by_number_and_client(under_test: &dyn StoreUnderTest) -> Result<()> {
    let store = under_test.open().await?;
    let block: AddressBlock = std::net::IpAddr::from([192, 0, 2, 1]).into();
    let by_address = ChallengeKey { mobile: mobile(MOBILE)?, client: Client::Address(block) };
    let keys = [
        key(MOBILE, "u")?,
        key(MOBILE, "U")?,
        key(MOBILE, "uu")?,
        key("17602128369", "u")?,
        by_address,
        key(MOBILE, "192.0.2.1")?,
        key(MOBILE, "address:192.0.2.1")?,
    ];
    for (tag, key) in (0..).zip(&keys) {
        commit(&*store, write(Revision::ABSENT, key, Some(challenge(tag)?))).await?;
    }
    for (tag, key) in (0..).zip(&keys) {
        let found = challenge_at(&*store, key).await?.context("a challenge")?;
        ensure!(found.value == challenge(tag)?, "{key:?}");
    }
    Ok(())
}

/// The last one, with its session for as long as that is there.
pub async fn a_receipt_is_kept_for_number_and_client(under_test: &dyn StoreUnderTest) -> Result<()> {
    let store = under_test.open().await?;
    put(&*store, &[&account(1)?]).await?;
    let (key, other) = (key(MOBILE, "u")?, key(MOBILE, "v")?);
    let opened = session(1, 1, ClientType::H5)?;
    let first = receipt(1, 1, Some(opened.id))?;
    let writes = vec![Write::OpenSession(opened.clone()), Write::Receipt(key.clone(), first.clone())];
    commit(&*store, writes).await?;
    let found = bind_snapshot(&*store, &key).await?.receipt.context("a receipt")?;
    ensure!(found.receipt == first);
    let found = found.session.context("its session")?;
    ensure!(found.session == opened && found.account.value == account(1)?);
    ensure!(bind_snapshot(&*store, &other).await?.receipt.is_none());

    commit(&*store, vec![Write::EndSession(opened.id)]).await?;
    let found = bind_snapshot(&*store, &key).await?.receipt.context("a receipt")?;
    ensure!(found.receipt == first && found.session.is_none());
    let second = receipt(2, 1, None)?;
    commit(&*store, vec![Write::Receipt(key.clone(), second.clone())]).await?;
    let found = bind_snapshot(&*store, &key).await?.receipt.context("a receipt")?;
    ensure!(found.receipt == second && found.session.is_none());
    Ok(())
}
