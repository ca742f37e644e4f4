//! The text of events, read from the session files when it is asked for.
//!
//! ```text
//! row     found by file, offset and length; parsed; must be the row that was counted, or it is not shown
//! line    up to 8 MiB are read
//! text    up to 64 KiB of each piece, 1 MiB of an event, 4 MiB of a page; 64 MiB are read for a page
//! ```
//!
//! The client deletes and rewrites its files: text that is not there any more is a reason, never an error.

use std::collections::HashMap;
use std::ffi::OsString;
use std::fs::{self, File};
use std::io;
use std::os::unix::ffi::OsStringExt;
use std::os::unix::fs::FileExt;
use std::path::PathBuf;

use serde::Serialize;
use serde_json::Value;

use super::content_pieces::{Piece, pieces};
use crate::store::{Reader, StoreError};
use crate::transcript::chunk::FileNumber;
use crate::transcript::parse::mend_surrogates;
use crate::transcript::parse::{Strings, parse};
use crate::transcript::record::{Body, Kind, Row, Said};
use crate::views::replay::{Expected, Source};

/// Longest line that is read for its text.
const LINE_BYTES_MAX: u32 = 8 << 20;

/// Bytes read from files for one page.
const PAGE_READ_BYTES_MAX: u64 = 64 << 20;

/// Bytes of text in one page.
const PAGE_TEXT_BYTES_MAX: usize = 4 << 20;

/// What an event says.
#[derive(Debug, Clone, Default, Serialize)]
pub(super) struct Content {
    /// Empty for events without text; `None` if it cannot be shown.
    content: Option<Vec<Piece>>,
    /// Why not.
    #[serde(skip_serializing_if = "Option::is_none")]
    content_unavailable: Option<&'static str>,
}

/// Why the text of an event cannot be shown.
#[derive(Debug, Clone, Copy)]
enum Missing {
    Gone,
    Rewritten,
    Unreadable,
    TooLarge,
    PageFull,
}

impl Missing {
    const fn reason(self) -> &'static str {
        match self {
            Self::Gone => "file is gone",
            Self::Rewritten => "file was rewritten",
            Self::Unreadable => "file cannot be read",
            Self::TooLarge => "too large",
            Self::PageFull => "page is full",
        }
    }

    fn of(error: &io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::NotFound | io::ErrorKind::NotADirectory => Self::Gone,
            // Shorter than when the row was counted.
            io::ErrorKind::UnexpectedEof => Self::Rewritten,
            _ => Self::Unreadable,
        }
    }
}

/// Reads the texts of one page, each file opened once.
pub(super) struct Page<'a> {
    reader: &'a Reader,
    files: HashMap<FileNumber, Result<File, Missing>>,
    read_bytes_left: u64,
    text_bytes_left: usize,
    full: bool,
}

impl<'a> Page<'a> {
    pub(super) fn new(reader: &'a Reader) -> Self {
        let (read_bytes_left, text_bytes_left) = (PAGE_READ_BYTES_MAX, PAGE_TEXT_BYTES_MAX);
        Self { reader, files: HashMap::new(), read_bytes_left, text_bytes_left, full: false }
    }

    /// The text of the next event.
    pub(super) fn content(&mut self, source: Option<&Source>) -> Result<Content, StoreError> {
        let Some(source) = source else { return Ok(Content { content: Some(Vec::new()), content_unavailable: None }) };
        Ok(match self.pieces(source)? {
            Ok(pieces) => Content { content: Some(pieces), content_unavailable: None },
            Err(missing) => {
                // Once full, nothing more is shown: the next page goes on where this one stopped, without holes.
                self.full |= matches!(missing, Missing::PageFull);
                Content { content: None, content_unavailable: Some(missing.reason()) }
            }
        })
    }

    fn pieces(&mut self, source: &Source) -> Result<Result<Vec<Piece>, Missing>, StoreError> {
        if self.full {
            return Ok(Err(Missing::PageFull));
        }
        let lengths = source.rows.iter().map(|row| row.place.bytes);
        let sum: u64 = lengths.clone().map(u64::from).sum();
        if lengths.max().is_some_and(|bytes| bytes > LINE_BYTES_MAX) || sum > PAGE_READ_BYTES_MAX {
            return Ok(Err(Missing::TooLarge));
        }
        let Some(left) = self.read_bytes_left.checked_sub(sum) else {
            return Ok(Err(Missing::PageFull));
        };
        self.read_bytes_left = left;
        let mut rows = Vec::with_capacity(source.rows.len());
        for place in &source.rows {
            let (offset, bytes) = (place.place.offset, place.place.bytes);
            let file = match self.file(place.file)? {
                Ok(file) => file,
                Err(missing) => return Ok(Err(*missing)),
            };
            match read_row(file, offset, bytes, &source.expected) {
                Ok(row) => rows.push(row),
                Err(missing) => return Ok(Err(missing)),
            }
        }
        let pieces = pieces(&rows, &source.expected);
        let Some(left) = self.text_bytes_left.checked_sub(pieces.iter().map(Piece::weight).sum()) else {
            return Ok(Err(Missing::PageFull));
        };
        self.text_bytes_left = left;
        Ok(Ok(pieces))
    }

    fn file(&mut self, number: FileNumber) -> Result<&Result<File, Missing>, StoreError> {
        let opened = match self.files.remove(&number) {
            Some(opened) => opened,
            None => self.reader.file(number)?.map_or(Err(Missing::Gone), |row| {
                let path = PathBuf::from(OsString::from_vec(row.path));
                // Looked at first: opening a pipe that took the file's name would wait for a writer.
                match fs::metadata(&path) {
                    Ok(metadata) if metadata.is_file() => File::open(&path).map_err(|error| Missing::of(&error)),
                    Ok(_) => Err(Missing::Gone),
                    Err(error) => Err(Missing::of(&error)),
                }
            }),
        };
        Ok(self.files.entry(number).or_insert(opened))
    }
}

/// Reads one line and makes sure that it is what was counted.
fn read_row(file: &File, offset: u64, bytes: u32, expected: &Expected) -> Result<Value, Missing> {
    let mut line = vec![0; usize::try_from(bytes).unwrap_or(usize::MAX)];
    file.read_exact_at(&mut line, offset).map_err(|error| Missing::of(&error))?;
    match parse(&line, &mut Strings::default()) {
        Body::Row(row) if is_expected(&row, expected) => value_of(&line).ok_or(Missing::Unreadable),
        _ => Err(Missing::Rewritten),
    }
}

fn is_expected(row: &Row, expected: &Expected) -> bool {
    match (expected, &row.kind) {
        (Expected::Prompt(uuid), Kind::User(_)) => row.id == *uuid,
        (Expected::Message(id), Kind::Assistant(said)) => said.message == *id,
        (Expected::Call(id), Kind::Assistant(said)) => said.calls.iter().any(|call| call.id == *id),
        (Expected::Result(id), Kind::User(user)) => match &user.said {
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
