//! Where a run keeps its stores: on the disk that is to be measured, gone when it is over.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use tempfile::TempDir;

/// A folder of this run.
#[derive(Debug)]
pub(crate) struct Folder(TempDir);

impl Folder {
    /// A new folder in `parent`, or beside the program, which stands in the workspace's own target folder.
    pub(crate) fn make(parent: Option<&Path>) -> Result<Self> {
        let parent = match parent {
            Some(parent) => parent.to_owned(),
            None => beside_the_program("bench-data")?,
        };
        std::fs::create_dir_all(&parent).with_context(|| format!("cannot make {}", parent.display()))?;
        let parent = parent.canonicalize()?;
        Ok(Self(tempfile::Builder::new().prefix("run-").tempdir_in(&parent).context("cannot make a folder")?))
    }

    pub(crate) fn path(&self) -> &Path {
        self.0.path()
    }
}

/// A file in the folder that this program is in.
pub(crate) fn beside_the_program(name: &str) -> Result<PathBuf> {
    let program = std::env::current_exe().context("where this program is cannot be told")?;
    Ok(program.parent().context("a program is in a folder")?.join(name))
}
