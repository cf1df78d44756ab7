//! Opening a data folder.

use std::fs::{self, File};
use std::io;
use std::path::Path;
use std::sync::Arc;

use sled::Tree;

use crate::Options;
use crate::blocks::Blocks;
use crate::digest::Digest;
use crate::fault::Fault;
use crate::filter::Filter;
use crate::journal::{self, DiskSync, Journal, Point, Replay, replay};
use crate::layout::{FORMAT, FORMAT_KEY, REACHED_KEY};
use crate::recent::Recent;
use crate::release::Release;
use crate::reserve;
use crate::snapshot;
use crate::view::{Reader, caught};
use crate::watchdog::Watchdog;

/// The folder could not be opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// Another process, or another store of this one, has it open.
    #[error("the store folder is in use by another process")]
    InUse,
    /// A newer version of this program wrote it.
    #[error(
        "the store folder was written by a newer version (its format is {found}, this program knows up to {known}): \
         use that version, or another folder"
    )]
    Newer {
        /// The folder's format version.
        found: u32,
        /// The newest that this program can read.
        known: u32,
    },
    /// A version that was never released wrote it.
    #[error(
        "the store folder was written by a version before the first release (its format is {found}): use another folder"
    )]
    Unreleased {
        /// The folder's format version.
        found: u32,
    },
    /// It has something else in it.
    #[error("the folder holds data that is not of this program")]
    Foreign,
    /// Changes that were answered are missing.
    #[error(
        "the store is older than its last answer: it ends at change {found}, and change {answered} was answered. Its \
         file was cut short, damaged or replaced. Restore a backup, or give up what is missing (accept-loss)"
    )]
    Older {
        /// The sequence of the last change that is there.
        found: u64,
        /// The sequence of the last change that was answered.
        answered: u64,
    },
    /// What is there cannot be trusted.
    #[error("the store is damaged: {0}. Restore a backup, or give up what is missing (accept-loss)")]
    Damaged(String),
    /// The folder or a file in it could not be read or written.
    #[error("the store folder could not be read or written")]
    Io(#[from] io::Error),
    /// The database refused, or what it holds cannot be read.
    #[error("the store could not be opened")]
    Store(#[source] Box<dyn std::error::Error + Send + Sync>),
}

impl From<Fault> for OpenError {
    fn from(fault: Fault) -> Self {
        match fault {
            Fault::Database(error @ sled::Error::Corruption { .. }) => Self::Damaged(error.to_string()),
            Fault::Panicked => Self::Damaged("the database gave up reading it".to_owned()),
            Fault::Unreadable(what) => Self::Damaged(format!("a stored {what} cannot be read")),
            fault => Self::Store(Box::new(fault)),
        }
    }
}

/// The file that sled keeps its data in, and the one that it writes before it.
const DATA_FILE: &str = "db";
const CONFIG_FILE: &str = "conf";

/// How many changes are put into the database before the disk is told to keep them.
const SYNC_EVERY: usize = 8192;

/// About how many entries an account has.
const ENTRIES_OF_ACCOUNT: u64 = 6;

/// Ids may have been given out of order, and memory is not taken for accounts that are not there.
const MOST_EXPECTED: usize = 8_000_000;

/// A database whose format is known.
pub(crate) struct Database {
    watchdog: Watchdog,
    pub(crate) tree: Tree,
    pub(crate) blocks: Blocks,
    /// A second handle on the data file, for synchronising it.
    pub(crate) data_file: File,
    /// What it holds.
    pub(crate) reached: Point,
    /// Stands last: it is dropped after the database.
    _release: Release,
}

impl Database {
    /// Merges changes in, notes the point that they lead to, and puts it all on disk. Where it fails, any part of it may be
    /// there; it can be done again.
    pub(crate) fn settle(&self, changes: &Recent, point: Point, sync: &mut DiskSync) -> Result<(), Fault> {
        self.settle_paced(changes, point, sync, |_| {})
    }

    /// The same, which says after each block how many changes are done, and puts them on disk by and by: all at once, the
    /// disk would keep the journal waiting.
    pub(crate) fn settle_paced(
        &self,
        changes: &Recent,
        point: Point,
        sync: &mut DiskSync,
        mut done: impl FnMut(usize),
    ) -> Result<(), Fault> {
        let mut next = SYNC_EVERY;
        self.blocks.apply(changes.all().into_iter(), |count| {
            if count >= next {
                next = count + SYNC_EVERY;
                self.sync(sync)?;
            }
            done(count);
            Ok(())
        })?;
        // After the changes, in one entry: it is there when they are.
        self.tree.insert(REACHED_KEY, &encode(point))?;
        self.sync(sync)
    }

    /// sled's `flush` hands the data to the kernel; it takes `sync_data` for it to survive a power cut. (`flush_async` hangs
    /// where many call it.)
    pub(crate) fn sync(&self, sync: &mut DiskSync) -> Result<(), Fault> {
        self.watchdog.flush()?;
        sync(&self.data_file).map_err(Fault::Sync)
    }
}

/// A store that is fit to be answered from: all that was answered is in the database.
pub(crate) struct Opened {
    pub(crate) journal: Journal,
    pub(crate) database: Database,
}

/// Opens a folder, and puts into the database what the journal has beyond it.
pub(crate) fn open(folder: &Path, options: &Options, sync: DiskSync) -> Result<Opened, OpenError> {
    fs::create_dir_all(folder)?;
    if !folder.join(DATA_FILE).exists() && !journal::exists(folder) {
        // Before the database: one that has no journal has lost it.
        journal::create(folder, options.journal_bytes)?;
    }
    let mut database = open_database(folder, options)?;
    let Replay { missing, last, generation, closed } = replay(folder, database.reached)?;
    let missing = Recent::new(missing);
    if !closed {
        check(&database, &missing, last)?;
    }
    // A process that was killed may have left in the kernel what never reached the disk; it is about to be answered from.
    let mut sync_all: DiskSync = Box::new(File::sync_all);
    caught(|| match last == database.reached {
        true => database.sync(&mut sync_all),
        false => database.settle(&missing, last, &mut sync_all),
    })?;
    database.reached = last;
    let journal = Journal::begin(folder, options.journal_bytes, generation, last, true, sync)?;
    reserve::take(folder)?;
    sync_folder(folder)?;
    Ok(Opened { journal, database })
}

/// Compares all that is stored with its digest.
fn check(database: &Database, missing: &Recent, last: Point) -> Result<(), OpenError> {
    if caught(|| Digest::of(&Reader::over(&database.blocks, missing)))? != last.digest {
        return Err(OpenError::Damaged("records are missing, or are older than others".to_owned()));
    }
    Ok(())
}

/// Opens the database as it is.
pub(crate) fn open_database(folder: &Path, options: &Options) -> Result<Database, OpenError> {
    fs::create_dir_all(folder)?;
    // sled would take the file for a log of its own, and write over it.
    if folder.join(DATA_FILE).exists() && !folder.join(CONFIG_FILE).exists() {
        return Err(OpenError::Foreign);
    }
    // It is flushed when something was put into it: sled's own periodic flush has nothing to do.
    let config = sled::Config::new().path(folder).cache_capacity(options.cache_bytes).flush_every_ms(None);
    let db = caught(|| Ok(config.open()))?.map_err(refused)?;
    let data_file = || fs::OpenOptions::new().read(true).write(true).open(folder.join(DATA_FILE));
    let release = Release::new(data_file()?);
    let tree = Tree::clone(&db);
    let reached = caught(|| Ok(read_format(&tree)))??;
    let blocks = Blocks::new(tree.clone(), Arc::new(Filter::for_keys(expected_keys(&tree))));
    let data_file = data_file()?;
    Ok(Database { watchdog: Watchdog::start(db)?, tree, blocks, data_file, reached, _release: release })
}

/// About how many entries there are. Where the accounts cannot be read, that is told elsewhere.
fn expected_keys(tree: &Tree) -> usize {
    let blocks = Blocks::new(tree.clone(), Arc::new(Filter::for_keys(0)));
    let last = caught(|| snapshot::last_account(&blocks)).ok().flatten();
    last.map_or(0, |id| usize::try_from(id.get().saturating_mul(ENTRIES_OF_ACCOUNT)).unwrap_or(usize::MAX))
        .min(MOST_EXPECTED)
}

/// sled has no error of its own for a folder that is in use, only this text.
fn refused(error: sled::Error) -> OpenError {
    match error {
        sled::Error::Io(error) if error.to_string().contains("could not acquire lock") => OpenError::InUse,
        sled::Error::Io(error) => OpenError::Io(error),
        error => Fault::Database(error).into(),
    }
}

/// Checks the format version, and answers what the database holds. An empty one is given what it takes.
fn read_format(tree: &Tree) -> Result<Point, OpenError> {
    let value = |key: &[u8]| tree.get(key).map_err(Fault::from);
    let Some(format) = value(FORMAT_KEY)? else {
        // What was begun and not ended has but the other entry.
        if tree.iter().keys().any(|key| key.is_ok_and(|key| key != REACHED_KEY)) {
            return Err(OpenError::Foreign);
        }
        tree.insert(REACHED_KEY, &encode(Point::default())).map_err(Fault::from)?;
        tree.insert(FORMAT_KEY, &FORMAT.to_be_bytes()).map_err(Fault::from)?;
        return Ok(Point::default());
    };
    let found = format.as_ref().try_into().map(u32::from_be_bytes).map_err(|_| OpenError::Foreign)?;
    match found {
        FORMAT => {}
        0 => return Err(OpenError::Foreign),
        1..FORMAT => return Err(OpenError::Unreleased { found }),
        _ => return Err(OpenError::Newer { found, known: FORMAT }),
    }
    let reached = value(REACHED_KEY)?.and_then(|value| decode(&value));
    Ok(reached.ok_or(Fault::Unreadable("commit sequence"))?)
}

fn encode(point: Point) -> [u8; 16] {
    let mut bytes = [0; 16];
    bytes[..8].copy_from_slice(&point.sequence.to_be_bytes());
    bytes[8..].copy_from_slice(&point.digest.0.to_be_bytes());
    bytes
}

fn decode(bytes: &[u8]) -> Option<Point> {
    let bytes: [u8; 16] = bytes.try_into().ok()?;
    let (sequence, digest) = bytes.split_first_chunk::<8>()?;
    let digest = Digest(u64::from_be_bytes(digest.try_into().ok()?));
    Some(Point { sequence: u64::from_be_bytes(*sequence), digest })
}

/// Makes the disk keep the folder's own entries: a file that was synchronised can still be lost with its name.
fn sync_folder(folder: &Path) -> io::Result<()> {
    File::open(folder)?.sync_all()?;
    match folder.canonicalize()?.parent() {
        Some(parent) => File::open(parent)?.sync_all(),
        None => Ok(()),
    }
}
