//! Sending in the background, and answering whoever waits in time.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use futures_util::FutureExt;
use mobile_bind_domain::ports::{AnswerSlot, Outgoing, ProviderFacts, Relay, SendFailure};
use mobile_bind_domain::{ChallengeKey, Outbox, OutboxMessage};
use mobile_bind_sms::{Health, Provider};
use tokio::sync::oneshot::error::TryRecvError;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, oneshot};
use tokio::time::timeout;
use tracing::{Instrument, warn};

use super::Measures;

/// How many messages are on their way at once. What is more waits in the store until it is due.
const ON_THE_WAY: u32 = 16_384;

/// Among how many of a number's messages the one is looked for whose code was used.
const LATEST: usize = 8;

/// Sends each message, and goes on with it when nobody waits any more.
pub(crate) struct BackgroundRelay {
    outbox: Arc<Outbox>,
    measures: Arc<Measures>,
    answer_after: Duration,
    /// Whether it is counted by which providers the codes came that were used.
    follows_codes: bool,
    providers: Vec<Arc<Provider>>,
    places: Arc<Semaphore>,
}

impl BackgroundRelay {
    pub(crate) fn new(
        outbox: Arc<Outbox>,
        measures: Arc<Measures>,
        answer_after: Duration,
        follows_codes: bool,
        providers: Vec<Arc<Provider>>,
    ) -> Self {
        let places = Arc::new(Semaphore::new(ON_THE_WAY as usize));
        Self { outbox, measures, answer_after, follows_codes, providers, places }
    }

    pub(crate) fn outbox(&self) -> &Arc<Outbox> {
        &self.outbox
    }

    pub(crate) fn measures(&self) -> &Arc<Measures> {
        &self.measures
    }

    /// A place for one message on its way; `None` where all are taken.
    pub(crate) fn place(&self) -> Option<OwnedSemaphorePermit> {
        Arc::clone(&self.places).try_acquire_owned().ok()
    }

    /// Sends a message, which takes its place with it. What of it is over at once is done here, the rest in a task of its own:
    /// whoever asked has his answer before it begins.
    pub(crate) fn send(&self, outgoing: Outgoing, waiting: Arc<AnswerSlot>, place: OwnedSemaphorePermit) {
        let (outbox, measures, span) = (Arc::clone(&self.outbox), Arc::clone(&self.measures), outgoing.span.clone());
        let sending = async move {
            if let Some(message) = outbox.deliver(outgoing, &waiting).await {
                measures.came_to(&message);
            }
            drop(place);
        };
        let mut sending = Box::pin(sending.instrument(span));
        if sending.as_mut().now_or_never().is_none() {
            drop(tokio::spawn(sending));
        }
    }

    /// Waits until nothing is on its way; takes no more from then on.
    pub(crate) async fn finish(&self) {
        if let Ok(all) = self.places.acquire_many(ON_THE_WAY).await {
            all.forget();
        }
    }
}

#[async_trait]
impl Relay for BackgroundRelay {
    async fn relay(&self, outgoing: Outgoing) -> Result<(), SendFailure> {
        // Where there is no place, whoever comes by when the message is due sends it.
        let Some(place) = self.place() else { return Ok(()) };
        let (answer, mut answered) = oneshot::channel();
        let waiting = Arc::new(AnswerSlot::new(move |outcome| {
            // Whoever waited may be gone.
            let _ = answer.send(outcome);
        }));
        self.send(outgoing, Arc::clone(&waiting), place);
        match answered.try_recv() {
            Ok(outcome) => return outcome,
            // Nobody is left to answer.
            Err(TryRecvError::Closed) => return Ok(()),
            Err(TryRecvError::Empty) => {}
        }
        let outcome = match timeout(self.answer_after, &mut answered).await {
            Ok(outcome) => outcome,
            Err(_) if waiting.take().is_some() => return Ok(()),
            // The outcome came at this very moment, and what follows from it is being stored.
            Err(_) => answered.await,
        };
        // Without an answer the message is in other hands.
        outcome.unwrap_or(Ok(()))
    }

    fn providers(&self) -> Vec<ProviderFacts> {
        let facts = |provider: &Arc<Provider>| ProviderFacts {
            name: provider.name().to_owned(),
            breaker: match provider.health() {
                Health::Closed => "closed",
                Health::HalfOpen => "half open",
                Health::Open => "open",
            },
        };
        self.providers.iter().map(facts).collect()
    }

    fn verified(&self, key: ChallengeKey) {
        let Some(place) = self.place().filter(|_| self.follows_codes) else { return };
        let (outbox, measures) = (Arc::clone(&self.outbox), Arc::clone(&self.measures));
        drop(tokio::spawn(async move {
            match outbox.store.messages_to(&key.mobile, LATEST).await {
                Ok(messages) => {
                    let is_own =
                        |message: &OutboxMessage| message.client == key.client && message.purpose.brings_a_code();
                    let own = messages.iter().find(|message| is_own(&message.value));
                    own.iter().for_each(|message| measures.verified(&message.value));
                }
                Err(error) => warn!(%error, "which message a code came by could not be looked up"),
            }
            drop(place);
        }));
    }
}
