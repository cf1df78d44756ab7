//! Sending text messages: the fake outbox for development, and a deadline for any sender.

mod deadline;
mod fake;
mod wording;

pub use deadline::Deadline;
pub use fake::{Behaviour, FakeSms, SentMessage};
