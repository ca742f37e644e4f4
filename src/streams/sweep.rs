//! Ends stream files by age and by their size together. A file that somebody writes, and one whose whole lines are not all read,
//! stays. What a killed writer left behind the last whole line is nothing that anybody will read.

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::io;
use std::sync::Arc;
use std::time::Duration;

use super::append::{locked, whole_lines};
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
    /// Ends what is to end at `now`, of the files of which `is_read` says that so many bytes are read. Returns how many ended.
    /// Notes which spools wait no more, because nobody writes them and they are read. Fails if the folder cannot be read or
    /// written.
    pub fn sweep(
        &self,
        rules: SweepRules,
        now: Timestamp,
        is_read: &dyn Fn(&StreamFile, u64) -> bool,
    ) -> io::Result<u64> {
        let Some(folder) = self.folder() else { return Ok(0) };
        // No request opens a file while this is held, so that none is removed that is just being opened.
        let mut runs = self.runs();
        runs.retain(|_, file| Arc::strong_count(file) > 1 || lock(file).used().elapsed() < IDLE);
        let mut files = folder.files()?;
        files.sort_by_key(|file| file.modified);
        let mut bytes: u64 = files.iter().map(|file| file.bytes).sum();
        let mut left = files.len() as u64;
        let mut ended = 0;
        let mut counted = BTreeSet::new();
        for file in &files {
            let quiet = Duration::from_millis(now.since_ms(file.modified));
            let is_due = quiet >= rules.keep || (bytes > rules.keep_bytes && quiet >= IDLE);
            // A file that was only just begun is empty until its writer has locked it.
            let is_due = is_due && (file.bytes > 0 || quiet >= IDLE);
            let is_spool = file.is_spool();
            if !is_due && !is_spool {
                continue;
            }
            let Some(_lock) = left_and_read(file, is_read)? else { continue };
            if is_due {
                fs::remove_file(&file.path)?;
                (bytes, left, ended) = (bytes - file.bytes, left - 1, ended + 1);
            } else {
                counted.extend(file.length_by_name());
            }
        }
        let vitals = self.vitals();
        vitals.files.set(left);
        vitals.file_bytes.set(bytes);
        vitals.ended.add(ended);
        folder.set_counted(&counted)?;
        Ok(ended)
    }
}

/// The lock of a file that nobody writes and whose whole lines are read; `None` of others.
fn left_and_read(file: &StreamFile, is_read: &dyn Fn(&StreamFile, u64) -> bool) -> io::Result<Option<File>> {
    let lock = match File::open(&file.path).and_then(locked) {
        Err(error) if matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::NotFound) => return Ok(None),
        lock => lock?,
    };
    let whole = whole_lines(&lock)?;
    Ok((whole == 0 || is_read(file, whole)).then_some(lock))
}
