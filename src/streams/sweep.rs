//! Ends stream files by age and by their size together. A file that somebody writes, and one that is not read to its end, stays.

use std::fs::{self, File};
use std::io;
use std::sync::Arc;
use std::time::Duration;

use super::append::locked;
use super::folder::StreamFile;
use super::intake::{Intake, lock};
use crate::transcript::time::Timestamp;

/// A run that was not written to for this long is not kept open.
const IDLE: Duration = Duration::from_secs(60);

/// When stream files end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SweepRules {
    /// How long a file stays after it was written last.
    pub keep: Duration,
    /// Most bytes of all files; of more, those end first that were written longest ago, but none that was written within
    /// the last minute.
    pub keep_bytes: u64,
}

impl Intake {
    /// Ends what is to end at `now`, of the files that `is_read` says are read to their end. Returns how many ended. Fails if
    /// the folder cannot be read.
    pub fn sweep(&self, rules: SweepRules, now: Timestamp, is_read: &dyn Fn(&StreamFile) -> bool) -> io::Result<u64> {
        let Some(folder) = self.folder() else { return Ok(0) };
        // No request opens a file while this is held, so that none is removed that is just being opened.
        let mut runs = self.runs();
        runs.retain(|_, file| Arc::strong_count(file) > 1 || lock(file).used().elapsed() < IDLE);
        let mut files = folder.files()?;
        files.sort_by_key(|file| file.modified);
        let mut bytes: u64 = files.iter().map(|file| file.bytes).sum();
        let mut left = files.len() as u64;
        let mut ended = 0;
        for file in &files {
            let quiet = Duration::from_millis(now.since_ms(file.modified));
            let is_due = quiet >= rules.keep || (bytes > rules.keep_bytes && quiet >= IDLE);
            if is_due && is_read(file) && removed(file)? {
                (bytes, left, ended) = (bytes - file.bytes, left - 1, ended + 1);
            }
        }
        let vitals = self.vitals();
        vitals.files.set(left);
        vitals.file_bytes.set(bytes);
        vitals.ended.add(ended);
        Ok(ended)
    }
}

/// Removes a file unless somebody writes it. Returns whether it did.
fn removed(file: &StreamFile) -> io::Result<bool> {
    let lock = File::open(&file.path).and_then(locked);
    match lock {
        Ok(_lock) => fs::remove_file(&file.path).map(|()| true),
        Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(false),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
        Err(error) => Err(error),
    }
}
