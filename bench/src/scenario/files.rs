//! How many files this process may have open: each connection is one.

use anyhow::{Result, ensure};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// Files that are needed besides connections, by the driver and by the server.
const OTHER_FILES: u64 = 256;

/// Raises the limit as far as it must be. The server inherits it.
///
/// # Errors
/// Where the system allows fewer.
pub(crate) fn allow(connections: u64) -> Result<()> {
    let needed = connections + OTHER_FILES;
    let Rlimit { current, maximum } = getrlimit(Resource::Nofile);
    if current.is_none_or(|current| current >= needed) {
        return Ok(());
    }
    ensure!(
        maximum.is_none_or(|maximum| maximum >= needed),
        "{needed} open files are needed, and the system allows {}: raise its hard limit (ulimit -Hn {needed})",
        maximum.unwrap_or_default()
    );
    Ok(setrlimit(Resource::Nofile, Rlimit { current: Some(needed), maximum })?)
}

#[cfg(test)]
mod tests {
    use rustix::process::{Resource, getrlimit};

    use super::allow;

    #[test]
    fn what_the_system_does_not_allow_is_told() {
        assert!(allow(1).is_ok());
        if let Some(maximum) = getrlimit(Resource::Nofile).maximum {
            assert!(allow(maximum).unwrap_err().to_string().contains("hard limit"));
        }
    }
}
