//! The one thread that writes. It takes a change that waits and everything else that has come meanwhile, decides in order
//! which of them still hold, writes them in one batch, waits until the disk has them, and only then answers.

use std::io;
use std::sync::mpsc::Receiver;
use std::sync::{Arc, PoisonError};

use mobile_bind_domain::ports::{CommitError, StoreError};
use mobile_bind_domain::{Change, Revision};
use tokio::sync::{oneshot, watch};

use crate::apply::{accounts_in, apply};
use crate::fault::{Fault, Rejection};
use crate::group::Group;
use crate::purge::{Cursor, Purge};
use crate::state::State;

/// What the thread is asked to do, and where its answer goes.
pub(crate) enum Job {
    Commit(Change, oneshot::Sender<Result<Revision, CommitError>>),
    Purge(Purge, oneshot::Sender<Result<usize, StoreError>>),
}

/// Makes the disk keep what was written to the data file.
pub(crate) type Sync = Box<dyn FnMut() -> io::Result<()> + Send>;

/// How the thread ended, once it has.
pub(crate) type Ended = watch::Receiver<Option<Result<(), Arc<Fault>>>>;

pub(crate) struct Committer {
    db: sled::Db,
    sync: Sync,
    state: Arc<State>,
    sequence: u64,
    cursor: Cursor,
    /// How many jobs a group has at most.
    group: usize,
}

/// An answer that waits for the disk.
enum Answer {
    Commit(oneshot::Sender<Result<Revision, CommitError>>, Result<Revision, Rejection>),
    Purge(oneshot::Sender<Result<usize, StoreError>>, Result<usize, Fault>),
}

impl Committer {
    pub(crate) fn new(db: sled::Db, sync: Sync, state: Arc<State>, sequence: u64, group: usize) -> Self {
        Self { db, sync, state, sequence, cursor: Cursor::default(), group }
    }

    /// Starts the thread. It ends when nobody can send it jobs any more, and those sent are done.
    pub(crate) fn spawn(mut self, jobs: Receiver<Job>) -> io::Result<(std::thread::JoinHandle<()>, Ended)> {
        let (ended, watch) = watch::channel(None);
        let thread = std::thread::Builder::new().name("mobile-bind-commit".to_owned()).spawn(move || {
            let _guard = BreakOnPanic(Arc::clone(&self.state));
            while let Ok(first) = jobs.recv() {
                let more = jobs.try_iter().take(self.group.saturating_sub(1));
                self.work_off(std::iter::once(first).chain(more));
            }
            let outcome = self.state.readable().and_then(|()| self.make_durable());
            ended.send_replace(Some(outcome.map_err(Arc::new)));
        })?;
        Ok((thread, watch))
    }

    /// One group. Everyone is answered after the write, also those turned down: what they conflict with can be
    /// loaded then, and was not undone.
    fn work_off(&mut self, jobs: impl Iterator<Item = Job>) {
        let mut group = Group::new(&self.db, self.sequence);
        let mut answers = Vec::new();
        for job in jobs {
            answers.push(match job {
                Job::Commit(change, waiter) => Answer::Commit(waiter, commit(&mut group, &change, &self.state)),
                Job::Purge(purge, waiter) => {
                    let forgotten = group.attempt(|scratch| self.cursor.advance(scratch, &purge));
                    Answer::Purge(waiter, forgotten.map(|(forgotten, _)| forgotten))
                }
            });
        }
        self.sequence = group.sequence();
        let batch = group.into_batch();
        let written = self.write(batch).map_err(|fault| {
            self.state.break_off();
            tracing::error!(error = &fault as &dyn std::error::Error, "a group of changes could not be written");
            Arc::new(fault)
        });
        for answer in answers {
            answer.send(&written);
        }
    }

    fn write(&mut self, batch: Option<sled::Batch>) -> Result<(), Fault> {
        self.state.readable()?;
        // Each group is on disk before the next begins: one that writes nothing rests on nothing that is not.
        let Some(batch) = batch else { return Ok(()) };
        {
            let _whole = self.state.applying.write().unwrap_or_else(PoisonError::into_inner);
            self.db.apply_batch(batch)?;
        }
        self.make_durable()
    }

    /// sled's `flush` hands the data to the kernel; it takes `sync_data` for it to survive a power cut. (`flush_async`
    /// hangs where many call it.)
    fn make_durable(&mut self) -> Result<(), Fault> {
        self.db.flush()?;
        Ok((self.sync)()?)
    }
}

fn commit(group: &mut Group<'_>, change: &Change, state: &State) -> Result<Revision, Rejection> {
    let (_, revision) = group.attempt(|scratch| apply(scratch, change))?;
    accounts_in(change).for_each(|id| state.note_account(id));
    Ok(revision)
}

impl Answer {
    /// A waiter that has gone away is no matter.
    fn send(self, written: &Result<(), Arc<Fault>>) {
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
        }
    }
}

/// A thread that panics, in sled say, must not leave a store that looks sound.
struct BreakOnPanic(Arc<State>);

impl Drop for BreakOnPanic {
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.0.break_off();
        }
    }
}
