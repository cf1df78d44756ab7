//! Binding a number: the command, the receipt and the decision.

mod command;
mod decision;
mod proving;
mod receipt;
mod vouched;

pub use command::{Bind, BindParameters};
pub(crate) use command::{claim, is_empty};
pub(crate) use decision::may_log_in;
pub use decision::{Bound, Decision, Fresh, decide, decide_vouched};
pub(crate) use proving::ProvedIdentity;
pub use receipt::BindReceipt;
pub use vouched::Vouched;
