//! All segments, and which parts of which file they know.

use std::collections::HashMap;
use std::ffi::OsString;
use std::fs::{self, DirBuilder};
use std::io;
use std::ops::Range;
use std::os::unix::ffi::OsStringExt;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::sync::{PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

use xxhash_rust::xxh3::xxh3_64;

use super::grams::Key;
pub use super::segment::Stamp;
use super::segment::{Bits, COLUMNS, Column, Extent, Locked, Origin, Print, Segment};
use super::standing::may_hold;
use crate::archive::Archive;
use crate::store::StoreReader;
use crate::tail::reread::Source;
use crate::transcript::chunk::FileNumber;
use crate::views::text::find::hint::Hint;

/// Most bytes of a file that the key of a segment is computed from.
const KEY_BYTES_MAX: u64 = 64 << 10;

/// First bytes of a file by which it is known again.
const HEAD_BYTES_MAX: u64 = 1024;

/// Last bytes before a place by which a file is known again.
const TAIL_BYTES_MAX: u64 = 64;

/// Bytes of parts that belong to no file any more, besides half of all, at which everything is thrown away.
const DEAD_BYTES_MAX: u64 = 256 << 20;

/// The index, which one thread adds to, and which questions ask meanwhile.
#[derive(Debug)]
pub struct SearchIndex {
    folder: PathBuf,
    archive: Archive,
    inner: RwLock<Inner>,
}

#[derive(Debug, Default)]
pub(super) struct Inner {
    /// The last one grows, the others are in files.
    pub(super) segments: Vec<Segment>,
    pub(super) files: HashMap<FileNumber, KnownFile>,
    /// Counts parts as they are added.
    pub(super) added: u64,
    /// Counts how often everything was thrown away.
    age: u64,
    /// Number of the next file.
    next: u64,
    known_bytes: u64,
    dead_bytes: u64,
}

/// What is known of a file.
#[derive(Debug, Clone, Default)]
pub(super) struct KnownFile {
    pub(super) path: PathBuf,
    /// As it was when it was read last; `None` if nothing of it was.
    pub(super) stamp: Option<Stamp>,
    /// Whether all of it was read then: a process may end before.
    pub(super) is_whole: bool,
    pub(super) print: Print,
    pub(super) parts: Vec<Part>,
}

/// A part of a file, and the column that stands for it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Part {
    start: u64,
    end: u64,
    segment: usize,
    column: usize,
    added: u64,
}

/// Shortest run, in bytes, of which the index knows something.
const RUN_BYTES_MIN: usize = 4;

/// Rows of one event that begin within so many bytes of each other are looked for together: all runs of a question stand
/// in parts that are so near.
pub const NEAR_BYTES: u64 = 32 << 10;

/// Where a row begins that belongs to an event with rows further away, or in other files.
pub type FarRow = (FileNumber, u64);

/// The columns that may have what is looked for, at one moment.
#[derive(Debug)]
pub struct Narrowed {
    /// Which run of the hint few columns have: it is the first one here.
    pub lead: usize,
    /// By run, and by segment.
    runs: Vec<Vec<Bits>>,
    added: u64,
    age: u64,
}

/// What is to be read of a file.
#[derive(Debug)]
pub struct Reading {
    /// Where the file was.
    pub path: PathBuf,
    stamp: Option<Stamp>,
    print: Print,
    /// Up to where the index knows it.
    pub end: u64,
    /// Whether that was its end.
    pub is_whole: bool,
    /// The parts before that may have what is looked for, in order.
    pub parts: Vec<ReadPart>,
}

/// A part of a file that may have what is looked for.
#[derive(Debug, Clone)]
pub struct ReadPart {
    /// From line to line, in bytes.
    pub place: Range<u64>,
    /// False if no line in it is written with escapes that stand for letters.
    pub are_odd: bool,
    /// True if it may have it only together with what stands behind what the index knows.
    pub if_grown: bool,
}

impl Reading {
    /// Whether nothing has changed since the file was read for the index.
    #[must_use]
    pub fn is_of(&self, now: &Stamp) -> bool {
        self.stamp.as_ref() == Some(now)
    }

    /// Whether a file, as it is now, was only appended to since it was read for the index. A copy of it counts as the file.
    #[must_use]
    pub fn holds(&self, file: &Source, now: &Stamp) -> bool {
        self.stamp.is_some_and(|stamp| may_hold(file, now, &stamp))
            && Print::of(file, self.end).is_ok_and(|print| print == self.print)
    }
}

impl ReadPart {
    /// All of a file from a place on, of which nothing is known.
    #[must_use]
    pub const fn unknown(start: u64) -> Self {
        Self { place: start..u64::MAX, are_odd: true, if_grown: false }
    }
}

impl Print {
    /// Of a file up to `end`.
    pub(super) fn of(file: &Source, end: u64) -> io::Result<Self> {
        let head = read(file, 0..end.min(HEAD_BYTES_MAX))?;
        let tail = read(file, end.saturating_sub(TAIL_BYTES_MAX)..end)?;
        Ok(Self {
            head_bytes: u32::try_from(head.len()).unwrap_or(u32::MAX),
            head: xxh3_64(&head),
            tail: xxh3_64(&tail),
        })
    }
}

/// The key of a segment that begins with lines of a file that end here. It is made of the beginning of the file, since the
/// lines alone may be so short that somebody could guess them.
pub(super) fn key_of(file: &Source, end: u64) -> io::Result<Key> {
    Ok(Key::of(&read(file, 0..end.min(KEY_BYTES_MAX))?))
}

fn read(file: &Source, part: Range<u64>) -> io::Result<Vec<u8>> {
    let mut bytes = vec![0; usize::try_from(part.end.saturating_sub(part.start)).unwrap_or_default()];
    file.read_exact_at(&mut bytes, part.start)?;
    Ok(bytes)
}

impl SearchIndex {
    /// The index in a folder, which is made if there is none. What cannot be used is removed. `path` tells where a file
    /// is. Fails if the folder cannot be made or read, also where the state around it was moved away, and if `path` does:
    /// then nothing is removed for it.
    pub fn open(
        folder: &Path,
        archive: &Archive,
        path: impl Fn(FileNumber) -> io::Result<Option<PathBuf>>,
    ) -> io::Result<Self> {
        match DirBuilder::new().mode(0o700).create(folder) {
            Err(error) if error.kind() != io::ErrorKind::AlreadyExists => return Err(error),
            _ => {}
        }
        let mut inner = Inner::default();
        let mut names: Vec<(u64, PathBuf)> = Vec::new();
        for entry in fs::read_dir(folder)? {
            let path = entry?.path();
            match path.file_stem().and_then(|name| name.to_str()?.parse().ok()) {
                Some(number) if path.extension().is_some_and(|end| end == "segment") => names.push((number, path)),
                _ => fs::remove_file(&path)?,
            }
        }
        names.sort();
        for (number, name) in names {
            inner.next = number + 1;
            let segment = match Locked::read(&name) {
                Ok(locked) => {
                    let Origin { file, end } = locked.origin;
                    let first = path(FileNumber(file))?.map(|first| archive.open(&first));
                    let key = first.and_then(|mut first| key_of(first.now().ok()?, end).ok());
                    let opened = key.and_then(|key| locked.opened_with(key));
                    opened.ok_or_else(|| io::Error::other("its session file is another one"))
                }
                Err(error) => Err(error),
            };
            match segment {
                Ok(segment) => inner.put_loaded(segment, &path)?,
                Err(error) => {
                    tracing::info!(segment = %name.display(), %error, "a part of the search index is made anew");
                    fs::remove_file(&name)?;
                }
            }
        }
        Ok(Self { folder: folder.to_path_buf(), archive: archive.clone(), inner: RwLock::new(inner) })
    }

    /// Copies of session files, which are read where a file is gone.
    #[must_use]
    pub const fn archive(&self) -> &Archive {
        &self.archive
    }

    /// The same, with the files of a state. Fails if the folder cannot be made or read, or if the state cannot be read.
    pub fn open_for(folder: &Path, archive: &Archive, reader: &StoreReader) -> io::Result<Self> {
        Self::open(folder, archive, |number| {
            let row = reader.file(number).map_err(io::Error::other)?;
            Ok(row.map(|row| PathBuf::from(OsString::from_vec(row.path))))
        })
    }

    /// The columns that may have each run of a hint; `None` if all are too short to tell, or if the index cannot be read.
    #[must_use]
    pub fn narrow(&self, hint: &Hint) -> Option<Narrowed> {
        let inner = self.read();
        let mut runs = Vec::new();
        for (number, run) in (0..).zip(hint.runs()).filter(|(_, run)| run.bytes().len() >= RUN_BYTES_MIN) {
            let columns = inner.segments.iter().map(|segment| segment.may_have(run));
            match columns.collect::<io::Result<Vec<Bits>>>() {
                Ok(columns) => runs.push((number, run.is_ascii(), columns)),
                Err(error) => {
                    tracing::warn!(folder = %self.folder.display(), %error, "the search index cannot be read");
                    return None;
                }
            }
        }
        // What few parts have is looked for first, if it is found fast.
        let count = |columns: &[Bits]| columns.iter().flatten().map(|word| word.count_ones()).sum::<u32>();
        let lead = runs.iter().min_by_key(|(number, is_ascii, columns)| (!is_ascii, count(columns), *number))?.0;
        let (first, others): (Vec<_>, Vec<_>) = runs.into_iter().partition(|(number, ..)| *number == lead);
        let runs = first.into_iter().chain(others).map(|(.., columns)| columns).collect();
        Some(Narrowed { lead, runs, added: inner.added, age: inner.age })
    }

    /// What is to be read of a file; `None` if nothing is known of it. `far` are places of rows that belong to an event with
    /// other rows that are [`NEAR_BYTES`] away or more.
    #[must_use]
    pub fn reading(&self, narrowed: &Narrowed, number: FileNumber, far: &[FarRow]) -> Option<Reading> {
        let inner = self.read();
        let file = inner.files.get(&number).filter(|file| narrowed.age == inner.age && !file.parts.is_empty())?;
        let mut parts: Vec<ReadPart> = Vec::new();
        for part in file.parts.iter().filter(|part| narrowed.may_have(0, part)) {
            let is_far = || far.iter().any(|(of, place)| *of == number && (part.start..part.end).contains(place));
            let near = || file.near(part);
            let has_all = (1..narrowed.runs.len()).all(|run| near().any(|near| narrowed.may_have(run, near)));
            // What was appended since may have the other runs.
            let if_grown = !has_all && !is_far();
            if if_grown && part.end + NEAR_BYTES <= file.end() {
                continue;
            }
            let column = inner.segments.get(part.segment).and_then(|segment| segment.columns.get(part.column));
            let are_odd = column.is_none_or(|column| column.odd_ascii || column.odd_letters);
            match parts.last_mut() {
                Some(last) if (last.place.end, last.are_odd, last.if_grown) == (part.start, are_odd, if_grown) => {
                    last.place.end = part.end;
                }
                _ => parts.push(ReadPart { place: part.start..part.end, are_odd, if_grown }),
            }
        }
        let (path, stamp, print) = (file.path.clone(), file.stamp, file.print);
        Some(Reading { path, stamp, print, end: file.end(), is_whole: file.is_whole, parts })
    }

    /// Bytes of session files that are known.
    #[must_use]
    pub fn known_bytes(&self) -> u64 {
        self.read().known_bytes
    }

    /// Session files of which something is known.
    #[must_use]
    pub fn files(&self) -> usize {
        self.read().files.len()
    }

    /// Bytes that it takes on the disk.
    #[must_use]
    pub fn disk_bytes(&self) -> u64 {
        self.read().segments.iter().map(Segment::disk_bytes).sum()
    }

    pub(super) fn read(&self) -> RwLockReadGuard<'_, Inner> {
        // A poisoned lock can be used: parts are told only after their bits were put into the table.
        self.inner.read().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn write(&self) -> RwLockWriteGuard<'_, Inner> {
        self.inner.write().unwrap_or_else(PoisonError::into_inner)
    }

    /// Writes the segment that grows to a file if it is full. Fails if it cannot be written; it is thrown away then, with
    /// all else, so that memory stays bounded.
    pub(super) fn seal_if_full(&self, columns_max: usize) -> io::Result<()> {
        // Only the thread that calls this changes anything: while it waits for the disk, questions are asked.
        let inner = self.read();
        let (number, name) = (inner.next, self.folder.join(format!("{:08}.segment", inner.next)));
        let last = inner.segments.last().filter(|last| last.columns.len() >= columns_max && last.grows());
        let Some(sealed) = last.map(|last| last.seal(&name)) else { return Ok(()) };
        drop(inner);
        let mut inner = self.write();
        let sealed = sealed.inspect_err(|_| inner.clear())?;
        inner.next = number + 1;
        if let Some(last) = inner.segments.last_mut() {
            last.go_on_with(sealed);
        }
        Ok(())
    }

    /// Throws everything away if most of it is of no use any more. Fails if files cannot be removed.
    pub(super) fn clear_if_dead(&self) -> io::Result<()> {
        let mut inner = self.write();
        if inner.dead_bytes < DEAD_BYTES_MAX || inner.dead_bytes < inner.known_bytes {
            return Ok(());
        }
        inner.clear();
        for entry in fs::read_dir(&self.folder)? {
            fs::remove_file(entry?.path())?;
        }
        Ok(())
    }
}

impl Narrowed {
    fn may_have(&self, run: usize, part: &Part) -> bool {
        // What was added since is in no column that was looked at.
        let bits = self.runs.get(run).and_then(|run| run.get(part.segment)).filter(|_| part.added <= self.added);
        let word = bits.and_then(|bits| bits.get(part.column / 64));
        word.is_none_or(|word| word >> (part.column % 64) & 1 == 1)
    }
}

impl KnownFile {
    /// Up to where it is known.
    pub(super) fn end(&self) -> u64 {
        self.parts.last().map_or(0, |part| part.end)
    }

    /// The part itself, and those around it that are near.
    fn near(&self, part: &Part) -> impl Iterator<Item = &Part> {
        let (start, end) = (part.start.saturating_sub(NEAR_BYTES), part.end + NEAR_BYTES);
        let first = self.parts.partition_point(|near| near.end <= start);
        self.parts.get(first..).unwrap_or_default().iter().take_while(move |near| near.start < end)
    }
}

impl Inner {
    fn clear(&mut self) {
        *self = Self { age: self.age + 1, next: self.next, ..Self::default() };
    }

    /// Takes in a segment of an earlier process. Parts that do not go on where the file is known are dead. Fails if `path`
    /// does.
    fn put_loaded(
        &mut self,
        mut segment: Segment,
        path: &impl Fn(FileNumber) -> io::Result<Option<PathBuf>>,
    ) -> io::Result<()> {
        let number = self.segments.len();
        for (column, own) in segment.columns.iter_mut().enumerate() {
            for extent in std::mem::take(&mut own.extents) {
                let path = || Ok(path(FileNumber(extent.file))?.unwrap_or_default());
                self.put(extent, (number, column), path)?;
            }
        }
        self.segments.push(segment);
        Ok(())
    }

    /// Notes that a column stands for a part of a file. `path` is asked where the file is, if it is a new one. Fails if
    /// `path` does.
    pub(super) fn put(
        &mut self,
        extent: Extent,
        (segment, column): (usize, usize),
        path: impl FnOnce() -> io::Result<PathBuf>,
    ) -> io::Result<()> {
        let Extent { file: number, start, end, print, stamp } = extent;
        let number = FileNumber(number);
        if start == 0 {
            self.forget(number);
        }
        let file = self.files.entry(number).or_default();
        if file.end() != start || end < start {
            self.dead_bytes += end.saturating_sub(start);
            return Ok(());
        }
        if file.parts.is_empty() {
            file.path = path()?;
        }
        self.added += 1;
        (file.print, file.stamp) = (print, Some(stamp));
        match file.parts.last_mut() {
            Some(last) if (last.segment, last.column) == (segment, column) => {
                (last.end, last.added) = (end, self.added);
            }
            _ => file.parts.push(Part { start, end, segment, column, added: self.added }),
        }
        self.known_bytes += end - start;
        Ok(())
    }

    /// Forgets what is known of a file.
    pub(super) fn forget(&mut self, number: FileNumber) {
        if let Some(file) = self.files.remove(&number) {
            self.known_bytes -= file.end();
            self.dead_bytes += file.end();
        }
    }

    /// The column that parts are added to, with its number and that of its segment; a new one if the last is closed.
    /// A new segment has the key of `file`, which it begins with, from its origin.
    pub(super) fn begin_column(&mut self, file: &Source, origin: Origin) -> io::Result<(usize, usize)> {
        if self.segments.last().is_none_or(|last| last.columns.len() >= COLUMNS || !last.grows()) {
            self.segments.push(Segment::new(key_of(file, origin.end)?, origin));
        }
        let segment = self.segments.len().saturating_sub(1);
        let columns = self.segments.last_mut().map_or(0, |last| {
            last.columns.push(Column::default());
            last.columns.len()
        });
        Ok((segment, columns.saturating_sub(1)))
    }
}
