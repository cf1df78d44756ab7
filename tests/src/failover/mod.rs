//! Takes the primary away from under two nodes, again and again, and looks whether any bind that was answered is lost, or there
//! twice. Everything is real: two PostgreSQL servers under a cluster manager, the service's binary twice, and people who bind
//! over HTTP meanwhile.

mod check;
pub(crate) mod clock;
mod cluster;
mod load;
mod probe;
mod report;

use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use tokio::time::{sleep, timeout};

use crate::crash::Random;
use crate::crash::client::Client;
use crate::crash::process::Running;
use crate::proxy::Proxy;
use check::Found;
use clock::Clock;
use cluster::Cluster;
pub use cluster::{Programs, owner};
use load::Load;
use probe::Probe;
pub use report::Record;

/// After each failure: how long all goes well before the next, and how long one is left as it is.
const CALM: Duration = Duration::from_secs(2);
const LEFT: Duration = Duration::from_secs(5);
/// How long a server stays away where nothing is bound without it: longer than its lock is good.
const AWAY: Duration = Duration::from_secs(25);
/// How long it may take until binds succeed again.
const PATIENCE: Duration = Duration::from_secs(90);
const PAUSE: Duration = Duration::from_millis(20);
/// In one kill of so many the manager's agent dies with its server.
const WITH_AGENT: u32 = 4;
/// How much longer than the manager the nodes may take.
const GOAL: Duration = Duration::from_secs(2);

/// What to do.
#[derive(Clone, Debug)]
pub struct Options {
    /// The service's binary.
    pub binary: PathBuf,
    /// The servers' programs.
    pub programs: Programs,
    /// How often to kill the primary.
    pub kills: u32,
    /// Whether the primary takes no changes while it has no standby.
    pub strict: bool,
    /// What the people's choices come from.
    pub seed: u64,
}

/// What came out.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Outcome {
    /// How often the primary was killed.
    pub failovers: u32,
    /// Binds that were answered with code 0.
    pub acknowledged: usize,
    /// Of those, how many are not there, or not whole.
    pub lost: usize,
    /// Numbers and openids that are there more than once.
    pub doubled: usize,
    /// Anything else that must not be.
    pub wrong: usize,
}

/// The last line: what a machine reads.
#[must_use]
pub fn summary(outcome: &Outcome) -> String {
    let Outcome { failovers, acknowledged, lost, doubled, .. } = outcome;
    format!("{failovers} failovers, {acknowledged} acknowledged, {lost} lost, {doubled} doubled")
}

/// Everything that runs.
struct Scene {
    clock: Clock,
    strict: bool,
    cluster: Cluster,
    /// The second node is behind these, one for each server.
    to_servers: Vec<Proxy>,
    nodes: Vec<Running>,
    load: Load,
    probe: Probe,
    /// What the nodes keep beside the database.
    data: PathBuf,
}

/// Plays it all, and tells `record` of it.
///
/// # Errors
/// Where something does not start, or does not come back.
pub async fn run(options: Options, record: &mut Record) -> Result<Outcome> {
    let clock = Clock::start();
    let cluster = Cluster::start(options.programs.clone(), options.strict).await?;
    let (outcome, cluster) = play(options, clock, cluster, record).await?;
    cluster.end().await?;
    Ok(outcome)
}

async fn play(options: Options, clock: Clock, cluster: Cluster, record: &mut Record) -> Result<(Outcome, Cluster)> {
    let mut scene = Scene::set(&options, clock, cluster).await?;
    record.say(clock.now(), "a primary and a synchronous standby, two nodes, and people who bind");
    sleep(CALM).await;
    for number in 1..=options.kills {
        scene.kill(number, record).await?;
    }
    scene.pause(record).await?;
    scene.part(record).await?;
    scene.cut_node_off(record).await?;
    scene.cancel_waits(record).await?;
    scene.end(&options, record).await
}

/// Asks until there is an answer.
async fn until<T>(what: &str, mut ask: impl FnMut() -> Option<T>) -> Result<T> {
    let asking = async {
        loop {
            if let Some(found) = ask() {
                return found;
            }
            sleep(PAUSE).await;
        }
    };
    timeout(PATIENCE, asking).await.with_context(|| format!("{what} did not happen in {} s", PATIENCE.as_secs()))
}

fn address(ports: &[u16]) -> String {
    let hosts: Vec<String> = ports.iter().map(|port| format!("127.0.0.1:{port}")).collect();
    format!("postgres://postgres@{}/postgres?target_session_attrs=read-write", hosts.join(","))
}

impl Scene {
    async fn set(options: &Options, clock: Clock, cluster: Cluster) -> Result<Self> {
        let ports: Vec<u16> = cluster.members.iter().map(|member| member.port).collect();
        let database = probe::connect(ports[cluster.primary().await?]).await?;
        database.batch_execute("CREATE TABLE failover_probe (number bigint PRIMARY KEY)").await?;
        let mut to_servers = Vec::new();
        for port in &ports {
            to_servers.push(Proxy::start(format!("127.0.0.1:{port}")).await?);
        }
        let behind: Vec<u16> = to_servers.iter().map(|proxy| proxy.address.port()).collect();
        let mut data = PathBuf::new();
        let mut nodes = Vec::new();
        for (index, ports) in [&ports, &behind].into_iter().enumerate() {
            let name = format!("node-{}", index + 1);
            data = cluster.folder_for(&name)?;
            let log = std::fs::File::create(data.join("log"))?;
            let address = address(ports);
            let started = Running::start_with(&options.binary, &data, |command| {
                command.args(["--store", &address]).stderr(log);
            });
            let node = started.await?;
            cluster.guard(&name, node.id())?;
            nodes.push(node);
        }
        let bases: Vec<&str> = nodes.iter().map(|node| node.base.as_str()).collect();
        let load = Load::start(&bases, clock, &mut Random::new(options.seed))?;
        let probe = Probe::start(&ports, clock);
        Ok(Self { clock, strict: options.strict, cluster, to_servers, nodes, load, probe, data })
    }

    /// Waits until the database takes changes again and then until binds succeed; tells how long both took.
    async fn recovered(&self, since: Duration, what: &str, record: &mut Record) -> Result<()> {
        let client = Client::new(&self.nodes[0].base)?;
        let asked = self.clock.now();
        let ready = client.is_ready().await?;
        let probed = self.clock.now().saturating_sub(asked);
        let bound = until("a bind", || self.load.first_since(since, None)).await?;
        let taken = until("a row", || self.probe.first_since(since)).await?;
        let (database, binds) = (taken.at.saturating_sub(since), bound.at.saturating_sub(since));
        record.recovered(self.clock.now(), what, database, binds, binds <= database + GOAL);
        let word = if ready { "ready" } else { "not ready" };
        record.say(self.clock.now(), &format!("  /readyz said {word} meanwhile, after {:.2} s", probed.as_secs_f64()));
        Ok(())
    }

    /// A server is away until it is brought back: the other takes over, or in strict mode waits for it.
    async fn away(&self, since: Duration, what: &str, record: &mut Record) -> Result<()> {
        if !self.strict {
            return self.recovered(since, what, record).await;
        }
        sleep(AWAY).await;
        let bound = self.load.first_since(since, None).is_some();
        record.say(
            self.clock.now(),
            &format!("{what}: binds meanwhile, with no standby: {}", if bound { "some" } else { "none" }),
        );
        if bound {
            record.wrong("a bind was answered that no standby has");
        }
        Ok(())
    }

    /// Waits for the old primary to come back as a standby.
    async fn in_order(&self, since: Duration, record: &mut Record) -> Result<()> {
        self.cluster.wait_for_order().await?;
        let took = self.clock.now().saturating_sub(since).as_secs_f64();
        record.say(self.clock.now(), &format!("  a primary and a synchronous standby again after {took:.1} s"));
        sleep(CALM).await;
        Ok(())
    }

    async fn kill(&mut self, number: u32, record: &mut Record) -> Result<()> {
        let primary = self.cluster.primary().await?;
        let name = self.cluster.members[primary].name;
        let with_agent = number.is_multiple_of(WITH_AGENT);
        if with_agent {
            self.cluster.kill_machine(primary).await?;
        } else {
            self.cluster.kill_server(primary)?;
        }
        let since = self.clock.now();
        let (kind, what) = if with_agent { ("kill -9, agent too", " and its agent") } else { ("kill -9", "") };
        record.mark(since, kind);
        let what = format!("kill {number}: server {name}{what}");
        if with_agent {
            self.away(since, &what, record).await?;
            self.cluster.start_agent(primary)?;
        } else {
            self.recovered(since, &what, record).await?;
        }
        self.in_order(since, record).await
    }

    async fn pause(&mut self, record: &mut Record) -> Result<()> {
        let primary = self.cluster.primary().await?;
        self.cluster.stop(primary, true, true)?;
        let since = self.clock.now();
        record.mark(since, "SIGSTOP");
        let what = format!("SIGSTOP: server {} and its agent", self.cluster.members[primary].name);
        self.away(since, &what, record).await?;
        sleep(LEFT).await;
        self.cluster.stop(primary, false, true)?;
        self.came_back(primary, "SIGCONT", since, record).await
    }

    /// A primary that was away goes on where it was: it must take nothing that is not there in the end.
    async fn came_back(&self, primary: usize, what: &str, since: Duration, record: &mut Record) -> Result<()> {
        let back = self.clock.now();
        record.mark(back, "it comes back");
        self.in_order(since, record).await?;
        let stale = self.probe.taken().iter().filter(|row| row.server == primary && row.began > since).count();
        record.say(self.clock.now(), &format!("  {what}: the old primary took {stale} changes afterwards"));
        Ok(())
    }

    async fn part(&mut self, record: &mut Record) -> Result<()> {
        let primary = self.cluster.primary().await?;
        self.cluster.part(primary, true);
        let since = self.clock.now();
        record.mark(since, "network parted");
        let what = format!(
            "server {} cut off from etcd and the standby, not from the nodes",
            self.cluster.members[primary].name
        );
        self.away(since, &what, record).await?;
        sleep(LEFT).await;
        self.cluster.part(primary, false);
        self.came_back(primary, "network whole", since, record).await
    }

    async fn cut_node_off(&mut self, record: &mut Record) -> Result<()> {
        let part = |parted| self.to_servers.iter().for_each(|proxy| proxy.part(parted));
        part(true);
        let since = self.clock.now();
        record.mark(since, "node cut off");
        let client = Client::new(&self.nodes[1].base)?;
        let ready = client.is_ready().await?;
        let probed = self.clock.now().saturating_sub(since).as_secs_f64();
        sleep(LEFT).await;
        let meanwhile = self.load.acknowledged();
        let through = |node| meanwhile.iter().filter(|found| found.node == node && found.began > since).count();
        let word = if ready { "ready" } else { "not ready" };
        let binds = format!("{} binds through it, {} through the other", through(1), through(0));
        record.say(
            self.clock.now(),
            &format!("node 2 cut off from both servers for {:.0} s: {binds}", LEFT.as_secs_f64()),
        );
        record.say(self.clock.now(), &format!("  /readyz said {word} after {probed:.2} s"));
        part(false);
        let whole = self.clock.now();
        let bound = until("a bind", || self.load.first_since(whole, Some(1))).await?;
        let took = bound.at.saturating_sub(whole).as_secs_f64();
        record.say(self.clock.now(), &format!("  it binds again {took:.1} s after its network is whole"));
        sleep(CALM).await;
        Ok(())
    }

    /// The standby hangs, and an operator cancels what waits for it: that is no commit that anybody may rely on.
    async fn cancel_waits(&mut self, record: &mut Record) -> Result<()> {
        const CANCEL: &str = "SELECT count(*) FILTER (WHERE pg_cancel_backend(pid)) FROM pg_stat_activity
            WHERE application_name = 'mobile-bind' AND wait_event = 'SyncRep'";
        let primary = self.cluster.primary().await?;
        let standby = 1 - primary;
        let database = probe::connect(self.cluster.members[primary].port).await?;
        self.cluster.stop(standby, true, false)?;
        let since = self.clock.now();
        record.mark(since, "waits cancelled");
        let mut cancelled = 0;
        for _ in 0..20 {
            sleep(Duration::from_millis(100)).await;
            cancelled += database.query_one(CANCEL, &[]).await?.get::<_, i64>(0);
        }
        let feigned = self.load.acknowledged().iter().filter(|found| found.began > since).count();
        self.cluster.stop(standby, false, false)?;
        let what = format!("the standby hung, {cancelled} waits for it were cancelled by hand");
        record.say(self.clock.now(), &format!("{what}: {feigned} of those binds answered with 0"));
        ensure!(cancelled > 0, "no bind waited for the standby");
        if feigned > 0 {
            record.wrong(&format!("{feigned} binds were answered that the standby did not have"));
        }
        self.in_order(since, record).await
    }

    /// Lets everybody finish, and compares.
    async fn end(mut self, options: &Options, record: &mut Record) -> Result<(Outcome, Cluster)> {
        let acknowledged = self.load.acknowledged();
        let journal = self.load.end().await?;
        let taken = self.probe.taken();
        let mut restarted = 0;
        for node in &mut self.nodes {
            restarted += usize::from(!node.runs()?);
        }
        let bases: Vec<&str> = self.nodes.iter().map(|node| node.base.as_str()).collect();
        let port = self.cluster.members[self.cluster.primary().await?].port;
        let mut found = Found::default();
        found.in_database(&probe::connect(port).await?, &journal, &taken).await?;
        found.by_tokens(&bases, &journal.bound).await?;
        found.by_the_service(&options.binary, &address(&[port]), &self.data).await?;
        found.wrong.extend(journal.odd.iter().cloned());
        for mut node in self.nodes {
            node.stop().await?;
        }
        let now = self.clock.now();
        record.found(now, &found, restarted);
        let (refused, unanswered) = (journal.refused, found.unanswered);
        record.say(now, &format!("{} changes taken beside the nodes, all there", taken.len()));
        record.say(
            now,
            &format!(
                "{refused} answers were that it could not be stored; {unanswered} binds are there without an answer"
            ),
        );
        record.binds(&acknowledged, now);
        let outcome = Outcome {
            failovers: options.kills,
            acknowledged: journal.bound.len(),
            lost: found.lost.len(),
            doubled: found.doubled.len(),
            wrong: record.wrongs(),
        };
        Ok((outcome, self.cluster))
    }
}
