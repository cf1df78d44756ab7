//! A PostgreSQL for a chore. The tests' does not synchronise with the disk: nothing in it outlives a crash, nor needs to. The measurements' does.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result};

use crate::server::{self, Kind, Place, Server, runs};

/// Where the tests find their database. One that is set already is taken as it is.
pub(crate) const ADDRESS: &str = "MOBILE_BIND_TEST_POSTGRES";

/// Whom root runs PostgreSQL as, which refuses to run as root.
pub(crate) const USERS: [&str; 2] = ["postgres", "nobody"];

const MISSING: &str = "there is no PostgreSQL server here, and the tests need one: apt-get install -y postgresql";

/// A running cluster. It goes when this does.
pub(crate) struct Cluster {
    _server: Option<Server>,
    /// `postgres://…`, a superuser's.
    pub(crate) address: String,
}

impl Cluster {
    /// Makes a cluster and starts it, unless [`ADDRESS`] names a database already.
    ///
    /// # Errors
    /// Where PostgreSQL is not installed, or does not start.
    pub(crate) fn start() -> Result<Self> {
        if let Ok(address) = std::env::var(ADDRESS) {
            return Ok(Self { _server: None, address });
        }
        Self::own(&FORGETFUL)
    }

    /// Makes a cluster that keeps what it commits, as one that is used in earnest does, and starts it.
    ///
    /// # Errors
    /// Where PostgreSQL is not installed, or does not start.
    pub(crate) fn durable() -> Result<Self> {
        Self::own(&DURABLE)
    }

    fn own(settings: &'static [&'static str]) -> Result<Self> {
        let binaries = programs(&["initdb", "postgres", "pg_isready"])?;
        let server = Server::start(&Postgres { binaries, settings })?;
        let address = format!("postgres://postgres@127.0.0.1:{}/postgres", server.port);
        Ok(Self { _server: Some(server), address })
    }
}

struct Postgres {
    binaries: PathBuf,
    settings: &'static [&'static str],
}

impl Kind for Postgres {
    const NAME: &'static str = "postgres";
    const SIGNAL: &'static str = "QUIT";
    const USERS: [&'static str; 2] = USERS;

    fn prepare(&self, place: &Place) -> Result<()> {
        let mut initdb = place.command(self.binaries.join("initdb"));
        initdb.args(["--username=postgres", "--auth=trust", "--encoding=UTF8", "--locale=C", "--no-sync", "--pgdata"]);
        initdb.arg(place.data());
        server::made(initdb, "initdb")
    }

    fn command_line(&self, place: &Place) -> Vec<OsString> {
        let mut line =
            vec![self.binaries.join("postgres").into_os_string(), "-D".into(), place.data().into_os_string()];
        line.extend(["-c".into(), format!("port={}", place.port).into()]);
        line.extend(COMMON.iter().chain(self.settings).flat_map(|setting| ["-c", setting]).map(Into::into));
        line
    }

    fn question(&self, place: &Place) -> Command {
        let mut asked = place.command(self.binaries.join("pg_isready"));
        asked.args(["--quiet", "--host=127.0.0.1", "--username=postgres", "--dbname=postgres"]);
        asked.arg(format!("--port={}", place.port));
        asked
    }
}

const COMMON: [&str; 3] = ["listen_addresses=127.0.0.1", "unix_socket_directories=", "max_connections=300"];

const FORGETFUL: [&str; 5] = [
    "shared_buffers=128MB",
    "fsync=off",
    "full_page_writes=off",
    "autovacuum_naptime=5s",
    // Deadlocks are found by waiting: the tests make some on purpose.
    "deadlock_timeout=50ms",
];

/// As for a server of a few gibibytes; what makes it durable is PostgreSQL's own default, said here for whoever reads.
const DURABLE: [&str; 6] = [
    "fsync=on",
    "synchronous_commit=on",
    "full_page_writes=on",
    "shared_buffers=2GB",
    "max_wal_size=8GB",
    "checkpoint_timeout=15min",
];

/// The folder of some of the server's programs.
///
/// # Errors
/// Where PostgreSQL is not installed.
pub(crate) fn programs(needed: &[&str]) -> Result<PathBuf> {
    server(needed).context(MISSING)
}

/// Folders where the server's programs may be, the likeliest first.
fn candidates() -> Vec<PathBuf> {
    let asked = Command::new("pg_config").arg("--bindir").stderr(Stdio::null()).output();
    let asked = asked.ok().and_then(|output| String::from_utf8(output.stdout).ok());
    let mut folders: Vec<PathBuf> = asked.iter().map(|text| PathBuf::from(text.trim())).collect();
    // Debian's and Ubuntu's, Red Hat's and Fedora's, Homebrew's; the newest version first.
    for (parent, inner) in [("/usr/lib/postgresql", "bin"), ("/usr", "bin"), ("/opt/homebrew/opt", "bin")] {
        let Ok(entries) = std::fs::read_dir(parent) else { continue };
        let named = |name: &OsString| {
            let name = name.to_string_lossy();
            parent == "/usr/lib/postgresql" || name.starts_with("pgsql-") || name.starts_with("postgresql")
        };
        let mut names: Vec<OsString> =
            entries.filter_map(|entry| Some(entry.ok()?.file_name())).filter(named).collect();
        names.sort_by_key(|name| std::cmp::Reverse(version(&name.to_string_lossy())));
        folders.extend(names.into_iter().map(|name| Path::new(parent).join(name).join(inner)));
    }
    folders.extend(std::env::var_os("PATH").iter().flat_map(std::env::split_paths));
    folders
}

/// The digits of a folder's name as a number.
fn version(name: &str) -> u32 {
    name.chars().filter(char::is_ascii_digit).collect::<String>().parse().unwrap_or(0)
}

/// The folder of the server's programs, with all that are needed.
pub(crate) fn server(needed: &[&str]) -> Option<PathBuf> {
    binaries(&candidates(), needed)
}

/// The first folder that has all programs that are needed.
fn binaries(candidates: &[PathBuf], needed: &[&str]) -> Option<PathBuf> {
    let whole = |folder: &&PathBuf| needed.iter().all(|name| runs(&folder.join(name)));
    candidates.iter().find(whole).cloned()
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn a_folder_without_the_server_is_passed_over() {
        let folder = std::env::temp_dir().join(format!("mobile-bind-binaries-{}", std::process::id()));
        let (client, server) = (folder.join("client"), folder.join("server"));
        for (place, names) in [(&client, &["pg_isready"][..]), (&server, &["initdb", "postgres", "pg_isready"])] {
            std::fs::create_dir_all(place).unwrap();
            for name in names {
                let file = place.join(name);
                std::fs::write(&file, "").unwrap();
                std::fs::set_permissions(file, std::fs::Permissions::from_mode(0o755)).unwrap();
            }
        }
        let needed = ["initdb", "postgres", "pg_isready"];
        assert_eq!(binaries(&[client.clone(), server.clone()], &needed), Some(server));
        assert_eq!(binaries(&[client], &needed), None);
        std::fs::remove_dir_all(folder).unwrap();
    }

    #[test]
    fn a_cluster_answers_and_leaves_nothing() {
        let cluster = Cluster::own(&FORGETFUL).unwrap();
        let address = cluster.address.strip_prefix("postgres://postgres@").unwrap().strip_suffix("/postgres").unwrap();
        assert!(std::net::TcpStream::connect(address).is_ok());
        let folder = std::env::temp_dir().join(format!("mobile-bind-postgres-{}", std::process::id()));
        assert!(folder.is_dir());
        drop(cluster);
        assert!(!folder.exists());
    }
}
