//! A note beside the database of the last group that was answered.
//!
//! sled takes a file that was cut short for one that a crash left so, and goes on with what is there. The note tells: a
//! store that ends before its last answer is refused. It is the file `groups` with two records, at 0 and 4096, which are
//! written in turn, so that one torn while it is written leaves the other; the one with the larger count is in force. All
//! integers are big-endian:
//!
//! | offset | bytes | what |
//! | --- | --- | --- |
//! | 0 | 8 | `mbgroup1` |
//! | 8 | 8 | how many records were written before this one |
//! | 16 | 8 | the sequence of the last change of the group |
//! | 24 | 8 | the store's digest after it |
//! | 32 | 1 | 1 where the store was closed in order and nothing has been written since, else 0 |
//! | 33 | 8 | FNV-1a of the bytes before |
//!
//! A record is written after the database has been synchronised and before the group is answered: it is never ahead of the
//! store, and survives the process. It is synchronised with the disk by a thread of its own, at once and then at most
//! every [`REST`], because a second synchronisation in the way of each answer would cost nearly as much again as the
//! first. So for that long the last answers rest on the database's own synchronisation alone.

use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use crate::digest::{Digest, fnv};

/// How long the note's own synchronisation rests after each.
const REST: Duration = Duration::from_millis(100);

pub(crate) const FILE: &str = "groups";
const MAGIC: [u8; 8] = *b"mbgroup1";
const SLOT: u64 = 4096;
const RECORD: usize = 41;

/// What the note says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Noted {
    pub(crate) sequence: u64,
    pub(crate) digest: Digest,
    /// Whether the store was closed in order since.
    pub(crate) closed: bool,
}

/// The note's file, open for writing.
pub(crate) struct Note {
    file: Arc<File>,
    count: u64,
    keeper: Arc<Keeper>,
    thread: Option<JoinHandle<()>>,
}

/// What the note's thread is told.
#[derive(Default)]
struct Keeper {
    state: Mutex<Keeping>,
    changed: Condvar,
}

#[derive(Default)]
struct Keeping {
    written: bool,
    waiting: bool,
    ended: bool,
    failed: Option<io::Error>,
}

/// What a folder's note says: `None` where there is none.
///
/// # Errors
/// Where it cannot be read; [`io::ErrorKind::InvalidData`] where neither record is whole.
pub(crate) fn read(folder: &Path) -> io::Result<Option<Noted>> {
    match File::open(folder.join(FILE)) {
        Ok(file) => latest(&file).map(|(_, noted)| Some(noted)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

fn latest(file: &File) -> io::Result<(u64, Noted)> {
    let mut slots = Vec::new();
    for slot in [0, SLOT] {
        let mut record = [0; RECORD];
        match file.read_exact_at(&mut record, slot) {
            Ok(()) => slots.extend(decode(&record)),
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => {}
            Err(error) => return Err(error),
        }
    }
    let latest = slots.into_iter().max_by_key(|(count, _)| *count);
    latest.ok_or_else(|| io::Error::new(io::ErrorKind::InvalidData, "the note of the last answer is damaged"))
}

fn encode(count: u64, noted: Noted) -> [u8; RECORD] {
    let mut record = [0; RECORD];
    record[..8].copy_from_slice(&MAGIC);
    record[8..16].copy_from_slice(&count.to_be_bytes());
    record[16..24].copy_from_slice(&noted.sequence.to_be_bytes());
    record[24..32].copy_from_slice(&noted.digest.0.to_be_bytes());
    record[32] = u8::from(noted.closed);
    let sum = fnv([&record[..33]]);
    record[33..].copy_from_slice(&sum.to_be_bytes());
    record
}

fn decode(record: &[u8; RECORD]) -> Option<(u64, Noted)> {
    let number = |at: usize| record.get(at..at + 8)?.try_into().ok().map(u64::from_be_bytes);
    let noted = Noted { sequence: number(16)?, digest: Digest(number(24)?), closed: record[32] == 1 };
    let count = number(8)?;
    // Encoding it again checks the rest.
    (encode(count, noted) == *record).then_some((count, noted))
}

impl Note {
    /// Opens a folder's note, or makes one; it says `noted` from now on, on disk.
    pub(crate) fn open(folder: &Path, noted: Noted) -> io::Result<Self> {
        let path = folder.join(FILE);
        let file = OpenOptions::new().read(true).write(true).create(true).truncate(false).open(path)?;
        let count = latest(&file).map_or(0, |(count, _)| count);
        let mut note = Self { file: Arc::new(file), count, keeper: Arc::default(), thread: None };
        // Both, so that both have their place on a disk that fills up.
        note.write(noted)?;
        note.write(noted)?;
        note.file.sync_all()?;
        let (file, keeper) = (Arc::clone(&note.file), Arc::clone(&note.keeper));
        let keep = move || keeper.keep(&file);
        note.thread = Some(std::thread::Builder::new().name("mobile-bind-note".to_owned()).spawn(keep)?);
        Ok(note)
    }

    /// Says so from now on; it is on disk a moment later.
    ///
    /// # Errors
    /// Where it cannot be written, or was not synchronised last time.
    pub(crate) fn write(&mut self, noted: Noted) -> io::Result<()> {
        self.count += 1;
        self.file.write_all_at(&encode(self.count, noted), self.count % 2 * SLOT)?;
        self.keeper.written()
    }

    /// Puts on disk what it says.
    pub(crate) fn sync(&self) -> io::Result<()> {
        self.file.sync_data()
    }
}

impl Drop for Note {
    fn drop(&mut self) {
        self.keeper.lock().ended = true;
        self.keeper.changed.notify_all();
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

impl Keeper {
    fn lock(&self) -> MutexGuard<'_, Keeping> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn written(&self) -> io::Result<()> {
        let mut state = self.lock();
        state.written = true;
        if state.waiting {
            self.changed.notify_all();
        }
        state.failed.take().map_or(Ok(()), Err)
    }

    fn keep(&self, file: &File) {
        let mut state = self.lock();
        loop {
            state.waiting = true;
            let waited = self.changed.wait_while(state, |state| !state.written && !state.ended);
            state = waited.unwrap_or_else(PoisonError::into_inner);
            state.waiting = false;
            if state.ended {
                return;
            }
            state.written = false;
            drop(state);
            let failed = file.sync_data().err();
            state = self.lock();
            state.failed = failed.or(state.failed.take());
            let rested = self.changed.wait_timeout_while(state, REST, |state| !state.ended);
            state = rested.unwrap_or_else(PoisonError::into_inner).0;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn noted(sequence: u64) -> Noted {
        Noted { sequence, digest: Digest(sequence * 3), closed: false }
    }

    #[test]
    fn the_last_record_is_in_force() {
        let folder = tempfile::tempdir().unwrap();
        assert_eq!(read(folder.path()).unwrap(), None);
        let mut note = Note::open(folder.path(), noted(1)).unwrap();
        for sequence in 2..6 {
            note.write(noted(sequence)).unwrap();
            assert_eq!(read(folder.path()).unwrap(), Some(noted(sequence)));
        }
        drop(note);
        let note = Note::open(folder.path(), noted(3)).unwrap();
        assert_eq!(read(folder.path()).unwrap(), Some(noted(3)), "what was said last counts, not what is largest");
        note.sync().unwrap();
    }

    #[test]
    fn one_torn_record_leaves_the_other_and_two_are_damage() {
        for byte in 0..RECORD as u64 {
            let folder = tempfile::tempdir().unwrap();
            let mut note = Note::open(folder.path(), noted(1)).unwrap();
            note.write(noted(2)).unwrap();
            let damage = |slot: u64| {
                let mut old = [0];
                note.file.read_exact_at(&mut old, slot + byte).unwrap();
                note.file.write_all_at(&[old[0] ^ 0x10], slot + byte).unwrap();
            };
            damage(note.count % 2 * SLOT);
            assert_eq!(read(folder.path()).unwrap(), Some(noted(1)));
            damage((note.count + 1) % 2 * SLOT);
            assert_eq!(read(folder.path()).unwrap_err().kind(), io::ErrorKind::InvalidData);
        }
    }
}
