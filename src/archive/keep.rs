//! Copies session files that have been quiet, and ends what is older than the user wants it.

use std::collections::{HashMap, HashSet};
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::about::About;
use super::copy::Copied;
use super::open::goes_on;
use super::place::Archive;
use crate::tail::FoundFile;
use crate::tail::frames::Frames;
use crate::tail::reread;
use crate::text::chain;
use crate::transcript::time::Timestamp;

/// Time after which a copy that is not finished is taken to be left: nobody writes so long at one piece of one.
const UNFINISHED_AFTER: Duration = Duration::from_secs(3600);

/// Nanoseconds of a millisecond.
const NS_PER_MS: i64 = 1_000_000;

/// Keeps an archive.
#[derive(Debug)]
pub struct Keeper {
    archive: Archive,
    /// The newest copy of each file; `None` before the archive was looked through.
    shelf: Option<HashMap<PathBuf, Known>>,
}

/// The newest copy of a file.
#[derive(Debug, Clone)]
struct Known {
    inode: u64,
    size: u64,
    modified_ns: i64,
}

/// When files are copied, and when copies end.
#[derive(Debug, Clone, Copy)]
pub struct Rules {
    /// How long a file was not written before it is copied.
    pub after: Duration,
    /// How long the file of a copy was not written before the copy ends; `None`: never.
    pub end: Option<Duration>,
}

/// What a pass did.
#[derive(Debug, Default)]
pub struct Pass {
    /// Files that were copied.
    pub copied: u64,
    /// Bytes of these files.
    pub bytes: u64,
    /// Of the files that were copied, those whose earlier form is kept, because they were rewritten.
    pub rewritten: u64,
    /// Files that could not be copied, each with the reason.
    pub failed: Vec<(PathBuf, String)>,
    /// Why the pass stopped before its end: nothing can be written.
    pub paused: Option<String>,
}

/// What an archive holds.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Held {
    /// Copies, also earlier ones.
    pub copies: u64,
    /// Bytes of the session files.
    pub file_bytes: u64,
    /// Bytes of the copies.
    pub bytes: u64,
    /// Copies that cannot be read.
    pub damaged: u64,
}

impl Keeper {
    /// A keeper of this archive, which has not looked at it yet.
    #[must_use]
    pub const fn new(archive: Archive) -> Self {
        Self { archive, shelf: None }
    }

    /// Whether the newest copy of a file is of what it is now.
    #[must_use]
    pub fn has(&self, found: &FoundFile) -> bool {
        self.shelf.as_ref().and_then(|shelf| shelf.get(&found.path)).is_some_and(|known| known.is_of(found))
    }

    /// Looks through the archive and removes what was never finished. Fails if it cannot be read.
    pub fn look(&mut self) -> io::Result<Held> {
        let shelf = self.archive.shelf()?;
        for path in shelf.unfinished.iter().filter(|path| is_left(path)) {
            tracing::info!(path = %path.display(), "a copy that was never finished is removed");
            // It is tried again with the next look.
            fs::remove_file(path).ok();
        }
        let mut held = Held { damaged: shelf.damaged.len() as u64, ..Held::default() };
        let (mut newest, mut rewritten) = (HashMap::new(), HashSet::new());
        for copy in shelf.copies {
            held.copies += 1;
            held.file_bytes += copy.about.size;
            held.bytes += copy.bytes;
            if copy.number.is_some() {
                rewritten.insert(copy.about.path());
            } else {
                let About { inode, size, modified_ns, .. } = copy.about;
                newest.insert(copy.about.path(), Known { inode, size, modified_ns });
            }
        }
        self.archive.note_rewritten(rewritten);
        self.shelf = Some(newest);
        Ok(held)
    }

    /// Removes copies whose files were not written, nor copied, for so long: what was just taken in stays. Returns how many. Fails with the first that cannot be removed.
    pub fn end(&mut self, age: Duration, now: Timestamp) -> io::Result<u64> {
        let mut ended = 0;
        for copy in self.archive.shelf()?.copies {
            if is_older(copy.about.newest_ns(), age, now) {
                fs::remove_file(&copy.path)?;
                ended += 1;
            }
        }
        Ok(ended)
    }

    /// Copies those of the `found` files that are quiet. A file that is dated in the future counts as
    /// quiet. `root_of` tells below which session root a file was found. [`Self::look`] comes first.
    pub fn pass<'a>(
        &mut self,
        found: impl Iterator<Item = (&'a FoundFile, &'a Path)>,
        rules: &Rules,
        now: Timestamp,
        goes_on: &dyn Fn() -> bool,
    ) -> Pass {
        let mut pass = Pass::default();
        if self.shelf.is_none() {
            return pass;
        }
        for (found, root) in found {
            if !goes_on() {
                break;
            }
            // What has ended, or would end at once, is not copied.
            if self.has(found) || rules.end.is_some_and(|age| is_older(found.modified_ns, age, now)) {
                continue;
            }
            if !is_quiet(found, rules.after, now) {
                continue;
            }
            if let Some(reason) = self.archive.is_full(0) {
                pass.paused = Some(reason);
                break;
            }
            if let Some(reason) = self.archive.is_full(found.size) {
                // A smaller one may fit.
                pass.failed.push((found.path.clone(), reason));
                continue;
            }
            match self.archive.copy(found, root, now, goes_on) {
                Ok(Copied::New { size, is_rewritten }) => {
                    pass.copied += 1;
                    pass.bytes += size;
                    if is_rewritten {
                        pass.rewritten += 1;
                        self.archive.note_rewritten(HashSet::from([found.path.clone()]));
                    }
                    self.note(found);
                }
                Ok(Copied::Changed) => {}
                Err(error) if error.is_of_disk() => {
                    pass.paused = Some(chain(&error));
                    break;
                }
                Err(error) => pass.failed.push((found.path.clone(), chain(&error))),
            }
        }
        pass
    }

    /// Notes if a file that has changed since it was copied was rewritten, and did not only grow.
    pub fn look_at(&self, found: &FoundFile) {
        let is_copied = self.shelf.as_ref().is_some_and(|shelf| shelf.contains_key(&found.path));
        if !is_copied || self.has(found) || self.archive.may_have_more_than(&found.path) {
            return;
        }
        let copy = self.archive.copy_of(&found.path).and_then(|copy| Frames::open(&copy).ok());
        if let (Some(copy), Ok(file)) = (copy, reread::open(&found.path))
            && !goes_on(&copy, &file)
        {
            self.archive.note_rewritten(HashSet::from([found.path.clone()]));
        }
    }

    fn note(&mut self, found: &FoundFile) {
        let FoundFile { inode, size, modified_ns, .. } = *found;
        self.shelf.get_or_insert_default().insert(found.path.clone(), Known { inode, size, modified_ns });
    }
}

impl Known {
    fn is_of(&self, found: &FoundFile) -> bool {
        (self.inode, self.size, self.modified_ns) == (found.inode, found.size, found.modified_ns)
    }
}

/// Whether nobody writes an unfinished copy any more: an import of another process may.
fn is_left(path: &Path) -> bool {
    let modified = fs::metadata(path).and_then(|metadata| metadata.modified());
    modified.is_ok_and(|modified| modified.elapsed().is_ok_and(|since| since >= UNFINISHED_AFTER))
}

/// Whether a file was not written for some time.
fn is_quiet(found: &FoundFile, after: Duration, now: Timestamp) -> bool {
    found.modified_ns / NS_PER_MS > now.0 || is_older(found.modified_ns, after, now)
}

/// Whether a file was last written so long ago, or longer.
fn is_older(modified_ns: i64, age: Duration, now: Timestamp) -> bool {
    let age_ms = i64::try_from(age.as_millis()).unwrap_or(i64::MAX);
    (modified_ns / NS_PER_MS).saturating_add(age_ms) <= now.0
}
