//! Several providers as one sender.

use std::collections::BTreeMap;
use std::sync::Arc;

use async_trait::async_trait;
use mobile_bind_domain::ports::{Accepted, Randomness, SendFailure, SmsSender, TextMessage};
use tracing::warn;

use crate::provider::Provider;

/// Tries providers in turn: by rank, and within a rank by chance, each as often as its weight says. The next one is asked
/// where nothing was sent and another may do better: on a refusal for now, or where no connection came about. A number
/// that one refuses for good is not offered to others, and after an unknown outcome a second message would be a double.
pub struct Failover {
    providers: Vec<Arc<Provider>>,
    randomness: Arc<dyn Randomness>,
}

impl Failover {
    /// A sender of these providers.
    #[must_use]
    pub fn new(providers: Vec<Arc<Provider>>, randomness: Arc<dyn Randomness>) -> Self {
        Self { providers, randomness }
    }

    /// The providers, for what operators are told of them.
    #[must_use]
    pub fn providers(&self) -> &[Arc<Provider>] {
        &self.providers
    }

    /// Those that serve the message, in the order in which they are to be tried.
    #[must_use]
    pub fn order(&self, message: &TextMessage) -> Vec<&Arc<Provider>> {
        let mut ranks: BTreeMap<u16, Vec<&Arc<Provider>>> = BTreeMap::new();
        for provider in self.providers.iter().filter(|provider| provider.serves(message)) {
            ranks.entry(provider.rank()).or_default().push(provider);
        }
        ranks.into_values().flat_map(|rank| self.shuffled(rank)).collect()
    }

    fn shuffled<'a>(&self, mut rank: Vec<&'a Arc<Provider>>) -> Vec<&'a Arc<Provider>> {
        let mut order = Vec::with_capacity(rank.len());
        while rank.len() > 1 {
            let total: u64 = rank.iter().map(|provider| u64::from(provider.weight())).sum();
            let mut drawn = [0; 8];
            self.randomness.fill(&mut drawn);
            // So many more values than weights that the remainder favours none.
            let mut point = u64::from_be_bytes(drawn) % total.max(1);
            let hit = |provider: &&Arc<Provider>| {
                let weight = u64::from(provider.weight());
                let hit = point < weight;
                point = point.saturating_sub(weight);
                hit
            };
            let index = rank.iter().position(hit).unwrap_or_default();
            order.push(rank.remove(index));
        }
        order.extend(rank);
        order
    }
}

#[async_trait]
impl SmsSender for Failover {
    async fn send(&self, message: TextMessage) -> Result<Accepted, SendFailure> {
        let order = self.order(&message);
        if order.is_empty() {
            warn!(mobile = %message.mobile, purpose = message.content.purpose().name(), "no provider serves this number");
            return Err(SendFailure::Refused);
        }
        let mut failure = SendFailure::Unavailable;
        for provider in order {
            if message.trail.asked_before(provider.name()) {
                continue;
            }
            match provider.send(message.clone()).await {
                Err(SendFailure::Limited) => failure = SendFailure::Limited,
                Err(SendFailure::Unavailable) => {}
                settled => return settled,
            }
        }
        Err(failure)
    }
}
