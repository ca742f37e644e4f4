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
    tree: RwLock<Arc<Tree>>,
    writes: Mutex<()>,
}

impl Handle {
    pub(super) fn new(tree: Tree) -> Self {
        Self { shared: Arc::new(Shared { tree: RwLock::new(Arc::new(tree)), writes: Mutex::new(()) }) }
    }

    /// The database of this moment. One that was replaced can still be read by those who hold it.
    pub(super) fn tree(&self) -> Arc<Tree> {
        // A panic elsewhere cannot leave the pointer half changed.
        Arc::clone(&self.shared.tree.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Returns the one before. Whoever still reads it holds it too.
    pub(super) fn replace(&self, tree: Tree) -> Arc<Tree> {
        std::mem::replace(&mut *self.shared.tree.write().unwrap_or_else(PoisonError::into_inner), Arc::new(tree))
    }

    /// Everybody but the writer, which makes the copies, writes while holding this: nothing is written to a database that
    /// is being copied.
    pub(super) fn writes(&self) -> MutexGuard<'_, ()> {
        self.shared.writes.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
