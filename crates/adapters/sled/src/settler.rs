//! The thread that puts into the database what the journal has.
//!
//! It gets everything that a segment of the journal holds, the last state of each entry, merges it in, in the order of the
//! keys, and synchronises the database with the disk; then the segment is free. Where that fails nothing is lost: the
//! journal has it, readers see it in memory, and changes are refused until it succeeds. sled keeps its first I/O error until
//! it is opened again, so that is done first.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use crate::fault::Fault;
use crate::journal::Point;
use crate::measured;
use crate::priority;
use crate::recent::Recent;
use crate::recovery::Engine;
use crate::state::State;

/// How long after a failure it is tried again.
const RETRY: Duration = Duration::from_secs(1);

/// How many changes are put into the database between two looks at the clock.
const STEP: usize = 128;

/// How much further the database is to be than the segment that is being written meanwhile.
const LEAD: usize = 2;

/// How long it rests at most, a little at a time, for the segment to fill up.
const REST: Duration = Duration::from_millis(2);
const RESTS: usize = 10;

/// What is to be put into the database.
struct Settlement {
    changes: Arc<Recent>,
    /// Where the database is after it.
    point: Point,
}

/// The thread, seen from the one that writes the journal.
pub(crate) struct Settler {
    settlements: Option<SyncSender<Settlement>>,
    progress: Arc<Progress>,
    state: Arc<State>,
    thread: Option<JoinHandle<Engine>>,
}

/// How far the thread is.
#[derive(Default)]
struct Progress {
    now: Mutex<Now>,
    changed: Condvar,
    /// How full the segment is that is being written, in thousandths.
    filled: AtomicUsize,
}

#[derive(Default)]
struct Now {
    busy: bool,
    /// Whether somebody waits for it.
    hurried: bool,
    /// Whether the last try failed.
    failing: bool,
    /// Whether it is to leave what fails to the next start.
    ended: bool,
}

impl Progress {
    fn lock(&self) -> MutexGuard<'_, Now> {
        self.now.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Rests while the work is well ahead of what is being written: done at once, it would keep requests waiting, and they
    /// have all the time that the next segment takes. It goes on slowly where nothing is written at all.
    fn keep_pace(&self, done: usize, of: usize) {
        for _ in 0..RESTS {
            let filled = self.filled.load(Ordering::Relaxed);
            if done.saturating_mul(1000) <= filled.saturating_mul(LEAD).saturating_mul(of) {
                return;
            }
            let rest = |now: &mut Now| !now.ended && !now.hurried;
            let rested =
                self.changed.wait_timeout_while(self.lock(), REST, rest).unwrap_or_else(PoisonError::into_inner);
            if rested.0.ended || rested.0.hurried {
                return;
            }
        }
    }

    fn change(&self, change: impl FnOnce(&mut Now)) {
        change(&mut self.lock());
        self.changed.notify_all();
    }
}

impl Settler {
    /// Starts the thread over a database.
    ///
    /// # Errors
    /// Where there can be no thread.
    pub(crate) fn start(engine: Engine, state: Arc<State>) -> std::io::Result<Self> {
        let (settlements, waiting) = sync_channel(1);
        let progress = Arc::new(Progress::default());
        let worker = Worker { engine, state: Arc::clone(&state), progress: Arc::clone(&progress) };
        let work = move || worker.work(&waiting);
        let thread = std::thread::Builder::new().name("mobile-bind-settle".to_owned()).spawn(work)?;
        Ok(Self { settlements: Some(settlements), progress, state, thread: Some(thread) })
    }

    /// Whether everything that was handed over is in the database.
    pub(crate) fn is_idle(&self) -> bool {
        !self.progress.lock().busy
    }

    /// Waits until everything that was handed over is in the database.
    ///
    /// # Errors
    /// Where it cannot be put there now.
    pub(crate) fn wait(&self) -> Result<(), Arc<Fault>> {
        self.progress.change(|now| now.hurried = now.busy);
        let waited = self.progress.changed.wait_while(self.progress.lock(), |now| now.busy && !now.failing);
        if waited.unwrap_or_else(PoisonError::into_inner).busy {
            let health = self.state.health();
            return Err(health.down().cloned().unwrap_or_else(|| Arc::new(Fault::Reopening)));
        }
        Ok(())
    }

    /// Notes how full the segment is that is being written, in thousandths.
    pub(crate) fn note_filled(&self, thousandths: usize) {
        self.progress.filled.store(thousandths, Ordering::Relaxed);
    }

    /// Hands over what was written since the last time; the thread must be idle.
    pub(crate) fn settle(&self, point: Point) {
        let changes = {
            let mut view = self.state.view_mut();
            // The next one will be about as large: growing takes time while nobody can read.
            let next = Recent::with_capacity(view.recent.len());
            let changes = Arc::new(std::mem::replace(&mut view.recent, next));
            view.settling = Some(Arc::clone(&changes));
            changes
        };
        self.progress.change(|now| now.busy = true);
        // It fails where the thread has ended, which panics do: the store is broken then, and says so.
        if let Some(settlements) = &self.settlements {
            let _ = settlements.send(Settlement { changes, point });
        }
    }

    /// Ends the thread, with what it does where that succeeds, and answers the database.
    pub(crate) fn end(mut self) -> Option<Engine> {
        self.stop()
    }

    fn stop(&mut self) -> Option<Engine> {
        self.settlements = None;
        self.progress.change(|now| now.ended = true);
        self.thread.take()?.join().ok()
    }
}

impl Drop for Settler {
    fn drop(&mut self) {
        self.stop();
    }
}

struct Worker {
    engine: Engine,
    state: Arc<State>,
    progress: Arc<Progress>,
}

impl Worker {
    fn work(mut self, settlements: &Receiver<Settlement>) -> Engine {
        let _guard = BreakOnPanic(Arc::clone(&self.state));
        priority::lower();
        for settlement in settlements {
            if !self.settle(&settlement) {
                break;
            }
            self.state.view_mut().settling = None;
            self.progress.change(|now| *now = Now { ended: now.ended, ..Now::default() });
        }
        self.engine
    }

    /// Tries until it succeeds; `false` where nobody waits for that any more.
    fn settle(&mut self, settlement: &Settlement) -> bool {
        let began = measured::now();
        let progress = Arc::clone(&self.progress);
        let count = settlement.changes.len();
        let mut next = STEP;
        let mut keep_pace = |done: usize| {
            if done >= next {
                next = done + STEP;
                progress.keep_pace(done, count);
            }
        };
        while let Err(fault) = self.engine.settle(&settlement.changes, settlement.point, &self.state, &mut keep_pace) {
            tracing::error!(error = &*fault as &dyn std::error::Error, "changes could not be put into the database");
            self.note(fault);
            self.progress.change(|now| now.failing = true);
            let rest = |now: &mut Now| !now.ended;
            let rested = self.progress.changed.wait_timeout_while(self.progress.lock(), RETRY, rest);
            if rested.unwrap_or_else(PoisonError::into_inner).0.ended {
                return false;
            }
        }
        measured::settled(settlement.changes.len(), began.elapsed());
        // First this: who learns that it works again must not be turned away for a failure that is over.
        self.progress.change(|now| now.failing = false);
        self.state.database(None);
        true
    }
}

impl Worker {
    /// What failed first says more than that there is still no room.
    fn note(&self, fault: Arc<Fault>) {
        let known = self.state.health().down().is_some();
        if !known || !matches!(*fault, Fault::NoRoom(_)) {
            self.state.database(Some(fault));
        }
    }
}

/// A thread that panics must not leave a store that looks sound.
pub(crate) struct BreakOnPanic(pub(crate) Arc<State>);

impl Drop for BreakOnPanic {
    fn drop(&mut self) {
        if std::thread::panicking() {
            let fault = Arc::new(Fault::Panicked);
            self.0.database(Some(Arc::clone(&fault)));
            self.0.show(crate::view::Base::Gone(fault), false);
        }
    }
}
