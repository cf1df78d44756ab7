//! Reading the journal when the store is opened.

use std::fs::{self, File};
use std::io::{self, Read, Seek, SeekFrom};
use std::os::unix::fs::FileExt;
use std::path::Path;

use super::{Header, Point, START, frame, path};
use crate::open::OpenError;
use crate::recent::Overlay;

/// How much is looked at at once, in bytes.
const PIECE: usize = 64 << 10;

/// What the journal says.
#[derive(Debug)]
pub(crate) struct Replay {
    /// What is in it and not in the database: the last state of each entry.
    pub(crate) missing: Overlay,
    /// The last change that was answered.
    pub(crate) last: Point,
    /// The newest generation.
    pub(crate) generation: u64,
    /// Whether the store was closed in order and nothing has been written since.
    pub(crate) closed: bool,
}

/// A segment as it is read.
struct Segment {
    header: Header,
    file: File,
}

impl Segment {
    fn open(folder: &Path, index: usize) -> Result<Self, OpenError> {
        let damaged = |what: &str| OpenError::Damaged(what.to_owned());
        let file = File::open(path(folder, index)).map_err(|error| match error.kind() {
            io::ErrorKind::NotFound => damaged("its journal is missing"),
            _ => error.into(),
        })?;
        let mut bytes = Vec::new();
        (&file).take(START).read_to_end(&mut bytes)?;
        let header = Header::decode(&bytes).filter(|header| header.generation % 2 == index as u64);
        let header = header.ok_or_else(|| damaged("its journal's header cannot be read"))?;
        if file.metadata()?.len() < header.length {
            return Err(damaged("its journal was cut short"));
        }
        Ok(Self { header, file })
    }

    /// What stands after the header.
    fn frames(&self) -> io::Result<Vec<u8>> {
        let mut bytes = Vec::new();
        let mut file = &self.file;
        file.seek(SeekFrom::Start(START))?;
        file.read_to_end(&mut bytes)?;
        Ok(bytes)
    }

    /// Whether any frame of its generation may stand in it. All of it at once is only read where there is: the allocator
    /// would keep the memory.
    fn has_frames(&self) -> io::Result<bool> {
        let mark = frame::mark(self.header.generation);
        let mut bytes = vec![0; PIECE];
        let mut at = START;
        loop {
            let read = self.file.read_at(&mut bytes, at)?;
            if bytes.get(..read).is_some_and(|bytes| bytes.windows(mark.len()).any(|window| *window == mark)) {
                return Ok(true);
            }
            if read < mark.len() {
                return Ok(false);
            }
            // One may stand across the end.
            at += (read - (mark.len() - 1)) as u64;
        }
    }

    /// Takes the groups after `reached` into `missing`, up to `end` where there is one. Answers the last one.
    fn follow(&self, reached: Point, end: Option<u64>, missing: &mut Overlay) -> Result<Point, OpenError> {
        let damaged = || OpenError::Damaged("a group in its journal cannot be read".to_owned());
        let mut last = self.header.base;
        if end.is_none() && !self.has_frames()? {
            return Ok(last);
        }
        let bytes = self.frames()?;
        let mut rest = &bytes[..];
        while let Some((frame, length)) = frame::decode(rest, self.header.generation) {
            let out_of_order = frame.before != last.sequence || frame.after.sequence < frame.before;
            if end.is_some_and(|end| frame.after.sequence > end) || out_of_order {
                break;
            }
            last = frame.after;
            if last.sequence > reached.sequence {
                for entry in frame.entries() {
                    let (key, value) = entry.ok_or_else(damaged)?;
                    missing.insert(key, value);
                }
            }
            rest = rest.get(length..).unwrap_or_default();
        }
        match end {
            Some(end) if last.sequence != end => Err(damaged()),
            None if frame::all(rest, self.header.generation).next().is_some() => Err(damaged()),
            _ => Ok(last),
        }
    }
}

/// Reads the journal of a folder whose database has reached a point.
///
/// # Errors
/// Where the journal is missing or damaged, or lacks what lies between the database and itself.
pub(crate) fn replay(folder: &Path, reached: Point) -> Result<Replay, OpenError> {
    let (even, odd) = (Segment::open(folder, 0)?, Segment::open(folder, 1)?);
    let (older, newest) = if even.header.generation < odd.header.generation { (even, odd) } else { (odd, even) };
    let generation = newest.header.generation;
    let mut missing = Overlay::default();
    let base = newest.header.base;
    if reached.sequence < base.sequence {
        if older.header.generation + 1 != generation || reached.sequence < older.header.base.sequence {
            return Err(OpenError::Older { found: reached.sequence, answered: base.sequence });
        }
        older.follow(reached, Some(base.sequence), &mut missing)?;
    }
    let last = newest.follow(reached, None, &mut missing)?;
    if last.sequence < reached.sequence {
        return Err(OpenError::Damaged("its journal is older than its database".to_owned()));
    }
    let closed = newest.header.closed && last == base && reached == base;
    Ok(Replay { missing, last, generation, closed })
}

/// What can be read of a journal that is damaged, or does not follow on its database: all whole groups after the point that
/// the database has reached, wherever they stand, and the last sequence that is spoken of.
///
/// # Errors
/// Where a file cannot be read at all.
pub(crate) fn salvage(folder: &Path, reached: Point) -> Result<Replay, OpenError> {
    let mut segments = Vec::new();
    let mut salvaged = Replay { missing: Overlay::default(), last: reached, generation: 0, closed: false };
    for index in 0..2 {
        let bytes = match fs::read(path(folder, index)) {
            Ok(bytes) => bytes,
            Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
            Err(error) => return Err(error.into()),
        };
        if let Some(header) = Header::decode(&bytes) {
            salvaged.generation = salvaged.generation.max(header.generation);
            salvaged.last.sequence = salvaged.last.sequence.max(header.base.sequence);
            segments.push((header, bytes));
        }
    }
    segments.sort_by_key(|(header, _)| header.generation);
    for (header, bytes) in &segments {
        for frame in frame::all(bytes, header.generation) {
            salvaged.last.sequence = salvaged.last.sequence.max(frame.after.sequence);
            if frame.after.sequence > reached.sequence {
                salvaged.missing.extend(frame.entries().flatten());
            }
        }
    }
    Ok(salvaged)
}
