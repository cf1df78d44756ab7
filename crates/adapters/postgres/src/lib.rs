//! The store for more than one machine: PostgreSQL, or a system that speaks its protocol.
//!
//! A bind takes two round trips: one statement loads, one transaction, whose statements are all sent at once, commits. What
//! belongs to at most one live account is kept so by unique indexes; nothing rests on a lock in this process, and any
//! number of nodes may use one database. The schema, with what each column means, stands in `migrations/`.

/// Uses a connection: the wait for one and what is done with it take no longer than the timeout, together.
macro_rules! using {
    ($inner:expr, $client:ident => $work:expr) => {
        using!($inner, $inner.options.timeout, $client => $work)
    };
    ($inner:expr, $within:expr, $client:ident => $work:expr) => {{
        let mut held: Option<Client> = None;
        let work = async {
            let $client: &Client = held.insert($inner.pool.get().await.map_err(Fault::from)?);
            $work.await
        };
        let ended = timeout($within, work).await;
        let in_time = |had: bool| if had { Fault::Timeout } else { Fault::NoConnection };
        let result = ended.unwrap_or_else(|_| Err(in_time(held.is_some()).into()));
        $inner.done(held, result)
    }};
}

/// Reads by a connection. One that was cut while it was idle is only found out when it is used, so it is tried once more.
macro_rules! read {
    ($inner:expr, $client:ident => $work:expr) => {{
        let mut last = false;
        loop {
            match using!($inner, $client => $work) {
                Err(Fault::Connection(_)) if !last => last = true,
                found => break Ok(found?),
            }
        }
    }};
}

mod allotment;
mod audit;
mod commit;
mod connect;
mod fault;
mod group;
mod hosts;
mod keys;
mod load;
mod options;
mod purge;
mod query;
mod reading;
mod records;
mod replication;
mod schema;
mod text;
mod verify;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use deadpool_postgres::{Client, Object, Pool};
use mobile_bind_domain::ports::{
    AuditTrail, BindQuery, BindSnapshot, CommitError, LogInQuery, LogInSnapshot, PoolFacts, Purged, SendQuery,
    SendSnapshot, SessionSnapshot, Store, StoreError, StoreFacts,
};
use mobile_bind_domain::{
    Account, AccountId, AuditNode, Change, MessageKey, Mobile, OutboxMessage, Proof, ProofId, Revision, Session,
    SessionId, SpentMark, Timestamp, Versioned, Write,
};
use tokio::time::timeout;

use crate::allotment::{Allotment, Block};
use crate::fault::{Fault, MayBeFault, Rejection};
use crate::group::Group;
use crate::hosts::Warnings;
use crate::reading::{Reading, ask};
use crate::records::message;
use crate::replication::Replication;

pub use crate::fault::OpenError;
pub use crate::options::Options;
pub use crate::verify::{Findings, verify};

/// How many account ids, and how many revisions, a node takes at a time. What it has not used when it stops is lost.
const ACCOUNT_IDS: i64 = 1_000;
const REVISIONS: i64 = 1 << 20;

/// How many statements that read for requests are under way at most.
const READING: u32 = 1;

/// How long a probe waits for the database at most.
const PROBE: Duration = Duration::from_secs(1);

/// A store over one database.
#[derive(Clone)]
pub struct PostgresStore {
    inner: Arc<Inner>,
}

struct Inner {
    pool: Pool,
    options: Options,
    warnings: Warnings,
    replication: Replication,
    /// This node's number, which no other node has had.
    node: i64,
    account_ids: Allotment,
    revisions: Allotment,
    group: Group,
    reading: Reading,
    closed: AtomicBool,
}

impl PostgresStore {
    /// Connects, and brings the schema up to date where the options say so.
    ///
    /// # Errors
    /// Where the database cannot be reached or used.
    pub async fn open(options: Options) -> Result<Self, OpenError> {
        let warnings = Warnings::default();
        let pool = connect::pool(&options, &warnings)?;
        let client = pool.get().await.map_err(Fault::from)?;
        let encoding: String = one_value(&client, "SHOW server_encoding").await?;
        if !matches!(encoding.as_str(), "UTF8" | "UTF-8") {
            return Err(OpenError::Encoding(encoding));
        }
        if options.migrate {
            schema::migrate(&client).await?;
        } else {
            schema::check(&client).await?;
        }
        let node = one_value(&client, "UPDATE counters SET value = value + 1 WHERE name = 'node' RETURNING value");
        let node: i64 = node.await?;
        tracing::info!(node, "this node has a number in the database");
        drop(client);
        let inner = Inner {
            pool,
            options,
            warnings,
            replication: Replication::default(),
            node,
            account_ids: Allotment::new("account", ACCOUNT_IDS),
            revisions: Allotment::new("revision", REVISIONS),
            group: Group::new(),
            reading: Reading::new(READING),
            closed: AtomicBool::new(false),
        };
        Ok(Self { inner: Arc::new(inner) })
    }

    /// This node's number in the database, which no other node has had.
    #[must_use]
    pub fn node(&self) -> i64 {
        self.inner.node
    }
}

/// Brings a database's schema up to date. Answers how many steps that took.
///
/// # Errors
/// Where the database cannot be reached or changed.
pub async fn migrate(options: &Options) -> Result<i64, OpenError> {
    let pool = connect::pool(options, &Warnings::default())?;
    let client = pool.get().await.map_err(Fault::from)?;
    schema::migrate(&client).await
}

async fn one_value<T: for<'a> tokio_postgres::types::FromSql<'a>>(client: &Client, text: &str) -> Result<T, Fault> {
    Ok(client.query_one(text, &[]).await?.try_get(0)?)
}

async fn takes_changes(client: &Client) -> Result<(), Fault> {
    let prepared = client.prepare_cached("SELECT current_setting('transaction_read_only')").await?;
    let read_only: String = client.query_one(&prepared, &[]).await?.try_get(0)?;
    if read_only == "off" { Ok(()) } else { Err(Fault::ReadOnly) }
}

/// Takes a block of numbers; answers the last of them.
async fn fetch(client: &Client, text: &str, name: &str, size: i64) -> Result<i64, Fault> {
    let prepared = client.prepare_cached(text).await?;
    Ok(client.query_one(&prepared, &[&name, &size]).await?.try_get(0)?)
}

impl Inner {
    fn open(&self) -> Result<(), Fault> {
        if self.closed.load(Ordering::SeqCst) { Err(Fault::Closed) } else { Ok(()) }
    }

    /// Gives a connection back, unless what came of its use says that it is good for nothing more.
    fn done<T, E: MayBeFault>(&self, client: Option<Client>, result: Result<T, E>) -> Result<T, E> {
        if let Err(error) = &result
            && error.fault().is_some_and(Fault::is_of_connection)
        {
            drop(client.map(Object::take));
            // Those that are idle lead to the same place.
            self.pool.retain(|_, _| false);
        }
        result
    }

    /// Asks all that a probe wants to know in one round trip.
    async fn probe(&self, client: &Client) -> Result<(), Fault> {
        let (takes_changes, ()) = tokio::join!(takes_changes(client), self.replication.ask(client));
        takes_changes
    }

    /// The next number of an allotment.
    async fn next(self: &Arc<Self>, which: fn(&Self) -> &Allotment) -> Result<i64, Fault> {
        let allotment = which(self);
        loop {
            if let Some(number) = allotment.take() {
                if allotment.runs_low() {
                    let ahead = Arc::clone(self);
                    drop(tokio::spawn(async move {
                        // Where it fails, whoever needs a number next will see.
                        let _ = ahead.fetch(which(&ahead)).await;
                        which(&ahead).fetched_ahead();
                    }));
                }
                return Ok(number);
            }
            let _fetching = allotment.fetching.lock().await;
            if let Some(number) = allotment.take() {
                return Ok(number);
            }
            self.fetch(allotment).await?;
        }
    }

    async fn fetch(&self, allotment: &Allotment) -> Result<(), Fault> {
        // Accounts may have been brought in from elsewhere.
        let text = if allotment.name == "account" {
            "UPDATE counters SET value = greatest(value, (SELECT coalesce(max(id), 0) FROM accounts)) + $2::bigint
             WHERE name = $1::text RETURNING value"
        } else {
            "UPDATE counters SET value = value + $2::bigint WHERE name = $1::text RETURNING value"
        };
        let (name, size) = (allotment.name, allotment.size);
        let last = using!(self, client => fetch(client, text, name, size))?;
        allotment.add(Block { next: last - size + 1, end: last + 1 });
        Ok(())
    }

    /// This node, as the audit knows it.
    fn audit_node(&self) -> AuditNode {
        AuditNode(u32::try_from(self.node).unwrap_or_default())
    }

    async fn commit(self: &Arc<Self>, change: Change) -> Result<Revision, Rejection> {
        self.open()?;
        let revision = self.next(|inner| &inner.revisions).await?;
        let revision = Revision(u64::try_from(revision).map_err(|_| Fault::Unreadable("revision"))?);
        let steps = commit::steps(&change, revision, self.audit_node())?;
        if steps.is_empty() {
            return Ok(revision);
        }
        let makes_account = makes_account(&change);
        let committed = group::commit(self, change, revision, steps).await;
        if matches!(committed, Err(Rejection::Conflict)) && makes_account {
            // It may be the id that is taken.
            self.account_ids.give_up();
        }
        committed.map(|()| revision)
    }
}

fn makes_account(change: &Change) -> bool {
    change.writes.iter().any(|write| matches!(write, Write::Account { expected: Revision::ABSENT, .. }))
}

#[async_trait]
impl Store for PostgresStore {
    async fn load_send(&self, query: &SendQuery) -> Result<SendSnapshot, StoreError> {
        Ok(load::send_snapshot(&ask(&self.inner, load::send_question(query)).await?, query)?)
    }

    async fn load_bind(&self, query: &BindQuery) -> Result<BindSnapshot, StoreError> {
        Ok(load::bind_snapshot(&ask(&self.inner, load::bind_question(query)).await?, query)?)
    }

    async fn load_log_in(&self, query: &LogInQuery) -> Result<LogInSnapshot, StoreError> {
        Ok(load::log_in_snapshot(&ask(&self.inner, load::log_in_question(query)).await?, query)?)
    }

    async fn load_session(&self, id: SessionId) -> Result<Option<SessionSnapshot>, StoreError> {
        Ok(load::session_snapshot(&ask(&self.inner, load::session_question(id)).await?)?)
    }

    async fn allot_account_id(&self) -> Result<AccountId, StoreError> {
        self.inner.open()?;
        let id = self.inner.next(|inner| &inner.account_ids).await?;
        let id = u64::try_from(id).ok().and_then(AccountId::new);
        Ok(id.ok_or(Fault::Exhausted)?)
    }

    async fn commit(&self, change: Change) -> Result<Revision, CommitError> {
        Ok(self.inner.commit(change).await?)
    }

    async fn account(&self, id: AccountId) -> Result<Option<Versioned<Account>>, StoreError> {
        Ok(load::one_account(&ask(&self.inner, load::account_question(id)).await?)?)
    }

    async fn account_of(&self, mobile: &Mobile) -> Result<Option<Versioned<Account>>, StoreError> {
        Ok(load::one_account(&ask(&self.inner, load::account_of_question(mobile)).await?)?)
    }

    async fn accounts(&self, after: Option<AccountId>, limit: usize) -> Result<Vec<Versioned<Account>>, StoreError> {
        read!(self.inner, client => load::accounts(client, after, limit))
    }

    async fn sessions_of(&self, account: AccountId) -> Result<Vec<Session>, StoreError> {
        read!(self.inner, client => load::sessions_of(client, &[account]))
    }

    async fn sessions_of_all(&self, accounts: &[AccountId]) -> Result<Vec<Session>, StoreError> {
        read!(self.inner, client => load::sessions_of(client, accounts))
    }

    fn audit(&self) -> &dyn AuditTrail {
        self
    }

    async fn proofs(&self, after: Option<ProofId>, limit: usize) -> Result<Vec<(ProofId, Proof)>, StoreError> {
        read!(self.inner, client => load::proofs(client, after, limit))
    }

    async fn spent(&self, after: Option<SpentMark>, limit: usize) -> Result<Vec<(SpentMark, Timestamp)>, StoreError> {
        read!(self.inner, client => load::spent(client, after, limit))
    }

    async fn message(&self, key: &MessageKey) -> Result<Option<Versioned<OutboxMessage>>, StoreError> {
        let found: Result<Vec<_>, StoreError> = read!(self.inner, client => load::messages(client, message::one(key)));
        Ok(found?.pop())
    }

    async fn messages_to(&self, mobile: &Mobile, limit: usize) -> Result<Vec<Versioned<OutboxMessage>>, StoreError> {
        read!(self.inner, client => load::messages(client, message::to(mobile, limit)))
    }

    async fn message_by_reference(
        &self,
        provider: &str,
        reference: &str,
    ) -> Result<Option<Versioned<OutboxMessage>>, StoreError> {
        let find = || message::by_reference(provider, reference);
        let found: Result<Vec<_>, StoreError> = read!(self.inner, client => load::messages(client, find()));
        Ok(found?.pop())
    }

    async fn messages(
        &self,
        after: Option<&MessageKey>,
        limit: usize,
    ) -> Result<Vec<Versioned<OutboxMessage>>, StoreError> {
        read!(self.inner, client => load::messages(client, message::after(after, limit)))
    }

    async fn due_messages(&self, now: Timestamp, limit: usize) -> Result<Vec<Versioned<OutboxMessage>>, StoreError> {
        read!(self.inner, client => load::messages(client, message::due(now, limit)))
    }

    async fn purge(&self, now: Timestamp, sessions_before: Timestamp, limit: usize) -> Result<Purged, StoreError> {
        self.inner.open()?;
        let node = self.inner.node;
        Ok(using!(self.inner, client => purge::sweep(client, node, now, sessions_before, limit))?)
    }

    async fn check(&self) -> Result<(), StoreError> {
        self.inner.open()?;
        let within = self.inner.options.timeout.min(PROBE);
        let checked = using!(self.inner, within, client => self.inner.probe(client));
        if checked.is_err() {
            self.inner.replication.forget();
        }
        Ok(checked?)
    }

    fn facts(&self) -> StoreFacts {
        let status = self.inner.pool.status();
        let pool = PoolFacts {
            limit: status.max_size,
            open: status.size,
            in_use: status.size.saturating_sub(status.available),
            waiting: status.waiting,
        };
        let replication = self.inner.replication.known();
        StoreFacts { kind: "postgres", node: u64::try_from(self.inner.node).ok(), pool: Some(pool), replication }
    }

    async fn close(&self) -> Result<(), StoreError> {
        if self.inner.closed.swap(true, Ordering::SeqCst) {
            return Ok(());
        }
        // Whoever does not end in time is answered by its own timeout.
        let _ = timeout(self.inner.options.timeout, self.inner.group.end()).await;
        // Where it fails, the lease ends by itself.
        let _ = using!(self.inner, client => purge::leave(client, self.inner.node));
        self.inner.pool.close();
        Ok(())
    }
}

#[cfg(test)]
mod tests;
