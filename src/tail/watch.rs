//! Turns file system events into [`Hints`].
//!
//! Each folder that a scan is about to list is watched first, so nothing falls between the two; folders that cannot hold
//! session files are not. Symbolic links below a root are not watched (a link to `/` would take every watch the system
//! has): files behind them are found by the scan alone. Whatever goes wrong here costs latency, never data, so nothing is
//! an error: the watcher says that it [is degraded](Watcher::is_degraded), and the caller scans more often.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsString;
use std::fs;
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use notify::event::{ModifyKind, RenameMode};
use notify::{
    Config, ErrorKind, Event, EventKind, EventKindMask, PathOp, RecommendedWatcher, RecursiveMode, UpdatePathsError,
    WatchPathConfig, Watcher as _,
};

use super::discover::Folder;
use super::hints::Hints;

/// Looks between two tries to get out of the degraded state: about a minute at one per second.
const LOOKS_PER_RETRY: u32 = 60;

/// Elsewhere than on Linux many watches cost more than one on a folder and everything below it.
const IS_DEEP: bool = cfg!(not(any(target_os = "linux", target_os = "android")));

/// Watches folders.
#[derive(Debug)]
pub struct Watcher {
    hints: Hints,
    health: Arc<Health>,
    inner: Option<RecommendedWatcher>,
    looks_until_retry: u32,
    /// Device and inode of each root: a root may be replaced without an event, with the folder above it.
    roots: BTreeMap<PathBuf, (u64, u64)>,
    chance: Chance,
}

/// A limit may be met only because the watches of the watcher before this one are still there and count.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Chance {
    /// None: a failure is one.
    First,
    /// After a failure at this look, the next look tries once more.
    Second,
    /// The next look is the last try.
    Last,
}

impl Watcher {
    /// A watcher of nothing yet. The paths in `hints` begin as those of the folders do.
    #[must_use]
    pub fn new(hints: Hints) -> Self {
        let (roots, looks_until_retry) = (BTreeMap::new(), LOOKS_PER_RETRY);
        Self { hints, health: Arc::default(), inner: None, looks_until_retry, roots, chance: Chance::First }
    }

    /// To be called before each look at all folders, with the roots that exist now: sets aside watches that cannot be
    /// relied on any more, so that [`Watcher::watch`] sets new ones.
    pub fn refresh(&mut self, roots: &[PathBuf]) {
        let present: BTreeMap<PathBuf, (u64, u64)> =
            roots.iter().filter_map(|root| Some((root.clone(), identity(root)?))).collect();
        let is_replaced = self.roots.iter().any(|(root, known)| present.get(root) != Some(known));
        self.roots = present;
        if self.is_degraded() {
            self.looks_until_retry = self.looks_until_retry.saturating_sub(1);
            if self.looks_until_retry == 0 {
                self.looks_until_retry = LOOKS_PER_RETRY;
                self.begin_anew(true);
            }
        } else {
            self.health.warned.store(false, Ordering::Relaxed);
            if is_replaced || self.health.lost.load(Ordering::Relaxed) {
                self.begin_anew(false);
                self.chance = if self.chance == Chance::Last { Chance::First } else { Chance::Second };
            } else {
                self.chance = Chance::First;
            }
        }
    }

    /// Watches those of `folders` that are not watched. To be called right before they are listed.
    pub fn watch(&mut self, folders: &[Folder]) {
        if self.is_degraded() {
            return;
        }
        if self.inner.is_none() {
            match self.connect() {
                Ok(inner) => self.inner = Some(inner),
                Err(error) => return self.fail(&error, Vec::new()),
            }
        }
        let Some(inner) = &mut self.inner else { return };
        let mut new: Vec<PathOp> = Vec::new();
        {
            // Before the watches are set: a deletion right after that must find the folder here.
            let mut watched = self.health.watched();
            for folder in folders {
                if IS_DEEP && watched.iter().any(|other| folder.path.starts_with(other)) {
                    continue;
                }
                if !watched.contains(folder.path.as_os_str()) {
                    watched.insert(folder.path.clone().into());
                    let mode = if IS_DEEP { RecursiveMode::Recursive } else { RecursiveMode::NonRecursive };
                    new.push(PathOp::Watch(folder.path.clone(), WatchPathConfig::new(mode)));
                }
            }
        }
        while !new.is_empty() {
            let Err(UpdatePathsError { source, origin, remaining }) = inner.update_paths(new) else { return };
            let failed = origin.map(PathOp::into_path);
            if let Some(failed) = &failed {
                self.health.watched().remove(failed.as_os_str());
            }
            // What may not be read is told by the scan, or holds nothing that it looks for; what has vanished needs no
            // watch.
            let is_passed_over = match &source.kind {
                ErrorKind::PathNotFound => true,
                ErrorKind::Io(error) => {
                    let kinds = [
                        io::ErrorKind::PermissionDenied,
                        io::ErrorKind::NotFound,
                        io::ErrorKind::NotADirectory,
                        // A path of more than 4,096 bytes: nothing below it can be looked at either.
                        io::ErrorKind::InvalidFilename,
                    ];
                    kinds.contains(&error.kind())
                }
                _ => false,
            };
            if failed.is_none() || !is_passed_over {
                return self.fail(&source, remaining);
            }
            new = remaining;
        }
    }

    /// Says that not everything can be watched, or has the next look try once more.
    fn fail(&mut self, error: &notify::Error, unwatched: Vec<PathOp>) {
        if self.chance == Chance::First {
            return self.health.degrade(error);
        }
        self.chance = Chance::Last;
        let mut watched = self.health.watched();
        for op in unwatched {
            watched.remove(op.as_path().as_os_str());
        }
        self.health.lost.store(true, Ordering::Relaxed);
    }

    /// True if some changes make no event, so that scans alone must find them.
    #[must_use]
    pub fn is_degraded(&self) -> bool {
        self.health.degraded.load(Ordering::Relaxed)
    }

    /// True if a look at everything should come soon: the watcher is degraded, or has to set its watches once more.
    #[must_use]
    pub fn misses_events(&self) -> bool {
        self.is_degraded() || self.health.lost.load(Ordering::Relaxed)
    }

    fn connect(&self) -> notify::Result<RecommendedWatcher> {
        let (hints, health) = (self.hints.clone(), Arc::clone(&self.health));
        let on_event = move |result: notify::Result<Event>| match result {
            Ok(event) => pass_on(event, &hints, &health),
            Err(error) => {
                health.degrade(&error);
                hints.flag_rescan();
            }
        };
        // Every read of ours would make an access event.
        let config = Config::default().with_event_kinds(EventKindMask::CORE).with_follow_symlinks(false);
        RecommendedWatcher::new(on_event, config)
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
    watched: Mutex<BTreeSet<OsString>>,
}

impl Health {
    fn watched(&self) -> MutexGuard<'_, BTreeSet<OsString>> {
        self.watched.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Forgets a folder and, as notify does, everything below it. False if it was not watched.
    fn forget(&self, path: &Path) -> bool {
        let mut watched = self.watched();
        if !watched.remove(path.as_os_str()) {
            return false;
        }
        let mut beginning = path.as_os_str().to_owned();
        beginning.push("/");
        let mut rest = watched.split_off(&beginning);
        let behind = rest.iter().find(|other| !other.as_bytes().starts_with(beginning.as_bytes())).cloned();
        watched.extend(behind.map(|behind| rest.split_off(&behind)).unwrap_or_default());
        true
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
        for path in &event.paths {
            // A folder that is moved takes the watches below it along, under their old names.
            if health.forget(path) && is_moved {
                health.lose(hints);
            }
        }
    }
    if matches!(event.kind, EventKind::Create(_) | EventKind::Modify(_) | EventKind::Remove(_) | EventKind::Any) {
        event.paths.into_iter().for_each(|path| hints.add(path));
    }
}

fn identity(root: &Path) -> Option<(u64, u64)> {
    let metadata = fs::metadata(root).ok()?;
    metadata.is_dir().then(|| (metadata.dev(), metadata.ino()))
}
