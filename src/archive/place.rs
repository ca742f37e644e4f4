//! Where the copies of a session file are.

use std::collections::HashSet;
use std::ffi::{OsStr, OsString};
use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Component, Path, PathBuf};
use std::sync::{Arc, PoisonError, RwLock};

use rustix::fs::{FlockOperation, flock, statvfs};

/// End of the names of all copies.
const END: &[u8] = b".zst";

/// Ends of the names of session files.
const FILE_ENDS: [&[u8]; 2] = [b".jsonl", b".meta.json"];

/// Begin of the name of a folder that no session file is in: what a session file was earlier is told by such a path.
const EARLIER: &str = ".archive-";

/// The file that is locked while a copy is placed.
const LOCK: &str = "lock";

/// Bytes that the disk must have left besides a copy: the state is to have room.
const ROOM_BYTES: u64 = 64 << 20;

/// The file whose time of change tells that copies came in from elsewhere.
const CHANGED: &str = "changed";

/// A folder with copies of session files. There may be none.
#[derive(Debug, Clone, Default)]
pub struct Archive {
    directory: Option<Arc<Path>>,
    /// Files of which copies have other rows than the files; `None` before somebody looked.
    rewritten: Arc<RwLock<Option<HashSet<PathBuf>>>>,
}

impl Archive {
    /// The archive in a folder, which need not exist.
    #[must_use]
    pub fn at(directory: &Path) -> Self {
        Self { directory: Some(directory.into()), rewritten: Arc::default() }
    }

    /// The folder; `None` if there is no archive.
    #[must_use]
    pub fn directory(&self) -> Option<&Path> {
        self.directory.as_deref()
    }

    /// The folder that holds the copies, by the paths of the files.
    pub(super) fn files(&self) -> Option<PathBuf> {
        self.directory.as_ref().map(|directory| directory.join("files"))
    }

    /// The file that is touched when copies come in from elsewhere.
    #[must_use]
    pub fn changed(&self) -> Option<PathBuf> {
        self.directory.as_ref().map(|directory| directory.join(CHANGED))
    }

    /// The path of the copy of a session file as it was last; of a path that `earlier_path` made, of the file as it
    /// was then. `None` if there is no archive.
    #[must_use]
    pub fn copy_of(&self, path: &Path) -> Option<PathBuf> {
        let files = self.files()?;
        match original_of(path) {
            Some((original, number)) => Some(numbered(&below(&files, &original), Some(number))),
            None => Some(numbered(&below(&files, path), None)),
        }
    }

    /// The copies of what a session file was earlier, with their numbers; the last one first. Empty if there are none.
    #[must_use]
    pub fn earlier_copies(&self, path: &Path) -> Vec<(u32, PathBuf)> {
        let Some(place) = self.files().map(|files| below(&files, path)) else { return Vec::new() };
        let (Some(folder), Some(name)) = (place.parent(), place.file_name()) else { return Vec::new() };
        let entries = fs::read_dir(folder).into_iter().flatten().flatten();
        let number = |entry: &OsStr| match copy_name(entry)? {
            (own, Some(number)) if own == name.as_bytes() => Some(number),
            _ => None,
        };
        let mut copies: Vec<(u32, PathBuf)> =
            entries.filter_map(|entry| Some((number(&entry.file_name())?, entry.path()))).collect();
        copies.sort_unstable_by(|one, other| other.cmp(one));
        copies
    }

    /// Whether copies of a session file may have other rows than the file.
    #[must_use]
    pub fn may_have_more_than(&self, path: &Path) -> bool {
        let rewritten = self.rewritten.read().unwrap_or_else(PoisonError::into_inner);
        self.directory.is_some() && rewritten.as_ref().is_none_or(|rewritten| rewritten.contains(path))
    }

    /// Notes that copies of these files have other rows than the files.
    pub(super) fn note_rewritten(&self, paths: HashSet<PathBuf>) {
        let mut rewritten = self.rewritten.write().unwrap_or_else(PoisonError::into_inner);
        rewritten.get_or_insert_default().extend(paths);
    }

    /// The reason, if there is no room for the copy of a file of so many bytes.
    pub(super) fn is_full(&self, size: u64) -> Option<String> {
        let directory = self.directory()?;
        // The nearest folder that exists is on the same disk.
        let stat = directory.ancestors().find_map(|folder| statvfs(folder).ok())?;
        let free = stat.f_bavail.saturating_mul(stat.f_frsize);
        // Copies of real sessions take a quarter of the bytes or less.
        let needed = ROOM_BYTES + size / 2;
        (free < needed).then(|| format!("{}: {free} bytes are free, {needed} are needed", directory.display()))
    }

    /// Keeps other processes from placing copies until what is returned is dropped. Fails if the file of the lock cannot be
    /// made.
    pub(super) fn lock(&self) -> io::Result<Option<File>> {
        let Some(directory) = &self.directory else { return Ok(None) };
        DirBuilder::new().recursive(true).mode(0o700).create(directory)?;
        let path = directory.join(LOCK);
        let file = OpenOptions::new().write(true).create(true).truncate(false).mode(0o600).open(path)?;
        flock(&file, FlockOperation::LockExclusive)?;
        Ok(Some(file))
    }

    /// Says to whoever keeps the archive that copies came in from elsewhere. Fails if the file cannot be written.
    pub(super) fn touch(&self) -> io::Result<()> {
        let Some(path) = self.changed() else { return Ok(()) };
        // A new file has another inode, so that this is noticed even where the clock stands still.
        let new = path.with_extension("new");
        fs::write(&new, [])?;
        fs::rename(new, path)
    }
}

/// The path under which the state knows what a session file was before it was rewritten: its number stands in a folder
/// beside the file, so that the name stays the same.
pub(super) fn earlier_path(path: &Path, number: u32) -> PathBuf {
    let folder = path.parent().unwrap_or(Path::new("")).join(format!("{EARLIER}{number}"));
    path.file_name().map_or_else(|| folder.clone(), |name| folder.join(name))
}

/// Whether a path tells what a session file was before it was rewritten.
#[must_use]
pub fn is_earlier(path: &Path) -> bool {
    original_of(path).is_some()
}

/// The session file and the number that [`earlier_path`] made a path of; `None` if it is no such path.
pub(super) fn original_of(path: &Path) -> Option<(PathBuf, u32)> {
    let folder = path.parent()?;
    let number = folder.file_name()?.to_str()?.strip_prefix(EARLIER)?.parse().ok()?;
    Some((folder.parent()?.join(path.file_name()?), number))
}

/// The name of the session file and the number, if any, of a copy with this name; `None` if it is no copy.
pub(super) fn copy_name(name: &OsStr) -> Option<(&[u8], Option<u32>)> {
    let stem = name.as_bytes().strip_suffix(END)?;
    let is_file = |name: &[u8]| FILE_ENDS.iter().any(|end| name.len() > end.len() && name.ends_with(end));
    if is_file(stem) {
        return Some((stem, None));
    }
    let dot = memchr::memrchr(b'.', stem)?;
    let number = std::str::from_utf8(stem.get(dot + 1..)?).ok()?.parse().ok()?;
    stem.get(..dot).filter(|name| is_file(name)).map(|name| (name, Some(number)))
}

/// The name of a copy: that of the file, a number if it is an earlier one, and `.zst`.
pub(super) fn numbered(path: &Path, number: Option<u32>) -> PathBuf {
    let mut name = path.as_os_str().as_bytes().to_vec();
    if let Some(number) = number {
        name.extend(format!(".{number}").into_bytes());
    }
    name.extend(END);
    PathBuf::from(OsString::from_vec(name))
}

/// A path below a folder.
fn below(folder: &Path, path: &Path) -> PathBuf {
    let path = std::path::absolute(path).unwrap_or_else(|_| path.to_path_buf());
    let mut place = folder.to_path_buf();
    for component in path.components() {
        match component {
            Component::Normal(name) => place.push(name),
            // A folder of its own: the copy must not leave the archive.
            Component::ParentDir => place.push("%2e%2e"),
            Component::Prefix(_) | Component::RootDir | Component::CurDir => {}
        }
    }
    place
}
