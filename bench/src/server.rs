//! The server under load: the release binary, as a child process.

use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, Stdio};
use std::sync::mpsc::{Sender, channel};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use hyper::StatusCode;

use crate::client::Connection;
use crate::clock::now;
use crate::folder::beside_the_program;
use crate::process::{most_resident, on_disk, processor_time, resident};
use crate::requests::Requests;

/// How a server is set up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Setup {
    /// The embedded store, no quotas.
    Sled,
    /// Everything in memory, no quotas: what the service costs without a store.
    Memory,
    /// The embedded store, and every quota counted on disk, each too wide to be reached.
    SledWithQuotas,
    /// A database, which the setting STORE names; no quotas.
    Database,
    /// The same, and every quota counted in it, each too wide to be reached.
    DatabaseWithQuotas,
}

/// The settings' names of all quotas.
const QUOTAS: [&str; 10] = [
    "SENDS_TO_NUMBER",
    "SENDS_BY_INSTALLATION",
    "SENDS_FROM_ADDRESS",
    "SENDS_FROM_SHARED_ADDRESS",
    "SENDS_TO_RANGE",
    "SENDS_OF_ACCOUNT",
    "SENDS",
    "FAILURES_ON_NUMBER",
    "FAILURES_SINCE_SUCCESS",
    "FAILURES_BY_CLIENT",
];

impl Setup {
    /// `None` where a setting names it.
    fn store(self) -> Option<&'static str> {
        match self {
            Self::Sled | Self::SledWithQuotas => Some("sled:"),
            Self::Memory => Some("memory:"),
            Self::Database | Self::DatabaseWithQuotas => None,
        }
    }

    fn variables(self) -> Vec<(String, &'static str)> {
        let mut variables = [("LOG__LEVEL", "warn"), ("CODE__LENGTH", "4"), ("SMS__PRINT", "false")]
            .map(|(name, value)| (name.to_owned(), value))
            .to_vec();
        if matches!(self, Self::SledWithQuotas | Self::DatabaseWithQuotas) {
            variables.push(("LIMITS__MODE".to_owned(), "enforce"));
            variables.extend(QUOTAS.map(|name| (format!("LIMITS__{name}"), "1000000000/1h")));
        } else {
            variables.push(("LIMITS__MODE".to_owned(), "off"));
        }
        variables.into_iter().map(|(name, value)| (format!("MOBILE_BIND__{name}"), value)).collect()
    }
}

/// How long a server may take to start, or to stop.
const PATIENCE: Duration = Duration::from_secs(60);

/// A running server; it is ended when it is dropped.
#[derive(Debug)]
pub(crate) struct Server {
    child: Child,
    folder: PathBuf,
    /// Where it listens.
    pub(crate) address: SocketAddr,
    /// How long it took from its start until it said that it is ready.
    pub(crate) ready_after: Duration,
}

impl Server {
    /// Starts a server on the data in a folder, and waits until it is ready.
    pub(crate) async fn start(setup: Setup, folder: &Path) -> Result<Self> {
        Self::start_with(setup, folder, &[]).await
    }

    /// The same, with more settings, each by its name in the environment and its value.
    pub(crate) async fn start_with(setup: Setup, folder: &Path, settings: &[(&str, String)]) -> Result<Self> {
        Self::launch(setup, folder, settings, program(folder)?).await
    }

    /// Starts one that gives way to the driver on their common processors, as if the driver were on another machine.
    pub(crate) async fn start_giving_way(setup: Setup, folder: &Path) -> Result<Self> {
        let program = program(folder)?;
        let mut nice = Command::new("nice");
        nice.args(["-n", "5"]).arg(program.get_program()).args(program.get_args()).stdin(Stdio::null());
        for (name, value) in program.get_envs() {
            match value {
                Some(value) => nice.env(name, value),
                None => nice.env_remove(name),
            };
        }
        nice.current_dir(program.get_current_dir().unwrap_or(folder));
        Self::launch(setup, folder, &[], nice).await
    }

    async fn launch(setup: Setup, folder: &Path, settings: &[(&str, String)], mut command: Command) -> Result<Self> {
        std::fs::create_dir_all(folder)?;
        command.args(["--listen", "127.0.0.1:0"]).envs(setup.variables());
        command.args(setup.store().into_iter().flat_map(|store| ["--store", store]));
        command.envs(settings.iter().map(|(name, value)| (format!("MOBILE_BIND__{name}"), value)));
        let log = std::fs::File::create(folder.join("server.log"))?;
        let start = now();
        let mut child = command.stdout(Stdio::piped()).stderr(log).spawn().context("cannot start the server")?;
        let output = child.stdout.take().context("the server has no standard output")?;
        let (told, address) = channel();
        // Every message that is "sent" is printed; a full pipe would stop the server.
        std::thread::spawn(move || drain(output, &told));
        let address = address.recv_timeout(PATIENCE);
        let mut server =
            Self { child, folder: folder.to_owned(), address: ([127, 0, 0, 1], 0).into(), ready_after: PATIENCE };
        server.address = address.with_context(|| format!("the server did not start: {}", server.log()))?;
        server.wait_until_ready(start).await?;
        server.ready_after = start.elapsed();
        Ok(server)
    }

    async fn wait_until_ready(&self, start: Instant) -> Result<()> {
        let mut connection = Connection::open(self.address).await?;
        let requests = Requests::to(self.address)?;
        while connection.send(requests.get("/readyz")?).await?.status != StatusCode::OK {
            ensure!(start.elapsed() < PATIENCE, "the server does not get ready: {}", self.log());
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        Ok(())
    }

    /// The processor time it has used so far.
    pub(crate) fn processor_time(&self) -> Result<Duration> {
        processor_time(self.child.id())
    }

    /// Its resident memory, in bytes.
    pub(crate) fn resident(&self) -> Result<u64> {
        resident(self.child.id())
    }

    /// The most memory that it ever had resident, in bytes.
    pub(crate) fn most_resident(&self) -> Result<u64> {
        most_resident(self.child.id())
    }

    /// What its data takes on disk, in bytes.
    pub(crate) fn on_disk(&self) -> Result<u64> {
        on_disk(&self.folder)
    }

    /// Lets it stand still until it is resumed.
    pub(crate) fn pause(&self) -> Result<()> {
        self.signal(rustix::process::Signal::STOP)
    }

    /// Lets it go on.
    pub(crate) fn resume(&self) -> Result<()> {
        self.signal(rustix::process::Signal::CONT)
    }

    fn signal(&self, signal: rustix::process::Signal) -> Result<()> {
        let pid = i32::try_from(self.child.id()).ok().and_then(rustix::process::Pid::from_raw);
        Ok(rustix::process::kill_process(pid.context("the server has no process id")?, signal)?)
    }

    /// Stops it as an operator would.
    pub(crate) fn stop(mut self) -> Result<()> {
        self.signal(rustix::process::Signal::TERM)?;
        let status = self.child.wait()?;
        ensure!(status.success(), "the server stopped badly: {}", self.log());
        Ok(())
    }

    /// Ends it as a power cut would.
    pub(crate) fn kill(mut self) -> Result<()> {
        self.child.kill()?;
        self.child.wait()?;
        Ok(())
    }

    fn log(&self) -> String {
        std::fs::read_to_string(self.folder.join("server.log")).unwrap_or_default()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // Both fail where it has ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Fills the store in a folder with made-up accounts; a progress bar is drawn on standard error.
pub(crate) fn fill(folder: &Path, users: u64) -> Result<()> {
    fill_store("sled:", folder, users)
}

/// The same, whatever store it is.
pub(crate) fn fill_store(store: &str, folder: &Path, users: u64) -> Result<()> {
    std::fs::create_dir_all(folder)?;
    let users = users.to_string();
    let status = program(folder)?.args(["--store", store, "store", "fill", "--users", &users]).status();
    if !status.context("cannot start the server's program")?.success() {
        bail!("the store could not be filled");
    }
    Ok(())
}

/// Makes the service's own tables beside a shop's.
pub(crate) fn install_at_shop(store: &str, folder: &Path) -> Result<()> {
    std::fs::create_dir_all(folder)?;
    let status = program(folder)?.args(["--store", store, "shopxo", "install"]).stdout(Stdio::null()).status();
    ensure!(status.context("cannot start the server's program")?.success(), "the tables could not be made");
    Ok(())
}

/// Whether the store in a folder, which no server has open, fits together.
pub(crate) fn verify(folder: &Path) -> Result<bool> {
    let status = program(folder)?.args(["store", "verify"]).stdout(Stdio::null()).status();
    Ok(status.context("cannot start the server's program")?.success())
}

/// The server's program, built beside this one, with no settings but ours.
fn program(folder: &Path) -> Result<Command> {
    let path = beside_the_program("mobile-bind")?;
    ensure!(path.is_file(), "{} is missing: run `cargo xtask bench`, which builds it", path.display());
    let mut command = Command::new(path);
    for (name, _) in std::env::vars_os().filter(|(name, _)| name.to_string_lossy().starts_with("MOBILE_BIND__")) {
        command.env_remove(name);
    }
    // A mobile-bind.toml that happens to lie about is none of ours.
    command.current_dir(folder).arg("--data-dir").arg(folder).stdin(Stdio::null());
    Ok(command)
}

/// Reads everything that the server prints, and tells the address.
fn drain(output: ChildStdout, told: &Sender<SocketAddr>) {
    let mut output = BufReader::with_capacity(64 * 1024, output);
    let mut line = String::new();
    if output.read_line(&mut line).is_ok()
        && let Some(address) = address(&line)
    {
        // Nobody waits any more where starting was given up.
        let _ = told.send(address);
    }
    // Ends with the server.
    let _ = std::io::copy(&mut output, &mut std::io::sink());
}

fn address(line: &str) -> Option<SocketAddr> {
    line.trim().strip_prefix("listening on http://")?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::{QUOTAS, Setup, address};

    #[test]
    fn the_address_is_in_the_first_line() {
        assert_eq!(address("listening on http://127.0.0.1:4711\n"), Some(([127, 0, 0, 1], 4711).into()));
        assert_eq!(address("sms to nobody"), None);
    }

    #[test]
    fn quotas_are_either_off_or_all_wide() {
        let with = Setup::SledWithQuotas.variables();
        assert_eq!(with.iter().filter(|(_, value)| *value == "1000000000/1h").count(), 10);
        assert!(Setup::Sled.variables().contains(&("MOBILE_BIND__LIMITS__MODE".to_owned(), "off")));
    }

    /// A quota that a load would reach is a bench that measures refusals.
    #[test]
    fn every_quota_of_the_settings_is_known_here() {
        let settings = include_str!("../../mobile-bind.example.toml").split_once("\n[limits]\n").unwrap().1;
        let section = settings.lines().take_while(|line| !line.starts_with('['));
        let quotas = section.filter_map(|line| line.split_once(" = [\"").map(|(name, _)| name.to_uppercase()));
        let mut quotas: Vec<String> = quotas.collect();
        quotas.sort_unstable();
        let mut known = QUOTAS.map(str::to_owned);
        known.sort_unstable();
        assert_eq!(quotas, known);
    }
}
