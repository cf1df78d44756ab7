//! The store port.

use std::sync::atomic::{AtomicBool, Ordering};

use async_trait::async_trait;
use mobile_bind_domain::audit::{AuditMark, AuditNode, Checkpoint, RecordedEvent};
use mobile_bind_domain::ports::{
    AuditTrail, BindQuery, BindSnapshot, CommitError, LogInQuery, LogInSnapshot, Purged, SendQuery, SendSnapshot,
    SessionSnapshot, Store, StoreError, StoreFacts,
};
use mobile_bind_domain::{
    Account, AccountId, Change, MessageKey, Mobile, OutboxMessage, Proof, ProofId, Revision, Session, SessionId,
    SpentMark, Timestamp, Versioned,
};
use tokio::time::timeout;

use crate::connect::{self, Held};
use crate::fault::{Fault, Rejection};
use crate::records::{audit, message, proof};
use crate::shop::session;
use crate::{ShopxoStore, load, probe, purge};

#[async_trait]
impl Store for ShopxoStore {
    async fn load_send(&self, query: &SendQuery) -> Result<SendSnapshot, StoreError> {
        read!(self.inner, conn => load::send_snapshot(conn, &self.inner.tables, query))
    }

    async fn load_bind(&self, query: &BindQuery) -> Result<BindSnapshot, StoreError> {
        read!(self.inner, conn => load::bind_snapshot(conn, &self.inner.tables, query))
    }

    async fn load_log_in(&self, query: &LogInQuery) -> Result<LogInSnapshot, StoreError> {
        read!(self.inner, conn => load::log_in_snapshot(conn, &self.inner.tables, query))
    }

    async fn load_session(&self, id: SessionId) -> Result<Option<SessionSnapshot>, StoreError> {
        read!(self.inner, conn => load::session_snapshot(conn, &self.inner.tables, id))
    }

    async fn allot_account_id(&self) -> Result<AccountId, StoreError> {
        Ok(self.inner.next_account_id().await?)
    }

    async fn commit(&self, change: Change) -> Result<Revision, CommitError> {
        Ok(self.inner.commit(change).await?)
    }

    async fn account(&self, id: AccountId) -> Result<Option<Versioned<Account>>, StoreError> {
        read!(self.inner, conn => load::account(conn, &self.inner.tables, id))
    }

    async fn account_of(&self, mobile: &Mobile) -> Result<Option<Versioned<Account>>, StoreError> {
        read!(self.inner, conn => load::account_of(conn, &self.inner.tables, mobile))
    }

    async fn accounts(&self, after: Option<AccountId>, limit: usize) -> Result<Vec<Versioned<Account>>, StoreError> {
        read!(self.inner, conn => load::accounts(conn, &self.inner.tables, after, limit))
    }

    async fn sessions_of(&self, account: AccountId) -> Result<Vec<Session>, StoreError> {
        read!(self.inner, conn => session::of_accounts(conn, &self.inner.tables, &[account]))
    }

    async fn sessions_of_all(&self, accounts: &[AccountId]) -> Result<Vec<Session>, StoreError> {
        read!(self.inner, conn => session::of_accounts(conn, &self.inner.tables, accounts))
    }

    fn audit(&self) -> &dyn AuditTrail {
        self
    }

    async fn message(&self, key: &MessageKey) -> Result<Option<Versioned<OutboxMessage>>, StoreError> {
        read!(self.inner, conn => message::find(conn, key))
    }

    async fn messages_to(&self, mobile: &Mobile, limit: usize) -> Result<Vec<Versioned<OutboxMessage>>, StoreError> {
        read!(self.inner, conn => message::to(conn, mobile, limit))
    }

    async fn message_by_reference(
        &self,
        provider: &str,
        reference: &str,
    ) -> Result<Option<Versioned<OutboxMessage>>, StoreError> {
        read!(self.inner, conn => message::by_reference(conn, provider, reference))
    }

    async fn messages(
        &self,
        after: Option<&MessageKey>,
        limit: usize,
    ) -> Result<Vec<Versioned<OutboxMessage>>, StoreError> {
        read!(self.inner, conn => message::after(conn, after, limit))
    }

    async fn due_messages(&self, now: Timestamp, limit: usize) -> Result<Vec<Versioned<OutboxMessage>>, StoreError> {
        read!(self.inner, conn => message::due(conn, now, limit))
    }

    async fn proofs(&self, after: Option<ProofId>, limit: usize) -> Result<Vec<(ProofId, Proof)>, StoreError> {
        read!(self.inner, conn => proof::after(conn, after, limit))
    }

    async fn spent(&self, after: Option<SpentMark>, limit: usize) -> Result<Vec<(SpentMark, Timestamp)>, StoreError> {
        read!(self.inner, conn => proof::spent_after(conn, after, limit))
    }

    async fn purge(&self, now: Timestamp, sessions_before: Timestamp, limit: usize) -> Result<Purged, StoreError> {
        Ok(self.inner.purge(now, sessions_before, limit).await?)
    }

    async fn check(&self) -> Result<(), StoreError> {
        self.inner.open()?;
        let within = self.inner.options.timeout.min(probe::PATIENCE);
        let checked = using!(self.inner, within, conn => probe::takes_changes(conn));
        Ok(checked.map_err(Rejection::into_fault)?)
    }

    fn facts(&self) -> StoreFacts {
        let pool = Some(connect::facts(&self.inner.pool));
        StoreFacts { kind: "shopxo", node: Some(self.inner.node), pool, replication: None }
    }

    async fn close(&self) -> Result<(), StoreError> {
        if self.inner.closed.swap(true, Ordering::SeqCst) {
            return Ok(());
        }
        // Whoever does not end in time is answered by its own timeout.
        let _ = timeout(self.inner.options.timeout, self.inner.group.end()).await;
        // Where it fails, the lease ends by itself.
        let _: Result<(), Rejection> = using!(self.inner, conn => purge::leave(conn, self.inner.node));
        self.inner.pool.close();
        if let Some(cache) = &self.inner.cache {
            cache.close().await;
        }
        Ok(())
    }
}

#[async_trait]
impl AuditTrail for ShopxoStore {
    async fn audit_nodes(&self) -> Result<Vec<AuditNode>, StoreError> {
        read!(self.inner, conn => audit::nodes(conn))
    }

    async fn audit_events(&self, node: AuditNode, after: u64, limit: usize) -> Result<Vec<RecordedEvent>, StoreError> {
        read!(self.inner, conn => audit::events(conn, node, after, limit))
    }

    async fn audit_of(&self, marks: &[AuditMark], limit: usize) -> Result<Vec<RecordedEvent>, StoreError> {
        let mut found: Vec<RecordedEvent> = Vec::new();
        for &mark in marks {
            let marked: Result<Vec<RecordedEvent>, StoreError> =
                read!(self.inner, conn => audit::marked(conn, mark, limit));
            found.extend(marked?);
        }
        found.sort_by_key(|event| (event.node, event.sequence));
        Ok(found)
    }

    async fn checkpoints(&self, node: AuditNode, after: u64, limit: usize) -> Result<Vec<Checkpoint>, StoreError> {
        read!(self.inner, conn => audit::checkpoints(conn, node, after, limit))
    }

    async fn last_checkpoint(&self, node: AuditNode) -> Result<Option<Checkpoint>, StoreError> {
        read!(self.inner, conn => audit::last_checkpoint(conn, node))
    }

    async fn own_node(&self) -> Result<Option<AuditNode>, StoreError> {
        Ok(Some(self.inner.audit_node()))
    }
}
