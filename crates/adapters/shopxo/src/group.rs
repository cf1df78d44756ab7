//! Changes that are committed together: those that wait when a transaction may begin become one. The database's disk is waited
//! for once for all of them, and each table is written by one statement.
//!
//! They touch nothing in common, so that together they are what they would be one after the other. Where the database refuses
//! them, none is written, and each is tried by itself: so a change fails for what is wrong with it alone.

use std::collections::{HashSet, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::{OwnedSemaphorePermit, Semaphore, oneshot};
use tokio::time::timeout;

use crate::Inner;
use crate::commit::Numbered;
use crate::fault::{Fault, Rejection};

/// How many changes, and how many steps of them, are committed together at most.
const CHANGES: usize = 32;
const STEPS: usize = 1_024;

/// How many are committed by themselves at once.
const ALONE: u32 = 4;

pub(crate) type Outcome = Result<(), Rejection>;

/// A change that waits.
struct Waiting {
    change: Numbered,
    answer: oneshot::Sender<Outcome>,
}

/// The changes that wait, and how many transactions are under way.
pub(crate) struct Group {
    waiting: Mutex<VecDeque<Waiting>>,
    slots: Arc<Semaphore>,
    size: u32,
    /// Of those that could not be committed together. They are beside the others, so that a row that somebody holds keeps
    /// nobody waiting but who wants it.
    alone: Arc<Semaphore>,
}

impl Group {
    /// For so many transactions at once.
    pub(crate) fn new(size: u32) -> Self {
        let (slots, alone) = (Semaphore::new(size as usize), Semaphore::new(ALONE as usize));
        Self { waiting: Mutex::default(), slots: Arc::new(slots), size, alone: Arc::new(alone) }
    }

    fn waiting(&self) -> MutexGuard<'_, VecDeque<Waiting>> {
        // A queue is left whole by whoever panics beside it.
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn add(&self, change: Numbered, answer: oneshot::Sender<Outcome>) {
        self.waiting().push_back(Waiting { change, answer });
    }

    /// The next ones that may be committed together, in the order in which they came; those that must wait for one of them,
    /// or for one that waits itself, stay.
    fn take(&self) -> Vec<Waiting> {
        let mut queue = self.waiting();
        let mut taken: Vec<Waiting> = Vec::new();
        let (mut left, mut touched, mut steps) = (VecDeque::new(), HashSet::new(), 0);
        while let Some(next) = queue.pop_front() {
            if next.answer.is_closed() {
                // Nobody waits for it any more, and it was not begun.
                continue;
            }
            let fits = taken.is_empty() || steps + next.change.len() <= STEPS;
            let meets = !touched.is_disjoint(next.change.touches());
            touched.extend(next.change.touches());
            if !fits || meets {
                left.push_back(next);
                continue;
            }
            steps += next.change.len();
            taken.push(next);
            if taken.len() == CHANGES {
                break;
            }
        }
        left.append(&mut queue);
        *queue = left;
        taken
    }

    /// The revisions of what is next; it is taken.
    #[cfg(test)]
    pub(crate) fn next(&self) -> Vec<u64> {
        self.take().iter().map(|waiting| waiting.change.revision().0).collect()
    }

    /// Waits until no transaction is under way, and lets none begin.
    pub(crate) async fn end(&self) {
        for (slots, size) in [(&self.slots, self.size), (&self.alone, ALONE)] {
            // It is closed where another has ended it.
            if let Ok(all) = slots.acquire_many(size).await {
                all.forget();
            }
            slots.close();
        }
    }
}

/// Commits a change, together with those that wait beside it. Takes no longer than the options' timeout.
pub(crate) async fn commit(inner: &Arc<Inner>, change: Numbered) -> Outcome {
    let (answer, mut answered) = oneshot::channel();
    inner.group.add(change, answer);
    let committed = async {
        tokio::select! {
            biased;
            outcome = &mut answered => return outcome.unwrap_or(Err(Fault::Closed.into())),
            slot = Arc::clone(&inner.group.slots).acquire_owned() => {
                let slot = slot.map_err(|_| Fault::Closed)?;
                // By itself: whoever asked for one of the changes may go away meanwhile.
                tokio::spawn(work(Arc::clone(inner), slot));
            }
        }
        answered.await.unwrap_or(Err(Fault::Closed.into()))
    };
    timeout(inner.options.timeout, committed).await.unwrap_or(Err(Fault::Timeout.into()))
}

async fn work(inner: Arc<Inner>, _slot: OwnedSemaphorePermit) {
    loop {
        let taken = inner.group.take();
        if taken.is_empty() {
            return;
        }
        run(&inner, taken).await;
    }
}

async fn run(inner: &Arc<Inner>, mut taken: Vec<Waiting>) {
    let changes: Vec<&Numbered> = taken.iter().map(|waiting| &waiting.change).collect();
    let outcome = inner.run(&changes).await;
    // Whoever asked may have gone away; what was committed stands.
    if taken.len() <= 1 {
        if let Some(waiting) = taken.pop() {
            drop(waiting.answer.send(outcome));
        }
        return;
    }
    let Err(rejection) = outcome else {
        taken.into_iter().for_each(|waiting| drop(waiting.answer.send(Ok(()))));
        return;
    };
    let shared = if let Rejection::Fault(fault) = &rejection { fault.shared() } else { None };
    for waiting in taken {
        match shared.as_ref().and_then(Fault::shared) {
            Some(fault) => drop(waiting.answer.send(Err(fault.into()))),
            None => drop(tokio::spawn(run_alone(Arc::clone(inner), waiting))),
        }
    }
}

async fn run_alone(inner: Arc<Inner>, Waiting { change, answer }: Waiting) {
    let Ok(_slot) = inner.group.alone.acquire().await else { return };
    if !answer.is_closed() {
        drop(answer.send(inner.run(&[&change]).await));
    }
}
