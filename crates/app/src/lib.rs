//! The binary's parts: settings, keys, wiring, command line, start and stop. Here, and nowhere else, the adapters meet the
//! rules and the wire.

pub mod ambient;
pub mod app;
pub mod cli;
pub mod development;
pub mod keys;
pub mod logging;
pub mod settings;

pub use app::{App, Ports};
pub use settings::Settings;
