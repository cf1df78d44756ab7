//! Going through a whole store.

use mobile_bind_domain::ports::Store;
use mobile_bind_domain::{ClientType, Revision, Write};

use super::*;
use crate::{BackedUp, Findings, layout};

async fn fill(folder: &Path) {
    let store = open(folder);
    for number in 1..=3 {
        let account = mini_program_account(number, &format!("openid {number}"), &format!("unionid {number}"));
        let opened = Write::OpenSession(session(u8::try_from(number).unwrap(), number, ClientType::Pc));
        commit(&store, [put(Revision::ABSENT, &account), opened]).await.unwrap();
    }
    commit(&store, [put_challenge(1, Revision::ABSENT, Some(challenge(9)))]).await.unwrap();
    store.close().await.unwrap();
}

fn findings(folder: &Path) -> Findings {
    crate::verify(folder, OPTIONS, |_| {}).unwrap()
}

#[tokio::test]
async fn a_store_that_is_in_order_is_counted() {
    let folder = tempfile::tempdir().unwrap();
    fill(folder.path()).await;
    let findings = findings(folder.path());
    assert_eq!(findings.problems, [].into());
    assert_eq!((findings.format, findings.sequence), (3, 4));
    let of = |kind| findings.entries.get(kind).copied().unwrap_or(0);
    assert_eq!([of("accounts"), of("numbers"), of("identities"), of("unionids"), of("sessions")], [3; 5]);
    assert_eq!((of("challenges"), of("sessions of accounts"), of("tallies")), (1, 3, 0));
}

#[tokio::test]
async fn whatever_does_not_fit_is_found() {
    let number = |number| layout::by_mobile(&mobile(number));
    let other = 2_u64.to_be_bytes();
    let session_key = |name: u8| layout::session(SessionId([name; 16]));
    let session_of = |account| layout::session_of(id(account), ClientType::Pc);
    let cases: [(layout::Key, Option<&[u8]>, &str); 9] = [
        (number(1), None, "is not led to by its number"),
        (number(1), Some(&other), "is not led to by its number"),
        (number(9), Some(&other), "leads to no live account"),
        (layout::account(id(3)), None, "leads to no live account"),
        (layout::account(id(3)), Some(b"damaged"), "an account cannot be read"),
        (session_key(1), None, "leads to a session that is not its own"),
        (session_of(1), None, "a session is not led to"),
        (layout::challenge(&key(1)), Some(b"damaged"), "a challenge cannot be read"),
        (layout::challenge(&key(1)), None, "records are missing"),
    ];
    for (key, value, problem) in cases {
        let folder = tempfile::tempdir().unwrap();
        fill(folder.path()).await;
        tamper(folder.path(), key.as_bytes(), value);
        let problems = findings(folder.path()).problems;
        assert!(problems.keys().any(|found| found.contains(problem)), "{problem}: {problems:?}");
        assert!(problems.keys().any(|found| found.contains("records are missing")), "{problem}: {problems:?}");
    }
}

/// A copy is of one point in time, however much is written meanwhile.
#[tokio::test(flavor = "multi_thread")]
async fn a_backup_under_load_is_a_store_in_order() {
    let folder = tempfile::tempdir().unwrap();
    let backups = tempfile::tempdir().unwrap();
    let store = std::sync::Arc::new(open(folder.path()));
    let writers = (0..8_u64).map(|writer| {
        let store = std::sync::Arc::clone(&store);
        tokio::spawn(async move {
            for number in 0..150 {
                let number = 1 + writer * 1000 + number;
                let account = mini_program_account(number, &format!("openid {number}"), "");
                commit(&store, [put(Revision::ABSENT, &account)]).await.unwrap();
            }
        })
    });
    let writers: Vec<_> = writers.collect();
    let mut last = 0;
    for number in 0..4 {
        // What was answered before is in it.
        let before = store.accounts(None, 10_000).await.unwrap().len();
        let to = backups.path().join(number.to_string());
        let BackedUp { sequence } = store.back_up(&to).await.unwrap();
        assert!(sequence >= last);
        last = sequence;
        let found = findings(&to);
        assert_eq!((found.problems, found.sequence), ([].into(), sequence));
        let copy = open(&to);
        assert!(copy.accounts(None, 10_000).await.unwrap().len() >= before);
    }
    let existing = store.back_up(&backups.path().join("0")).await.unwrap_err();
    assert!(super::failure::causes(&existing).contains("backup"), "{existing:?}");
    for writer in writers {
        writer.await.unwrap();
    }
    assert_eq!(store.accounts(None, 10_000).await.unwrap().len(), 1200);
}
