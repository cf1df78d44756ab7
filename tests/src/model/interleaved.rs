//! A store that lets others go first: between any two uses of it, every other task may run. With one thread, which one does is
//! settled by the schedule alone, so that a race that went wrong goes wrong again.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use async_trait::async_trait;
use mobile_bind_domain::ports::{
    AuditTrail, BindQuery, BindSnapshot, CommitError, LogInQuery, LogInSnapshot, Purged, SendQuery, SendSnapshot,
    SessionSnapshot, Store, StoreError, StoreFacts,
};
use mobile_bind_domain::{
    Account, AccountId, Change, MessageKey, Mobile, OutboxMessage, Proof, ProofId, Revision, Session, SessionId,
    SpentMark, Timestamp, Versioned,
};

/// A store, and when to step aside before using it.
pub struct Interleaved {
    store: Arc<dyn Store>,
    schedule: AtomicU64,
}

impl Interleaved {
    /// Steps aside for nobody yet.
    #[must_use]
    pub fn new(store: Arc<dyn Store>) -> Self {
        Self { store, schedule: AtomicU64::new(0) }
    }

    /// Steps aside as this number says from now on; never where it is 0.
    pub fn follow(&self, schedule: u64) {
        self.schedule.store(schedule, Ordering::Relaxed);
    }

    async fn step_aside(&self) {
        // Knuth's MMIX generator; its high bits are the random ones.
        let next =
            |schedule: u64| schedule.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        let schedule = self.schedule.load(Ordering::Relaxed);
        if schedule == 0 {
            return;
        }
        self.schedule.store(next(schedule), Ordering::Relaxed);
        for _ in 0..schedule >> 62 {
            tokio::task::yield_now().await;
        }
    }
}

#[async_trait]
impl Store for Interleaved {
    async fn load_send(&self, query: &SendQuery) -> Result<SendSnapshot, StoreError> {
        self.store.load_send(query).await
    }

    async fn load_bind(&self, query: &BindQuery) -> Result<BindSnapshot, StoreError> {
        self.step_aside().await;
        self.store.load_bind(query).await
    }

    async fn load_log_in(&self, query: &LogInQuery) -> Result<LogInSnapshot, StoreError> {
        self.step_aside().await;
        self.store.load_log_in(query).await
    }

    async fn load_session(&self, id: SessionId) -> Result<Option<SessionSnapshot>, StoreError> {
        self.step_aside().await;
        self.store.load_session(id).await
    }

    async fn allot_account_id(&self) -> Result<AccountId, StoreError> {
        self.step_aside().await;
        self.store.allot_account_id().await
    }

    async fn commit(&self, change: Change) -> Result<Revision, CommitError> {
        self.step_aside().await;
        self.store.commit(change).await
    }

    async fn account(&self, id: AccountId) -> Result<Option<Versioned<Account>>, StoreError> {
        self.store.account(id).await
    }

    async fn account_of(&self, mobile: &Mobile) -> Result<Option<Versioned<Account>>, StoreError> {
        self.store.account_of(mobile).await
    }

    async fn accounts(&self, after: Option<AccountId>, limit: usize) -> Result<Vec<Versioned<Account>>, StoreError> {
        self.store.accounts(after, limit).await
    }

    async fn sessions_of(&self, account: AccountId) -> Result<Vec<Session>, StoreError> {
        self.store.sessions_of(account).await
    }

    fn audit(&self) -> &dyn AuditTrail {
        self.store.audit()
    }

    async fn proofs(&self, after: Option<ProofId>, limit: usize) -> Result<Vec<(ProofId, Proof)>, StoreError> {
        self.store.proofs(after, limit).await
    }

    async fn spent(&self, after: Option<SpentMark>, limit: usize) -> Result<Vec<(SpentMark, Timestamp)>, StoreError> {
        self.store.spent(after, limit).await
    }

    async fn message(&self, key: &MessageKey) -> Result<Option<Versioned<OutboxMessage>>, StoreError> {
        self.store.message(key).await
    }

    async fn messages_to(&self, mobile: &Mobile, limit: usize) -> Result<Vec<Versioned<OutboxMessage>>, StoreError> {
        self.store.messages_to(mobile, limit).await
    }

    async fn message_by_reference(
        &self,
        provider: &str,
        reference: &str,
    ) -> Result<Option<Versioned<OutboxMessage>>, StoreError> {
        self.store.message_by_reference(provider, reference).await
    }

    async fn messages(
        &self,
        after: Option<&MessageKey>,
        limit: usize,
    ) -> Result<Vec<Versioned<OutboxMessage>>, StoreError> {
        self.store.messages(after, limit).await
    }

    async fn due_messages(&self, now: Timestamp, limit: usize) -> Result<Vec<Versioned<OutboxMessage>>, StoreError> {
        self.store.due_messages(now, limit).await
    }

    async fn purge(&self, now: Timestamp, sessions_before: Timestamp, limit: usize) -> Result<Purged, StoreError> {
        self.store.purge(now, sessions_before, limit).await
    }

    async fn check(&self) -> Result<(), StoreError> {
        self.store.check().await
    }

    fn facts(&self) -> StoreFacts {
        self.store.facts()
    }

    async fn close(&self) -> Result<(), StoreError> {
        self.store.close().await
    }
}
