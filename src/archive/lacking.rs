//! Copies whose rows the state does not have: they were imported, or the state was lost.

use std::collections::{HashMap, HashSet};
use std::io;
use std::path::{Path, PathBuf};

use super::place::{Archive, original_of};
use super::shelf::Shelf;
use crate::tail::FoundFile;

impl Archive {
    /// Copies to read, each as what a scan would have found. `counted` tells how many bytes the state has counted of each
    /// file that it knows, `roots` are the session roots, whose files are read themselves. Fails if the archive cannot be
    /// read.
    pub fn lacking(&self, counted: &HashMap<PathBuf, u64>, roots: &[PathBuf]) -> io::Result<Vec<FoundFile>> {
        let is_read = |path: &Path| is_there(path) && roots.iter().any(|root| path.starts_with(root));
        // What a file was earlier has been counted with it, if the file was. To read it again would bring back what has no
        // time, like a title that was changed since.
        let is_new = |found: &FoundFile| match original_of(&found.path) {
            Some((file, _)) => !counted.contains_key(&file) && !counted.contains_key(&found.path),
            None => true,
        };
        let lacks = |found: &FoundFile| counted.get(&found.path).is_none_or(|bytes| *bytes < found.size);
        Ok(self.shelf()?.found(is_read).filter(|found| is_new(found) && lacks(found)).collect())
    }

    /// Everything that the archive has besides these files, which a scan found: copies of files that are gone, and of what
    /// files were earlier. Fails if the archive cannot be read.
    pub fn beside(&self, found: &[FoundFile]) -> io::Result<Vec<FoundFile>> {
        let paths: HashSet<&Path> = found.iter().map(|found| found.path.as_path()).collect();
        Ok(self.shelf()?.found(|path| paths.contains(path)).collect())
    }
}

impl Shelf {
    /// The copies, but for the newest of a file that is read itself.
    fn found(self, is_read: impl Fn(&Path) -> bool) -> impl Iterator<Item = FoundFile> {
        self.copies.into_iter().filter_map(move |copy| {
            let is_read = copy.number.is_none() && is_read(&copy.about.path());
            if is_read { None } else { copy.found() }
        })
    }
}

fn is_there(path: &Path) -> bool {
    path.metadata().is_ok_and(|metadata| metadata.is_file() && metadata.len() > 0)
}
