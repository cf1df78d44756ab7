//! The store in the database of a ShopXO: accounts, openids and session tokens are the shop's own rows, which its PHP goes on
//! reading and writing; what the shop has no place for stands in tables of mobile-bind's own, which begin with `mb_`.
//!
//! MySQL 5.7 or later, MariaDB 10.3 or later, or a system that speaks their protocol. No gap lock is relied on, and no lock in
//! this process; any number of nodes may use one database. The tables of mobile-bind's own stand in `migrations/`.

/// Uses a connection: the wait for one and what is done with it take no longer than the timeout, together.
macro_rules! using {
    ($inner:expr, $conn:ident => $work:expr) => {
        using!($inner, $inner.options.timeout, $conn => $work)
    };
    ($inner:expr, $within:expr, $conn:ident => $work:expr) => {{
        let had = AtomicBool::new(false);
        let work = async {
            let mut held = Held::of(&$inner.pool).await?;
            had.store(true, Ordering::Relaxed);
            let $conn = held.conn()?;
            let result = $work.await;
            held.done(result)
        };
        let late = |_| if had.load(Ordering::Relaxed) { Fault::Timeout } else { Fault::NoConnection };
        timeout($within, work).await.unwrap_or_else(|elapsed| Err(late(elapsed).into()))
    }};
}

/// Reads by a connection. One that was cut while it was idle is only found out when it is used, so it is tried once more.
macro_rules! read {
    ($inner:expr, $conn:ident => $work:expr) => {{
        let mut last = false;
        loop {
            match using!($inner, $conn => $work) {
                Err(Fault::Connection(_)) if !last => last = true,
                found => break Ok(found?),
            }
        }
    }};
}

mod address;
mod allotment;
mod bind_lead;
mod cache;
mod commit;
mod connect;
mod fault;
mod group;
mod keys;
mod load;
mod observer;
mod options;
mod probe;
mod purge;
mod question;
mod records;
mod schema;
mod shop;
mod shop_settings;
mod store;
mod survey;
mod tables;
mod tokens;
mod verify;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use mobile_bind_domain::ports::{Purged, StoreError};
use mobile_bind_domain::{AccountId, AuditNode, Change, Revision, Timestamp, Write};
use tokio::time::timeout;

use crate::allotment::Allotment;
use crate::cache::Cache;
use crate::commit::Numbered;
use crate::connect::{Held, Pool};
use crate::fault::{Fault, Rejection};
use crate::group::Group;
use crate::shop::session::EndedToken;
use crate::tables::Tables;

pub use crate::cache::{CacheOptions, check_cache, describe_metrics};
pub use crate::fault::OpenError;
pub use crate::observer::{Seen, SeenAccount, ShopObserver};
pub use crate::options::Options;
pub use crate::schema::{install, uninstall};
pub use crate::shop_settings::{ShopSettings, ShopSettingsReader};
pub use crate::survey::{Survey, survey};
pub use crate::tokens::{ShopTokens, session_of_token};
pub use crate::verify::{ContestedBy, Findings, verify};

/// How many revisions a node takes at a time. What it has not used when it stops is lost.
const REVISIONS: u64 = 1 << 20;

/// How many transactions a node has under way at once. What comes meanwhile is committed together.
const CHANGING: u32 = 2;

/// A store in one shop's database.
#[derive(Clone)]
pub struct ShopxoStore {
    inner: Arc<Inner>,
}

struct Inner {
    pool: Pool,
    options: Options,
    tables: Tables,
    /// This node's number, which no other node has had.
    node: u64,
    account_ids: Allotment,
    revisions: Allotment,
    /// How many account ids were taken.
    ids_taken: AtomicUsize,
    /// The changes that wait to be committed.
    group: Group,
    closed: AtomicBool,
    /// The shop's cache, in which the entries of ended tokens are deleted.
    cache: Option<Cache>,
}

impl ShopxoStore {
    /// Connects, and makes mobile-bind's own tables or brings them up to date where the options say so.
    ///
    /// # Errors
    /// Where the database cannot be reached or used, or is no shop's.
    pub async fn open(options: Options) -> Result<Self, OpenError> {
        let (pool, tables) = connect::pool(&options)?;
        let mut held = Held::of(&pool).await?;
        let conn = held.conn()?;
        schema::check_shop(conn, &tables).await?;
        if options.migrate {
            schema::migrate(conn).await?;
        } else {
            schema::check(conn).await?;
        }
        probe::warn_of_durability(conn).await?;
        let numbered = allotment::fetch(conn, "node", 1).await.map_err(Rejection::into_fault);
        let node = held.done(numbered)?.next;
        tracing::info!(node, "this node has a number in the database");
        let cache = options.cache.as_ref().map(Cache::new).transpose()?;
        let inner = Inner {
            pool,
            options,
            tables,
            node,
            account_ids: Allotment::default(),
            revisions: Allotment::default(),
            ids_taken: AtomicUsize::default(),
            group: Group::new(CHANGING),
            closed: AtomicBool::new(false),
            cache,
        };
        Ok(Self { inner: Arc::new(inner) })
    }

    /// This node's number in the database, which no other node has had.
    #[must_use]
    pub fn node(&self) -> u64 {
        self.inner.node
    }

    /// The server's keys for a purpose, as they were stored; `None` where there are none.
    ///
    /// # Errors
    /// Where the database cannot be asked.
    pub async fn keys(&self, purpose: &str) -> Result<Option<String>, StoreError> {
        read!(self.inner, conn => keys::find(conn, purpose))
    }

    /// Stores the keys for a purpose in place of those that were read; `false` where others were stored meanwhile.
    ///
    /// # Errors
    /// Where the database cannot be changed.
    pub async fn replace_keys(&self, purpose: &str, known: Option<&str>, keys: &str) -> Result<bool, StoreError> {
        match using!(self.inner, conn => keys::replace(conn, purpose, known, keys)) {
            Ok(()) => Ok(true),
            Err(Rejection::Conflict) => Ok(false),
            Err(rejection) => Err(rejection.into_fault().into()),
        }
    }
}

impl Inner {
    fn open(&self) -> Result<(), Fault> {
        if self.closed.load(Ordering::SeqCst) { Err(Fault::Closed) } else { Ok(()) }
    }

    /// This node, as the audit knows it.
    fn audit_node(&self) -> AuditNode {
        AuditNode(u32::try_from(self.node).unwrap_or_default())
    }

    async fn next_revision(&self) -> Result<Revision, Fault> {
        let fetch = || async {
            let fetched = using!(self, conn => allotment::fetch(conn, "revision", REVISIONS));
            Ok(vec![fetched.map_err(Rejection::into_fault)?])
        };
        self.revisions.next(fetch).await.map(Revision)
    }

    async fn next_account_id(&self) -> Result<AccountId, Fault> {
        self.open()?;
        let fetch = || async {
            let ids = shop::allotment::block(self.ids_taken.load(Ordering::Relaxed));
            let taken = using!(self, conn => shop::allotment::take(conn, &self.tables, ids))?;
            self.ids_taken.fetch_add(taken.len(), Ordering::Relaxed);
            Ok(taken)
        };
        let id = self.account_ids.next(fetch).await?;
        AccountId::new(id).ok_or(Fault::Exhausted)
    }

    async fn commit(self: &Arc<Self>, change: Change) -> Result<Revision, Rejection> {
        self.open()?;
        let revision = self.next_revision().await?;
        if change.is_empty() {
            return Ok(revision);
        }
        let makes_account = makes_account(&change);
        let committed = group::commit(self, Numbered::new(change, revision)).await;
        if matches!(committed, Err(Rejection::Conflict)) && makes_account {
            // It may be the id that is taken.
            self.account_ids.give_up();
        }
        committed.map(|()| revision)
    }

    /// One transaction.
    async fn run(&self, changes: &[&Numbered]) -> Result<(), Rejection> {
        let mut committed = self.try_run(changes).await;
        if let Err(Attempt::NotBegun(Fault::Connection(_))) = committed {
            // The connection was cut while it was idle: nothing was written.
            committed = self.try_run(changes).await;
        }
        committed.map_err(|attempt| match attempt {
            Attempt::NotBegun(fault) => fault.into(),
            Attempt::Rejected(rejection) => rejection,
        })
    }

    async fn try_run(&self, changes: &[&Numbered]) -> Result<(), Attempt> {
        let place = commit::Place { tables: &self.tables, node: self.audit_node() };
        let begun = AtomicBool::new(false);
        let work = async |conn: &mut mysql_async::Conn| {
            commit::begin(conn).await?;
            begun.store(true, Ordering::Relaxed);
            commit::run(conn, &place, changes).await
        };
        match using!(self, conn => work(conn)) {
            Ok(ended) => {
                self.forget_at_the_shop(ended);
                Ok(())
            }
            Err(Rejection::Fault(fault)) if !begun.load(Ordering::Relaxed) => Err(Attempt::NotBegun(fault)),
            Err(rejection) => Err(Attempt::Rejected(rejection)),
        }
    }

    /// Has the shop's cache forget whom ended tokens led to.
    fn forget_at_the_shop(&self, ended: Vec<EndedToken>) {
        if let Some(cache) = &self.cache {
            cache.forget(ended);
        }
    }

    async fn purge(&self, now: Timestamp, sessions_before: Timestamp, limit: usize) -> Result<Purged, Fault> {
        self.open()?;
        let times = (now, sessions_before);
        let ended = |tokens| self.forget_at_the_shop(tokens);
        let swept = using!(self, conn => purge::run(conn, &self.tables, self.node, times, limit, ended));
        swept.map_err(Rejection::into_fault)
    }
}

/// Why changes were not committed.
enum Attempt {
    /// Nothing was written.
    NotBegun(Fault),
    Rejected(Rejection),
}

fn makes_account(change: &Change) -> bool {
    change.writes.iter().any(|write| matches!(write, Write::Account { expected: Revision::ABSENT, .. }))
}

#[cfg(test)]
mod tests;
