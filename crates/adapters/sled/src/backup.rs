//! Copying a store's folder while nobody writes to it.

use std::fs::{self, File};
use std::io;
use std::path::Path;

use crate::reserve;

/// What was copied.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BackedUp {
    /// The sequence of the last change in it.
    pub sequence: u64,
}

/// Copies a folder to one that is not there yet, and puts it on disk. The kernel shares or copies the blocks by itself.
pub(crate) fn copy(from: &Path, to: &Path) -> io::Result<()> {
    fs::create_dir(to)?;
    for entry in fs::read_dir(from)? {
        let entry = entry?;
        let name = entry.file_name();
        let target = to.join(&name);
        if entry.file_type()?.is_dir() {
            copy(&entry.path(), &target)?;
        } else if name != reserve::FILE {
            fs::copy(entry.path(), &target)?;
            File::open(&target)?.sync_all()?;
        }
    }
    File::open(to)?.sync_all()
}
