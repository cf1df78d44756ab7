//! Orders to a running service, through the Unix socket `{data_dir}/control.sock` (mode 0600). A connection carries one line
//! of JSON each way: `{"command": "backup", "to": "/an/absolute/path"}`, and `{"sequence": 7}` or `{"error": "…"}`.

use std::fs::{self, Permissions};
use std::io::{BufRead, BufReader, ErrorKind, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context, Result, bail};
use mobile_bind_sled::SledStore;
use serde::{Deserialize, Serialize};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt};
use tokio::net::{UnixListener, UnixStream};
use tokio::task::JoinHandle;
use tracing::{info, warn};

use crate::backup::back_up;

const SOCKET: &str = "control.sock";
/// How long a line may be.
const LONGEST: u64 = 8 * 1024;

#[derive(Debug, Deserialize, Serialize)]
#[serde(tag = "command", rename_all = "snake_case")]
enum Order {
    Backup { to: PathBuf },
}

#[derive(Debug, Deserialize, Serialize)]
#[serde(untagged)]
enum Reply {
    Done { sequence: u64 },
    Failed { error: String },
}

/// Takes orders until it is dropped.
pub(crate) struct Control {
    socket: PathBuf,
    task: JoinHandle<()>,
}

impl Control {
    /// Takes orders for a store. It is the caller who has the store open, so a socket that is there is left over.
    pub(crate) fn start(data_dir: &Path, store: Arc<SledStore>) -> Result<Self> {
        fs::create_dir_all(data_dir)?;
        let socket = data_dir.join(SOCKET);
        match fs::remove_file(&socket) {
            Err(error) if error.kind() != ErrorKind::NotFound => return Err(error.into()),
            _ => {}
        }
        let listener = UnixListener::bind(&socket).with_context(|| format!("cannot make {}", socket.display()))?;
        fs::set_permissions(&socket, Permissions::from_mode(0o600))?;
        let task = tokio::spawn(serve(listener, store, data_dir.to_owned()));
        Ok(Self { socket, task })
    }

    /// Takes no more orders, and lets the store go.
    pub(crate) async fn stop(mut self) {
        self.task.abort();
        // It was aborted: that is its outcome.
        let _ = (&mut self.task).await;
    }
}

impl Drop for Control {
    fn drop(&mut self) {
        self.task.abort();
        let _ = fs::remove_file(&self.socket);
    }
}

/// One order after the other.
async fn serve(listener: UnixListener, store: Arc<SledStore>, data_dir: PathBuf) {
    loop {
        match listener.accept().await {
            Ok((stream, _)) => {
                if let Err(error) = answer(stream, &store, &data_dir).await {
                    warn!(error = format!("{error:#}"), "an order could not be answered");
                }
            }
            Err(error) => {
                warn!(%error, "no more orders can be taken");
                return;
            }
        }
    }
}

async fn answer(stream: UnixStream, store: &SledStore, data_dir: &Path) -> Result<()> {
    // The socket had the folder's own mode for a moment.
    let own = rustix::process::geteuid().as_raw();
    let caller = stream.peer_cred()?.uid();
    if caller != own && caller != 0 {
        bail!("an order came from user {caller}");
    }
    let (read, mut write) = stream.into_split();
    let mut line = String::new();
    tokio::io::BufReader::new(read.take(LONGEST)).read_line(&mut line).await?;
    let reply = match carry_out(&line, store, data_dir).await {
        Ok(sequence) => Reply::Done { sequence },
        Err(error) => Reply::Failed { error: format!("{error:#}") },
    };
    let mut line = serde_json::to_vec(&reply)?;
    line.push(b'\n');
    Ok(write.write_all(&line).await?)
}

async fn carry_out(line: &str, store: &SledStore, data_dir: &Path) -> Result<u64> {
    let Order::Backup { to } = serde_json::from_str(line).context("the order cannot be read")?;
    let sequence = back_up(store, data_dir, &to).await?;
    info!(to = %to.display(), sequence, "a backup was written");
    Ok(sequence)
}

/// Has a running service write a backup. Answers the sequence of the last change in it; `None` where no service runs.
///
/// # Errors
/// Where the service cannot write it, or cannot be understood.
pub(crate) fn ask_for_backup(data_dir: &Path, to: &Path) -> Result<Option<u64>> {
    let mut stream = match std::os::unix::net::UnixStream::connect(data_dir.join(SOCKET)) {
        Ok(stream) => stream,
        Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::ConnectionRefused) => return Ok(None),
        Err(error) => return Err(error).context("the running service cannot be asked"),
    };
    let mut order = serde_json::to_vec(&Order::Backup { to: to.to_owned() })?;
    order.push(b'\n');
    stream.write_all(&order)?;
    let mut line = String::new();
    BufReader::new(stream).read_line(&mut line)?;
    match serde_json::from_str(&line).context("the service's answer cannot be read")? {
        Reply::Done { sequence } => Ok(Some(sequence)),
        Reply::Failed { error } => bail!("the service says: {error}"),
    }
}
