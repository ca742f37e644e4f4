//! What has the bytes of a session file now: itself or, if it is gone, its copy in the archive.

use std::fs;
use std::io;
use std::path::Path;

use super::segment::Stamp;
use crate::archive::Archive;
use crate::archive::about::About;
use crate::tail::reread::Source;

/// What the system tells of it.
#[derive(Debug, Clone, Copy)]
pub struct Standing {
    /// Of a copy, that of the file that holds it: its size is not that of the session file.
    pub stamp: Stamp,
    /// Whether it is a copy.
    pub is_copy: bool,
}

impl Standing {
    /// Looks at a session file, and at its copy if it is gone. Fails as the system does.
    pub fn of(archive: &Archive, path: &Path) -> io::Result<Self> {
        match fs::metadata(path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                let copy = archive.copy_of(path).ok_or(error)?;
                Ok(Self { stamp: Stamp::of(&fs::metadata(copy)?), is_copy: true })
            }
            metadata => Ok(Self { stamp: Stamp::of(&metadata?), is_copy: false }),
        }
    }
}

/// Whether a file, or its copy, has all that it had when it had this stamp, as far as the system tells; bytes at both ends
/// are to be compared as well. `now` is what the system tells of it.
pub(super) fn may_hold(source: &Source, now: &Stamp, stamp: &Stamp) -> bool {
    match source {
        Source::Copy(copy) if stamp != now => About::read(copy.about())
            .is_some_and(|about| stamp.was_of(&about) || stamp.grew_into(&Stamp::copied(&about))),
        _ => stamp == now || stamp.grew_into(now),
    }
}
