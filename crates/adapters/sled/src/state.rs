//! What the store's handles and the committer thread share.

use std::sync::RwLock;
use std::sync::atomic::{AtomicU8, AtomicU64, Ordering};

use mobile_bind_domain::AccountId;

use crate::fault::Fault;

const OPEN: u8 = 0;
const CLOSED: u8 = 1;
const BROKEN: u8 = 2;

/// Whether the store works, and which account id comes next.
pub(crate) struct State {
    health: AtomicU8,
    next_account: AtomicU64,
    /// Held for writing while a group is put into the tree: a snapshot is of the time before it or after it.
    pub(crate) applying: RwLock<()>,
}

impl State {
    /// An open store; `last_account` is the largest id in it.
    pub(crate) fn new(last_account: Option<AccountId>) -> Self {
        let next = last_account.map_or(AccountId::MIN.get(), |id| id.get() + 1);
        Self { health: AtomicU8::new(OPEN), next_account: AtomicU64::new(next), applying: RwLock::new(()) }
    }

    /// Takes no more changes.
    pub(crate) fn close(&self) {
        let _ = self.health.compare_exchange(OPEN, CLOSED, Ordering::SeqCst, Ordering::SeqCst);
    }

    /// What is in the tree may not be on disk.
    pub(crate) fn break_off(&self) {
        self.health.store(BROKEN, Ordering::SeqCst);
    }

    /// Whether what is read is, or is about to be, on disk.
    pub(crate) fn readable(&self) -> Result<(), Fault> {
        if self.health.load(Ordering::SeqCst) == BROKEN { Err(Fault::Broken) } else { Ok(()) }
    }

    pub(crate) fn writable(&self) -> Result<(), Fault> {
        match self.health.load(Ordering::SeqCst) {
            OPEN => Ok(()),
            CLOSED => Err(Fault::Closed),
            _ => Err(Fault::Broken),
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
