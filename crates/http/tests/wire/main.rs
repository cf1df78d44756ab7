//! The HTTP side over fakes of the ports: what goes in, what comes out, and what is logged.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on ends there")]

mod console;
mod console_accounts;
mod development;
mod hostile;
mod logging;
mod operations;
mod pages;
mod shedding;
mod shop;
mod transport;
