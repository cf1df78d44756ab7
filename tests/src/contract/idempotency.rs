//! Idempotency keys, and what came with them: counts of one window forgotten, quotas of which a part is reserved.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use mobile_bind_domain::ports::{BindQuery, CallerQuery, EarlierBind, SendQuery, Store};
use mobile_bind_domain::{
    ClientType, Expectation, FinalRefusal, IdempotencyName, IdempotencyRecord, IdempotentOutcome, Quota, Refusal,
    Revision, Subject, Versioned, Write,
};

use super::records::{
    NOW, account, commit, commit_expecting, ensure_conflict, failures_on, id, key, mobile, purge, put, session,
};
use super::{StoreUnderTest, reopen};

const MOBILE: &str = "17602128368";
const NAME: IdempotencyName = IdempotencyName([7; 32]);

fn record(outcome: IdempotentOutcome) -> IdempotencyRecord {
    let expires_at = NOW.after(Duration::from_secs(600));
    IdempotencyRecord { fingerprint: [0xa5; 32], at: NOW, expires_at, outcome }
}

fn write(expected: Revision, record: Option<IdempotencyRecord>) -> Vec<Write> {
    vec![Write::Idempotency { expected, name: NAME, record }]
}

async fn before_send(store: &dyn Store, name: IdempotencyName) -> Result<Option<Versioned<IdempotencyRecord>>> {
    let address = std::net::IpAddr::from([192, 0, 2, 1]).into();
    let query =
        SendQuery { key: key(MOBILE, "u")?, address, session: None, idempotency: Some(name), sources: Vec::new() };
    Ok(store.load_send(&query).await?.earlier)
}

async fn before_bind(store: &dyn Store, name: IdempotencyName) -> Result<Option<EarlierBind>> {
    let caller = CallerQuery::Session(None);
    let query = BindQuery {
        evidence: Default::default(),
        idempotency: Some(name),
        ..BindQuery::new(key(MOBILE, "u")?, caller)
    };
    Ok(store.load_bind(&query).await?.earlier)
}

/// And changed or forgotten only as it was read.
pub async fn a_request_is_recorded_once(under_test: &dyn StoreUnderTest) -> Result<()> {
    let store = under_test.open().await?;
    let (sending, sent) = (record(IdempotentOutcome::Sending), record(IdempotentOutcome::Sent));
    commit_expecting(&*store, Expectation::Idempotency(NAME, Revision::ABSENT), Vec::new()).await?;
    let first = commit(&*store, write(Revision::ABSENT, Some(sending.clone()))).await?;
    ensure!(before_send(&*store, NAME).await? == Some(Versioned { revision: first, value: sending }));
    ensure_conflict(commit(&*store, write(Revision::ABSENT, Some(sent.clone()))).await)?;
    let absent = Expectation::Idempotency(NAME, Revision::ABSENT);
    ensure_conflict(commit_expecting(&*store, absent, Vec::new()).await)?;
    let second = commit(&*store, write(first, Some(sent.clone()))).await?;
    ensure_conflict(commit(&*store, write(first, None)).await)?;
    ensure_conflict(commit_expecting(&*store, Expectation::Idempotency(NAME, first), Vec::new()).await)?;
    commit_expecting(&*store, Expectation::Idempotency(NAME, second), Vec::new()).await?;
    ensure!(before_bind(&*store, NAME).await?.context("a record")?.record.value == sent);
    commit(&*store, write(second, None)).await?;
    ensure!(before_send(&*store, NAME).await?.is_none());
    ensure_conflict(commit(&*store, write(second, Some(sent))).await)?;
    Ok(())
}

/// With the session of a bind for as long as that is there; also after the store was closed.
pub async fn what_became_of_a_request_is_found_by_its_name(under_test: &dyn StoreUnderTest) -> Result<()> {
    let store = under_test.open().await?;
    put(&*store, &[&account(1)?]).await?;
    let opened = session(1, 1, ClientType::H5)?;
    let wrong = FinalRefusal::of(&Refusal::CodeWrong).context("a final refusal")?;
    let outcomes = [
        IdempotentOutcome::Bound { account: id(1)?, session: Some(opened.id) },
        IdempotentOutcome::Bound { account: id(9_999_999_999)?, session: None },
        IdempotentOutcome::Refused(wrong),
        IdempotentOutcome::Sending,
        IdempotentOutcome::Sent,
    ];
    commit(&*store, vec![Write::OpenSession(opened.clone())]).await?;
    for (tag, outcome) in (1_u8..).zip(&outcomes) {
        let (name, record) = (IdempotencyName([tag; 32]), Some(record(outcome.clone())));
        commit(&*store, vec![Write::Idempotency { expected: Revision::ABSENT, name, record }]).await?;
    }
    let store = reopen(under_test, store).await?;
    for (tag, outcome) in (1_u8..).zip(&outcomes) {
        let found = before_bind(&*store, IdempotencyName([tag; 32])).await?.context("a record")?;
        ensure!(found.record.value == record(outcome.clone()), "{outcome:?}");
        ensure!(found.session.is_some() == (tag == 1));
        ensure!(before_send(&*store, IdempotencyName([tag; 32])).await? == Some(found.record));
    }
    ensure!(before_bind(&*store, NAME).await?.is_none() && before_send(&*store, NAME).await?.is_none());
    commit(&*store, vec![Write::EndSession(opened.id)]).await?;
    let found = before_bind(&*store, IdempotencyName([1; 32])).await?.context("a record")?;
    ensure!(found.session.is_none() && found.record.value == record(outcomes[0].clone()));
    Ok(())
}

/// And nothing of what it stood for happens otherwise.
pub async fn one_of_many_requests_with_a_key_is_recorded(under_test: &dyn StoreUnderTest) -> Result<()> {
    let store = under_test.open().await?;
    let tries = (0..16).map(|second| {
        let store = store.clone();
        tokio::spawn(async move {
            let mut writes = write(Revision::ABSENT, Some(record(IdempotentOutcome::Sending)));
            let (subject, at) = (Subject::Sends, NOW.after(Duration::from_secs(second)));
            writes.push(Write::Count { subject, at, kept: vec![Quota::new(16, 3600)], watched: Vec::new() });
            commit(&*store, writes).await.is_ok()
        })
    });
    let mut won = 0;
    for attempt in tries.collect::<Vec<_>>() {
        won += u32::from(attempt.await?);
    }
    ensure!(won == 1, "{won}");
    let snapshot = super::records::send_snapshot(&*store, &key(MOBILE, "u")?, None).await?;
    let counted = snapshot.tallies.get(&Subject::Sends).context("a count")?;
    ensure!(counted.meters.iter().flat_map(|meter| &meter.events).map(|(_, times)| times).sum::<u32>() == 1);
    Ok(())
}

/// Not before.
pub async fn a_spent_key_is_forgotten(under_test: &dyn StoreUnderTest) -> Result<()> {
    let store = under_test.open().await?;
    commit(&*store, write(Revision::ABSENT, Some(record(IdempotentOutcome::Sent)))).await?;
    let at = |second| NOW.after(Duration::from_secs(second));
    ensure!(purge(&*store, at(599), NOW, 10).await? == 0 && before_send(&*store, NAME).await?.is_some());
    ensure!(purge(&*store, at(600), NOW, 10).await? == 1 && before_send(&*store, NAME).await?.is_none());
    Ok(())
}

/// The others still count.
pub async fn a_window_is_forgotten(under_test: &dyn StoreUnderTest) -> Result<()> {
    let store = under_test.open().await?;
    let (day, year) = (Quota::new(2, 86_400), Quota::new(2, 365 * 86_400));
    let subject = Subject::FailuresOn(mobile(MOBILE)?);
    let count = || Write::Count { subject: subject.clone(), at: NOW, kept: vec![day, year], watched: Vec::new() };
    let forget = |quota: Quota| Write::Forget { subject: subject.clone(), window: quota.window };
    // Of what was never counted there is nothing to forget.
    commit(&*store, vec![forget(year)]).await?;
    commit(&*store, vec![count()]).await?;
    commit(&*store, vec![count()]).await?;
    ensure_conflict(commit(&*store, vec![count()]).await)?;
    commit(&*store, vec![forget(year)]).await?;
    let tally = failures_on(&*store, MOBILE).await?;
    ensure!(tally.wait(&[year], NOW).is_none() && tally.wait(&[day], NOW).is_some());
    ensure_conflict(commit(&*store, vec![count()]).await)?;
    commit(&*store, vec![forget(day)]).await?;
    ensure!(failures_on(&*store, MOBILE).await?.meters.is_empty());
    commit(&*store, vec![count()]).await?;
    Ok(())
}

/// Strangers fill half of it, and others the rest.
pub async fn what_is_reserved_is_kept_from_strangers(under_test: &dyn StoreUnderTest) -> Result<()> {
    let store = under_test.open().await?;
    let quota = Quota::new(5, 3600);
    let subject = Subject::SendsTo(mobile(MOBILE)?);
    let count =
        |quota| vec![Write::Count { subject: subject.clone(), at: NOW, kept: vec![quota], watched: Vec::new() }];
    for _ in 0..3 {
        commit(&*store, count(quota.for_strangers())).await?;
    }
    ensure_conflict(commit(&*store, count(quota.for_strangers())).await)?;
    for _ in 0..2 {
        commit(&*store, count(quota)).await?;
    }
    ensure_conflict(commit(&*store, count(quota)).await)?;
    Ok(())
}
