//! The embedded store: [`Store`] over sled 0.34, in one folder, for one process.
//!
//! Reads go straight to the tree. Changes go through a bounded queue to one thread, which decides in order which of
//! them still hold, writes all that wait in one batch, and answers when the disk has it (`committer.rs`). What lies where on
//! disk stands in the header of `layout.rs`.

mod apply;
mod committer;
mod fault;
mod group;
mod layout;
mod open;
mod purge;
mod records;
mod release;
mod snapshot;
mod source;
mod state;
#[cfg(test)]
mod tests;

use std::path::Path;
use std::sync::mpsc::{SyncSender, TrySendError, sync_channel};
use std::sync::{Arc, PoisonError, RwLock};
use std::thread::JoinHandle;

use async_trait::async_trait;
use mobile_bind_domain::ports::{
    BindQuery, BindSnapshot, CommitError, SendQuery, SendSnapshot, SessionSnapshot, Store, StoreError,
};
use mobile_bind_domain::{Account, AccountId, Change, Revision, Session, SessionId, Timestamp, Versioned};
use tokio::sync::oneshot;

use crate::committer::{Committer, Ended, Job, Sync};
use crate::fault::Fault;
pub use crate::open::OpenError;
use crate::open::Opened;
use crate::purge::Purge;
use crate::release::Release;
use crate::source::Source;
use crate::state::State;

/// What an operator can set.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Options {
    /// How much memory sled's cache takes, in bytes.
    pub cache_bytes: u64,
    /// How many changes may wait; one more is refused at once.
    pub queue: usize,
    /// How many changes are written together at most.
    pub group: usize,
}

impl Default for Options {
    /// 64 MiB of cache; 4096 waiting; 512 together.
    fn default() -> Self {
        Self { cache_bytes: 64 * 1024 * 1024, queue: 4096, group: 512 }
    }
}

/// A store in a folder of its own. Dropping it finishes the changes that wait, and lets the folder go.
pub struct SledStore {
    db: sled::Db,
    state: Arc<State>,
    /// `None` once it is closed: that is how the thread learns.
    jobs: RwLock<Option<SyncSender<Job>>>,
    ended: Ended,
    thread: Option<JoinHandle<()>>,
    /// Stands last: it is dropped after the database.
    _release: Release,
}

impl SledStore {
    /// Opens the store in a folder, which is made where it is missing.
    ///
    /// # Errors
    /// Where the folder is in use, of a newer version, not this program's, or cannot be read or written.
    pub fn open(folder: &Path, options: Options) -> Result<Self, OpenError> {
        let opened = open::open(folder, &options)?;
        let data_file = opened.data_file.try_clone()?;
        Self::start(opened, Box::new(move || data_file.sync_data()), options)
    }

    fn start(opened: Opened, sync: Sync, options: Options) -> Result<Self, OpenError> {
        let state = Arc::new(State::new(snapshot::last_account(&opened.db)?));
        let (jobs, waiting) = sync_channel(options.queue.max(1));
        let sequence = opened.sequence;
        let committer = Committer::new(opened.db.clone(), sync, Arc::clone(&state), sequence, options.group);
        let (thread, ended) = committer.spawn(waiting)?;
        let Opened { db, release, .. } = opened;
        Ok(Self { db, state, jobs: RwLock::new(Some(jobs)), ended, thread: Some(thread), _release: release })
    }

    fn read<T>(&self, load: impl FnOnce(&sled::Tree) -> Result<T, Fault>) -> Result<T, StoreError> {
        self.state.readable()?;
        let _whole = self.state.applying.read().unwrap_or_else(PoisonError::into_inner);
        Ok(load(&self.db)?)
    }

    fn send(&self, job: Job) -> Result<(), Fault> {
        self.state.writable()?;
        let jobs = self.jobs.read().unwrap_or_else(PoisonError::into_inner);
        let jobs = jobs.as_ref().ok_or(Fault::Closed)?;
        jobs.try_send(job).map_err(|refused| match refused {
            TrySendError::Full(_) => Fault::Busy,
            TrySendError::Disconnected(_) => Fault::Broken,
        })
    }

    fn end(&self) {
        self.state.close();
        self.jobs.write().unwrap_or_else(PoisonError::into_inner).take();
    }
}

#[async_trait]
impl Store for SledStore {
    async fn load_send(&self, query: &SendQuery) -> Result<SendSnapshot, StoreError> {
        self.read(|tree| snapshot::for_send(tree, query))
    }

    async fn load_bind(&self, query: &BindQuery) -> Result<BindSnapshot, StoreError> {
        self.read(|tree| snapshot::for_bind(tree, query))
    }

    async fn load_session(&self, id: SessionId) -> Result<Option<SessionSnapshot>, StoreError> {
        self.read(|tree| snapshot::session(tree, id))
    }

    async fn allot_account_id(&self) -> Result<AccountId, StoreError> {
        Ok(self.state.allot_account()?)
    }

    async fn commit(&self, change: Change) -> Result<Revision, CommitError> {
        let (answer, answered) = oneshot::channel();
        self.send(Job::Commit(change, answer)).map_err(StoreError::from)?;
        answered.await.map_err(|_| StoreError::from(Fault::Broken))?
    }

    async fn account(&self, id: AccountId) -> Result<Option<Versioned<Account>>, StoreError> {
        self.read(|tree| tree.record(&layout::account(id)))
    }

    async fn accounts(&self, after: Option<AccountId>, limit: usize) -> Result<Vec<Versioned<Account>>, StoreError> {
        self.read(|tree| snapshot::accounts(tree, after, limit))
    }

    async fn sessions_of(&self, account: AccountId) -> Result<Vec<Session>, StoreError> {
        self.read(|tree| snapshot::sessions_of(tree, account))
    }

    async fn purge(&self, now: Timestamp, sessions_before: Timestamp, limit: usize) -> Result<usize, StoreError> {
        let (answer, answered) = oneshot::channel();
        self.send(Job::Purge(Purge { now, sessions_before, limit }, answer))?;
        answered.await.map_err(|_| StoreError::from(Fault::Broken))?
    }

    async fn check(&self) -> Result<(), StoreError> {
        self.state.writable()?;
        self.read(|tree| tree.value(layout::FORMAT_KEY).map(|_| ()))
    }

    async fn close(&self) -> Result<(), StoreError> {
        self.end();
        let mut ended = self.ended.clone();
        let ended = ended.wait_for(Option::is_some).await.map_err(|_| StoreError::from(Fault::Broken))?;
        match ended.as_ref() {
            Some(Err(fault)) => Err(StoreError(Box::new(Arc::clone(fault)))),
            Some(Ok(())) | None => Ok(()),
        }
    }
}

impl Drop for SledStore {
    fn drop(&mut self) {
        self.end();
        if let Some(thread) = self.thread.take() {
            // A thread that panicked has said so.
            let _ = thread.join();
        }
    }
}
