//! Rows that are written at once, all or nothing.

use sled::{Batch, IVec, Tree};

use super::disk::Disk;
use super::error::StoreError;

/// What sled adds to a row, in bytes, at most.
const ROW_BYTES: usize = 64;

/// A batch of sled that knows its size.
#[derive(Debug, Clone, Default)]
pub(super) struct Writes {
    batch: Batch,
    bytes: usize,
}

impl Writes {
    pub(super) fn insert(&mut self, key: impl Into<IVec>, value: impl Into<IVec>) {
        let (key, value) = (key.into(), value.into());
        self.bytes += key.len() + value.len() + ROW_BYTES;
        self.batch.insert(key, value);
    }

    pub(super) fn remove(&mut self, key: impl Into<IVec>) {
        let key = key.into();
        self.bytes += key.len() + ROW_BYTES;
        self.batch.remove(key);
    }

    /// Writes the rows, once the disk has room for them.
    ///
    /// # Errors
    ///
    /// [`StoreError::Full`]: nothing was written. Any other: part of it may have been.
    pub(super) fn apply(self, tree: &Tree, disk: &Disk) -> Result<(), StoreError> {
        disk.reserve(self.bytes)?;
        self.apply_to_copy(tree)
    }

    /// Writes the rows to a database that nobody uses yet.
    pub(super) fn apply_to_copy(self, tree: &Tree) -> Result<(), StoreError> {
        Ok(tree.apply_batch(self.batch)?)
    }
}
