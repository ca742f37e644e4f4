//! Changes of rows that are written together, all or nothing.

use sled::{Batch, IVec, Tree};

use super::disk::Disk;
use super::error::StoreError;

/// Most bytes that sled adds to a row.
const ROW_BYTES: usize = 64;

/// A batch of sled, with its size in bytes.
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

    /// Bytes of its rows, with what sled adds to them.
    #[cfg(test)]
    pub(super) const fn bytes(&self) -> usize {
        self.bytes
    }

    /// Writes the rows, after room for them was reserved on the disk. If it fails with [`StoreError::Full`], nothing
    /// was written; after any other error a part may have been written.
    pub(super) fn apply(self, tree: &Tree, disk: &Disk) -> Result<(), StoreError> {
        disk.reserve(self.bytes)?;
        self.apply_to_copy(tree)
    }

    /// Writes the rows to a database that nobody uses yet, without reserving room.
    pub(super) fn apply_to_copy(self, tree: &Tree) -> Result<(), StoreError> {
        Ok(tree.apply_batch(self.batch)?)
    }
}
