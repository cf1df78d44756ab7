//! The one thread that writes. It takes a change that waits and everything else that has come meanwhile, decides in order
//! which of them still hold, writes them in one batch, waits until the disk has them, and only then answers. Where the
//! disk fails it answers so, and opens the folder again as soon as it can.

use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::sync::{Arc, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use mobile_bind_domain::ports::{CommitError, StoreError};
use mobile_bind_domain::{Change, Revision};
use tokio::sync::{oneshot, watch};

use crate::Options;
use crate::apply::{accounts_in, apply};
use crate::backup::{self, BackedUp};
use crate::digest::Digest;
use crate::fault::{Fault, Rejection};
use crate::group::{Group, Prepared};
use crate::measured;
use crate::note::Noted;
use crate::open::Opened;
use crate::purge::{Cursor, Purge};
use crate::recovery::{Engine, checkpoint};
use crate::state::{Phase, State};
use crate::view::{Before, View, caught};

/// How long after a failure the folder is tried again.
const RETRY: Duration = Duration::from_secs(1);

/// What the thread is asked to do, and where its answer goes.
pub(crate) enum Job {
    Commit(Change, oneshot::Sender<Result<Revision, CommitError>>),
    Purge(Purge, oneshot::Sender<Result<usize, StoreError>>),
    Backup(PathBuf, oneshot::Sender<Result<BackedUp, StoreError>>),
}

/// Makes the disk keep what was written to the data file.
pub(crate) type Sync = Box<dyn FnMut(&File) -> io::Result<()> + Send>;

/// How the thread ended, once it has.
pub(crate) type Ended = watch::Receiver<Option<Result<(), Arc<Fault>>>>;

/// The thread; it leaves behind what is to be dropped when nobody reads any more.
pub(crate) type Thread = JoinHandle<Option<Opened>>;

pub(crate) struct Committer {
    folder: PathBuf,
    options: Options,
    sync: Sync,
    state: Arc<State>,
    engine: Engine,
    /// Why there is no writing.
    down: Option<Arc<Fault>>,
    /// The sequence of the last change, also where it did not reach the disk: no revision is given twice.
    sequence: u64,
    digest: Digest,
    /// Whether anything was written since the start.
    written: bool,
    cursor: Cursor,
}

/// An answer that waits for the disk.
enum Answer {
    Commit(oneshot::Sender<Result<Revision, CommitError>>, Result<Revision, Rejection>),
    Purge(oneshot::Sender<Result<usize, StoreError>>, Result<usize, Fault>),
    /// Where to, and who asked.
    Backup(PathBuf, oneshot::Sender<Result<BackedUp, StoreError>>),
}

impl Committer {
    pub(crate) fn new(folder: &Path, options: Options, opened: Opened, sync: Sync, state: Arc<State>) -> Self {
        let (sequence, digest) = (opened.database.sequence, opened.database.digest);
        Self {
            folder: folder.to_owned(),
            options,
            sync,
            state,
            engine: Engine { opened: Some(opened), stale: false },
            down: None,
            sequence,
            digest,
            written: false,
            cursor: Cursor::default(),
        }
    }

    /// Starts the thread. It ends when nobody can send it jobs any more, and those sent are done.
    pub(crate) fn spawn(mut self, jobs: Receiver<Job>) -> io::Result<(Thread, Ended)> {
        let (ended, watch) = watch::channel(None);
        let thread = std::thread::Builder::new().name("mobile-bind-commit".to_owned()).spawn(move || {
            let _guard = BreakOnPanic(Arc::clone(&self.state));
            loop {
                let first = match self.down {
                    None => jobs.recv().map_err(|_| RecvTimeoutError::Disconnected),
                    Some(_) => jobs.recv_timeout(RETRY),
                };
                match first {
                    Ok(first) => {
                        let more = jobs.try_iter().take(self.options.group.saturating_sub(1));
                        self.work_off(std::iter::once(first).chain(more));
                    }
                    Err(RecvTimeoutError::Timeout) => self.recover(),
                    Err(RecvTimeoutError::Disconnected) => break,
                }
            }
            self.finish();
            ended.send_replace(Some(self.down.take().map_or(Ok(()), Err)));
            self.engine.opened
        })?;
        Ok((thread, watch))
    }

    /// One group. Everyone is answered after the write, also those turned down: what they conflict with can be
    /// loaded then, and was not undone.
    fn work_off(&mut self, jobs: impl Iterator<Item = Job>) {
        let mut answers = Vec::new();
        let written = match &self.down {
            Some(fault) => {
                answers.extend(jobs.map(Answer::refused));
                Err(Arc::clone(fault))
            }
            None => self.write_group(jobs, &mut answers),
        };
        let failed = written.is_err() && self.down.is_none();
        if failed && let Err(fault) = &written {
            tracing::error!(error = &**fault as &dyn std::error::Error, "a group of changes could not be written");
            self.state.enter(Phase::Down(Arc::clone(fault)));
            self.down = Some(Arc::clone(fault));
        }
        for answer in answers {
            answer.send(&written, self);
        }
        if failed {
            self.recover();
        }
    }

    fn write_group(&mut self, jobs: impl Iterator<Item = Job>, answers: &mut Vec<Answer>) -> Result<(), Arc<Fault>> {
        let Some(engine) = &self.engine.opened else { return Err(Arc::new(Fault::Reopening)) };
        let prepared = caught(|| {
            let mut group = Group::new(&engine.database.db, self.sequence);
            for job in jobs {
                answers.push(match job {
                    Job::Commit(change, waiter) => Answer::Commit(waiter, commit(&mut group, &change, &self.state)),
                    Job::Purge(purge, waiter) => {
                        let forgotten = group.attempt(|scratch| self.cursor.advance(scratch, &purge));
                        Answer::Purge(waiter, forgotten.map(|(forgotten, _)| forgotten))
                    }
                    Job::Backup(to, waiter) => Answer::Backup(to, waiter),
                });
            }
            self.sequence = group.sequence();
            group.prepare(self.digest)
        });
        // Each group is on disk before the next begins: one that writes nothing rests on nothing that is not.
        let Some(Prepared { batch, before, digest }) = prepared.map_err(Arc::new)? else { return Ok(()) };
        let began = measured::now();
        if let Err(fault) = caught(|| self.write(batch, digest)) {
            self.hide(before);
            return Err(Arc::new(fault));
        }
        measured::group(answers.len(), began.elapsed());
        self.digest = digest;
        self.written = true;
        Ok(())
    }

    fn write(&mut self, batch: sled::Batch, digest: Digest) -> Result<(), Fault> {
        let Some(engine) = &mut self.engine.opened else { return Err(Fault::Reopening) };
        {
            let _whole = self.state.view.write().unwrap_or_else(PoisonError::into_inner);
            engine.database.db.apply_batch(batch)?;
        }
        // sled's `flush` hands the data to the kernel; it takes `sync_data` for it to survive a power cut. (`flush_async`
        // hangs where many call it.)
        engine.watchdog.flush()?;
        (self.sync)(&engine.database.data_file).map_err(Fault::Sync)?;
        let noted = Noted { sequence: self.sequence, digest, closed: false };
        engine.note.write(noted).map_err(Fault::Note)
    }

    /// Shows readers what was there before a group that failed.
    fn hide(&mut self, before: Before) {
        self.engine.stale = true;
        if let Some(engine) = &self.engine.opened {
            self.state.show(View::Of(engine.database.db.clone(), before));
        }
    }

    /// Gets back to work, where that is possible.
    fn recover(&mut self) {
        let restored = self.engine.restore(&self.folder, &self.options, &self.state);
        if let Engine { opened: Some(opened), stale: false } = &self.engine {
            self.sequence = self.sequence.max(opened.database.sequence);
            self.digest = opened.database.digest;
        }
        match restored {
            Ok(()) => {
                self.down = None;
                self.state.enter(Phase::Open);
                tracing::info!("the store is open for writing again");
            }
            Err(fault) => {
                tracing::debug!(error = &*fault as &dyn std::error::Error, "the store stays closed for writing");
                // What failed first says more than that there is still no room.
                if !matches!(*fault, Fault::NoRoom(_)) {
                    self.down = Some(Arc::clone(&fault));
                }
                self.state.enter(Phase::Down(self.down.clone().unwrap_or(fault)));
            }
        }
    }

    /// Leaves the folder so that it opens fast, and with nothing to be gone through.
    fn finish(&mut self) {
        if self.down.is_some() || !self.written {
            return;
        }
        let Some(opened) = self.engine.opened.take() else { return };
        match checkpoint(&self.folder, &self.options, &self.state, opened) {
            Ok(mut opened) => {
                let noted = Noted { sequence: opened.database.sequence, digest: opened.database.digest, closed: true };
                if let Err(error) = opened.note.write(noted).and_then(|()| opened.note.sync()) {
                    tracing::warn!(%error, "the next start goes through the whole store");
                }
                self.engine.opened = Some(opened);
            }
            // Everything is on disk all the same.
            Err(error) => {
                tracing::warn!(error = &*error as &dyn std::error::Error, "the store was closed without a checkpoint")
            }
        }
    }

    fn back_up(&self, to: &Path) -> Result<BackedUp, Fault> {
        backup::copy(&self.folder, to).map_err(Fault::Backup)?;
        Ok(BackedUp { sequence: self.sequence })
    }
}

fn commit(group: &mut Group<'_>, change: &Change, state: &State) -> Result<Revision, Rejection> {
    let (_, revision) = group.attempt(|scratch| apply(scratch, change))?;
    accounts_in(change).for_each(|id| state.note_account(id));
    Ok(revision)
}

impl Answer {
    /// The answer to a job that is not even tried; what is in it does not matter.
    fn refused(job: Job) -> Self {
        match job {
            Job::Commit(_, waiter) => Self::Commit(waiter, Err(Rejection::Conflict)),
            Job::Purge(_, waiter) => Self::Purge(waiter, Ok(0)),
            Job::Backup(to, waiter) => Self::Backup(to, waiter),
        }
    }

    /// A waiter that has gone away is no matter.
    fn send(self, written: &Result<(), Arc<Fault>>, committer: &Committer) {
        let failed = written.as_ref().err().map(|fault| StoreError(Box::new(Arc::clone(fault))));
        match self {
            Self::Commit(waiter, outcome) => {
                let outcome = outcome.map_err(CommitError::from);
                let _ = waiter.send(failed.map_or(outcome, |error| Err(error.into())));
            }
            Self::Purge(waiter, outcome) => {
                let outcome = outcome.map_err(StoreError::from);
                let _ = waiter.send(failed.map_or(outcome, Err));
            }
            Self::Backup(to, waiter) => {
                let outcome = failed.map_or_else(|| committer.back_up(&to).map_err(StoreError::from), Err);
                let _ = waiter.send(outcome);
            }
        }
    }
}

/// A thread that panics must not leave a store that looks sound.
struct BreakOnPanic(Arc<State>);

impl Drop for BreakOnPanic {
    fn drop(&mut self) {
        if std::thread::panicking() {
            let fault = Arc::new(Fault::Panicked);
            self.0.enter(Phase::Down(Arc::clone(&fault)));
            self.0.show(View::Gone(fault));
        }
    }
}
