//! A disk that fails, and what readers and writers see until it works again.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use mobile_bind_domain::ports::Store;
use mobile_bind_domain::{Account, ClientType, Revision, SessionId, Write};

use super::damage::copied;
use super::*;

/// A disk on which the synchronisations after the first `good` fail, `bad` of them, in the way that `fail` does.
fn failing_disk(good: usize, bad: usize, fail: fn() -> std::io::Result<()>) -> crate::journal::DiskSync {
    let mut asked = 0;
    Box::new(move |_| {
        asked += 1;
        if asked > good && asked <= good + bad { fail() } else { Ok(()) }
    })
}

/// A disk that fails while it is told to.
fn breakable_disk() -> (Arc<AtomicBool>, crate::journal::DiskSync) {
    let broken = Arc::new(AtomicBool::new(false));
    let told = Arc::clone(&broken);
    (broken, Box::new(move |_| if told.load(Ordering::SeqCst) { no_disk() } else { Ok(()) }))
}

fn no_disk() -> std::io::Result<()> {
    Err(std::io::Error::other("no disk"))
}

/// Waits until changes are taken again.
async fn reopened(store: &SledStore) {
    store.state.watch().wait_for(|health| health.writable().is_ok()).await.unwrap();
}

#[tokio::test]
async fn a_store_whose_disk_failed_once_works_on() {
    let folder = tempfile::tempdir().unwrap();
    let store = open_on(folder.path(), OPTIONS, failing_disk(1, 1, no_disk));
    commit(&store, [put(Revision::ABSENT, &account(1))]).await.unwrap();
    let Err(CommitError::Store(error)) = commit(&store, [put(Revision::ABSENT, &account(2))]).await else { panic!() };
    let cause = causes(&error);
    assert!(cause.contains("synchronised") && cause.contains("no disk"), "{cause}");

    reopened(&store).await;
    store.check().await.unwrap();
    let third = commit(&store, [put(Revision::ABSENT, &account(3))]).await.unwrap();
    // The revision of the second change is not given again.
    assert!(third > Revision(2), "{third:?}");
    let killed = tempfile::tempdir().unwrap();
    store.back_up(&killed.path().join("store")).await.unwrap();
    store.close().await.unwrap();
    drop(store);
    // Nor does the change itself come back, whether it was on the disk or not.
    for folder in [folder.path(), &killed.path().join("store")] {
        let store = open(folder);
        let held = [holder_of(&store, 1).await, holder_of(&store, 2).await, holder_of(&store, 3).await];
        assert_eq!(held, [Some(id(1)), None, Some(id(3))]);
    }
}

#[tokio::test]
async fn a_panic_in_a_write_is_a_failed_write() {
    let folder = tempfile::tempdir().unwrap();
    let store = open_on(folder.path(), OPTIONS, failing_disk(0, 1, || panic!("the disk driver panics")));
    assert!(matches!(commit(&store, [put(Revision::ABSENT, &account(1))]).await, Err(CommitError::Store(_))));
    reopened(&store).await;
    commit(&store, [put(Revision::ABSENT, &account(2))]).await.unwrap();
    assert_eq!(holder_of(&store, 2).await, Some(id(2)));
}

/// What is read while nothing can be written, after a change that was refused.
async fn assert_readable(store: &SledStore) {
    for _ in 0..2 {
        assert_eq!((holder_of(store, 1).await, holder_of(store, 2).await), (Some(id(1)), None));
        assert_eq!(store.accounts(None, 9).await.unwrap().len(), 1);
        assert_eq!(store.sessions_of(id(1)).await.unwrap(), [session(1, 1, ClientType::Pc)]);
        assert!(store.load_session(SessionId([2; 16])).await.unwrap().is_none());
        let error = store.check().await.unwrap_err();
        assert!(causes(&error).contains("no disk"), "it says why: {error:?}");
        assert!(matches!(commit(store, [put(Revision::ABSENT, &account(4))]).await, Err(CommitError::Store(_))));
        let _ = store.purge(at(1), at(1), 1).await.unwrap_err();
    }
}

#[tokio::test]
async fn while_the_journal_cannot_be_written_readers_see_what_was_answered() {
    let folder = tempfile::tempdir().unwrap();
    let (broken, sync) = breakable_disk();
    let store = open_on(folder.path(), OPTIONS, sync);
    let first = commit(&store, [put(Revision::ABSENT, &account(1)), put_challenge(1, Revision::ABSENT, None)]).await;
    commit(&store, [Write::OpenSession(session(1, 1, ClientType::Pc))]).await.unwrap();

    broken.store(true, Ordering::SeqCst);
    let moved = Account { mobile: Some(mobile(2)), ..account(1) };
    let writes = [
        put(first.unwrap(), &moved),
        put(Revision::ABSENT, &account(3)),
        Write::OpenSession(session(2, 1, ClientType::H5)),
        Write::EndSession(SessionId([1; 16])),
    ];
    assert!(matches!(commit(&store, writes).await, Err(CommitError::Store(_))));
    assert_readable(&store).await;
    broken.store(false, Ordering::SeqCst);
    reopened(&store).await;
    commit(&store, [put(Revision::ABSENT, &account(5))]).await.unwrap();
    assert_eq!(holder_of(&store, 5).await, Some(id(5)));
}

/// Lets the database not be opened again: a folder stands where the reserve is.
fn obstruct(folder: &Path) -> std::path::PathBuf {
    let obstacle = folder.join(crate::reserve::FILE);
    std::fs::remove_file(&obstacle).unwrap();
    std::fs::create_dir(&obstacle).unwrap();
    obstacle
}

#[tokio::test]
async fn while_the_database_cannot_be_written_nothing_that_was_answered_is_lost() {
    for obstructed in [false, true] {
        let folder = tempfile::tempdir().unwrap();
        let (broken, sync) = breakable_disk();
        // The least: every few changes go to the database.
        let options = Options { journal_bytes: 0, ..OPTIONS };
        let store = SledStore::open_on(folder.path(), options, Box::new(|_| Ok(())), sync).unwrap();
        commit(&store, [put(Revision::ABSENT, &account(1))]).await.unwrap();
        commit(&store, [Write::OpenSession(session(1, 1, ClientType::Pc))]).await.unwrap();
        let obstacle = obstructed.then(|| obstruct(folder.path()));
        broken.store(true, Ordering::SeqCst);
        let mut answered = 0;
        while commit(&store, [put_challenge(answered, Revision::ABSENT, Some(challenge(10)))]).await.is_ok() {
            answered += 1;
        }
        assert_readable(&store).await;
        let killed = copied(folder.path());
        broken.store(false, Ordering::SeqCst);
        if let Some(obstacle) = obstacle {
            std::fs::remove_dir(&obstacle).unwrap();
            std::fs::remove_dir(killed.path().join(crate::reserve::FILE)).ok();
        }
        reopened(&store).await;
        commit(&store, [put(Revision::ABSENT, &account(5))]).await.unwrap();
        // Also where the process ends before it can be written.
        for store in [store, open(killed.path())] {
            assert_eq!(holder_of(&store, 1).await, Some(id(1)));
            for number in 0..answered {
                assert!(load(&store, number).await.challenge.is_some(), "{number} of {answered}");
            }
        }
    }
}

#[tokio::test]
async fn a_store_that_is_down_can_be_closed() {
    let folder = tempfile::tempdir().unwrap();
    let store = open_on(folder.path(), OPTIONS, failing_disk(0, 100, no_disk));
    assert!(matches!(commit(&store, [put(Revision::ABSENT, &account(1))]).await, Err(CommitError::Store(_))));
    let error = store.close().await.unwrap_err();
    assert!(causes(&error).contains("no disk"), "{error:?}");
}

/// An error and its causes, in one line.
pub(super) fn causes(error: &dyn std::error::Error) -> String {
    let causes = std::iter::successors(Some(error), |error| error.source());
    causes.map(ToString::to_string).collect::<Vec<_>>().join(": ")
}
