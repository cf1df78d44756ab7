//! Files that were cut, changed or replaced behind the store's back.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use mobile_bind_domain::ports::Store;
use mobile_bind_domain::{Account, Profile, ProfileText, Revision};
use tempfile::TempDir;

use super::failure::causes;
use super::*;
use crate::OpenError;

const ACCOUNTS: u64 = 300;

/// Copies a folder to which nobody writes.
pub(super) fn copied(from: &Path) -> TempDir {
    let to = tempfile::tempdir().unwrap();
    fs::remove_dir(to.path()).unwrap();
    crate::backup::copy(from, to.path()).unwrap();
    to
}

/// Copies the folder of a store as a process that is killed at this moment leaves it.
async fn killed(store: &SledStore) -> TempDir {
    let to = tempfile::tempdir().unwrap();
    fs::remove_dir(to.path()).unwrap();
    store.back_up(to.path()).await.unwrap();
    to
}

/// An account that a round of writes leaves.
fn written(number: u64, round: u64) -> Account {
    let nickname = ProfileText::new(&format!("{round:060}")).unwrap();
    Account { profile: Profile { nickname, ..Profile::default() }, ..account(number) }
}

/// Fills several of sled's segments, and writes everything again and again.
async fn fill(store: &SledStore, rounds: u64) {
    fill_on(store, 1, rounds).await;
}

/// The rounds from one to another.
async fn fill_on(store: &SledStore, first: u64, last: u64) {
    let mut revision = store.account(id(1)).await.unwrap().map_or(Revision::ABSENT, |found| found.revision);
    for round in first..=last {
        let writes = (1..=ACCOUNTS).map(|number| put(revision, &written(number, round))).collect();
        revision = store.commit(Change { expectations: Vec::new(), writes }).await.unwrap();
    }
}

/// What came of opening a folder and reading all of it.
#[derive(Debug, PartialEq)]
enum Outcome {
    Refused,
    Unreadable,
    Whole,
}

/// Opens a folder that may be damaged. Whatever is read must be what was written last.
async fn examine(folder: &Path, round: u64, what: &str) -> Outcome {
    let store = match SledStore::open(folder, OPTIONS) {
        Ok(store) => store,
        Err(error) => {
            let named = matches!(error, OpenError::Older { .. } | OpenError::Damaged(_));
            assert!(named || matches!(error, OpenError::Foreign | OpenError::Store(_)), "{what}: {error:?}");
            return Outcome::Refused;
        }
    };
    let mut outcome = Outcome::Whole;
    for number in 1..=ACCOUNTS {
        match store.account(id(number)).await {
            Ok(found) => assert_eq!(found.map(|found| found.value), Some(written(number, round)), "{what}: {number}"),
            Err(error) => {
                assert!(causes(&error).contains("the database"), "{what}: {error:?}");
                outcome = Outcome::Unreadable;
            }
        }
    }
    outcome
}

fn flip(file: &Path, at: usize) {
    let mut bytes = fs::read(file).unwrap();
    bytes[at] ^= 0x04;
    fs::write(file, bytes).unwrap();
}

fn cut(file: &Path, length: u64) {
    fs::OpenOptions::new().write(true).open(file).unwrap().set_len(length).unwrap();
}

fn length(file: &Path) -> usize {
    usize::try_from(fs::metadata(file).unwrap().len()).unwrap()
}

/// A store that was killed after 40 rounds, and one that was closed in order.
async fn damageable() -> [TempDir; 2] {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path());
    fill(&store, 40).await;
    // What was answered last is of no account: without a mark after it, it cannot be told from what was not answered.
    commit(&store, [put_challenge(1, Revision::ABSENT, Some(challenge(10)))]).await.unwrap();
    let killed = killed(&store).await;
    store.close().await.unwrap();
    drop(store);
    [killed, folder]
}

fn files() -> [&'static str; 3] {
    ["db", crate::journal::FILES[0], crate::journal::FILES[1]]
}

#[tokio::test]
async fn a_flipped_bit_is_found_or_does_not_matter() {
    for (kind, folder) in damageable().await.iter().enumerate() {
        assert_eq!(examine(copied(folder.path()).path(), 40, "as it is").await, Outcome::Whole);
        let mut found = 0;
        for file in files() {
            let bytes = length(&folder.path().join(file));
            assert!(file != "db" || bytes > 512 * 1024, "{bytes} bytes are too few to be of interest");
            for step in 0..40 {
                // The first ones in the header, too.
                let at = if step < 4 { step * 11 } else { step * bytes / 40 + 17 };
                let damaged = copied(folder.path());
                flip(&damaged.path().join(file), at);
                let what = format!("kind {kind}, {file}, bit at {at}");
                found += usize::from(examine(damaged.path(), 40, &what).await != Outcome::Whole);
            }
        }
        // A log has old versions in it, which nobody reads: after a stop in order few of the bits matter.
        assert!(kind == 1 || found > 0, "none was found");
    }
}

#[tokio::test]
async fn a_file_that_was_cut_short_is_refused_by_name() {
    for (kind, folder) in damageable().await.iter().enumerate() {
        for file in files() {
            let bytes = length(&folder.path().join(file)) as u64;
            let mut whole = Vec::new();
            let lengths = [0, 1, 100, bytes / 10, bytes / 4, bytes / 3, bytes / 2, bytes * 2 / 3, bytes - 1];
            for length in lengths {
                let damaged = copied(folder.path());
                cut(&damaged.path().join(file), length);
                let what = format!("kind {kind}, {file} cut to {length} of {bytes}");
                if examine(damaged.path(), 40, &what).await == Outcome::Whole {
                    whole.push(length);
                }
            }
            // What was cut off of the database may have been free: `examine` has compared all that is left.
            let most = if file == "db" { 5 } else { 0 };
            let all = whole.iter().all(|&length| length > bytes / 4) && whole.len() <= most;
            assert!(all, "kind {kind}, {file}: cut to {whole:?} of {bytes}");
        }
    }
}

#[tokio::test]
async fn a_database_that_is_older_than_the_journal_is_refused_by_name() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path());
    fill(&store, 2).await;
    let older = killed(&store).await;
    fill_on(&store, 3, 20).await;
    let newer = killed(&store).await;
    drop(store);
    for file in crate::journal::FILES {
        fs::copy(newer.path().join(file), older.path().join(file)).unwrap();
    }
    let error = SledStore::open(older.path(), OPTIONS).err().unwrap();
    assert!(matches!(error, OpenError::Older { found, answered } if found < answered), "{error:?}");
    let text = error.to_string();
    assert!(text.contains("older than its last answer") && text.contains("Restore a backup"), "{text}");
    let problems = crate::verify(older.path(), OPTIONS, |_| {}).unwrap().problems;
    assert!(problems.contains_key("the store is older than its last answer"), "{problems:?}");

    // It stays so, until somebody gives up what is missing.
    assert!(SledStore::open(older.path(), OPTIONS).is_err());
    crate::accept_loss(older.path(), OPTIONS).unwrap();
    let store = open(older.path());
    assert_eq!(store.accounts(None, 1000).await.unwrap().len() as u64, ACCOUNTS);
    // No revision is given twice, not even to what was lost.
    assert!(commit(&store, [put(Revision::ABSENT, &account(ACCOUNTS + 2))]).await.unwrap() > Revision(20));
}

#[tokio::test]
async fn a_journal_that_is_older_than_the_database_or_missing_is_refused_by_name() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path());
    fill(&store, 2).await;
    let older = killed(&store).await;
    fill_on(&store, 3, 20).await;
    let newer = killed(&store).await;
    drop(store);
    for what in ["is older than its database", "its journal is missing"] {
        let damaged = copied(newer.path());
        for file in crate::journal::FILES {
            match what {
                "is older than its database" => {
                    fs::copy(older.path().join(file), damaged.path().join(file)).unwrap();
                }
                _ => fs::remove_file(damaged.path().join(file)).unwrap(),
            }
        }
        let error = SledStore::open(damaged.path(), OPTIONS).err().unwrap();
        assert!(matches!(&error, OpenError::Damaged(found) if found.contains(what)), "{what}: {error:?}");
        crate::accept_loss(damaged.path(), OPTIONS).unwrap();
        assert_eq!(open(damaged.path()).accounts(None, 1000).await.unwrap().len() as u64, ACCOUNTS);
        drop(open(damaged.path()));
    }
}

/// The journal's frames: the sequences before and after each, its file, and the offset in it.
fn frames(folder: &Path) -> Vec<(u64, u64, PathBuf, usize)> {
    let frames = crate::journal::FILES.into_iter().flat_map(|file| {
        let path = folder.join(file);
        let bytes = fs::read(&path).unwrap();
        let starts = bytes.windows(8).enumerate().filter(|(_, window)| *window == b"mbframe1").map(|(at, _)| at);
        let number = |at: usize| u64::from_be_bytes(bytes[at..at + 8].try_into().unwrap());
        starts.map(|at| (number(at + 16), number(at + 24), path.clone(), at)).collect::<Vec<_>>()
    });
    frames.collect()
}

/// Where the journal's last group stands, and whether it is marked: a mark is a frame that changes nothing.
fn last_group(folder: &Path) -> (PathBuf, usize, bool) {
    let (groups, marks): (Vec<_>, Vec<_>) = frames(folder).into_iter().partition(|(before, after, ..)| before < after);
    let (_, last, path, at) = groups.into_iter().max_by_key(|(_, after, ..)| *after).unwrap();
    (path, at, marks.iter().any(|(_, marked, ..)| *marked == last))
}

/// The folder as a crash would leave it before or after the last group was marked.
async fn killed_when(marked: bool) -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    let mark_after = if marked { Duration::ZERO } else { Duration::MAX };
    let store = SledStore::open(folder.path(), Options { mark_after, ..OPTIONS }).unwrap();
    fill(&store, 2).await;
    loop {
        let copy = killed(&store).await;
        if last_group(copy.path()).2 == marked {
            return copy;
        }
    }
}

#[tokio::test]
async fn a_last_group_that_cannot_be_read_was_not_answered_unless_it_is_marked() {
    for marked in [false, true] {
        let copy = killed_when(marked).await;
        let (file, at, _) = last_group(copy.path());
        flip(&file, at + 300);
        match SledStore::open(copy.path(), OPTIONS) {
            Ok(store) => {
                assert!(!marked);
                let found = store.account(id(1)).await.unwrap().unwrap().value;
                assert_eq!(found, written(1, 1), "the group before it");
            }
            Err(error) => assert!(marked && matches!(error, OpenError::Damaged(_)), "{error:?}"),
        }
    }
}

#[tokio::test]
async fn a_record_that_was_changed_or_lost_is_missed_at_the_next_start() {
    for lost in [true, false] {
        let folder = tempfile::tempdir().unwrap();
        let store = open(folder.path());
        fill(&store, 20).await;
        let killed = killed(&store).await;
        drop(store);
        let key = crate::layout::account(id(7));
        tamper(killed.path(), key.as_bytes(), if lost { None } else { Some(b"other") });
        // The journal has the latest of some accounts: those are not read from the database.
        tamper(killed.path(), crate::layout::by_mobile(&mobile(7)).as_bytes(), None);
        let error = SledStore::open(killed.path(), OPTIONS).err().unwrap();
        assert!(matches!(error, OpenError::Damaged(_)), "{error:?}");
    }
}
