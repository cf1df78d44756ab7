//! The fakes' HTTP server.

use std::collections::VecDeque;
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};

use http_body_util::{BodyExt, Limited};
use hyper::body::{Body, Bytes, Frame, Incoming, SizeHint};
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use mobile_bind_domain::ports::Clock;
use tokio::net::TcpListener;
use tokio::task::{JoinHandle, JoinSet};

use super::{FakeAccount, Part, Play, Received, Reply, part};

/// How many requests are kept.
const KEPT: usize = 1_000;
/// How long a request's body may be.
const BODY_LIMIT: usize = 64 * 1024;

/// A message that a fake has sent.
#[derive(Clone, Debug)]
pub struct FakeMessage {
    /// The id that the vendor gave it.
    pub id: String,
    /// The number, as the vendor was told it.
    pub to: String,
    /// What was sent, as far as the vendor is told.
    pub text: String,
}

/// Whoever has the phones. It sees whole numbers and codes: it must not be a log.
pub type Phones = Box<dyn Fn(&FakeMessage) + Send + Sync>;

struct Stage {
    part: Box<dyn Part>,
    clock: Arc<dyn Clock>,
    play: Mutex<Play>,
    received: Mutex<VecDeque<Received>>,
    accepted: AtomicU64,
    phones: Option<Phones>,
}

/// A fake that listens, until it is dropped.
pub struct FakeProvider {
    /// Where it listens.
    pub address: SocketAddr,
    stage: Arc<Stage>,
    server: JoinHandle<()>,
}

impl FakeProvider {
    /// Listens at the address; port 0 takes any that is free. What is sent goes to `phones`.
    ///
    /// # Errors
    /// Where the address is taken, a webhook's secret is none, or the kind is SMPP: message centres that can be tried without an
    /// account are easily had.
    pub async fn start(
        account: &FakeAccount,
        listen: SocketAddr,
        play: Play,
        clock: Arc<dyn Clock>,
        phones: Option<Phones>,
    ) -> io::Result<Self> {
        let no_key = || {
            io::Error::new(io::ErrorKind::InvalidInput, "a webhook's secret that is no key, or a kind that is not HTTP")
        };
        let part = part(account).ok_or_else(no_key)?;
        let listener = TcpListener::bind(listen).await?;
        let address = listener.local_addr()?;
        let stage = Arc::new(Stage {
            part,
            clock,
            play: Mutex::new(play),
            received: Mutex::default(),
            accepted: AtomicU64::new(0),
            phones,
        });
        let server = tokio::spawn(serve(listener, Arc::clone(&stage)));
        Ok(Self { address, stage, server })
    }

    /// What it is reached at.
    #[must_use]
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Does something else from now on.
    pub fn set_play(&self, play: Play) {
        *locked(&self.stage.play) = play;
    }

    /// The last requests, oldest first.
    #[must_use]
    pub fn received(&self) -> Vec<Received> {
        locked(&self.stage.received).iter().cloned().collect()
    }
}

impl Drop for FakeProvider {
    fn drop(&mut self) {
        // The connections go with it: their set is the task's own.
        self.server.abort();
    }
}

async fn serve(listener: TcpListener, stage: Arc<Stage>) {
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            accepted = listener.accept() => {
                let Ok((stream, _)) = accepted else { continue };
                let stage = Arc::clone(&stage);
                let service = service_fn(move |request| answer(Arc::clone(&stage), request));
                let connection = hyper::server::conn::http1::Builder::new().serve_connection(TokioIo::new(stream), service);
                // A connection that breaks is the client's affair, or was ordered.
                connections.spawn(async move { connection.await.ok() });
            }
            Some(_) = connections.join_next() => {}
        }
    }
}

async fn answer(stage: Arc<Stage>, request: Request<Incoming>) -> io::Result<Response<FakeBody>> {
    let (head, body) = request.into_parts();
    let too_long = |_| io::Error::other("too long a request");
    let body = Limited::new(body, BODY_LIMIT).collect().await.map_err(too_long)?.to_bytes();
    let header = |(name, value): (&hyper::header::HeaderName, &hyper::header::HeaderValue)| {
        (name.as_str().to_owned(), String::from_utf8_lossy(value.as_bytes()).into_owned())
    };
    let mut received = Received {
        method: head.method.to_string(),
        path: head.uri.path().to_owned(),
        query: head.uri.query().unwrap_or_default().to_owned(),
        headers: head.headers.iter().map(header).collect(),
        body: body.to_vec(),
        accepted: false,
    };
    let taken = stage.part.take(&received, stage.clock.now());
    received.accepted = taken.is_ok();
    keep(&stage, received);
    let message = match taken {
        Ok(message) => message,
        Err(code) => return response(stage.part.error(code), false),
    };
    let play = locked(&stage.play).clone();
    match play {
        Play::Accept | Play::Lie | Play::Cut => {
            let id = format!("fake-{}", stage.accepted.fetch_add(1, Ordering::Relaxed) + 1);
            let reply = stage.part.accepted(&id, &message);
            if let Some(phones) = stage.phones.as_ref().filter(|_| play != Play::Lie) {
                phones(&FakeMessage { id, to: message.to, text: message.what });
            }
            response(reply, play == Play::Cut)
        }
        Play::Error(code) => response(stage.part.error(&code), false),
        Play::Status(status) => {
            response(Reply { status, body: "<html><body>Bad luck</body></html>".to_owned() }, false)
        }
        Play::Garbage => response(Reply { status: 200, body: "\u{0}\u{1}{]not what was asked for".to_owned() }, false),
        Play::Hang => std::future::pending().await,
        Play::Close => Err(io::Error::other("closed, as ordered")),
    }
}

fn keep(stage: &Stage, received: Received) {
    let mut kept = locked(&stage.received);
    if kept.len() == KEPT {
        kept.pop_front();
    }
    kept.push_back(received);
}

fn response(reply: Reply, cut: bool) -> io::Result<Response<FakeBody>> {
    let whole = Bytes::from(reply.body);
    let part = if cut { whole.slice(..whole.len() / 2) } else { whole.clone() };
    let body = FakeBody { length: whole.len() as u64, part: Some(part), cut };
    let builder = Response::builder().status(reply.status).header("content-type", "application/json");
    builder.body(body).map_err(io::Error::other)
}

/// A body that may promise more than it gives.
struct FakeBody {
    length: u64,
    part: Option<Bytes>,
    cut: bool,
}

impl Body for FakeBody {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, io::Error>>> {
        match self.part.take() {
            Some(part) => Poll::Ready(Some(Ok(Frame::data(part)))),
            None if self.cut => Poll::Ready(Some(Err(io::Error::other("cut, as ordered")))),
            None => Poll::Ready(None),
        }
    }

    fn is_end_stream(&self) -> bool {
        self.part.is_none() && !self.cut
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.length)
    }
}

/// Nothing here is left half-done by a panic, so a poisoned lock is as good as any.
fn locked<T: ?Sized>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
