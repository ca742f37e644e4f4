//! The database in use, for everybody who reads or writes it. It is replaced while it runs when it is compacted.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};

use sled::Tree;

use super::batch::Writes;
use super::disk::Disk;
use super::error::StoreError;
use super::pulse::Pulse;

/// Clones see the same database.
#[derive(Debug, Clone)]
pub(super) struct Handle {
    shared: Arc<SharedHandle>,
}

#[derive(Debug)]
struct SharedHandle {
    current: RwLock<(Arc<Tree>, Arc<Disk>)>,
    pulse: Pulse,
    writes: Mutex<()>,
}

impl Handle {
    pub(super) fn new(tree: Tree, disk: Disk, pulse: Pulse) -> Self {
        let current = RwLock::new((Arc::new(tree), Arc::new(disk)));
        Self { shared: Arc::new(SharedHandle { current, pulse, writes: Mutex::new(()) }) }
    }

    /// The database of this moment. One that was replaced can still be read by those who hold it.
    pub(super) fn tree(&self) -> Arc<Tree> {
        // A panic elsewhere cannot leave the pointers half changed.
        Arc::clone(&self.shared.current.read().unwrap_or_else(PoisonError::into_inner).0)
    }

    /// The disk below it.
    pub(super) fn disk(&self) -> Arc<Disk> {
        Arc::clone(&self.shared.current.read().unwrap_or_else(PoisonError::into_inner).1)
    }

    /// Returns the one before. Whoever still reads it holds it too.
    pub(super) fn replace(&self, tree: Tree, disk: Disk) -> Arc<Tree> {
        let mut current = self.shared.current.write().unwrap_or_else(PoisonError::into_inner);
        std::mem::replace(&mut *current, (Arc::new(tree), Arc::new(disk))).0
    }

    /// Writes rows of the outbox. Whoever does this holds [`Handle::writes`].
    pub(super) fn apply(&self, batch: Writes) -> Result<(), StoreError> {
        let _beat = self.shared.pulse.begin("a change of the outbox");
        batch.apply(&self.tree(), &self.disk())
    }

    /// Everybody but the writer, which makes the copies, writes while holding this: nothing is written to a database that
    /// is being copied.
    pub(super) fn writes(&self) -> MutexGuard<'_, ()> {
        self.shared.writes.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
