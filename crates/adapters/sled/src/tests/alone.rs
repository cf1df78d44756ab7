//! Changes that come one by one.

use std::sync::mpsc;

use mobile_bind_domain::Revision;

use super::*;

const COMMITTER: &str = "mobile-bind-commit";

/// A disk that says whose thread it keeps waiting.
fn named_disk() -> (mpsc::Receiver<String>, crate::journal::DiskSync) {
    let (tell, told) = mpsc::channel();
    let sync = move |_: &std::fs::File| {
        let _ = tell.send(std::thread::current().name().unwrap_or_default().to_owned());
        Ok(())
    };
    (told, Box::new(sync))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_comes_alone_writes_the_journal_and_the_committer_marks_it() {
    let folder = tempfile::tempdir().unwrap();
    let (told, sync) = named_disk();
    let store = open_on(folder.path(), Options::default(), sync);
    let mut number = 0;
    // A machine that is busy may be slow more than once.
    while number < 10_000 {
        number += 1;
        commit(&store, [put(Revision::ABSENT, &account(number))]).await.unwrap();
        assert_eq!(holder_of(&store, number).await, Some(id(number)));
        if told.try_iter().any(|thread| thread != COMMITTER) {
            break;
        }
    }
    assert!(number < 10_000);
    // Nobody else writes any more.
    while told.recv().unwrap() != COMMITTER {}
    commit(&store, [put(Revision::ABSENT, &account(number + 1))]).await.unwrap();
    drop(store);
    let store = open(folder.path());
    for number in 1..=number + 1 {
        assert_eq!(holder_of(&store, number).await, Some(id(number)));
    }
}

#[tokio::test]
async fn where_there_is_no_other_thread_nobody_waits_for_the_disk() {
    let folder = tempfile::tempdir().unwrap();
    let (told, sync) = named_disk();
    let store = open_on(folder.path(), Options::default(), sync);
    for number in 1..100 {
        commit(&store, [put(Revision::ABSENT, &account(number))]).await.unwrap();
    }
    assert!(told.try_iter().all(|thread| thread == COMMITTER));
}
