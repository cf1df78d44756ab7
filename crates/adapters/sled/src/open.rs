//! Opening a data folder.

use std::fs::{self, File};
use std::io;
use std::path::Path;

use sled::{Batch, Tree};

use crate::Options;
use crate::digest::Digest;
use crate::fault::Fault;
use crate::layout::{DIGEST_KEY, FORMAT, FORMAT_KEY, SEQUENCE_KEY};
use crate::note::{self, Note, Noted};
use crate::release::Release;
use crate::reserve;
use crate::source::Source;
use crate::view::caught;
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

/// A database whose format is known.
pub(crate) struct Database {
    pub(crate) db: sled::Db,
    /// A second handle on the data file, for synchronising it.
    pub(crate) data_file: File,
    /// The sequence of the last change, and the digest after it.
    pub(crate) sequence: u64,
    pub(crate) digest: Digest,
    /// Stands last: it is dropped after the database.
    _release: Release,
}

/// A database that is fit to be answered from, on disk as it is read.
pub(crate) struct Opened {
    pub(crate) watchdog: Watchdog,
    pub(crate) note: Note,
    /// Stands last: it is dropped after the others.
    pub(crate) database: Database,
}

/// How sure of a folder one is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Trust {
    /// Nothing is known: all is read and compared with the digest, unless the folder was closed in order.
    Nothing,
    /// This process has just written it.
    JustWritten,
}

pub(crate) fn open(folder: &Path, options: &Options, trust: Trust) -> Result<Opened, OpenError> {
    let noted = noted(folder)?;
    let database = open_database(folder, options)?;
    let closed = check(&database, noted, trust)?;
    // A process that was killed may have left in the kernel what never reached the disk; it is about to be answered from.
    database.db.flush().map_err(Fault::from)?;
    database.data_file.sync_all()?;
    let note = Note::open(folder, Noted { sequence: database.sequence, digest: database.digest, closed })?;
    if trust == Trust::Nothing {
        reserve::take(folder)?;
    }
    sync_folder(folder)?;
    Ok(Opened { watchdog: Watchdog::start(database.db.clone())?, note, database })
}

/// What the folder's note says.
pub(crate) fn noted(folder: &Path) -> Result<Option<Noted>, OpenError> {
    note::read(folder).map_err(|error| match error.kind() {
        io::ErrorKind::InvalidData => OpenError::Damaged(error.to_string()),
        _ => OpenError::Io(error),
    })
}

/// Compares the database with the note. Answers whether it is known to be whole, with nothing left to go through at
/// another start.
fn check(database: &Database, noted: Option<Noted>, trust: Trust) -> Result<bool, OpenError> {
    let (sequence, digest) = (database.sequence, database.digest);
    let closed = match noted {
        Some(Noted { sequence: answered, .. }) if sequence < answered => {
            return Err(OpenError::Older { found: sequence, answered });
        }
        Some(noted) if sequence == noted.sequence && digest != noted.digest => {
            return Err(OpenError::Damaged("it is not the one that was answered from".to_owned()));
        }
        Some(noted) => noted.closed && sequence == noted.sequence,
        None => {
            if sequence > 0 {
                tracing::warn!("the store has no note of its last answer: whether it is older cannot be told");
            }
            false
        }
    };
    if closed || trust == Trust::JustWritten {
        return Ok(closed);
    }
    if caught(|| Digest::of(&database.db))? != digest {
        return Err(OpenError::Damaged("records are missing, or are older than others".to_owned()));
    }
    Ok(true)
}

/// Opens the database as it is.
pub(crate) fn open_database(folder: &Path, options: &Options) -> Result<Database, OpenError> {
    fs::create_dir_all(folder)?;
    // sled would take the file for a log of its own, and write over it.
    if folder.join(DATA_FILE).exists() && !folder.join(CONFIG_FILE).exists() {
        return Err(OpenError::Foreign);
    }
    // Every group is flushed as it is written: sled's own periodic flush has nothing to do.
    let config = sled::Config::new().path(folder).cache_capacity(options.cache_bytes).flush_every_ms(None);
    let db = caught(|| Ok(config.open()))?.map_err(refused)?;
    let data_file = || fs::OpenOptions::new().read(true).write(true).open(folder.join(DATA_FILE));
    let release = Release::new(data_file()?);
    let mut database =
        Database { db, data_file: data_file()?, sequence: 0, digest: Digest::default(), _release: release };
    (database.sequence, database.digest) = caught(|| Ok(read_format(&database.db)))??;
    Ok(database)
}

/// sled has no error of its own for a folder that is in use, only this text.
fn refused(error: sled::Error) -> OpenError {
    match error {
        sled::Error::Io(error) if error.to_string().contains("could not acquire lock") => OpenError::InUse,
        sled::Error::Io(error) => OpenError::Io(error),
        error => Fault::Database(error).into(),
    }
}

/// Checks the format version, and answers the commit sequence and the digest. An empty tree is given all three.
fn read_format(tree: &Tree) -> Result<(u64, Digest), OpenError> {
    let Some(format) = tree.value(FORMAT_KEY)? else {
        if !tree.is_empty() {
            return Err(OpenError::Foreign);
        }
        let mut batch = Batch::default();
        batch.insert(FORMAT_KEY, &FORMAT.to_be_bytes());
        batch.insert(SEQUENCE_KEY, &0_u64.to_be_bytes());
        batch.insert(DIGEST_KEY, &Digest::default().0.to_be_bytes());
        tree.apply_batch(batch).map_err(Fault::from)?;
        return Ok((0, Digest::default()));
    };
    let found = format.as_ref().try_into().map(u32::from_be_bytes).map_err(|_| OpenError::Foreign)?;
    match found {
        FORMAT => {}
        1 => add_digest(tree)?,
        0 => return Err(OpenError::Foreign),
        found => return Err(OpenError::Newer { found, known: FORMAT }),
    }
    let number = |key: &[u8], what| {
        let number = tree.value(key)?.and_then(|value| value.as_ref().try_into().ok().map(u64::from_be_bytes));
        number.ok_or(Fault::Unreadable(what))
    };
    Ok((number(SEQUENCE_KEY, "commit sequence")?, Digest(number(DIGEST_KEY, "digest")?)))
}

/// Format 1 had no digest.
fn add_digest(tree: &Tree) -> Result<(), Fault> {
    let digest = Digest::of(tree)?;
    let mut batch = Batch::default();
    batch.insert(FORMAT_KEY, &FORMAT.to_be_bytes());
    batch.insert(DIGEST_KEY, &digest.0.to_be_bytes());
    Ok(tree.apply_batch(batch)?)
}

/// Makes the disk keep the folder's own entries: a file that was synchronised can still be lost with its name.
fn sync_folder(folder: &Path) -> io::Result<()> {
    File::open(folder)?.sync_all()?;
    match folder.canonicalize()?.parent() {
        Some(parent) => File::open(parent)?.sync_all(),
        None => Ok(()),
    }
}
