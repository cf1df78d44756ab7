//! Changes that are committed together: each fares as it would by itself. `cargo xtask test -p mobile-bind-shopxo` brings the
//! server.

use std::sync::Arc;

use mobile_bind_domain::ports::{CommitError, Store};
use mobile_bind_domain::{
    Account, AccountId, Change, ClientType, Expectation, KeyId, Mobile, OpenId, Platform, PlatformIdentity, Quota,
    Revision, Session, SessionId, SessionSeed, Subject, Timestamp, Write,
};
use mysql_async::prelude::Queryable;
use mysql_async::{Conn, Opts};
use tokio::sync::{Semaphore, oneshot};

use crate::commit::Numbered;
use crate::group::Group;
use crate::options::Options;
use crate::{ShopxoStore, schema};

const SCHEMA: &str = include_str!("../../../../../tests/src/shop/schema.sql");
const NOW: Timestamp = Timestamp::from_seconds(1_634_727_340);

async fn shop(name: &str) -> (ShopxoStore, Conn) {
    let server = std::env::var("MOBILE_BIND_TEST_MYSQL").expect("run by `cargo xtask test`, which brings a server");
    let name = format!("{name}_{}", std::process::id());
    let mut php = Conn::new(Opts::from_url(&server).unwrap()).await.unwrap();
    php.query_drop(format!("CREATE DATABASE {name} COLLATE utf8mb4_general_ci; USE {name}; {SCHEMA}")).await.unwrap();
    let options = Options::new(&format!("shopxo:{server}/{name}?prefix=sxo_"));
    schema::install(&options).await.unwrap();
    // Of a table of few rows all are read, and those of others waited for.
    for fill in [
        "INSERT INTO sxo_user (id, mobile) SELECT seq, 18000000000 + seq FROM seq_100001_to_103000",
        "INSERT INTO sxo_user_platform (user_id, platform, weixin_openid)
         SELECT seq, 'weixin', CONCAT('many', seq) FROM seq_100001_to_103000",
        "ANALYZE TABLE sxo_user, sxo_user_platform",
    ] {
        php.query_iter(fill).await.unwrap().drop_result().await.unwrap();
    }
    (ShopxoStore::open(options).await.unwrap(), php)
}

fn id(number: u64) -> AccountId {
    AccountId::new(number).unwrap()
}

fn account(number: u64, mobile: u64) -> Account {
    let mut account = Account::new(id(number), NOW);
    account.mobile = Mobile::restore(&mobile.to_string());
    let openid = OpenId::new(format!("o{mobile}").as_str());
    account.identities.insert(Platform::Weixin, PlatformIdentity { app: Default::default(), openid, unionid: None });
    account
}

fn new_account(number: u64, mobile: u64) -> Change {
    let account = Box::new(account(number, mobile));
    Change { expectations: Vec::new(), writes: vec![Write::Account { expected: Revision::ABSENT, account }] }
}

fn session(number: u8, account: u64, client_type: ClientType) -> Session {
    Session {
        id: SessionId([number; 16]),
        seed: SessionSeed([number; 16]),
        key: KeyId::new("shop").unwrap(),
        account: id(account),
        client_type,
        issued_at: NOW,
        used_at: NOW,
    }
}

/// Begins all of them before any is answered.
async fn at_once(store: &ShopxoStore, changes: Vec<Change>) -> Vec<Result<Revision, CommitError>> {
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
    let (store, mut php) = shop("together").await;
    let first = store.commit(new_account(1, 13_000_000_000)).await.unwrap();
    php.query_drop("INSERT INTO sxo_user (id, mobile) VALUES (100, '13500000000')").await.unwrap();
    // The seventh wants the first's number; the eleventh expects an account as it never was; the shop has given the
    // fifteenth's number to a user of its own.
    let mut changes: Vec<Change> = (2..60).map(|n| new_account(n, 13_000_000_000 + n)).collect();
    changes[5] = new_account(7, 13_000_000_000);
    changes[9].expectations.push(Expectation::Account(id(1), Revision(first.0 + 1_000_000)));
    changes[13] = new_account(15, 13_500_000_000);
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
    assert_eq!(lost.len(), 4, "{lost:?}");
    assert!([7, 11, 15].iter().all(|n| lost.contains(n)) && (lost.contains(&22) ^ lost.contains(&23)), "{lost:?}");
    let claims: Option<(u64, u64)> =
        php.query_first("SELECT COUNT(*), COUNT(DISTINCT user_id) FROM mb_claims WHERE kind < 3").await.unwrap();
    assert_eq!(claims, Some((110, 55)));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_group_leaves_the_rows_that_each_would_have_left() {
    let (store, mut php) = shop("rows").await;
    // The first half of them the shop has, with a token and two rows of one platform.
    php.query_drop(
        "INSERT INTO sxo_user (id, mobile, add_time) SELECT seq, 13000000000 + seq, 1634727340 FROM seq_1_to_30;
         INSERT INTO sxo_user_platform (user_id, platform, token, add_time)
         SELECT seq, 'weixin', MD5(seq), 1634727340 FROM seq_1_to_30
         UNION ALL SELECT seq, 'weixin', '', 1634727340 FROM seq_1_to_30",
    )
    .await
    .unwrap();
    let mut changes = Vec::new();
    for number in 1..=60_u8 {
        let known = store.account(id(number.into())).await.unwrap();
        let expected = known.map_or(Revision::ABSENT, |known| known.revision);
        let account = Box::new(account(number.into(), 13_000_000_000 + u64::from(number)));
        let opened = session(number, number.into(), ClientType::MiniProgram(Platform::Weixin));
        let writes = vec![Write::Account { expected, account }, Write::OpenSession(opened)];
        changes.push(Change { expectations: Vec::new(), writes });
    }
    let outcomes = at_once(&store, changes).await;
    assert!(outcomes.iter().all(Result::is_ok), "{outcomes:?}");
    let row = "SELECT COUNT(*), SUM(p.token = LOWER(REPEAT(LPAD(HEX(p.user_id), 2, '0'), 16))), \
               SUM(p.weixin_openid = CONCAT('o', u.mobile)), SUM(u.id <= 30), MIN(p.upd_time), MIN(p.add_time) \
               FROM sxo_user_platform p JOIN sxo_user u ON u.id = p.user_id WHERE u.id <= 60";
    let seen: Option<(u64, u64, u64, u64, u64, u64)> = php.query_first(row).await.unwrap();
    assert_eq!(seen, Some((90, 90, 90, 60, NOW.as_seconds(), NOW.as_seconds())));
    let kept: Option<(u64, u64, u64)> = php
        .query_first(
            "SELECT COUNT(*), (SELECT COUNT(*) FROM mb_accounts), (SELECT COUNT(*) FROM mb_claims) FROM mb_sessions",
        )
        .await
        .unwrap();
    assert_eq!(kept, Some((60, 60, 180)));
    for (number, outcome) in (1..).zip(outcomes) {
        let found = store.account(id(number)).await.unwrap().unwrap();
        assert_eq!((found.revision, found.value), (outcome.unwrap(), account(number, 13_000_000_000 + number)));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_counted_together_is_counted_once_each() {
    let (store, _php) = shop("counts").await;
    let quota = Quota { limit: 10, window: std::time::Duration::from_secs(60), reserved: 0 };
    let count = |subject: Subject| Write::Count { subject, at: NOW, kept: vec![quota], watched: Vec::new() };
    // All count one subject, in either order with another of their own.
    let changes = (0..40_u64).map(|number| {
        let own = Subject::SendsTo(Mobile::restore(&(13_000_000_000 + number).to_string()).unwrap());
        let mut writes = vec![count(own), count(Subject::Sends)];
        if number % 2 == 0 {
            writes.reverse();
        }
        Change { expectations: Vec::new(), writes }
    });
    let outcomes = at_once(&store, changes.collect()).await;
    assert!(outcomes.iter().all(|outcome| matches!(outcome, Ok(_) | Err(CommitError::Conflict))), "{outcomes:?}");
    assert_eq!(outcomes.iter().filter(|outcome| outcome.is_ok()).count(), 10);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn changes_that_rest_on_what_the_other_writes_are_not_both_made() {
    let (store, _php) = shop("skew").await;
    for round in 0..50 {
        let (one, other) = (2 * round + 1, 2 * round + 2);
        let mut known = Vec::new();
        for number in [one, other] {
            known.push(store.commit(new_account(number, 13_000_000_000 + number)).await.unwrap());
        }
        // Each writes its own account, as long as the other's is as it was.
        let write = |own: u64, own_known, others: u64, others_known| {
            let account = Account { updated_at: Some(NOW), ..account(own, 13_000_000_000 + own) };
            Change {
                expectations: vec![Expectation::Account(id(others), others_known)],
                writes: vec![Write::Account { expected: own_known, account: Box::new(account) }],
            }
        };
        let changes = vec![write(one, known[0], other, known[1]), write(other, known[1], one, known[0])];
        let made = at_once(&store, changes).await.iter().filter(|outcome| outcome.is_ok()).count();
        assert!(made <= 1, "round {round}");
    }
}

#[tokio::test]
async fn those_that_meet_wait_for_each_other_in_their_order() {
    let group = Group::new(1);
    let mut answers = Vec::new();
    // The second opens a session in the place of the first's; the third and the fourth are of others.
    for (number, account) in [(1, 1), (2, 1), (3, 2), (4, 3)] {
        let writes = vec![Write::OpenSession(session(number, account, ClientType::H5))];
        let (answer, answered) = oneshot::channel();
        group.add(Numbered::new(Change { expectations: Vec::new(), writes }, Revision(u64::from(number))), answer);
        answers.push(answered);
    }
    assert_eq!(group.next(), [1, 3, 4]);
    // Who does not wait any more is passed over.
    drop(answers);
    assert_eq!(group.next(), [0_u64; 0]);
}

#[tokio::test]
async fn what_a_change_writes_twice_is_written_in_its_order() {
    let (store, mut php) = shop("twice").await;
    let opened = |number| Write::OpenSession(session(number, 1, ClientType::H5));
    let mut change = new_account(1, 13_000_000_000);
    change.writes.extend([opened(1), opened(2)]);
    let first = store.commit(change).await.unwrap();
    let again = |expected| {
        let account = Account { updated_at: Some(NOW), ..account(1, 13_100_000_000) };
        Write::Account { expected, account: Box::new(account) }
    };
    // The second rests on what the first has not left.
    let change = Change { expectations: Vec::new(), writes: vec![again(first), again(first)] };
    assert!(matches!(store.commit(change).await, Err(CommitError::Conflict)));
    assert_eq!(store.account(id(1)).await.unwrap().unwrap().revision, first);
    let seen: Option<(u64, u64)> = php
        .query_first("SELECT COUNT(*), (SELECT COUNT(*) FROM mb_sessions) FROM sxo_user_platform WHERE user_id = 1")
        .await
        .unwrap();
    assert_eq!(seen, Some((2, 1)));
}

#[tokio::test]
async fn a_number_passes_on_in_one_change_in_either_order() {
    let (store, _php) = shop("passing").await;
    for (round, reversed) in [(0, false), (1, true)] {
        let (old, new, mobile) = (2 * round + 1, 2 * round + 2, 13_000_000_000 + round);
        let expected = store.commit(new_account(old, mobile)).await.unwrap();
        // Nobody gets what the other keeps.
        assert!(matches!(store.commit(new_account(new, mobile)).await, Err(CommitError::Conflict)));
        let kept = Account { updated_at: Some(NOW), ..account(old, mobile) };
        let mut both = new_account(new, mobile);
        both.writes.push(Write::Account { expected, account: Box::new(kept) });
        assert!(matches!(store.commit(both).await, Err(CommitError::Conflict)));
        let bare = Account { mobile: None, identities: Default::default(), ..account(old, mobile) };
        let mut change = new_account(new, mobile);
        change.writes.push(Write::Account { expected, account: Box::new(bare) });
        if reversed {
            change.writes.reverse();
        }
        store.commit(change).await.unwrap();
        let holder = store.account_of(&Mobile::restore(&mobile.to_string()).unwrap()).await.unwrap();
        assert_eq!(holder.map(|holder| holder.value.id), Some(id(new)));
    }
}
