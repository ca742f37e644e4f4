//! Session files with their copies: a row that the file does not have any more is read from the copy that has it.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde_json::Value;

use super::place::Archive;
use crate::tail::frames::Frames;
use crate::tail::reread::{self, Latest, Missing, Source};
use crate::transcript::chunk::FileNumber;
use crate::transcript::expected::Expected;
use crate::transcript::record::LinePlace;

/// Most earlier copies of a file that are looked at, the last ones.
const EARLIER_MAX: usize = 32;

/// A session file and its copies, open to be read.
#[derive(Debug)]
pub struct SessionFile {
    archive: Archive,
    path: PathBuf,
    file: Result<Source, Missing>,
    /// The newest copy; `None` before it was looked for.
    copy: Option<Option<Source>>,
    /// Copies of what the file was earlier; `None` before they were looked for.
    earlier: Option<Vec<Source>>,
}

impl Archive {
    /// Opens a session file, with its copies as far as they are needed.
    #[must_use]
    pub fn open(&self, path: &Path) -> SessionFile {
        // A file that was emptied has nothing, and its copy may have everything.
        let has_rows = |file: &Source| file.metadata().is_ok_and(|metadata| metadata.len() > 0);
        let file = reread::open(path).and_then(|file| if has_rows(&file) { Ok(file) } else { Err(Missing::Rewritten) });
        let archive = self.clone();
        SessionFile { archive, path: path.to_path_buf(), file, copy: None, earlier: None }
    }
}

impl SessionFile {
    /// Reads a row from the file or, if it does not have it any more, from a copy. Fails with the reason if its text
    /// cannot be shown.
    pub fn read(
        &mut self,
        latest: &mut Latest,
        (number, place): (FileNumber, LinePlace),
        expected: &Expected,
    ) -> Result<Arc<Value>, Missing> {
        let from = |source: &Source, latest: &mut Latest| latest.read(number, source, place, expected);
        let why = match &self.file {
            Ok(file) => match from(file, latest) {
                Err(why @ (Missing::Rewritten | Missing::Unreadable | Missing::Gone)) => why,
                read => return read,
            },
            Err(why) => *why,
        };
        if let Some(copy) = self.copy()
            && let Ok(row) = from(copy, latest)
        {
            return Ok(row);
        }
        let earlier = self.earlier().iter().find_map(|copy| from(copy, latest).ok());
        earlier.ok_or(why)
    }

    /// What has the bytes of the file: itself, or the newest copy if it is gone. Fails with the reason if there is none.
    pub fn now(&mut self) -> Result<&Source, Missing> {
        if self.file.is_err() {
            self.copy();
        }
        match (&self.file, &self.copy) {
            (Ok(file), _) => Ok(file),
            (Err(_), Some(Some(copy))) => Ok(copy),
            (Err(why), _) => Err(*why),
        }
    }

    /// Copies that have rows which [`Self::now`] may not have.
    pub fn further(&mut self) -> Vec<&Source> {
        if !self.archive.may_have_more_than(&self.path) {
            return Vec::new();
        }
        let is_other = self.file.is_ok() && {
            self.copy();
            match (&self.file, &self.copy) {
                (Ok(file), Some(Some(Source::Copy(copy)))) => !goes_on(copy, file),
                _ => false,
            }
        };
        self.earlier();
        let newest = self.copy.iter().flatten().filter(|_| is_other);
        newest.chain(self.earlier.iter().flatten()).collect()
    }

    fn copy(&mut self) -> Option<&Source> {
        let Self { archive, path, copy, .. } = self;
        copy.get_or_insert_with(|| opened(&archive.copy_of(path)?)).as_ref()
    }

    fn earlier(&mut self) -> &[Source] {
        let Self { archive, path, earlier, .. } = self;
        earlier.get_or_insert_with(|| {
            let copies = archive.earlier_copies(path).into_iter().take(EARLIER_MAX);
            copies.filter_map(|(_, path)| opened(&path)).collect()
        })
    }
}

/// A copy; `None` if it is not there, or cannot be read.
fn opened(path: &Path) -> Option<Source> {
    match Frames::open(path) {
        Ok(copy) => Some(Source::Copy(Box::new(copy))),
        Err(error) => {
            if error.kind() != std::io::ErrorKind::NotFound {
                tracing::debug!(copy = %path.display(), %error, "a copy of a session file cannot be read");
            }
            None
        }
    }
}

/// Whether a file begins and goes on as its copy does, as far as a look at the first and the last bytes of it tells.
pub(super) fn goes_on(copy: &Frames, file: &Source) -> bool {
    /// Bytes that are compared at each place.
    const BYTES: u64 = 1024;
    let size = copy.size();
    let has = |at: u64| {
        let length = usize::try_from(BYTES.min(size - at)).unwrap_or_default();
        let (mut own, mut other) = (vec![0; length], vec![0; length]);
        let read = file.read_exact_at(&mut own, at).is_ok() && copy.read_at(&mut other, at).is_ok_and(|n| n == length);
        read && own == other
    };
    has(0) && has(size.saturating_sub(BYTES))
}

/// Session files that are kept open while their rows are read.
#[derive(Debug)]
pub struct OpenFiles {
    archive: Archive,
    files: HashMap<FileNumber, SessionFile>,
}

impl OpenFiles {
    /// Most files that are kept open; at this number all are closed.
    const FILES_MAX: usize = 64;

    /// None is open yet.
    #[must_use]
    pub fn new(archive: &Archive) -> Self {
        Self { archive: archive.clone(), files: HashMap::new() }
    }

    /// Where the copies are.
    #[must_use]
    pub const fn archive(&self) -> &Archive {
        &self.archive
    }

    /// Whether the file with this number is open.
    #[must_use]
    pub fn has(&self, number: FileNumber) -> bool {
        self.files.contains_key(&number)
    }

    /// The file with this number. If it is not open yet, it is opened at `path`; `None` if that tells none.
    pub fn get(&mut self, number: FileNumber, path: impl FnOnce() -> Option<PathBuf>) -> Option<&mut SessionFile> {
        if self.files.len() >= Self::FILES_MAX && !self.has(number) {
            self.files.clear();
        }
        match self.files.entry(number) {
            std::collections::hash_map::Entry::Occupied(file) => Some(file.into_mut()),
            std::collections::hash_map::Entry::Vacant(place) => Some(place.insert(self.archive.open(&path()?))),
        }
    }

    /// Reads a row of a file or of its copies. If the file is not open yet, it is opened at `path`. Fails with the reason
    /// if the text of the row cannot be shown.
    pub fn read(
        &mut self,
        latest: &mut Latest,
        place: (FileNumber, LinePlace),
        expected: &Expected,
        path: impl FnOnce() -> Option<PathBuf>,
    ) -> Result<Arc<Value>, Missing> {
        self.get(place.0, path).ok_or(Missing::Gone)?.read(latest, place, expected)
    }
}
