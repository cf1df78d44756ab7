//! A real server on a port of its own, whose time and codes a test sets.

mod clock;
mod codes;
mod server;

pub use clock::ManualClock;
pub use codes::SeededCodes;
pub use server::{Answer, PausedServer, TestServer};
