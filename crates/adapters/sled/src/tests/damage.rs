//! Files that were cut, changed or replaced behind the store's back.

use std::fs;
use std::path::Path;

use mobile_bind_domain::ports::Store;
use mobile_bind_domain::{Account, Profile, ProfileText, Revision};
use tempfile::TempDir;

use super::failure::causes;
use super::*;
use crate::OpenError;

const ACCOUNTS: u64 = 300;

/// Copies a folder as a process that is killed leaves it.
fn copied(from: &Path) -> TempDir {
    let to = tempfile::tempdir().unwrap();
    fs::remove_dir(to.path()).unwrap();
    crate::backup::copy(from, to.path()).unwrap();
    to
}

/// An account that a round of writes leaves.
fn written(number: u64, round: u64) -> Account {
    let nickname = ProfileText::new(&format!("{round:060}")).unwrap();
    Account { profile: Profile { nickname, ..Profile::default() }, ..account(number) }
}

/// Fills several of sled's segments, and writes everything again and again.
async fn fill(store: &SledStore, rounds: u64) {
    let mut revision = Revision::ABSENT;
    for round in 1..=rounds {
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
    let store = match SledStore::open(folder, Options { cache_bytes: 1 << 20, ..Options::default() }) {
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
    let killed = copied(folder.path());
    store.close().await.unwrap();
    drop(store);
    [killed, folder]
}

#[tokio::test]
async fn a_flipped_bit_is_found_or_does_not_matter() {
    for (kind, folder) in damageable().await.iter().enumerate() {
        assert_eq!(examine(copied(folder.path()).path(), 40, "as it is").await, Outcome::Whole);
        let bytes = length(&folder.path().join("db"));
        assert!(bytes > 2 * 512 * 1024, "{bytes} bytes are too few to be of interest");
        let mut found = 0;
        for step in 0..60 {
            let at = step * bytes / 60 + 17;
            let damaged = copied(folder.path());
            flip(&damaged.path().join("db"), at);
            found +=
                usize::from(examine(damaged.path(), 40, &format!("kind {kind}, bit at {at}")).await != Outcome::Whole);
        }
        // A log has old versions in it, which nobody reads: after a stop in order few of the bits matter.
        assert!(kind == 1 || found > 0, "none was found");
    }
}

#[tokio::test]
async fn a_file_that_was_cut_short_is_refused_by_name() {
    for (kind, folder) in damageable().await.iter().enumerate() {
        let bytes = length(&folder.path().join("db")) as u64;
        let mut whole = Vec::new();
        for length in [0, 1, 100, bytes / 10, bytes / 4, bytes / 3, bytes / 2, bytes * 2 / 3, bytes - 600_000] {
            let damaged = copied(folder.path());
            cut(&damaged.path().join("db"), length);
            if examine(damaged.path(), 40, &format!("kind {kind}, cut to {length} of {bytes}")).await == Outcome::Whole
            {
                whole.push(length);
            }
        }
        // What was cut off may have been free: `examine` has compared all that is left.
        let all = whole.iter().all(|&length| length > bytes / 4) && whole.len() < 5;
        assert!(all, "kind {kind}: cut to {whole:?} of {bytes}");
    }
}

#[tokio::test]
async fn a_store_that_lost_its_last_group_is_refused_by_name() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path());
    fill(&store, 2).await;
    let older = copied(folder.path());
    commit(&store, [put(Revision::ABSENT, &account(ACCOUNTS + 1))]).await.unwrap();
    let newer = copied(folder.path());
    drop(store);
    fs::copy(newer.path().join(crate::note::FILE), older.path().join(crate::note::FILE)).unwrap();
    let error = SledStore::open(older.path(), Options::default()).err().unwrap();
    assert!(matches!(error, OpenError::Older { found: 2, answered: 3 }), "{error:?}");
    let text = error.to_string();
    assert!(text.contains("older than its last answer") && text.contains("Restore a backup"), "{text}");

    // It stays so, until somebody gives up what is missing.
    assert!(SledStore::open(older.path(), Options::default()).is_err());
    crate::accept_loss(older.path(), Options::default()).unwrap();
    assert_eq!(examine(older.path(), 2, "accepted").await, Outcome::Whole);
    let store = open(older.path());
    // No revision is given twice, not even to what was lost.
    assert_eq!(commit(&store, [put(Revision::ABSENT, &account(ACCOUNTS + 2))]).await.unwrap(), Revision(4));
}

#[tokio::test]
async fn a_note_that_is_damaged_is_named_and_one_that_lags_is_not_missed() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path());
    fill(&store, 1).await;
    let noted = fs::read(folder.path().join(crate::note::FILE)).unwrap();
    fill_more(&store).await;
    let killed = copied(folder.path());
    drop(store);

    // A group that was on disk, and was not noted any more, was not answered; the store is whole.
    fs::write(killed.path().join(crate::note::FILE), &noted).unwrap();
    assert_eq!(examine(copied(killed.path()).path(), 1, "lagging").await, Outcome::Whole);
    fs::write(killed.path().join(crate::note::FILE), vec![0; noted.len()]).unwrap();
    let error = SledStore::open(killed.path(), Options::default()).err().unwrap();
    assert!(matches!(&error, OpenError::Damaged(what) if what.contains("note")), "{error:?}");
}

async fn fill_more(store: &SledStore) {
    commit(store, [put(Revision::ABSENT, &account(ACCOUNTS + 1))]).await.unwrap();
}

#[tokio::test]
async fn a_record_that_was_changed_or_lost_is_missed_at_the_next_start() {
    for lost in [true, false] {
        let folder = tempfile::tempdir().unwrap();
        let store = open(folder.path());
        fill(&store, 1).await;
        let database = db(&store);
        let key = crate::layout::account(id(7));
        let old = database.get(key.as_bytes()).unwrap().unwrap();
        let mut changed = old.to_vec();
        *changed.last_mut().unwrap() ^= 1;
        if lost {
            database.remove(key.as_bytes()).unwrap();
        } else {
            database.insert(key.as_bytes(), changed).unwrap();
        }
        database.flush().unwrap();
        let killed = copied(folder.path());
        let error = SledStore::open(killed.path(), Options::default()).err().unwrap();
        assert!(matches!(error, OpenError::Damaged(_)), "{error:?}");
    }
}

#[tokio::test]
async fn a_store_of_format_1_is_given_its_digest() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path());
    fill(&store, 1).await;
    db(&store).insert(crate::layout::FORMAT_KEY, &1_u32.to_be_bytes()).unwrap();
    db(&store).remove(crate::layout::DIGEST_KEY).unwrap();
    db(&store).flush().unwrap();
    let old = copied(folder.path());
    drop(store);
    fs::remove_file(old.path().join(crate::note::FILE)).unwrap();
    for _ in 0..2 {
        assert_eq!(examine(old.path(), 1, "format 1").await, Outcome::Whole);
    }
}
