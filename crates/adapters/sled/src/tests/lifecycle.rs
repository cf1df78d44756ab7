//! Opening, closing, failing, and opening again.

use std::sync::mpsc;

use mobile_bind_domain::ports::{CommitError, Store};
use mobile_bind_domain::{Account, AccountId, Change, ClientType, Expectation, Revision, Write};

use super::*;
use crate::OpenError;
use crate::layout::FORMAT_KEY;
use crate::release::Release;

#[tokio::test]
async fn what_was_answered_is_there_when_opened_again() {
    let folder = tempfile::tempdir().unwrap();
    let session = session(1, 1, ClientType::Ios);
    let store = open(folder.path());
    let writes = [
        put(Revision::ABSENT, &mini_program_account(1, "openid", "unionid")),
        put_challenge(1, Revision::ABSENT, Some(challenge(10))),
        Write::OpenSession(session.clone()),
    ];
    let written = commit(&store, writes).await.unwrap();
    drop(store);
    for _ in 0..20 {
        let store = open(folder.path());
        let found = load(&store, 1).await;
        assert_eq!(found.mobile_holder.unwrap().revision, written);
        assert_eq!(found.challenge.unwrap().value, challenge(10));
        assert_eq!(store.sessions_of(id(1)).await.unwrap(), std::slice::from_ref(&session));
        assert!(conflicts(commit(&store, [put(Revision::ABSENT, &mini_program_account(2, "openid", ""))]).await));
    }
}

#[tokio::test]
async fn a_folder_can_be_opened_again_at_once() {
    let folder = tempfile::tempdir().unwrap();
    for number in 1..=100 {
        let store = open(folder.path());
        commit(&store, [put(Revision::ABSENT, &account(number))]).await.unwrap();
        if number % 2 == 0 {
            store.close().await.unwrap();
        }
    }
    assert_eq!(open(folder.path()).accounts(None, 1000).await.unwrap().len(), 100);
}

#[test]
fn a_second_open_of_a_folder_says_so() {
    let folder = tempfile::tempdir().unwrap();
    let missing = folder.path().join("not/there/yet");
    let _first = open(&missing);
    let error = SledStore::open(&missing, OPTIONS).err().unwrap();
    assert!(matches!(error, OpenError::InUse), "{error:?}");
}

#[test]
fn a_folder_of_a_newer_version_is_refused_and_left_alone() {
    for (format, says) in [(4_u32, "newer version"), (2, "before the first release")] {
        let folder = tempfile::tempdir().unwrap();
        drop(open(folder.path()));
        let database = crate::open::open_database(folder.path(), &OPTIONS);
        database.unwrap().tree.insert(FORMAT_KEY, &format.to_be_bytes()).unwrap();
        for _ in 0..2 {
            let error = SledStore::open(folder.path(), OPTIONS).err().unwrap();
            assert!(matches!(error, OpenError::Newer { found: 4, known: 3 } | OpenError::Unreleased { found: 2 }));
            assert!(error.to_string().contains(says), "{error}");
        }
    }
}

#[test]
fn a_folder_with_something_else_in_it_is_refused_and_left_alone() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("db"), b"not a database").unwrap();
    assert!(matches!(SledStore::open(folder.path(), OPTIONS), Err(OpenError::Foreign)));
    assert_eq!(std::fs::read(folder.path().join("db")).unwrap(), b"not a database");

    let folder = tempfile::tempdir().unwrap();
    let other = sled::Config::new().path(folder.path()).open().unwrap();
    let release = Release::new(std::fs::File::open(folder.path().join("db")).unwrap());
    other.insert(b"key", b"value").unwrap();
    other.flush().unwrap();
    drop(other);
    drop(release);
    let error = SledStore::open(folder.path(), OPTIONS).err().unwrap();
    assert!(matches!(error, OpenError::Foreign), "{error:?}");
}

#[tokio::test]
async fn account_ids_go_on_after_the_largest() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path());
    assert_eq!(store.allot_account_id().await.unwrap(), AccountId::MIN);
    commit(&store, [put(Revision::ABSENT, &account(500))]).await.unwrap();
    commit(&store, [put(Revision::ABSENT, &account(100))]).await.unwrap();
    assert_eq!(store.allot_account_id().await.unwrap(), id(501));
    drop(store);
    let store = open(folder.path());
    assert_eq!(store.allot_account_id().await.unwrap(), id(501));
    let last = Account { id: AccountId::MAX, ..account(7) };
    commit(&store, [put(Revision::ABSENT, &last)]).await.unwrap();
    let _ = store.allot_account_id().await.unwrap_err();
}

#[tokio::test]
async fn a_closed_store_takes_no_more_changes() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path());
    store.check().await.unwrap();
    // Polled once, so that it waits when the store closes.
    let mut waiting = Box::pin(commit(&store, [put(Revision::ABSENT, &account(1))]));
    let polled = poll_once(&mut waiting);
    store.close().await.unwrap();
    let outcome = match polled {
        Some(outcome) => outcome,
        None => waiting.await,
    };
    outcome.unwrap();
    assert_eq!(holder_of(&store, 1).await, Some(id(1)));
    assert!(matches!(commit(&store, []).await, Err(CommitError::Store(_))));
    let _ = store.purge(at(1), at(1), 1).await.unwrap_err();
    let _ = store.check().await.unwrap_err();
    store.close().await.unwrap();
}

/// Polls once: `None` where it is not done.
fn poll_once<T>(future: &mut (impl Future<Output = T> + Unpin)) -> Option<T> {
    match std::pin::Pin::new(future).poll(&mut std::task::Context::from_waker(std::task::Waker::noop())) {
        std::task::Poll::Ready(done) => Some(done),
        std::task::Poll::Pending => None,
    }
}

/// A disk that says when it is asked, and waits until it is told.
fn stepped_disk() -> (mpsc::Receiver<()>, mpsc::Sender<()>, crate::journal::DiskSync) {
    let (asked, is_asked) = mpsc::channel();
    let (tell, told) = mpsc::channel();
    let sync = move |_: &std::fs::File| {
        let _ = asked.send(());
        let _ = told.recv();
        Ok(())
    };
    (is_asked, tell, Box::new(sync))
}

#[tokio::test]
async fn nobody_is_answered_before_the_disk_has_it_and_a_full_queue_says_so() {
    let folder = tempfile::tempdir().unwrap();
    let (is_asked, tell, sync) = stepped_disk();
    let store = open_on(folder.path(), Options { queue: 2, ..OPTIONS }, sync);
    let mut first = Box::pin(commit(&store, [put(Revision::ABSENT, &account(1))]));
    assert!(poll_once(&mut first).is_none());
    is_asked.recv().unwrap();
    assert!(poll_once(&mut first).is_none());
    // Nor is it shown to readers.
    assert_eq!(holder_of(&store, 1).await, None);

    // The thread waits for the disk: two changes have room in the queue, a third has not.
    let mut second = Box::pin(commit(&store, [put(Revision::ABSENT, &account(2))]));
    let seen = Change { expectations: vec![Expectation::Account(id(2), Revision(2))], writes: Vec::new() };
    let mut third = store.commit(seen);
    assert!(poll_once(&mut second).is_none() && poll_once(&mut third).is_none());
    let Err(CommitError::Store(error)) = commit(&store, []).await else { panic!("the queue has room") };
    assert!(std::error::Error::source(&error).unwrap().to_string().contains("too many"));

    tell.send(()).unwrap();
    assert_eq!(first.await.unwrap(), Revision(1));
    assert_eq!(holder_of(&store, 1).await, Some(id(1)));
    is_asked.recv().unwrap();
    // The third writes nothing, but rests on the second, which the disk does not have yet.
    assert!(poll_once(&mut second).is_none() && poll_once(&mut third).is_none());
    drop(tell);
    assert_eq!(second.await.unwrap(), Revision(2));
    assert_eq!(third.await.unwrap(), Revision(3));
}
