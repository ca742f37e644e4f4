//! What the operating system tells about a file: if all of it is the same, the file counts as unchanged.

use std::fs::Metadata;
use std::os::unix::fs::MetadataExt;

use crate::transcript::chunk::Cursor;

/// What the operating system tells about a file without opening it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Stat {
    pub(super) device: u64,
    pub(super) inode: u64,
    /// Size in bytes.
    pub(super) size: u64,
    /// Modification time in nanoseconds since 1970-01-01 UTC.
    pub(super) modified_ns: i64,
}

impl Stat {
    pub(super) fn of_metadata(metadata: &Metadata) -> Self {
        let modified_ns = metadata.mtime().saturating_mul(1_000_000_000).saturating_add(metadata.mtime_nsec());
        Self { device: metadata.dev(), inode: metadata.ino(), size: metadata.len(), modified_ns }
    }

    /// Converts the result of the system calls `stat` and `fstat`.
    #[allow(clippy::useless_conversion, reason = "the types differ between systems")]
    pub(super) fn of(stat: &rustix::fs::Stat) -> Self {
        let seconds = i64::try_from(stat.st_mtime).unwrap_or(i64::MAX);
        let nanoseconds = i64::try_from(stat.st_mtime_nsec).unwrap_or(0);
        Self {
            device: u64::try_from(stat.st_dev).unwrap_or(0),
            inode: stat.st_ino,
            size: u64::try_from(stat.st_size).unwrap_or(0),
            modified_ns: seconds.saturating_mul(1_000_000_000).saturating_add(nanoseconds),
        }
    }

    pub(super) const fn of_cursor(cursor: &Cursor) -> Self {
        Self { device: cursor.device, inode: cursor.inode, size: cursor.size, modified_ns: cursor.modified_ns }
    }

    pub(super) const fn same_inode(&self, other: &Self) -> bool {
        self.device == other.device && self.inode == other.inode
    }
}
