//! Reading the journal when the store is opened.

use std::fs;
use std::io;
use std::path::Path;

use super::{Header, Point, START, frame, path};
use crate::open::OpenError;
use crate::recent::Overlay;

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
    bytes: Vec<u8>,
}

impl Segment {
    fn read(folder: &Path, index: usize) -> Result<Self, OpenError> {
        let damaged = |what: &str| OpenError::Damaged(what.to_owned());
        let bytes = fs::read(path(folder, index)).map_err(|error| match error.kind() {
            io::ErrorKind::NotFound => damaged("its journal is missing"),
            _ => error.into(),
        })?;
        let header = Header::decode(&bytes).filter(|header| header.generation % 2 == index as u64);
        let header = header.ok_or_else(|| damaged("its journal's header cannot be read"))?;
        if (bytes.len() as u64) < header.length {
            return Err(damaged("its journal was cut short"));
        }
        Ok(Self { header, bytes })
    }

    /// Takes the groups after `reached` into `missing`, up to `end` where there is one. Answers the last one.
    fn follow(&self, reached: Point, end: Option<u64>, missing: &mut Overlay) -> Result<Point, OpenError> {
        let damaged = || OpenError::Damaged("a group in its journal cannot be read".to_owned());
        let start = usize::try_from(START).unwrap_or(usize::MAX);
        let mut rest = self.bytes.get(start..).unwrap_or_default();
        let mut last = self.header.base;
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
    let (even, odd) = (Segment::read(folder, 0)?, Segment::read(folder, 1)?);
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
