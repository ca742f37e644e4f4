//! Decides which session files are to be read, and notes how far they were counted.

use std::ffi::OsString;
use std::os::unix::ffi::OsStringExt;
use std::path::PathBuf;

use super::Engine;
use super::ahead::{FilePiece, Job};
use crate::ledger::known::{Known, Thread};

use crate::store::{FileRow, StoreError};
use crate::tail::FoundFile;
use crate::transcript::chunk::FileNumber;

impl Engine {
    /// A job for each of the `found` files that has something new, to be read from its cursor on.
    pub fn jobs(&mut self, found: Vec<FoundFile>) -> Result<Vec<Job>, StoreError> {
        let mut jobs = Vec::new();
        for found in found {
            let path = found.path.as_os_str().as_encoded_bytes();
            let file = match self.known.paths.number(path) {
                Some(file) if self.files.is_unchanged(file, &found) => continue,
                Some(file) => file,
                None => self.known.paths.push(path),
            };
            let cursor = self.stored_row(file)?.and_then(|row| row.cursor).map(Box::new);
            jobs.push(Job { file, found, cursor });
        }
        Ok(jobs)
    }

    /// True if no file was ever counted.
    #[must_use]
    pub fn is_new(&self) -> bool {
        self.known.paths.is_empty()
    }

    /// Bytes of the `found` files that are not counted yet.
    #[must_use]
    pub fn lag_bytes(&self, found: &[FoundFile]) -> u64 {
        let lag = |found: &FoundFile| {
            let number = self.known.paths.number(found.path.as_os_str().as_encoded_bytes());
            found.size.saturating_sub(number.map_or(0, |number| self.files.seen(number).offset))
        };
        found.iter().map(lag).sum()
    }

    /// The row of a file, from memory or from the store; `None` if nothing of the file was ever counted.
    pub(super) fn stored_row(&self, file: FileNumber) -> Result<Option<FileRow>, StoreError> {
        if let Some(row) = self.files.row(file) {
            return Ok(Some(row.clone()));
        }
        if self.files.seen(file).stamp == 0 {
            return Ok(None);
        }
        self.writer.rows().file(file)
    }

    /// Loads the row of a piece's file into memory, or makes a new one if nothing of the file was counted before.
    pub(super) fn load_row(&mut self, piece: &FilePiece) -> Result<(), StoreError> {
        if self.files.row(piece.file).is_none() {
            let row = self.stored_row(piece.file)?.unwrap_or_else(|| FileRow {
                path: self.known.paths.path(piece.file),
                role: piece.role.clone(),
                cursor: None,
                thread: Thread::default(),
            });
            self.files.rows.insert(piece.file, row);
        }
        Ok(())
    }

    /// Notes that a piece was counted: the next commit writes the file's row with the piece's cursor.
    pub(super) fn counted(&mut self, piece: &FilePiece) {
        if let Some(row) = self.files.rows.get_mut(&piece.file) {
            row.cursor = Some(piece.cursor.clone());
        }
        self.files.note(piece.file, &piece.cursor);
        self.files.dirty.insert(piece.file);
    }

    /// The path of a file; `None` if no file has this number.
    pub(super) fn path_of(&self, file: FileNumber) -> Option<PathBuf> {
        path_of(&self.known, file)
    }
}

/// The path of a file; `None` if it is not known.
pub(super) fn path_of(known: &Known, file: FileNumber) -> Option<PathBuf> {
    let path = known.paths.path(file);
    (!path.is_empty()).then(|| PathBuf::from(OsString::from_vec(path)))
}
