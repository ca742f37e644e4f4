//! What is known of the session files: of each a little in memory, the rest in its row.

use std::collections::{BTreeMap, BTreeSet};

use xxhash_rust::xxh3::Xxh3Default;

use crate::ledger::known::Thread;
use crate::store::FileRow;
use crate::tail::FoundFile;
use crate::transcript::chunk::{Cursor, FileNumber};

/// Rows of files kept in memory between commits.
const ROWS_MAX: usize = 300;

/// All files, by number.
#[derive(Debug, Default)]
pub(super) struct KnownFiles {
    seen: Vec<SeenFile>,
    /// Rows of files that are being read.
    pub(super) rows: BTreeMap<FileNumber, FileRow>,
    /// Files whose rows the next commit writes.
    pub(super) dirty: BTreeSet<FileNumber>,
}

/// How far a file was read. A number that was given out and never counted has no row after a restart.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct SeenFile {
    /// The file as it was then; 0 if it was never read.
    pub(super) stamp: u64,
    /// Bytes of it that are counted.
    pub(super) offset: u64,
}

impl KnownFiles {
    /// Notes how far a file was read.
    pub(super) fn note(&mut self, file: FileNumber, cursor: &Cursor) {
        let position = usize::try_from(file.0).unwrap_or(usize::MAX);
        if position >= self.seen.len() {
            self.seen.resize(position.saturating_add(1), SeenFile::default());
        }
        if let Some(seen) = self.seen.get_mut(position) {
            let stamp = stamp(cursor.device, cursor.inode, cursor.size, cursor.modified_ns);
            *seen = SeenFile { stamp, offset: cursor.offset };
        }
    }

    pub(super) fn seen(&self, file: FileNumber) -> SeenFile {
        usize::try_from(file.0).ok().and_then(|position| self.seen.get(position)).copied().unwrap_or_default()
    }

    /// True if a file is as it was when it was read to its end: it need not even be opened.
    pub(super) fn is_unchanged(&self, file: FileNumber, found: &FoundFile) -> bool {
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
