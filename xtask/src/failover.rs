//! Taking the primary away from under two nodes. The driver is a program of the tests' crate; its output and exit code are
//! the answer. Nothing else needs a cluster manager, so continuous integration does not run this on every change.

use std::path::{Path, PathBuf};

use anyhow::{Result, ensure};

use crate::step::Step;
use crate::{postgres, server, service};

/// What else PostgreSQL's folder must hold.
const SERVER: [&str; 4] = ["initdb", "postgres", "pg_rewind", "pg_basebackup"];
/// The cluster manager, and where it keeps who is the primary.
const MANAGER: [&str; 2] = ["patroni", "etcd"];

const CURE: &str = "apt-get install -y postgresql patroni etcd-server";

/// Builds the service, and has the primary killed so often.
pub(crate) fn run(arguments: &[String]) -> Result<()> {
    let folder = postgres::server(&SERVER).unwrap_or_default();
    let missing = missing(&folder, &std::env::var_os("PATH").unwrap_or_default());
    ensure!(missing.is_empty(), "{} missing here: {CURE}", missing.join(", "));
    let binary = service::build(true)?;
    let driver = Step::cargo(["run", "--quiet", "--locked", "-p", "mobile-bind-tests", "--bin", "failover"]);
    let step = driver.arguments(["--", "--binary", &binary, "--postgres"]).arguments([folder]);
    let owner =
        server::owner(postgres::USERS)?.map(|owner| ["--owner".to_owned(), format!("{}:{}", owner.user, owner.group)]);
    step.arguments(owner.into_iter().flatten()).arguments(arguments).run()
}

/// The programs that are not there.
fn missing(server: &Path, path: &std::ffi::OsStr) -> Vec<String> {
    let folders: Vec<PathBuf> = std::env::split_paths(path).collect();
    let in_path = |name: &&str| !folders.iter().any(|folder| server::runs(&folder.join(name)));
    let mut missing: Vec<&str> = MANAGER.into_iter().filter(in_path).collect();
    if server.as_os_str().is_empty() {
        missing.insert(0, "PostgreSQL's server");
    }
    missing.into_iter().map(ToOwned::to_owned).collect()
}

#[cfg(test)]
mod tests {
    use std::ffi::OsStr;
    use std::path::Path;

    use super::missing;

    #[test]
    fn everything_that_is_missing_is_named_at_once() {
        let none = missing(Path::new(""), OsStr::new("/no/such/folder"));
        assert_eq!(none, ["PostgreSQL's server", "patroni", "etcd"]);
        assert_eq!(missing(Path::new("/server"), OsStr::new("")), ["patroni", "etcd"]);
    }
}
