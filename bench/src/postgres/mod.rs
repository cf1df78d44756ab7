//! The service over PostgreSQL, beside pgbench that writes the same rows on the same server in the same run, and on
//! databases of several sizes.

mod cluster;
mod pgbench;
mod report;
mod rows;

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use tokio::task::JoinSet;

use crate::clock::now;
use crate::figures::{count, quantile, ratio};
use crate::load::{Load, Pace, load};
use crate::machine::Machine;
use crate::people::{People, Person};
use crate::preparation::{invite, tokens};
use crate::run::tell;
use crate::server::{Server, Setup, fill_store};
use crate::workload::{Ring, Row, Workload};
use cluster::{Cluster, Database};
use pgbench::{Length, Prepared};
pub(crate) use report::Report;
use report::{Cell, Relation, Round, Size, What, verdicts};

/// How a run is made.
#[derive(Clone, Debug)]
pub(crate) struct Plan {
    pub(crate) connections: usize,
    /// Whole seconds.
    pub(crate) duration: Duration,
    /// How many rounds count; one more, a short one, warms up.
    pub(crate) rounds: usize,
    /// How many accounts there are beforehand.
    pub(crate) users: u64,
    /// The databases that are compared, by how many accounts they have; empty for none.
    pub(crate) sizes: Vec<u64>,
    /// Only the databases of several sizes.
    pub(crate) sizes_only: bool,
}

/// How many binds a second are prepared for where nothing is known yet.
const AT_FIRST: f64 = 12_000.0;
/// How many tokens are looked up in turn.
const TOKENS: usize = 500;

/// Makes the run.
///
/// # Errors
/// Where the server, a node or pgbench fails, and where pgbench would write other rows than a bind.
pub(crate) async fn measure(plan: &Plan, folder: &Path) -> Result<Report> {
    let start = now();
    let cluster = Cluster::of_environment()?;
    cluster.ensure_durable()?;
    let mut cells = Vec::new();
    if !plan.sizes_only {
        tell("comparing the rows that pgbench and binds write");
        rows::ensure_alike(&cluster, &folder.join("rows")).await?;
        cells = Stage::set(&cluster, plan, folder).await?.measure(plan).await?;
    }
    let sizes = sizes(&cluster, plan, folder).await?;
    let targets = verdicts(&cells, &sizes);
    Ok(Report {
        machine: Machine::this(folder),
        server: cluster.settings()?,
        seconds_of_a_round: plan.duration.as_secs_f64(),
        accounts: plan.users,
        cells,
        sizes,
        targets,
        took_s: start.elapsed().as_secs_f64(),
    })
}

/// Two nodes over one database, and one more that counts quotas.
struct Stage {
    database: Database,
    first: Server,
    second: Server,
    counting: Server,
    people: Arc<People>,
}

impl Stage {
    async fn set(cluster: &Cluster, plan: &Plan, folder: &Path) -> Result<Self> {
        let database = cluster.create("mobile_bind_bench")?;
        if plan.users > 0 {
            fill_store(&database.address, &folder.join("fill"), plan.users)?;
            database.run("VACUUM ANALYZE")?;
        }
        let settings = [("STORE", database.address.clone())];
        let node = async |name: &str, setup| Server::start_with(setup, &folder.join(name), &settings).await;
        Ok(Self {
            first: node("first", Setup::Database).await?,
            second: node("second", Setup::Database).await?,
            counting: node("counting", Setup::DatabaseWithQuotas).await?,
            database,
            people: Arc::new(People::default()),
        })
    }

    async fn measure(self, plan: &Plan) -> Result<Vec<Cell>> {
        let connections = plan.connections;
        let mut cells = What::ALL.map(|what| Cell { what, connections, rounds: Vec::new() });
        let mut rates = [AT_FIRST; What::ALL.len()];
        for round in 0..=plan.rounds {
            tell(&if round == 0 { "warming up".to_owned() } else { format!("round {round} of {}", plan.rounds) });
            let duration = if round == 0 { (plan.duration / 2).max(Duration::from_secs(1)) } else { plan.duration };
            for (cell, rate) in cells.iter_mut().zip(&mut rates) {
                let measured = self.round(cell.what, connections, duration, *rate).await?;
                // A round that went badly must not leave the next one without enough to do.
                *rate = if round == 0 { measured.per_second } else { rate.max(measured.per_second) };
                if round > 0 {
                    cell.rounds.push(measured);
                }
            }
        }
        [self.first, self.second, self.counting].into_iter().try_for_each(Server::stop)?;
        Ok(cells.into())
    }

    async fn round(&self, what: What, connections: usize, duration: Duration, rate: f64) -> Result<Round> {
        let (database, people) = (&self.database, &self.people);
        let (first, second) = (&self.first, &self.second);
        match what {
            What::Pgbench => self.pgbench(connections, duration, rate).await,
            What::Bind => bind(database, &[first], people, connections, duration, rate).await,
            What::BindOnTwoNodes => bind(database, &[first, second], people, connections, duration, rate).await,
            What::Send => {
                put(database, &[&self.counting], vec![Workload::Send(Arc::clone(people))], connections, duration).await
            }
            What::Lookup => look_up(database, first, people, connections, duration).await,
        }
    }

    /// The nodes stand still meanwhile: they clear away what has ended, which pgbench shall not wait for.
    async fn pgbench(&self, connections: usize, duration: Duration, rate: f64) -> Result<Round> {
        let nodes = [&self.first, &self.second, &self.counting];
        nodes.iter().try_for_each(|node| node.pause())?;
        let database = self.database.clone();
        let prepared = Prepared::make(&database, connections, Length::Time(duration, (rate * 1.3).max(AT_FIRST)))?;
        let before = Spent::until_now(&self.database, &[])?;
        let done = tokio::task::spawn_blocking(move || prepared.run(&database)).await??;
        let used = Spent::until_now(&self.database, &[])?;
        nodes.iter().try_for_each(|node| node.resume())?;
        let round = Round { per_second: done.per_second, mean_ms: done.mean_ms, ..Round::default() };
        Ok(used.since(&before, usize::try_from(done.transactions)?, round))
    }
}

/// Binds by people whose codes were sent before, through all the nodes alike.
async fn bind(
    database: &Database,
    nodes: &[&Server],
    people: &Arc<People>,
    connections: usize,
    duration: Duration,
    rate: f64,
) -> Result<Round> {
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "some ten thousands")]
    let wanted = ((rate * 1.3 * duration.as_secs_f64()) as usize).max(connections * 8);
    let first = *nodes.first().context("there is no node")?;
    let mut invited = invite(first, people, wanted).await?;
    let share = wanted.div_ceil(nodes.len());
    let mut workloads = Vec::new();
    for _ in nodes {
        let rest = invited.split_off(share.min(invited.len()));
        workloads.push(Workload::Bind(Row::new(std::mem::replace(&mut invited, rest), 1)));
    }
    put(database, nodes, workloads, connections, duration).await
}

async fn look_up(
    database: &Database,
    node: &Server,
    people: &Arc<People>,
    connections: usize,
    duration: Duration,
) -> Result<Round> {
    let found = tokens(node, people, TOKENS).await?;
    put(database, &[node], vec![Workload::LookUp(Ring::new(found))], connections, duration).await
}

/// Puts load on the nodes at once, each its share of the connections.
async fn put(
    database: &Database,
    nodes: &[&Server],
    workloads: Vec<Workload>,
    connections: usize,
    duration: Duration,
) -> Result<Round> {
    let before = Spent::until_now(database, nodes)?;
    let mut loading = JoinSet::new();
    for (node, workload) in nodes.iter().zip(workloads) {
        loading.spawn(load(node.address, connections / nodes.len(), Pace::Closed, workload, duration));
    }
    let mut all = Load::default();
    while let Some(loaded) = loading.join_next().await {
        let loaded = loaded.context("a load ended badly")??;
        all.latencies_us.extend(loaded.latencies_us);
        all.unexpected += loaded.unexpected;
        all.elapsed = all.elapsed.max(loaded.elapsed);
    }
    let used = Spent::until_now(database, nodes)?;
    all.latencies_us.sort_unstable();
    let operations = all.latencies_us.len();
    ensure!(operations > 0, "nothing was answered");
    let at = |percent| f64::from(quantile(&all.latencies_us, percent)) / 1000.0;
    let sum: f64 = all.latencies_us.iter().map(|&latency| f64::from(latency)).sum();
    let round = Round {
        per_second: ratio(count(operations), all.elapsed.as_secs_f64()),
        mean_ms: sum / count(operations) / 1000.0,
        p50_ms: Some(at(50.0)),
        p99_ms: Some(at(99.0)),
        errors: all.unexpected,
        ..Round::default()
    };
    Ok(used.since(&before, operations, round))
}

/// What was spent so far.
struct Spent {
    nodes: Duration,
    database: Option<Duration>,
    wal_bytes: f64,
}

impl Spent {
    fn until_now(database: &Database, nodes: &[&Server]) -> Result<Self> {
        let mut spent = Duration::ZERO;
        for node in nodes {
            spent += node.processor_time()?;
        }
        let wal = database.run("SELECT pg_current_wal_insert_lsn() - '0/0'::pg_lsn")?;
        let wal_bytes = wal.trim().parse().context("the log's end is no number")?;
        Ok(Self { nodes: spent, database: database.cluster.processor_time(), wal_bytes })
    }

    /// Spreads what was spent since over the operations.
    fn since(&self, before: &Self, operations: usize, round: Round) -> Round {
        let each = |spent: Duration| ratio(spent.as_secs_f64() * 1e6, count(operations));
        let nodes = self.nodes.saturating_sub(before.nodes);
        let database = self.database.zip(before.database).map(|(after, before)| after.saturating_sub(before));
        Round {
            node_us: (!nodes.is_zero()).then(|| each(nodes)),
            database_us: database.map(each),
            wal_bytes: ratio(self.wal_bytes - before.wal_bytes, count(operations)),
            ..round
        }
    }
}

/// Binds on databases of several sizes in turn.
async fn sizes(cluster: &Cluster, plan: &Plan, folder: &Path) -> Result<Vec<Size>> {
    let mut sizes = Vec::new();
    let mut servers = Vec::new();
    for &accounts in &plan.sizes {
        let (database, size) = sized(cluster, accounts, folder)?;
        let settings = [("STORE", database.address.clone())];
        let node = Server::start_with(Setup::Database, &folder.join(format!("node-{accounts}")), &settings).await?;
        let people = Arc::new(People::after(met(&database)?));
        servers.push((database, node, people));
        sizes.push(size);
    }
    let mut rates = vec![AT_FIRST; sizes.len()];
    for round in 0..=plan.rounds {
        tell(&format!("sizes, round {round} of {}", plan.rounds));
        for ((size, (database, node, people)), rate) in sizes.iter_mut().zip(&servers).zip(&mut rates) {
            let bound = bind(database, &[node], people, plan.connections, plan.duration, *rate).await?;
            let found = look_up(database, node, people, plan.connections, Duration::from_secs(1)).await?;
            *rate = if round == 0 { bound.per_second } else { rate.max(bound.per_second) };
            if round > 0 {
                size.rounds.push(bound);
                size.lookups.push(found);
            }
        }
    }
    for (size, (_, node, _)) in sizes.iter_mut().zip(servers) {
        size.resident_bytes = node.resident()?;
        node.stop()?;
    }
    Ok(sizes)
}

/// A database with so many accounts: the one of an earlier run, where the server has it.
fn sized(cluster: &Cluster, accounts: u64, folder: &Path) -> Result<(Database, Size)> {
    let name = format!("mobile_bind_bench_{accounts}");
    let (database, filled_in_s) = if cluster.has(&name)? {
        (cluster.database(&name), None)
    } else {
        tell(&format!("filling a database with {accounts} accounts"));
        let database = cluster.create(&name)?;
        let start = now();
        fill_store(&database.address, &folder.join(format!("fill-{accounts}")), accounts)?;
        let took = start.elapsed().as_secs_f64();
        database.run("VACUUM ANALYZE")?;
        (database, Some(took))
    };
    let relations = database.rows(
        "SELECT relname, relkind = 'i', pg_relation_size(oid) FROM pg_class
         WHERE relnamespace = 'public'::regnamespace AND relkind IN ('r', 'i') ORDER BY 1",
    )?;
    let read = |row: Vec<String>| {
        let mut columns = row.into_iter();
        let (name, is_index) = (columns.next()?, columns.next()? == "t");
        Some(Relation { name, is_index, bytes: columns.next()?.parse().ok()? })
    };
    let relations = relations.into_iter().filter_map(read).collect();
    let size = Size { accounts, filled_in_s, relations, rounds: Vec::new(), lookups: Vec::new(), resident_bytes: 0 };
    Ok((database, size))
}

/// How many people an earlier run has met.
fn met(database: &Database) -> Result<u64> {
    let last = database.number(
        "SELECT greatest(coalesce((SELECT max(mobile) FROM accounts WHERE mobile BETWEEN '13' AND '14'), '0')::bigint,
            coalesce((SELECT max(mobile) FROM challenges WHERE mobile BETWEEN '13' AND '14'), '0')::bigint)",
    )?;
    Ok((last + 1).saturating_sub(Person::FIRST_MOBILE))
}
