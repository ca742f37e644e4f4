//! The folder of the lines: `hooks` in the folder of the state, with one file for each day (UTC).
//!
//! - Folder 0700, files 0600: which sessions there are, and when somebody works, is nobody else's business.
//! - One line is one call of `write` at the end of the file, so that lines of hooks that run at once do not mix.
//! - No link is followed at the name of a file.
//! - A file takes lines up to [`FILE_BYTES_MAX`]; a hook that runs wild cannot fill the disk.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use rustix::fs::OFlags;

use crate::transcript::time::Timestamp;

/// Most bytes of a file; a line more is dropped. A line has about 200 bytes.
pub const FILE_BYTES_MAX: u64 = 64 << 20;

/// Days for which a file is kept: the present one and so many before.
pub const KEPT_DAYS: i64 = 2;

/// The folder of the lines in the folder of a state.
#[must_use]
pub fn folder_of(state: &Path) -> PathBuf {
    state.join("hooks")
}

/// The name of the file of a day, by any moment of it.
#[must_use]
pub fn file_name(at: Timestamp) -> String {
    let day: String = at.to_rfc3339().chars().take("2026-11-30".len()).collect();
    format!("{day}.jsonl")
}

/// Appends a line to the file of its day in the folder of a state, and makes both if they are missing.
///
/// # Errors
///
/// If the file cannot be opened or written, or is full.
pub fn append(state: &Path, line: &[u8], at: Timestamp) -> io::Result<()> {
    let folder = folder_of(state);
    let path = folder.join(file_name(at));
    let mut file = match open(&path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            DirBuilder::new().recursive(true).mode(0o700).create(&folder)?;
            open(&path)?
        }
        file => file?,
    };
    if file.metadata()?.len() >= FILE_BYTES_MAX {
        return Err(io::ErrorKind::FileTooLarge.into());
    }
    // One call and not `write_all`, whose second call could come behind the line of another process.
    let written = file.write(line)?;
    if written == line.len() { Ok(()) } else { Err(io::ErrorKind::WriteZero.into()) }
}

fn open(path: &Path) -> io::Result<File> {
    let flags = i32::try_from(OFlags::NOFOLLOW.bits()).unwrap_or_default();
    OpenOptions::new().create(true).append(true).mode(0o600).custom_flags(flags).open(path)
}

/// The files of lines, the oldest first; none if the folder cannot be listed.
#[must_use]
pub fn files(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    let mut files: Vec<PathBuf> = entries.map(|entry| entry.path()).filter(|path| is_file_of_lines(path)).collect();
    files.sort();
    files
}

/// Removes the files of days that are more than [`KEPT_DAYS`] days before `now`. What cannot be removed stays.
pub fn sweep(folder: &Path, now: Timestamp) {
    let first = file_name(Timestamp(now.0.saturating_sub(KEPT_DAYS * 86_400_000)));
    for path in files(folder) {
        if path.file_name().is_some_and(|name| name < first.as_str()) {
            // It is tried again at the next sweep.
            drop(fs::remove_file(path));
        }
    }
}

/// True for the name of a day: ten letters and the ending.
fn is_file_of_lines(path: &Path) -> bool {
    let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
    let day = name.strip_suffix(".jsonl").unwrap_or_default();
    day.len() == "2026-11-30".len() && day.bytes().all(|byte| byte.is_ascii_digit() || byte == b'-')
}
