//! Reads and parses several files at once, on threads that run ahead of the one thread that folds.
//!
//! The result does not depend on which file comes first (see [`crate::ledger`]), so files are handed over in any order;
//! the pieces of one file keep their order. Memory is bounded by the number of threads and of batches in flight,
//! however many files there are.

use std::ops::ControlFlow;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{SyncSender, sync_channel};
use std::thread;

use crate::custom::{RuleReader, Rules};
use crate::tail::{End, FileReader, FoundFile, Read, ReadError, ReadLimits};
use crate::transcript::chunk::{Chunk, Cursor, FileNumber, FileRole};
use crate::transcript::{Batch, read};

/// Bytes of lines whose records are handed over together. Fewer handovers are cheaper, and most files are small.
const BYTES_AT_ONCE: u64 = 256 << 10;

/// Most results that are handed over together, however small they are.
const AT_ONCE_MAX: usize = 64;

/// Most handovers that wait to be folded. Each exceeds [`BYTES_AT_ONCE`] by at most about the records of one chunk.
const IN_FLIGHT_MAX: usize = 8;

/// A file that is to be read from its cursor on, or from its beginning.
#[derive(Debug)]
pub struct Job {
    pub file: FileNumber,
    /// Path, size and times of the file when it was found.
    pub found: FoundFile,
    /// Where reading stopped last time; `None` if nothing of the file was counted yet.
    pub cursor: Option<Box<Cursor>>,
}

/// The result of reading a piece of a file.
#[derive(Debug)]
pub enum Parsed {
    /// Records of whole lines.
    Piece(FilePiece),
    /// The file could not be read. Other files are still read.
    Failed {
        /// Number of the file.
        file: FileNumber,
        /// Reason of the reader.
        error: ReadError,
    },
    /// The end of a line of this file is not found yet: [`next_piece`] goes on with the search.
    Searching {
        /// Number of the file.
        file: FileNumber,
    },
    /// There is nothing more to read in this file now.
    Done {
        /// Number of the file.
        file: FileNumber,
        /// True if the file does not exist any more.
        gone: bool,
    },
}

/// Records of whole lines of one file.
#[derive(Debug)]
pub struct FilePiece {
    /// Number of the file.
    pub file: FileNumber,
    /// What the file holds: rows, or something that belongs to them.
    pub role: FileRole,
    /// True if this is the first piece of a file that is read from its beginning.
    pub restarted: bool,
    /// The records, in order.
    pub batch: Batch,
    /// Bytes of the lines that the records come from.
    pub bytes: u64,
    /// Cursor of the file once these records are counted.
    pub cursor: Cursor,
}

impl FilePiece {
    fn of(chunk: &Chunk, rules: &mut RuleReader) -> Self {
        let mut batch = read(chunk);
        if !rules.is_idle() {
            rules.forget();
            batch.records.iter_mut().for_each(|record| rules.extract(chunk, record));
        }
        Self {
            file: chunk.file,
            role: chunk.role.clone(),
            restarted: chunk.restarted,
            batch,
            bytes: chunk.bytes.len() as u64,
            cursor: chunk.cursor.clone(),
        }
    }
}

/// Reads one piece of a file and parses it. The flag is true if there is more to read.
pub fn next_piece(reader: &mut FileReader, job: &Job) -> (Parsed, bool) {
    next_piece_by(&mut RuleReader::new(&Rules::default()), reader, job)
}

/// [`next_piece`] with extracts for the rules of custom metrics.
pub fn next_piece_by(rules: &mut RuleReader, reader: &mut FileReader, job: &Job) -> (Parsed, bool) {
    match reader.next(&job.found, job.file, job.cursor.as_deref()) {
        Ok(Read::Chunk { chunk, more }) => (Parsed::Piece(FilePiece::of(&chunk, rules)), more),
        Ok(Read::Unchanged) => (Parsed::Done { file: job.file, gone: false }, false),
        Ok(Read::Searching) => (Parsed::Searching { file: job.file }, true),
        Ok(Read::Gone) => (Parsed::Done { file: job.file, gone: true }, false),
        Err(error) => (Parsed::Failed { file: job.file, error }, false),
    }
}

/// Reads a file to its end and gives every piece to `take`, and at last a value that says how reading ended.
fn each_piece(
    (reader, rules): (&mut FileReader, &mut RuleReader),
    job: &Job,
    mut take: impl FnMut(Parsed) -> ControlFlow<()>,
) -> ControlFlow<()> {
    let mut enough = ControlFlow::Continue(());
    let end = reader.each(&job.found, job.file, job.cursor.as_deref(), |chunk| {
        enough = take(Parsed::Piece(FilePiece::of(chunk, rules)));
        enough
    });
    enough?;
    take(match end {
        Ok(End::Searching) => Parsed::Searching { file: job.file },
        Ok(end) => Parsed::Done { file: job.file, gone: end == End::Gone },
        Err(error) => Parsed::Failed { file: job.file, error },
    })
}

/// Reads all `jobs` to their end on `threads` threads and gives every piece to `take`, on the calling thread.
/// If `take` returns `Break`, reading stops early.
pub fn for_each(jobs: &[Job], threads: usize, take: impl FnMut(Parsed) -> ControlFlow<()>) {
    for_each_by(&Rules::default(), jobs, threads, take);
}

/// [`for_each`] with extracts for the rules of custom metrics.
pub fn for_each_by(rules: &Rules, jobs: &[Job], threads: usize, mut take: impl FnMut(Parsed) -> ControlFlow<()>) {
    let next = AtomicUsize::new(0);
    let (sender, receiver) = sync_channel(IN_FLIGHT_MAX);
    thread::scope(|scope| {
        for _ in 0..threads.clamp(1, jobs.len().max(1)) {
            let (sender, next) = (sender.clone(), &next);
            scope.spawn(move || {
                let mut reader = FileReader::new(ReadLimits::default());
                let mut rules = RuleReader::new(rules);
                let mut ready = Ready { sender, parsed: Vec::new(), bytes: 0 };
                while let Some(job) = jobs.get(next.fetch_add(1, Ordering::Relaxed)) {
                    if each_piece((&mut reader, &mut rules), job, |parsed| ready.add(parsed)).is_break() {
                        return;
                    }
                }
                // If the caller has stopped early, nobody takes the rest.
                let _enough = ready.hand_over();
            });
        }
        drop(sender);
        for parsed in receiver.iter().flatten() {
            if take(parsed).is_break() {
                // The receiver is dropped below, and the threads stop when they next send.
                break;
            }
        }
        drop(receiver);
    });
}

/// Results that one thread has parsed and not handed over yet.
struct Ready {
    sender: SyncSender<Vec<Parsed>>,
    parsed: Vec<Parsed>,
    bytes: u64,
}

impl Ready {
    fn add(&mut self, parsed: Parsed) -> ControlFlow<()> {
        if let Parsed::Piece(piece) = &parsed {
            self.bytes += piece.bytes;
        }
        self.parsed.push(parsed);
        if self.bytes < BYTES_AT_ONCE && self.parsed.len() < AT_ONCE_MAX {
            return ControlFlow::Continue(());
        }
        self.hand_over()
    }

    fn hand_over(&mut self) -> ControlFlow<()> {
        self.bytes = 0;
        match self.sender.send(std::mem::take(&mut self.parsed)) {
            Ok(()) => ControlFlow::Continue(()),
            Err(_) => ControlFlow::Break(()),
        }
    }
}
