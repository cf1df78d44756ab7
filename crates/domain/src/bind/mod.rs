//! Binding a number: the command, the receipt and the decision.

mod changing_hands;
mod command;
mod decision;
mod placing;
mod proving;
mod receipt;
mod repeats;
mod tries;
mod vouched;

pub use command::{Bind, BindParameters};
pub(crate) use command::{claim, is_empty};
pub use decision::{AllottedAccount, Bound, Decision, Fresh, WantedAccount, decide, decide_vouched};
pub(crate) use placing::may_log_in;
pub(crate) use proving::ProvedIdentity;
pub use receipt::BindReceipt;
pub use vouched::Vouched;
