//! The embedded store: [`Store`] over sled 0.34, in one folder, for one process.
//!
//! Changes go through a bounded queue to one thread, which decides in order which of them still hold, writes all that wait
//! to a journal as one group, and answers when the disk has it (`committer.rs`, `journal/`). A second thread puts what the
//! journal holds into the database, many groups at once (`settler.rs`, `blocks.rs`); until then it is in memory as well.
//! Reads look there first, then in the database (`view.rs`). What lies where on disk stands in the header of `layout.rs`.

mod accept;
mod alone;
mod apply;
mod audit;
mod backup;
mod block;
mod blocks;
mod committer;
mod digest;
mod fault;
mod filter;
mod group;
mod journal;
mod layout;
mod measured;
mod messages;
mod open;
mod priority;
mod purge;
mod recent;
mod records;
mod recovery;
mod release;
mod reserve;
mod settler;
mod snapshot;
mod source;
mod state;
mod survey;
#[cfg(test)]
mod tests;
mod verify;
mod view;
mod watchdog;

use std::fs::File;
use std::path::Path;
use std::sync::mpsc::{SyncSender, TrySendError, sync_channel};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use async_trait::async_trait;
use mobile_bind_domain::ports::{
    AuditTrail, BindQuery, BindSnapshot, CommitError, LogInQuery, LogInSnapshot, Purged, SendQuery, SendSnapshot,
    SessionSnapshot, Store, StoreError, StoreFacts,
};
use mobile_bind_domain::{
    Account, AccountId, Change, MessageKey, Mobile, OutboxMessage, Proof, ProofId, Revision, Session, SessionId,
    SpentMark, Timestamp, Versioned,
};
use tokio::sync::oneshot;

pub use crate::accept::accept_loss;
use crate::alone::UnderWay;
pub use crate::backup::BackedUp;
use crate::committer::{Committer, Ended, Job, Shared, Thread};
use crate::fault::Fault;
use crate::journal::DiskSync;
pub use crate::open::OpenError;
use crate::open::Opened;
use crate::purge::Purge;
use crate::recovery::Engine;
use crate::settler::Settler;
use crate::source::Source;
use crate::state::State;
pub use crate::verify::{Findings, verify};
use crate::view::{Base, Reader, View, caught};

/// What an operator can set.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Options {
    /// How much memory sled's cache takes, in bytes.
    pub cache_bytes: u64,
    /// How many changes may wait; one more is refused at once.
    pub queue: usize,
    /// How many changes are written together at most.
    pub group: usize,
    /// How long each of the journal's two files is, in bytes. What they hold is in memory as well, in about three times as
    /// many bytes.
    pub journal_bytes: u64,
    /// How long nothing has to follow for the last group to be marked as answered.
    pub mark_after: Duration,
}

impl Default for Options {
    /// 48 MiB of cache; 4096 waiting; 512 together; twice 8 MiB of journal; marked after 50 ms.
    fn default() -> Self {
        Self {
            cache_bytes: 48 * 1024 * 1024,
            queue: 4096,
            group: 512,
            journal_bytes: 8 * 1024 * 1024,
            mark_after: Duration::from_millis(50),
        }
    }
}

/// A store in a folder of its own. Dropping it finishes the changes that wait, and lets the folder go.
pub struct SledStore {
    state: Arc<State>,
    /// `None` once it is closed: that is how the thread learns.
    jobs: RwLock<Option<SyncSender<Job>>>,
    committer: Shared,
    under_way: UnderWay,
    ended: Ended,
    thread: Option<Thread>,
}

impl SledStore {
    /// Opens the store in a folder, which is made where it is missing. Where it was not closed in order, all of it is read
    /// and compared with its digest first.
    ///
    /// # Errors
    /// Where the folder is in use, of a newer version, not this program's, damaged or older than its last answer, or cannot
    /// be read or written.
    pub fn open(folder: &Path, options: Options) -> Result<Self, OpenError> {
        let sync = || -> DiskSync { Box::new(File::sync_data) };
        Self::open_on(folder, options, sync(), sync())
    }

    /// Opens it on disks that keep what is written to the journal and to the database when they are told to.
    fn open_on(folder: &Path, options: Options, journal: DiskSync, database: DiskSync) -> Result<Self, OpenError> {
        let sync_database = database;
        let Opened { journal, database } = open::open(folder, &options, journal)?;
        let last_account = caught(|| snapshot::last_account(&database.blocks))?;
        let state = Arc::new(State::new(View::of(database.blocks.clone()), last_account));
        let settler = Settler::start(Engine::new(folder, options, database, sync_database), Arc::clone(&state))?;
        let (jobs, waiting) = sync_channel(options.queue.max(1));
        let committer = Shared::new(Committer::new(folder, options, journal, settler, Arc::clone(&state)));
        let (thread, ended) = committer.clone().spawn(Arc::clone(&state), waiting)?;
        survey::start(Arc::clone(&state))?;
        let (jobs, under_way) = (RwLock::new(Some(jobs)), UnderWay::default());
        Ok(Self { state, jobs, committer, under_way, ended, thread: Some(thread) })
    }

    /// Copies the store to a folder that is not there yet, as it is at one point in time. Reads go on meanwhile; changes
    /// wait.
    ///
    /// # Errors
    /// Where the store is unavailable, or the copy cannot be written.
    pub async fn back_up(&self, to: &Path) -> Result<BackedUp, StoreError> {
        let (answer, answered) = oneshot::channel();
        self.send(Job::Backup(to.to_owned(), answer))?;
        answered.await.map_err(|_| StoreError::from(Fault::GivenUp))?
    }

    async fn read<T>(&self, load: impl FnOnce(&Reader<'_>) -> Result<T, Fault>) -> Result<T, StoreError> {
        loop {
            self.state.settled().await;
            let view = self.state.view();
            // It may be opened again from now on: then there is nothing to read from, but there will be.
            if matches!(&view.base, Base::Gone(fault) if matches!(**fault, Fault::Reopening)) {
                continue;
            }
            return Ok(view.read(load)?);
        }
    }

    /// Writes it in this thread where that keeps nobody waiting; else gives it back.
    fn write_at_once(&self, job: Job) -> Option<Job> {
        let look_after = || drop(self.send(Job::LookAfter));
        alone::write(&self.committer, &self.state, job, look_after)
    }

    fn send(&self, job: Job) -> Result<(), Fault> {
        self.state.health().writable()?;
        let jobs = self.jobs.read().unwrap_or_else(PoisonError::into_inner);
        let jobs = jobs.as_ref().ok_or(Fault::Closed)?;
        jobs.try_send(job).map_err(|refused| match refused {
            TrySendError::Full(_) => Fault::Busy,
            TrySendError::Disconnected(_) => Fault::GivenUp,
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
        self.read(|reader| snapshot::for_send(reader, query)).await
    }

    async fn load_bind(&self, query: &BindQuery) -> Result<BindSnapshot, StoreError> {
        self.read(|reader| snapshot::for_bind(reader, query)).await
    }

    async fn load_log_in(&self, query: &LogInQuery) -> Result<LogInSnapshot, StoreError> {
        self.read(|reader| snapshot::for_log_in(reader, query)).await
    }

    async fn load_session(&self, id: SessionId) -> Result<Option<SessionSnapshot>, StoreError> {
        self.read(|reader| snapshot::session(reader, id)).await
    }

    async fn allot_account_id(&self) -> Result<AccountId, StoreError> {
        Ok(self.state.allot_account()?)
    }

    async fn commit(&self, change: Change) -> Result<Revision, CommitError> {
        self.state.health().writable().map_err(StoreError::from)?;
        let (answer, answered) = oneshot::channel();
        let job = Job::Commit(change, answer);
        let entered = self.under_way.enter();
        let waits = if entered.is_alone() { self.write_at_once(job) } else { Some(job) };
        if let Some(job) = waits {
            self.send(job).map_err(StoreError::from)?;
        }
        answered.await.map_err(|_| StoreError::from(Fault::GivenUp))?
    }

    async fn account(&self, id: AccountId) -> Result<Option<Versioned<Account>>, StoreError> {
        self.read(|reader| reader.record(&layout::account(id))).await
    }

    async fn account_of(&self, mobile: &Mobile) -> Result<Option<Versioned<Account>>, StoreError> {
        self.read(|reader| snapshot::holder(reader, &layout::by_mobile(mobile))).await
    }

    async fn accounts(&self, after: Option<AccountId>, limit: usize) -> Result<Vec<Versioned<Account>>, StoreError> {
        self.read(|reader| snapshot::accounts(reader, after, limit)).await
    }

    async fn sessions_of(&self, account: AccountId) -> Result<Vec<Session>, StoreError> {
        self.read(|reader| snapshot::sessions_of(reader, account)).await
    }

    async fn sessions_of_all(&self, accounts: &[AccountId]) -> Result<Vec<Session>, StoreError> {
        self.read(|reader| snapshot::sessions_of_all(reader, accounts)).await
    }

    fn audit(&self) -> &dyn AuditTrail {
        self
    }

    async fn proofs(&self, after: Option<ProofId>, limit: usize) -> Result<Vec<(ProofId, Proof)>, StoreError> {
        self.read(|reader| snapshot::proofs(reader, after, limit)).await
    }

    async fn spent(&self, after: Option<SpentMark>, limit: usize) -> Result<Vec<(SpentMark, Timestamp)>, StoreError> {
        self.read(|reader| snapshot::spent(reader, after, limit)).await
    }

    async fn message(&self, key: &MessageKey) -> Result<Option<Versioned<OutboxMessage>>, StoreError> {
        self.read(|reader| reader.record(&layout::message(key))).await
    }

    async fn messages_to(&self, mobile: &Mobile, limit: usize) -> Result<Vec<Versioned<OutboxMessage>>, StoreError> {
        self.read(|reader| messages::to(reader, mobile, limit)).await
    }

    async fn message_by_reference(
        &self,
        provider: &str,
        reference: &str,
    ) -> Result<Option<Versioned<OutboxMessage>>, StoreError> {
        self.read(|reader| messages::by_reference(reader, provider, reference)).await
    }

    async fn messages(
        &self,
        after: Option<&MessageKey>,
        limit: usize,
    ) -> Result<Vec<Versioned<OutboxMessage>>, StoreError> {
        self.read(|reader| messages::after(reader, after, limit)).await
    }

    async fn due_messages(&self, now: Timestamp, limit: usize) -> Result<Vec<Versioned<OutboxMessage>>, StoreError> {
        self.read(|reader| messages::due(reader, now, limit)).await
    }

    async fn purge(&self, now: Timestamp, sessions_before: Timestamp, limit: usize) -> Result<Purged, StoreError> {
        let (answer, answered) = oneshot::channel();
        self.send(Job::Purge(Purge { now, sessions_before, limit }, answer))?;
        answered.await.map_err(|_| StoreError::from(Fault::GivenUp))?
    }

    async fn check(&self) -> Result<(), StoreError> {
        self.state.health().writable()?;
        self.read(|reader| reader.value(layout::account(AccountId::MIN).as_bytes()).map(|_| ())).await
    }

    fn facts(&self) -> StoreFacts {
        StoreFacts { kind: "sled", ..StoreFacts::default() }
    }

    async fn close(&self) -> Result<(), StoreError> {
        self.end();
        let mut ended = self.ended.clone();
        let ended = ended.wait_for(Option::is_some).await.map_err(|_| StoreError::from(Fault::GivenUp))?;
        match ended.as_ref() {
            Some(Err(fault)) => Err(StoreError(Box::new(Arc::clone(fault)))),
            Some(Ok(())) | None => Ok(()),
        }
    }
}

impl Drop for SledStore {
    fn drop(&mut self) {
        self.end();
        let Some(thread) = self.thread.take() else { return };
        // A thread that panicked has said so.
        let engine = thread.join();
        // Readers' handles first: what is left waits until the folder is free.
        self.state.show(Base::Gone(Arc::new(Fault::Closed)), false);
        drop(engine);
    }
}
