//! A server for a chore: its data in a temporary folder, on a free loopback port, gone when the chore is.

use std::ffi::{OsStr, OsString};
use std::io;
use std::net::TcpListener;
use std::os::unix::fs::{DirBuilderExt, PermissionsExt, chown};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};

/// Runs until its standard input ends, which it does however the chore ends: then the server goes, and its folder.
/// Its arguments are the folder, the signal that ends the server, and the server's command line.
const GUARD: &str = r#"trap '' INT TERM HUP
folder=$1
signal=$2
shift 2
"$@" </dev/null &
server=$!
cat >/dev/null
kill -"$signal" "$server"
wait "$server"
rm -rf "$folder""#;

/// How often, and how long between, it is asked whether the server is there yet.
const ASKED: u32 = 600;
const PAUSE: Duration = Duration::from_millis(50);

/// Where a server is to run, and as whom.
pub(crate) struct Place {
    pub(crate) folder: PathBuf,
    pub(crate) port: u16,
    pub(crate) owner: Option<Owner>,
}

impl Place {
    /// The folder of the server's data.
    pub(crate) fn data(&self) -> PathBuf {
        self.folder.join("data")
    }

    /// A command that runs as the owner.
    pub(crate) fn command(&self, program: impl AsRef<OsStr>) -> Command {
        let mut command = Command::new(program);
        command.current_dir(&self.folder).env("HOME", &self.folder);
        if let Some(owner) = self.owner {
            command.uid(owner.user).gid(owner.group);
        }
        command
    }
}

/// A kind of server.
pub(crate) trait Kind {
    /// Its name, in its folder's.
    const NAME: &'static str;
    /// What ends it at once, with all that it started.
    const SIGNAL: &'static str;
    /// Whom root runs it as: the first of these users that the machine has.
    const USERS: [&'static str; 2];

    /// Makes its data.
    ///
    /// # Errors
    /// Where that fails.
    fn prepare(&self, place: &Place) -> Result<()>;

    /// Its command line.
    fn command_line(&self, place: &Place) -> Vec<OsString>;

    /// Asks whether it is there: a command that exits with 0 then.
    fn question(&self, place: &Place) -> Command;
}

/// A running server. It goes when this does.
pub(crate) struct Server {
    guard: Child,
    /// Where it listens, on the loopback address.
    pub(crate) port: u16,
}

impl Server {
    /// Makes the data and starts the server.
    ///
    /// # Errors
    /// Where it does not start.
    pub(crate) fn start<K: Kind>(kind: &K) -> Result<Self> {
        let folder = std::env::temp_dir().join(format!("mobile-bind-{}-{}", K::NAME, std::process::id()));
        let place = Place { folder, port: free_port()?, owner: owner(K::USERS)? };
        let made = std::fs::DirBuilder::new().mode(0o700).create(&place.folder);
        made.with_context(|| format!("cannot make {}", place.folder.display()))?;
        Self::start_in(kind, &place).inspect_err(|_| {
            let _ = std::fs::remove_dir_all(&place.folder);
        })
    }

    fn start_in<K: Kind>(kind: &K, place: &Place) -> Result<Self> {
        if let Some(owner) = place.owner {
            chown(&place.folder, Some(owner.user), Some(owner.group))
                .context("the server's folder cannot be given away")?;
        }
        kind.prepare(place)?;
        let log = std::fs::File::create(place.folder.join("log"))?;
        let mut guard = place.command("sh");
        guard.args(["-c", GUARD, "sh"]).arg(&place.folder).arg(K::SIGNAL).args(kind.command_line(place));
        let guard = guard.stdin(Stdio::piped()).stdout(log.try_clone()?).stderr(log).spawn();
        let guard = guard.with_context(|| format!("{} cannot be started", K::NAME))?;
        let server = Self { guard, port: place.port };
        wait(kind, place).with_context(|| {
            let log = std::fs::read_to_string(place.folder.join("log")).unwrap_or_default();
            format!("{} did not start:\n{log}", K::NAME)
        })?;
        Ok(server)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        drop(self.guard.stdin.take());
        // It removes the folder last.
        let _ = self.guard.wait();
    }
}

#[expect(clippy::disallowed_methods, reason = "the server tells nobody when it is there; it must be asked")]
fn wait<K: Kind>(kind: &K, place: &Place) -> Result<()> {
    for _ in 0..ASKED {
        let mut question = kind.question(place);
        question.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        if question.status().context("it cannot be asked whether the server is there")?.success() {
            return Ok(());
        }
        std::thread::sleep(PAUSE);
    }
    bail!("it did not answer in {} s", (PAUSE * ASKED).as_secs())
}

/// Runs a command that makes a server's data.
///
/// # Errors
/// Where it fails, with what it wrote.
pub(crate) fn made(mut command: Command, name: &str) -> Result<()> {
    let made = command.output().with_context(|| format!("{name} cannot be run"))?;
    ensure!(made.status.success(), "{name} failed: {}", String::from_utf8_lossy(&made.stderr));
    Ok(())
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

/// Who shall own a server, where that should not be whoever runs this: root. The first of the users that there is.
pub(crate) fn owner(users: [&str; 2]) -> Result<Option<Owner>> {
    let root = std::fs::metadata("/proc/self").is_ok_and(|own| std::os::unix::fs::MetadataExt::uid(&own) == 0);
    if !root {
        return Ok(None);
    }
    let passwd = std::fs::read_to_string("/etc/passwd").context("the users of this machine are not known")?;
    let found = users.iter().find_map(|name| user(&passwd, name));
    let missing = || format!("root cannot run the server, and there is no user {}", users.join(" nor "));
    found.map(Some).with_context(missing)
}

/// Finds a user in the text of passwd(5).
fn user(passwd: &str, name: &str) -> Option<Owner> {
    let line = passwd.lines().find(|line| line.split(':').next() == Some(name))?;
    let mut fields = line.split(':').skip(2);
    Some(Owner { user: fields.next()?.parse().ok()?, group: fields.next()?.parse().ok()? })
}

/// Whether a file is a program.
pub(crate) fn runs(file: &Path) -> bool {
    file.metadata().is_ok_and(|file| file.is_file() && file.permissions().mode() & 0o111 != 0)
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
}
