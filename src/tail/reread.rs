//! Rows of the session files, read again by their place for the text that the state does not hold.
//!
//! The client deletes and rewrites its files: a row that is not there any more is a reason ([`Missing`]), never an error.

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

/// Longest line that is read for its text, in bytes.
pub const LINE_BYTES_MAX: u32 = 8 << 20;

/// Opens a session file.
///
/// # Errors
///
/// Why it cannot be read.
pub fn open(path: &Path) -> Result<File, Missing> {
    // Looked at first: opening a pipe that took the file's name would wait for a writer.
    match fs::metadata(path) {
        Ok(metadata) if metadata.is_file() => File::open(path).map_err(|error| missing(&error)),
        Ok(_) => Err(Missing::Gone),
        Err(error) => Err(missing(&error)),
    }
}

/// Reads one line and makes sure that it is what was counted.
///
/// # Errors
///
/// Why it cannot be shown.
pub fn read(file: &File, place: LinePlace, expected: &Expected) -> Result<Value, Missing> {
    let (row, value) = find(file, place)?;
    if is_expected(&row, expected) { value.ok_or(Missing::TooLarge) } else { Err(Missing::Rewritten) }
}

/// The rows that were read last: one row may hold the calls of very many spans, another their results.
#[derive(Debug, Default)]
pub struct Latest {
    rows: VecDeque<(FileNumber, LinePlace, Box<Row>, Arc<Value>)>,
}

impl Latest {
    /// Rows that are kept.
    const ROWS_MAX: usize = 2;

    /// True if a row was read last.
    #[must_use]
    pub fn has(&self, number: FileNumber, place: LinePlace) -> bool {
        self.rows.iter().any(|(of, at, ..)| (*of, *at) == (number, place))
    }

    /// [`read`], but of a row that was read last. The file is then not looked at again.
    ///
    /// # Errors
    ///
    /// Why it cannot be shown.
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

/// Session files that are held open while their rows are read.
#[derive(Debug, Default)]
pub struct OpenFiles(HashMap<FileNumber, Result<File, Missing>>);

impl OpenFiles {
    /// Files that are held open.
    const FILES_MAX: usize = 64;

    /// Reads a row of a file, which is opened first if need be; `path` is where it is.
    ///
    /// # Errors
    ///
    /// Why it cannot be shown.
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

/// The row at a place, and the line as JSON unless it is nested too deep.
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

/// The line as JSON, with what the transcript's parser forgives: NULs in front, broken UTF-8, halves of surrogate pairs.
fn value_of(line: &[u8]) -> Option<Value> {
    let start = line.iter().position(|&byte| byte == b'{')?;
    let text = String::from_utf8_lossy(line.get(start..)?);
    serde_json::from_str(&text).ok().or_else(|| serde_json::from_str(&mend_surrogates(&text)?).ok())
}

fn missing(error: &io::Error) -> Missing {
    match error.kind() {
        io::ErrorKind::NotFound | io::ErrorKind::NotADirectory => Missing::Gone,
        // Shorter than when the row was counted.
        io::ErrorKind::UnexpectedEof => Missing::Rewritten,
        _ => Missing::Unreadable,
    }
}
