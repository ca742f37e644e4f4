//! The text of events, read from the session files when it is asked for.
//!
//! ```text
//! row     found by file, offset and length, and parsed; it is shown only if it is the row that was counted
//! line    at most 8 MiB are read
//! text    at most 64 KiB of each piece, 1 MiB of an event, 4 MiB of a page; at most 64 MiB are read for a page
//! ```
//!
//! The client deletes and rewrites its files, so text that does not exist any more is no error: the event says why it
//! is missing.

use std::ffi::OsString;
use std::os::unix::ffi::OsStringExt;
use std::path::PathBuf;
use std::sync::Arc;

use schemars::JsonSchema;
use serde::Serialize;
use serde_json::Value;

use crate::archive::{Archive, OpenFiles};
use crate::store::{StoreError, StoreReader};
use crate::tail::reread::{LINE_BYTES_MAX, Latest, Missing};
use crate::transcript::chunk::FileNumber;
use crate::views::sessions::event::TextSource;
use crate::views::text::pieces::{PIECE_BYTES_MAX, TextPiece, pieces};

/// Most bytes that are read from files for one page.
const PAGE_READ_BYTES_MAX: u64 = 64 << 20;

/// Most bytes of text in one page.
const PAGE_TEXT_BYTES_MAX: usize = 4 << 20;

/// The text of an event.
#[derive(Debug, Clone, Default, Serialize, JsonSchema)]
pub(in crate::http) struct EventContent {
    /// The pieces of the text; empty for events without text, `null` if the text cannot be shown.
    content: Option<Vec<TextPiece>>,
    /// Why the text cannot be shown.
    #[serde(skip_serializing_if = "Option::is_none")]
    content_unavailable: Option<&'static str>,
}

/// Why the text of an event cannot be shown.
#[derive(Debug, Clone, Copy)]
pub(in crate::http) enum Hidden {
    Row(Missing),
    PageFull,
}

impl Hidden {
    /// The reason in words.
    pub(in crate::http) const fn reason(self) -> &'static str {
        match self {
            Self::Row(missing) => missing.reason(),
            Self::PageFull => "page is full",
        }
    }
}

/// Reads the texts of one page. Each file is opened only once.
pub(in crate::http) struct ContentPage<'a> {
    reader: &'a StoreReader,
    files: OpenFiles,
    latest: Latest,
    read_bytes_left: u64,
    text_bytes_left: usize,
    piece_bytes_max: usize,
    full: bool,
}

impl<'a> ContentPage<'a> {
    pub(in crate::http) fn new(reader: &'a StoreReader, archive: &Archive) -> Self {
        let (read_bytes_left, text_bytes_left) = (PAGE_READ_BYTES_MAX, PAGE_TEXT_BYTES_MAX);
        let (files, latest) = (OpenFiles::new(archive), Latest::default());
        let piece_bytes_max = PIECE_BYTES_MAX;
        Self { reader, files, latest, read_bytes_left, text_bytes_left, piece_bytes_max, full: false }
    }

    /// The same with at most so many bytes of each piece, if that is less than [`PIECE_BYTES_MAX`].
    pub(in crate::http) fn with_piece_bytes_max(self, piece_bytes_max: usize) -> Self {
        Self { piece_bytes_max, ..self }
    }

    /// The text of the next event.
    pub(in crate::http) fn content(&mut self, source: Option<&TextSource>) -> Result<EventContent, StoreError> {
        let Some(source) = source else {
            return Ok(EventContent { content: Some(Vec::new()), content_unavailable: None });
        };
        Ok(match self.pieces(source)? {
            Ok(pieces) => EventContent { content: Some(pieces), content_unavailable: None },
            Err(hidden) => {
                // Once the page is full, no later text of it is shown either, so that a reader sees where to go on.
                self.full |= matches!(hidden, Hidden::PageFull);
                EventContent { content: None, content_unavailable: Some(hidden.reason()) }
            }
        })
    }

    fn pieces(&mut self, source: &TextSource) -> Result<Result<Vec<TextPiece>, Hidden>, StoreError> {
        let rows = match self.rows(source)? {
            Ok(rows) => rows,
            Err(hidden) => return Ok(Err(hidden)),
        };
        let pieces = pieces(&rows, &source.expected, self.piece_bytes_max);
        let Some(left) = self.text_bytes_left.checked_sub(pieces.iter().map(TextPiece::weight).sum()) else {
            return Ok(Err(Hidden::PageFull));
        };
        self.text_bytes_left = left;
        Ok(Ok(pieces))
    }

    /// The rows that the text of an event stands in, as JSON. Fails if the state cannot be read.
    pub(in crate::http) fn rows(&mut self, source: &TextSource) -> Result<Result<Vec<Arc<Value>>, Hidden>, StoreError> {
        if self.full {
            return Ok(Err(Hidden::PageFull));
        }
        let lengths = source.rows.iter().map(|row| row.place.bytes);
        let new = source.rows.iter().filter(|row| !self.latest.has(row.file, row.place));
        let sum: u64 = new.map(|row| u64::from(row.place.bytes)).sum();
        if lengths.max().is_some_and(|bytes| bytes > LINE_BYTES_MAX) || sum > PAGE_READ_BYTES_MAX {
            return Ok(Err(Hidden::Row(Missing::TooLarge)));
        }
        let Some(left) = self.read_bytes_left.checked_sub(sum) else {
            return Ok(Err(Hidden::PageFull));
        };
        self.read_bytes_left = left;
        let mut rows = Vec::with_capacity(source.rows.len());
        for place in &source.rows {
            let path = self.path(place.file)?;
            match self.files.read(&mut self.latest, (place.file, place.place), &source.expected, || path) {
                Ok(row) => rows.push(row),
                Err(missing) => return Ok(Err(Hidden::Row(missing))),
            }
        }
        Ok(Ok(rows))
    }

    /// The path of a file that is not open yet.
    fn path(&self, number: FileNumber) -> Result<Option<PathBuf>, StoreError> {
        let row = if self.files.has(number) { None } else { self.reader.file(number)? };
        Ok(row.map(|row| PathBuf::from(OsString::from_vec(row.path))))
    }
}
