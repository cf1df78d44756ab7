//! What the store's handles and the committer thread share.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, PoisonError, RwLock};

use mobile_bind_domain::AccountId;
use tokio::sync::watch;

use crate::fault::Fault;
use crate::view::View;

/// Whether changes are taken.
#[derive(Clone, Debug)]
pub(crate) enum Phase {
    Open,
    /// A write failed, and the folder is being opened again; reads wait for the end of it.
    Reopening,
    /// A write failed, and the folder could not be opened again yet.
    Down(Arc<Fault>),
    Closed,
}

/// Whether the store works, what is read, and which account id comes next.
pub(crate) struct State {
    phase: watch::Sender<Phase>,
    next_account: AtomicU64,
    /// Held for writing while a group is put into the tree: a snapshot is of the time before it or after it.
    pub(crate) view: RwLock<View>,
}

impl State {
    /// An open store; `last_account` is the largest id in it.
    pub(crate) fn new(db: sled::Db, last_account: Option<AccountId>) -> Self {
        let next = last_account.map_or(AccountId::MIN.get(), |id| id.get() + 1);
        let view = RwLock::new(View::Of(db, Default::default()));
        Self { phase: watch::Sender::new(Phase::Open), next_account: AtomicU64::new(next), view }
    }

    /// Takes no more changes.
    pub(crate) fn close(&self) {
        self.enter(Phase::Closed);
    }

    /// Moves on, unless the store is closed.
    pub(crate) fn enter(&self, next: Phase) {
        self.phase.send_if_modified(|phase| {
            let open = !matches!(phase, Phase::Closed);
            if open {
                *phase = next;
            }
            open
        });
    }

    /// Shows readers something else.
    pub(crate) fn show(&self, view: View) {
        let old = std::mem::replace(&mut *self.view.write().unwrap_or_else(PoisonError::into_inner), view);
        drop(old);
    }

    #[cfg(test)]
    pub(crate) fn watch(&self) -> watch::Receiver<Phase> {
        self.phase.subscribe()
    }

    /// Waits while the folder is being opened again.
    pub(crate) async fn settled(&self) {
        if matches!(*self.phase.borrow(), Phase::Reopening) {
            // It fails where the sender is gone, and that is this very store.
            let _ = self.phase.subscribe().wait_for(|phase| !matches!(phase, Phase::Reopening)).await;
        }
    }

    pub(crate) fn writable(&self) -> Result<(), Fault> {
        match &*self.phase.borrow() {
            Phase::Open => Ok(()),
            Phase::Reopening => Err(Fault::Reopening),
            Phase::Down(fault) => Err(Fault::Down(Arc::clone(fault))),
            Phase::Closed => Err(Fault::Closed),
        }
    }

    /// An id that nobody has had.
    pub(crate) fn allot_account(&self) -> Result<AccountId, Fault> {
        let id = self
            .next_account
            .fetch_update(Ordering::SeqCst, Ordering::SeqCst, |next| AccountId::new(next).map(|id| id.get() + 1));
        id.ok().and_then(AccountId::new).ok_or(Fault::Exhausted)
    }

    /// Notes that an account has that id, wherever the id came from.
    pub(crate) fn note_account(&self, id: AccountId) {
        self.next_account.fetch_max(id.get() + 1, Ordering::SeqCst);
    }
}
