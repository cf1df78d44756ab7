//! Opening a data folder.

use std::fs::{self, File};
use std::io;
use std::path::Path;

use sled::{Batch, Tree};

use crate::Options;
use crate::fault::Fault;
use crate::layout::{FORMAT, FORMAT_KEY, SEQUENCE_KEY};
use crate::release::Release;
use crate::source::Source;

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
    /// The folder or a file in it could not be read or written.
    #[error("the store folder could not be read or written")]
    Io(#[from] io::Error),
    /// The database refused, or what it holds cannot be read.
    #[error("the store could not be opened")]
    Store(#[source] Box<dyn std::error::Error + Send + Sync>),
}

impl From<Fault> for OpenError {
    fn from(fault: Fault) -> Self {
        Self::Store(Box::new(fault))
    }
}

/// The file that sled keeps its data in, and the one that it writes before it.
const DATA_FILE: &str = "db";
const CONFIG_FILE: &str = "conf";

/// A database whose format is known, and which is on disk as it is read.
pub(crate) struct Opened {
    pub(crate) db: sled::Db,
    /// A second handle on the data file, for synchronising it.
    pub(crate) data_file: File,
    /// The sequence of the last change.
    pub(crate) sequence: u64,
    /// Stands last: it is dropped after the database.
    pub(crate) release: Release,
}

pub(crate) fn open(folder: &Path, options: &Options) -> Result<Opened, OpenError> {
    fs::create_dir_all(folder)?;
    // sled would take the file for a log of its own, and write over it.
    if folder.join(DATA_FILE).exists() && !folder.join(CONFIG_FILE).exists() {
        return Err(OpenError::Foreign);
    }
    // Every group is flushed as it is written: sled's own periodic flush has nothing to do.
    let config = sled::Config::new().path(folder).cache_capacity(options.cache_bytes).flush_every_ms(None);
    let db = config.open().map_err(refused)?;
    let data_file = || fs::OpenOptions::new().read(true).write(true).open(folder.join(DATA_FILE));
    let mut opened = Opened { db, data_file: data_file()?, sequence: 0, release: Release::new(data_file()?) };
    opened.sequence = read_format(&opened.db)?;
    // A process that was killed may have left in the kernel what never reached the disk; it is about to be answered from.
    opened.db.flush().map_err(Fault::from)?;
    opened.data_file.sync_all()?;
    sync_folder(folder)?;
    Ok(opened)
}

/// sled has no error of its own for a folder that is in use, only this text.
fn refused(error: sled::Error) -> OpenError {
    match error {
        sled::Error::Io(error) if error.to_string().contains("could not acquire lock") => OpenError::InUse,
        sled::Error::Io(error) => OpenError::Io(error),
        error => Fault::Database(error).into(),
    }
}

/// Checks the format version, and answers the commit sequence. An empty tree is given both.
fn read_format(tree: &Tree) -> Result<u64, OpenError> {
    let Some(format) = tree.value(FORMAT_KEY)? else {
        if !tree.is_empty() {
            return Err(OpenError::Foreign);
        }
        let mut batch = Batch::default();
        batch.insert(FORMAT_KEY, &FORMAT.to_be_bytes());
        batch.insert(SEQUENCE_KEY, &0_u64.to_be_bytes());
        tree.apply_batch(batch).map_err(Fault::from)?;
        return Ok(0);
    };
    let found = format.as_ref().try_into().map(u32::from_be_bytes).map_err(|_| OpenError::Foreign)?;
    match found {
        FORMAT => {}
        0 => return Err(OpenError::Foreign),
        found => return Err(OpenError::Newer { found, known: FORMAT }),
    }
    let sequence = tree.value(SEQUENCE_KEY)?.and_then(|value| value.as_ref().try_into().ok().map(u64::from_be_bytes));
    sequence.ok_or_else(|| Fault::Unreadable("commit sequence").into())
}

/// Makes the disk keep the folder's own entries: a file that was synchronised can still be lost with its name.
fn sync_folder(folder: &Path) -> io::Result<()> {
    File::open(folder)?.sync_all()?;
    match folder.canonicalize()?.parent() {
        Some(parent) => File::open(parent)?.sync_all(),
        None => Ok(()),
    }
}
