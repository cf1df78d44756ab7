//! Atomicity, uniqueness, quotas, revisions.

use std::sync::Arc;

use mobile_bind_domain::ports::{BindQuery, CallerQuery, SendQuery, Store};
use mobile_bind_domain::referrer::ReferrerName;
use mobile_bind_domain::{
    Account, AddressBlock, Change, ClientType, Expectation, MemberCode, Quota, Revision, Subject, Tally, UnionId, Write,
};

use super::*;

#[tokio::test]
async fn a_change_with_a_conflict_in_it_leaves_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path());
    commit(&store, [put(Revision::ABSENT, &account(1))]).await.unwrap();
    let robber = Account { mobile: Some(mobile(1)), ..account(2) };
    let writes = [
        put_challenge(9, Revision::ABSENT, Some(challenge(10))),
        Write::OpenSession(session(1, 1, ClientType::Pc)),
        put(Revision::ABSENT, &robber),
    ];
    assert!(conflicts(commit(&store, writes).await));
    assert_eq!(load(&store, 9).await.challenge, None);
    assert_eq!(store.sessions_of(id(1)).await.unwrap(), []);
    assert_eq!(store.account(id(2)).await.unwrap(), None);
    assert_eq!(holder_of(&store, 1).await, Some(id(1)));
}

#[tokio::test]
async fn a_later_write_of_a_change_sees_the_earlier_ones() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path());
    let first = commit(&store, [put(Revision::ABSENT, &account(1))]).await.unwrap();
    // The number moves from one account to another in one change.
    let freed = Account { mobile: None, ..account(1) };
    let taker = Account { mobile: Some(mobile(1)), ..account(2) };
    commit(&store, [put(first, &freed), put(Revision::ABSENT, &taker)]).await.unwrap();
    assert_eq!(holder_of(&store, 1).await, Some(id(2)));
}

#[tokio::test]
async fn claims_are_unique_until_freed() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path());
    let holder = mini_program_account(1, "openid", "unionid");
    let first = commit(&store, [put(Revision::ABSENT, &holder)]).await.unwrap();
    let rivals = [
        Account { mobile: Some(mobile(1)), ..account(2) },
        mini_program_account(2, "openid", "other"),
        mini_program_account(2, "other", "unionid"),
        Account { member_code: Some(MemberCode::of(id(1))), ..account(2) },
    ];
    for rival in &rivals {
        assert!(conflicts(commit(&store, [put(Revision::ABSENT, rival)]).await), "{rival:?}");
    }
    let mut revision = first;
    let deleted = Account { deleted_at: Some(at(2)), ..holder.clone() };
    for (number, rival) in (10..).zip(rivals) {
        revision = commit(&store, [put(revision, &deleted)]).await.unwrap();
        // Free now; and while another has it, its former holder cannot come back.
        let rival = Account { id: id(number), ..rival };
        let taken = commit(&store, [put(Revision::ABSENT, &rival)]).await.unwrap();
        assert!(conflicts(commit(&store, [put(revision, &holder)]).await), "{rival:?}");
        commit(&store, [put(taken, &Account { closed_at: Some(at(3)), ..rival })]).await.unwrap();
        revision = commit(&store, [put(revision, &holder)]).await.unwrap();
    }
}

#[tokio::test]
async fn a_stale_revision_conflicts() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path());
    let first = commit(&store, [put(Revision::ABSENT, &account(1))]).await.unwrap();
    assert!(conflicts(commit(&store, [put(Revision::ABSENT, &account(1))]).await));
    let second = commit(&store, [put(first, &account(1))]).await.unwrap();
    assert!(conflicts(commit(&store, [put(first, &account(1))]).await));
    let expecting = |expectation| Change { expectations: vec![expectation], writes: Vec::new() };
    assert!(conflicts(store.commit(expecting(Expectation::Account(id(1), first))).await));
    store.commit(expecting(Expectation::Account(id(1), second))).await.unwrap();
    store.commit(expecting(Expectation::Challenge(key(1), Revision::ABSENT))).await.unwrap();
    assert!(conflicts(store.commit(expecting(Expectation::Challenge(key(1), second))).await));
    assert!(conflicts(store.commit(expecting(Expectation::Session(SessionId([1; 16])))).await));
}

#[tokio::test]
async fn a_revision_is_never_given_twice() {
    let folder = tempfile::tempdir().unwrap();
    let mut seen = Vec::new();
    for _ in 0..3 {
        let store = open(folder.path());
        for _ in 0..3 {
            let put = commit(&store, [put_challenge(1, Revision::ABSENT, Some(challenge(10)))]).await.unwrap();
            assert_eq!(load(&store, 1).await.challenge.unwrap().revision, put);
            seen.push(put);
            seen.push(commit(&store, [put_challenge(1, put, None)]).await.unwrap());
        }
    }
    assert!(seen.is_sorted_by(|earlier, later| earlier < later), "{seen:?}");
    assert!(seen[0] > Revision::ABSENT);
}

#[tokio::test]
async fn quotas_are_kept_at_the_commit() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path());
    let count = |second, kept: &[Quota], watched: &[Quota]| Write::Count {
        subject: Subject::Sends,
        at: at(second),
        kept: kept.to_vec(),
        watched: watched.to_vec(),
    };
    let (minute, hour) = (Quota::new(1, 60), Quota::new(2, 3600));
    commit(&store, [count(0, &[minute], &[hour])]).await.unwrap();
    assert!(conflicts(commit(&store, [count(59, &[minute], &[hour])]).await));
    commit(&store, [count(60, &[minute], &[hour])]).await.unwrap();
    // The hour is full: that matters only where it is kept.
    assert!(conflicts(commit(&store, [count(120, &[minute, hour], &[])]).await));
    commit(&store, [count(120, &[minute], &[hour])]).await.unwrap();

    let query = SendQuery { key: key(1), address: address(), session: None, idempotency: None, sources: Vec::new() };
    let tallies = store.load_send(&query).await.unwrap().tallies;
    assert_eq!(tallies[&Subject::Sends].wait(&[hour], at(121)).map(|wait| wait.as_secs()), Some(3539));
    for second in [0, 60, 120] {
        commit(&store, [Write::Uncount { subject: Subject::Sends, at: at(second) }]).await.unwrap();
    }
    assert_eq!(store.load_send(&query).await.unwrap().tallies.get(&Subject::Sends), None::<&Tally>);
}

fn address() -> AddressBlock {
    std::net::IpAddr::from([192, 0, 2, 1]).into()
}

#[tokio::test]
async fn a_new_session_ends_the_one_before_on_its_client_type() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path());
    commit(&store, [put(Revision::ABSENT, &account(1))]).await.unwrap();
    let (pc, again, h5) = (session(1, 1, ClientType::Pc), session(2, 1, ClientType::Pc), session(3, 1, ClientType::H5));
    for session in [&pc, &h5, &again] {
        commit(&store, [Write::OpenSession(session.clone())]).await.unwrap();
    }
    assert!(store.load_session(pc.id).await.unwrap().is_none());
    assert_eq!(store.sessions_of(id(1)).await.unwrap(), [again.clone(), h5.clone()]);

    commit(&store, [Write::UseSession(again.id, at(9)), Write::UseSession(again.id, at(8))]).await.unwrap();
    assert_eq!(store.load_session(again.id).await.unwrap().unwrap().session.used_at, at(9));
    // What has ended can be ended and used again; it does not come back.
    for write in [Write::EndSession(pc.id), Write::UseSession(pc.id, at(9)), Write::EndSession(again.id)] {
        commit(&store, [write]).await.unwrap();
    }
    assert!(store.load_session(pc.id).await.unwrap().is_none());
    assert_eq!(store.sessions_of(id(1)).await.unwrap(), [h5]);
}

#[tokio::test]
async fn a_bind_snapshot_has_what_was_asked_for() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path());
    let openid_holder = mini_program_account(1, "openid", "other");
    let unionid_holder = mini_program_account(2, "other", "unionid");
    let session = session(1, 1, ClientType::Pc);
    let writes = [
        put(Revision::ABSENT, &openid_holder),
        put(Revision::ABSENT, &unionid_holder),
        put(Revision::ABSENT, &account(3)),
        Write::OpenSession(session.clone()),
    ];
    commit(&store, writes).await.unwrap();
    let load = async |caller, referrer| {
        let query = BindQuery { referrer, ..BindQuery::new(key(3), caller) };
        store.load_bind(&query).await.unwrap()
    };
    let identity = Some(identity("openid"));
    let caller = CallerQuery::Identity { identity, unionid: UnionId::new("unionid"), session: None };
    let found = load(caller, Some(ReferrerName::Mobile(mobile(2)))).await;
    let ids = [found.mobile_holder, found.identity_holder, found.unionid_holder].map(|found| found.unwrap().value.id);
    assert_eq!(ids, [3, 1, 2].map(id));
    assert_eq!(found.referrer.unwrap().id, id(2));
    assert!(found.session.is_none());

    let found = load(CallerQuery::Session(Some(session.id)), Some(ReferrerName::Code(MemberCode::of(id(3))))).await;
    assert_eq!(found.session.unwrap().account.value, openid_holder);
    assert_eq!(found.referrer.unwrap().id, id(3));
    assert!(found.identity_holder.is_none() && found.unionid_holder.is_none());

    let revision = store.account(id(3)).await.unwrap().unwrap().revision;
    commit(&store, [put(revision, &Account { deleted_at: Some(at(2)), ..account(3) })]).await.unwrap();
    let found = load(CallerQuery::Session(None), Some(ReferrerName::Id(id(3)))).await;
    assert!(found.referrer.is_none() && found.mobile_holder.is_none());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn concurrent_changes_are_all_there_once_answered() {
    let folder = tempfile::tempdir().unwrap();
    let store = Arc::new(open(folder.path()));
    let tasks: Vec<_> = (0..64)
        .map(|_| {
            let store = Arc::clone(&store);
            tokio::spawn(async move {
                let mut revisions = Vec::new();
                for _ in 0..25 {
                    let id = store.allot_account_id().await.unwrap();
                    revisions.push(commit(&store, [put(Revision::ABSENT, &account(id.get()))]).await.unwrap());
                    assert_eq!(holder_of(&store, id.get()).await, Some(id));
                }
                revisions
            })
        })
        .collect();
    let mut revisions = Vec::new();
    for task in tasks {
        revisions.extend(task.await.unwrap());
    }
    revisions.sort();
    revisions.dedup();
    assert_eq!(revisions.len(), 64 * 25);
    let ids: Vec<u64> = store.accounts(None, 10_000).await.unwrap().iter().map(|found| found.value.id.get()).collect();
    assert_eq!(ids, (1..=64 * 25).collect::<Vec<_>>());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_those_that_race_for_a_number_one_wins() {
    let folder = tempfile::tempdir().unwrap();
    let store = Arc::new(open(folder.path()));
    let tasks: Vec<_> = (1..=64)
        .map(|number| {
            let store = Arc::clone(&store);
            let racer = Account { mobile: Some(mobile(1)), ..account(number) };
            tokio::spawn(async move { commit(&store, [put(Revision::ABSENT, &racer)]).await })
        })
        .collect();
    let mut won = 0;
    for task in tasks {
        match task.await.unwrap() {
            Ok(_) => won += 1,
            outcome => assert!(conflicts(outcome)),
        }
    }
    assert_eq!(won, 1);
    assert_eq!(store.accounts(None, 100).await.unwrap().len(), 1);
}

#[tokio::test]
async fn accounts_are_listed_in_order_and_by_pages() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path());
    for number in [300, 2, 1, 70_000] {
        commit(&store, [put(Revision::ABSENT, &account(number))]).await.unwrap();
    }
    let page = async |after: Option<u64>, limit| -> Vec<u64> {
        let accounts = store.accounts(after.map(id), limit).await.unwrap();
        accounts.iter().map(|account| account.value.id.get()).collect()
    };
    assert_eq!(page(None, 3).await, [1, 2, 300]);
    assert_eq!(page(Some(2), 3).await, [300, 70_000]);
    assert_eq!(store.allot_account_id().await.unwrap(), id(70_001));
}
