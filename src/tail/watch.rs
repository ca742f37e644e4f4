//! Turns file system events into [`Hints`].
//!
//! Each folder is watched before a scan lists it, so that no change is missed in between; folders that cannot hold
//! session files are not watched. Nor are symbolic links below a root, because a link to `/` would take every watch
//! that the system has: files behind them are found by the scan alone. A failure here costs time and never data, so it
//! is not an error: the watcher says that it [is degraded](Watcher::is_degraded), and the caller scans more often.

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

/// Number of full scans between two tries to leave the degraded state: about a minute at one scan per second.
const LOOKS_PER_RETRY: u32 = 60;

/// True if a folder is watched together with everything below it. Only on Linux many single watches are cheaper.
const IS_DEEP: bool = cfg!(not(any(target_os = "linux", target_os = "android")));

/// Watches folders and adds the paths that change to [`Hints`].
#[derive(Debug)]
pub struct Watcher {
    hints: Hints,
    health: Arc<Health>,
    inner: Option<RecommendedWatcher>,
    looks_until_retry: u32,
    /// Device and inode of each root: if the folder above is replaced, the root changes without an event.
    roots: BTreeMap<PathBuf, (u64, u64)>,
    chance: Chance,
    /// True if a failure is not logged.
    is_silent: bool,
}

/// Whether a failure may be temporary: the watches of the previous watcher may still exist and count against a limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Chance {
    /// There was no previous watcher: a failure degrades this one.
    First,
    /// The watcher was replaced at this scan: after a failure the next scan tries once more.
    Second,
    /// Setting watches failed once: the next scan is the last try.
    Last,
}

impl Watcher {
    /// A watcher that watches nothing yet. The paths that it adds to `hints` begin with the paths of the watched
    /// folders.
    #[must_use]
    pub fn new(hints: Hints) -> Self {
        let (roots, looks_until_retry) = (BTreeMap::new(), LOOKS_PER_RETRY);
        Self {
            hints,
            health: Arc::default(),
            inner: None,
            looks_until_retry,
            roots,
            chance: Chance::First,
            is_silent: false,
        }
    }

    /// [`Watcher::new`] of one that does not say that it cannot watch, for folders that are looked at all the time anyway.
    #[must_use]
    pub fn silent(hints: Hints) -> Self {
        let mut watcher = Self::new(hints);
        watcher.is_silent = true;
        watcher.begin_anew(true);
        watcher
    }

    /// Drops watches that cannot be relied on any more, so that [`Watcher::watch`] sets new ones. To be called before
    /// each full scan, with the roots that exist now.
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
            self.health.warned.store(self.is_silent, Ordering::Relaxed);
            if is_replaced || self.health.lost.load(Ordering::Relaxed) {
                self.begin_anew(self.is_silent);
                self.chance = if self.chance == Chance::Last { Chance::First } else { Chance::Second };
            } else {
                self.chance = Chance::First;
            }
        }
    }

    /// Watches the `folders` that are not watched yet. To be called right before they are listed.
    pub fn watch(&mut self, folders: &[Folder]) {
        self.watch_paths(folders.iter().map(|folder| folder.path.as_path()));
    }

    /// [`Watcher::watch`] of folders by their paths.
    pub fn watch_paths<'f>(&mut self, folders: impl IntoIterator<Item = &'f Path>) {
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
            // Noted before the watches are set, because a deletion right after that must find the folder in the list.
            let mut watched = self.health.watched();
            for folder in folders {
                if IS_DEEP && watched.iter().any(|other| folder.starts_with(other)) {
                    continue;
                }
                if !watched.contains(folder.as_os_str()) {
                    watched.insert(folder.into());
                    let mode = if IS_DEEP { RecursiveMode::Recursive } else { RecursiveMode::NonRecursive };
                    new.push(PathOp::Watch(folder.to_path_buf(), WatchPathConfig::new(mode)));
                }
            }
        }
        while !new.is_empty() {
            let Err(UpdatePathsError { source, origin, remaining }) = inner.update_paths(new) else { return };
            let failed = origin.map(PathOp::into_path);
            if let Some(failed) = &failed {
                self.health.watched().remove(failed.as_os_str());
            }
            // A folder that may not be read is reported by the scan, and a folder that has vanished needs no watch.
            let is_passed_over = match &source.kind {
                ErrorKind::PathNotFound => true,
                ErrorKind::Io(error) => {
                    let kinds = [
                        io::ErrorKind::PermissionDenied,
                        io::ErrorKind::NotFound,
                        io::ErrorKind::NotADirectory,
                        // A path of more than 4,096 bytes: nothing below it can be read either.
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

    /// Degrades the watcher, or lets the next scan try once more.
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

    /// True if some changes cause no event, so that only scans find them.
    #[must_use]
    pub fn is_degraded(&self) -> bool {
        self.health.degraded.load(Ordering::Relaxed)
    }

    /// True if a full scan should come soon: the watcher is degraded, or has to set its watches once more.
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
        // Without access events: every read of this program would cause one.
        let config = Config::default().with_event_kinds(EventKindMask::CORE).with_follow_symlinks(false);
        RecommendedWatcher::new(on_event, config)
    }

    fn begin_anew(&mut self, warned: bool) {
        self.inner = None;
        // A new `Health`, because the thread of the old watcher may still report to the old one while it ends.
        self.health = Arc::new(Health { warned: AtomicBool::new(warned), ..Health::default() });
    }
}

/// The watched folders, and whether events can be relied on; shared with the thread that delivers the events.
#[derive(Debug, Default)]
struct Health {
    degraded: AtomicBool,
    warned: AtomicBool,
    /// True if some watches may be gone, or may report folders under old names.
    lost: AtomicBool,
    /// Every folder that was not deleted or moved since its watch was set. Inodes would not do: the file system may
    /// give that of a deleted folder to a new folder of the same name. The lock is never held while the watcher is
    /// called, since that call waits for a thread that takes the lock too.
    watched: Mutex<BTreeSet<OsString>>,
}

impl Health {
    fn watched(&self) -> MutexGuard<'_, BTreeSet<OsString>> {
        self.watched.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Forgets a folder and everything below it, as the `notify` crate does. False if it was not watched.
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
            // A folder that is moved keeps the watches below it, and they report its old name.
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
