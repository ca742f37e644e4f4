//! The file of a run while its lines arrive at the sidecar: which lines it has, and what it says of times.

use std::collections::HashSet;
use std::fs::File;
use std::io::{self, BufRead, BufReader};
use std::time::Instant;

use super::append::Appending;
use super::folder::{Folder, StreamFile};
use super::known::Known;
use super::line::{self, LINE_BYTES_MAX, Line};
use super::mark::{self, Mark};
use super::run::Run;
use crate::transcript::time::Timestamp;

/// The file that lines of a run are appended to.
#[derive(Debug)]
pub(super) struct RunFile {
    file: Appending,
    known: Known,
    /// The time that the file says of lines that come now.
    at: Option<Timestamp>,
    /// The latest time that the sender told; `None` if it tells none.
    told: Option<Timestamp>,
    /// Whether nothing came after the last mark that says that the client has closed its output.
    ended: bool,
    used: Instant,
}

/// What arrived, and is to be appended unless the file has it.
#[derive(Debug)]
pub(super) enum Item<'a> {
    /// When the lines that follow arrived, as the sender tells it. An earlier time is of lines that come again.
    Time(Timestamp),
    /// A line of the client, with the hash by which it is known again.
    Event { line: &'a [u8], identity: u64, at: Option<Timestamp> },
    /// A mark that lines are missing.
    Lost { line: &'a [u8] },
    /// The mark that the client has closed its output.
    End { line: &'a [u8] },
}

/// What became of items.
#[derive(Debug, Default)]
pub(super) struct Appended {
    /// Bytes that were written.
    pub(super) bytes: u64,
    /// Lines of the client that were new.
    pub(super) fresh: u64,
    /// Lines of the client that the file had.
    pub(super) known: u64,
}

/// Lines that are to be appended together.
#[derive(Debug, Default)]
struct Batch {
    text: Vec<u8>,
    fresh: HashSet<u64>,
    /// The same in the order in which they came, so that the oldest are forgotten first.
    order: Vec<u64>,
    at: Option<Timestamp>,
    told: Option<Timestamp>,
    ended: Option<bool>,
}

impl RunFile {
    /// Opens the file of a run, or begins one that says which run it is. What other files of the run hold is known as well.
    pub(super) fn open(folder: &Folder, run: &Run, at: Timestamp, mut known: Known) -> io::Result<Self> {
        folder.make()?;
        let files = folder.files_of(&run.id)?;
        let mut told = Told::default();
        let mut open = None;
        for file in &files {
            told = Told { told: told.told, ..Told::default() };
            told.read(file, &mut known)?;
            open = None;
            if !file.is_spool() {
                match Appending::open(file.path.clone()) {
                    Ok(appending) => open = Some(appending),
                    // Somebody else writes it.
                    Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                    Err(error) => return Err(error),
                }
            }
        }
        // Only the newest file is appended to, so that times and lines of a run stay in their order.
        let file = match open {
            Some(file) if file.bytes() > 0 => file,
            open => {
                drop(open);
                let number = files.last().map_or(0, |file| if file.bytes == 0 { file.number } else { file.number + 1 });
                told = Told { told: told.told, ..Told::default() };
                begun(folder, run, at, number)?
            }
        };
        let Told { at, told, ended } = told;
        Ok(Self { file, known, at, told, ended, used: Instant::now() })
    }

    /// Whether the file is still there to be appended to.
    pub(super) fn exists(&self) -> bool {
        self.file.exists()
    }

    pub(super) fn hashes(&self) -> usize {
        self.known.len()
    }

    /// Forgets the oldest of them.
    pub(super) fn forget_oldest(&mut self) {
        self.known.forget_oldest();
    }

    pub(super) fn used(&self) -> Instant {
        self.used
    }

    /// Appends what arrived at `now` and is new. Nobody else appends between the look at what the file has and the end of this,
    /// so that requests with the same lines at the same time leave each line once. If that fails, the file and what is known of
    /// it are as before.
    pub(super) fn append(&mut self, items: &[Item<'_>], now: Timestamp) -> io::Result<Appended> {
        let (mut batch, mut appended) = (Batch::default(), Appended::default());
        for item in items {
            match *item {
                Item::Time(at) => self.add_time(&mut batch, at),
                Item::Event { line, identity, at } => {
                    let is_new = self.add(&mut batch, line, identity, at, now);
                    *(if is_new { &mut appended.fresh } else { &mut appended.known }) += 1;
                }
                Item::Lost { line } => self.add_lost(&mut batch, line, line::whole(line)),
                Item::End { line } => self.add_end(&mut batch, line),
            }
        }
        appended.bytes = self.write(batch)?;
        Ok(appended)
    }

    fn add_time(&self, batch: &mut Batch, at: Timestamp) {
        if Some(at) > self.told.max(batch.told) {
            batch.text.extend_from_slice(mark::at(at, false).as_bytes());
            (batch.at, batch.told) = (Some(at), Some(at));
        }
    }

    /// Adds a line to `batch` unless the file has it. `at` is when the sender says that it arrived, `now` when it arrived
    /// here. Returns whether it is new.
    fn add(&self, batch: &mut Batch, line: &[u8], identity: u64, at: Option<Timestamp>, now: Timestamp) -> bool {
        if self.known.has(identity) || !batch.is_first(identity) {
            return false;
        }
        let current = batch.at.or(self.at);
        // A request that goes on within the lines of one time does not tell it again.
        let told = at.or(self.told.max(batch.told));
        let wanted = told.unwrap_or(now);
        if current != Some(wanted) {
            batch.text.extend_from_slice(mark::at(wanted, told.is_none()).as_bytes());
            batch.at = Some(wanted);
        }
        batch.put(line);
        batch.ended = Some(false);
        true
    }

    /// Adds a mark that lines are missing, unless the file has it.
    fn add_lost(&self, batch: &mut Batch, line: &[u8], identity: u64) {
        if !self.known.has(identity) && batch.is_first(identity) {
            batch.put(line);
        }
    }

    /// Adds the mark that the client has closed its output, unless it is there and nothing came after it.
    fn add_end(&self, batch: &mut Batch, line: &[u8]) {
        if !batch.ended.unwrap_or(self.ended) {
            batch.put(line);
            batch.ended = Some(true);
        }
    }

    fn write(&mut self, batch: Batch) -> io::Result<u64> {
        self.used = Instant::now();
        if batch.text.is_empty() {
            return Ok(0);
        }
        self.file.append(&batch.text)?;
        batch.order.into_iter().for_each(|identity| self.known.add(identity));
        self.at = batch.at.or(self.at);
        self.told = self.told.max(batch.told);
        self.ended = batch.ended.unwrap_or(self.ended);
        Ok(u64::try_from(batch.text.len()).unwrap_or(u64::MAX))
    }

    /// Makes durable what was appended.
    pub(super) fn sync(&self) -> io::Result<()> {
        self.file.sync()
    }
}

impl Batch {
    /// Whether it has nothing of this identity yet; it has from now on.
    fn is_first(&mut self, identity: u64) -> bool {
        let is_first = self.fresh.insert(identity);
        self.order.extend(is_first.then_some(identity));
        is_first
    }

    fn put(&mut self, line: &[u8]) {
        self.text.extend_from_slice(line.trim_ascii());
        self.text.push(b'\n');
    }
}

/// A new file with its first line, durable with its name.
fn begun(folder: &Folder, run: &Run, at: Timestamp, number: u32) -> io::Result<Appending> {
    let mut number = number;
    let mut file = loop {
        match Appending::create(folder.path_of(&run.id, number)) {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists && number < u32::MAX => {
                // A start that was killed before its first line leaves an empty file.
                let empty = Appending::open(folder.path_of(&run.id, number)).ok().filter(|file| file.bytes() == 0);
                if let Some(empty) = empty {
                    break empty;
                }
                number += 1;
            }
            file => break file?,
        }
    };
    file.append(mark::run(run, at, false).as_bytes())?;
    File::open(folder.path())?.sync_all()?;
    Ok(file)
}

/// What the lines of a file tell.
#[derive(Default)]
struct Told {
    at: Option<Timestamp>,
    told: Option<Timestamp>,
    ended: bool,
}

impl Told {
    /// Reads the file to its end. A last line without a newline tells nothing.
    fn read(&mut self, file: &StreamFile, known: &mut Known) -> io::Result<()> {
        let mut reader = BufReader::with_capacity(256 << 10, File::open(&file.path)?);
        let mut text = Vec::new();
        loop {
            text.clear();
            reader.read_until(b'\n', &mut text)?;
            if text.last() != Some(&b'\n') {
                return Ok(());
            }
            self.add(line::read(&text), known, &text);
            if text.capacity() > LINE_BYTES_MAX / 8 {
                text = Vec::new();
            }
        }
    }

    fn add(&mut self, line: Line<'_>, known: &mut Known, text: &[u8]) {
        match line {
            Line::Event { identity, .. } => {
                known.add(identity);
                self.ended = false;
            }
            Line::Mark(Mark::At { at, by_sidecar }) => {
                self.at = Some(at);
                self.told = self.told.max((!by_sidecar).then_some(at));
            }
            Line::Mark(Mark::Lost { .. }) => known.add(line::whole(text)),
            Line::Mark(Mark::End) => self.ended = true,
            Line::Mark(Mark::Run { .. }) | Line::Blank | Line::Unreadable => {}
        }
    }
}
