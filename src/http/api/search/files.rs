//! Reads session files for a search: first the lines that may match, then the rows of single events.

use std::collections::{BTreeMap, HashMap};
use std::ffi::OsString;
use std::ops::ControlFlow;
use std::os::unix::ffi::OsStringExt;
use std::path::PathBuf;

use super::known::TextFiles;
use crate::archive::{Archive, OpenFiles};
use crate::index::catalogue::{FarRow, Narrowed, ReadPart, SearchIndex};
use crate::index::scan::{Lines, Scanner};
use crate::index::standing::Standing;
use crate::ledger::unit::RowPlace;
use crate::store::{StoreError, StoreReader};
use crate::tail::reread::{Latest, Source};
use crate::transcript::chunk::FileNumber;
use crate::transcript::record::LinePlace;
use crate::views::sessions::event::TextSource;
use crate::views::text::find::hint::Hint;
use crate::views::text::find::texts::{TextKind, texts};

/// Bytes of the texts of one event after which no further row of it is read: an answer may have a thousand rows.
const EVENT_BYTES_MAX: usize = 64 << 20;

/// The texts of an event, by kind.
pub(in crate::http::api) type OwnTexts = BTreeMap<TextKind, Vec<String>>;

/// Why a search ends before its answer is made.
#[derive(Debug, thiserror::Error)]
pub(in crate::http::api) enum SearchError {
    /// The state cannot be read.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// Nobody waits for the answer any more.
    #[error("the client has gone")]
    Gone,
}

/// Which lines of the files of a session may match.
#[derive(Debug)]
pub(in crate::http::api) enum Candidates {
    All,
    /// These: of a file, and of each of its copies that has other rows.
    Some(HashMap<FileNumber, Vec<Lines>>),
}

/// What the index knows of a file.
enum Known {
    Unknown,
    /// No line of it may match.
    Nothing,
    /// Lines in these parts may.
    Parts(Vec<ReadPart>),
}

/// Session files that are read.
pub(in crate::http::api) struct Reading<'r> {
    reader: &'r StoreReader,
    /// What lines must have.
    hint: Hint,
    /// The index, and what it says of the question.
    index: Option<(&'r SearchIndex, Narrowed)>,
    /// Asked now and then whether somebody still waits for the answer.
    is_wanted: &'r mut dyn FnMut() -> bool,
    scanner: Scanner,
    latest: Latest,
    open: OpenFiles,
    /// Bytes that were read.
    pub(super) bytes: u64,
}

impl<'r> Reading<'r> {
    pub(in crate::http::api) fn new(
        (reader, archive): (&'r StoreReader, &Archive),
        index: Option<&'r SearchIndex>,
        hint: &Hint,
        is_wanted: &'r mut dyn FnMut() -> bool,
    ) -> Self {
        let index = index.and_then(|index| Some((index, index.narrow(hint)?)));
        let lead = index.as_ref().map_or(0, |(_, narrowed)| narrowed.lead);
        let (scanner, latest, open) = (Scanner::default(), Latest::default(), OpenFiles::new(archive));
        Self { reader, hint: hint.clone().led_by(lead), index, is_wanted, scanner, latest, open, bytes: 0 }
    }

    /// Fails if nobody waits for the answer any more.
    pub(super) fn check(&mut self) -> Result<(), SearchError> {
        if (self.is_wanted)() { Ok(()) } else { Err(SearchError::Gone) }
    }

    /// The lines of some files that may match; `None` if there are none.
    pub(in crate::http::api) fn candidates(&mut self, texts: &TextFiles) -> Result<Option<Candidates>, SearchError> {
        if self.hint.runs().is_empty() {
            return Ok(Some(Candidates::All));
        }
        let mut some = HashMap::new();
        for number in &texts.files {
            let lines = self.lines(*number, &texts.far)?;
            if lines.iter().any(|lines| !lines.is_empty()) {
                some.insert(*number, lines);
            }
        }
        Ok((!some.is_empty()).then_some(Candidates::Some(some)))
    }

    fn lines(&mut self, number: FileNumber, far: &[FarRow]) -> Result<Vec<Lines>, SearchError> {
        let parts = match self.known(number, far) {
            Known::Nothing => Vec::new(),
            Known::Parts(parts) => parts,
            Known::Unknown => vec![ReadPart::unknown(0)],
        };
        let path = self.path(number)?;
        let Self { hint, is_wanted, scanner, open, bytes, .. } = self;
        let Some(file) = open.get(number, || path) else { return Ok(Vec::new()) };
        let mut goes_on = |read| {
            *bytes += read;
            if is_wanted() { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
        };
        let mut scan = |source: &Source, parts: Vec<ReadPart>| {
            let mut lines = Lines::default();
            for part in parts {
                match scanner.lines(source, (part.place, part.are_odd), hint, &mut lines, &mut goes_on) {
                    Ok(None) => return Err(SearchError::Gone),
                    Ok(Some(())) => {}
                    Err(error) => tracing::debug!(file = number.0, %error, "a session file cannot be searched"),
                }
            }
            Ok(lines)
        };
        let mut all = Vec::new();
        if !parts.is_empty()
            // What cannot be opened or read cannot be shown: nothing of it is found.
            && let Ok(now) = file.now()
        {
            all.push(scan(now, parts)?);
        }
        for copy in file.further() {
            all.push(scan(copy, vec![ReadPart::unknown(0)])?);
        }
        Ok(all)
    }

    /// Which parts of a file may have lines that match, as the index knows it, if the file is still the one it knows.
    fn known(&self, number: FileNumber, far: &[FarRow]) -> Known {
        let Some(reading) = self.index.as_ref().and_then(|(index, narrowed)| index.reading(narrowed, number, far))
        else {
            return Known::Unknown;
        };
        let archive = self.open.archive();
        let Ok(Standing { stamp: now, is_copy }) = Standing::of(archive, &reading.path) else { return Known::Unknown };
        if !reading.is_of(&now) {
            let holds = archive.open(&reading.path).now().is_ok_and(|file| reading.holds(file, &now));
            if !holds {
                return Known::Unknown;
            }
        }
        let mut parts = reading.parts;
        // A copy does not grow.
        if if is_copy { !reading.is_whole } else { now.size > reading.end } {
            parts.push(ReadPart::unknown(reading.end));
        } else {
            parts.retain(|part| !part.if_grown);
        }
        if parts.is_empty() { Known::Nothing } else { Known::Parts(parts) }
    }

    /// The texts of an event, by kind; `None` if its rows cannot be shown any more. Rows are read one by one, and after
    /// [`EVENT_BYTES_MAX`] no more.
    pub(in crate::http::api) fn texts(
        &mut self,
        source: &TextSource,
        plain: TextKind,
    ) -> Result<Option<OwnTexts>, SearchError> {
        let (mut all, mut bytes) = (OwnTexts::new(), 0);
        for row in &source.rows {
            if bytes >= EVENT_BYTES_MAX {
                break;
            }
            let path = self.path(row.file)?;
            if !self.latest.has(row.file, row.place) {
                self.bytes += u64::from(row.place.bytes);
            }
            let read = self.open.read(&mut self.latest, (row.file, row.place), &source.expected, || path);
            let Ok(row) = read else { return Ok(None) };
            for (kind, pieces) in texts(std::slice::from_ref(&row), &source.expected, plain) {
                let own = all.entry(kind).or_default();
                for piece in pieces {
                    bytes += piece.len();
                    own.push(piece.into_owned());
                }
            }
        }
        Ok(Some(all))
    }

    /// The path of a file that is not open yet.
    fn path(&self, number: FileNumber) -> Result<Option<PathBuf>, StoreError> {
        let row = if self.open.has(number) { None } else { self.reader.file(number)? };
        Ok(row.map(|row| PathBuf::from(OsString::from_vec(row.path))))
    }
}

impl Candidates {
    /// Whether an event with these rows may match.
    pub(super) fn have(&self, rows: &[RowPlace]) -> bool {
        let are_several = rows.len() > 1;
        rows.iter().any(|row| self.have_row(row.file, row.place, are_several))
    }

    /// Whether an event with this row, and with further ones if it is one of several, may match.
    pub(in crate::http::api) fn have_row(&self, file: FileNumber, place: LinePlace, is_of_several: bool) -> bool {
        let Self::Some(lines) = self else { return true };
        let has = |lines: &Lines| lines.has(place.offset, place.bytes, is_of_several);
        lines.get(&file).is_some_and(|all| all.iter().any(has))
    }
}
