//! Two PostgreSQL servers under Patroni, with an etcd: a primary and a synchronous standby on one machine, each with its
//! agent and behind a network of its own that can be parted. Whatever becomes of the driver, a guard ends them.

use std::net::TcpListener;
use std::os::unix::fs::{DirBuilderExt, chown};
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};
use tokio::process::{Child, Command};

use crate::proxy::Proxy;

/// Runs until its standard input ends, which it does however the driver ends: then everything goes, and the folder.
const GUARD: &str = r#"trap '' INT TERM HUP
cat >/dev/null
for file in "$1"/pids/* "$1"/?/data/postmaster.pid; do
    [ -e "$file" ] || continue
    read -r pid <"$file"
    kill -KILL "$pid" $(cat "/proc/$pid/task/$pid/children" 2>/dev/null) 2>/dev/null
done
sleep 1
rm -rf "$1""#;

/// How long the manager has to bring its two members into order.
const ORDER: Duration = Duration::from_secs(120);
const PAUSE: Duration = Duration::from_millis(100);
/// How many lines of each log are shown where it does not come to that.
const TAIL: usize = 25;

/// How the manager is set. The documentation's smallest `ttl` is 20 s: where an agent dies with its server, its lock is there
/// for so long. `primary_start_timeout` 0 prefers the standby to a server that must go through its log first.
/// <https://patroni.readthedocs.io/en/latest/dynamic_configuration.html>
pub(super) fn settings(strict: bool) -> Value {
    json!({
        "ttl": 20, "loop_wait": 1, "retry_timeout": 3, "primary_start_timeout": 0,
        "synchronous_mode": true, "synchronous_mode_strict": strict,
        "postgresql": {
            "use_pg_rewind": true,
            "parameters": {
                "max_connections": 150, "shared_buffers": "64MB", "wal_keep_size": "512MB", "wal_log_hints": "on",
                "wal_sender_timeout": "10s", "wal_receiver_timeout": "10s", "synchronous_commit": "on",
            },
        },
    })
}

/// The first Patroni that does not take the leader's lock back unseen over etcd's current interface, when its machine was
/// stopped for longer than the lock is good: <https://github.com/patroni/patroni/pull/2689>. One before it is run over etcd's
/// old interface, where it compares before it writes.
const COMPARES: [u32; 3] = [3, 0, 3];

/// Where the programs are, and who shall run them.
#[derive(Clone, Debug)]
pub struct Programs {
    /// The folder of PostgreSQL's programs.
    pub postgres: PathBuf,
    /// User and group of the servers, where that cannot be whoever runs this.
    pub owner: Option<(u32, u32)>,
}

/// One server and its agent.
pub(super) struct Member {
    pub(super) name: &'static str,
    /// Where the server listens, beside the network that can be parted.
    pub(super) port: u16,
    rest: u16,
    agent: Option<Child>,
    /// Its way to etcd.
    to_etcd: Proxy,
    /// The other's ways to it.
    to_server: Proxy,
    to_agent: Proxy,
}

/// The cluster. It goes when this does.
pub(super) struct Cluster {
    programs: Programs,
    folder: PathBuf,
    pub(super) members: Vec<Member>,
    http: reqwest::Client,
    _etcd: Child,
    /// Whether the manager uses etcd's old interface.
    old_interface: bool,
    guard: Child,
}

impl Cluster {
    /// Makes the cluster, and waits until both servers are there and one waits for the other.
    pub(super) async fn start(programs: Programs, strict: bool) -> Result<Self> {
        let folder = std::env::temp_dir().join(format!("mobile-bind-failover-{}", std::process::id()));
        make(&folder, &programs)?;
        for inner in ["pids", "etcd", "a", "b"] {
            make(&folder.join(inner), &programs)?;
        }
        let mut guard = Command::new("sh");
        guard.args(["-c", GUARD, "sh"]).arg(&folder).stdin(Stdio::piped());
        let guard = guard.spawn().context("the guard cannot be started")?;
        let (client, peer) = (free_port()?, free_port()?);
        let old_interface = version().await? < COMPARES;
        let etcd = etcd(&programs, &folder, [client, peer], old_interface)?;
        let mut members = Vec::new();
        for name in ["a", "b"] {
            let (port, rest) = (free_port()?, free_port()?);
            let to = async |port: u16| Proxy::start(format!("127.0.0.1:{port}")).await;
            let (to_etcd, to_server, to_agent) = (to(client).await?, to(port).await?, to(rest).await?);
            members.push(Member { name, port, rest, agent: None, to_etcd, to_server, to_agent });
        }
        let http = reqwest::Client::builder().no_proxy().timeout(Duration::from_secs(1)).build()?;
        let mut cluster = Self { programs, folder, members, http, _etcd: etcd, old_interface, guard };
        for index in 0..cluster.members.len() {
            cluster.configure(index, strict)?;
        }
        cluster.start_agent(0)?;
        cluster.wait("a first server", |roles| roles.iter().any(|(_, role)| role == "leader")).await?;
        cluster.start_agent(1)?;
        cluster.wait_for_order().await?;
        Ok(cluster)
    }

    fn configure(&self, index: usize, strict: bool) -> Result<()> {
        let member = &self.members[index];
        let folder = self.folder.join(member.name);
        let listen = |port: u16| format!("127.0.0.1:{port}");
        let store = if self.old_interface { "etcd" } else { "etcd3" };
        let trust = ["host all all 127.0.0.1/32 trust", "host replication all 127.0.0.1/32 trust"];
        // JSON is YAML.
        let settings = json!({
            "scope": "mobile-bind",
            "name": member.name,
            "restapi": { "listen": listen(member.rest), "connect_address": member.to_agent.address },
            store: { "hosts": [member.to_etcd.address], "use_proxies": true },
            "bootstrap": {
                "dcs": settings(strict),
                "initdb": [{ "encoding": "UTF8" }, { "locale": "C" }, "data-checksums"],
            },
            "postgresql": {
                "listen": listen(member.port),
                "connect_address": member.to_server.address,
                "data_dir": folder.join("data"),
                "bin_dir": self.programs.postgres,
                "pgpass": folder.join("pgpass"),
                "authentication": {
                    "superuser": { "username": "postgres", "password": "unused" },
                    "replication": { "username": "replicator", "password": "unused" },
                },
                "pg_hba": trust,
                "parameters": { "unix_socket_directories": "" },
                "remove_data_directory_on_rewind_failure": true,
                "remove_data_directory_on_diverged_timelines": true,
            },
        });
        std::fs::write(folder.join("patroni.yml"), serde_json::to_vec_pretty(&settings)?)?;
        Ok(())
    }

    /// Starts a member's agent, which starts its server.
    pub(super) fn start_agent(&mut self, index: usize) -> Result<()> {
        let name = self.members[index].name;
        let mut agent = owned("patroni", &self.programs, &self.folder, name)?;
        let agent = agent.arg(self.folder.join(name).join("patroni.yml")).spawn();
        let agent = agent.context("patroni cannot be started")?;
        note(&self.folder, name, agent.id())?;
        self.members[index].agent = Some(agent);
        Ok(())
    }

    /// The roles of the members that run, as an agent tells them.
    async fn roles(&self) -> Vec<(String, String)> {
        for member in &self.members {
            let asked = self.http.get(format!("http://127.0.0.1:{}/cluster", member.rest)).send().await;
            let Ok(Ok(told)) = async { Ok::<_, reqwest::Error>(asked?.json::<Value>().await) }.await else { continue };
            let members = told["members"].as_array().map(Vec::as_slice).unwrap_or_default();
            let running =
                members.iter().filter(|member| matches!(member["state"].as_str(), Some("running" | "streaming")));
            let text = |member: &Value, name: &str| member[name].as_str().unwrap_or_default().to_owned();
            return running.map(|member| (text(member, "name"), text(member, "role"))).collect();
        }
        Vec::new()
    }

    async fn wait(&self, what: &str, mut is_so: impl FnMut(&[(String, String)]) -> bool) -> Result<()> {
        let waited = tokio::time::timeout(ORDER, async {
            while !is_so(&self.roles().await) {
                tokio::time::sleep(PAUSE).await;
            }
        });
        waited.await.with_context(|| format!("the cluster manager did not bring {what}\n{}", self.said_last()))
    }

    /// What the programs said last.
    fn said_last(&self) -> String {
        let tail = |name: &str| {
            let log = std::fs::read_to_string(self.folder.join(format!("{name}.log"))).unwrap_or_default();
            let lines: Vec<&str> = log.lines().collect();
            format!("--- {name}\n{}\n", lines[lines.len().saturating_sub(TAIL)..].join("\n"))
        };
        ["etcd", "a", "b"].map(tail).concat()
    }

    /// Waits until one server takes changes and the other is its synchronous standby.
    pub(super) async fn wait_for_order(&self) -> Result<()> {
        let there = |roles: &[(String, String)], wanted: &str| roles.iter().any(|(_, role)| role == wanted);
        self.wait("a primary and a synchronous standby", |roles| there(roles, "leader") && there(roles, "sync_standby"))
            .await
    }

    /// Which member takes changes.
    pub(super) async fn primary(&self) -> Result<usize> {
        let roles = self.roles().await;
        let name = roles.iter().find(|(_, role)| role == "leader").map(|(name, _)| name.as_str());
        self.members.iter().position(|member| Some(member.name) == name).context("there is no primary")
    }

    /// The server's processes, the one that the others hang on first.
    fn server(&self, index: usize) -> Result<Vec<Pid>> {
        let file = self.folder.join(self.members[index].name).join("data/postmaster.pid");
        let text = std::fs::read_to_string(&file).with_context(|| format!("cannot read {}", file.display()))?;
        let first = text.lines().next().unwrap_or_default();
        let children = std::fs::read_to_string(format!("/proc/{first}/task/{first}/children")).unwrap_or_default();
        std::iter::once(first).chain(children.split_whitespace()).map(pid).collect()
    }

    fn agent(&self, index: usize) -> Result<Pid> {
        let id = self.members[index].agent.as_ref().and_then(Child::id).context("the agent has ended")?;
        pid(&id.to_string())
    }

    /// Ends a server this instant: all its processes.
    pub(super) fn kill_server(&self, index: usize) -> Result<()> {
        let processes = self.server(index)?;
        // Stopped first, so that none makes another.
        signal(&processes, Signal::STOP);
        let processes = [processes, self.server(index)?].concat();
        signal(&processes, Signal::KILL);
        Ok(())
    }

    /// Ends a server and its agent, as where a machine loses its power.
    pub(super) async fn kill_machine(&mut self, index: usize) -> Result<()> {
        signal(&[self.agent(index)?], Signal::KILL);
        self.kill_server(index)?;
        if let Some(mut agent) = self.members[index].agent.take() {
            agent.wait().await?;
        }
        Ok(())
    }

    /// Stops a server where it is, or lets it go on; with its agent, as where a machine is stopped.
    pub(super) fn stop(&self, index: usize, stopped: bool, with_agent: bool) -> Result<()> {
        let agent = if with_agent { vec![self.agent(index)?] } else { Vec::new() };
        let order = if stopped { Signal::STOP } else { Signal::CONT };
        signal(&[agent, self.server(index)?].concat(), order);
        if stopped {
            // What it made before it was stopped itself.
            signal(&self.server(index)?, order);
        }
        Ok(())
    }

    /// Cuts a member off from etcd and from the other, or lets it back.
    pub(super) fn part(&self, index: usize, parted: bool) {
        self.members[index].to_etcd.part(parted);
        for member in &self.members {
            member.to_server.part(parted);
            member.to_agent.part(parted);
        }
    }

    /// A folder for another process, which goes with the cluster's own.
    pub(super) fn folder_for(&self, name: &str) -> Result<PathBuf> {
        let folder = self.folder.join(name);
        std::fs::create_dir(&folder).with_context(|| format!("cannot make {}", folder.display()))?;
        Ok(folder)
    }

    /// Has the guard end another process too, should the driver not come to it.
    pub(super) fn guard(&self, name: &str, id: Option<u32>) -> Result<()> {
        note(&self.folder, name, id)
    }

    /// Ends everything, and removes the folder.
    pub(super) async fn end(mut self) -> Result<()> {
        drop(self.guard.stdin.take());
        self.guard.wait().await?;
        ensure!(!self.folder.exists(), "{} could not be removed", self.folder.display());
        Ok(())
    }
}

fn pid(text: &str) -> Result<Pid> {
    text.trim().parse().ok().and_then(Pid::from_raw).with_context(|| format!("{text} is no process"))
}

/// One that has ended meanwhile has had what it was sent.
fn signal(processes: &[Pid], signal: Signal) {
    for process in processes {
        let _ = kill_process(*process, signal);
    }
}

fn free_port() -> Result<u16> {
    Ok(TcpListener::bind(("127.0.0.1", 0))?.local_addr()?.port())
}

fn make(folder: &Path, programs: &Programs) -> Result<()> {
    let made = std::fs::DirBuilder::new().mode(0o700).create(folder);
    made.with_context(|| format!("cannot make {}", folder.display()))?;
    if let Some((user, group)) = programs.owner {
        chown(folder, Some(user), Some(group)).with_context(|| format!("cannot give {} away", folder.display()))?;
    }
    Ok(())
}

/// A command that runs as the owner, and writes to a log of its own.
fn owned(program: &str, programs: &Programs, folder: &Path, name: &str) -> Result<Command> {
    let log = std::fs::File::options().create(true).append(true).open(folder.join(format!("{name}.log")))?;
    let mut command = Command::new(program);
    command.current_dir(folder).env("HOME", folder).stdin(Stdio::null());
    command.stdout(log.try_clone()?).stderr(log).kill_on_drop(true);
    if let Some((user, group)) = programs.owner {
        command.uid(user).gid(group);
    }
    Ok(command)
}

/// Tells the guard of a process.
fn note(folder: &Path, name: &str, id: Option<u32>) -> Result<()> {
    let id = id.context("it ended at once")?;
    Ok(std::fs::write(folder.join("pids").join(name), format!("{id}\n"))?)
}

/// The manager's version.
async fn version() -> Result<[u32; 3]> {
    let told = Command::new("patroni").arg("--version").output().await.context("patroni cannot be run")?;
    let told = String::from_utf8_lossy(&told.stdout).into_owned();
    let number = told.split_whitespace().last().context("patroni has no version")?;
    let mut parts = number.split('.').map(|part| part.parse().unwrap_or(0));
    Ok(std::array::from_fn(|_| parts.next().unwrap_or(0)))
}

fn etcd(programs: &Programs, folder: &Path, ports: [u16; 2], old_interface: bool) -> Result<Child> {
    let [client, peer] = ports.map(|port| format!("http://127.0.0.1:{port}"));
    let mut command = owned("etcd", programs, folder, "etcd")?;
    command.arg("--data-dir").arg(folder.join("etcd/data"));
    command.args(["--listen-client-urls", &client, "--advertise-client-urls", &client]);
    command.args(["--listen-peer-urls", &peer, "--initial-advertise-peer-urls", &peer]);
    command.args(["--initial-cluster", &format!("default={peer}")]);
    if old_interface {
        command.arg("--enable-v2=true");
    }
    let etcd = command.spawn().context("etcd cannot be started")?;
    note(folder, "etcd", etcd.id())?;
    Ok(etcd)
}

/// Reads `UID:GID`.
///
/// # Errors
/// Where it is another text.
pub fn owner(text: &str) -> Result<(u32, u32)> {
    let Some((user, group)) = text.split_once(':') else { bail!("an owner is UID:GID") };
    Ok((user.parse()?, group.parse()?))
}
