//! The database in use, shared by all who read or write it. Compaction replaces it while it is in use.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};

use sled::Tree;

use super::batch::Writes;
use super::disk::Disk;
use super::error::StoreError;
use super::pulse::Pulse;

/// The database in use. Clones share it.
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

    /// The current database. Who holds a database that was replaced can still read it.
    pub(super) fn tree(&self) -> Arc<Tree> {
        // A poisoned lock can be used: a panic elsewhere cannot leave the pointers half changed.
        Arc::clone(&self.shared.current.read().unwrap_or_else(PoisonError::into_inner).0)
    }

    /// The disk below the current database.
    pub(super) fn disk(&self) -> Arc<Disk> {
        Arc::clone(&self.shared.current.read().unwrap_or_else(PoisonError::into_inner).1)
    }

    /// Replaces the database and returns the old one, which readers may still hold.
    pub(super) fn replace(&self, tree: Tree, disk: Disk) -> Arc<Tree> {
        let mut current = self.shared.current.write().unwrap_or_else(PoisonError::into_inner);
        std::mem::replace(&mut *current, (Arc::new(tree), Arc::new(disk))).0
    }

    /// Writes rows of the outbox. The caller must hold [`Handle::writes`].
    pub(super) fn apply(&self, batch: Writes) -> Result<(), StoreError> {
        let _beat = self.shared.pulse.begin("a change of the outbox");
        batch.apply(&self.tree(), &self.disk())
    }

    /// The lock for writes. The writer holds it while it copies the database, and all others hold it while they write,
    /// so that nothing is written to a database that is being copied.
    pub(super) fn writes(&self) -> MutexGuard<'_, ()> {
        self.shared.writes.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
