//! What a provider tells later.

/// What became of a message, as a provider tells it later: at any time, in any order, more than once.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeliveryReceipt {
    /// The provider, by the operator's name for it.
    pub provider: String,
    /// The provider's own id of the message.
    pub reference: String,
    /// What became of it.
    pub state: DeliveryState,
    /// The network's error code; empty where there is none.
    pub error: String,
}

/// What became of a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DeliveryState {
    /// The phone has it.
    Delivered,
    /// It will not get it.
    Failed,
    /// Not known yet.
    Pending,
}
