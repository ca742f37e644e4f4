//! The database in use, for everybody who reads or writes it. It is replaced while it runs when it is compacted.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};

use sled::Tree;

/// Clones see the same database.
#[derive(Debug, Clone)]
pub(super) struct Handle {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    tree: RwLock<Tree>,
    writes: Mutex<()>,
}

impl Handle {
    pub(super) fn new(tree: Tree) -> Self {
        Self { shared: Arc::new(Shared { tree: RwLock::new(tree), writes: Mutex::new(()) }) }
    }

    /// The database of this moment. One that was replaced can still be read by those who hold it.
    pub(super) fn tree(&self) -> Tree {
        // A panic elsewhere cannot leave the pointer half changed.
        self.shared.tree.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub(super) fn replace(&self, tree: Tree) {
        *self.shared.tree.write().unwrap_or_else(PoisonError::into_inner) = tree;
    }

    /// Everybody writes while holding this, so that nothing is written to a database that is being copied.
    pub(super) fn writes(&self) -> MutexGuard<'_, ()> {
        self.shared.writes.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
