//! Replays recorded exchanges with a real ShopXO against a server of our own.
//!
//! A recording is a file of scenarios, one JSON object a line. Those marked `same` are replayed: the accounts they start
//! from are seeded through the store port, their requests go over real HTTP, time is set and codes are foreseen, and what
//! is stored in the end is read through the store port again.

mod compare;
mod format;
mod placeholders;
mod replay;
mod seed;

use std::path::Path;

use anyhow::{Context, Result};

pub use compare::Difference;
pub use format::Case;

/// The recordings that come with the project.
pub const OWN_CASES: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/golden/cases.jsonl");

/// Reads a file of recordings.
///
/// # Errors
/// Where the file cannot be read, or a line is no scenario.
pub fn read(file: &Path) -> Result<Vec<Case>> {
    let text = std::fs::read_to_string(file).with_context(|| format!("cannot read {}", file.display()))?;
    let lines = text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty());
    let parse =
        |(index, line)| serde_json::from_str(line).with_context(|| format!("line {} is no scenario", index + 1));
    lines.map(parse).collect()
}

/// Replays one scenario; answers where we differ.
///
/// # Errors
/// Where it cannot be played at all.
pub async fn replay(case: &Case) -> Result<Vec<Difference>> {
    replay_over(case, "sled:").await
}

/// Replays one scenario over a store that holds nothing yet, named as the settings name it.
///
/// # Errors
/// Where it cannot be played at all.
pub async fn replay_over(case: &Case, store: &str) -> Result<Vec<Difference>> {
    replay::replay(case, store).await.with_context(|| format!("{} cannot be played", case.name))
}
