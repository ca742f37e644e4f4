//! Takes in session files of another machine or an old backup, or the copies of another archive.
//!
//! They get copies of their own, under the paths that they have. Whoever counts reads what it does not know of them; a
//! response that is known already counts once, by its id.

use std::collections::HashSet;
use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use super::copy::{Copied, CopyError, unfinished};
use super::place::{Archive, numbered};
use super::shelf::{Copy, Shelf};
use crate::tail::frames::Frames;
use crate::tail::{self, FolderProblem, FoundFile, ScanTarget};
use crate::text::chain;
use crate::transcript::time::Timestamp;

/// What was taken in.
#[derive(Debug, Default)]
pub struct Imported {
    /// Files, or copies of another archive, that have a copy now.
    pub new: u64,
    /// Bytes of these files.
    pub bytes: u64,
    /// Files that had one already.
    pub known: u64,
    /// What could not be taken in, each with the reason.
    pub failed: Vec<(PathBuf, String)>,
}

/// Why nothing more is taken in.
#[derive(Debug, thiserror::Error)]
pub enum ImportError {
    /// There is no such folder or file.
    #[error("{path} is no folder with session files, no session file, and no archive", path = path.display())]
    NotFound {
        /// What was named.
        path: PathBuf,
    },
    /// Copies cannot be written.
    #[error(transparent)]
    Copy(#[from] CopyError),
    /// An archive cannot be read or written.
    #[error("cannot use the archive {path}", path = path.display())]
    Archive {
        /// Its folder.
        path: PathBuf,
        /// The error of the operating system.
        source: io::Error,
    },
}

impl Archive {
    /// Takes in everything below `from`: a projects folder, a configuration folder that has one, a session file, or an
    /// archive. `progress` is called for each file.
    pub fn import(&self, from: &Path, now: Timestamp, mut progress: impl FnMut()) -> Result<Imported, ImportError> {
        let from = fs::canonicalize(from).map_err(|_| ImportError::NotFound { path: from.to_path_buf() })?;
        let mut imported = Imported::default();
        let other = Self::at(&from);
        let failed = |path: &Path| {
            let path = path.to_path_buf();
            move |source| ImportError::Archive { path, source }
        };
        let shelf =
            if from.join("projects").is_dir() { Shelf::default() } else { other.shelf().map_err(failed(&from))? };
        if shelf.copies.is_empty() && shelf.damaged.is_empty() {
            for (found, root) in files(&from, &mut imported)? {
                if let Err(error) = self.import_file(&found, &root, now, &mut imported) {
                    // What was taken in before counts.
                    self.touch().ok();
                    return Err(error.into());
                }
                progress();
            }
        } else {
            imported.failed.extend(shelf.damaged);
            for copy in shelf.copies {
                match self.import_copy(&copy) {
                    Ok(true) => {
                        imported.new += 1;
                        imported.bytes += copy.about.size;
                    }
                    Ok(false) => imported.known += 1,
                    Err(error) if error.kind() == io::ErrorKind::InvalidData => {
                        imported.failed.push((copy.path.clone(), error.to_string()));
                    }
                    Err(error) => return Err(failed(self.directory().unwrap_or(&from))(error)),
                }
                progress();
            }
        }
        if imported.new > 0 {
            self.touch().map_err(failed(self.directory().unwrap_or(&from)))?;
        }
        Ok(imported)
    }

    fn import_file(
        &self,
        found: &FoundFile,
        root: &Path,
        now: Timestamp,
        imported: &mut Imported,
    ) -> Result<(), CopyError> {
        let known = self.copy_of(&found.path).and_then(|path| Copy::open(path, None).ok());
        if let Some(copy) = known.filter(|copy| copy.about.is_of(found)) {
            if copy.check().is_ok() {
                imported.known += 1;
                return Ok(());
            }
            // It is damaged, and its file is at hand.
            let damaged = copy.path.with_extension("zst.damaged");
            fs::rename(&copy.path, damaged).map_err(|source| CopyError::Copy { path: copy.path.clone(), source })?;
        }
        if let Some(reason) = self.is_full(found.size) {
            imported.failed.push((found.path.clone(), reason));
            return Ok(());
        }
        match self.copy(found, root, now, &|| true) {
            Ok(Copied::New { size, .. }) => {
                imported.new += 1;
                imported.bytes += size;
            }
            Ok(Copied::Changed) => {
                imported.failed.push((found.path.clone(), "it changed while it was read: import it again".to_owned()));
            }
            Err(error) if error.is_of_disk() => return Err(error),
            Err(error) => imported.failed.push((found.path.clone(), chain(&error))),
        }
        Ok(())
    }

    /// Takes in a copy of another archive. Returns whether it was new. Fails with `InvalidData` if it is damaged.
    fn import_copy(&self, copy: &Copy) -> io::Result<bool> {
        let path = copy.about.path();
        let Some(target) = self.copy_of(&path) else { return Ok(false) };
        copy.check()?;
        if let Some(reason) = self.is_full(copy.bytes * 2) {
            return Err(io::Error::new(io::ErrorKind::InvalidData, reason));
        }
        let _placing = self.lock()?;
        let newest = Copy::open(target.clone(), None).ok();
        let earlier = self.earlier_copies(&path);
        let known = earlier.iter().filter_map(|(number, path)| Copy::open(path.clone(), Some(*number)).ok());
        let known = known.chain(newest.clone()).filter(|known| known.about.hash == copy.about.hash);
        let hashes: HashSet<String> =
            known.filter(|known| known.check().is_ok()).map(|known| known.about.hash).collect();
        if hashes.contains(&copy.about.hash) {
            return Ok(false);
        }
        let other = Frames::open(&copy.path)?;
        let place = match &newest {
            None if copy.number.is_none() => target,
            // The one that is here is damaged.
            Some(own) if own.about.hash == copy.about.hash => target,
            Some(own) if Frames::open(&own.path).is_ok_and(|own| begins_with(&other, &own)) => target,
            // What is here has grown since.
            Some(own) if Frames::open(&own.path).is_ok_and(|own| begins_with(&own, &other)) => return Ok(false),
            _ => numbered(&target.with_extension(""), Some(earlier.first().map_or(0, |(number, _)| *number) + 1)),
        };
        put(copy, &place)?;
        Ok(true)
    }
}

/// Puts a copy of another archive at its place, once it was read back there.
fn put(copy: &Copy, place: &Path) -> io::Result<()> {
    let new = unfinished(place);
    if let Some(folder) = place.parent() {
        DirBuilder::new().recursive(true).mode(0o700).create(folder)?;
    }
    let opened = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&new);
    let copied = opened.and_then(|mut file| {
        io::copy(&mut File::open(&copy.path)?, &mut file)?;
        file.sync_all()?;
        Copy::open(new.clone(), copy.number)?.check()?;
        fs::rename(&new, place)?;
        place.parent().map_or(Ok(()), |folder| File::open(folder)?.sync_all())
    });
    if copied.is_err() {
        fs::remove_file(&new).ok();
    }
    copied
}

/// Whether one file begins with all that another has.
fn begins_with(one: &Frames, other: &Frames) -> bool {
    let (mut own, mut its, mut at) = (vec![0; 1 << 16], vec![0; 1 << 16], 0);
    while at < other.size() {
        let Ok(length @ 1..) = other.read_at(&mut its, at) else { return false };
        let mut filled = 0;
        while filled < length {
            match one.read_at(own.get_mut(filled..length).unwrap_or_default(), at + filled as u64) {
                Ok(more @ 1..) => filled += more,
                _ => return false,
            }
        }
        if own.get(..length) != its.get(..length) {
            return false;
        }
        at += length as u64;
    }
    true
}

/// The session files that `from` names, each with the session root that it is below.
fn files(from: &Path, imported: &mut Imported) -> Result<Vec<(FoundFile, PathBuf)>, ImportError> {
    let mut note = |problem: FolderProblem| imported.failed.push((problem.path.clone(), chain(&problem)));
    let (found, root) = match tail::resolve_scan_target(from) {
        ScanTarget::Root(root) => (tail::scan(&root, &mut note), root),
        ScanTarget::File(file) => {
            let root = file.ancestors().nth(2).unwrap_or(Path::new("")).to_path_buf();
            (tail::scan_session(&file, &mut note), root)
        }
        ScanTarget::NotFound => return Err(ImportError::NotFound { path: from.to_path_buf() }),
    };
    Ok(found.into_iter().map(|found| (found, root.clone())).collect())
}
