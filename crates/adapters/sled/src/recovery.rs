//! Getting back to work after a write has failed.
//!
//! sled keeps its first I/O error until it is opened again, and what its tree holds then may not be on disk: it may even
//! want to split a page before it reads it. So the database is closed and opened again at once, in the process, with the
//! room that was kept for that (`reserve.rs`); readers wait the moment that it takes. Changes are taken again when there is
//! room to keep once more. Where the disk takes nothing at all, nothing is closed: readers are shown what was there before
//! the group that failed, as far as sled can still read it.

use std::fs::File;
use std::path::Path;
use std::sync::Arc;

use rustix::fs::{Advice, fadvise};

use crate::Options;
use crate::fault::Fault;
use crate::open::{OpenError, Opened, Trust, open};
use crate::reserve;
use crate::state::{Phase, State};
use crate::view::View;

/// What the committer has to write with.
pub(crate) struct Engine {
    /// `None` while the folder cannot be opened.
    pub(crate) opened: Option<Opened>,
    /// Whether the tree may hold what is not on disk.
    pub(crate) stale: bool,
}

impl Engine {
    /// Makes it fit to write with again, as far as that can be done now.
    ///
    /// # Errors
    /// Where it is not fit yet.
    pub(crate) fn restore(&mut self, folder: &Path, options: &Options, state: &State) -> Result<(), Arc<Fault>> {
        let no_room = |error| Arc::new(Fault::NoRoom(error));
        if self.stale && self.opened.is_some() {
            // Whoever has something to read from does not give it away for nothing.
            reserve::write(folder).map_err(no_room)?;
        }
        if self.stale || self.opened.is_none() {
            self.reopen(folder, options, state)?;
        }
        reserve::take(folder).map_err(no_room)
    }

    fn reopen(&mut self, folder: &Path, options: &Options, state: &State) -> Result<(), Arc<Fault>> {
        state.enter(Phase::Reopening);
        state.show(View::Gone(Arc::new(Fault::Reopening)));
        if let Some(old) = self.opened.take() {
            forget_cached(&old.database.data_file);
            drop(old);
        }
        let opened = reserve::give_up(folder).map_err(OpenError::from);
        match opened.and_then(|()| open(folder, options, Trust::JustWritten)) {
            Ok(opened) => {
                state.show(View::Of(opened.database.db.clone(), Default::default()));
                *self = Self { opened: Some(opened), stale: false };
                Ok(())
            }
            Err(error) => {
                let fault = Arc::new(Fault::Reopen(Box::new(error)));
                state.show(View::Gone(Arc::clone(&fault)));
                Err(fault)
            }
        }
    }
}

/// After a failed synchronisation the kernel may hold as clean what never reached the disk: it is to be read from there.
fn forget_cached(data_file: &File) {
    if let Err(error) = fadvise(data_file, 0, None, Advice::DontNeed) {
        tracing::debug!(%error, "the kernel keeps what it has of the data file");
    }
}

/// Makes sled write down where each of its pages is, by opening it once more: at the next start there is nothing to go
/// through. Answers the database, or why there is none.
pub(crate) fn checkpoint(
    folder: &Path,
    options: &Options,
    state: &State,
    opened: Opened,
) -> Result<Opened, Box<OpenError>> {
    state.show(View::Gone(Arc::new(Fault::Closed)));
    drop(opened);
    let opened = open(folder, options, Trust::JustWritten).map_err(Box::new)?;
    state.show(View::Of(opened.database.db.clone(), Default::default()));
    Ok(opened)
}
