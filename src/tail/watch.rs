//! Turns file system events into [`Hints`].
//!
//! Each folder that a scan is about to list is watched first, so nothing falls between the two; folders that cannot hold
//! session files are not. Symbolic links below a root are not watched (a link to `/` would take every watch the system
//! has): files behind them are found by the scan alone. Whatever goes wrong here costs latency, never data, so nothing is
//! an error: the watcher says that it [is degraded](Watcher::is_degraded), and the caller scans more often.

use std::collections::HashSet;
use std::ffi::OsString;
use std::io;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use notify::event::{ModifyKind, RenameMode};
use notify::{
    Config, ErrorKind, Event, EventKind, EventKindMask, PathOp, RecommendedWatcher, UpdatePathsError, Watcher as _,
};

use super::discover::Folder;
use super::hints::Hints;

/// Looks between two tries to get out of the degraded state: about a minute at one per second.
const LOOKS_PER_RETRY: u32 = 60;

/// Elsewhere than on Linux a watch on a folder is one on everything below it.
const IS_DEEP: bool = cfg!(not(any(target_os = "linux", target_os = "android")));

/// Watches folders.
#[derive(Debug)]
pub struct Watcher {
    hints: Hints,
    health: Arc<Health>,
    inner: Option<RecommendedWatcher>,
    looks_until_retry: u32,
}

impl Watcher {
    /// A watcher of nothing yet. The paths in `hints` begin as those of the folders do.
    #[must_use]
    pub fn new(hints: Hints) -> Self {
        Self { hints, health: Arc::default(), inner: None, looks_until_retry: LOOKS_PER_RETRY }
    }

    /// To be called before each look at all folders: it sets aside watches that cannot be relied on any more, so that
    /// [`Watcher::watch`] sets new ones.
    pub fn refresh(&mut self) {
        if self.is_degraded() {
            self.looks_until_retry = self.looks_until_retry.saturating_sub(1);
            if self.looks_until_retry == 0 {
                self.looks_until_retry = LOOKS_PER_RETRY;
                self.begin_anew(true);
            }
        } else {
            self.health.warned.store(false, Ordering::Relaxed);
            if self.health.lost.load(Ordering::Relaxed) {
                self.begin_anew(false);
            }
        }
    }

    /// Watches those of `folders` that are not watched. To be called right before they are listed.
    pub fn watch(&mut self, folders: &[Folder]) {
        if self.is_degraded() {
            return;
        }
        if self.inner.is_none() {
            self.inner = self.connect();
        }
        let Some(inner) = &mut self.inner else { return };
        let mut new: Vec<PathOp> = Vec::new();
        {
            // Before the watches are set: a deletion right after that must find the folder here.
            let mut watched = self.health.watched();
            watched.reserve(folders.len());
            for folder in folders {
                if IS_DEEP && watched.iter().any(|other| folder.path.starts_with(other)) {
                    continue;
                }
                if !watched.contains(folder.path.as_os_str()) {
                    watched.insert(folder.path.clone().into());
                    new.push(PathOp::watch_non_recursive(&folder.path));
                }
            }
        }
        while !new.is_empty() {
            let Err(UpdatePathsError { source, origin, remaining }) = inner.update_paths(new) else { return };
            let failed = origin.map(PathOp::into_path);
            if let Some(failed) = &failed {
                self.health.watched().remove(failed.as_os_str());
            }
            // The scan says what may not be read; what has vanished needs no watch.
            let is_passed_over = match &source.kind {
                ErrorKind::PathNotFound => true,
                ErrorKind::Io(error) => {
                    let kinds =
                        [io::ErrorKind::PermissionDenied, io::ErrorKind::NotFound, io::ErrorKind::NotADirectory];
                    kinds.contains(&error.kind())
                }
                _ => false,
            };
            if failed.is_none() || !is_passed_over {
                self.health.degrade(&source);
                return;
            }
            new = remaining;
        }
    }

    /// True if some changes make no event, so that scans alone must find them.
    #[must_use]
    pub fn is_degraded(&self) -> bool {
        self.health.degraded.load(Ordering::Relaxed)
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
        // Every read of ours would make an access event.
        let config = Config::default().with_event_kinds(EventKindMask::CORE);
        RecommendedWatcher::new(on_event, config).map_err(|error| self.health.degrade(&error)).ok()
    }

    fn begin_anew(&mut self, warned: bool) {
        self.inner = None;
        // A fresh one, because the old watcher's thread may still report while it ends.
        self.health = Arc::new(Health { warned: AtomicBool::new(warned), ..Health::default() });
    }
}

/// What is watched, and whether events can be relied on; shared with the thread that delivers them.
#[derive(Debug, Default)]
struct Health {
    degraded: AtomicBool,
    warned: AtomicBool,
    /// Some watches may be gone, or speak of folders by names that they had.
    lost: AtomicBool,
    /// Every folder that was not deleted or moved since its watch was set. Inodes do not tell: the file system may give
    /// the one of a deleted folder to the next of that name. Never locked while the watcher is called, which waits for
    /// the thread that locks it too.
    watched: Mutex<HashSet<OsString>>,
}

impl Health {
    fn watched(&self) -> MutexGuard<'_, HashSet<OsString>> {
        self.watched.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn lose(&self, hints: &Hints) {
        self.lost.store(true, Ordering::Relaxed);
        hints.flag_rescan();
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
        health.lose(hints);
    }
    let is_moved = matches!(event.kind, EventKind::Modify(ModifyKind::Name(RenameMode::From)));
    if is_moved || matches!(event.kind, EventKind::Remove(_)) {
        let mut watched = health.watched();
        for path in &event.paths {
            // A folder that is moved takes the watches below it along, under their old names.
            if watched.remove(path.as_os_str()) && is_moved {
                health.lose(hints);
            }
        }
    }
    if matches!(event.kind, EventKind::Create(_) | EventKind::Modify(_) | EventKind::Remove(_) | EventKind::Any) {
        event.paths.into_iter().for_each(|path| hints.add(path));
    }
}
