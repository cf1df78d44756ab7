//! What the store's handles and its threads share.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

use mobile_bind_domain::AccountId;
use tokio::sync::watch;

use crate::fault::Fault;
use crate::view::{Base, View};

/// Whether changes are taken, and whether there is something to read from.
#[derive(Clone, Debug, Default)]
pub(crate) struct Health {
    closed: bool,
    /// The database is being opened again; reads wait for the end of it.
    reopening: bool,
    /// Why nothing can be written to the journal.
    journal: Option<Arc<Fault>>,
    /// Why nothing can be put into the database.
    database: Option<Arc<Fault>>,
}

impl Health {
    /// # Errors
    /// Why no change is taken.
    pub(crate) fn writable(&self) -> Result<(), Fault> {
        if self.closed {
            return Err(Fault::Closed);
        }
        match self.down() {
            Some(fault) => Err(Fault::Down(Arc::clone(fault))),
            None if self.reopening => Err(Fault::Reopening),
            None => Ok(()),
        }
    }

    /// Whether no more changes will come.
    pub(crate) fn is_closed(&self) -> bool {
        self.closed
    }

    /// What is wrong.
    pub(crate) fn down(&self) -> Option<&Arc<Fault>> {
        self.journal.as_ref().or(self.database.as_ref())
    }
}

/// Whether the store works, what is read, and which account id comes next.
pub(crate) struct State {
    health: watch::Sender<Health>,
    next_account: AtomicU64,
    /// Held for writing while it changes: a snapshot is of the time before a group or after it.
    view: RwLock<View>,
}

impl State {
    /// An open store; `last_account` is the largest id in it.
    pub(crate) fn new(view: View, last_account: Option<AccountId>) -> Self {
        let next = last_account.map_or(AccountId::MIN.get(), |id| id.get() + 1);
        Self { health: watch::Sender::default(), next_account: AtomicU64::new(next), view: RwLock::new(view) }
    }

    /// Takes no more changes.
    pub(crate) fn close(&self) {
        self.health.send_modify(|health| health.closed = true);
    }

    /// Notes whether the journal can be written.
    pub(crate) fn journal(&self, fault: Option<Arc<Fault>>) {
        self.health.send_modify(|health| health.journal = fault);
    }

    /// Notes whether the database can be written.
    pub(crate) fn database(&self, fault: Option<Arc<Fault>>) {
        self.health.send_modify(|health| health.database = fault);
    }

    /// Shows readers a database, or none while it is being opened again.
    pub(crate) fn show(&self, base: Base, reopening: bool) {
        let set = |reopening| self.health.send_modify(|health| health.reopening = reopening);
        // Whoever finds nothing to read from finds out that it is worth waiting.
        if reopening {
            set(true);
        }
        let old = std::mem::replace(&mut self.view_mut().base, base);
        drop(old);
        if !reopening {
            set(false);
        }
    }

    pub(crate) fn view(&self) -> RwLockReadGuard<'_, View> {
        self.view.read().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn view_mut(&self) -> RwLockWriteGuard<'_, View> {
        self.view.write().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn health(&self) -> watch::Ref<'_, Health> {
        self.health.borrow()
    }

    #[cfg(test)]
    pub(crate) fn watch(&self) -> watch::Receiver<Health> {
        self.health.subscribe()
    }

    /// Waits while the database is being opened again.
    pub(crate) async fn settled(&self) {
        if self.health.borrow().reopening {
            // It fails where the sender is gone, and that is this very store.
            let _ = self.health.subscribe().wait_for(|health| !health.reopening).await;
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
