//! What is known of the session files: of each a little in memory, the rest in its row.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsString;
use std::os::unix::ffi::OsStringExt;
use std::path::PathBuf;

use xxhash_rust::xxh3::Xxh3Default;

use super::Engine;
use crate::engine::ahead::{Job, Piece};
use crate::ledger::known::Thread;
use crate::store::{FileRow, StoreError};
use crate::tail::Found;
use crate::transcript::chunk::{Cursor, FileNumber};

/// Rows of files kept in memory between commits.
const ROWS_MAX: usize = 300;

/// All files, by number.
#[derive(Debug, Default)]
pub(super) struct Files {
    seen: Vec<Seen>,
    /// Rows of files that are being read.
    rows: BTreeMap<FileNumber, FileRow>,
    /// Files whose rows the next commit writes.
    pub(super) dirty: BTreeSet<FileNumber>,
}

/// How far a file was read. A number that was given out and never counted has no row after a restart.
#[derive(Debug, Clone, Copy, Default)]
struct Seen {
    /// The file as it was then; 0 if it was never read.
    stamp: u64,
    /// Bytes of it that are counted.
    offset: u64,
}

impl Files {
    /// Notes how far a file was read.
    pub(super) fn note(&mut self, file: FileNumber, cursor: &Cursor) {
        let position = usize::try_from(file.0).unwrap_or(usize::MAX);
        if position >= self.seen.len() {
            self.seen.resize(position.saturating_add(1), Seen::default());
        }
        if let Some(seen) = self.seen.get_mut(position) {
            let stamp = stamp(cursor.device, cursor.inode, cursor.size, cursor.modified_ns);
            *seen = Seen { stamp, offset: cursor.offset };
        }
    }

    fn seen(&self, file: FileNumber) -> Seen {
        usize::try_from(file.0).ok().and_then(|position| self.seen.get(position)).copied().unwrap_or_default()
    }

    /// True if a file is as it was when it was read to its end: it need not even be opened.
    fn is_unchanged(&self, file: FileNumber, found: &Found) -> bool {
        let seen = self.seen(file);
        // A file that was read in part has the size of the whole in its cursor.
        seen.offset >= found.size && seen.stamp == stamp(found.device, found.inode, found.size, found.modified_ns)
    }

    /// The row of a file, if it is in memory.
    pub(super) fn row(&self, file: FileNumber) -> Option<&FileRow> {
        self.rows.get(&file)
    }

    /// Takes over how far the conversation of a file has come.
    pub(super) fn set_thread(&mut self, file: FileNumber, thread: &Thread) {
        if let Some(row) = self.rows.get_mut(&file) {
            row.thread = thread.clone();
        }
    }

    /// Rows that the next commit writes.
    pub(super) fn changed(&self) -> impl Iterator<Item = (FileNumber, &FileRow)> {
        self.dirty.iter().filter_map(|file| Some((*file, self.rows.get(file)?)))
    }

    /// Everything is stored.
    pub(super) fn committed(&mut self) {
        self.dirty.clear();
        if self.rows.len() > ROWS_MAX {
            self.rows.clear();
        }
    }
}

/// A file with a size and a time; never 0.
fn stamp(device: u64, inode: u64, size: u64, modified_ns: i64) -> u64 {
    let mut hash = Xxh3Default::new();
    [device, inode, size].iter().for_each(|number| hash.update(&number.to_ne_bytes()));
    hash.update(&modified_ns.to_ne_bytes());
    hash.digest().max(1)
}

impl Engine {
    /// Of the files of `found` those that have something new, as jobs, each from its cursor on.
    pub fn jobs(&mut self, found: Vec<Found>) -> Result<Vec<Job>, StoreError> {
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

    /// Bytes of found files that are not counted yet.
    #[must_use]
    pub fn lag_bytes(&self, found: &[Found]) -> u64 {
        let lag = |found: &Found| {
            let number = self.known.paths.number(found.path.as_os_str().as_encoded_bytes());
            found.size.saturating_sub(number.map_or(0, |number| self.files.seen(number).offset))
        };
        found.iter().map(lag).sum()
    }

    /// The row of a file as it is in memory or stored; none if nothing of the file was ever counted.
    pub(super) fn stored_row(&self, file: FileNumber) -> Result<Option<FileRow>, StoreError> {
        if let Some(row) = self.files.row(file) {
            return Ok(Some(row.clone()));
        }
        if self.files.seen(file).stamp == 0 {
            return Ok(None);
        }
        self.writer.rows().file(file)
    }

    /// Has the row of the file that a piece is of in memory; a new one if nothing of the file was counted before.
    pub(super) fn load_row(&mut self, piece: &Piece) -> Result<(), StoreError> {
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

    /// Notes that a piece was counted.
    pub(super) fn counted(&mut self, piece: &Piece) {
        if let Some(row) = self.files.rows.get_mut(&piece.file) {
            row.cursor = Some(piece.cursor.clone());
        }
        self.files.note(piece.file, &piece.cursor);
        self.files.dirty.insert(piece.file);
    }

    /// Where a file is; `None` if it has no number.
    pub(super) fn path_of(&self, file: FileNumber) -> Option<PathBuf> {
        let path = self.known.paths.path(file);
        (!path.is_empty()).then(|| PathBuf::from(OsString::from_vec(path)))
    }
}
