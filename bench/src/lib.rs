//! The load driver behind `cargo xtask bench`: it starts the release binary as a child process, plays whole flows against
//! it over real HTTP, and sets what it measures beside the ceilings of the same machine in the same run.
//!
//! The driver shares the machine with the server, so it is kept cheap: one thread, one kept-alive connection for each
//! request that may be under way, and no parsing beyond a search for the few bytes that are wanted.

mod ceiling;
mod client;
mod clock;
pub mod command_line;
mod figures;
mod folder;
mod load;
mod machine;
mod people;
mod plot;
mod preparation;
mod process;
mod report;
mod requests;
mod run;
mod scale;
mod scenario;
mod server;
mod table;
mod targets;
pub mod timeline;
mod wire;
mod workload;
