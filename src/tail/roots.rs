//! Finds the projects folders, which hold the session files: from flags, configuration or the client's own rules.

use std::collections::HashSet;
use std::ffi::{OsStr, OsString};
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

/// Settings of the environment that tell where session files are.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RootEnv {
    /// `CLAUDE_CONFIG_DIR`: configuration folders, separated by commas.
    pub claude_config_dir: Option<OsString>,
    /// The home folder of the user; `None` if it is not known.
    pub home: Option<PathBuf>,
}

/// What the path that was given to `scan` is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ScanTarget {
    /// A projects folder: for [`scan`](super::scan).
    Root(PathBuf),
    /// One session file: for [`scan_session`](super::scan_session).
    File(PathBuf),
    /// The path is neither a folder nor a session file, or does not exist.
    NotFound,
}

/// The projects folders to read, whether they exist or not, each once.
///
/// They come from the first of these that names any: `flags`, `configured`, `CLAUDE_CONFIG_DIR`, the two places below
/// the home folder that clients use. A folder may appear later, so the caller keeps the list and asks [`existing`] at
/// each scan.
#[must_use]
pub fn session_roots(flags: &[PathBuf], configured: &[PathBuf], env: &RootEnv) -> Vec<PathBuf> {
    let mut roots = [flags, configured].into_iter().find(|paths| !paths.is_empty()).map_or_else(
        || {
            let listed = env.claude_config_dir.as_deref().map(listed_roots).filter(|roots| !roots.is_empty());
            listed.unwrap_or_else(|| env.home.as_deref().map(home_roots).unwrap_or_default())
        },
        <[PathBuf]>::to_vec,
    );
    let mut known = HashSet::new();
    roots.retain(|root| known.insert(root.clone()));
    roots
}

/// The `roots` that are folders now, with symbolic links resolved, each once.
///
/// Links are resolved because two roots may be the same folder, and because the paths in events begin with the resolved
/// path.
#[must_use]
pub fn existing(roots: &[PathBuf]) -> Vec<PathBuf> {
    let mut known = HashSet::new();
    let resolved = roots.iter().filter_map(|root| fs::canonicalize(root).ok());
    resolved.filter(|root| root.is_dir() && known.insert(root.clone())).collect()
}

/// What `path` is: a projects folder, a configuration folder with a projects folder in it, or a session file.
#[must_use]
pub fn resolve_scan_target(path: &Path) -> ScanTarget {
    let Ok(metadata) = fs::metadata(path) else { return ScanTarget::NotFound };
    if metadata.is_dir() {
        let projects = path.join("projects");
        return ScanTarget::Root(if projects.is_dir() { projects } else { path.to_path_buf() });
    }
    let is_session = metadata.is_file() && path.extension() == Some(OsStr::new("jsonl"));
    if is_session { ScanTarget::File(path.to_path_buf()) } else { ScanTarget::NotFound }
}

fn listed_roots(list: &OsStr) -> Vec<PathBuf> {
    let folders = list.as_bytes().split(|&byte| byte == b',').map(<[u8]>::trim_ascii);
    let folders = folders.filter(|folder| !folder.is_empty());
    folders.map(|folder| Path::new(OsStr::from_bytes(folder)).join("projects")).collect()
}

fn home_roots(home: &Path) -> Vec<PathBuf> {
    vec![home.join(".claude/projects"), home.join(".config/claude/projects")]
}
