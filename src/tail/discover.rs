//! Finds the files below a projects folder that belong to sessions, by name alone.
//!
//! ```text
//! <root>/<slug>/<x>.jsonl                                        Rows (2.0.x agent files too)
//! <root>/<slug>/<session>/subagents/**/agent-<id>.jsonl          Rows
//! <root>/<slug>/<session>/subagents/**/agent-<id>.meta.json      AgentMeta
//! <state>/streams/<run>.jsonl                                    Stream
//! ```
//!
//! Everything else is left alone: `memory/`, `tool-results/`, `*.compact.tmp.*`, other depths. Folders that cannot hold
//! such a file are not listed, because a scan runs every few seconds.

use std::collections::HashSet;
use std::ffi::{CStr, OsStr};
use std::os::fd::AsFd;
use std::os::unix::ffi::OsStrExt;
use std::path::{Component, Path, PathBuf};
use std::sync::Arc;
use std::{io, mem};

use rustix::fs::{AtFlags, CWD, Dir, FileType, Mode, OFlags, fstat, openat, statat};
use rustix::io::Errno;

use crate::transcript::chunk::FileRole;

use super::stat::Stat;

/// A file of a session, as it was when the scan saw it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FoundFile {
    /// Path of the file, which begins with the scanned root; it need not be UTF-8.
    pub path: PathBuf,
    /// What kind of file, told by its path.
    pub role: FileRole,
    /// Device number.
    pub device: u64,
    /// Inode number.
    pub inode: u64,
    /// Size in bytes, never 0.
    pub size: u64,
    /// Modification time in nanoseconds since 1970-01-01 UTC.
    pub modified_ns: i64,
    /// How many folders the file lies below the folder of its session: 0 for the session's own file, 1 in `subagents`,
    /// more in folders below `subagents`.
    pub depth: usize,
    /// The copy that is read in place of the file, which is as above when it was copied; `None` if the file itself is.
    pub copy: Option<PathBuf>,
}

impl FoundFile {
    /// The path of the session that the file belongs to, without `.jsonl`: also the path of the folder in which the
    /// files of its sub-agents lie. It follows from [`FoundFile::depth`], since the folders above may have any name.
    #[must_use]
    pub fn session_path(&self) -> PathBuf {
        if self.depth == 0 {
            return self.path.with_extension("");
        }
        self.path.ancestors().nth(self.depth.saturating_add(1)).unwrap_or(&self.path).to_path_buf()
    }

    /// Whether the file is still as it was found, as far as the system tells.
    #[must_use]
    pub fn is_unchanged(&self) -> bool {
        std::fs::metadata(&self.path)
            .is_ok_and(|metadata| metadata.is_file() && Stat::of_metadata(&metadata) == self.stat())
    }

    pub(super) const fn stat(&self) -> Stat {
        Stat { device: self.device, inode: self.inode, size: self.size, modified_ns: self.modified_ns }
    }
}

/// A folder or file that a scan could not look at; the scan went on without it.
#[derive(Debug, thiserror::Error)]
#[error("cannot look at {path}")]
pub struct FolderProblem {
    /// The folder or file.
    pub path: PathBuf,
    /// The error of the operating system.
    pub source: io::Error,
}

/// The role of the file `path` below the projects folder `root`; `None` if it is not a file of a session.
#[must_use]
pub fn role_of(root: &Path, path: &Path) -> Option<FileRole> {
    place_of(root, path).map(|(role, _)| role)
}

/// [`role_of`] a file, with its [`FoundFile::depth`].
fn place_of(root: &Path, path: &Path) -> Option<(FileRole, usize)> {
    let level = Level::of(root, path.parent()?)?;
    level.file_role(path.file_name()?).map(|role| (role, level.depth()))
}

/// A file `path` below the projects folder `root`, with the copy that is read in its place; `None` if it is not a file of a
/// session. What the system would tell of the file is 0.
#[must_use]
pub fn found_copy(root: &Path, path: &Path, copy: PathBuf) -> Option<FoundFile> {
    let (role, depth) = place_of(root, path)?;
    let (path, copy) = (path.to_path_buf(), Some(copy));
    Some(FoundFile { path, role, device: 0, inode: 0, size: 0, modified_ns: 0, depth, copy })
}

/// Receives what a scan comes across. A closure that takes a [`FolderProblem`] is an observer too.
pub trait Observer {
    /// Called for a folder or file that cannot be looked at.
    fn problem(&mut self, problem: FolderProblem);

    /// Called with the folders that are listed next, so that they can be watched before. Folders behind a symbolic link
    /// below the root are not among them.
    fn folders(&mut self, _folders: &[Folder]) {}
}

impl<F: FnMut(FolderProblem)> Observer for F {
    fn problem(&mut self, problem: FolderProblem) {
        self(problem);
    }
}

/// A folder that may hold files of sessions.
#[derive(Debug, Clone)]
pub struct Folder {
    pub path: PathBuf,
    level: Level,
    is_linked: bool,
}

/// All non-empty files of sessions below the projects folder `root`, sorted by the bytes of their paths: the file of a
/// session comes right before those of its sub-agents.
///
/// A missing root has no files. A file that vanishes during the scan is left out; a folder or file that cannot be
/// looked at is reported to `observer`.
pub fn scan(root: &Path, observer: &mut dyn Observer) -> Vec<FoundFile> {
    FolderWalk::new(observer).run(root.to_path_buf(), Level::Root)
}

/// [`scan`] of one folder or file `path` at or below `root`; empty if no file of a session can be there.
pub fn scan_under(root: &Path, path: &Path, observer: &mut dyn Observer) -> Vec<FoundFile> {
    if let Some(place) = place_of(root, path) {
        let mut walk = FolderWalk::new(observer);
        walk.look_at_file(CWD, path, path.to_path_buf(), place);
        // A folder may have a name like a session file, so it is scanned if no such file is found.
        if !walk.found.is_empty() {
            return walk.found;
        }
    }
    Level::of(root, path).map_or_else(Vec::new, |level| FolderWalk::new(observer).run(path.to_path_buf(), level))
}

/// One session file given by name, and the files of its sub-agents in the folder `<stem>/subagents` beside it, sorted
/// as by [`scan`].
pub fn scan_session(path: &Path, observer: &mut dyn Observer) -> Vec<FoundFile> {
    let (Some(name), Some(stem)) = (path.file_name(), path.file_stem()) else { return Vec::new() };
    let Some(role) = Level::Slug.file_role(name) else { return Vec::new() };
    let mut walk = FolderWalk::new(observer);
    walk.look_at_file(CWD, path, path.to_path_buf(), (role, Level::Slug.depth()));
    walk.run(path.with_file_name(stem), Level::Session(lossy(stem)))
}

/// The folder of stream files below a state folder.
#[must_use]
pub fn streams_below(state: &Path) -> PathBuf {
    state.join("streams")
}

/// The stream files in `folder`, the folder that the sidecar keeps them in, sorted by the bytes of their paths.
pub fn scan_streams(folder: &Path, observer: &mut dyn Observer) -> Vec<FoundFile> {
    let mut found = FolderWalk::new(observer).run(folder.to_path_buf(), Level::Streams);
    found.sort_by_key(|file| place_in_run(&file.path));
    found
}

/// The run that a stream file is of, and its number: `RUN.jsonl` is the first, then `RUN.1.jsonl`, `RUN.2.jsonl`.
fn place_in_run(path: &Path) -> (Vec<u8>, u64) {
    let name = path.file_name().map(OsStr::as_encoded_bytes).unwrap_or_default();
    let mut parts = name.split(|byte| *byte == b'.');
    let run = parts.next().unwrap_or_default().to_vec();
    let number = parts.next().and_then(|number| std::str::from_utf8(number).ok()?.parse().ok());
    (run, number.unwrap_or(0))
}

/// [`scan_streams`] for one file in `folder`; empty if there is no such stream file.
pub fn scan_stream(folder: &Path, path: &Path, observer: &mut dyn Observer) -> Vec<FoundFile> {
    let name = path.file_name().filter(|_| path.parent() == Some(folder));
    let Some(role) = name.and_then(|name| Level::Streams.file_role(name)) else { return Vec::new() };
    let mut walk = FolderWalk::new(observer);
    walk.look_at_file(CWD, path, path.to_path_buf(), (role, 0));
    walk.found
}

/// Name of the folder of sub-agents, in the folder of a session.
const SUBAGENTS: &str = "subagents";

/// What kind of folder it is, by its depth below the root: it decides which children are looked at.
#[derive(Debug, Clone)]
enum Level {
    Root,
    Slug,
    Session(Arc<str>),
    /// `subagents` of this session, or a folder below it, with the [`FoundFile::depth`] of the files in it.
    Subagents(Arc<str>, usize),
    /// The folder of stream files, which is below the state and not below a root.
    Streams,
}

impl Level {
    /// The level of the folder `path`; `None` if it is outside `root` or cannot hold files of sessions.
    fn of(root: &Path, path: &Path) -> Option<Self> {
        let below = path.strip_prefix(root).ok()?;
        below.components().try_fold(Self::Root, |level, component| match component {
            Component::Normal(name) => level.child(name),
            _ => None,
        })
    }

    fn child(&self, name: &OsStr) -> Option<Self> {
        match self {
            Self::Root => Some(Self::Slug),
            Self::Slug if name == "memory" => None,
            Self::Slug => Some(Self::Session(lossy(name))),
            Self::Session(session) if name == SUBAGENTS => Some(Self::Subagents(Arc::clone(session), 1)),
            Self::Session(_) | Self::Streams => None,
            Self::Subagents(session, depth) => Some(Self::Subagents(Arc::clone(session), depth.saturating_add(1))),
        }
    }

    /// [`FoundFile::depth`] of the files in a folder at this level.
    const fn depth(&self) -> usize {
        match self {
            Self::Subagents(_, depth) => *depth,
            _ => 0,
        }
    }

    fn file_role(&self, name: &OsStr) -> Option<FileRole> {
        let bytes = name.as_encoded_bytes();
        if memchr::memmem::find(bytes, b".compact.tmp.").is_some() {
            return None;
        }
        match self {
            Self::Root | Self::Session(_) => None,
            Self::Slug => has_stem(bytes.strip_suffix(b".jsonl")).then_some(FileRole::Rows),
            Self::Streams => has_stem(bytes.strip_suffix(b".jsonl")).then_some(FileRole::Stream),
            Self::Subagents(session, _) => {
                let rest = bytes.strip_prefix(b"agent-")?;
                if has_stem(rest.strip_suffix(b".jsonl")) {
                    return Some(FileRole::Rows);
                }
                let agent = rest.strip_suffix(b".meta.json").filter(|agent| !agent.is_empty())?;
                let agent = String::from_utf8_lossy(agent).into();
                Some(FileRole::AgentMeta { session: Arc::clone(session), agent })
            }
        }
    }

    /// True if a folder at this level may be reached through a symbolic link.
    ///
    /// It may not from `subagents` on, where every folder is listed: a link to `/` would list the whole file system.
    const fn may_be_linked(&self) -> bool {
        !matches!(self, Self::Subagents(..) | Self::Streams)
    }
}

fn has_stem(stem: Option<&[u8]>) -> bool {
    stem.is_some_and(|stem| !stem.is_empty())
}

fn lossy(name: &OsStr) -> Arc<str> {
    name.to_string_lossy().into()
}

/// A scan that is running. It goes level by level in a loop, not in a recursion, so that deep folders need no stack.
struct FolderWalk<'a> {
    pending: Vec<Folder>,
    /// Folders behind links, listed last, so that a folder that is also below the root is found under its own path.
    linked: Vec<Folder>,
    /// Device and inode of every listed folder. None is listed twice, so a link to a folder above ends the walk there.
    visited: HashSet<(u64, u64)>,
    found: Vec<FoundFile>,
    observer: &'a mut dyn Observer,
}

impl<'a> FolderWalk<'a> {
    fn new(observer: &'a mut dyn Observer) -> Self {
        Self { pending: Vec::new(), linked: Vec::new(), visited: HashSet::new(), found: Vec::new(), observer }
    }

    fn run(mut self, path: PathBuf, level: Level) -> Vec<FoundFile> {
        // A root may be a link; links below it are noted as such, since they are not watched. `path` may come from an
        // event and need not be a folder.
        let flags =
            if matches!(level, Level::Root | Level::Streams) { AtFlags::empty() } else { AtFlags::SYMLINK_NOFOLLOW };
        let kind = self.report(&path, statat(CWD, &path, flags)).map(|stat| FileType::from_raw_mode(stat.st_mode));
        if let Some(kind) = kind.filter(|kind| kind.is_dir() || (kind.is_symlink() && level.may_be_linked())) {
            self.pending.push(Folder { path, level, is_linked: kind.is_symlink() });
        }
        loop {
            let folders = mem::take(&mut self.pending);
            if folders.first().is_some_and(|folder| !folder.is_linked) {
                self.observer.folders(&folders);
            }
            for folder in &folders {
                match &folder.level {
                    Level::Session(session) => self.look_below_session(folder, session),
                    _ => self.list(folder),
                }
            }
            if self.pending.is_empty() {
                let Some(linked) = self.linked.pop() else { break };
                self.pending.push(linked);
            }
        }
        self.found.sort_unstable_by(|one, other| one.path.as_os_str().cmp(other.path.as_os_str()));
        self.found
    }

    /// Looks for the `subagents` folder of a session, the only one in its folder that is listed.
    fn look_below_session(&mut self, folder: &Folder, session: &Arc<str>) {
        let path = child_path(&folder.path, OsStr::new(SUBAGENTS));
        let stat = statat(CWD, &path, AtFlags::SYMLINK_NOFOLLOW);
        if self.report(&path, stat).is_some_and(|stat| FileType::from_raw_mode(stat.st_mode).is_dir()) {
            let level = Level::Subagents(Arc::clone(session), 1);
            self.pending.push(Folder { path, level, is_linked: folder.is_linked });
        }
    }

    /// Lists a folder. Its entries are looked up by name relative to the open folder, because resolving long paths is
    /// slow.
    fn list(&mut self, folder: &Folder) {
        let path = folder.path.as_path();
        let opened = openat(CWD, path, OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty());
        let Some(opened) = self.report(path, opened) else { return };
        let Some(stat) = self.report(path, fstat(&opened)).map(|stat| Stat::of(&stat)) else { return };
        if !self.visited.insert((stat.device, stat.inode)) {
            return;
        }
        let Some(mut entries) = self.report(path, Dir::new(opened)) else { return };
        // Links are followed in the order of their names, whatever order the file system lists them in.
        let first_linked = self.linked.len();
        while let Some(entry) = entries.read() {
            let Some(entry) = self.report(path, entry) else { break };
            if matches!(entry.file_name().to_bytes(), b"." | b"..") {
                continue;
            }
            let Some(above) = self.report(path, entries.fd()) else { break };
            let kind = match entry.file_type() {
                // Some file systems do not tell the kind of an entry.
                FileType::Unknown => {
                    let child = child_path(path, as_name(entry.file_name()));
                    let stat = statat(above, entry.file_name(), AtFlags::SYMLINK_NOFOLLOW);
                    let Some(stat) = self.report(&child, stat) else { continue };
                    FileType::from_raw_mode(stat.st_mode)
                }
                kind => kind,
            };
            self.look_at_entry(folder, above, (entry.file_name(), kind));
        }
        if let Some(added) = self.linked.get_mut(first_linked..) {
            added.sort_unstable_by(|one, other| other.path.cmp(&one.path));
        }
    }

    fn look_at_entry(&mut self, folder: &Folder, above: impl AsFd, (name, kind): (&CStr, FileType)) {
        let Folder { path, level, is_linked } = folder;
        let place = level.file_role(as_name(name)).map(|role| (role, level.depth()));
        let below = level.child(as_name(name));
        let path = || child_path(path, as_name(name));
        if kind.is_dir() {
            self.pending.extend(below.map(|level| Folder { path: path(), level, is_linked: *is_linked }));
        } else if kind.is_symlink() {
            let below = below.filter(Level::may_be_linked);
            if place.is_some() || below.is_some() {
                let linked = below.map(|level| Folder { path: path(), level, is_linked: true });
                self.look_at_link(above, name, path(), place, linked);
            }
        } else if let Some(place) = place {
            self.look_at_file(above, name, path(), place);
        }
    }

    fn look_at_link(
        &mut self,
        above: impl AsFd,
        name: &CStr,
        path: PathBuf,
        place: Option<(FileRole, usize)>,
        folder: Option<Folder>,
    ) {
        let Some(stat) = self.report(&path, statat(above, name, AtFlags::empty())) else { return };
        if FileType::from_raw_mode(stat.st_mode).is_dir() {
            self.linked.extend(folder);
        } else if let Some(place) = place {
            self.note(path, place, &stat);
        }
    }

    /// Looks at the file `name`, which is relative to the folder `above`; `path` is its whole path.
    fn look_at_file(
        &mut self,
        above: impl AsFd,
        name: impl rustix::path::Arg,
        path: PathBuf,
        place: (FileRole, usize),
    ) {
        if let Some(stat) = self.report(&path, statat(above, name, AtFlags::empty())) {
            self.note(path, place, &stat);
        }
    }

    fn note(&mut self, path: PathBuf, (role, depth): (FileRole, usize), stat: &rustix::fs::Stat) {
        let is_file = FileType::from_raw_mode(stat.st_mode).is_file();
        let Stat { device, inode, size, modified_ns } = Stat::of(stat);
        // Anything but a regular file, for example a pipe, could block the reader. Clients of version 2.0 leave empty
        // files.
        if is_file && size > 0 {
            self.found.push(FoundFile { path, role, device, inode, size, modified_ns, depth, copy: None });
        }
    }

    fn report<T>(&mut self, path: &Path, result: rustix::io::Result<T>) -> Option<T> {
        match result {
            Ok(value) => Some(value),
            // Gone since its folder was listed, a link to nothing, or not a folder: there is nothing to read, so no
            // problem.
            Err(Errno::NOENT | Errno::NOTDIR) => None,
            Err(error) => {
                self.observer.problem(FolderProblem { path: path.to_path_buf(), source: io::Error::from(error) });
                None
            }
        }
    }
}

/// [`Path::join`] into memory of the right size, because it is done for every file.
fn child_path(folder: &Path, name: &OsStr) -> PathBuf {
    let mut path = PathBuf::with_capacity(folder.as_os_str().len() + 1 + name.len());
    path.push(folder);
    path.push(name);
    path
}

fn as_name(name: &CStr) -> &OsStr {
    OsStr::from_bytes(name.to_bytes())
}
