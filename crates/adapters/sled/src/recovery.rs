//! Getting the database back to work after a write has failed.
//!
//! sled keeps its first I/O error until it is opened again, and what its tree holds then may not be on disk: it may even
//! want to split a page before it reads it. So the database is closed and opened again, in the process, with the room that
//! was kept for that (`reserve.rs`); readers wait the moment that it takes. Where the disk takes nothing at all, nothing is
//! closed, and readers go on with what sled can still read.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustix::fs::{Advice, fadvise};

use crate::Options;
use crate::blocks::Blocks;
use crate::fault::Fault;
use crate::filter::Filter;
use crate::journal::{DiskSync, Point};
use crate::open::{Database, open_database};
use crate::recent::Recent;
use crate::reserve;
use crate::state::State;
use crate::view::{Base, caught};

/// The database, and how to open it again.
pub(crate) struct Engine {
    folder: PathBuf,
    options: Options,
    sync: DiskSync,
    /// `None` while it cannot be opened.
    database: Option<Database>,
    /// What it certainly does not have.
    filter: Arc<Filter>,
    /// Whether a write failed since it was opened.
    stale: bool,
    /// What it had when it was last synchronised.
    reached: Point,
    /// Whether anything was put into it since the start.
    written: bool,
}

impl Engine {
    pub(crate) fn new(folder: &Path, options: Options, database: Database, sync: DiskSync) -> Self {
        let (reached, filter) = (database.reached, Arc::clone(database.blocks.filter()));
        Self {
            folder: folder.to_owned(),
            options,
            sync,
            database: Some(database),
            filter,
            stale: false,
            reached,
            written: false,
        }
    }

    /// Puts changes into the database, and the database on disk; where it failed before, it is opened again first. Says
    /// how many changes are done, by and by.
    ///
    /// # Errors
    /// Where it may not be there; it can be tried again.
    pub(crate) fn settle(
        &mut self,
        changes: &Recent,
        point: Point,
        state: &State,
        done: impl FnMut(usize),
    ) -> Result<(), Arc<Fault>> {
        if self.stale || self.database.is_none() {
            self.restore(state)?;
        }
        let Some(database) = &self.database else { return Err(Arc::new(Fault::Reopening)) };
        self.stale = true;
        caught(|| database.settle_paced(changes, point, &mut self.sync, done)).map_err(Arc::new)?;
        self.stale = false;
        self.written = true;
        self.reached = point;
        Ok(())
    }

    /// Opens it again, and keeps room for the next time.
    fn restore(&mut self, state: &State) -> Result<(), Arc<Fault>> {
        let no_room = |error| Arc::new(Fault::NoRoom(error));
        if self.database.is_some() {
            // Whoever has something to read from does not give it away for nothing.
            reserve::write(&self.folder).map_err(no_room)?;
        }
        self.reopen(state)?;
        reserve::take(&self.folder).map_err(no_room)
    }

    fn reopen(&mut self, state: &State) -> Result<(), Arc<Fault>> {
        state.show(Base::Gone(Arc::new(Fault::Reopening)), true);
        if let Some(old) = self.database.take() {
            self.filter = Arc::clone(old.blocks.filter());
            forget_cached(&old.data_file);
            drop(old);
        }
        let given_up = reserve::give_up(&self.folder).map_err(crate::OpenError::from);
        match given_up.and_then(|()| open_database(&self.folder, &self.options)) {
            Ok(mut database) if database.reached.sequence >= self.reached.sequence => {
                // It has nothing now that it did not have before.
                database.blocks = Blocks::new(database.tree.clone(), Arc::clone(&self.filter));
                state.show(Base::Of(database.blocks.clone()), false);
                self.database = Some(database);
                Ok(())
            }
            Ok(database) => {
                let (found, answered) = (database.reached.sequence, self.reached.sequence);
                Err(self.gone(crate::OpenError::Older { found, answered }, state))
            }
            Err(error) => Err(self.gone(error, state)),
        }
    }

    fn gone(&self, error: crate::OpenError, state: &State) -> Arc<Fault> {
        let fault = Arc::new(Fault::Reopen(Box::new(error)));
        state.show(Base::Gone(Arc::clone(&fault)), false);
        fault
    }

    /// Makes sled write down where each of its pages is, by opening it once more: at the next start there is nothing to go
    /// through.
    ///
    /// # Errors
    /// Where it cannot be opened.
    pub(crate) fn checkpoint(&mut self, state: &State) -> Result<(), Arc<Fault>> {
        if self.written && !self.stale { self.reopen(state) } else { Ok(()) }
    }
}

/// After a failed synchronisation the kernel may hold as clean what never reached the disk: it is to be read from there.
fn forget_cached(data_file: &File) {
    if let Err(error) = fadvise(data_file, 0, None, Advice::DontNeed) {
        tracing::debug!(%error, "the kernel keeps what it has of the data file");
    }
}
