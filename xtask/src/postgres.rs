//! A PostgreSQL for a chore: a cluster of its own in a temporary folder, on a free loopback port, gone when the chore is.
//! The tests' does not synchronise with the disk: nothing in it outlives a crash, nor needs to. The measurements' does.

use std::ffi::OsString;
use std::io;
use std::net::TcpListener;
use std::os::unix::fs::{DirBuilderExt, PermissionsExt, chown};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};

/// Where the tests find their database. One that is set already is taken as it is.
pub(crate) const ADDRESS: &str = "MOBILE_BIND_TEST_POSTGRES";

const MISSING: &str = "there is no PostgreSQL server here, and the tests need one: apt-get install -y postgresql";

/// Runs until its standard input ends, which it does however the chore ends: then the server goes, and its folder.
/// Its arguments are the folder and the server's command line.
const GUARD: &str = r#"trap '' INT TERM HUP
folder=$1
shift
"$@" </dev/null &
server=$!
cat >/dev/null
kill -QUIT "$server"
wait "$server"
rm -rf "$folder""#;

/// How often, and how long between, it is asked whether the server is there yet.
const ASKED: u32 = 600;
const PAUSE: Duration = Duration::from_millis(50);

/// A running cluster. It goes when this does.
pub(crate) struct Cluster {
    guard: Option<Child>,
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
            return Ok(Self { guard: None, address });
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

    fn own(settings: &[&str]) -> Result<Self> {
        let binaries = programs(&["initdb", "postgres", "pg_isready"])?;
        let owner = owner()?;
        let folder = std::env::temp_dir().join(format!("mobile-bind-postgres-{}", std::process::id()));
        let made = std::fs::DirBuilder::new().mode(0o700).create(&folder);
        made.with_context(|| format!("cannot make {}", folder.display()))?;
        match Self::start_in(&binaries, owner, &folder, settings) {
            Ok(cluster) => Ok(cluster),
            Err(error) => {
                let _ = std::fs::remove_dir_all(&folder);
                Err(error)
            }
        }
    }

    fn start_in(binaries: &Path, owner: Option<Owner>, folder: &Path, settings: &[&str]) -> Result<Self> {
        if let Some(owner) = owner {
            chown(folder, Some(owner.user), Some(owner.group)).context("the cluster's folder cannot be given away")?;
        }
        let data = folder.join("data");
        let mut initdb = owned(&binaries.join("initdb"), owner, folder);
        initdb.args(["--username=postgres", "--auth=trust", "--encoding=UTF8", "--locale=C", "--no-sync", "--pgdata"]);
        let made = initdb.arg(&data).output().context("initdb cannot be run")?;
        ensure!(made.status.success(), "initdb failed: {}", String::from_utf8_lossy(&made.stderr));
        let port = free_port()?;
        let log = std::fs::File::create(folder.join("log"))?;
        let mut guard = owned(Path::new("sh"), owner, folder);
        guard.args(["-c", GUARD, "sh"]).arg(folder).arg(binaries.join("postgres")).arg("-D").arg(&data);
        guard.args(["-c", &format!("port={port}")]);
        for setting in COMMON.iter().chain(settings) {
            guard.args(["-c", setting]);
        }
        let guard = guard.stdin(Stdio::piped()).stdout(log.try_clone()?).stderr(log).spawn();
        let address = format!("postgres://postgres@127.0.0.1:{port}/postgres");
        let cluster = Self { guard: Some(guard.context("the database cannot be started")?), address };
        cluster.wait(binaries, port).with_context(|| {
            let log = std::fs::read_to_string(folder.join("log")).unwrap_or_default();
            format!("the database did not start:\n{log}")
        })?;
        Ok(cluster)
    }

    #[expect(clippy::disallowed_methods, reason = "the server tells nobody when it is there; it must be asked")]
    fn wait(&self, binaries: &Path, port: u16) -> Result<()> {
        for _ in 0..ASKED {
            let mut asked = Command::new(binaries.join("pg_isready"));
            asked.args(["--quiet", "--host=127.0.0.1", "--username=postgres", "--dbname=postgres"]);
            if asked.arg(format!("--port={port}")).status().context("pg_isready cannot be run")?.success() {
                return Ok(());
            }
            std::thread::sleep(PAUSE);
        }
        bail!("it did not answer in {} s", (PAUSE * ASKED).as_secs())
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        if let Some(mut guard) = self.guard.take() {
            drop(guard.stdin.take());
            // It removes the folder last.
            let _ = guard.wait();
        }
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

fn free_port() -> io::Result<u16> {
    TcpListener::bind(("127.0.0.1", 0))?.local_addr().map(|address| address.port())
}

/// A user and his group.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Owner {
    pub(crate) user: u32,
    pub(crate) group: u32,
}

/// Who shall own the server, where that cannot be whoever runs this: PostgreSQL refuses to run as root.
pub(crate) fn owner() -> Result<Option<Owner>> {
    let root = std::fs::metadata("/proc/self").is_ok_and(|own| std::os::unix::fs::MetadataExt::uid(&own) == 0);
    if !root {
        return Ok(None);
    }
    let users = std::fs::read_to_string("/etc/passwd").context("the users of this machine are not known")?;
    let found = ["postgres", "nobody"].iter().find_map(|name| user(&users, name));
    found.map(Some).context("root cannot run PostgreSQL, and there is neither a user postgres nor nobody")
}

/// Finds a user in the text of passwd(5).
fn user(passwd: &str, name: &str) -> Option<Owner> {
    let line = passwd.lines().find(|line| line.split(':').next() == Some(name))?;
    let mut fields = line.split(':').skip(2);
    Some(Owner { user: fields.next()?.parse().ok()?, group: fields.next()?.parse().ok()? })
}

/// A command that runs as the owner.
fn owned(program: &Path, owner: Option<Owner>, folder: &Path) -> Command {
    let mut command = Command::new(program);
    command.current_dir(folder).env("HOME", folder);
    if let Some(owner) = owner {
        command.uid(owner.user).gid(owner.group);
    }
    command
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

/// Whether a file is a program.
pub(crate) fn runs(file: &Path) -> bool {
    file.metadata().is_ok_and(|file| file.is_file() && file.permissions().mode() & 0o111 != 0)
}

/// The first folder that has all programs that are needed.
fn binaries(candidates: &[PathBuf], needed: &[&str]) -> Option<PathBuf> {
    let whole = |folder: &&PathBuf| needed.iter().all(|name| runs(&folder.join(name)));
    candidates.iter().find(whole).cloned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_user_is_found_by_his_whole_name() {
        let passwd =
            "root:x:0:0:root:/root:/bin/bash\npostgresql:x:9:9::/:\npostgres:x:101:104:,,,:/var/lib/postgresql:\n";
        assert_eq!(user(passwd, "postgres"), Some(Owner { user: 101, group: 104 }));
        assert_eq!(user(passwd, "nobody"), None);
    }

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
