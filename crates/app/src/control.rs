//! Orders to a running service, through the Unix socket `{data_dir}/control.sock` (mode 0600). A connection carries one line
//! of JSON each way: an [`Order`], as `{"backup": {"to": "/an/absolute/path"}}`, and `{"done": …}` or
//! `{"error": "…"}`.

use std::fs::{self, Permissions};
use std::io::ErrorKind;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use futures_util::stream::{FuturesUnordered, StreamExt};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::{UnixListener, UnixStream};
use tokio::task::JoinHandle;
use tracing::warn;

use crate::desk::Desk;
use crate::orders::Order;

const SOCKET: &str = "control.sock";
/// How long an order may be.
const LONGEST: u64 = 8 * 1024;

#[derive(Debug, Deserialize, Serialize)]
#[serde(rename_all = "snake_case")]
enum Reply {
    Done(Value),
    Error(String),
}

/// Takes orders until it is dropped.
pub(crate) struct Control {
    socket: PathBuf,
    task: JoinHandle<()>,
}

impl Control {
    /// Takes orders for a store that nobody else can have open, so a socket that is there is left over.
    pub(crate) fn start(desk: Desk) -> Result<Self> {
        fs::create_dir_all(&desk.data_dir)?;
        let socket = desk.data_dir.join(SOCKET);
        match fs::remove_file(&socket) {
            Err(error) if error.kind() != ErrorKind::NotFound => return Err(error.into()),
            _ => {}
        }
        let listener = UnixListener::bind(&socket).with_context(|| format!("cannot make {}", socket.display()))?;
        fs::set_permissions(&socket, Permissions::from_mode(0o600))?;
        let task = tokio::spawn(serve(listener, desk));
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

/// All orders within one task, so that none has the store when that has ended.
async fn serve(listener: UnixListener, desk: Desk) {
    let mut under_way = FuturesUnordered::new();
    loop {
        tokio::select! {
            accepted = listener.accept() => match accepted {
                Ok((stream, _)) => under_way.push(answer(stream, &desk)),
                Err(error) => {
                    warn!(%error, "no more orders can be taken");
                    return;
                }
            },
            Some(answered) = under_way.next() => if let Err(error) = answered {
                warn!(error = format!("{error:#}"), "an order could not be answered");
            }
        }
    }
}

async fn answer(stream: UnixStream, desk: &Desk) -> Result<()> {
    // The socket had the folder's own mode for a moment.
    let own = rustix::process::geteuid().as_raw();
    let caller = stream.peer_cred()?.uid();
    if caller != own && caller != 0 {
        bail!("an order came from user {caller}");
    }
    let (read, mut write) = stream.into_split();
    let mut line = String::new();
    BufReader::new(read.take(LONGEST)).read_line(&mut line).await?;
    let reply = match carry_out(&line, desk).await {
        Ok(done) => Reply::Done(done),
        Err(error) => Reply::Error(format!("{error:#}")),
    };
    Ok(write.write_all(&to_line(&reply)?).await?)
}

async fn carry_out(line: &str, desk: &Desk) -> Result<Value> {
    // What it says may be somebody's number: the parser's own words are not repeated.
    let order = serde_json::from_str::<Order>(line).ok().context("the order cannot be read: is it of this version?")?;
    order.carry_out(desk).await
}

fn to_line(message: &impl Serialize) -> Result<Vec<u8>> {
    let mut line = serde_json::to_vec(message)?;
    line.push(b'\n');
    Ok(line)
}

/// Has a running service carry out an order; `None` where no service runs.
///
/// # Errors
/// Where the service refuses, or cannot be understood.
pub(crate) async fn send(data_dir: &Path, order: &Order) -> Result<Option<Value>> {
    let mut stream = match UnixStream::connect(data_dir.join(SOCKET)).await {
        Ok(stream) => stream,
        Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::ConnectionRefused) => return Ok(None),
        Err(error) => return Err(error).context("the running service cannot be asked"),
    };
    stream.write_all(&to_line(order)?).await?;
    let mut line = String::new();
    BufReader::new(stream).read_line(&mut line).await?;
    match serde_json::from_str(&line).context("the service's answer cannot be read")? {
        Reply::Done(answer) => Ok(Some(answer)),
        Reply::Error(error) => bail!("the service says: {error}"),
    }
}
