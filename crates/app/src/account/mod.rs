//! What operators do to accounts.

mod commands;
mod desk;
mod export;
mod sheet;

pub(crate) use commands::{AccountCommand, run};
pub(crate) use desk::AccountRequest;
