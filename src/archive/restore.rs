//! Makes session files of their copies again.

use std::fs::{self, DirBuilder, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use xxhash_rust::xxh3::Xxh3Default;

use super::shelf::Copy;
use crate::tail::frames::{FRAME_BYTES, Frames};

/// What became of one file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Restored {
    /// It is there again, with so many bytes.
    New(u64),
    /// It was there with the same bytes.
    Same,
    /// It was there with other bytes, and was left alone.
    Other,
}

impl Copy {
    /// Reads all of the copy. Fails with `InvalidData` if it is damaged.
    pub fn check(&self) -> io::Result<()> {
        self.read_all(|_| Ok(()))
    }

    /// Where the file is restored to: below a folder as it lay below its root, or where it was.
    #[must_use]
    pub fn restored_to(&self, folder: Option<&Path>) -> PathBuf {
        let path = self.about.path();
        let Some(folder) = folder else { return path };
        let below = path.strip_prefix(self.about.root()).map(Path::to_path_buf);
        below.map_or_else(|_| folder.join(path.file_name().unwrap_or_default()), |below| folder.join(below))
    }

    /// Makes the session file again at a path. A file that is there is left alone. Fails if the copy is damaged, or if the
    /// file cannot be written.
    pub fn restore(&self, path: &Path) -> io::Result<Restored> {
        if path.exists() {
            return Ok(if self.is_same(path)? { Restored::Same } else { Restored::Other });
        }
        if let Some(folder) = path.parent() {
            DirBuilder::new().recursive(true).mode(0o700).create(folder)?;
        }
        let mut name = path.as_os_str().to_owned();
        name.push(format!(".{}.restored", std::process::id()));
        let new = PathBuf::from(name);
        let written = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&new).and_then(|mut file| {
            self.read_all(|bytes| file.write_all(bytes))?;
            file.sync_all()
        });
        // A link fails if a file is there by now.
        let placed = written.and_then(|()| match fs::hard_link(&new, path) {
            // Some file systems have no links.
            Err(error) if error.kind() != io::ErrorKind::AlreadyExists && !path.exists() => fs::rename(&new, path),
            placed => placed,
        });
        fs::remove_file(&new).ok();
        placed.map(|()| Restored::New(self.about.size))
    }

    fn is_same(&self, path: &Path) -> io::Result<bool> {
        let bytes = fs::read(path)?;
        Ok(self.about.has_hash(xxhash_rust::xxh3::xxh3_128(&bytes)) && bytes.len() as u64 == self.about.size)
    }

    /// Gives all bytes of the session file to `take`, and checks them. Fails with `InvalidData` if they are not those that
    /// were copied, or as `take` does.
    fn read_all(&self, mut take: impl FnMut(&[u8]) -> io::Result<()>) -> io::Result<()> {
        let copy = Frames::open(&self.path)?;
        let (mut hash, mut at, mut piece) = (Xxh3Default::new(), 0, vec![0; FRAME_BYTES]);
        while at < copy.size() {
            let read = copy.read_at(&mut piece, at)?;
            let bytes = piece.get(..read).unwrap_or_default();
            if bytes.is_empty() {
                break;
            }
            hash.update(bytes);
            take(bytes)?;
            at += read as u64;
        }
        if at == self.about.size && self.about.has_hash(hash.digest128()) {
            return Ok(());
        }
        Err(io::Error::new(io::ErrorKind::InvalidData, "its bytes are not those that were copied"))
    }
}
