//! Turns file system events into [`Hints`].
//!
//! Symbolic links below a root are not watched (a link to `/` would take every watch the system has): files behind them
//! are found by the scan alone. Whatever goes wrong here costs latency, never data, so nothing is an error: the watcher
//! says that it [is degraded](Watcher::is_degraded), and the caller scans more often.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use notify::event::{ModifyKind, RenameMode};
use notify::{Config, ErrorKind, Event, EventKind, RecommendedWatcher, RecursiveMode, Watcher as _};

use super::hints::Hints;

/// Calls of [`Watcher::ensure`] between two tries to get out of the degraded state: about a minute at one per second.
const CALLS_PER_RETRY: u32 = 60;

/// Watches session roots with all their folders.
#[derive(Debug)]
pub struct Watcher {
    hints: Hints,
    health: Arc<Health>,
    inner: Option<RecommendedWatcher>,
    /// Device and inode of each watched root: a root that was deleted and made again needs a new watch.
    watched: BTreeMap<PathBuf, (u64, u64)>,
    calls_until_retry: u32,
}

impl Watcher {
    /// Watches those of `roots` that exist; call it before the first scan, so that nothing falls between the two.
    ///
    /// Roots are absolute paths; the paths in `hints` begin with them.
    #[must_use]
    pub fn start(roots: &[PathBuf], hints: Hints) -> Self {
        let (health, watched) = (Arc::default(), BTreeMap::new());
        let mut watcher = Self { hints, health, inner: None, watched, calls_until_retry: CALLS_PER_RETRY };
        watcher.ensure(roots);
        watcher
    }

    /// Brings the watches in line with the `roots` that exist now. To be called before each full scan.
    pub fn ensure(&mut self, roots: &[PathBuf]) {
        if self.is_degraded() {
            self.calls_until_retry = self.calls_until_retry.saturating_sub(1);
            if self.calls_until_retry > 0 {
                return;
            }
            self.reset();
        }
        if self.inner.is_none() {
            self.inner = self.connect();
        }
        let present: BTreeMap<PathBuf, (u64, u64)> =
            roots.iter().filter_map(|root| Some((root.clone(), folder_identity(root)?))).collect();
        self.drop_vanished(&present);
        self.add_missing(present);
        if !self.is_degraded() {
            self.health.warned.store(false, Ordering::Relaxed);
        }
    }

    /// True if some changes make no event, so that scans alone must find them.
    #[must_use]
    pub fn is_degraded(&self) -> bool {
        self.health.degraded.load(Ordering::Relaxed)
    }

    fn drop_vanished(&mut self, present: &BTreeMap<PathBuf, (u64, u64)>) {
        let Some(inner) = &mut self.inner else { return };
        let health = &self.health;
        self.watched.retain(|root, identity| {
            let keep = present.get(root) == Some(identity) && health.intact().contains(root);
            if !keep && let Err(error) = inner.unwatch(&watch_path(root)) {
                tracing::debug!(root = %root.display(), %error, "the system had dropped the watch already");
            }
            keep
        });
    }

    fn add_missing(&mut self, present: BTreeMap<PathBuf, (u64, u64)>) {
        let Some(inner) = &mut self.inner else { return };
        for (root, identity) in present {
            if self.watched.contains_key(&root) {
                continue;
            }
            // Before the watch is set: a deletion right after it must find the root here.
            self.health.intact().insert(root.clone());
            match inner.watch(&watch_path(&root), RecursiveMode::Recursive) {
                Ok(()) => {
                    self.watched.insert(root, identity);
                    // What came between its creation and the watch made no event.
                    self.hints.flag_rescan();
                }
                // A folder vanished while watches were set: the next call tries again.
                Err(error) if matches!(error.kind, ErrorKind::PathNotFound) => self.hints.flag_rescan(),
                Err(error) => self.health.degrade(&error),
            }
        }
    }

    fn connect(&self) -> Option<RecommendedWatcher> {
        let (hints, health) = (self.hints.clone(), Arc::clone(&self.health));
        let on_event = move |result: notify::Result<Event>| match result {
            Ok(event) => pass_on(event, &hints, &health),
            Err(error) => {
                health.degrade(&error);
                hints.flag_rescan();
            }
        };
        let created = RecommendedWatcher::new(on_event, Config::default().with_follow_symlinks(false));
        created.map_err(|error| self.health.degrade(&error)).ok()
    }

    fn reset(&mut self) {
        self.inner = None;
        self.watched.clear();
        self.calls_until_retry = CALLS_PER_RETRY;
        // A fresh handle, because the old watcher's thread may still report while it ends.
        self.health = Arc::new(Health { warned: AtomicBool::new(true), ..Health::default() });
    }
}

/// Whether events can be relied on; shared with the thread that delivers them.
#[derive(Debug, Default)]
struct Health {
    degraded: AtomicBool,
    warned: AtomicBool,
    /// Roots that were not deleted or moved since their watch was set. The inode of a root does not tell: the file
    /// system may give it to the next folder of that name. Never locked while the watcher is called, which waits for
    /// the thread that locks it too.
    intact: Mutex<BTreeSet<PathBuf>>,
}

impl Health {
    fn intact(&self) -> MutexGuard<'_, BTreeSet<PathBuf>> {
        self.intact.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn degrade(&self, error: &notify::Error) {
        self.degraded.store(true, Ordering::Relaxed);
        if !self.warned.swap(true, Ordering::Relaxed) {
            tracing::warn!(
                %error,
                "cannot watch all session folders, so files are polled instead; if this is the inotify limit, raise \
                 fs.inotify.max_user_watches (or fs.inotify.max_user_instances)"
            );
        }
    }
}

fn pass_on(event: Event, hints: &Hints, health: &Health) {
    if event.need_rescan() {
        hints.flag_rescan();
    }
    if matches!(event.kind, EventKind::Remove(_) | EventKind::Modify(ModifyKind::Name(RenameMode::From))) {
        let mut intact = health.intact();
        for path in &event.paths {
            intact.remove(path);
        }
    }
    // Every read of ours makes an access event.
    if matches!(event.kind, EventKind::Create(_) | EventKind::Modify(_) | EventKind::Remove(_) | EventKind::Any) {
        event.paths.into_iter().for_each(|path| hints.add(path));
    }
}

fn folder_identity(root: &Path) -> Option<(u64, u64)> {
    let metadata = fs::metadata(root).ok()?;
    metadata.is_dir().then(|| (metadata.dev(), metadata.ino()))
}

/// `root` with a slash at its end, which makes the system follow it if it is a link.
fn watch_path(root: &Path) -> PathBuf {
    root.join("")
}
