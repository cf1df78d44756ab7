//! The service as a process.

use std::path::Path;
use std::process::Stdio;

use anyhow::{Context, Result, bail, ensure};
use rustix::process::{Pid, Signal, kill_process};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, BufReader};
use tokio::process::{Child, Command};

/// What the store's own check says of a store that no service has open; `None` where it finds nothing wrong.
pub(super) async fn verify(binary: &Path, data: &Path) -> Result<Option<String>> {
    let mut command = Command::new(binary);
    command.args(["store", "verify", "--data-dir"]).arg(data).current_dir(data).stdin(Stdio::null());
    let told = command.output().await.with_context(|| format!("cannot start {}", binary.display()))?;
    let found = || format!("{}{}", String::from_utf8_lossy(&told.stdout), String::from_utf8_lossy(&told.stderr));
    Ok((!told.status.success()).then(found))
}

/// A running service.
pub(crate) struct Running {
    /// Its base URL.
    pub(crate) base: String,
    child: Child,
}

impl Running {
    /// Starts it on a data folder, and waits until it listens.
    pub(crate) async fn start(binary: &Path, data: &Path) -> Result<Self> {
        Self::start_with(binary, data, |_| {}).await
    }

    /// As [`Running::start`], with what a caller adds to the command.
    pub(crate) async fn start_with(binary: &Path, data: &Path, add: impl FnOnce(&mut Command)) -> Result<Self> {
        let mut command = Command::new(binary);
        command.args(["--listen", "127.0.0.1:0", "--data-dir"]).arg(data).current_dir(data);
        command.env("MOBILE_BIND__LIMITS__MODE", "off").env("MOBILE_BIND__LOG__LEVEL", "error");
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::inherit()).kill_on_drop(true);
        add(&mut command);
        let mut child = command.spawn().with_context(|| format!("cannot start {}", binary.display()))?;
        let mut output = BufReader::new(child.stdout.take().context("no standard output")?);
        let mut line = String::new();
        output.read_line(&mut line).await?;
        let Some(base) = line.trim().strip_prefix("listening on ") else {
            bail!("the service did not start: {line}");
        };
        // Every message is printed: nobody reading would hold the service up.
        tokio::spawn(async move {
            let mut printed = [0; 16 * 1024];
            while output.read(&mut printed).await.is_ok_and(|length| length > 0) {}
        });
        Ok(Self { base: base.to_owned(), child })
    }

    /// Its process's id; `None` where it has ended.
    pub(crate) fn id(&self) -> Option<u32> {
        self.child.id()
    }

    /// Whether it still runs.
    pub(crate) fn runs(&mut self) -> Result<bool> {
        Ok(self.child.try_wait()?.is_none())
    }

    /// Ends it this instant.
    pub(crate) async fn kill(&mut self) -> Result<()> {
        ensure!(self.child.try_wait()?.is_none(), "the service ended by itself");
        self.child.kill().await.context("the service cannot be killed")
    }

    /// Lets it finish.
    pub(crate) async fn stop(&mut self) -> Result<()> {
        let id = self.child.id().and_then(|id| i32::try_from(id).ok()).and_then(Pid::from_raw);
        kill_process(id.context("the service ended by itself")?, Signal::TERM)?;
        ensure!(self.child.wait().await?.success(), "the service did not stop cleanly");
        Ok(())
    }
}
