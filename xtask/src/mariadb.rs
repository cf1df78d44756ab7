//! A MariaDB for a chore, as a shop has one. The tests' does not synchronise with the disk: nothing in it outlives a crash,
//! nor needs to. The measurements' does.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};

use crate::server::{self, Kind, Place, Server};

/// Where the tests find their database. One that is set already is taken as it is; MySQL will do.
pub(crate) const ADDRESS: &str = "MOBILE_BIND_TEST_MYSQL";

const MISSING: &str = "there is no MariaDB server here, and the tests need one: apt-get install -y mariadb-server";

/// A running database server. It goes when this does.
pub(crate) struct Database {
    _server: Option<Server>,
    /// `mysql://root@127.0.0.1:port`, without a database.
    pub(crate) address: String,
}

impl Database {
    /// Makes a database server and starts it, unless [`ADDRESS`] names one already.
    ///
    /// # Errors
    /// Where MariaDB is not installed, or does not start.
    pub(crate) fn start() -> Result<Self> {
        if let Ok(address) = std::env::var(ADDRESS) {
            return Ok(Self { _server: None, address });
        }
        Self::own(&FORGETFUL)
    }

    /// Makes a database server that keeps what it commits, as a shop's does, and starts it.
    ///
    /// # Errors
    /// Where MariaDB is not installed, or does not start.
    pub(crate) fn durable() -> Result<Self> {
        Self::own(&DURABLE)
    }

    fn own(settings: &'static [&'static str]) -> Result<Self> {
        let server = Server::start(&MariaDb { programs: Programs::find().context(MISSING)?, settings })?;
        let address = format!("mysql://root@127.0.0.1:{}", server.port);
        Ok(Self { _server: Some(server), address })
    }
}

const COMMON: [&str; 4] =
    ["--bind-address=127.0.0.1", "--max-connections=500", "--character-set-server=utf8mb4", "--skip-log-bin"];

const FORGETFUL: [&str; 4] = [
    "--innodb-buffer-pool-size=256M",
    "--innodb-flush-log-at-trx-commit=0",
    "--skip-innodb-doublewrite",
    "--innodb-flush-method=nosync",
];

/// As for a server of a few gibibytes; what makes it durable is MariaDB's own default, said here for whoever reads.
const DURABLE: [&str; 4] = [
    "--innodb-buffer-pool-size=2G",
    "--innodb-log-file-size=1G",
    "--innodb-flush-log-at-trx-commit=1",
    "--innodb-doublewrite=ON",
];

struct Programs {
    install: PathBuf,
    server: PathBuf,
    admin: PathBuf,
}

impl Programs {
    fn find() -> Option<Self> {
        Some(Self {
            install: program("mariadb-install-db")?,
            server: program("mariadbd")?,
            admin: program("mariadb-admin")?,
        })
    }
}

/// A program in `PATH`, or where distributions put servers.
fn program(name: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let folders = std::env::split_paths(&path).chain(["/usr/sbin", "/usr/libexec"].map(PathBuf::from));
    folders.map(|folder| folder.join(name)).find(|file| server::runs(file))
}

struct MariaDb {
    programs: Programs,
    settings: &'static [&'static str],
}

impl Kind for MariaDb {
    const NAME: &'static str = "mariadb";
    // A stop in order takes seconds, and nothing of it is wanted.
    const SIGNAL: &'static str = "KILL";
    const USERS: [&'static str; 2] = ["mysql", "nobody"];

    fn prepare(&self, place: &Place) -> Result<()> {
        let mut install = place.command(&self.programs.install);
        // The test's own users come over TCP from the loopback address, root first.
        install.args(["--no-defaults", "--auth-root-authentication-method=normal", "--skip-test-db"]);
        install.arg(option("--datadir=", &place.data()));
        server::made(install, "mariadb-install-db")
    }

    fn command_line(&self, place: &Place) -> Vec<OsString> {
        let mut line = vec![self.programs.server.clone().into_os_string(), "--no-defaults".into()];
        line.push(option("--datadir=", &place.data()));
        line.push(option("--socket=", &place.folder.join("socket")));
        line.push(format!("--port={}", place.port).into());
        line.extend(COMMON.iter().chain(self.settings).map(Into::into));
        line
    }

    fn question(&self, place: &Place) -> Command {
        let mut ping = place.command(&self.programs.admin);
        ping.args(["--no-defaults", "--protocol=tcp", "--host=127.0.0.1", "--user=root"]);
        ping.arg(format!("--port={}", place.port)).arg("ping");
        ping
    }
}

fn option(name: &str, value: &Path) -> OsString {
    let mut option = OsString::from(name);
    option.push(value);
    option
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_database_answers_and_leaves_nothing() {
        let database = Database::own(&FORGETFUL).unwrap();
        let address = database.address.strip_prefix("mysql://root@").unwrap();
        assert!(std::net::TcpStream::connect(address).is_ok());
        let folder = std::env::temp_dir().join(format!("mobile-bind-mariadb-{}", std::process::id()));
        assert!(folder.is_dir());
        drop(database);
        assert!(!folder.exists());
    }
}
