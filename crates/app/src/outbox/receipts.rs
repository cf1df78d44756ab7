//! Receipts: from providers' calls and over their own connections, to the messages that they are of.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use mobile_bind_domain::Outbox;
use mobile_bind_domain::outbox::{DeliveryReceipt, DeliveryState};
use mobile_bind_domain::ports::StoreError;
use mobile_bind_domain::service::Heard;
use mobile_bind_http::{CallAnswer, ProviderCall, ProviderCalls};
use mobile_bind_sms::{Call, NotTaken, Provider, Receipt, ReceiptState, thanks};
use tokio::sync::Semaphore;
use tracing::{debug, warn};

use super::Measures;

/// A receipt may be faster than the answer that it follows, or come to another node: when it is looked at again.
const AGAIN: [Duration; 3] = [Duration::from_secs(1), Duration::from_secs(5), Duration::from_secs(30)];
/// How many wait for that at once.
const WAITING: usize = 4_096;

/// Takes receipts.
pub(crate) struct Receipts {
    outbox: Arc<Outbox>,
    measures: Arc<Measures>,
    providers: Vec<Arc<Provider>>,
    waiting: Arc<Semaphore>,
}

impl Receipts {
    pub(crate) fn new(outbox: Arc<Outbox>, measures: Arc<Measures>, providers: Vec<Arc<Provider>>) -> Arc<Self> {
        Arc::new(Self { outbox, measures, providers, waiting: Arc::new(Semaphore::new(WAITING)) })
    }

    /// Takes one receipt; where its message is not known yet it is looked at again later.
    pub(crate) async fn hear(self: &Arc<Self>, receipt: DeliveryReceipt) -> Result<(), StoreError> {
        if self.heard(&receipt).await? {
            return Ok(());
        }
        let Ok(place) = Arc::clone(&self.waiting).try_acquire_owned() else {
            warn!(provider = receipt.provider, "too many receipts of messages that are not known");
            return Ok(());
        };
        let receipts = Arc::clone(self);
        drop(tokio::spawn(async move {
            for wait in AGAIN {
                tokio::time::sleep(wait).await;
                match receipts.heard(&receipt).await {
                    Ok(true) => break,
                    Ok(false) => {}
                    Err(error) => warn!(%error, "a receipt could not be stored"),
                }
            }
            drop(place);
        }));
        Ok(())
    }

    /// Whether the message is known.
    async fn heard(&self, receipt: &DeliveryReceipt) -> Result<bool, StoreError> {
        match self.outbox.hear(receipt).await? {
            Heard::Advanced(message) => {
                debug!(provider = receipt.provider, state = message.state.name(), error = receipt.error, "receipt");
                self.measures.came_to(&message);
                Ok(true)
            }
            Heard::Nothing => Ok(true),
            Heard::NoSuchMessage => Ok(false),
        }
    }
}

/// A provider's receipt, as the rules know it.
pub(crate) fn delivery(provider: &str, receipt: Receipt) -> DeliveryReceipt {
    DeliveryReceipt {
        provider: provider.to_owned(),
        reference: receipt.id,
        state: match receipt.state {
            ReceiptState::Delivered => DeliveryState::Delivered,
            ReceiptState::Failed => DeliveryState::Failed,
            ReceiptState::Pending => DeliveryState::Pending,
        },
        error: receipt.error,
    }
}

/// The providers' calls.
pub(crate) struct Callbacks(pub(crate) Arc<Receipts>);

#[async_trait]
impl ProviderCalls for Callbacks {
    async fn take(&self, call: ProviderCall) -> CallAnswer {
        let Self(receipts) = self;
        let Some(provider) = receipts.providers.iter().find(|known| known.name() == call.provider) else {
            return CallAnswer::NotFound;
        };
        let header = |name: &str| call.headers.get(name).and_then(|value| value.to_str().ok()).map(str::to_owned);
        let now = receipts.outbox.clock.now().as_seconds();
        let read = provider.receipts(&Call { key: &call.key, from: call.from, header: &header, body: &call.body, now });
        let read = match read {
            Ok(read) => read,
            Err(NotTaken::Forbidden) => {
                warn!(provider = provider.name(), from = %call.from, "a call with receipts was not the provider's");
                return CallAnswer::NotFound;
            }
            Err(NotTaken::Unreadable) => {
                warn!(provider = provider.name(), "a call with receipts cannot be read");
                return CallAnswer::Unreadable;
            }
        };
        for receipt in read {
            if let Err(error) = receipts.hear(delivery(provider.name(), receipt)).await {
                warn!(%error, "a receipt could not be stored");
                return CallAnswer::Failed;
            }
        }
        CallAnswer::Taken(thanks(provider.kind()))
    }
}
