//! Giving up what a damaged store has lost.

use std::fs::File;
use std::path::Path;

use crate::Options;
use crate::digest::Digest;
use crate::journal::{self, DiskSync, Journal, Point, salvage};
use crate::open::{OpenError, open_database};
use crate::recent::Recent;
use crate::view::{Reader, caught};

/// Takes a store that is refused as older than its last answer, or as damaged, for whole as it is: what is missing was
/// answered once, and is given up. What can still be read of the journal is kept. Whether its records fit together is
/// another question.
///
/// # Errors
/// Where the database itself cannot be opened or read.
pub fn accept_loss(folder: &Path, options: Options) -> Result<(), OpenError> {
    let database = open_database(folder, &options)?;
    let salvaged = salvage(folder, database.reached)?;
    let missing = Recent::new(salvaged.missing);
    let digest = caught(|| Digest::of(&Reader::over(&database.blocks, &missing)))?;
    // The revisions of what was lost are not given again.
    let point = Point { sequence: database.reached.sequence.max(salvaged.last.sequence), digest };
    let mut sync_all: DiskSync = Box::new(File::sync_all);
    caught(|| database.settle(&missing, point, &mut sync_all))?;
    // The database has it all now.
    journal::remove(folder)?;
    journal::create(folder, options.journal_bytes)?;
    Journal::begin(folder, options.journal_bytes, salvaged.generation, point, false, sync_all)?;
    Ok(())
}
