//! Reads rows of session files again by their place, for the text that the state does not hold.
//!
//! The client deletes and rewrites its files, so a missing row is normal: the reason is a [`Missing`].

use std::collections::VecDeque;
use std::fs::{self, File, Metadata};
use std::io;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::sync::Arc;

use serde_json::Value;

use super::frames::Frames;
use crate::transcript::chunk::FileNumber;
use crate::transcript::expected::Expected;
pub use crate::transcript::expected::Missing;
use crate::transcript::parse::{Strings, mend_surrogates, parse};
use crate::transcript::record::{Fact, LinePlace, Row, RowBody, RowKind, Said};

/// Longest line that is read for its text, in bytes (8 MiB).
pub const LINE_BYTES_MAX: u32 = 8 << 20;

/// A session file, or a copy of one, that is open for reading at any place.
#[derive(Debug)]
pub enum Source {
    File(File),
    Copy(Box<Frames>),
}

impl Source {
    /// Reads some bytes from `offset` on, at least one unless it ends there, and returns how many. Fails if they cannot
    /// be read.
    pub fn read_at(&self, into: &mut [u8], offset: u64) -> io::Result<usize> {
        match self {
            Self::File(file) => file.read_at(into, offset),
            Self::Copy(copy) => copy.read_at(into, offset),
        }
    }

    /// Reads as many bytes as there is room for. Fails if they cannot be read, or if it ends before.
    pub fn read_exact_at(&self, mut into: &mut [u8], mut offset: u64) -> io::Result<()> {
        if let Self::File(file) = self {
            return file.read_exact_at(into, offset);
        }
        while !into.is_empty() {
            let read = self.read_at(into, offset)?;
            if read == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
            into = into.get_mut(read..).unwrap_or_default();
            offset += read as u64;
        }
        Ok(())
    }

    /// What the system tells of the file, or of the file that holds the copy. Fails if it does not.
    pub fn metadata(&self) -> io::Result<Metadata> {
        match self {
            Self::File(file) => file.metadata(),
            Self::Copy(copy) => copy.metadata(),
        }
    }
}

/// Opens a session file. Fails with the reason if it is gone, is not a regular file or cannot be opened.
pub fn open(path: &Path) -> Result<Source, Missing> {
    // The kind of file is checked first: opening a pipe that took the file's name would wait for a writer.
    match fs::metadata(path) {
        Ok(metadata) if metadata.is_file() => File::open(path).map(Source::File).map_err(|error| missing(&error)),
        Ok(_) => Err(Missing::Gone),
        Err(error) => Err(missing(&error)),
    }
}

/// Reads one line and checks that it is the row that was counted. Fails with the reason if its text cannot be shown.
pub fn read(file: &Source, place: LinePlace, expected: &Expected) -> Result<Value, Missing> {
    let (row, value) = find(file, place, expected)?;
    if is_expected(&row, expected) { value.ok_or(Missing::TooLarge) } else { Err(differs(expected)) }
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

    /// [`read`]; a row that is kept is not read again. Fails with the reason if its text cannot be shown.
    pub fn read(
        &mut self,
        number: FileNumber,
        file: &Source,
        place: LinePlace,
        expected: &Expected,
    ) -> Result<Arc<Value>, Missing> {
        // A file and its copies may have different rows at one place.
        let mut known = self.rows.iter().filter(|(of, at, ..)| (*of, *at) == (number, place));
        if let Some((.., value)) = known.find(|(.., row, _)| is_expected(row, expected)) {
            return Ok(Arc::clone(value));
        }
        let (row, value) = find(file, place, expected)?;
        if !is_expected(&row, expected) {
            return Err(differs(expected));
        }
        let value = Arc::new(value.ok_or(Missing::TooLarge)?);
        self.rows.truncate(Self::ROWS_MAX - 1);
        self.rows.push_front((number, place, row, Arc::clone(&value)));
        Ok(value)
    }
}

/// The row at a place, and the line as JSON; `None` if it is nested too deep.
fn find(file: &Source, place: LinePlace, expected: &Expected) -> Result<(Box<Row>, Option<Value>), Missing> {
    if place.bytes > LINE_BYTES_MAX {
        return Err(Missing::TooLarge);
    }
    let mut line = vec![0; usize::try_from(place.bytes).unwrap_or(usize::MAX)];
    file.read_exact_at(&mut line, place.offset).map_err(|error| missing(&error))?;
    match parse(&line, &mut Strings::default()) {
        RowBody::Row(row) => Ok((row, value_of(&line))),
        _ => Err(differs(expected)),
    }
}

/// Why something else stands at a place. What a stream told is not rewritten, but few streams repeat prompts.
const fn differs(expected: &Expected) -> Missing {
    if matches!(expected, Expected::StreamPrompt) { Missing::Untold } else { Missing::Rewritten }
}

fn is_expected(row: &Row, expected: &Expected) -> bool {
    match (expected, &row.kind) {
        (Expected::Prompt(uuid), RowKind::User(_)) => row.id == *uuid,
        (Expected::StreamPrompt, RowKind::User(_)) => true,
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
