//! The spool: lines of a run that wait for a sidecar, in files of their own below the state of the command.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use super::append::Appending;
use super::folder::Folder;
use super::mark;
use super::run::Run;
use crate::transcript::time::Timestamp;

/// How often a full spool looks again whether there is room.
const LOOK_EVERY: Duration = Duration::from_secs(1);
/// A full spool goes on once this part of all it may have is free.
const FREE_PART: u64 = 8;
/// How many bytes at most are written between two looks at what other runs have spooled; fewer if all may have little.
const LOOK_BYTES: u64 = 16 << 20;

/// The spool of a run.
#[derive(Debug)]
pub struct Spool {
    folder: Folder,
    run: Run,
    begun: Timestamp,
    bytes_max: u64,
    file: Option<Appending>,
    /// Bytes that may still be written, as far as is known.
    room: u64,
    looked: Option<Instant>,
    /// Bytes that were written since.
    written: u64,
    /// Whether lines were dropped because there was no room: the next are dropped too, so that none is kept behind a gap before
    /// there is room for more.
    is_full: bool,
    at: Option<Timestamp>,
    /// Lines and bytes that were dropped, of which the file does not say so yet.
    lost: (u64, u64),
}

/// What came of lines that were to be kept.
#[derive(Debug)]
pub enum Spooled {
    /// They are in the file.
    Kept,
    /// They are dropped: the spools have all the bytes that they may have.
    Full,
    /// They are dropped: the file cannot be written.
    Failed(io::Error),
}

impl Spool {
    /// The spool of a run that began at `begun`. All spools of the folder that wait have `bytes_max` bytes at most; marks may go
    /// a little beyond, and so may runs that spool at the same time, each by an eighth or `LOOK_BYTES`.
    #[must_use]
    pub fn new(folder: Folder, run: Run, begun: Timestamp, bytes_max: u64) -> Self {
        Self {
            folder,
            run,
            begun,
            bytes_max,
            file: None,
            room: 0,
            looked: None,
            written: 0,
            is_full: false,
            at: None,
            lost: (0, 0),
        }
    }

    /// The folder of the spool.
    #[must_use]
    pub fn folder(&self) -> &Folder {
        &self.folder
    }

    /// The file; `None` if nothing is spooled.
    #[must_use]
    pub fn file(&self) -> Option<&Appending> {
        self.file.as_ref()
    }

    /// Bytes of the file.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        self.file.as_ref().map_or(0, Appending::bytes)
    }

    /// Where lines are kept, or would be.
    #[must_use]
    pub fn path(&self) -> PathBuf {
        self.file.as_ref().map_or_else(|| self.folder.path_of(&self.run.id, 0), |file| file.path().to_owned())
    }

    /// Keeps `lines` lines that arrived at `at`, which are `pieces` of `bytes` bytes together. Either all of them are kept or
    /// none.
    pub fn write<P: AsRef<[u8]>>(
        &mut self,
        at: Timestamp,
        (lines, bytes): (u64, u64),
        pieces: impl Iterator<Item = io::Result<P>>,
    ) -> Spooled {
        let written = match self.room_for(bytes) {
            Ok(true) => self.try_write(at, bytes, pieces),
            Ok(false) => {
                self.is_full = true;
                self.lose(lines, bytes);
                return Spooled::Full;
            }
            Err(error) => Err(error),
        };
        match written {
            Ok(()) => Spooled::Kept,
            Err(error) => {
                // Lines that would just fit are dropped too, so that there is one gap and not many.
                (self.is_full, self.room, self.looked) = (true, 0, Some(Instant::now()));
                self.lose(lines, bytes);
                Spooled::Failed(error)
            }
        }
    }

    /// How many of so many bytes would be kept now.
    pub fn room(&mut self, bytes: u64) -> u64 {
        match self.room_for(bytes) {
            Ok(true) => bytes,
            Ok(false) if !self.is_full => self.room,
            Ok(false) | Err(_) => 0,
        }
    }

    /// Lines that could not even be given to the spool.
    pub fn lose(&mut self, lines: u64, bytes: u64) {
        self.lost = (self.lost.0 + lines, self.lost.1 + bytes);
    }

    /// Writes the mark of lines that were dropped, if there are any. Fails if there is no room even for that.
    pub fn tell_lost(&mut self, now: Timestamp) -> io::Result<()> {
        let (lines, bytes) = self.lost;
        if (lines, bytes) == (0, 0) {
            return Ok(());
        }
        self.opened()?.append(mark::lost(lines, bytes, now).as_bytes())?;
        self.lost = (0, 0);
        Ok(())
    }

    /// Lines and bytes that were dropped and are not told of yet; they are taken out, so that somebody else tells.
    pub fn take_lost(&mut self) -> (u64, u64) {
        std::mem::take(&mut self.lost)
    }

    /// Writes that the client has closed its output, and what is not told of yet.
    pub fn end(&mut self, now: Timestamp, torn_bytes: u64) -> io::Result<()> {
        self.tell_lost(now)?;
        self.opened()?.append(mark::end(now, torn_bytes).as_bytes())
    }

    /// Removes the file, all of which a sidecar has. What is spooled later begins another one.
    pub fn delivered(&mut self) -> io::Result<()> {
        let path = self.file.as_ref().map(|file| file.path().to_owned());
        let removed = path.map_or(Ok(()), fs::remove_file);
        self.leave();
        removed
    }

    /// Leaves the file where it is, to those who read the folder. What is spooled later begins another one.
    pub fn leave(&mut self) {
        (self.file, self.at, self.looked) = (None, None, None);
    }

    fn try_write<P: AsRef<[u8]>>(
        &mut self,
        at: Timestamp,
        bytes: u64,
        pieces: impl Iterator<Item = io::Result<P>>,
    ) -> io::Result<()> {
        self.tell_lost(at)?;
        if self.at != Some(at) {
            self.opened()?.append(mark::at(at, false).as_bytes())?;
            self.at = Some(at);
        }
        self.opened()?.append_all(pieces)?;
        self.room = self.room.saturating_sub(bytes);
        self.written += bytes;
        Ok(())
    }

    /// Whether so many bytes may be written.
    fn room_for(&mut self, bytes: u64) -> io::Result<bool> {
        let is_due = self.looked.is_none_or(|looked| looked.elapsed() >= LOOK_EVERY);
        let wanted = if self.is_full { bytes.max(self.bytes_max / FREE_PART) } else { bytes };
        let is_behind = self.written >= LOOK_BYTES.min(self.bytes_max / FREE_PART);
        if self.looked.is_none() || is_behind || (self.room < bytes.max(LOOK_BYTES) && is_due) {
            // The own file is one of them.
            self.room = self.bytes_max.saturating_sub(self.folder.waiting_bytes()?);
            (self.looked, self.written) = (Some(Instant::now()), 0);
        }
        self.is_full &= wanted > self.room;
        Ok(wanted <= self.room)
    }

    /// The file, begun if there is none.
    fn opened(&mut self) -> io::Result<&mut Appending> {
        if self.file.is_none() {
            self.folder.make()?;
            let mut file = created(&self.folder, &self.run)?;
            file.append(mark::run(&self.run, self.begun, true).as_bytes())?;
            self.at = None;
            self.file = Some(file);
        }
        self.file.as_mut().ok_or_else(|| io::ErrorKind::NotFound.into())
    }
}

/// A new file, with the first number that no other file has.
fn created(folder: &Folder, run: &Run) -> io::Result<Appending> {
    let mut number = 0;
    loop {
        match Appending::create(folder.path_of(&run.id, number)) {
            // Between its creation and its lock another process may take a new file for one that was left empty.
            Err(error)
                if matches!(error.kind(), io::ErrorKind::AlreadyExists | io::ErrorKind::WouldBlock)
                    && number < u32::MAX =>
            {
                number += 1;
            }
            file => return file,
        }
    }
}

/// Removes a file of the folder, all of which a sidecar has.
pub fn remove(path: &Path) -> io::Result<()> {
    fs::remove_file(path)
}
