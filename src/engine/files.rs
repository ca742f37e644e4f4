//! How far each session file is counted. A little of each file is in memory, the rest is in its row in the store.

use std::collections::{BTreeMap, BTreeSet};

use xxhash_rust::xxh3::Xxh3Default;

use crate::ledger::known::Thread;
use crate::store::FileRow;
use crate::tail::FoundFile;
use crate::transcript::chunk::{Cursor, FileNumber};

/// Most rows of files that are kept in memory between commits.
const ROWS_MAX: usize = 300;

/// All session files, by their number.
#[derive(Debug, Default)]
pub(super) struct KnownFiles {
    seen: Vec<SeenFile>,
    /// Rows of files that are being read.
    pub(super) rows: BTreeMap<FileNumber, FileRow>,
    /// Files whose rows the next commit writes.
    pub(super) dirty: BTreeSet<FileNumber>,
}

/// How far a file was read. A file that got a number and was never counted has no row after a restart.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct SeenFile {
    /// Hash of the file's device, inode, size and time of change when it was read; 0 if it was never read.
    pub(super) stamp: u64,
    /// Bytes of the file that are counted.
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

    /// True if a file is still as it was when it was read to its end. Such a file need not be opened.
    pub(super) fn is_unchanged(&self, file: FileNumber, found: &FoundFile) -> bool {
        let seen = self.seen(file);
        // The offset is compared too, because the stamp of a file that was read in part has the size of the whole file.
        seen.offset >= found.size && seen.stamp == stamp(found.device, found.inode, found.size, found.modified_ns)
    }

    /// The row of a file, if it is in memory.
    pub(super) fn row(&self, file: FileNumber) -> Option<&FileRow> {
        self.rows.get(&file)
    }

    /// Puts the state of a file's conversation into its row, if the row is in memory.
    pub(super) fn set_thread(&mut self, file: FileNumber, thread: &Thread) {
        if let Some(row) = self.rows.get_mut(&file) {
            row.thread = thread.clone();
        }
    }

    /// Rows that the next commit writes.
    pub(super) fn changed(&self) -> impl Iterator<Item = (FileNumber, &FileRow)> {
        self.dirty.iter().filter_map(|file| Some((*file, self.rows.get(file)?)))
    }

    /// To be called after a commit: every changed row is stored now.
    pub(super) fn committed(&mut self) {
        self.dirty.clear();
        if self.rows.len() > ROWS_MAX {
            self.rows.clear();
        }
    }
}

/// A hash of a file's identity, size and time of change; never 0.
fn stamp(device: u64, inode: u64, size: u64, modified_ns: i64) -> u64 {
    let mut hash = Xxh3Default::new();
    [device, inode, size].iter().for_each(|number| hash.update(&number.to_ne_bytes()));
    hash.update(&modified_ns.to_ne_bytes());
    hash.digest().max(1)
}
