//! The PostgreSQL server that a run uses. Its own programs speak to it: what is measured is the service's adapter, and
//! nothing of that is used to judge it.

use std::ffi::OsStr;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};

use crate::process;

/// The variables by which `cargo xtask bench` names the server and the folder of its programs.
const ADDRESS: &str = "MOBILE_BIND_BENCH_POSTGRES";
const PROGRAMS: &str = "MOBILE_BIND_BENCH_POSTGRES_PROGRAMS";

/// What decides how long a commit takes, and how much of the data fits in memory.
const SETTINGS: [&str; 10] = [
    "server_version",
    "fsync",
    "synchronous_commit",
    "full_page_writes",
    "wal_level",
    "wal_compression",
    "shared_buffers",
    "max_wal_size",
    "checkpoint_timeout",
    "autovacuum",
];

/// A server, as its superuser.
#[derive(Clone, Debug)]
pub(crate) struct Cluster {
    address: String,
    programs: PathBuf,
}

impl Cluster {
    /// The one that the environment names.
    ///
    /// # Errors
    /// Where it names none.
    pub(crate) fn of_environment() -> Result<Self> {
        let missing = "is not set: run `cargo xtask bench --store postgres:`, which brings a server";
        let address = std::env::var(ADDRESS).with_context(|| format!("{ADDRESS} {missing}"))?;
        let programs = std::env::var_os(PROGRAMS).with_context(|| format!("{PROGRAMS} {missing}"))?;
        Ok(Self { address, programs: programs.into() })
    }

    /// The address of one of its databases.
    pub(crate) fn address(&self, database: &str) -> String {
        of_database(&self.address, database)
    }

    /// The database that its own address names, which is there before any other.
    pub(crate) fn first(&self) -> Database {
        Database { cluster: self.clone(), address: self.address.clone() }
    }

    /// A new and empty database.
    pub(crate) fn create(&self, name: &str) -> Result<Database> {
        self.first().run(&format!("CREATE DATABASE {name}"))?;
        Ok(self.database(name))
    }

    /// A database that may be there.
    pub(crate) fn database(&self, name: &str) -> Database {
        Database { cluster: self.clone(), address: self.address(name) }
    }

    pub(crate) fn has(&self, name: &str) -> Result<bool> {
        let found = self.first().run(&format!("SELECT count(*) FROM pg_database WHERE datname = '{name}'"))?;
        Ok(found.trim() == "1")
    }

    /// What whoever judges the figures must know of it.
    pub(crate) fn settings(&self) -> Result<Vec<(String, String)>> {
        let names = SETTINGS.map(|name| format!("'{name}'")).join(", ");
        let rows =
            self.first().rows(&format!("SELECT name, current_setting(name) FROM unnest(ARRAY[{names}]) AS name"))?;
        let pair = |row: Vec<String>| Some((row.first()?.clone(), row.get(1)?.clone()));
        Ok(rows.into_iter().filter_map(pair).collect())
    }

    /// Refuses a server that answers before the disk has what it was told: its figures would say nothing.
    pub(crate) fn ensure_durable(&self) -> Result<()> {
        let settings = self.settings()?;
        for name in ["fsync", "synchronous_commit", "full_page_writes"] {
            let on = settings.iter().any(|(known, value)| known == name && value == "on");
            ensure!(on, "the server has {name} off: what it commits may be lost");
        }
        Ok(())
    }

    /// The processor time that all processes of the server have used so far; `None` where it runs elsewhere, or as
    /// somebody whose processes cannot be looked at.
    pub(crate) fn processor_time(&self) -> Option<Duration> {
        let file = self.first().run("SELECT pg_read_file('postmaster.pid')").ok()?;
        process::processor_time_of_family(file.lines().next()?.trim().parse().ok()?).ok()
    }

    /// One of its programs.
    pub(crate) fn program(&self, name: &str) -> Result<Command> {
        let path = self.programs.join(name);
        ensure!(path.is_file(), "{} is missing: apt-get install -y postgresql", path.display());
        Ok(Command::new(path))
    }
}

/// The same server's address with another database.
fn of_database(address: &str, database: &str) -> String {
    let (place, options) = address.split_once('?').map_or((address, None), |(place, rest)| (place, Some(rest)));
    let host = match place.split_once("://").map(|(_, rest)| rest.contains('/')) {
        Some(true) => place.rsplit_once('/').map_or(place, |(host, _)| host),
        _ => place,
    };
    let options = options.map(|options| format!("?{options}")).unwrap_or_default();
    format!("{host}/{database}{options}")
}

/// One database of the server.
#[derive(Clone, Debug)]
pub(crate) struct Database {
    pub(crate) cluster: Cluster,
    /// `postgres://…`
    pub(crate) address: String,
}

impl Database {
    /// Runs statements, and answers what psql prints: a line for each row, its columns by tabs.
    pub(crate) fn run(&self, statements: &str) -> Result<String> {
        let mut psql = self.cluster.program("psql")?;
        psql.args(["-X", "-A", "-t", "-q", "-F", "\t", "-v", "ON_ERROR_STOP=1", "-d", &self.address, "-c", statements]);
        let ran = psql.stdin(Stdio::null()).output().context("psql cannot be run")?;
        ensure!(ran.status.success(), "psql failed: {}", String::from_utf8_lossy(&ran.stderr).trim());
        String::from_utf8(ran.stdout).context("psql answered no text")
    }

    pub(crate) fn rows(&self, query: &str) -> Result<Vec<Vec<String>>> {
        let rows = self.run(query)?;
        Ok(rows.lines().map(|row| row.split('\t').map(str::to_owned).collect()).collect())
    }

    pub(crate) fn number(&self, query: &str) -> Result<u64> {
        let answer = self.run(query)?;
        answer.trim().parse().with_context(|| format!("{query} answers {answer:?}"))
    }

    /// Runs pgbench, and answers what it prints.
    pub(crate) fn pgbench(&self, arguments: impl IntoIterator<Item = impl AsRef<OsStr>>) -> Result<String> {
        let mut command = self.cluster.program("pgbench")?;
        let ran = command.args(arguments).arg(&self.address).stdin(Stdio::null()).output();
        let ran = ran.context("pgbench cannot be run")?;
        if !ran.status.success() {
            bail!("pgbench failed: {}", String::from_utf8_lossy(&ran.stderr).trim());
        }
        String::from_utf8(ran.stdout).context("pgbench answered no text")
    }
}

#[cfg(test)]
mod tests {
    use super::of_database;

    #[test]
    fn another_database_of_the_same_server_is_named() {
        assert_eq!(of_database("postgres://u@h:5/postgres", "d"), "postgres://u@h:5/d");
        assert_eq!(of_database("postgres://u@h:5", "d"), "postgres://u@h:5/d");
        assert_eq!(of_database("postgres://u@h/x?sslmode=disable", "d"), "postgres://u@h/d?sslmode=disable");
    }
}
