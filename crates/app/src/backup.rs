//! Backups: the store as it was at one point in time, and the server's keys.
//!
//! A backup is a folder of mode 0700 that holds `store/` and `keys/` as they are in the data folder, and `backup.json`,
//! which is written last: `{"format": 1, "sequence", "files": {path: {"bytes", "sha256"}}}`. What has no `backup.json` is
//! no backup.

use std::collections::BTreeMap;
use std::fs::{self, DirBuilder, File};
use std::io::{self, Read, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, anyhow, bail, ensure};
use aws_lc_rs::digest;
use data_encoding::HEXLOWER;
use mobile_bind_sled::SledStore;
use serde::{Deserialize, Serialize};

const FORMAT: u32 = 1;
const MANIFEST: &str = "backup.json";
const STORE: &str = "store";
const KEYS: &str = "keys";

#[derive(Debug, Deserialize, Serialize)]
struct Manifest {
    format: u32,
    sequence: u64,
    files: BTreeMap<PathBuf, Entry>,
}

#[derive(Debug, Deserialize, PartialEq, Serialize)]
struct Entry {
    bytes: u64,
    sha256: String,
}

/// Writes a backup of an open store and of the keys in its data folder to a folder that is not there yet. Changes wait
/// while the store's files are copied; reads go on. Answers the sequence of the last change in it.
///
/// # Errors
/// Where the folder exists, or anything cannot be read or written.
pub(crate) async fn back_up(store: &SledStore, data_dir: &Path, to: &Path) -> Result<u64> {
    DirBuilder::new().mode(0o700).create(to).with_context(|| format!("cannot make {}", to.display()))?;
    let copied = store.back_up(&to.join(STORE)).await;
    // The store's error says nothing of its cause by itself.
    let sequence = copied.map_err(|error| anyhow!(error).context("the store could not be copied"))?.sequence;
    let (data_dir, to) = (data_dir.to_owned(), to.to_owned());
    let finish = move || {
        copy(&data_dir.join(KEYS), &to.join(KEYS)).context("the keys could not be copied")?;
        let manifest = Manifest { format: FORMAT, sequence, files: files(&to)? };
        write_manifest(&to, &manifest).context("the backup's list could not be written")
    };
    tokio::task::spawn_blocking(finish).await??;
    Ok(sequence)
}

/// Puts a backup into a data folder that has neither store nor keys. Answers the sequence of the last change in it.
///
/// # Errors
/// Where the backup is incomplete or damaged, there is data already, or anything cannot be read or written.
pub(crate) fn restore(from: &Path, data_dir: &Path, store_folder: &Path) -> Result<u64> {
    let text = fs::read(from.join(MANIFEST)).with_context(|| format!("{} is no backup", from.display()))?;
    let manifest: Manifest = serde_json::from_slice(&text).context("the backup's list is damaged")?;
    ensure!(manifest.format == FORMAT, "the backup's format is {}; this version knows {FORMAT}", manifest.format);
    let found = files(from)?;
    for (path, entry) in &manifest.files {
        match found.get(path) {
            None => bail!("the backup is incomplete: {} is missing", path.display()),
            Some(found) => ensure!(found == entry, "the backup is damaged: {} is not what was written", path.display()),
        }
    }
    let keys = data_dir.join(KEYS);
    for target in [store_folder, &keys] {
        ensure!(!target.exists(), "{} exists already: a backup is put where there is no data", target.display());
    }
    fs::create_dir_all(data_dir)?;
    if let Some(parent) = store_folder.parent() {
        fs::create_dir_all(parent)?;
    }
    copy(&from.join(KEYS), &keys).context("the keys could not be copied")?;
    copy(&from.join(STORE), store_folder).context("the store could not be copied")?;
    Ok(manifest.sequence)
}

/// Copies a folder, modes and all, and puts the copy on disk.
fn copy(from: &Path, to: &Path) -> io::Result<()> {
    DirBuilder::new().mode(0o700).create(to)?;
    for entry in fs::read_dir(from)? {
        let entry = entry?;
        let target = to.join(entry.file_name());
        if entry.file_type()?.is_dir() {
            copy(&entry.path(), &target)?;
        } else {
            fs::copy(entry.path(), &target)?;
            File::open(&target)?.sync_all()?;
        }
    }
    File::open(to)?.sync_all()
}

/// Every file of a backup but its list.
fn files(folder: &Path) -> Result<BTreeMap<PathBuf, Entry>> {
    let mut files = BTreeMap::new();
    let mut folders = vec![PathBuf::new()];
    while let Some(inner) = folders.pop() {
        for entry in fs::read_dir(folder.join(&inner))? {
            let entry = entry?;
            let path = inner.join(entry.file_name());
            if entry.file_type()?.is_dir() {
                folders.push(path);
            } else if path != Path::new(MANIFEST) {
                files.insert(path, measure(&entry.path())?);
            }
        }
    }
    Ok(files)
}

fn measure(path: &Path) -> io::Result<Entry> {
    let (mut file, mut context) = (File::open(path)?, digest::Context::new(&digest::SHA256));
    let (mut block, mut bytes) = (vec![0; 64 * 1024], 0);
    loop {
        let read = file.read(&mut block)?;
        if read == 0 {
            return Ok(Entry { bytes, sha256: HEXLOWER.encode(context.finish().as_ref()) });
        }
        context.update(block.get(..read).unwrap_or_default());
        bytes += read as u64;
    }
}

fn write_manifest(folder: &Path, manifest: &Manifest) -> io::Result<()> {
    let mut file = File::options().write(true).create_new(true).mode(0o600).open(folder.join(MANIFEST))?;
    file.write_all(&serde_json::to_vec_pretty(manifest)?)?;
    file.sync_all()?;
    File::open(folder)?.sync_all()
}
