//! Giving up what a damaged store has lost.

use std::path::Path;

use sled::Batch;

use crate::Options;
use crate::digest::Digest;
use crate::layout::{DIGEST_KEY, SEQUENCE_KEY};
use crate::note::{Note, Noted};
use crate::open::{OpenError, open_database};
use crate::view::caught;

/// Takes a store that is refused as older than its last answer, or as damaged, for whole as it is: what is missing was
/// answered once, and is given up. Whether its records fit together is another question.
///
/// # Errors
/// Where the database itself cannot be opened or read.
pub fn accept_loss(folder: &Path, options: Options) -> Result<(), OpenError> {
    // A damaged note says nothing.
    let answered = crate::open::noted(folder).ok().flatten().map_or(0, |noted| noted.sequence);
    let database = open_database(folder, &options)?;
    // The revisions of what was lost are not given again.
    let sequence = database.sequence.max(answered);
    let digest = caught(|| Digest::of(&database.db))?;
    let mut batch = Batch::default();
    batch.insert(SEQUENCE_KEY, &sequence.to_be_bytes());
    batch.insert(DIGEST_KEY, &digest.0.to_be_bytes());
    let written = caught(|| {
        database.db.apply_batch(batch)?;
        Ok(database.db.flush().map(|_| ())?)
    });
    written?;
    database.data_file.sync_all()?;
    Note::open(folder, Noted { sequence, digest, closed: false })?;
    Ok(())
}
