//! A change that comes alone is written by the thread that brings it: handing it to the committer's and being woken again
//! takes as long as the disk does.
//!
//! That keeps the thread waiting for the disk, and with it whatever else it would do. So it is done only where nobody else
//! has a change to write, the last changes came one by one, the disk has been quick, and the runtime has another thread for
//! what comes meanwhile.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use tokio::runtime::{Handle, RuntimeFlavor};

use crate::committer::{Job, Shared};
use crate::settler::BreakOnPanic;
use crate::state::State;

/// How many groups in a row must have been of one change.
const IN_A_ROW: u32 = 4;

/// How long each of them may have taken.
const QUICK: Duration = Duration::from_millis(1);

/// How the last groups went.
#[derive(Debug, Default)]
pub(crate) struct Pulse {
    quick_and_single: u32,
}

impl Pulse {
    /// Notes a group.
    pub(crate) fn beat(&mut self, changes: usize, took: Duration) {
        let so = changes == 1 && took < QUICK;
        self.quick_and_single = if so { self.quick_and_single.saturating_add(1) } else { 0 };
    }

    /// Whether changes come one by one, and the disk is quick.
    pub(crate) fn is_calm(&self) -> bool {
        self.quick_and_single >= IN_A_ROW
    }
}

/// How many changes are under way.
#[derive(Debug, Default)]
pub(crate) struct UnderWay(AtomicUsize);

/// A change that is under way, until this is dropped.
pub(crate) struct Entered<'u> {
    changes: &'u UnderWay,
    alone: bool,
}

impl UnderWay {
    pub(crate) fn enter(&self) -> Entered<'_> {
        Entered { changes: self, alone: self.0.fetch_add(1, Ordering::Relaxed) == 0 }
    }
}

impl Drop for Entered<'_> {
    fn drop(&mut self) {
        self.changes.0.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Entered<'_> {
    /// Whether no other was under way when it came.
    pub(crate) fn is_alone(&self) -> bool {
        self.alone
    }
}

/// Whether another thread does what comes while this one waits.
fn others_go_on() -> bool {
    let Ok(runtime) = Handle::try_current() else { return false };
    runtime.runtime_flavor() == RuntimeFlavor::MultiThread && runtime.metrics().num_workers() > 1
}

/// Does a job at once where that keeps nobody waiting; else gives it back.
pub(crate) fn write(shared: &Shared, state: &Arc<State>, job: Job, look_after: impl FnOnce()) -> Option<Job> {
    if !others_go_on() {
        return Some(job);
    }
    let Some(mut locked) = shared.try_lock() else { return Some(job) };
    let ready = locked.as_mut().filter(|committer| committer.pulse.is_calm() && committer.is_ready());
    let Some(committer) = ready else { return Some(job) };
    let _guard = BreakOnPanic(Arc::clone(state));
    committer.work_off(job, || None);
    // The thread sleeps until there is a job, and somebody has to mark what is written, or to mend what broke.
    if !committer.looked_after {
        committer.looked_after = true;
        look_after();
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_calm_after_some_quick_single_changes() {
        let quick = Duration::from_micros(200);
        let mut pulse = Pulse::default();
        for _ in 0..IN_A_ROW {
            assert!(!pulse.is_calm());
            pulse.beat(1, quick);
        }
        assert!(pulse.is_calm());
        for (changes, took) in [(2, quick), (1, QUICK)] {
            pulse.beat(changes, took);
            assert!(!pulse.is_calm());
            (0..IN_A_ROW).for_each(|_| pulse.beat(1, quick));
            assert!(pulse.is_calm());
        }
    }

    #[test]
    fn only_the_first_of_many_is_alone() {
        let changes = UnderWay::default();
        let first = changes.enter();
        let second = changes.enter();
        assert!(first.is_alone() && !second.is_alone());
        drop(first);
        assert!(!changes.enter().is_alone());
        drop(second);
        assert!(changes.enter().is_alone());
    }
}
