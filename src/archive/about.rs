//! What a copy says of itself, as JSON at its end.

use std::ffi::OsString;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Path, PathBuf};

use percent_encoding::{AsciiSet, CONTROLS, percent_decode_str, percent_encode};
use serde::{Deserialize, Serialize};

use crate::tail::{FoundFile, found_copy};
use crate::transcript::time::Timestamp;

/// Version of this description. Another one is refused.
const VERSION: u32 = 1;

/// Bytes of paths that are written as `%XX`, besides those that are not ASCII: a path need not be UTF-8.
const ENCODED: &AsciiSet = &CONTROLS.add(b'%');

/// Of which file a copy is, and what that file was like.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct About {
    /// Version of this description.
    pub version: u32,
    /// Path of the session file; `%XX` for bytes that are not printable ASCII.
    path: String,
    /// The session root that it was found below, written as the path is.
    root: String,
    /// Bytes that the file had.
    pub size: u64,
    /// xxh3-128 of these bytes, as 32 hexadecimal digits.
    pub hash: String,
    /// Device of the file.
    pub device: u64,
    /// Inode of the file.
    pub inode: u64,
    /// When the file was written last, in nanoseconds since 1970-01-01 UTC.
    pub modified_ns: i64,
    /// When it was copied, RFC 3339 in UTC.
    pub copied_at: String,
}

impl About {
    /// That of a file that was found below `root`.
    #[must_use]
    pub fn of(found: &FoundFile, root: &Path, hash: u128, copied_at: String) -> Self {
        let FoundFile { path, device, inode, size, modified_ns, .. } = found;
        let (device, inode, size, modified_ns) = (*device, *inode, *size, *modified_ns);
        let (path, root) = (encoded(path), encoded(root));
        Self { version: VERSION, path, root, size, hash: hex(hash), device, inode, modified_ns, copied_at }
    }

    /// Reads it; `None` if it cannot be read, or if a newer version wrote it.
    #[must_use]
    pub fn read(json: &[u8]) -> Option<Self> {
        serde_json::from_slice(json).ok().filter(|about: &Self| about.version == VERSION)
    }

    /// As JSON. Fails if there is no memory for it.
    pub fn json(&self) -> Result<Vec<u8>, serde_json::Error> {
        serde_json::to_vec(self)
    }

    /// Path of the session file.
    #[must_use]
    pub fn path(&self) -> PathBuf {
        decoded(&self.path)
    }

    /// The session root that it was found below.
    #[must_use]
    pub fn root(&self) -> PathBuf {
        decoded(&self.root)
    }

    /// When the file was written last, or copied if that was later, in nanoseconds since 1970-01-01 UTC.
    #[must_use]
    pub fn newest_ns(&self) -> i64 {
        let copied = Timestamp::parse(&self.copied_at).map_or(i64::MIN, |at| at.0.saturating_mul(1_000_000));
        self.modified_ns.max(copied)
    }

    /// Whether the copy has the bytes with this hash.
    #[must_use]
    pub fn has_hash(&self, hash: u128) -> bool {
        self.hash == hex(hash)
    }

    /// Whether the file has not changed since, as far as the system tells. The number of its device may be another one
    /// after each start of the machine.
    #[must_use]
    pub fn is_of(&self, found: &FoundFile) -> bool {
        (self.inode, self.size, self.modified_ns) == (found.inode, found.size, found.modified_ns)
    }

    /// What a scan would have found when the file was copied, to be read from the copy. `path` is that of the file, or one
    /// that tells an earlier form of it. `None` if it is no file of a session.
    #[must_use]
    pub fn found(&self, path: PathBuf, copy: PathBuf) -> Option<FoundFile> {
        let mut found = found_copy(&self.root(), &self.path(), copy)?;
        (found.path, found.device, found.inode) = (path, self.device, self.inode);
        (found.size, found.modified_ns) = (self.size, self.modified_ns);
        Some(found)
    }
}

fn encoded(path: &Path) -> String {
    percent_encode(path.as_os_str().as_bytes(), ENCODED).to_string()
}

fn decoded(path: &str) -> PathBuf {
    PathBuf::from(OsString::from_vec(percent_decode_str(path).collect()))
}

fn hex(hash: u128) -> String {
    format!("{hash:032x}")
}
