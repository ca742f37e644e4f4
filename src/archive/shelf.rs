//! All copies of an archive.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use super::about::About;
use super::copy::UNFINISHED;
use super::place::{Archive, copy_name, earlier_path};
use crate::tail::FoundFile;
use crate::tail::frames::Frames;

/// A copy in an archive.
#[derive(Debug, Clone)]
pub struct Copy {
    /// The copy.
    pub path: PathBuf,
    /// Which number it has; `None` for the newest copy of a file.
    pub number: Option<u32>,
    /// Bytes that it takes on the disk.
    pub bytes: u64,
    /// What it says of itself.
    pub about: About,
}

/// What lies in an archive.
#[derive(Debug, Default)]
pub struct Shelf {
    /// The copies, in order of their paths; those that cannot be read are not among them.
    pub copies: Vec<Copy>,
    /// Copies that cannot be read, each with the reason.
    pub damaged: Vec<(PathBuf, String)>,
    /// Copies that were never finished.
    pub unfinished: Vec<PathBuf>,
}

impl Copy {
    /// Opens the copy at this path, which has a number or is the newest. Fails if it cannot be read, or does not say what
    /// it is a copy of.
    pub fn open(path: PathBuf, number: Option<u32>) -> io::Result<Self> {
        let copy = Frames::open(&path)?;
        let bytes = fs::metadata(&path)?.len();
        let about = About::read(copy.about()).filter(|about| about.size == copy.size());
        let about = about.ok_or_else(|| {
            io::Error::new(
                io::ErrorKind::InvalidData,
                "what it says of itself is damaged, or written by a newer version",
            )
        })?;
        Ok(Self { path, number, bytes, about })
    }

    /// The path under which the state knows the rows of the copy: that of the file, or one that tells the earlier form.
    #[must_use]
    pub fn known_as(&self) -> PathBuf {
        let path = self.about.path();
        self.number.map_or_else(|| path.clone(), |number| earlier_path(&path, number))
    }

    /// The id of the session that the file is of: its name, or for files of sub-agents that of the folder of the session.
    /// Empty if it is no file of a session.
    #[must_use]
    pub fn session(&self) -> String {
        let found = self.about.found(self.about.path(), self.path.clone());
        let path = found.map(|found| found.session_path());
        path.as_deref().and_then(Path::file_name).map_or_else(String::new, |name| name.to_string_lossy().into_owned())
    }

    /// What a scan would have found, to be read from the copy; `None` if it is no file of a session.
    #[must_use]
    pub fn found(&self) -> Option<FoundFile> {
        self.about.found(self.known_as(), self.path.clone())
    }
}

impl Archive {
    /// Everything that lies in the archive; nothing if there is none. Fails if a folder cannot be read.
    pub fn shelf(&self) -> io::Result<Shelf> {
        let mut shelf = Shelf::default();
        let mut folders: Vec<PathBuf> = self.files().into_iter().collect();
        while let Some(folder) = folders.pop() {
            let entries = match fs::read_dir(&folder) {
                Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => {
                    continue;
                }
                entries => entries.map_err(|error| at(&folder, &error))?,
            };
            for entry in entries {
                let entry = entry.map_err(|error| at(&folder, &error))?;
                let kind = entry.file_type().map_err(|error| at(&folder, &error))?;
                if kind.is_dir() {
                    folders.push(entry.path());
                } else if kind.is_file() {
                    shelf.put(entry.path());
                }
            }
        }
        shelf.copies.sort_by_key(|copy| (copy.about.path(), copy.number));
        shelf.damaged.sort();
        Ok(shelf)
    }
}

impl Shelf {
    /// The ids of the sessions of which there are copies, in order, each once.
    #[must_use]
    pub fn sessions(&self) -> Vec<String> {
        let mut sessions: Vec<String> = self.copies.iter().map(Copy::session).collect();
        sessions.sort();
        sessions.dedup();
        sessions
    }

    fn put(&mut self, path: PathBuf) {
        if path.extension().is_some_and(|end| end == UNFINISHED) {
            self.unfinished.push(path);
            return;
        }
        let Some((_, number)) = path.file_name().and_then(copy_name) else { return };
        match Copy::open(path.clone(), number) {
            Ok(copy) => self.copies.push(copy),
            // It has become another one meanwhile, or was ended.
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => self.damaged.push((path, error.to_string())),
        }
    }
}

/// An error with the folder where it happened.
fn at(folder: &Path, error: &io::Error) -> io::Error {
    io::Error::new(error.kind(), format!("{}: {error}", folder.display()))
}
