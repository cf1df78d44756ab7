//! Changes as a whole, opening again, and forgetting.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use mobile_bind_domain::ports::{CommitError, Store};
use mobile_bind_domain::{
    Account, Challenge, ChallengeKey, Change, ClientType, Expectation, Platform, Quota, Revision, Session, SessionId,
    Subject, Tally, Write,
};

use super::records::{
    NOW, account, account_with_mobile, bind_snapshot, challenge, challenge_at, commit, commit_expecting,
    ensure_conflict, failures_on, give_identity, id, identity, identity_holders, key, mobile, mobile_holder,
    new_account, purge, put, receipt, session, write_account,
};
use super::{StoreUnderTest, reopen};

const MOBILE: &str = "17602128368";
const QUOTA: Quota = Quota::new(3, 3600);

fn count(number: &str) -> Result<Write> {
    Ok(Write::Count { subject: Subject::FailuresOn(mobile(number)?), at: NOW, kept: vec![QUOTA], watched: Vec::new() })
}

/// One write of each kind, all for account 1.
fn one_of_each() -> Result<Vec<Write>> {
    let key = key(MOBILE, "u")?;
    let mut made = account_with_mobile(1, MOBILE)?;
    give_identity(&mut made, Platform::Weixin, "", "o", "u")?;
    let opened = session(1, 1, ClientType::H5)?;
    Ok(vec![
        new_account(&made),
        Write::Challenge { expected: Revision::ABSENT, key: key.clone(), challenge: Some(challenge(1)?) },
        Write::Receipt(key, receipt(1, 1, Some(opened.id))?),
        Write::OpenSession(opened),
        count(MOBILE)?,
    ])
}

/// Which of them can be seen.
async fn seen(store: &dyn Store) -> Result<[bool; 7]> {
    let snapshot = bind_snapshot(store, &key(MOBILE, "u")?).await?;
    Ok([
        store.account(id(1)?).await?.is_some(),
        snapshot.mobile_holder.is_some(),
        identity_holders(store, identity(Platform::Weixin, "", "o")?, "u").await? == (Some(1), Some(1)),
        snapshot.challenge.is_some(),
        snapshot.receipt.is_some(),
        store.load_session(SessionId([1; 16])).await?.is_some(),
        failures_on(store, MOBILE).await? != Tally::default(),
    ])
}

/// Whatever in it no longer holds, and wherever that stands.
pub async fn a_change_is_committed_whole_or_not_at_all(under_test: &dyn StoreUnderTest) -> Result<()> {
    let store = under_test.open().await?;
    put(&*store, &[&account_with_mobile(2, "17602128369")?]).await?;
    let full = vec![count("13500135000")?, count("13500135000")?, count("13500135000")?];
    commit(&*store, full).await?;
    let conflicting = [
        write_account(Revision(1_000_000), &account(2)?),
        new_account(&account_with_mobile(3, "17602128369")?),
        Write::Challenge { expected: Revision(1_000_000), key: key("13500135000", "u")?, challenge: None },
        count("13500135000")?,
    ];
    for conflict in conflicting {
        let mut last = one_of_each()?;
        last.push(conflict.clone());
        let mut first = one_of_each()?;
        first.insert(0, conflict);
        for writes in [first, last] {
            ensure_conflict(commit(&*store, writes).await)?;
            ensure!(seen(&*store).await? == [false; 7]);
        }
    }
    ensure!(mobile_holder(&*store, "17602128369").await? == Some(2));
    let untrue = [
        Expectation::Account(id(1)?, Revision(1_000_000)),
        Expectation::Account(id(2)?, Revision::ABSENT),
        Expectation::Challenge(key(MOBILE, "u")?, Revision(1_000_000)),
        Expectation::Session(SessionId([1; 16])),
    ];
    for expectation in untrue {
        ensure_conflict(commit_expecting(&*store, expectation, one_of_each()?).await)?;
        ensure!(seen(&*store).await? == [false; 7]);
    }
    commit_expecting(&*store, Expectation::Account(id(1)?, Revision::ABSENT), one_of_each()?).await?;
    ensure!(seen(&*store).await? == [true; 7]);
    Ok(())
}

/// A refusal may rest on what was read.
pub async fn expectations_alone_are_checked(under_test: &dyn StoreUnderTest) -> Result<()> {
    let store = under_test.open().await?;
    let revision = commit(&*store, one_of_each()?).await?;
    let key = key(MOBILE, "u")?;
    let hold = vec![
        Expectation::Account(id(1)?, revision),
        Expectation::Challenge(key.clone(), revision),
        Expectation::Session(SessionId([1; 16])),
        Expectation::Account(id(2)?, Revision::ABSENT),
    ];
    store.commit(Change { expectations: hold.clone(), writes: Vec::new() }).await?;
    let mut broken = hold;
    broken.push(Expectation::Challenge(key, Revision::ABSENT));
    ensure_conflict(store.commit(Change { expectations: broken, writes: Vec::new() }).await)?;
    Ok(())
}

/// See the name.
pub async fn an_empty_change_is_committed(under_test: &dyn StoreUnderTest) -> Result<()> {
    let store = under_test.open().await?;
    store.commit(Change::default()).await?;
    Ok(())
}

/// Every kind of record, every index, and the absence of what was removed.
pub async fn everything_is_there_when_opened_again(under_test: &dyn StoreUnderTest) -> Result<()> {
    let mut store = under_test.open().await?;
    let revision = commit(&*store, one_of_each()?).await?;
    for _ in 0..2 {
        store = reopen(under_test, store).await?;
        ensure!(seen(&*store).await? == [true; 7]);
        let found = store.account(id(1)?).await?.context("the account")?;
        ensure!(found.revision == revision, "revisions are kept");
        ensure!(store.sessions_of(id(1)?).await?.len() == 1);
        ensure_conflict(commit(&*store, vec![new_account(&account_with_mobile(2, MOBILE)?)]).await)?;
    }
    let deleted = Account { deleted_at: Some(NOW), ..account_with_mobile(1, MOBILE)? };
    let gone = vec![
        write_account(revision, &deleted),
        Write::Challenge { expected: revision, key: key(MOBILE, "u")?, challenge: None },
        Write::EndSession(SessionId([1; 16])),
        Write::Uncount { subject: Subject::FailuresOn(mobile(MOBILE)?), at: NOW },
    ];
    commit(&*store, gone).await?;
    let store = reopen(under_test, store).await?;
    let [account, holder, openid, challenge, receipt, session, _] = seen(&*store).await?;
    ensure!(account && receipt && !holder && !openid && !challenge && !session);
    ensure!(failures_on(&*store, MOBILE).await?.wait(&[Quota::new(1, 3600)], NOW).is_none());
    Ok(())
}

/// A process that read before a restart must not be taken for one that read after it.
pub async fn revisions_are_not_given_again_when_opened_again(under_test: &dyn StoreUnderTest) -> Result<()> {
    let store = under_test.open().await?;
    let key = key(MOBILE, "u")?;
    let write = |expected, challenge| vec![Write::Challenge { expected, key: key.clone(), challenge }];
    let first = commit(&*store, write(Revision::ABSENT, Some(challenge(1)?))).await?;
    commit(&*store, write(first, None)).await?;
    let store = reopen(under_test, store).await?;
    let second = commit(&*store, write(Revision::ABSENT, Some(challenge(1)?))).await?;
    ensure!(first != second);
    ensure_conflict(commit(&*store, write(first, None)).await)?;
    Ok(())
}

/// It says so, and what was committed before stays.
pub async fn a_closed_store_takes_no_change(under_test: &dyn StoreUnderTest) -> Result<()> {
    let store = under_test.open().await?;
    put(&*store, &[&account(1)?]).await?;
    store.close().await?;
    let refused = commit(&*store, vec![new_account(&account(2)?)]).await;
    ensure!(matches!(refused, Err(CommitError::Store(_))), "{refused:?}");
    drop(store);
    let store = under_test.open().await?;
    ensure!(store.account(id(1)?).await?.is_some() && store.account(id(2)?).await?.is_none());
    Ok(())
}

/// Three live and three ended of each kind; the ended ones go, little by little.
pub async fn what_has_ended_is_forgotten_and_nothing_else(under_test: &dyn StoreUnderTest) -> Result<()> {
    let store = under_test.open().await?;
    let second = Duration::from_secs(1);
    let (now, sessions_before) = (NOW.after(second * 7200), NOW.after(second * 1000));
    let keys = |ended: bool| (1..=3).map(move |n| key(&format!("1350013500{n}"), if ended { "ended" } else { "live" }));
    for (ended, first) in [(true, 1_u8), (false, 11)] {
        for (tag, key) in (first..).zip(keys(ended)) {
            let key = key?;
            let number = u64::from(tag);
            let expires_at = if ended { now } else { now.after(Duration::from_millis(1)) };
            let used_at = if ended { NOW } else { sessions_before };
            let at = if ended { NOW } else { now };
            let opened = Session { used_at, ..session(tag, number, ClientType::H5)? };
            let subject = Subject::FailuresBy(key.client.clone());
            let writes = vec![
                new_account(&account(number)?),
                Write::Challenge {
                    expected: Revision::ABSENT,
                    key: key.clone(),
                    challenge: Some(Challenge { expires_at, ..challenge(tag)? }),
                },
                Write::Receipt(
                    key,
                    mobile_bind_domain::bind::BindReceipt { expires_at, ..receipt(tag, number, None)? },
                ),
                Write::OpenSession(opened),
                Write::Count { subject, at, kept: Vec::new(), watched: vec![QUOTA] },
            ];
            commit(&*store, writes).await?;
        }
    }
    let forgotten = purge(&*store, now, sessions_before, 2).await?;
    // Three challenges, receipts and sessions, and the one count of the client `ended`.
    ensure!(forgotten == 10, "{forgotten}");
    for (ended, first) in [(true, 1_u8), (false, 11)] {
        for (tag, key) in (first..).zip(keys(ended)) {
            let found = bind_snapshot(&*store, &key?).await?;
            ensure!(found.challenge.is_none() == ended && found.receipt.is_none() == ended);
            ensure!(store.load_session(SessionId([tag; 16])).await?.is_none() == ended);
            ensure!(store.sessions_of(id(u64::from(tag))?).await?.is_empty() == ended);
            ensure!(store.account(id(u64::from(tag))?).await?.is_some(), "accounts are never forgotten");
        }
    }
    let live = bind_snapshot(&*store, &key(MOBILE, "live")?).await?;
    let counted = live.tallies.get(&Subject::FailuresBy(key(MOBILE, "live")?.client)).context("the live count")?;
    ensure!(counted.wait(&[QUOTA], now).is_some());
    // The place of a forgotten session is free.
    commit(&*store, vec![Write::OpenSession(session(50, 1, ClientType::H5)?)]).await?;
    ensure!(store.sessions_of(id(1)?).await?.len() == 1);
    Ok(())
}

/// See the name.
pub async fn a_forgotten_challenge_never_looks_unchanged(under_test: &dyn StoreUnderTest) -> Result<()> {
    let store = under_test.open().await?;
    let key: ChallengeKey = key(MOBILE, "u")?;
    let write = |expected, challenge| vec![Write::Challenge { expected, key: key.clone(), challenge }];
    let first = commit(&*store, write(Revision::ABSENT, Some(challenge(1)?))).await?;
    let forgotten = purge(&*store, NOW.after(Duration::from_secs(600)), NOW, 100).await?;
    ensure!(forgotten == 1 && challenge_at(&*store, &key).await?.is_none());
    ensure_conflict(commit(&*store, write(first, Some(challenge(2)?))).await)?;
    let second = commit(&*store, write(Revision::ABSENT, Some(challenge(1)?))).await?;
    ensure!(first != second);
    ensure_conflict(commit(&*store, write(first, None)).await)?;
    Ok(())
}
