//! The binary's parts: settings, keys, wiring, command line, start and stop. Here, and nowhere else, the adapters meet the
//! rules and the wire.

mod account;
pub mod ambient;
pub mod app;
mod audit_commands;
mod audit_metrics;
mod audit_text;
mod backup;
mod checksum;
mod clearing;
pub mod cli;
mod control;
mod copy;
mod copy_audit;
mod copy_fit;
mod copy_messages;
mod desk;
pub mod development;
mod doctor;
pub mod fill;
mod guards;
pub mod keys;
mod listening;
pub mod logging;
pub mod metered_store;
pub mod metrics;
mod operators;
mod orders;
mod outbox;
mod providers;
pub mod settings;
mod shop_settings;
mod shopxo_commands;
mod shopxo_shadow;
mod sms_commands;
mod sms_status;
mod store_commands;
mod stores;
pub mod telemetry;

pub use app::{App, Ports};
pub use settings::Settings;
pub use telemetry::Telemetry;
