//! Writing the journal. One thread takes a change that waits and everything else that has come meanwhile, decides in order
//! which of them still hold, writes them as one group, waits until the disk has it, and only then shows it to readers and
//! answers. What the journal holds goes on to the database behind its back (`settler.rs`). A change that comes alone is
//! written by whoever brings it (`alone.rs`).

use std::io;
use std::path::{Path, PathBuf};
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use mobile_bind_domain::ports::{CommitError, Purged, StoreError};
use mobile_bind_domain::{Change, Revision};
use tokio::sync::{oneshot, watch};

use crate::Options;
use crate::alone::Pulse;
use crate::apply::{accounts_in, apply};
use crate::backup::{self, BackedUp};
use crate::fault::{Fault, Rejection};
use crate::group::{Group, Prepared};
use crate::journal::{Journal, Point};
use crate::measured;
use crate::purge::{Cursor, Purge};
use crate::recovery::Engine;
use crate::settler::{BreakOnPanic, Settler};
use crate::state::State;
use crate::view::caught;

/// How long after a failure the journal is tried again.
const RETRY: Duration = Duration::from_secs(1);

/// A change has far fewer bytes than that, nearly always.
const ORDINARY: usize = 64 << 10;

/// A group that has so many bytes takes no more changes.
const GROUP_BYTES: usize = 1 << 20;

/// What the thread is asked to do, and where its answer goes.
pub(crate) enum Job {
    Commit(Change, oneshot::Sender<Result<Revision, CommitError>>),
    Purge(Purge, oneshot::Sender<Result<Purged, StoreError>>),
    Backup(PathBuf, oneshot::Sender<Result<BackedUp, StoreError>>),
    /// To look after what somebody else has written.
    LookAfter,
}

/// How the thread ended, once it has.
pub(crate) type Ended = watch::Receiver<Option<Result<(), Arc<Fault>>>>;

/// The thread; it leaves behind what is to be dropped when nobody reads any more.
pub(crate) type Thread = JoinHandle<Option<Engine>>;

/// The one that writes the journal, until the store is closed.
#[derive(Clone)]
pub(crate) struct Shared(Arc<Mutex<Option<Committer>>>);

impl Shared {
    pub(crate) fn new(committer: Committer) -> Self {
        Self(Arc::new(Mutex::new(Some(committer))))
    }

    fn lock(&self) -> MutexGuard<'_, Option<Committer>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// It, unless it is at work.
    pub(crate) fn try_lock(&self) -> Option<MutexGuard<'_, Option<Committer>>> {
        self.0.try_lock().ok()
    }

    /// Starts the thread. It ends when nobody can send it jobs any more, and those sent are done.
    pub(crate) fn spawn(self, state: Arc<State>, jobs: Receiver<Job>) -> io::Result<(Thread, Ended)> {
        let (ended, watch) = watch::channel(None);
        let thread = std::thread::Builder::new().name("mobile-bind-commit".to_owned()).spawn(move || {
            let _guard = BreakOnPanic(state);
            while self.next(&jobs) {}
            let committer = self.lock().take();
            let (outcome, engine) = committer.map_or((Ok(()), None), Committer::finish);
            ended.send_replace(Some(outcome));
            engine
        })?;
        Ok((thread, watch))
    }

    /// Does what comes next; `false` where nothing can come any more.
    fn next(&self, jobs: &Receiver<Job>) -> bool {
        let patience = self.lock().as_mut().and_then(Committer::patience);
        let job = match patience {
            Some(patience) => jobs.recv_timeout(patience),
            None => jobs.recv().map_err(|_| RecvTimeoutError::Disconnected),
        };
        let mut committer = self.lock();
        match (job, committer.as_mut()) {
            (Ok(job), Some(committer)) => committer.work_off(job, || jobs.try_recv().ok()),
            (Err(RecvTimeoutError::Timeout), Some(committer)) => committer.rest(),
            _ => return false,
        }
        true
    }
}

pub(crate) struct Committer {
    folder: PathBuf,
    options: Options,
    state: Arc<State>,
    journal: Journal,
    settler: Settler,
    /// Why the journal cannot be written.
    broken: Option<Arc<Fault>>,
    /// Whether the thread looks at the journal by itself before long.
    pub(crate) looked_after: bool,
    /// How the last groups went.
    pub(crate) pulse: Pulse,
    /// The sequence of the last change, also where it did not reach the disk: no revision is given twice.
    sequence: u64,
    cursor: Cursor,
}

/// An answer that waits for the disk.
enum Answer {
    Commit(oneshot::Sender<Result<Revision, CommitError>>, Result<Revision, Rejection>),
    Purge(oneshot::Sender<Result<Purged, StoreError>>, Result<Purged, Fault>),
}

impl Committer {
    pub(crate) fn new(folder: &Path, options: Options, journal: Journal, settler: Settler, state: Arc<State>) -> Self {
        let sequence = journal.last().sequence;
        let (folder, cursor) = (folder.to_owned(), Cursor::default());
        let (looked_after, pulse) = (false, Pulse::default());
        Self { folder, options, state, journal, settler, broken: None, looked_after, pulse, sequence, cursor }
    }

    /// What the thread waits for besides jobs, if anything.
    fn patience(&mut self) -> Option<Duration> {
        let patience = match &self.broken {
            Some(_) => Some(RETRY),
            None if self.journal.wants_mark() => Some(self.options.mark_after),
            None => None,
        };
        self.looked_after = patience.is_some();
        patience
    }

    /// Nothing has come for a while.
    fn rest(&mut self) {
        if self.broken.is_some() { self.mend() } else { self.mark() }
    }

    /// One group, or what stands alone.
    pub(crate) fn work_off(&mut self, first: Job, more: impl FnMut() -> Option<Job>) {
        if matches!(first, Job::LookAfter) {
            return;
        }
        if let Some(fault) = self.down() {
            return first.refuse(&fault);
        }
        let mut next = Some(first);
        let mut answers = Vec::new();
        let written = self.write_group(&mut next, more, &mut answers);
        if let Err(fault) = &written {
            tracing::error!(error = &**fault as &dyn std::error::Error, "a group of changes could not be written");
        }
        for answer in answers {
            answer.send(&written);
        }
        match (next, &written) {
            (Some(job), Err(fault)) => job.refuse(fault),
            (Some(Job::Backup(to, waiter)), Ok(())) => {
                // A waiter that has gone away is no matter.
                let _ = waiter.send(self.back_up(&to).map_err(|fault| StoreError(Box::new(fault))));
            }
            _ => {}
        }
        if self.broken.is_some() {
            self.mend();
        }
    }

    fn down(&self) -> Option<Arc<Fault>> {
        self.state.health().down().cloned()
    }

    /// Everyone is answered after the write, also those turned down: what they conflict with can be loaded then, and was
    /// not undone. Leaves in `next` what is not for a group.
    fn write_group(
        &mut self,
        next: &mut Option<Job>,
        mut more: impl FnMut() -> Option<Job>,
        answers: &mut Vec<Answer>,
    ) -> Result<(), Arc<Fault>> {
        let last = Point { sequence: self.sequence, ..self.journal.last() };
        let state = Arc::clone(&self.state);
        let prepared = caught(|| {
            state.view().read(|reader| {
                let mut group = Group::new(reader, last);
                while let Some(job) = next.take() {
                    match job {
                        Job::Commit(change, waiter) => {
                            answers.push(Answer::Commit(waiter, commit(&mut group, &change, &state)));
                        }
                        Job::Purge(purge, waiter) => {
                            let purged = group.attempt(|scratch| self.cursor.advance(scratch, &purge));
                            answers.push(Answer::Purge(waiter, purged.map(|(purged, _)| purged)));
                        }
                        Job::LookAfter => {}
                        Job::Backup(..) => {
                            *next = Some(job);
                            break;
                        }
                    }
                    if answers.len() < self.options.group && group.bytes() < GROUP_BYTES {
                        *next = more();
                    }
                }
                self.sequence = group.sequence();
                group.prepare()
            })
        });
        // Each group is on disk before the next begins: one that writes nothing rests on nothing that is not.
        let Some(Prepared { changes, bytes, point }) = prepared.map_err(Arc::new)? else { return Ok(()) };
        let began = measured::now();
        self.make_room(bytes)?;
        if let Err(fault) = caught(|| self.journal.append(point, &changes).map_err(Fault::Journal)) {
            return Err(self.breaks(fault));
        }
        self.state.view_mut().recent.extend(changes);
        self.settler.note_filled(self.journal.filled());
        let took = began.elapsed();
        self.pulse.beat(answers.len(), took);
        measured::group(answers.len(), took);
        Ok(())
    }

    /// Whether a change of ordinary size can be written without waiting for anybody.
    pub(crate) fn is_ready(&self) -> bool {
        self.broken.is_none() && self.journal.has_room(ORDINARY)
    }

    /// Goes on in the other segment where this one has no room, and hands this one's changes over.
    fn make_room(&mut self, bytes: usize) -> Result<(), Arc<Fault>> {
        if self.journal.has_room(bytes) { Ok(()) } else { self.turn(false) }
    }

    fn turn(&mut self, closed: bool) -> Result<(), Arc<Fault>> {
        self.settler.wait()?;
        self.settler.settle(self.journal.last());
        self.settler.note_filled(0);
        self.journal.turn(closed).map_err(|error| self.breaks(Fault::Journal(error)))
    }

    fn mark(&mut self) {
        if let Err(error) = self.journal.mark() {
            self.breaks(Fault::Journal(error));
        }
    }

    /// What was written last may be on disk or not: nothing may be written after it.
    fn breaks(&mut self, fault: Fault) -> Arc<Fault> {
        let fault = Arc::new(fault);
        self.broken = Some(Arc::clone(&fault));
        self.state.journal(Some(Arc::clone(&fault)));
        fault
    }

    /// Leaves the segment that could not be written: what failed in it is void as soon as the next one's header is on disk.
    fn mend(&mut self) {
        if !self.settler.is_idle() {
            return;
        }
        self.settler.settle(self.journal.last());
        let turned = caught(|| {
            self.journal.turn(false).map_err(Fault::Journal)?;
            self.journal.sync().map_err(Fault::Journal)
        });
        match turned {
            Ok(()) => {
                self.broken = None;
                self.state.journal(None);
                tracing::info!("the journal can be written again");
            }
            Err(fault) => {
                tracing::debug!(error = &fault as &dyn std::error::Error, "the journal cannot be written yet");
            }
        }
    }

    /// Leaves the folder so that it opens fast, and with nothing to be gone through.
    fn finish(self) -> (Result<(), Arc<Fault>>, Option<Engine>) {
        let Self { state, mut journal, settler, broken, .. } = self;
        let down = state.health().down().cloned();
        if let Some(fault) = broken.or(down) {
            return (Err(fault), settler.end());
        }
        let settled = settler.wait().and_then(|()| {
            if journal.is_empty() {
                return Ok(());
            }
            settler.settle(journal.last());
            settler.wait()
        });
        let mut engine = settler.end();
        let checkpoint = || {
            settled?;
            engine.as_mut().map_or(Ok(()), |engine| engine.checkpoint(&state))?;
            journal.turn(true).and_then(|()| journal.sync()).map_err(|error| Arc::new(Fault::Journal(error)))
        };
        // Everything is on disk all the same.
        if let Err(fault) = checkpoint() {
            tracing::warn!(error = &*fault as &dyn std::error::Error, "the next start goes through the whole store");
        }
        (Ok(()), engine)
    }

    /// Copies the folder while nothing is written to it.
    fn back_up(&self, to: &Path) -> Result<BackedUp, Arc<Fault>> {
        self.settler.wait()?;
        backup::copy(&self.folder, to).map_err(|error| Arc::new(Fault::Backup(error)))?;
        Ok(BackedUp { sequence: self.journal.last().sequence })
    }
}

fn commit(group: &mut Group<'_>, change: &Change, state: &State) -> Result<Revision, Rejection> {
    let (_, revision) = group.attempt(|scratch| apply(scratch, change))?;
    accounts_in(change).for_each(|id| state.note_account(id));
    Ok(revision)
}

impl Job {
    /// The answer to a job that is not even tried.
    fn refuse(self, fault: &Arc<Fault>) {
        let error = || StoreError(Box::new(Arc::clone(fault)));
        // A waiter that has gone away is no matter.
        match self {
            Self::Commit(_, waiter) => drop(waiter.send(Err(error().into()))),
            Self::Purge(_, waiter) => drop(waiter.send(Err(error()))),
            Self::Backup(_, waiter) => drop(waiter.send(Err(error()))),
            Self::LookAfter => {}
        }
    }
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
