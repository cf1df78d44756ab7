//! The outbox: a message is a record before it leaves, and stays one until long after. What becomes of it is decided here.

mod attempt;
mod message;
mod receipt;
mod status;

pub use attempt::{Attempt, AttemptOutcome};
pub use message::{Due, MessageId, MessageKey, MessageState, OutboxMessage, SealedCode};
pub use receipt::{DeliveryReceipt, DeliveryState};
pub use status::SendStatus;
