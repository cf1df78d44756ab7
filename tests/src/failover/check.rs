//! What is in the database when all is over.

use std::collections::{HashMap, HashSet};
use std::path::Path;
use std::sync::Arc;

use anyhow::{Context, Result};
use tokio::process::Command;
use tokio::task::JoinSet;
use tokio_postgres::Client as Database;

use super::load::Journal;
use super::probe::Taken;
use crate::crash::client::Client;
use crate::crash::load::Bound;

/// How many tokens are looked up at once.
const AT_ONCE: usize = 16;

/// What is wrong.
#[derive(Debug, Default)]
pub(super) struct Found {
    /// What was answered and is not there, or not whole.
    pub(super) lost: Vec<String>,
    /// What is there more than once.
    pub(super) doubled: Vec<String>,
    /// Anything else that must not be.
    pub(super) wrong: Vec<String>,
    /// Binds that were never answered with 0, and are there.
    pub(super) unanswered: usize,
}

struct Account {
    id: String,
    nickname: String,
    openid: Option<String>,
}

/// Whole tables are read: an index may be what is wrong.
const ACCOUNTS: &str = "SELECT a.mobile, a.id, a.nickname, i.openid FROM accounts a
    LEFT JOIN identities i ON i.account_id = a.id AND i.held
    WHERE a.deleted_at IS NULL AND a.closed_at IS NULL";

impl Found {
    /// Compares what was answered with what is there.
    pub(super) async fn in_database(&mut self, database: &Database, journal: &Journal, taken: &[Taken]) -> Result<()> {
        database
            .batch_execute("SET enable_indexscan = off; SET enable_bitmapscan = off; SET enable_indexonlyscan = off")
            .await?;
        let mut accounts: HashMap<String, Account> = HashMap::new();
        let mut openids = HashSet::new();
        for row in database.query(ACCOUNTS, &[]).await? {
            let (mobile, id, openid): (Option<String>, i64, Option<String>) = (row.get(0), row.get(1), row.get(3));
            if openid.as_ref().is_some_and(|openid| !openids.insert(openid.clone())) {
                self.doubled.push(format!("an openid of account {id} is another's as well"));
            }
            let Some(mobile) = mobile else {
                self.wrong.push(format!("account {id} has no number"));
                continue;
            };
            let account = Account { id: id.to_string(), nickname: row.get(2), openid };
            if let Some(other) = accounts.insert(mobile, account) {
                self.doubled.push(format!("the accounts {} and {id} have one number", other.id));
            }
        }
        for bound in &journal.bound {
            let account = accounts.remove(&bound.request.mobile);
            if !account.is_some_and(|account| is_whole(&account, bound)) {
                self.lost.push(format!("the account of {}", bound.request.mobile));
            }
        }
        let asked = journal.open.iter().filter(|open| accounts.remove(&open.mobile).is_some());
        self.unanswered = asked.count();
        // A code was sent to these, and nothing more was asked: nobody can have bound them.
        self.wrong.extend(accounts.keys().map(|_| "an account that nobody asked for".to_owned()));
        let rows: HashSet<i64> =
            database.query("SELECT number FROM failover_probe", &[]).await?.iter().map(|row| row.get(0)).collect();
        let missing = taken.iter().filter(|taken| !rows.contains(&taken.number));
        self.lost.extend(missing.map(|taken| format!("row {} that server {} took", taken.number, taken.server)));
        Ok(())
    }

    /// Looks every token up, through one node and the other.
    pub(super) async fn by_tokens(&mut self, bases: &[&str], bound: &[Bound]) -> Result<()> {
        let bound: Arc<[Bound]> = bound.into();
        let mut looking = JoinSet::new();
        for first in 0..AT_ONCE {
            let client = Client::new(bases[first % bases.len()])?;
            let bound = Arc::clone(&bound);
            looking.spawn(async move {
                let mut lost = Vec::new();
                for bound in bound.iter().skip(first).step_by(AT_ONCE) {
                    let told = client.look_up(&bound.token).await?;
                    if told.code() != 0 || told.field("id") != bound.id || told.field("mobile") != bound.request.mobile
                    {
                        lost.push(format!("the session of {}", bound.request.mobile));
                    }
                }
                anyhow::Ok(lost)
            });
        }
        while let Some(lost) = looking.join_next().await {
            self.lost.extend(lost??);
        }
        Ok(())
    }

    /// Has the service's own check go through the database.
    pub(super) async fn by_the_service(&mut self, binary: &Path, address: &str, folder: &Path) -> Result<()> {
        let mut verify = Command::new(binary);
        verify.args(["store", "verify", "--store", address]).current_dir(folder);
        let told = verify.output().await.context("the store cannot be verified")?;
        if !told.status.success() {
            self.wrong.push(String::from_utf8_lossy(&told.stderr).into_owned());
        }
        Ok(())
    }
}

fn is_whole(account: &Account, bound: &Bound) -> bool {
    account.id == bound.id && account.nickname == bound.nickname && account.openid == bound.request.openid
}
