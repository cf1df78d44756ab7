//! Numbers that change hands.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use mobile_bind_domain::ports::{BindQuery, CallerQuery};
use mobile_bind_domain::{Account, Change, ClientType, Quota, Revision, Session, SessionId, Subject, Write};

use super::StoreUnderTest;
use super::records::{
    NOW, account_with_mobile, challenge, commit, ensure_conflict, id, key, mobile, new_account, put, session,
    write_account,
};

const MOBILE: &str = "17602128368";

/// What a bind needs to know of a number that changes hands.
pub async fn a_bind_knows_when_the_holder_was_seen_and_what_was_sent_to_the_former_number(
    under_test: &dyn StoreUnderTest,
) -> Result<()> {
    let store = under_test.open().await?;
    put(&*store, &[&account_with_mobile(1, MOBILE)?, &account_with_mobile(2, "13500135000")?]).await?;
    let later = NOW.after(Duration::from_secs(5));
    let used = Session { used_at: later, ..session(2, 1, ClientType::Pc)? };
    commit(&*store, vec![Write::OpenSession(session(1, 1, ClientType::H5)?), Write::OpenSession(used)]).await?;
    commit(&*store, vec![Write::OpenSession(session(3, 2, ClientType::H5)?)]).await?;
    let former = key("13500135000", "u")?;
    let sent = challenge(4)?;
    commit(&*store, vec![Write::Challenge { expected: Revision::ABSENT, key: former, challenge: Some(sent.clone()) }])
        .await?;
    let caller = CallerQuery::Session(Some(SessionId([3; 16])));
    let subject = Subject::FailuresOn(mobile("13500135000")?);
    let quota = Quota::new(20, 60);
    let wrong = Write::Count { subject: subject.clone(), at: NOW, kept: vec![quota], watched: Vec::new() };
    commit(&*store, vec![wrong.clone()]).await?;
    let bind = async |number: &str, caller: CallerQuery, wanted: bool| {
        let query = BindQuery {
            evidence: Default::default(),
            former: wanted,
            holder_use: wanted,
            ..BindQuery::new(key(number, "u")?, caller)
        };
        anyhow::Ok(store.load_bind(&query).await?)
    };
    let snapshot = bind(MOBILE, caller.clone(), true).await?;
    ensure!(snapshot.holder_used_at == Some(later), "{:?}", snapshot.holder_used_at);
    ensure!(snapshot.tallies.get(&subject).is_some_and(|tally| tally.used(&quota, NOW) == 1), "{:?}", snapshot.tallies);
    ensure!(snapshot.former_challenge.map(|found| found.value) == Some(sent));
    let unasked = bind(MOBILE, caller.clone(), false).await?;
    ensure!(unasked.holder_used_at.is_none() && unasked.former_challenge.is_none() && unasked.tallies.is_empty());
    let own = bind("13500135000", caller, true).await?;
    ensure!(own.former_challenge.is_none(), "its own number is no former one");
    let stranger = bind("13900000000", CallerQuery::Session(None), true).await?;
    ensure!(stranger.holder_used_at.is_none() && stranger.former_challenge.is_none());
    Ok(())
}

/// What an account lets go in a change, another may take in the same one, whichever is new.
pub async fn a_number_passes_to_another_account_in_one_change(under_test: &dyn StoreUnderTest) -> Result<()> {
    let store = under_test.open().await?;
    let holder = account_with_mobile(1, MOBILE)?;
    let revision = commit(&*store, vec![new_account(&holder)]).await?;
    let former = Account { mobile: None, mobile_since: None, ..holder.clone() };
    let next = account_with_mobile(2, MOBILE)?;
    let passing = vec![write_account(revision, &former), new_account(&next)];
    let stale = vec![write_account(Revision(revision.0 + 1000), &former), new_account(&next)];
    ensure_conflict(store.commit(Change { expectations: Vec::new(), writes: stale }).await)?;
    commit(&*store, passing).await?;
    ensure!(store.account_of(&mobile(MOBILE)?).await?.context("the account")?.value == next);
    ensure!(store.account(id(1)?).await?.context("the account")?.value == former);
    let third = vec![new_account(&account_with_mobile(3, MOBILE)?)];
    ensure_conflict(store.commit(Change { expectations: Vec::new(), writes: third }).await)
}
