//! The platforms that mini-programs run on: whose a log-in code is, and the number that a platform vouches for. And a fake of
//! all six, which verifies what it is sent.

mod config;
mod encrypted;
pub mod fake;
mod http_client;
mod platforms;
mod rsa;
mod sealing;
#[cfg(test)]
mod tests;
mod vendors;

pub use config::{BadConfig, PlatformConfig, Secret};
pub use platforms::{MiniPrograms, Shared, describe_metrics};
pub use sealing::SealingKeys;
