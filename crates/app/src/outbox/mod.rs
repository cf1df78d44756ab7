//! The outbox at work: messages in the background, those that were left behind, and what is measured of both.

mod measures;
mod receipts;
mod relay;
mod sweeper;

pub(crate) use measures::{DELIVERY, Measures, describe_metrics};
pub(crate) use receipts::{Callbacks, Receipts, delivery};
pub(crate) use relay::BackgroundRelay;
pub(crate) use sweeper::sweep;
