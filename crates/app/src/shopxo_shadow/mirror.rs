//! Requests that nginx mirrors (`deploy/shopxo/mirror.conf`): each is answered at once, and waits in a bounded queue until the shop has
//! had a moment to carry it out.

use std::collections::VecDeque;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use anyhow::Result;
use mobile_bind_shopxo::Seen;
use poem::http::StatusCode;
use poem::{Endpoint, EndpointExt, Request, Response};
use tokio::sync::mpsc::{Receiver, Sender, channel};
use tokio::time::Sleep;

use super::recorded::{self, Recorded};
use super::replay::{RecordedBind, Replay};
use crate::cli::print;

/// How many requests wait to be looked at, and as many to be compared. What is more is dropped, and said to be.
const WAITING: usize = 1_000;

/// A longer body is no bind's.
const LONGEST_BODY: usize = 64 * 1024;

/// When a request came, in seconds since the epoch, and from where.
const AT: &str = "x-mobile-bind-at";
const ADDRESS: &str = "x-mobile-bind-address";

/// Where mirrored requests come in.
pub(crate) struct Mirror {
    queue: Receiver<Recorded>,
    dropped: Arc<AtomicU64>,
    told_of_dropped: bool,
    /// Those that the shop has a moment for, in their order.
    waiting: VecDeque<Waiting>,
    moment: Duration,
}

struct Waiting {
    bind: RecordedBind,
    /// What the shop had when it came.
    before: Option<Seen>,
    due: Pin<Box<Sleep>>,
}

/// What a turn of the work came to.
enum Turn {
    Came(Recorded),
    Due,
    Ended,
}

impl Mirror {
    /// A queue, and the endpoint that fills it. The shop gets `moment` to carry a request out.
    pub(crate) fn new(moment: Duration) -> (Self, impl Endpoint<Output = Response> + 'static) {
        let (sender, queue) = channel(WAITING);
        let dropped = Arc::new(AtomicU64::new(0));
        let endpoint = endpoint(sender, Arc::clone(&dropped));
        (Self { queue, dropped, told_of_dropped: false, waiting: VecDeque::new(), moment }, endpoint)
    }

    /// Works until `ended` says so, and prints each difference as it is found.
    pub(crate) async fn work(&mut self, replay: &mut Replay, ended: impl Future<Output = ()>) -> Result<()> {
        tokio::pin!(ended);
        loop {
            let turn = tokio::select! {
                biased;
                () = &mut ended => Turn::Ended,
                Some(recorded) = self.queue.recv(), if self.waiting.len() < WAITING => Turn::Came(recorded),
                () = due(&mut self.waiting) => Turn::Due,
            };
            match turn {
                Turn::Came(recorded) => self.take(replay, recorded).await?,
                Turn::Due => self.compare_next(replay).await?,
                Turn::Ended => return Ok(()),
            }
        }
    }

    /// Compares all that has come, without waiting for the shop any longer.
    pub(crate) async fn finish(&mut self, replay: &mut Replay) -> Result<()> {
        self.queue.close();
        loop {
            while !self.waiting.is_empty() {
                self.compare_next(replay).await?;
            }
            let Some(recorded) = self.queue.recv().await else { break };
            self.take(replay, recorded).await?;
        }
        Ok(())
    }

    /// How many were dropped.
    pub(crate) fn dropped(&self) -> u64 {
        self.dropped.load(Ordering::Relaxed)
    }

    async fn take(&mut self, replay: &mut Replay, recorded: Recorded) -> Result<()> {
        if !self.told_of_dropped && self.dropped() > 0 {
            self.told_of_dropped = true;
            print("mirrored requests are dropped: too many wait\n")?;
        }
        if let Some(bind) = replay.take(recorded).await? {
            let before = replay.look(&bind).await;
            let due = Box::pin(tokio::time::sleep(self.moment));
            self.waiting.push_back(Waiting { bind, before, due });
        }
        Ok(())
    }

    async fn compare_next(&mut self, replay: &mut Replay) -> Result<()> {
        let Some(Waiting { bind, before, .. }) = self.waiting.pop_front() else { return Ok(()) };
        let after = replay.look(&bind).await;
        match replay.compare(&bind, None, before.as_ref(), after.as_ref()).await? {
            Some(difference) => print(&difference),
            None => Ok(()),
        }
    }
}

/// When the first that waits is due.
async fn due(waiting: &mut VecDeque<Waiting>) {
    match waiting.front_mut() {
        Some(first) => first.due.as_mut().await,
        None => std::future::pending().await,
    }
}

/// Answers 204 at once, whether or not there is room for the request; 400 where it is none of nginx's.
fn endpoint(queue: Sender<Recorded>, dropped: Arc<AtomicU64>) -> impl Endpoint<Output = Response> + 'static {
    poem::endpoint::make(move |request: Request| {
        let (queue, dropped) = (queue.clone(), Arc::clone(&dropped));
        async move {
            let Some(recorded) = mirrored(request).await else { return StatusCode::BAD_REQUEST };
            if queue.try_send(recorded).is_err() {
                dropped.fetch_add(1, Ordering::Relaxed);
            }
            StatusCode::NO_CONTENT
        }
    })
    .map_to_response()
}

async fn mirrored(mut request: Request) -> Option<Recorded> {
    let header = |name: &str| request.header(name).map(ToOwned::to_owned);
    let at = recorded::seconds(header(AT)?.parse().ok()?);
    let address = header(ADDRESS)?.parse().ok()?;
    let content_type = header("content-type").unwrap_or_default();
    let target = request.uri().path_and_query()?.as_str().to_owned();
    let body = request.take_body().into_bytes_limit(LONGEST_BODY).await.ok()?;
    let body = String::from_utf8(body.to_vec()).ok()?;
    Some(Recorded { at, address, target, content_type, body, answered_with_user: None })
}

#[cfg(test)]
mod tests {
    use poem::http::Method;

    use super::*;

    const BODY: &str = r#"{"mobile":"13900000001"}"#;

    /// What an endpoint answers to a request that says that it is from there.
    async fn answer(endpoint: &impl Endpoint<Output = Response>, address: &str) -> StatusCode {
        let target = "/api.php?s=user/appmobilebind&uuid=U".parse().unwrap();
        let request = Request::builder().method(Method::POST).uri(target).content_type("application/json");
        let request = request.header(AT, "1790000000.123").header(ADDRESS, address).body(BODY);
        endpoint.call(request).await.unwrap().status()
    }

    #[tokio::test]
    async fn a_mirrored_request_is_taken_as_it_came() {
        let (mut mirror, endpoint) = Mirror::new(Duration::ZERO);
        assert_eq!(answer(&endpoint, "203.0.113.7").await, StatusCode::NO_CONTENT);
        let recorded = mirror.queue.recv().await.unwrap();
        assert_eq!((recorded.at.as_millis(), recorded.answered_with_user), (1_790_000_000_123, None));
        assert_eq!(recorded.target, "/api.php?s=user/appmobilebind&uuid=U");
        assert_eq!(recorded.address.to_string(), "203.0.113.7");
        assert_eq!((recorded.content_type.as_str(), recorded.body.as_str()), ("application/json", BODY));
    }

    #[tokio::test]
    async fn what_is_none_of_nginxs_is_refused_and_what_is_too_much_is_counted() {
        let (mirror, endpoint) = Mirror::new(Duration::ZERO);
        assert_eq!(answer(&endpoint, "nobody").await, StatusCode::BAD_REQUEST);
        let bare = Request::builder().method(Method::POST).finish();
        assert_eq!(endpoint.call(bare).await.unwrap().status(), StatusCode::BAD_REQUEST);
        for _ in 0..WAITING + 3 {
            assert_eq!(answer(&endpoint, "203.0.113.7").await, StatusCode::NO_CONTENT);
        }
        assert_eq!(mirror.dropped(), 3);
    }
}
