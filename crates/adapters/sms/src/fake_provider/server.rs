//! What fakes have in common, and their HTTP server.

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
use mobile_bind_domain::Timestamp;
use mobile_bind_domain::ports::Clock;
use tokio::net::TcpListener;
use tokio::sync::{Notify, broadcast};
use tokio::task::{JoinHandle, JoinSet};

use super::{FakeAccount, Part, Play, Received, Reply, centre, part};
use crate::config::Kind;
use crate::receipts::Receipt;

/// How many requests are kept.
const KEPT: usize = 1_000;
/// How many reports may wait for a session to tell them.
const REPORTS: usize = 1_000;
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

/// What a fake goes by, and what came of it.
pub(super) struct Stage {
    clock: Arc<dyn Clock>,
    play: Mutex<Play>,
    received: Mutex<VecDeque<Received>>,
    pub(super) accepted: AtomicU64,
    pub(super) phones: Option<Phones>,
    /// Sessions that were bound, what they are to tell, and what ends them: SMPP's alone.
    pub(super) sessions: AtomicU64,
    pub(super) reports: broadcast::Sender<Receipt>,
    pub(super) hang_up: Notify,
}

/// A fake that listens, until it is dropped.
pub struct FakeProvider {
    /// Where it listens.
    pub address: SocketAddr,
    scheme: &'static str,
    stage: Arc<Stage>,
    server: JoinHandle<()>,
}

impl FakeProvider {
    /// Listens at the address; port 0 takes any that is free. What is sent goes to `phones`.
    ///
    /// # Errors
    /// Where the address is taken, or a webhook's secret is none.
    pub async fn start(
        account: &FakeAccount,
        listen: SocketAddr,
        play: Play,
        clock: Arc<dyn Clock>,
        phones: Option<Phones>,
    ) -> io::Result<Self> {
        let no_key = || io::Error::new(io::ErrorKind::InvalidInput, "a webhook's secret that is no key");
        let speaks_http = account.kind != Kind::Smpp;
        let part = if speaks_http { Some(part(account).ok_or_else(no_key)?) } else { None };
        let listener = TcpListener::bind(listen).await?;
        let address = listener.local_addr()?;
        let stage = Arc::new(Stage {
            clock,
            play: Mutex::new(play),
            received: Mutex::default(),
            accepted: AtomicU64::new(0),
            phones,
            sessions: AtomicU64::new(0),
            reports: broadcast::Sender::new(REPORTS),
            hang_up: Notify::new(),
        });
        let server = match part {
            Some(part) => tokio::spawn(serve(listener, Arc::from(part), Arc::clone(&stage))),
            None => tokio::spawn(centre::serve(listener, account.clone(), Arc::clone(&stage))),
        };
        Ok(Self { address, scheme: if speaks_http { "http" } else { "smpp" }, stage, server })
    }

    /// What it is reached at.
    #[must_use]
    pub fn url(&self) -> String {
        format!("{}://{}", self.scheme, self.address)
    }

    /// Does something else from now on.
    pub fn set_play(&self, play: Play) {
        *locked(&self.stage.play) = play;
    }

    /// How many sessions were bound over SMPP.
    #[must_use]
    pub fn sessions(&self) -> u64 {
        self.stage.sessions.load(Ordering::Relaxed)
    }

    /// Tells in every session over SMPP what became of a message, in the order of the calls.
    pub fn report(&self, receipt: Receipt) {
        // Where there is no session nobody hears it.
        let _ = self.stage.reports.send(receipt);
    }

    /// Ends all sessions over SMPP.
    pub fn hang_up(&self) {
        self.stage.hang_up.notify_waiters();
    }

    /// The last requests over HTTP, oldest first.
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

/// What a fake does with good requests at the moment.
pub(super) fn current_play(stage: &Stage) -> Play {
    locked(&stage.play).clone()
}

async fn serve(listener: TcpListener, part: Arc<dyn Part>, stage: Arc<Stage>) {
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            accepted = listener.accept() => {
                let Ok((stream, _)) = accepted else { continue };
                let (part, stage) = (Arc::clone(&part), Arc::clone(&stage));
                let service = service_fn(move |request| answer(Arc::clone(&part), Arc::clone(&stage), request));
                let connection = hyper::server::conn::http1::Builder::new().serve_connection(TokioIo::new(stream), service);
                // A connection that breaks is the client's affair, or was ordered.
                connections.spawn(async move { connection.await.ok() });
            }
            Some(_) = connections.join_next() => {}
        }
    }
}

async fn answer(part: Arc<dyn Part>, stage: Arc<Stage>, request: Request<Incoming>) -> io::Result<Response<FakeBody>> {
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
    let now = stage.clock.now();
    let response = |reply, cut| response(reply, cut, now);
    if let Some(reply) = part.inquired(&received, now) {
        return response(reply, false);
    }
    let taken = part.take(&received, now);
    received.accepted = taken.is_ok();
    keep(&stage, received);
    let message = match taken {
        Ok(message) => message,
        Err(code) => return response(part.error(code), false),
    };
    match current_play(&stage) {
        play @ (Play::Accept | Play::Lie | Play::Cut) => {
            let id = format!("fake-{}", stage.accepted.fetch_add(1, Ordering::Relaxed) + 1);
            let reply = part.accepted(&id, &message);
            if let Some(phones) = stage.phones.as_ref().filter(|_| play != Play::Lie) {
                phones(&FakeMessage { id, to: message.to, text: message.what });
            }
            response(reply, play == Play::Cut)
        }
        Play::Error(code) => response(part.error(&code), false),
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

/// Says in `Date` what the fake's own clock says.
fn response(reply: Reply, cut: bool, now: Timestamp) -> io::Result<Response<FakeBody>> {
    let whole = Bytes::from(reply.body);
    let part = if cut { whole.slice(..whole.len() / 2) } else { whole.clone() };
    let body = FakeBody { length: whole.len() as u64, part: Some(part), cut };
    let at = i64::try_from(now.as_seconds()).ok().and_then(|at| jiff::Timestamp::from_second(at).ok());
    let date = jiff::fmt::rfc2822::DateTimePrinter::new().timestamp_to_rfc9110_string(&at.unwrap_or_default());
    let builder = Response::builder().status(reply.status).header("content-type", "application/json");
    let builder = builder.header("date", date.map_err(io::Error::other)?);
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
