//! The journal: what was answered and is not in the database yet.
//!
//! A group of changes is one frame (`frame.rs`), written after the one before it and synchronised with the disk before it is
//! answered: one write and one `fdatasync` over a file that has its length already. The database gets the groups later, many
//! at once (`settler.rs`). There are two segments, the files `journal.0` and `journal.1`, which take turns: while one is
//! written, the database gets what stands in the other, and synchronises it. A segment begins with its header, in 4096
//! bytes; all integers are big-endian:
//!
//! | offset | bytes | what |
//! | --- | --- | --- |
//! | 0 | 8 | `mbjourn1` |
//! | 8 | 8 | its length in bytes, to see where it was cut |
//! | 16 | 8 | its generation: one more than that of the segment before it |
//! | 24 | 8 | the sequence before its first group |
//! | 32 | 8 | the digest at that point |
//! | 40 | 1 | 1 where the store was closed in order at that point, else 0 |
//! | 41 | 4 | CRC-32 of the bytes before |
//!
//! Groups in the older segment count up to the sequence that the newer one begins with: what stands after it failed, and was
//! not answered. Where a frame cannot be read and whole ones stand after it, the file is damaged; where none does, it was not
//! written to its end, and so not answered either. To tell a last frame that was answered from one that was not, a mark is
//! written after it when nothing follows for a moment.

mod frame;
mod replay;

use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use rustix::fs::{CWD, RenameFlags, renameat_with};
use rustix::io::Errno;

use crate::digest::Digest;
pub(crate) use crate::journal::replay::{Replay, replay, salvage};
use crate::recent::Overlay;

const MAGIC: [u8; 8] = *b"mbjourn1";
const HEADER: usize = 45;
/// Where the first frame stands.
const START: u64 = 4096;
/// The files, of which the generation's last bit tells which.
pub(crate) const FILES: [&str; 2] = ["journal.0", "journal.1"];

/// Makes the disk keep what was written to the journal.
pub(crate) type DiskSync = Box<dyn FnMut(&File) -> io::Result<()> + Send>;

/// A point in the order of all changes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Point {
    /// The sequence of the last change.
    pub(crate) sequence: u64,
    /// The digest of everything that is stored then.
    pub(crate) digest: Digest,
}

/// What a segment's header says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Header {
    length: u64,
    generation: u64,
    base: Point,
    closed: bool,
}

impl Header {
    fn encode(self) -> [u8; HEADER] {
        let mut bytes = [0; HEADER];
        bytes[..8].copy_from_slice(&MAGIC);
        let numbers = [self.length, self.generation, self.base.sequence, self.base.digest.0];
        for (place, number) in bytes[8..40].chunks_exact_mut(8).zip(numbers) {
            place.copy_from_slice(&number.to_be_bytes());
        }
        bytes[40] = u8::from(self.closed);
        let sum = crc32fast::hash(&bytes[..41]);
        bytes[41..].copy_from_slice(&sum.to_be_bytes());
        bytes
    }

    fn decode(bytes: &[u8]) -> Option<Self> {
        let bytes = bytes.first_chunk::<HEADER>()?;
        let number = |at: usize| bytes.get(at..at + 8)?.try_into().ok().map(u64::from_be_bytes);
        let base = Point { sequence: number(24)?, digest: Digest(number(32)?) };
        let header = Self { length: number(8)?, generation: number(16)?, base, closed: bytes[40] == 1 };
        // Encoding it again checks the rest.
        (header.encode() == *bytes).then_some(header)
    }
}

/// The journal, open for writing.
pub(crate) struct Journal {
    files: [File; 2],
    length: u64,
    generation: u64,
    /// Where the next frame goes.
    end: u64,
    /// The last change that is on disk.
    last: Point,
    /// Whether a mark or nothing stands after the last group.
    marked: bool,
    frame: Vec<u8>,
    sync: DiskSync,
}

impl Journal {
    /// Begins at a point at which the database has everything, in a generation after those that were there.
    ///
    /// # Errors
    /// Where the files cannot be made, or not be written.
    pub(crate) fn begin(
        folder: &Path,
        length: u64,
        before: u64,
        last: Point,
        closed: bool,
        sync: DiskSync,
    ) -> io::Result<Self> {
        let length = length.max(2 * START);
        // In the older file, and not as the very next: a power cut may have kept a group of that one without its header.
        let generation = before + 3;
        let files = [open(&path(folder, 0), length)?, open(&path(folder, 1), length)?];
        let journal = Self { files, length, generation, end: START, last, marked: true, frame: Vec::new(), sync };
        journal.write_header(generation, length, closed)?;
        journal.file().sync_all()?;
        Ok(journal)
    }

    fn file(&self) -> &File {
        of(&self.files, self.generation)
    }

    /// The last change that is on disk.
    pub(crate) fn last(&self) -> Point {
        self.last
    }

    /// Whether anything was written to this segment.
    pub(crate) fn is_empty(&self) -> bool {
        self.end == START
    }

    /// How full this segment is, in thousandths.
    pub(crate) fn filled(&self) -> usize {
        usize::try_from(self.end.saturating_mul(1000) / self.length.max(1)).unwrap_or(1000)
    }

    /// Whether a group of so many bytes has room in this segment; one that is empty takes anything.
    pub(crate) fn has_room(&self, bytes: usize) -> bool {
        self.is_empty() || self.end + (frame::HEADER + bytes) as u64 <= self.length
    }

    /// Puts a group on disk.
    ///
    /// # Errors
    /// Where it may not be there: the segment must be left then.
    pub(crate) fn append(&mut self, after: Point, entries: &Overlay) -> io::Result<()> {
        let before = self.last.sequence;
        let encoded = frame::encode(&mut self.frame, self.generation, before, after, entries);
        encoded.map_err(|_| io::Error::new(io::ErrorKind::InvalidInput, "a group is too large for the journal"))?;
        self.write_frame()?;
        self.last = after;
        self.marked = false;
        Ok(())
    }

    /// Whether the last group needs a mark.
    pub(crate) fn wants_mark(&self) -> bool {
        !self.marked && self.has_room(0)
    }

    /// Says that the last group was answered.
    ///
    /// # Errors
    /// As [`Self::append`].
    pub(crate) fn mark(&mut self) -> io::Result<()> {
        let last = self.last;
        self.append(last, &Overlay::default())?;
        self.marked = true;
        Ok(())
    }

    fn write_frame(&mut self) -> io::Result<()> {
        let end = self.end + self.frame.len() as u64;
        if end > self.length {
            // A group of its own segment, with room made for it first: a file shorter than its header says was cut.
            self.file().set_len(end)?;
            self.file().sync_all()?;
            self.write_header(self.generation, end, false)?;
        }
        self.file().write_all_at(&self.frame, self.end)?;
        (self.sync)(of(&self.files, self.generation))?;
        self.end = end;
        // One large group must not be paid for ever after.
        self.frame.shrink_to(1 << 20);
        Ok(())
    }

    /// Goes on in the other segment, whose groups the database must have. Its header reaches the disk with its first frame.
    ///
    /// # Errors
    /// Where it cannot be written: nothing has changed then.
    pub(crate) fn turn(&mut self, closed: bool) -> io::Result<()> {
        let generation = self.generation + 1;
        self.write_header(generation, self.length, closed)?;
        self.generation = generation;
        self.end = START;
        self.marked = true;
        Ok(())
    }

    /// Puts the header on disk at once.
    ///
    /// # Errors
    /// Where it may not be there.
    pub(crate) fn sync(&mut self) -> io::Result<()> {
        (self.sync)(of(&self.files, self.generation))
    }

    fn write_header(&self, generation: u64, length: u64, closed: bool) -> io::Result<()> {
        let header = Header { length, generation, base: self.last, closed };
        of(&self.files, generation).write_all_at(&header.encode(), 0)
    }
}

/// The file of a generation.
fn of(files: &[File; 2], generation: u64) -> &File {
    let [even, odd] = files;
    if generation.is_multiple_of(2) { even } else { odd }
}

fn path(folder: &Path, index: usize) -> PathBuf {
    folder.join(FILES[index % 2])
}

/// Makes the two files, empty, at the point where nothing has been written.
///
/// # Errors
/// Where they cannot be made.
pub(crate) fn create(folder: &Path, length: u64) -> io::Result<()> {
    let length = length.max(2 * START);
    for generation in [0, 1] {
        let header = Header { length, generation, base: Point::default(), closed: true };
        let path = path(folder, usize::from(generation == 1));
        // A file has its header and its length, or is not there: what has neither was damaged.
        let new = path.with_extension(format!("{}.new", std::process::id()));
        let file = File::create(&new)?;
        lengthen(&file, length)?;
        file.write_all_at(&header.encode(), 0)?;
        file.sync_all()?;
        match renameat_with(CWD, &new, CWD, &path, RenameFlags::NOREPLACE) {
            // Another process was faster; who may go on is decided by the database's lock.
            Err(Errno::EXIST) => fs::remove_file(&new)?,
            renamed => renamed?,
        }
    }
    Ok(())
}

/// Opens a segment's file, and gives it its length on disk, so that a group that is written into it changes nothing but its
/// bytes.
fn open(path: &Path, length: u64) -> io::Result<File> {
    let file = OpenOptions::new().read(true).write(true).open(path)?;
    if lengthen(&file, length)? {
        file.sync_all()?;
    }
    Ok(file)
}

/// Writes zeroes after what is there; whether there was need to.
fn lengthen(file: &File, length: u64) -> io::Result<bool> {
    let there = file.metadata()?.len();
    let mut end = there;
    while end < length {
        let block = &ZEROES[..usize::try_from(length - end).map_or(ZEROES.len(), |missing| missing.min(ZEROES.len()))];
        file.write_all_at(block, end)?;
        end += block.len() as u64;
    }
    Ok(end > there)
}

static ZEROES: [u8; 64 * 1024] = [0; 64 * 1024];

/// Whether a folder has a journal.
pub(crate) fn exists(folder: &Path) -> bool {
    FILES.iter().any(|file| fs::metadata(folder.join(file)).is_ok())
}

/// Removes a folder's journal.
///
/// # Errors
/// Where it cannot be removed.
pub(crate) fn remove(folder: &Path) -> io::Result<()> {
    for file in FILES {
        match fs::remove_file(folder.join(file)) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
    }
    Ok(())
}
