//! Room on the disk that is kept free for opening the database again when the disk is full: sled writes its table of pages
//! then, and may have to lengthen its file by a segment. It is a file beside the database, `reserve`.

use std::fs::{self, OpenOptions};
use std::io::{self, Write};
use std::path::Path;

pub(crate) const FILE: &str = "reserve";

/// What opening takes besides the table of pages, in bytes.
const ROOM: u64 = 1 << 20;

/// Takes the room, where it is not taken yet.
pub(crate) fn take(folder: &Path) -> io::Result<()> {
    let taken = fs::metadata(folder.join(FILE)).map_or(0, |file| file.len());
    if taken >= needed(folder)? {
        return Ok(());
    }
    let written = write(folder);
    if written.is_err() {
        // Half of it is of no use, and others may want it.
        let _ = fs::remove_file(folder.join(FILE));
    }
    written
}

/// Writes it over, which needs no room, to see whether the disk takes anything at all.
pub(crate) fn write(folder: &Path) -> io::Result<()> {
    let blocks = needed(folder)?.div_ceil(BLOCK.len() as u64);
    let mut file = OpenOptions::new().write(true).create(true).truncate(false).open(folder.join(FILE))?;
    for _ in 0..blocks {
        file.write_all(&BLOCK)?;
    }
    file.sync_all()
}

/// Gives the room to whoever comes first.
pub(crate) fn give_up(folder: &Path) -> io::Result<()> {
    match fs::remove_file(folder.join(FILE)) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

/// Not zeroes: some file systems give those no room.
static BLOCK: [u8; 64 * 1024] = [b'r'; 64 * 1024];

fn needed(folder: &Path) -> io::Result<u64> {
    let mut bytes = ROOM;
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        if entry.file_name().to_string_lossy().starts_with("snap.") {
            bytes += 2 * entry.metadata()?.len();
        }
    }
    Ok(bytes)
}
