//! A store that keeps everything in memory and forgets it when it goes: for development, tests, and as the ceiling that a
//! durable store is measured against.

mod apply;
mod audit;
mod load;
mod messages;
mod state;

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use mobile_bind_domain::ports::{
    AuditTrail, BindQuery, BindSnapshot, CommitError, LogInQuery, LogInSnapshot, Purged, SendQuery, SendSnapshot,
    SessionSnapshot, Store, StoreError, StoreFacts,
};
use mobile_bind_domain::{
    Account, AccountId, Change, MessageKey, Mobile, OutboxMessage, Proof, ProofId, Revision, Session, SessionId,
    SpentMark, Timestamp, Versioned,
};

use crate::state::{Claim, State};

/// Everything, behind one lock that is held for the length of one change or one snapshot.
#[derive(Default)]
pub struct MemoryStore {
    state: Arc<Mutex<State>>,
    closed: AtomicBool,
}

/// The store was closed, or has run out of account ids.
#[derive(Debug, thiserror::Error)]
enum Fault {
    #[error("the store is closed")]
    Closed,
    #[error("there are no account ids left")]
    Exhausted,
}

impl MemoryStore {
    /// An empty store.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// The same data, open again: what a restart is to a store that keeps it somewhere.
    #[must_use]
    pub fn reopened(&self) -> Self {
        Self { state: Arc::clone(&self.state), closed: AtomicBool::new(false) }
    }

    /// A change is checked before it is applied, so that a panic cannot leave half of one behind.
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn open(&self) -> Result<MutexGuard<'_, State>, StoreError> {
        if self.closed.load(Ordering::SeqCst) { Err(StoreError(Box::new(Fault::Closed))) } else { Ok(self.state()) }
    }
}

#[async_trait]
impl Store for MemoryStore {
    async fn load_send(&self, query: &SendQuery) -> Result<SendSnapshot, StoreError> {
        Ok(self.state().load_send(query))
    }

    async fn load_bind(&self, query: &BindQuery) -> Result<BindSnapshot, StoreError> {
        Ok(self.state().load_bind(query))
    }

    async fn load_log_in(&self, query: &LogInQuery) -> Result<LogInSnapshot, StoreError> {
        Ok(self.state().load_log_in(query))
    }

    async fn load_session(&self, id: SessionId) -> Result<Option<SessionSnapshot>, StoreError> {
        Ok(self.state().load_session(id))
    }

    async fn allot_account_id(&self) -> Result<AccountId, StoreError> {
        let mut state = self.open()?;
        let id = AccountId::new(state.last_account + 1).ok_or(StoreError(Box::new(Fault::Exhausted)))?;
        state.last_account = id.get();
        Ok(id)
    }

    async fn commit(&self, change: Change) -> Result<Revision, CommitError> {
        self.open()?.commit(change).ok_or(CommitError::Conflict)
    }

    async fn account(&self, id: AccountId) -> Result<Option<Versioned<Account>>, StoreError> {
        Ok(self.state().accounts.get(&id).cloned())
    }

    async fn account_of(&self, mobile: &Mobile) -> Result<Option<Versioned<Account>>, StoreError> {
        Ok(self.state().holder(&Claim::Mobile(mobile.clone())))
    }

    async fn accounts(&self, after: Option<AccountId>, limit: usize) -> Result<Vec<Versioned<Account>>, StoreError> {
        let state = self.state();
        let accounts = state.accounts.iter().filter(|(id, _)| after.is_none_or(|after| **id > after));
        Ok(accounts.take(limit).map(|(_, account)| account.clone()).collect())
    }

    async fn sessions_of(&self, account: AccountId) -> Result<Vec<Session>, StoreError> {
        let state = self.state();
        let of_account = state.sessions_of.iter().filter(|((holder, _), _)| *holder == account);
        Ok(of_account.filter_map(|(_, id)| state.sessions.get(id).cloned()).collect())
    }

    fn audit(&self) -> &dyn AuditTrail {
        self
    }

    async fn proofs(&self, after: Option<ProofId>, limit: usize) -> Result<Vec<(ProofId, Proof)>, StoreError> {
        let state = self.state();
        let proofs = state.proofs.iter().filter(|(id, _)| after.is_none_or(|after| **id > after));
        Ok(proofs.take(limit).map(|(id, proof)| (*id, proof.clone())).collect())
    }

    async fn spent(&self, after: Option<SpentMark>, limit: usize) -> Result<Vec<(SpentMark, Timestamp)>, StoreError> {
        let state = self.state();
        let spent = state.spent.iter().filter(|(mark, _)| after.is_none_or(|after| **mark > after));
        Ok(spent.take(limit).map(|(mark, until)| (*mark, *until)).collect())
    }

    async fn message(&self, key: &MessageKey) -> Result<Option<Versioned<OutboxMessage>>, StoreError> {
        Ok(self.state().messages.all().get(key).cloned())
    }

    async fn messages_to(&self, mobile: &Mobile, limit: usize) -> Result<Vec<Versioned<OutboxMessage>>, StoreError> {
        Ok(self.state().messages.to(mobile, limit))
    }

    async fn message_by_reference(
        &self,
        provider: &str,
        reference: &str,
    ) -> Result<Option<Versioned<OutboxMessage>>, StoreError> {
        Ok(self.state().messages.by_reference(provider, reference))
    }

    async fn messages(
        &self,
        after: Option<&MessageKey>,
        limit: usize,
    ) -> Result<Vec<Versioned<OutboxMessage>>, StoreError> {
        Ok(self.state().messages.after(after, limit))
    }

    async fn due_messages(&self, now: Timestamp, limit: usize) -> Result<Vec<Versioned<OutboxMessage>>, StoreError> {
        Ok(self.state().messages.due(now, limit))
    }

    async fn purge(&self, now: Timestamp, sessions_before: Timestamp, limit: usize) -> Result<Purged, StoreError> {
        Ok(self.open()?.purge(now, sessions_before, limit))
    }

    async fn check(&self) -> Result<(), StoreError> {
        self.open().map(|_| ())
    }

    fn facts(&self) -> StoreFacts {
        StoreFacts { kind: "memory", ..StoreFacts::default() }
    }

    async fn close(&self) -> Result<(), StoreError> {
        self.closed.store(true, Ordering::SeqCst);
        Ok(())
    }
}
