//! Every second: forgetting what has ended, and keeping the audit and the shares of verified messages.

use std::sync::Arc;
use std::time::Duration;

use mobile_bind_domain::Service;
use mobile_bind_domain::ports::{Purged, StoreError};
use tracing::warn;

const EVERY: Duration = Duration::from_secs(1);

/// At how many records a call looks: a few at a time, so that no bind waits for many.
const LIMIT: usize = 400;

/// How many calls a second takes at most.
const CALLS: usize = 10;

/// Goes on without end.
pub(crate) async fn clear_away(service: Arc<Service>) {
    every_second(|| turn(&service)).await;
}

async fn turn(service: &Service) {
    purge(|| service.purge(LIMIT)).await;
    if let Err(error) = service.store_conversions().await {
        warn!(%error, "shares of verified messages could not be stored");
    }
    if let Err(error) = service.keep_audit().await {
        warn!(%error, "the audit could not be kept");
    }
}

async fn every_second<F: Future>(turn: impl Fn() -> F) {
    let mut interval = tokio::time::interval(EVERY);
    interval.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        interval.tick().await;
        turn().await;
    }
}

/// Calls until there is no more to do: a database is not asked for nothing.
async fn purge<F: Future<Output = Result<Purged, StoreError>>>(call: impl Fn() -> F) {
    for _ in 0..CALLS {
        match call().await {
            Ok(purged) if purged.more => {}
            Ok(_) => return,
            Err(error) => {
                warn!(%error, "what has ended could not be cleared away");
                return;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use super::*;

    /// How many calls half a minute takes of a store that answers so; it is told the call's number.
    async fn calls_in_half_a_minute(answer: impl Fn(usize) -> Result<Purged, StoreError>) -> usize {
        let calls = Cell::new(0);
        let call = || {
            calls.set(calls.get() + 1);
            std::future::ready(answer(calls.get()))
        };
        // The first turn is at once.
        tokio::time::timeout(Duration::from_millis(29_500), every_second(|| purge(call))).await.unwrap_err();
        calls.get()
    }

    async fn calls_where_so_many_leave_more(full: usize) -> usize {
        calls_in_half_a_minute(|call| Ok(Purged { forgotten: 0, more: call <= full })).await
    }

    #[tokio::test(start_paused = true)]
    async fn an_idle_node_asks_its_store_once_a_second() {
        assert_eq!(calls_where_so_many_leave_more(0).await, 30);
    }

    #[tokio::test(start_paused = true)]
    async fn what_waits_is_cleared_away_ten_times_as_fast() {
        // Nine full turns, one that ends with its sixth call, and twenty of an idle node.
        assert_eq!(calls_where_so_many_leave_more(95).await, 9 * 10 + 6 + 20);
        assert_eq!(calls_where_so_many_leave_more(usize::MAX).await, 300);
    }

    #[tokio::test(start_paused = true)]
    async fn a_store_that_fails_is_asked_again_a_second_later() {
        assert_eq!(calls_in_half_a_minute(|_| Err(StoreError("away".into()))).await, 30);
    }
}
