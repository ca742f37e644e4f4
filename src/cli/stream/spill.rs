//! A file without a name, for what does not fit the memory.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::PathBuf;

use crate::streams::RunId;
use crate::streams::folder::random;

/// A new file that nobody else can open, in the first of these folders that takes it. Its room is free again when it is
/// closed, also by a crash.
pub(super) fn unlinked(folders: &[PathBuf]) -> io::Result<File> {
    let mut failed = io::Error::new(io::ErrorKind::NotFound, "there is no folder for it");
    for folder in folders {
        match in_folder(folder) {
            Ok(file) => return Ok(file),
            Err(error) => failed = error,
        }
    }
    Err(failed)
}

fn in_folder(folder: &PathBuf) -> io::Result<File> {
    DirBuilder::new().recursive(true).mode(0o700).create(folder)?;
    let path = folder.join(format!(".stream-{}", RunId::of_random(random()?).as_str()));
    let file = OpenOptions::new().read(true).write(true).create_new(true).mode(0o600).open(&path)?;
    fs::remove_file(&path)?;
    Ok(file)
}
