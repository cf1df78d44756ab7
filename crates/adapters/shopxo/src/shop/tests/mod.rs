//! The shop's side on a shop's database. `cargo xtask test -p mobile-bind-shopxo` brings the server.

mod accounts;
mod leftovers;
mod plans;
mod sessions;
mod verify;

use std::sync::atomic::{AtomicU32, Ordering};

use mobile_bind_domain::{
    Account, AccountId, Mobile, OpenId, Platform, PlatformIdentity, Revision, Session, Timestamp,
};
use mysql_async::prelude::Queryable;
use mysql_async::{Conn, Opts, Row};

use crate::connect::{self, Held};
use crate::fault::Rejection;
use crate::options::Options;
use crate::schema;
use crate::shop::account;
use crate::shop::session::EndedToken;
use crate::shop::writing::{self, Written};
use crate::tables::Tables;

const SCHEMA: &str = include_str!("../../../../../../tests/src/shop/schema.sql");
const MOBILE: &str = "17602128368";
const NOW: Timestamp = Timestamp::from_seconds(1_634_727_340);

/// A shop with nobody in it, and mobile-bind's tables.
struct Shop {
    held: Held,
    tables: Tables,
    /// The shop's own connection.
    php: Conn,
    options: Options,
    revision: u64,
}

impl Shop {
    async fn open() -> Self {
        static MADE: AtomicU32 = AtomicU32::new(0);
        let server = std::env::var("MOBILE_BIND_TEST_MYSQL").expect("run by `cargo xtask test`, which brings a server");
        let name = format!("side_{}_{}", std::process::id(), MADE.fetch_add(1, Ordering::Relaxed));
        let mut php = Conn::new(Opts::from_url(&server).unwrap()).await.unwrap();
        php.query_drop(format!("CREATE DATABASE {name} COLLATE utf8mb4_general_ci; USE {name}; {SCHEMA}"))
            .await
            .unwrap();
        let options = Options::new(&format!("shopxo:{server}/{name}?prefix=sxo_"));
        schema::install(&options).await.unwrap();
        let (pool, tables) = connect::pool(&options).unwrap();
        let held = Held::of(&pool).await.unwrap();
        Self { held, tables, php, options, revision: 0 }
    }

    /// A connection of mobile-bind's, and its tables.
    fn at(&mut self) -> (&mut Conn, &Tables) {
        (self.held.conn().unwrap(), &self.tables)
    }

    /// Runs a statement as the shop does.
    async fn php(&mut self, statement: &str) {
        self.php.query_drop(statement).await.unwrap();
    }

    /// What the shop reads, as text.
    async fn seen(&mut self, query: &str) -> Vec<String> {
        let row: Row = self.php.query_first(query).await.unwrap().unwrap();
        (0..row.len()).map(|column| row.get::<Option<String>, _>(column).unwrap().unwrap_or_default()).collect()
    }

    /// Writes an account in a transaction of its own; the revision that it has then.
    async fn write(&mut self, expected: Revision, account: &Account) -> Result<Revision, Rejection> {
        self.revision += 1;
        let revision = Revision(self.revision);
        let (conn, tables) = self.at();
        conn.query_drop("BEGIN").await?;
        let written = Written { expected, account, revision };
        let written = store(conn, tables, &[written], &[]).await;
        conn.query_drop(if written.is_ok() { "COMMIT" } else { "ROLLBACK" }).await?;
        written.map(|_| revision)
    }

    async fn account(&mut self, id: u64) -> Option<mobile_bind_domain::Versioned<Account>> {
        let (conn, tables) = self.at();
        account::by_id(conn, tables, AccountId::new(id).unwrap()).await.unwrap()
    }
}

/// Stores accounts and sessions as one change does.
async fn store(
    conn: &mut Conn,
    tables: &Tables,
    accounts: &[Written<'_>],
    opened: &[&Session],
) -> Result<Vec<EndedToken>, Rejection> {
    let ids = accounts.iter().map(|written| written.account.id).chain(opened.iter().map(|opened| opened.account));
    let locked = writing::lock(conn, tables, ids.collect()).await?;
    writing::write(conn, tables, &locked, accounts, opened).await
}

fn is_conflict<T>(result: &Result<T, Rejection>) -> bool {
    matches!(result, Err(Rejection::Conflict))
}

fn mobile(number: &str) -> Mobile {
    Mobile::restore(number).unwrap()
}

fn account(id: u64) -> Account {
    Account::new(AccountId::new(id).unwrap(), NOW)
}

fn with_mobile(id: u64, number: &str) -> Account {
    Account { mobile: Some(mobile(number)), mobile_since: Some(NOW), ..account(id) }
}

fn with_openid(id: u64, openid: &str) -> Account {
    let mut made = account(id);
    let openid = OpenId::new(openid);
    made.identities.insert(Platform::Weixin, PlatformIdentity { app: Default::default(), openid, unionid: None });
    made
}
