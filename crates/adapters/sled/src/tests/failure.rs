//! A disk that fails, and what readers and writers see until it works again.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use mobile_bind_domain::ports::Store;
use mobile_bind_domain::{Account, ClientType, Revision, SessionId, Write};

use super::*;
use crate::state::Phase;

/// A disk on which the synchronisations after the first `good` fail, `bad` of them, in the way that `fail` does.
fn failing_disk(
    good: usize,
    bad: usize,
    fail: fn() -> std::io::Result<()>,
) -> (Arc<AtomicUsize>, crate::committer::Sync) {
    let asked = Arc::new(AtomicUsize::new(0));
    let counter = Arc::clone(&asked);
    let sync = move |_: &std::fs::File| match counter.fetch_add(1, Ordering::SeqCst) {
        number if number >= good && number < good + bad => fail(),
        _ => Ok(()),
    };
    (asked, Box::new(sync))
}

fn no_disk() -> std::io::Result<()> {
    Err(std::io::Error::other("no disk"))
}

/// Waits until changes are taken again.
async fn reopened(store: &SledStore) {
    store.state.watch().wait_for(|phase| matches!(phase, Phase::Open)).await.unwrap();
}

#[tokio::test]
async fn a_store_whose_disk_failed_once_works_on() {
    let folder = tempfile::tempdir().unwrap();
    let (asked, sync) = failing_disk(1, 1, no_disk);
    let store = open_on(folder.path(), Options::default(), sync);
    commit(&store, [put(Revision::ABSENT, &account(1))]).await.unwrap();
    let Err(CommitError::Store(error)) = commit(&store, [put(Revision::ABSENT, &account(2))]).await else { panic!() };
    let cause = std::error::Error::source(&error).unwrap().to_string();
    assert!(cause.contains("synchronised"), "{cause}");

    reopened(&store).await;
    store.check().await.unwrap();
    let third = commit(&store, [put(Revision::ABSENT, &account(3))]).await.unwrap();
    // The second change failed without a trace or was written after all; its revision is not given again.
    assert!(third > Revision(2), "{third:?}");
    assert_eq!(asked.load(Ordering::SeqCst), 3);
    store.close().await.unwrap();
    drop(store);
    let store = open(folder.path());
    assert_eq!((holder_of(&store, 1).await, holder_of(&store, 3).await), (Some(id(1)), Some(id(3))));
}

#[tokio::test]
async fn a_panic_in_a_write_is_a_failed_write() {
    let folder = tempfile::tempdir().unwrap();
    let (_, sync) = failing_disk(0, 1, || panic!("the disk driver panics"));
    let store = open_on(folder.path(), Options::default(), sync);
    assert!(matches!(commit(&store, [put(Revision::ABSENT, &account(1))]).await, Err(CommitError::Store(_))));
    reopened(&store).await;
    commit(&store, [put(Revision::ABSENT, &account(2))]).await.unwrap();
    assert_eq!(holder_of(&store, 2).await, Some(id(2)));
}

/// Lets nothing be written any more: a folder stands where the reserve is.
fn obstruct(folder: &Path) -> std::path::PathBuf {
    let obstacle = folder.join(crate::reserve::FILE);
    std::fs::remove_file(&obstacle).unwrap();
    std::fs::create_dir(&obstacle).unwrap();
    obstacle
}

#[tokio::test]
async fn while_nothing_can_be_written_readers_see_what_was_answered() {
    let folder = tempfile::tempdir().unwrap();
    let (_, sync) = failing_disk(2, 1, no_disk);
    let store = open_on(folder.path(), Options::default(), sync);
    let first = commit(&store, [put(Revision::ABSENT, &account(1)), put_challenge(1, Revision::ABSENT, None)]).await;
    commit(&store, [Write::OpenSession(session(1, 1, ClientType::Pc))]).await.unwrap();
    let obstacle = obstruct(folder.path());

    let moved = Account { mobile: Some(mobile(2)), ..account(1) };
    let writes = [
        put(first.unwrap(), &moved),
        put(Revision::ABSENT, &account(3)),
        Write::OpenSession(session(2, 1, ClientType::H5)),
        Write::EndSession(SessionId([1; 16])),
    ];
    assert!(matches!(commit(&store, writes).await, Err(CommitError::Store(_))));
    for _ in 0..2 {
        assert_eq!((holder_of(&store, 1).await, holder_of(&store, 2).await), (Some(id(1)), None));
        assert_eq!(store.accounts(None, 9).await.unwrap().len(), 1);
        assert_eq!(store.sessions_of(id(1)).await.unwrap(), [session(1, 1, ClientType::Pc)]);
        assert!(store.load_session(SessionId([2; 16])).await.unwrap().is_none());
        let error = store.check().await.unwrap_err();
        assert!(causes(&error).contains("no disk"), "it says why: {error:?}");
        assert!(matches!(commit(&store, [put(Revision::ABSENT, &account(4))]).await, Err(CommitError::Store(_))));
        let _ = store.purge(at(1), at(1), 1).await.unwrap_err();
    }
    std::fs::remove_dir(&obstacle).unwrap();
    reopened(&store).await;
    commit(&store, [put(Revision::ABSENT, &account(5))]).await.unwrap();
    assert_eq!(holder_of(&store, 5).await, Some(id(5)));
}

#[tokio::test]
async fn a_store_that_is_down_can_be_closed() {
    let folder = tempfile::tempdir().unwrap();
    let (_, sync) = failing_disk(0, 1, no_disk);
    let store = open_on(folder.path(), Options::default(), sync);
    obstruct(folder.path());
    assert!(matches!(commit(&store, [put(Revision::ABSENT, &account(1))]).await, Err(CommitError::Store(_))));
    let error = store.close().await.unwrap_err();
    assert!(causes(&error).contains("no disk"), "{error:?}");
}

/// An error and its causes, in one line.
pub(super) fn causes(error: &dyn std::error::Error) -> String {
    let causes = std::iter::successors(Some(error), |error| error.source());
    causes.map(ToString::to_string).collect::<Vec<_>>().join(": ")
}
