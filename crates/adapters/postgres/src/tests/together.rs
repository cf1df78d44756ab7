//! Changes that are committed together: each fares as it would by itself.

use std::sync::Arc;

use mobile_bind_domain::ports::{CommitError, Store};
use mobile_bind_domain::{
    Account, AccountId, AuditNode, Change, ClientType, Expectation, KeyId, Mobile, Revision, Session, SessionId,
    SessionSeed, Timestamp, Write,
};
use tokio::sync::{Semaphore, oneshot};

use super::{drop_schema, empty_schema};
use crate::PostgresStore;
use crate::commit::steps;
use crate::group::Group;

fn id(number: u64) -> AccountId {
    AccountId::new(number).unwrap()
}

fn account(number: u64, mobile: u64) -> Account {
    let mut account = Account::new(id(number), Timestamp::default());
    account.mobile = Mobile::restore(&mobile.to_string());
    account
}

fn new_account(number: u64, mobile: u64) -> Change {
    let account = Box::new(account(number, mobile));
    Change { expectations: Vec::new(), writes: vec![Write::Account { expected: Revision::ABSENT, account }] }
}

/// Begins all of them before any is answered.
async fn at_once(store: &PostgresStore, changes: Vec<Change>) -> Vec<Result<Revision, CommitError>> {
    let gate = Arc::new(Semaphore::new(0));
    let mut under_way = Vec::new();
    for change in changes {
        let (store, gate) = (store.clone(), Arc::clone(&gate));
        under_way.push(tokio::spawn(async move {
            let _open = gate.acquire().await.unwrap();
            store.commit(change).await
        }));
    }
    gate.add_permits(under_way.len());
    let mut outcomes = Vec::new();
    for change in under_way {
        outcomes.push(change.await.unwrap());
    }
    outcomes
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_wrong_with_one_change_is_wrong_with_that_alone() {
    let (options, client) = empty_schema("together").await;
    let store = PostgresStore::open(options).await.unwrap();
    let first = store.commit(new_account(1, 13_000_000_000)).await.unwrap();
    // The seventh wants the first's number; the eleventh expects an account as it never was.
    let mut changes: Vec<Change> = (2..60).map(|n| new_account(n, 13_000_000_000 + n)).collect();
    changes[5] = new_account(7, 13_000_000_000);
    changes[9].expectations.push(Expectation::Account(id(1), Revision(first.0 + 1_000_000)));
    // Two of one number: either may have it, not both.
    changes[20] = new_account(22, 13_100_000_000);
    changes[21] = new_account(23, 13_100_000_000);
    let outcomes = at_once(&store, changes).await;
    let mut lost = Vec::new();
    for (number, outcome) in (2..).zip(&outcomes) {
        let found = store.account(id(number)).await.unwrap();
        assert_eq!(found.map(|found| found.revision), outcome.as_ref().ok().copied(), "account {number}: {outcome:?}");
        match outcome {
            Ok(_) => {}
            Err(CommitError::Conflict) => lost.push(number),
            Err(error) => panic!("account {number}: {error:?}"),
        }
    }
    assert_eq!(lost.len(), 3, "{lost:?}");
    assert!(lost.contains(&7) && lost.contains(&11) && (lost.contains(&22) ^ lost.contains(&23)), "{lost:?}");
    drop_schema(&client).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn changes_that_rest_on_what_the_other_writes_are_not_both_made() {
    let (options, client) = empty_schema("skew").await;
    let store = PostgresStore::open(options).await.unwrap();
    for round in 0..100 {
        let (one, other) = (2 * round + 1, 2 * round + 2);
        let mut known = Vec::new();
        for number in [one, other] {
            known.push(store.commit(new_account(number, 13_000_000_000 + number)).await.unwrap());
        }
        // Each writes its own account, as long as the other's is as it was.
        let write = |own: u64, own_known, others: u64, others_known| {
            let account = Account { updated_at: Some(Timestamp::default()), ..account(own, 13_000_000_000 + own) };
            Change {
                expectations: vec![Expectation::Account(id(others), others_known)],
                writes: vec![Write::Account { expected: own_known, account: Box::new(account) }],
            }
        };
        let changes = vec![write(one, known[0], other, known[1]), write(other, known[1], one, known[0])];
        let made = at_once(&store, changes).await.iter().filter(|outcome| outcome.is_ok()).count();
        assert!(made <= 1, "round {round}");
    }
    drop_schema(&client).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_transaction_that_is_kept_waiting_keeps_nobody_else() {
    let (options, client) = empty_schema("past").await;
    let store = PostgresStore::open(options).await.unwrap();
    let known = store.commit(new_account(1, 13_000_000_001)).await.unwrap();
    client.batch_execute("BEGIN; SELECT 1 FROM accounts WHERE id = 1 FOR UPDATE").await.unwrap();
    let account = Box::new(account(1, 13_000_000_002));
    let held = Change { expectations: Vec::new(), writes: vec![Write::Account { expected: known, account }] };
    let kept_waiting = tokio::spawn({
        let store = store.clone();
        async move { store.commit(held).await }
    });
    let waits = "SELECT count(*) FROM pg_locks WHERE NOT granted AND pg_backend_pid() = ANY (pg_blocking_pids(pid))";
    while client.query_one(waits, &[]).await.unwrap().get::<_, i64>(0) == 0 {
        assert!(!kept_waiting.is_finished(), "it did not wait");
    }
    store.commit(new_account(2, 13_000_000_003)).await.unwrap();
    assert!(!kept_waiting.is_finished());
    client.batch_execute("COMMIT").await.unwrap();
    kept_waiting.await.unwrap().unwrap();
    drop_schema(&client).await;
}

#[tokio::test]
async fn those_that_meet_wait_for_each_other_in_their_order() {
    let group = Group::new();
    let session = |number: u8, account: u64| Session {
        id: SessionId([number; 16]),
        seed: SessionSeed([number; 16]),
        key: KeyId::new("key").unwrap(),
        account: id(account),
        client_type: ClientType::H5,
        issued_at: Timestamp::default(),
        used_at: Timestamp::default(),
    };
    let mut answers = Vec::new();
    // The second opens a session in the place of the first's; the third and the fourth are of others.
    for (number, account) in [(1, 1), (2, 1), (3, 2), (4, 3)] {
        let change = Change { expectations: Vec::new(), writes: vec![Write::OpenSession(session(number, account))] };
        let (answer, answered) = oneshot::channel();
        let steps = steps(&change, Revision(1), AuditNode(1)).unwrap();
        group.add(change, Revision(u64::from(number)), steps, answer);
        answers.push(answered);
    }
    assert_eq!(group.next(), [1, 3, 4]);
    // Who does not wait any more is passed over.
    drop(answers);
    assert_eq!(group.next(), [0_u64; 0]);
}
