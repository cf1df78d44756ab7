//! What a connection may cost: only so many are open at once, one that is idle for long is closed, and so is one whose client
//! is too slow to say what it wants or to take the answer. The framework's own idle timeout ends neither a client that sends
//! a byte now and then nor one that stops in the middle of its headers.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use metrics::{Gauge, counter, gauge};
use poem::http::uri::Scheme;
use poem::listener::Acceptor;
use poem::web::{LocalAddr, RemoteAddr};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::{Instant, Sleep, sleep};

use self::door::Verdict;
use crate::metrics::{CONNECTIONS, CONNECTIONS_CLOSED};

mod door;

pub use self::door::Door;

/// How long to wait after the system refused a connection: it is short of something, and asking at once brings nothing.
const REFUSED_PAUSE: Duration = Duration::from_millis(20);

/// As much of a request as an operation's has, in bytes.
const LOOKED_AT: usize = 2048;

/// What connections may cost.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ConnectionLimits {
    /// How many may be open; one more is closed at once.
    pub open: usize,
    /// How long one may do nothing between two requests.
    pub idle: Duration,
    /// How long one request may take, from its first byte to the last of its answer.
    pub request: Duration,
}

/// Accepts connections within limits.
pub struct LimitedAcceptor<A> {
    inner: A,
    limits: ConnectionLimits,
    door: Option<Arc<Door>>,
    places: Arc<Semaphore>,
}

impl<A> LimitedAcceptor<A> {
    /// Limits the connections that `inner` accepts. Their requests come in by the door, where there is one.
    pub fn new(inner: A, limits: ConnectionLimits, door: Option<Arc<Door>>) -> Self {
        let places = Arc::new(Semaphore::new(limits.open.min(Semaphore::MAX_PERMITS)));
        for reason in ["idle", "slow", "full"] {
            // Shown from the start, so that the first one is seen as an increase.
            counter!(CONNECTIONS_CLOSED, "reason" => reason).increment(0);
        }
        Self { inner, limits, door, places }
    }
}

impl<A: Acceptor> Acceptor for LimitedAcceptor<A> {
    type Io = Connection<A::Io>;

    fn local_addr(&self) -> Vec<LocalAddr> {
        self.inner.local_addr()
    }

    async fn accept(&mut self) -> io::Result<(Self::Io, LocalAddr, RemoteAddr, Scheme)> {
        loop {
            let (io, local, remote, scheme) = match self.inner.accept().await {
                Ok(accepted) => accepted,
                Err(error) => {
                    tracing::warn!(%error, "a connection could not be accepted");
                    sleep(REFUSED_PAUSE).await;
                    continue;
                }
            };
            match Arc::clone(&self.places).try_acquire_owned() {
                Ok(place) => {
                    return Ok((Connection::new(io, self.limits, self.door.clone(), place), local, remote, scheme));
                }
                Err(_) => counter!(CONNECTIONS_CLOSED, "reason" => "full").increment(1),
            }
        }
    }
}

/// What a connection is doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    /// Everything that was asked is answered.
    Idle,
    /// Something was asked, or begun to be.
    Asked,
    /// Its time is up.
    Ended,
}

/// A connection that ends when it takes too long.
pub struct Connection<Io> {
    inner: Io,
    limits: ConnectionLimits,
    phase: Phase,
    deadline: Instant,
    /// Wakes the connection at its deadline or before, never after.
    alarm: Pin<Box<Sleep>>,
    /// Gone once it is no longer certain where a request begins.
    door: Option<Arc<Door>>,
    /// What was read to be looked at, and is still to be handed on.
    ahead: Bytes,
    /// What the door answered, and how much of that was written.
    refusal: Vec<u8>,
    refused: usize,
    open: Gauge,
    _place: OwnedSemaphorePermit,
}

impl<Io> Connection<Io> {
    fn new(inner: Io, limits: ConnectionLimits, door: Option<Arc<Door>>, place: OwnedSemaphorePermit) -> Self {
        let alarm = Box::pin(sleep(limits.idle));
        let open = gauge!(CONNECTIONS);
        open.increment(1.0);
        let deadline = alarm.deadline();
        let (phase, ahead, refusal, refused) = (Phase::Idle, Bytes::new(), Vec::new(), 0);
        Self { inner, limits, phase, deadline, alarm, door, ahead, refusal, refused, open, _place: place }
    }

    fn enter(&mut self, phase: Phase) {
        self.phase = phase;
        self.deadline = now() + if phase == Phase::Idle { self.limits.idle } else { self.limits.request };
        // A deadline that moves on needs no new alarm: the old one rings too early, and is put off then.
        if self.deadline < self.alarm.deadline() {
            self.alarm.as_mut().reset(self.deadline);
        }
    }

    /// Fails once the time is up; the task is woken then.
    fn check(&mut self, context: &mut Context<'_>) -> io::Result<()> {
        while self.phase != Phase::Ended && self.alarm.as_mut().poll(context).is_ready() {
            if self.alarm.deadline() >= self.deadline {
                let reason = if self.phase == Phase::Idle { "idle" } else { "slow" };
                counter!(CONNECTIONS_CLOSED, "reason" => reason).increment(1);
                self.phase = Phase::Ended;
            } else {
                self.alarm.as_mut().reset(self.deadline);
            }
        }
        if self.phase == Phase::Ended { Err(io::ErrorKind::TimedOut.into()) } else { Ok(()) }
    }
}

#[expect(clippy::disallowed_methods, reason = "a connection's time is the machine's; no rule depends on it")]
fn now() -> Instant {
    Instant::now()
}

impl<Io> Drop for Connection<Io> {
    fn drop(&mut self) {
        self.open.decrement(1.0);
    }
}

impl<Io> Connection<Io> {
    /// Whether what was read is for the service.
    fn lets_in(&mut self, read: &[u8]) -> bool {
        if self.phase != Phase::Idle {
            // More of a request that was not whole, or a second one beside the first.
            self.door = None;
            return true;
        }
        let verdict = self.door.as_ref().map(|door| door.look(read, &mut self.refusal));
        if verdict == Some(Verdict::TurnedAway) {
            return false;
        }
        if verdict == Some(Verdict::Unclear) {
            self.door = None;
        }
        self.enter(Phase::Asked);
        true
    }
}

impl<Io: AsyncRead + AsyncWrite + Unpin> Connection<Io> {
    /// Reads more than was asked for, so that a whole request can be looked at: whoever tells versions of HTTP apart asks
    /// for no more than the first few bytes. Nothing is there then only where the client has closed its side.
    fn look_ahead(&mut self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        loop {
            ready!(self.refuse(context))?;
            let mut room = [0; LOOKED_AT];
            let mut read = ReadBuf::new(&mut room);
            ready!(Pin::new(&mut self.inner).poll_read(context, &mut read))?;
            if read.filled().is_empty() || self.lets_in(read.filled()) {
                self.ahead = Bytes::copy_from_slice(read.filled());
                return Poll::Ready(Ok(()));
            }
        }
    }
}

impl<Io: AsyncRead + AsyncWrite + Unpin> AsyncRead for Connection<Io> {
    fn poll_read(mut self: Pin<&mut Self>, context: &mut Context<'_>, into: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let before = into.filled().len();
        loop {
            self.check(context)?;
            if !self.ahead.is_empty() {
                let length = self.ahead.len().min(into.remaining());
                into.put_slice(&self.ahead.split_to(length));
                return Poll::Ready(Ok(()));
            }
            ready!(self.refuse(context))?;
            if self.door.is_some() && into.remaining() < LOOKED_AT {
                ready!(self.look_ahead(context))?;
                if self.ahead.is_empty() {
                    return Poll::Ready(Ok(()));
                }
                continue;
            }
            ready!(Pin::new(&mut self.inner).poll_read(context, into))?;
            let read = into.filled().get(before..).unwrap_or_default();
            if read.is_empty() || self.lets_in(read) {
                return Poll::Ready(Ok(()));
            }
            into.set_filled(before);
        }
    }
}

impl<Io: AsyncWrite + Unpin> Connection<Io> {
    /// Writes what the door answered.
    fn refuse(&mut self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        while let Some(rest) = self.refusal.get(self.refused..).filter(|rest| !rest.is_empty()) {
            match ready!(Pin::new(&mut self.inner).poll_write(context, rest))? {
                0 => return Poll::Ready(Err(io::ErrorKind::WriteZero.into())),
                written => self.refused += written,
            }
            self.enter(Phase::Idle);
        }
        self.refusal.clear();
        self.refused = 0;
        Poll::Ready(Ok(()))
    }

    fn wrote(
        &mut self,
        context: &mut Context<'_>,
        offered: usize,
        written: Poll<io::Result<usize>>,
    ) -> Poll<io::Result<usize>> {
        match &written {
            Poll::Ready(Ok(length)) if self.phase != Phase::Ended => {
                if self.phase == Phase::Idle || *length < offered {
                    // An answer in parts: who does not wait for its end may ask in the midst of it.
                    self.door = None;
                }
                self.enter(Phase::Idle);
            }
            Poll::Ready(_) => {}
            Poll::Pending => self.check(context)?,
        }
        written
    }
}

impl<Io: AsyncWrite + Unpin> AsyncWrite for Connection<Io> {
    fn poll_write(mut self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.inner).poll_write(context, bytes);
        self.wrote(context, bytes.len(), written)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.inner).poll_write_vectored(context, slices);
        self.wrote(context, slices.iter().map(|slice| slice.len()).sum(), written)
    }

    fn is_write_vectored(&self) -> bool {
        self.inner.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_shutdown(context)
    }
}

#[cfg(test)]
mod tests;
