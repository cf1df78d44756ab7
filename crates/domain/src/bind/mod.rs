//! Binding a number: the command, the receipt and the decision.

mod command;
mod decision;
mod receipt;

pub(crate) use command::is_empty;
pub use command::{Bind, BindParameters, ProofOfIdentity};
pub use decision::{Bound, Decision, Fresh, decide};
pub use receipt::BindReceipt;
