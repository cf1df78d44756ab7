//! What an operator can do with a store.

use std::collections::BTreeMap;
use std::fmt::Display;
use std::io::Write;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, anyhow, ensure};
use mobile_bind_sled::{Findings, OpenError};

use crate::backup;
use crate::copy_fit::listed;
use crate::orders::{Order, ask};
use crate::settings::Settings;
use crate::stores::{store_folder, store_options, without_password};

/// Goes through the whole store, and says what is in it and what is wrong.
///
/// # Errors
/// Where something is wrong, or the store cannot be gone through.
pub(crate) fn verify(settings: &Settings) -> Result<String> {
    let folder = existing(settings)?;
    let found = go_through(settings, &folder)?;
    judged(summary(&folder, &found)?, &problems(&found.problems))
}

/// Goes through a database, and says what is in it and, where it is asked for, what is wrong.
///
/// # Errors
/// Where something is wrong, or the database cannot be gone through.
pub(crate) async fn verify_database(options: &mobile_bind_postgres::Options, judge: bool) -> Result<String> {
    let found = mobile_bind_postgres::verify(options, accounts_seen).await?;
    let _ = writeln!(std::io::stderr(), "\rdone                ");
    let text = contents(found.version, found.rows, found.bytes);
    if judge { judged(text, &problems(&found.problems)) } else { Ok(text) }
}

/// Goes through a shop's database, and says what is in it and, where it is asked for, what is wrong.
///
/// # Errors
/// Where something is wrong, or the database cannot be gone through.
pub(crate) async fn verify_shop(options: &mobile_bind_shopxo::Options, judge: bool) -> Result<String> {
    let found = mobile_bind_shopxo::verify(options, accounts_seen).await?;
    let _ = writeln!(std::io::stderr(), "\rdone                ");
    let text = contents(found.version, found.rows, found.bytes);
    if !judge {
        return Ok(text);
    }
    let leftovers = found.leftovers.iter().map(|(leftover, count)| format!("{count} times, and no harm: {leftover}\n"));
    judged(text + &leftovers.collect::<String>(), &(problems(&found.problems) + &listed(&found.contested)))
}

fn accounts_seen(seen: u64) {
    // Nobody has to watch.
    let _ = write!(std::io::stderr(), "\r{seen} accounts");
}

fn contents(version: impl Display, rows: impl IntoIterator<Item = (impl Display, u64)>, bytes: u64) -> String {
    let mut text = format!("schema version {version}\n");
    for (table, rows) in rows {
        text += &format!("{rows:>12} {table}\n");
    }
    text + &format!("{bytes:>12} bytes with their indexes\n")
}

fn problems(problems: &BTreeMap<&'static str, u64>) -> String {
    problems.iter().map(|(problem, count)| format!("\n{count} times: {problem}")).collect()
}

fn judged(text: String, problems: &str) -> Result<String> {
    ensure!(problems.is_empty(), "{text}the store is not in order:{problems}");
    Ok(text + "the store is in order\n")
}

/// Says what is in the store.
///
/// # Errors
/// Where the store cannot be gone through.
pub(crate) fn stats(settings: &Settings) -> Result<String> {
    let folder = existing(settings)?;
    summary(&folder, &go_through(settings, &folder)?)
}

/// Takes a store that has lost something for whole.
///
/// # Errors
/// Where the store cannot be opened.
pub(crate) fn accept_loss(settings: &Settings) -> Result<String> {
    let folder = existing(settings)?;
    mobile_bind_sled::accept_loss(&folder, store_options(settings)).map_err(told)?;
    Ok("what is missing is given up; `mobile-bind store verify` says whether the rest fits together\n".to_owned())
}

/// Writes a backup: through the running service where there is one, else by itself.
///
/// # Errors
/// Where it cannot be written.
pub(crate) async fn back_up(settings: &Settings, to: &Path) -> Result<String> {
    let to = std::path::absolute(to)?;
    folder(settings)?;
    let sequence: u64 = ask(settings, Order::Backup { to: to.clone() }).await?;
    Ok(format!("{} holds everything up to change {sequence}\n", to.display()))
}

/// Puts a backup where there is no data.
///
/// # Errors
/// Where it is damaged, or there is data.
pub(crate) fn restore(settings: &Settings, from: &Path) -> Result<String> {
    let sequence = backup::restore(from, &settings.data_dir, &folder(settings)?)?;
    Ok(format!("{} holds everything up to change {sequence}\n", settings.data_dir.display()))
}

fn folder(settings: &Settings) -> Result<PathBuf> {
    store_folder(settings)
        .with_context(|| format!("store = \"{}\" is not the embedded store", without_password(&settings.store)))
}

/// The store's folder; looking at one that is not there would make it.
fn existing(settings: &Settings) -> Result<PathBuf> {
    let folder = folder(settings)?;
    ensure!(folder.is_dir(), "there is no store in {}", folder.display());
    Ok(folder)
}

fn told(error: OpenError) -> anyhow::Error {
    let used = matches!(error, OpenError::InUse);
    let error = anyhow!(error);
    if used {
        error.context("a service has the store open: stop it, or look at a backup (--store sled:DIR/store)")
    } else {
        error
    }
}

fn go_through(settings: &Settings, folder: &Path) -> Result<Findings> {
    let mut terminal = std::io::stderr();
    let progress = |seen: u64| {
        // Nobody has to watch.
        let _ = write!(terminal, "\r{seen} entries");
    };
    let found = mobile_bind_sled::verify(folder, store_options(settings), progress).map_err(told)?;
    let _ = writeln!(std::io::stderr(), "\r{} entries, done", found.entries.values().sum::<u64>());
    Ok(found)
}

fn summary(folder: &Path, found: &Findings) -> Result<String> {
    let mut text = format!("format {}, last change {}\n", found.format, found.sequence);
    for (kind, count) in &found.entries {
        text += &format!("{count:>12} {kind}\n");
    }
    Ok(text + &format!("{:>12} bytes of them, {} bytes on disk\n", found.bytes, bytes_in(folder)?))
}

fn bytes_in(folder: &Path) -> std::io::Result<u64> {
    let mut bytes = 0;
    for entry in std::fs::read_dir(folder)? {
        let entry = entry?;
        let metadata = entry.metadata()?;
        bytes += if metadata.is_dir() { bytes_in(&entry.path())? } else { metadata.len() };
    }
    Ok(bytes)
}
