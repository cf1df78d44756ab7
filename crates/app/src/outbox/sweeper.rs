//! Messages that are due: left behind by a node that ended, or without a receipt for too long.

use std::sync::Arc;
use std::time::Duration;

use mobile_bind_domain::ports::AnswerSlot;
use tracing::warn;

use super::BackgroundRelay;

/// How often is looked, and how many are taken at once.
const EVERY: Duration = Duration::from_secs(1);
const LIMIT: usize = 256;

/// Sends what is due, without end.
pub(crate) async fn sweep(relay: Arc<BackgroundRelay>) {
    let mut interval = tokio::time::interval(EVERY);
    interval.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        interval.tick().await;
        take_due(&relay).await;
    }
}

async fn take_due(relay: &BackgroundRelay) {
    let (to_send, settled) = match relay.outbox().take_due(LIMIT).await {
        Ok(due) => due,
        Err(error) => {
            warn!(%error, "messages that are due could not be taken");
            return;
        }
    };
    settled.iter().for_each(|message| relay.measures().came_to(message));
    for outgoing in to_send {
        // Without a place it stays as it is, until it is due again.
        if let Some(place) = relay.place() {
            relay.send(outgoing, Arc::new(AnswerSlot::default()), place);
        }
    }
}
