//! A collector that is away: what it costs is the spans, and one warning a minute.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use opentelemetry::Context;
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::error::OTelSdkResult;
use opentelemetry_sdk::trace::{Span, SpanData, SpanExporter, SpanProcessor};
use tracing::{info, warn};

/// How often an operator is told.
const TOLD_EVERY: Duration = Duration::from_mins(1);

/// Sends spans on, and tells of those that are lost.
#[derive(Debug)]
pub(super) struct Exporter<E> {
    inner: E,
    ended: Arc<AtomicU64>,
    losses: Mutex<Losses>,
}

impl<E: SpanExporter> Exporter<E> {
    /// With a queue of so many spans before it; and the count of spans that have ended, for [`Counting`].
    pub(super) fn new(inner: E, queue: usize) -> (Self, Arc<AtomicU64>) {
        let ended = Arc::new(AtomicU64::new(0));
        let losses = Losses { queue: u64::try_from(queue).unwrap_or(u64::MAX), ..Losses::default() };
        (Self { inner, ended: Arc::clone(&ended), losses: Mutex::new(losses) }, ended)
    }
}

impl<E: SpanExporter> SpanExporter for Exporter<E> {
    async fn export(&self, batch: Vec<SpanData>) -> OTelSdkResult {
        let taken = u64::try_from(batch.len()).unwrap_or(u64::MAX);
        let outcome = self.inner.export(batch).await;
        let mut losses = self.losses.lock().unwrap_or_else(PoisonError::into_inner);
        let news = losses.note(taken, outcome.is_ok(), self.ended.load(Ordering::Relaxed), now());
        drop(losses);
        match (news, &outcome) {
            (Some(News::Lost(spans)), Err(error)) => warn!(spans, %error, "the collector took no spans: they are lost"),
            (Some(News::Lost(spans)), Ok(())) => {
                warn!(spans, "spans are lost, there were too many: lower telemetry.sampling_ratio");
            }
            (Some(News::Reached), _) => info!("the collector takes spans again"),
            (None, _) => {}
        }
        outcome
    }

    fn shutdown_with_timeout(&self, timeout: Duration) -> OTelSdkResult {
        self.inner.shutdown_with_timeout(timeout)
    }

    fn force_flush(&self) -> OTelSdkResult {
        self.inner.force_flush()
    }

    fn set_resource(&mut self, resource: &Resource) {
        self.inner.set_resource(resource);
    }
}

#[expect(clippy::disallowed_methods, reason = "how often operators are warned; no rule depends on it")]
fn now() -> Instant {
    Instant::now()
}

/// What was lost, and what was told of it.
#[derive(Debug, Default)]
struct Losses {
    /// Spans that may wait.
    queue: u64,
    /// Spans that were taken out of the queue, or found no place in it.
    gone: u64,
    /// Spans lost and not told of yet.
    lost: u64,
    /// It was told that the collector is away, and not yet that it is back.
    away: bool,
    told: Option<Instant>,
}

/// What an operator should hear.
#[derive(Debug, PartialEq, Eq)]
enum News {
    /// So many spans are lost since the last time.
    Lost(u64),
    /// The collector is back.
    Reached,
}

impl Losses {
    /// Notes an attempt to send `taken` spans of all that have `ended` since the start.
    fn note(&mut self, taken: u64, reached: bool, ended: u64, now: Instant) -> Option<News> {
        self.gone += taken;
        // More than the queue has places for cannot be waiting.
        let crowded_out = ended.saturating_sub(self.gone).saturating_sub(self.queue);
        self.gone += crowded_out;
        self.lost += crowded_out + if reached { 0 } else { taken };
        if self.lost > 0 && self.told.is_none_or(|told| now.duration_since(told) >= TOLD_EVERY) {
            self.told = Some(now);
            self.away = !reached;
            return Some(News::Lost(std::mem::take(&mut self.lost)));
        }
        if reached && std::mem::take(&mut self.away) { Some(News::Reached) } else { None }
    }
}

/// Counts the spans on their way into the queue.
#[derive(Debug)]
pub(super) struct Counting<P> {
    inner: P,
    ended: Arc<AtomicU64>,
}

impl<P: SpanProcessor> Counting<P> {
    pub(super) fn new(inner: P, ended: Arc<AtomicU64>) -> Self {
        Self { inner, ended }
    }
}

impl<P: SpanProcessor> SpanProcessor for Counting<P> {
    fn on_start(&self, span: &mut Span, context: &Context) {
        self.inner.on_start(span, context);
    }

    fn on_end(&self, span: SpanData) {
        self.ended.fetch_add(1, Ordering::Relaxed);
        self.inner.on_end(span);
    }

    fn force_flush(&self) -> OTelSdkResult {
        self.inner.force_flush()
    }

    fn shutdown_with_timeout(&self, timeout: Duration) -> OTelSdkResult {
        self.inner.shutdown_with_timeout(timeout)
    }

    fn set_resource(&mut self, resource: &Resource) {
        self.inner.set_resource(resource);
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::{Losses, News, TOLD_EVERY, now};

    #[test]
    fn a_collector_that_is_away_is_told_of_once_a_minute() {
        let (mut losses, start) = (Losses { queue: 10, ..Losses::default() }, now());
        assert_eq!(losses.note(5, true, 5, start), None);
        assert_eq!(losses.note(5, false, 10, start), Some(News::Lost(5)));
        assert_eq!(losses.note(7, false, 17, start + Duration::from_secs(1)), None);
        assert_eq!(losses.note(1, false, 18, start + TOLD_EVERY), Some(News::Lost(8)));
        assert_eq!(losses.note(1, true, 19, start + TOLD_EVERY), Some(News::Reached));
        assert_eq!(losses.note(1, true, 20, start + TOLD_EVERY), None);
        assert_eq!(losses.note(1, false, 21, start + TOLD_EVERY), None, "so soon after");
        assert_eq!(losses.note(1, true, 22, start + TOLD_EVERY), None, "nobody heard that it was away");
        assert_eq!(losses.note(1, true, 23, start + TOLD_EVERY * 2), Some(News::Lost(1)));
    }

    #[test]
    fn what_found_no_place_in_the_queue_is_lost() {
        let (mut losses, start) = (Losses { queue: 10, ..Losses::default() }, now());
        assert_eq!(losses.note(5, true, 15, start), None, "ten wait");
        assert_eq!(losses.note(5, true, 23, start), Some(News::Lost(3)));
        assert_eq!(losses.note(10, true, 23, start + TOLD_EVERY), None, "told of once");
    }
}
