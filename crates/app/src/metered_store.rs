//! A store that is watched: how long changes wait, what becomes of them, and the sessions they open and end.

use std::sync::Arc;
use std::time::Instant;

use async_trait::async_trait;
use metrics::{Counter, Gauge, Histogram, counter, gauge, histogram};
use mobile_bind_domain::ports::{
    AuditTrail, BindQuery, BindSnapshot, CommitError, LogInQuery, LogInSnapshot, Purged, SendQuery, SendSnapshot,
    SessionSnapshot, Store, StoreError, StoreFacts,
};
use mobile_bind_domain::{
    Account, AccountId, Change, MessageKey, Mobile, OutboxMessage, Proof, ProofId, Revision, SPANS, Session, SessionId,
    SpentMark, Timestamp, Versioned, Write,
};

use tracing::field::Empty;
use tracing::{Instrument, Span, trace_span};

use crate::audit_metrics::{AuditSeries, Audited};
use crate::metrics::{COMMIT_DURATION, COMMITS, COMMITS_WAITING, PURGED, SESSIONS_ENDED, SESSIONS_OPENED};

/// Measures what `inner` does.
pub struct MeteredStore {
    inner: Arc<dyn Store>,
    series: Series,
}

/// What is counted with every commit, held on to: to find a series by its labels costs more than to count.
struct Series {
    waiting: Gauge,
    duration: Histogram,
    committed: Counter,
    conflict: Counter,
    failed: Counter,
    audit: AuditSeries,
}

impl Series {
    fn new() -> Self {
        let commits = |outcome: &'static str| counter!(COMMITS, "outcome" => outcome);
        Self {
            waiting: gauge!(COMMITS_WAITING),
            duration: histogram!(COMMIT_DURATION),
            committed: commits("committed"),
            conflict: commits("conflict"),
            failed: commits("failed"),
            audit: AuditSeries::new(),
        }
    }
}

impl MeteredStore {
    /// Watches a store.
    #[must_use]
    pub fn new(inner: Arc<dyn Store>) -> Self {
        Self { inner, series: Series::new() }
    }
}

/// A change that waits; no longer when this is gone, also where nobody waits to the end.
struct Waiting<'a>(&'a Gauge);

impl<'a> Waiting<'a> {
    fn begin(gauge: &'a Gauge) -> Self {
        gauge.increment(1.0);
        Self(gauge)
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.0.decrement(1.0);
    }
}

#[expect(clippy::disallowed_methods, reason = "how long a commit took is told to operators; no rule depends on it")]
fn now() -> Instant {
    Instant::now()
}

/// What a change does to sessions: the client types of those it opens, and how many it ends.
fn sessions(change: &Change) -> (Vec<&'static str>, u64) {
    let mut opened = Vec::new();
    let mut ended = 0;
    for write in &change.writes {
        match write {
            Write::OpenSession(session) => opened.push(session.client_type.name()),
            Write::EndSession(_) => ended += 1,
            _ => {}
        }
    }
    (opened, ended)
}

fn loading() -> Span {
    trace_span!(target: SPANS, "load")
}

#[async_trait]
impl Store for MeteredStore {
    async fn load_send(&self, query: &SendQuery) -> Result<SendSnapshot, StoreError> {
        self.inner.load_send(query).instrument(loading()).await
    }

    async fn load_bind(&self, query: &BindQuery) -> Result<BindSnapshot, StoreError> {
        self.inner.load_bind(query).instrument(loading()).await
    }

    async fn load_log_in(&self, query: &LogInQuery) -> Result<LogInSnapshot, StoreError> {
        self.inner.load_log_in(query).instrument(loading()).await
    }

    async fn load_session(&self, id: SessionId) -> Result<Option<SessionSnapshot>, StoreError> {
        self.inner.load_session(id).instrument(loading()).await
    }

    async fn allot_account_id(&self) -> Result<AccountId, StoreError> {
        self.inner.allot_account_id().await
    }

    async fn commit(&self, change: Change) -> Result<Revision, CommitError> {
        let (opened, ended) = sessions(&change);
        let audited = Audited::of(&change);
        let waiting = Waiting::begin(&self.series.waiting);
        let began = now();
        let span = trace_span!(target: SPANS, "commit", mobile_bind.outcome = Empty, otel.status_code = Empty);
        let committed = self.inner.commit(change).instrument(span.clone()).await;
        self.series.duration.record(began.elapsed());
        drop(waiting);
        let (outcome, name) = match &committed {
            Ok(_) => (&self.series.committed, "committed"),
            Err(CommitError::Conflict) => (&self.series.conflict, "conflict"),
            Err(CommitError::Store(_)) => {
                span.record("otel.status_code", "ERROR");
                (&self.series.failed, "failed")
            }
        };
        span.record("mobile_bind.outcome", name);
        outcome.increment(1);
        if committed.is_ok() {
            self.series.audit.note(&audited);
            for client_type in opened {
                counter!(SESSIONS_OPENED, "client_type" => client_type).increment(1);
            }
            if ended > 0 {
                counter!(SESSIONS_ENDED).increment(ended);
            }
        }
        committed
    }

    async fn account(&self, id: AccountId) -> Result<Option<Versioned<Account>>, StoreError> {
        self.inner.account(id).await
    }

    async fn account_of(&self, mobile: &Mobile) -> Result<Option<Versioned<Account>>, StoreError> {
        self.inner.account_of(mobile).await
    }

    async fn accounts(&self, after: Option<AccountId>, limit: usize) -> Result<Vec<Versioned<Account>>, StoreError> {
        self.inner.accounts(after, limit).await
    }

    async fn sessions_of(&self, account: AccountId) -> Result<Vec<Session>, StoreError> {
        self.inner.sessions_of(account).await
    }

    async fn sessions_of_all(&self, accounts: &[AccountId]) -> Result<Vec<Session>, StoreError> {
        self.inner.sessions_of_all(accounts).await
    }

    fn audit(&self) -> &dyn AuditTrail {
        self.inner.audit()
    }

    async fn proofs(&self, after: Option<ProofId>, limit: usize) -> Result<Vec<(ProofId, Proof)>, StoreError> {
        self.inner.proofs(after, limit).await
    }

    async fn spent(&self, after: Option<SpentMark>, limit: usize) -> Result<Vec<(SpentMark, Timestamp)>, StoreError> {
        self.inner.spent(after, limit).await
    }

    async fn message(&self, key: &MessageKey) -> Result<Option<Versioned<OutboxMessage>>, StoreError> {
        self.inner.message(key).await
    }

    async fn messages_to(&self, mobile: &Mobile, limit: usize) -> Result<Vec<Versioned<OutboxMessage>>, StoreError> {
        self.inner.messages_to(mobile, limit).await
    }

    async fn message_by_reference(
        &self,
        provider: &str,
        reference: &str,
    ) -> Result<Option<Versioned<OutboxMessage>>, StoreError> {
        self.inner.message_by_reference(provider, reference).await
    }

    async fn messages(
        &self,
        after: Option<&MessageKey>,
        limit: usize,
    ) -> Result<Vec<Versioned<OutboxMessage>>, StoreError> {
        self.inner.messages(after, limit).await
    }

    async fn due_messages(&self, now: Timestamp, limit: usize) -> Result<Vec<Versioned<OutboxMessage>>, StoreError> {
        self.inner.due_messages(now, limit).await
    }

    async fn purge(&self, now: Timestamp, sessions_before: Timestamp, limit: usize) -> Result<Purged, StoreError> {
        let purged = self.inner.purge(now, sessions_before, limit).await?;
        counter!(PURGED).increment(u64::try_from(purged.forgotten).unwrap_or(u64::MAX));
        Ok(purged)
    }

    async fn check(&self) -> Result<(), StoreError> {
        self.inner.check().await
    }

    fn facts(&self) -> StoreFacts {
        self.inner.facts()
    }

    async fn close(&self) -> Result<(), StoreError> {
        self.inner.close().await
    }
}
