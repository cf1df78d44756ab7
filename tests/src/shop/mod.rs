//! A shop: its database on the tests' MariaDB, and its PHP as a second writer. `cargo xtask test` brings the server.

pub mod nginx;
mod php_writer;
pub mod redis;
pub mod stand_in;

use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Mutex, PoisonError};

use anyhow::{Context, Result};
use mysql_async::prelude::Queryable;
use mysql_async::{Conn, Opts, Params, Row, Value};

pub use php_writer::{LogIn, PhpWriter, Registration};

/// Where the tests find their database server.
pub const ADDRESS: &str = "MOBILE_BIND_TEST_MYSQL";

/// The prefix of the shop's tables.
pub const PREFIX: &str = "sxo_";

const SCHEMA: &str = include_str!("schema.sql");

/// Databases that are made and in nobody's hands: to make one takes longer than to clear one.
static IDLE: Mutex<Vec<String>> = Mutex::new(Vec::new());
static MADE: AtomicU32 = AtomicU32::new(0);

/// A shop's database of its own, empty at first.
pub struct Shop {
    server: String,
    name: String,
}

impl Shop {
    /// Makes a database with the shop's tables, or clears one that another test left.
    ///
    /// # Errors
    /// Where the server cannot be used.
    pub async fn open() -> Result<Self> {
        let missing = || format!("{ADDRESS} names no server: run the tests by `cargo xtask test`, which brings one");
        let server = std::env::var(ADDRESS).with_context(missing)?;
        let idle = IDLE.lock().unwrap_or_else(PoisonError::into_inner).pop();
        if let Some(name) = idle {
            let shop = Self { server, name };
            shop.clear().await?;
            return Ok(shop);
        }
        let name = format!("shop_{}_{}", std::process::id(), MADE.fetch_add(1, Ordering::Relaxed));
        let mut root = Conn::new(Opts::from_url(&server)?).await?;
        root.query_drop(format!("CREATE DATABASE {name} CHARACTER SET utf8mb4 COLLATE utf8mb4_general_ci")).await?;
        root.disconnect().await?;
        let shop = Self { server, name };
        shop.execute(SCHEMA).await?;
        Ok(shop)
    }

    /// The database's address, `mysql://…/name`.
    #[must_use]
    pub fn database(&self) -> String {
        format!("{}/{}", self.server.trim_end_matches('/'), self.name)
    }

    /// The address as the setting `store` has it: `shopxo:mysql://…/name?prefix=sxo_`.
    #[must_use]
    pub fn store(&self) -> String {
        format!("shopxo:{}?prefix={PREFIX}", self.database())
    }

    /// A connection of its own, with the server's defaults, as PHP has it.
    ///
    /// # Errors
    /// Where there is none to be had.
    pub async fn connect(&self) -> Result<Conn> {
        Ok(Conn::new(Opts::from_url(&self.database())?).await?)
    }

    /// Runs statements.
    ///
    /// # Errors
    /// Where the server refuses one.
    pub async fn execute(&self, statements: &str) -> Result<()> {
        let mut connection = self.connect().await?;
        connection.query_drop(statements).await?;
        Ok(connection.disconnect().await?)
    }

    /// The rows of a query.
    ///
    /// # Errors
    /// Where the server refuses it.
    pub async fn rows(&self, query: &str, parameters: impl Into<Params> + Send) -> Result<Vec<Row>> {
        let mut connection = self.connect().await?;
        let rows = connection.exec(query, parameters).await?;
        connection.disconnect().await?;
        Ok(rows)
    }

    /// Inserts a user as it is, and answers his id; what is not named has the column's default.
    ///
    /// # Errors
    /// Where the server refuses it.
    pub async fn insert_user(&self, columns: &[(&str, Value)]) -> Result<u32> {
        self.insert("sxo_user", columns).await
    }

    /// Inserts what a user has on a platform.
    ///
    /// # Errors
    /// Where the server refuses it.
    pub async fn insert_platform(&self, user: u32, platform: &str, columns: &[(&str, Value)]) -> Result<()> {
        let own = [("user_id", Value::from(user)), ("platform", Value::from(platform))];
        let columns: Vec<_> = own.into_iter().chain(columns.iter().cloned()).collect();
        self.insert("sxo_user_platform", &columns).await?;
        Ok(())
    }

    /// Sets one of the shop's settings.
    ///
    /// # Errors
    /// Where the server refuses it.
    pub async fn configure(&self, tag: &str, value: &str) -> Result<()> {
        let insert =
            "INSERT INTO sxo_config (only_tag, value) VALUES (?, ?) ON DUPLICATE KEY UPDATE value = VALUES(value)";
        self.rows(insert, (tag, value)).await?;
        Ok(())
    }

    async fn insert(&self, table: &str, columns: &[(&str, Value)]) -> Result<u32> {
        let mut connection = self.connect().await?;
        let id = php_writer::insert(&mut connection, table, columns).await?;
        connection.disconnect().await?;
        Ok(id)
    }

    /// Leaves the database as it was when it was made; mobile-bind's tables stay, as new ones are.
    async fn clear(&self) -> Result<()> {
        let mut connection = self.connect().await?;
        let tables = "SELECT table_name FROM information_schema.tables WHERE table_schema = ?";
        let tables: Vec<String> = connection.exec(tables, (&self.name,)).await?;
        for table in &tables {
            let statement = match table.as_str() {
                "mb_schema_versions" => continue,
                "mb_counters" => "UPDATE mb_counters SET value = 0".to_owned(),
                "mb_leases" => "UPDATE mb_leases SET node = 0, ends_at = '1970-01-02 00:00:00'".to_owned(),
                other => format!("DELETE FROM {other}"),
            };
            connection.query_drop(statement).await?;
        }
        connection.query_drop("ALTER TABLE sxo_user AUTO_INCREMENT = 1").await?;
        Ok(connection.disconnect().await?)
    }
}

impl Drop for Shop {
    fn drop(&mut self) {
        IDLE.lock().unwrap_or_else(PoisonError::into_inner).push(std::mem::take(&mut self.name));
    }
}
