//! Changes that are committed together: those that wait when a transaction may begin become one. A disk is waited for once
//! for all of them, and each table is written by one statement.
//!
//! They touch nothing in common, so that together they are what they would be one after the other. Where the database refuses
//! them, none is written, and each is tried by itself: so a change fails for what is wrong with it alone.

use std::collections::{HashSet, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use deadpool_postgres::Client;
use mobile_bind_domain::{Change, Revision};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, oneshot};
use tokio::task::yield_now;
use tokio::time::{sleep, timeout};

use crate::Inner;
use crate::commit::{self, Steps};
use crate::fault::{Fault, Rejection};

/// How many changes, and how many rows of them, are committed together at most.
const CHANGES: usize = 64;
const ROWS: usize = 2_048;

pub(crate) type Outcome = Result<(), Rejection>;

/// A change that waits.
struct Waiting {
    change: Change,
    revision: Revision,
    steps: Steps,
    answer: oneshot::Sender<Outcome>,
}

/// How long a change waits for the transaction before it until it goes past: several times as long as one takes that waits for
/// nobody else.
const PATIENCE: Duration = Duration::from_millis(50);

/// The changes that wait, and whether a transaction is under way. There is one at a time, so that as many changes as can be
/// share each; where it is kept waiting, by a lock of another node's, one more goes past it.
pub(crate) struct Group {
    waiting: Mutex<VecDeque<Waiting>>,
    turn: Arc<Semaphore>,
    way_past: Arc<Semaphore>,
}

impl Group {
    /// Nothing waits.
    pub(crate) fn new() -> Self {
        let one = || Arc::new(Semaphore::new(1));
        Self { waiting: Mutex::default(), turn: one(), way_past: one() }
    }

    fn waiting(&self) -> MutexGuard<'_, VecDeque<Waiting>> {
        // A queue is left whole by whoever panics beside it.
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn add(&self, change: Change, revision: Revision, steps: Steps, answer: oneshot::Sender<Outcome>) {
        self.waiting().push_back(Waiting { change, revision, steps, answer });
    }

    /// The next ones that may be committed together, in the order in which they came; those that must wait for one of them,
    /// or for one that waits itself, stay.
    fn take(&self) -> Vec<Waiting> {
        let mut queue = self.waiting();
        let mut taken: Vec<Waiting> = Vec::new();
        let (mut left, mut touched, mut rows) = (VecDeque::new(), HashSet::new(), 0);
        while let Some(next) = queue.pop_front() {
            if next.answer.is_closed() {
                // Nobody waits for it any more, and it was not begun.
                continue;
            }
            let fits = taken.is_empty() || (next.steps.is_regular() && rows + next.steps.len() <= ROWS);
            let meets = !touched.is_disjoint(next.steps.touches());
            touched.extend(next.steps.touches());
            if !fits || meets {
                left.push_back(next);
                continue;
            }
            rows += next.steps.len();
            let is_alone = !next.steps.is_regular();
            taken.push(next);
            if is_alone || taken.len() == CHANGES {
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
        self.take().iter().map(|waiting| waiting.revision.0).collect()
    }

    /// Waits until no transaction is under way, and lets none begin.
    pub(crate) async fn end(&self) {
        for slot in [&self.turn, &self.way_past] {
            // It is closed where another has ended it.
            if let Ok(taken) = slot.acquire().await {
                taken.forget();
            }
            slot.close();
        }
    }
}

/// Commits a change, together with those that wait beside it. Takes no longer than the options' timeout.
pub(crate) async fn commit(inner: &Arc<Inner>, change: Change, revision: Revision, steps: Steps) -> Outcome {
    let (answer, mut answered) = oneshot::channel();
    inner.group.add(change, revision, steps, answer);
    let group = &inner.group;
    let way_past = async {
        sleep(PATIENCE).await;
        Arc::clone(&group.way_past).acquire_owned().await
    };
    let committed = async {
        // By itself: whoever asked for one of the changes may go away meanwhile.
        tokio::select! {
            biased;
            outcome = &mut answered => return outcome.unwrap_or(Err(Fault::Closed.into())),
            turn = Arc::clone(&group.turn).acquire_owned() => {
                let turn = turn.map_err(|_| Fault::Closed)?;
                tokio::spawn(work(Arc::clone(inner), turn));
            }
            slot = way_past => {
                let slot = slot.map_err(|_| Fault::Closed)?;
                tokio::spawn(go_past(Arc::clone(inner), slot));
            }
        }
        answered.await.unwrap_or(Err(Fault::Closed.into()))
    };
    timeout(inner.options.timeout, committed).await.unwrap_or(Err(Fault::Timeout.into()))
}

/// Commits what waits until nothing does.
async fn work(inner: Arc<Inner>, _turn: OwnedSemaphorePermit) {
    loop {
        // Whoever has decided by now comes along.
        yield_now().await;
        let taken = inner.group.take();
        if taken.is_empty() {
            return;
        }
        run(&inner, taken).await;
    }
}

/// Commits what waits now.
async fn go_past(inner: Arc<Inner>, _slot: OwnedSemaphorePermit) {
    let taken = inner.group.take();
    if !taken.is_empty() {
        run(&inner, taken).await;
    }
}

async fn run(inner: &Arc<Inner>, taken: Vec<Waiting>) {
    let (mut steps, mut rest) = (Vec::with_capacity(taken.len()), Vec::with_capacity(taken.len()));
    for Waiting { change, revision, steps: own, answer } in taken {
        steps.push(own);
        rest.push((change, revision, answer));
    }
    let outcome = inner.run(steps).await;
    // Whoever asked may have gone away; what was committed stands.
    if rest.len() <= 1 {
        if let Some((_, _, answer)) = rest.pop() {
            drop(answer.send(outcome));
        }
        return;
    }
    let Err(rejection) = outcome else {
        rest.into_iter().for_each(|(_, _, answer)| drop(answer.send(Ok(()))));
        return;
    };
    let shared = if let Rejection::Fault(fault) = &rejection { fault.shared() } else { None };
    for (change, revision, answer) in rest {
        let outcome = match shared.as_ref().and_then(Fault::shared) {
            Some(fault) => Err(fault.into()),
            None if answer.is_closed() => continue,
            None => match commit::steps(&change, revision, inner.audit_node()) {
                Ok(steps) => inner.run(vec![steps]).await,
                Err(fault) => Err(fault.into()),
            },
        };
        drop(answer.send(outcome));
    }
}

impl Inner {
    /// One transaction.
    async fn run(&self, steps: Vec<Steps>) -> Outcome {
        let statements = commit::statements(steps);
        let limit = self.options.timeout;
        using!(self, client => commit::run(client, &statements, limit, &self.warnings))
    }
}
