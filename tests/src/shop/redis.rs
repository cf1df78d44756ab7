//! The shop's cache: the distribution's Redis, on a socket of its own.

use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use anyhow::{Context, Result, ensure};

const MISSING: &str = "there is no Redis here, and this test needs one: apt-get install -y redis-server";

/// A running Redis. It goes when this does.
pub struct Redis {
    child: Child,
    socket: PathBuf,
}

impl Redis {
    /// Starts a Redis that keeps nothing on disk.
    ///
    /// # Errors
    /// Where it is not installed, or does not start.
    pub fn start(socket: &Path) -> Result<Self> {
        let mut command = Command::new("redis-server");
        command.args(["--port", "0", "--save", "", "--unixsocket"]).arg(socket).current_dir("/");
        let mut child = command.stdin(Stdio::null()).stdout(Stdio::piped()).spawn().context(MISSING)?;
        let said = BufReader::new(child.stdout.take().context("no standard output")?);
        let redis = Self { child, socket: socket.to_owned() };
        let ready = said.lines().map_while(Result::ok).any(|line| line.contains("eady to accept connections"));
        ensure!(ready, "redis-server did not start");
        Ok(redis)
    }

    /// Runs one command, and answers what Redis says.
    ///
    /// # Errors
    /// Where it cannot be asked.
    pub fn ask(&self, command: &[&str]) -> Result<String> {
        let said = Command::new("redis-cli").arg("-s").arg(&self.socket).args(command).output().context(MISSING)?;
        ensure!(said.status.success(), "redis-cli: {}", String::from_utf8_lossy(&said.stderr));
        Ok(String::from_utf8(said.stdout)?.trim_end().to_owned())
    }
}

impl Drop for Redis {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
