//! Sending text messages: real providers with failover, fakes of them, the fake outbox for development, and a deadline for
//! any sender.

mod breaker;
mod bulkhead;
mod callback;
mod config;
mod deadline;
mod dry_run;
mod examination;
mod exchange;
mod failover;
mod fake;
pub mod fake_provider;
mod http_client;
mod number;
mod provider;
mod receipts;
mod secret;
mod segments;
mod signing;
mod smpp;
mod vendors;
mod wording;

pub use breaker::Health;
pub use callback::{AddressRange, Call, CallbackConfig, NotTaken};
pub use config::{BadConfig, Kind, ProviderConfig};
pub use deadline::Deadline;
pub use examination::Observation;
pub use failover::Failover;
pub use fake::{Behaviour, FakeSms, SentMessage};
pub use http_client::{HttpClient, HttpClientError};
pub use number::country;
pub use provider::{HearReceipt, Provider, Shared, describe_metrics};
pub use receipts::{Receipt, ReceiptState, is_twilios, read_receipts, thanks};
pub use secret::Secret;

#[cfg(test)]
mod tests;
