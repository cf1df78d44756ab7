//! Counts against quotas.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use mobile_bind_domain::conversion::Source;
use mobile_bind_domain::ports::{SendQuery, Store};
use mobile_bind_domain::{AddressBlock, Client, ClientType, Installation, Quota, Subject, Tally, Timestamp, Write};

use super::StoreUnderTest;
use super::records::{
    NOW, account, commit, ensure_conflict, failures_on, id, key, mobile, put, send_snapshot, session,
};

const MOBILE: &str = "17602128368";
const MINUTE: Quota = Quota::new(1, 60);
const HOUR: Quota = Quota::new(3, 3600);

fn at(seconds: u64) -> Timestamp {
    NOW.after(Duration::from_secs(seconds))
}

fn failure(seconds: u64, kept: &[Quota], watched: &[Quota]) -> Result<Vec<Write>> {
    let subject = Subject::FailuresOn(mobile(MOBILE)?);
    Ok(vec![Write::Count { subject, at: at(seconds), kept: kept.to_vec(), watched: watched.to_vec() }])
}

/// What the quotas would say now, in seconds to wait.
async fn wait(store: &dyn Store, quotas: &[Quota], seconds: u64) -> Result<Option<u64>> {
    Ok(failures_on(store, MOBILE).await?.wait(quotas, at(seconds)).map(|wait| wait.as_secs()))
}

/// Until its events have left the window.
pub async fn a_kept_quota_without_room_is_a_conflict(under_test: &dyn StoreUnderTest) -> Result<()> {
    let store = under_test.open().await?;
    for second in [0, 60, 120] {
        commit(&*store, failure(second, &[MINUTE, HOUR], &[])?).await?;
        ensure_conflict(commit(&*store, failure(second + 59, &[MINUTE, HOUR], &[])?).await)?;
        ensure!(wait(&*store, &[MINUTE], second + 59).await? == Some(1));
    }
    ensure_conflict(commit(&*store, failure(180, &[MINUTE, HOUR], &[])?).await)?;
    ensure!(wait(&*store, &[MINUTE, HOUR], 180).await? == Some(3420));
    commit(&*store, failure(3600, &[MINUTE, HOUR], &[])?).await?;
    Ok(())
}

/// And is counted for all the same.
pub async fn a_watched_quota_may_be_overrun(under_test: &dyn StoreUnderTest) -> Result<()> {
    let store = under_test.open().await?;
    for second in 0..5 {
        commit(&*store, failure(second * 60, &[MINUTE], &[HOUR])?).await?;
    }
    ensure_conflict(commit(&*store, failure(241, &[MINUTE], &[HOUR])?).await)?;
    ensure!(wait(&*store, &[HOUR], 300).await?.is_some());
    Ok(())
}

/// Once.
pub async fn an_event_is_taken_back(under_test: &dyn StoreUnderTest) -> Result<()> {
    let store = under_test.open().await?;
    commit(&*store, failure(0, &[MINUTE, HOUR], &[])?).await?;
    commit(&*store, failure(60, &[MINUTE, HOUR], &[])?).await?;
    let subject = Subject::FailuresOn(mobile(MOBILE)?);
    commit(&*store, vec![Write::Uncount { subject, at: at(60) }]).await?;
    ensure!(wait(&*store, &[MINUTE], 61).await?.is_none());
    ensure!(wait(&*store, &[Quota::new(1, 3600)], 61).await? == Some(3539), "the first one still counts");
    commit(&*store, failure(61, &[MINUTE, HOUR], &[])?).await?;
    // Of what was never counted there is nothing to take back.
    let nobody = Subject::FailuresOn(mobile("13500135000")?);
    commit(&*store, vec![Write::Uncount { subject: nobody, at: NOW }]).await?;
    Ok(())
}

/// As one by one, beside what is counted of the same subject meanwhile; nothing limits them.
pub async fn many_events_are_counted_at_once(under_test: &dyn StoreUnderTest) -> Result<()> {
    let store = under_test.open().await?;
    let subject = Subject::FailuresOn(mobile(MOBILE)?);
    let watched = vec![HOUR, Quota::new(1_000, 3600 * 24)];
    let mut expected = Tally::default();
    for (second, events) in [(0, 7), (0, 1), (1, 1_000_000), (3_599, 2), (7_200, 3)] {
        let (subject, watched) = (subject.clone(), watched.clone());
        commit(&*store, vec![Write::CountMany { subject, at: at(second), events, watched: watched.clone() }]).await?;
        expected.add_many(watched.iter(), at(second), events);
        let found = failures_on(&*store, MOBILE).await?;
        for quota in &watched {
            let (found, expected) = (found.used(quota, at(second)), expected.used(quota, at(second)));
            ensure!(found == expected, "{second}: {found} and not {expected}");
        }
    }
    Ok(())
}

/// Each kind of subject, and each subject of a kind.
pub async fn subjects_are_counted_apart(under_test: &dyn StoreUnderTest) -> Result<()> {
    let store = under_test.open().await?;
    let installation = |uuid| Installation::new(uuid).context("a uuid");
    let block = |last| AddressBlock::from(std::net::IpAddr::from([192, 0, 2, last]));
    let subjects = [
        Subject::SendsTo(mobile(MOBILE)?),
        Subject::SendsTo(mobile("17602128369")?),
        Subject::SendsBy(installation("u")?),
        Subject::SendsBy(installation("192.0.2.1")?),
        Subject::SendsFrom(block(1)),
        Subject::SendsFrom(block(2)),
        Subject::SendsOf(id(1)?),
        Subject::SendsOf(id(256)?),
        Subject::Sends,
        Subject::FailuresOn(mobile(MOBILE)?),
        Subject::FailuresBy(Client::Installation(installation("u")?)),
        Subject::FailuresBy(Client::Installation(installation("192.0.2.1")?)),
        Subject::FailuresBy(Client::Address(block(1))),
        Subject::SendsToRange(mobile(MOBILE)?.range()),
        Subject::SendsToRange(mobile("17602138368")?.range()),
        Subject::Sent(Source::Country("86".into())),
        Subject::Sent(Source::Country("852".into())),
        Subject::Sent(Source::Address(block(1))),
        Subject::Verified(Source::Country("86".into())),
        Subject::Verified(Source::Address(block(1))),
    ];
    let count =
        |subject: &Subject| Write::Count { subject: subject.clone(), at: NOW, kept: vec![MINUTE], watched: Vec::new() };
    // One after the other, then each is full.
    for subject in &subjects {
        commit(&*store, vec![count(subject)]).await.with_context(|| format!("{subject:?}"))?;
    }
    for subject in &subjects {
        ensure_conflict(commit(&*store, vec![count(subject)]).await)?;
    }
    Ok(())
}

/// By number, address, installation, in all, and by the account of a session.
pub async fn a_send_loads_what_is_counted_for_it(under_test: &dyn StoreUnderTest) -> Result<()> {
    let store = under_test.open().await?;
    put(&*store, &[&account(1)?]).await?;
    let opened = session(1, 1, ClientType::H5)?;
    commit(&*store, vec![Write::OpenSession(opened.clone())]).await?;
    let key = key(MOBILE, "u")?;
    let address = std::net::IpAddr::from([192, 0, 2, 1]).into();
    let mut query = SendQuery {
        key: key.clone(),
        address,
        session: None,
        idempotency: None,
        sources: vec![Source::Country("86".into()), Source::Address(address)],
    };
    let mut subjects = query.subjects();
    subjects.push(Subject::SendsOf(id(1)?));
    let count =
        |subject: &Subject| Write::Count { subject: subject.clone(), at: NOW, kept: vec![HOUR], watched: vec![MINUTE] };
    commit(&*store, subjects.iter().map(count).collect()).await?;
    let mut expected = Tally::default();
    expected.add([HOUR, MINUTE].iter(), NOW);
    query.session = Some(opened.id);
    let snapshot = store.load_send(&query).await?;
    for subject in &subjects {
        let found = snapshot.tallies.get(subject).with_context(|| format!("{subject:?}"))?;
        ensure!(found == &expected, "{subject:?}: {found:?}");
    }
    let anonymous = send_snapshot(&*store, &key, None).await?;
    ensure!(!anonymous.tallies.contains_key(&Subject::SendsOf(id(1)?)) && anonymous.caller.is_none());
    Ok(())
}
