//! Reads rows of session files again by their place, for the text that the state does not hold.
//!
//! The client deletes and rewrites its files, so a missing row is normal: the reason is a [`Missing`].

use std::collections::{HashMap, VecDeque};
use std::fs::{self, File};
use std::io;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde_json::Value;

use crate::transcript::chunk::FileNumber;
use crate::transcript::expected::Expected;
pub use crate::transcript::expected::Missing;
use crate::transcript::parse::{Strings, mend_surrogates, parse};
use crate::transcript::record::{Fact, LinePlace, Row, RowBody, RowKind, Said};

/// Longest line that is read for its text, in bytes (8 MiB).
pub const LINE_BYTES_MAX: u32 = 8 << 20;

/// Opens a session file. Fails with the reason if it is gone, is not a regular file or cannot be opened.
pub fn open(path: &Path) -> Result<File, Missing> {
    // The kind of file is checked first: opening a pipe that took the file's name would wait for a writer.
    match fs::metadata(path) {
        Ok(metadata) if metadata.is_file() => File::open(path).map_err(|error| missing(&error)),
        Ok(_) => Err(Missing::Gone),
        Err(error) => Err(missing(&error)),
    }
}

/// Reads one line and checks that it is the row that was counted. Fails with the reason if its text cannot be shown.
pub fn read(file: &File, place: LinePlace, expected: &Expected) -> Result<Value, Missing> {
    let (row, value) = find(file, place)?;
    if is_expected(&row, expected) { value.ok_or(Missing::TooLarge) } else { Err(Missing::Rewritten) }
}

/// Keeps the two rows that were read last, because one row may hold the calls of very many spans, and another one their
/// results.
#[derive(Debug, Default)]
pub struct Latest {
    rows: VecDeque<(FileNumber, LinePlace, Box<Row>, Arc<Value>)>,
}

impl Latest {
    /// Number of rows that are kept.
    const ROWS_MAX: usize = 2;

    /// True if the row at this place is kept.
    #[must_use]
    pub fn has(&self, number: FileNumber, place: LinePlace) -> bool {
        self.rows.iter().any(|(of, at, ..)| (*of, *at) == (number, place))
    }

    /// [`read`]; a row that is kept is not read from the file again. Fails with the reason if its text cannot be shown.
    pub fn read(
        &mut self,
        number: FileNumber,
        file: &File,
        place: LinePlace,
        expected: &Expected,
    ) -> Result<Arc<Value>, Missing> {
        let known = self.rows.iter().find(|(of, at, ..)| (*of, *at) == (number, place));
        if let Some((.., row, value)) = known {
            return if is_expected(row, expected) { Ok(Arc::clone(value)) } else { Err(Missing::Rewritten) };
        }
        let (row, value) = find(file, place)?;
        if !is_expected(&row, expected) {
            return Err(Missing::Rewritten);
        }
        let value = Arc::new(value.ok_or(Missing::TooLarge)?);
        self.rows.truncate(Self::ROWS_MAX - 1);
        self.rows.push_front((number, place, row, Arc::clone(&value)));
        Ok(value)
    }
}

/// Session files that are kept open while their rows are read.
#[derive(Debug, Default)]
pub struct OpenFiles(HashMap<FileNumber, Result<File, Missing>>);

impl OpenFiles {
    /// Most files that are kept open; at this number all are closed.
    const FILES_MAX: usize = 64;

    /// Reads a row of a file. If the file is not open yet, it is opened at `path`. Fails with the reason if the text of
    /// the row cannot be shown.
    pub fn read(
        &mut self,
        latest: &mut Latest,
        (number, place): (FileNumber, LinePlace),
        expected: &Expected,
        path: impl FnOnce() -> Option<PathBuf>,
    ) -> Result<Arc<Value>, Missing> {
        if self.0.len() >= Self::FILES_MAX {
            self.0.clear();
        }
        let opened = || path().map_or(Err(Missing::Gone), |path| open(&path));
        match self.0.entry(number).or_insert_with(opened) {
            Ok(file) => latest.read(number, file, place, expected),
            Err(missing) => Err(*missing),
        }
    }
}

/// The row at a place, and the line as JSON; `None` if it is nested too deep.
fn find(file: &File, place: LinePlace) -> Result<(Box<Row>, Option<Value>), Missing> {
    if place.bytes > LINE_BYTES_MAX {
        return Err(Missing::TooLarge);
    }
    let mut line = vec![0; usize::try_from(place.bytes).unwrap_or(usize::MAX)];
    file.read_exact_at(&mut line, place.offset).map_err(|error| missing(&error))?;
    match parse(&line, &mut Strings::default()) {
        RowBody::Row(row) => Ok((row, value_of(&line))),
        _ => Err(Missing::Rewritten),
    }
}

fn is_expected(row: &Row, expected: &Expected) -> bool {
    match (expected, &row.kind) {
        (Expected::Prompt(uuid), RowKind::User(_)) => row.id == *uuid,
        (Expected::Message(id), RowKind::Assistant(said)) => said.message == *id,
        (Expected::Note(uuid), RowKind::Fact { what: Fact::Note(_), .. }) => row.id == *uuid,
        (Expected::Call(id), RowKind::Assistant(said)) => said.calls.iter().any(|call| call.id == *id),
        (Expected::Result(id), RowKind::User(user)) => match &user.said {
            Said::Results(results) => results.iter().any(|result| result.call == *id),
            _ => false,
        },
        _ => false,
    }
}

/// The line as JSON. Like the transcript's parser it accepts leading NUL bytes, broken UTF-8 and halves of surrogate
/// pairs.
fn value_of(line: &[u8]) -> Option<Value> {
    let start = line.iter().position(|&byte| byte == b'{')?;
    let text = String::from_utf8_lossy(line.get(start..)?);
    serde_json::from_str(&text).ok().or_else(|| serde_json::from_str(&mend_surrogates(&text)?).ok())
}

fn missing(error: &io::Error) -> Missing {
    match error.kind() {
        io::ErrorKind::NotFound | io::ErrorKind::NotADirectory => Missing::Gone,
        // The file is shorter than when the row was counted.
        io::ErrorKind::UnexpectedEof => Missing::Rewritten,
        _ => Missing::Unreadable,
    }
}
