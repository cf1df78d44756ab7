//! The service on a shop's own database, beside bare transactions of the statements that a bind commits, on the same server in
//! the same run.

mod bare;

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use mysql_async::prelude::Queryable;
use mysql_async::{Conn, Opts};

use self::bare::Bare;
use super::report::Findings;
use crate::client::Connection;
use crate::figures::{Figures, Spread};
use crate::load::{Load, Pace, load};
use crate::people::People;
use crate::preparation::invite;
use crate::requests::Requests;
use crate::run::tell;
use crate::server::{Server, Setup, install_at_shop};
use crate::targets::{Bound, CONNECTIONS};
use crate::workload::{Row, Workload};

/// The variable by which `cargo xtask bench` names the server: `mysql://…`, without a database.
const ADDRESS: &str = "MOBILE_BIND_BENCH_MYSQL";

/// The shop's own tables, as its installation makes them.
const SHOP: &str = include_str!("../../../../tests/src/shop/schema.sql");

const WARM_UP: Duration = Duration::from_secs(1);
const ROUND: Duration = Duration::from_secs(4);
const ROUNDS: usize = 3;
/// More a second than either does.
const MOST_A_SECOND: usize = 4_000;

pub(crate) async fn play(folder: &Path) -> Result<Findings> {
    let missing = || format!("{ADDRESS} is not set: run `cargo xtask bench over-a-shop`, which brings a server");
    let server = std::env::var(ADDRESS).with_context(missing)?;
    let (served, plain) = (shop(&server, "served").await?, shop(&server, "plain").await?);
    install_at_shop(&store(&plain), &folder.join("install"))?;
    let bare = Bare::at(&plain);
    let node = Server::start_with(Setup::Database, &folder.join("node"), &[("STORE", store(&served))]).await?;
    let people = Arc::new(People::default());
    tell("comparing the rows that binds and bare transactions write");
    ensure_alike(&served, &plain, &node, &people, &bare).await?;

    let (mut binds, mut transactions) = (Vec::new(), Vec::new());
    for round in 0..=ROUNDS {
        tell(&if round == 0 { "warming up".to_owned() } else { format!("round {round} of {ROUNDS}") });
        let duration = if round == 0 { WARM_UP } else { ROUND };
        let most = usize::try_from(duration.as_secs())? * MOST_A_SECOND;
        let bound = bind(&node, &people, duration, most).await?;
        let transacted = bare.run(CONNECTIONS, duration, most).await?;
        ensure!(bound.unexpected == 0, "{} binds were refused", bound.unexpected);
        if round > 0 {
            binds.push(Figures::of(&bound));
            transactions.push(Figures::of(&transacted));
        }
    }
    node.stop()?;
    Ok(findings(&binds, &transactions))
}

fn findings(binds: &[Figures], transactions: &[Figures]) -> Findings {
    let median = |figures: &[Figures], of: fn(&Figures) -> f64| {
        Spread::of(figures.iter().map(of)).map_or(0.0, |spread| spread.median)
    };
    let (per_second, p50, p99) = (
        (|figures: &Figures| figures.per_second) as fn(&Figures) -> f64,
        (|figures: &Figures| figures.p50_us / 1000.0) as fn(&Figures) -> f64,
        (|figures: &Figures| figures.p99_us / 1000.0) as fn(&Figures) -> f64,
    );
    let mut findings = Findings::default();
    findings.figure("binds, 64 connections", median(binds, per_second), "1/s");
    findings.figure("bare transactions, 64 connections", median(transactions, per_second), "1/s");
    findings.figure("p50 of binds", median(binds, p50), "ms");
    findings.figure("p99 of binds", median(binds, p99), "ms");
    findings.figure("p50 of bare transactions", median(transactions, p50), "ms");
    findings.figure("p99 of bare transactions", median(transactions, p99), "ms");
    let ratios = binds.iter().zip(transactions).map(|(bind, bare)| bind.per_second / bare.per_second);
    findings.promise_of("binds/s ÷ bare transactions/s", Bound::AtLeast(0.6), Spread::of(ratios));
    findings
}

/// A database's address as `--store` takes it.
fn store(address: &str) -> String {
    format!("shopxo:{address}")
}

/// A shop's database without anybody in it; its address.
async fn shop(server: &str, name: &str) -> Result<String> {
    let mut root = Conn::new(Opts::from_url(server)?).await?;
    root.query_drop(format!("CREATE DATABASE {name} CHARACTER SET utf8mb4 COLLATE utf8mb4_general_ci")).await?;
    root.query_drop(format!("USE {name}")).await?;
    root.query_drop(SHOP).await?;
    root.disconnect().await?;
    Ok(format!("{server}/{name}"))
}

async fn bind(node: &Server, people: &Arc<People>, duration: Duration, most: usize) -> Result<Load> {
    let invited = invite(node, people, most).await?;
    load(node.address, CONNECTIONS, Pace::Closed, Workload::Bind(Row::new(invited, 1)), duration).await
}

/// Where a bind writes rows.
const TABLES: [&str; 8] = [
    "sxo_user",
    "sxo_user_platform",
    "mb_accounts",
    "mb_claims",
    "mb_sessions",
    "mb_receipts",
    "mb_challenges",
    "mb_audit_events",
];

/// That a bind and a bare transaction leave as many rows more, or less, in each table.
async fn ensure_alike(served: &str, plain: &str, node: &Server, people: &Arc<People>, bare: &Bare) -> Result<()> {
    let invited = invite(node, people, 1).await?;
    let before = rows(served).await?;
    let mut connection = Connection::open(node.address).await?;
    for person in invited {
        let answer = connection.send(Requests::to(node.address)?.bind(person.person, person.code)?).await?;
        ensure!(answer.code() == Some(0), "the first bind was refused");
    }
    let by_bind = differences(&before, &rows(served).await?);
    let before = rows(plain).await?;
    bare.run(1, WARM_UP, 1).await?;
    let mut by_transaction = differences(&before, &rows(plain).await?);
    // The challenge was made by the same run that used it up.
    by_transaction.entry("mb_challenges").and_modify(|difference| *difference -= 1);
    ensure!(by_bind == by_transaction, "a bind writes {by_bind:?}, a bare transaction {by_transaction:?}");
    Ok(())
}

async fn rows(address: &str) -> Result<BTreeMap<&'static str, i64>> {
    let mut conn = Conn::new(Opts::from_url(address)?).await?;
    let mut rows = BTreeMap::new();
    for table in TABLES {
        let count: Option<i64> = conn.query_first(format!("SELECT COUNT(*) FROM {table}")).await?;
        rows.insert(table, count.unwrap_or_default());
    }
    conn.disconnect().await?;
    Ok(rows)
}

fn differences(
    before: &BTreeMap<&'static str, i64>,
    after: &BTreeMap<&'static str, i64>,
) -> BTreeMap<&'static str, i64> {
    after.iter().map(|(table, rows)| (*table, rows - before.get(table).copied().unwrap_or_default())).collect()
}
