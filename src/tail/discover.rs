//! Finds the files below a projects folder that matter, by name alone.
//!
//! ```text
//! <root>/<slug>/<x>.jsonl                                        Rows (2.0.x agent files too)
//! <root>/<slug>/<session>/subagents/**/agent-<id>.jsonl          Rows
//! <root>/<slug>/<session>/subagents/**/agent-<id>.meta.json      AgentMeta
//! ```
//!
//! Everything else is left alone: `memory/`, `tool-results/`, `*.compact.tmp.*`, other depths. Folders that cannot hold
//! such a file are not listed, because a scan runs every few seconds.

use std::collections::HashSet;
use std::ffi::OsStr;
use std::fs::{self, Metadata};
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Component, Path, PathBuf};
use std::sync::Arc;

use crate::transcript::chunk::FileRole;

use super::identity::Stat;

/// A file that matters, as it was when the scan saw it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Found {
    /// Path below the root that was scanned; need not be UTF-8.
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
    /// Folders from that of the session down to the file: 0 for a session's own file, 1 in `subagents`.
    pub depth: usize,
}

impl Found {
    /// The path of the session that the file belongs to, without an ending: sub-agents of one session lie in a folder
    /// of that name. Told by where the scan began, since folders above that may be called anything.
    #[must_use]
    pub fn session_path(&self) -> PathBuf {
        if self.depth == 0 {
            return self.path.with_extension("");
        }
        self.path.ancestors().nth(self.depth.saturating_add(1)).unwrap_or(&self.path).to_path_buf()
    }
}

/// A folder or file that a scan could not look at; the scan went on without it.
#[derive(Debug, thiserror::Error)]
#[error("cannot look at {path}")]
pub struct Problem {
    /// The folder or file.
    pub path: PathBuf,
    /// What the system said.
    pub source: io::Error,
}

/// What the file `path` below the projects folder `root` is; `None` if it does not matter.
#[must_use]
pub fn role_of(root: &Path, path: &Path) -> Option<FileRole> {
    place_of(root, path).map(|(role, _)| role)
}

/// The same, with [`Found::depth`].
fn place_of(root: &Path, path: &Path) -> Option<(FileRole, usize)> {
    let level = Level::of(root, path.parent()?)?;
    level.file_role(path.file_name()?).map(|role| (role, level.depth()))
}

/// All non-empty files that matter below the projects folder `root`, sorted by path.
///
/// A missing root has no files. What vanishes during the scan is left out, what cannot be read goes to `on_problem`.
pub fn scan(root: &Path, on_problem: &mut dyn FnMut(Problem)) -> Vec<Found> {
    Walk::new(on_problem).run(root.to_path_buf(), Level::Root)
}

/// [`scan`] of one folder or file `path` at or below `root`; empty if nothing there can matter.
pub fn scan_under(root: &Path, path: &Path, on_problem: &mut dyn FnMut(Problem)) -> Vec<Found> {
    if let Some(place) = place_of(root, path) {
        let mut walk = Walk::new(on_problem);
        walk.look_at_file(path.to_path_buf(), place);
        // A folder may bear the name of a file.
        if !walk.found.is_empty() {
            return walk.found;
        }
    }
    Level::of(root, path).map_or_else(Vec::new, |level| Walk::new(on_problem).run(path.to_path_buf(), level))
}

/// One session file given by name, with the agents in the folder `<stem>/subagents` beside it; sorted by path.
pub fn scan_session(path: &Path, on_problem: &mut dyn FnMut(Problem)) -> Vec<Found> {
    let (Some(name), Some(stem)) = (path.file_name(), path.file_stem()) else { return Vec::new() };
    let Some(role) = Level::Slug.file_role(name) else { return Vec::new() };
    let mut walk = Walk::new(on_problem);
    walk.look_at_file(path.to_path_buf(), (role, Level::Slug.depth()));
    walk.run(path.with_file_name(stem), Level::Session(lossy(stem)))
}

/// How deep a folder lies: it decides which children matter.
#[derive(Debug, Clone)]
enum Level {
    Root,
    Slug,
    Session(Arc<str>),
    /// Of a session, with [`Found::depth`] of the files in it.
    Subagents(Arc<str>, usize),
}

impl Level {
    /// The level of the folder `path`; `None` if it is outside `root` or nothing in it can matter.
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
            Self::Session(session) if name == "subagents" => Some(Self::Subagents(Arc::clone(session), 1)),
            Self::Session(_) => None,
            Self::Subagents(session, depth) => Some(Self::Subagents(Arc::clone(session), depth.saturating_add(1))),
        }
    }

    /// [`Found::depth`] of the files in a folder at this level.
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

    /// Whether a folder at this level may be reached through a symbolic link.
    ///
    /// Below `subagents` every folder is listed, so a link to `/` there would list the whole file system.
    const fn may_be_linked(&self) -> bool {
        !matches!(self, Self::Subagents(..))
    }
}

fn has_stem(stem: Option<&[u8]>) -> bool {
    stem.is_some_and(|stem| !stem.is_empty())
}

fn lossy(name: &OsStr) -> Arc<str> {
    name.to_string_lossy().into()
}

/// One scan under way. It is a loop over a list, not a recursion, so that depth costs no stack.
struct Walk<'a> {
    pending: Vec<(PathBuf, Level)>,
    /// Folders behind links come last, so that a folder is known by its own name if it has one below the root.
    linked: Vec<(PathBuf, Level)>,
    /// Device and inode of every listed folder: a link back up the tree ends here.
    visited: HashSet<(u64, u64)>,
    found: Vec<Found>,
    on_problem: &'a mut dyn FnMut(Problem),
}

impl<'a> Walk<'a> {
    fn new(on_problem: &'a mut dyn FnMut(Problem)) -> Self {
        Self { pending: Vec::new(), linked: Vec::new(), visited: HashSet::new(), found: Vec::new(), on_problem }
    }

    fn run(mut self, path: PathBuf, level: Level) -> Vec<Found> {
        self.pending.push((path, level));
        while let Some((path, level)) = self.pending.pop().or_else(|| self.linked.pop()) {
            self.list(&path, &level);
        }
        self.found.sort_unstable_by(|one, other| one.path.cmp(&other.path));
        self.found
    }

    fn list(&mut self, path: &Path, level: &Level) {
        let Some(metadata) = self.stat(path) else { return };
        if !metadata.is_dir() || !self.visited.insert((metadata.dev(), metadata.ino())) {
            return;
        }
        let Some(entries) = self.report(path, fs::read_dir(path)) else { return };
        // Links are followed in the order of their names, whatever order the file system lists them in.
        let first_linked = self.linked.len();
        for entry in entries {
            let Some(entry) = self.report(path, entry) else { break };
            let path = entry.path();
            let Some(kind) = self.report(&path, entry.file_type()) else { continue };
            self.look_at_entry(path, kind, level);
        }
        if let Some(added) = self.linked.get_mut(first_linked..) {
            added.sort_unstable_by(|(one, _), (other, _)| other.cmp(one));
        }
    }

    fn look_at_entry(&mut self, path: PathBuf, kind: fs::FileType, level: &Level) {
        let Some(name) = path.file_name() else { return };
        let place = level.file_role(name).map(|role| (role, level.depth()));
        let child = level.child(name);
        if kind.is_dir() {
            self.pending.extend(child.map(|child| (path, child)));
        } else if kind.is_symlink() {
            self.look_at_link(path, place, child.filter(Level::may_be_linked));
        } else if let Some(place) = place {
            self.look_at_file(path, place);
        }
    }

    fn look_at_link(&mut self, path: PathBuf, place: Option<(FileRole, usize)>, child: Option<Level>) {
        if place.is_none() && child.is_none() {
            return;
        }
        let Some(metadata) = self.stat(&path) else { return };
        if metadata.is_dir() {
            self.linked.extend(child.map(|child| (path, child)));
        } else if let Some(place) = place {
            self.note(path, place, &metadata);
        }
    }

    fn look_at_file(&mut self, path: PathBuf, place: (FileRole, usize)) {
        if let Some(metadata) = self.stat(&path) {
            self.note(path, place, &metadata);
        }
    }

    fn note(&mut self, path: PathBuf, (role, depth): (FileRole, usize), metadata: &Metadata) {
        let Stat { device, inode, size, modified_ns } = Stat::of_metadata(metadata);
        // Anything but a file (a pipe, for example) could block the reader. 2.0.x leaves empty files behind.
        if metadata.is_file() && size > 0 {
            self.found.push(Found { path, role, device, inode, size, modified_ns, depth });
        }
    }

    fn stat(&mut self, path: &Path) -> Option<Metadata> {
        self.report(path, fs::metadata(path))
    }

    fn report<T>(&mut self, path: &Path, result: io::Result<T>) -> Option<T> {
        match result {
            Ok(value) => Some(value),
            // Gone since its folder was listed, or a link to nothing: there is no file, so there is no problem.
            Err(error) if error.kind() == io::ErrorKind::NotFound => None,
            Err(source) => {
                (self.on_problem)(Problem { path: path.to_path_buf(), source });
                None
            }
        }
    }
}
