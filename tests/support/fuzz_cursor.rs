//! A file that is appended to, cut, replaced and rewritten while it is read in small steps. Shared with `fuzz/`.
//!
//! The bytes of an input are moves. Every line consists of its own number, so that no two lines have 64 bytes in common;
//! the clock of the file moves with every write, because what is written within one tick cannot be told.

use std::collections::BTreeSet;
use std::fs::{self, OpenOptions};
use std::io::Write;
use std::path::PathBuf;
use std::time::{Duration, UNIX_EPOCH};

use tailspan::tail::{FileReader, FoundFile, Read, ReadLimits, scan_under};
use tailspan::transcript::chunk::{Chunk, Cursor, FileNumber};
use tempfile::TempDir;

const MOVES_MAX: usize = 64;

/// Panics if a line that stood in the file when it was read to the end was not handed out, or one that did not.
pub(crate) fn run(data: &[u8]) {
    let mut moves = Moves { bytes: data };
    let (chunk_bytes, line_bytes_max) = (1 + moves.below(90), 1 + moves.below(250));
    let limits = ReadLimits { chunk_bytes, line_bytes_max, search_bytes_max: 100 };
    let mut world = World::new(limits);
    for _ in 0..MOVES_MAX {
        let Some(code) = moves.next() else { break };
        world.make(code, &mut moves);
    }
    world.drain();
}

/// The rest of an input.
struct Moves<'a> {
    bytes: &'a [u8],
}

impl Moves<'_> {
    fn next(&mut self) -> Option<u8> {
        let (first, rest) = self.bytes.split_first()?;
        self.bytes = rest;
        Some(*first)
    }

    fn below(&mut self, limit: usize) -> usize {
        usize::from(self.next().unwrap_or(0)) % limit.max(1)
    }
}

/// What a crash brings back.
#[derive(Clone, Default)]
struct Durable {
    cursor: Option<Cursor>,
    /// Every line that was handed out.
    seen: BTreeSet<Vec<u8>>,
}

struct World {
    folder: TempDir,
    path: PathBuf,
    limits: ReadLimits,
    /// What is in the file; `None`: there is none.
    content: Option<Vec<u8>>,
    reader: FileReader,
    now: Durable,
    saved: Durable,
    written: u32,
    clock_s: u64,
}

impl World {
    fn new(limits: ReadLimits) -> Self {
        // In memory where there is such a place: a case is a few hundred system calls.
        let memory = std::path::Path::new("/dev/shm");
        let folder = if memory.is_dir() { TempDir::new_in(memory) } else { TempDir::new() }.unwrap();
        let path = folder.path().join("slug/session.jsonl");
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        let reader = FileReader::new(limits);
        let (now, saved) = (Durable::default(), Durable::default());
        Self { folder, path, limits, content: None, reader, now, saved, written: 0, clock_s: 1_000_000_000 }
    }

    fn make(&mut self, code: u8, moves: &mut Moves<'_>) {
        match code % 12 {
            0..=2 => self.append(moves.below(120), true),
            // A line without its end, which a later move may bring.
            3 => self.append(moves.below(255), false),
            4 => self.finish_line(),
            5 => self.cut(moves.below(256)),
            6 => self.replace(moves.below(8), code >= 128),
            7 => self.delete(),
            8 | 9 => drop(self.step()),
            10 => self.drain(),
            _ => self.crash_or_save(code >= 128),
        }
    }

    fn line(&mut self, filling: usize, is_whole: bool) -> Vec<u8> {
        self.written += 1;
        let number = self.written;
        let mut line = format!("{number}.").repeat(filling / 2 + 1).into_bytes();
        line.truncate(filling + 4);
        if is_whole {
            line.extend(format!("-{number}\n").bytes());
        }
        line
    }

    fn append(&mut self, filling: usize, is_whole: bool) {
        let line = self.line(filling, is_whole);
        self.raw(&line);
    }

    /// Ends what may be an unfinished line, like no other.
    fn finish_line(&mut self) {
        self.written += 1;
        let end = format!("={}\n", self.written);
        self.raw(end.as_bytes());
    }

    fn raw(&mut self, bytes: &[u8]) {
        OpenOptions::new().create(true).append(true).open(&self.path).unwrap().write_all(bytes).unwrap();
        self.content.get_or_insert_default().extend_from_slice(bytes);
        self.tick();
    }

    fn cut(&mut self, share: usize) {
        let Some(content) = &mut self.content else { return };
        content.truncate(content.len() * share / 256);
        OpenOptions::new().write(true).open(&self.path).unwrap().set_len(content.len() as u64).unwrap();
        self.tick();
    }

    /// Another content, under the same name in a new file or in the old one.
    fn replace(&mut self, lines: usize, by_rename: bool) {
        let content: Vec<u8> = (0..lines).flat_map(|number| self.line(number * 9, number + 1 < lines)).collect();
        if by_rename {
            let next = self.path.with_extension("jsonl.compact.tmp.1f");
            fs::write(&next, &content).unwrap();
            fs::rename(next, &self.path).unwrap();
        } else {
            fs::write(&self.path, &content).unwrap();
        }
        self.content = Some(content);
        self.tick();
    }

    fn delete(&mut self) {
        if self.content.take().is_some() {
            fs::remove_file(&self.path).unwrap();
        }
    }

    fn tick(&mut self) {
        self.clock_s += 1;
        let time = UNIX_EPOCH + Duration::from_secs(self.clock_s);
        OpenOptions::new().append(true).open(&self.path).unwrap().set_modified(time).unwrap();
    }

    /// A start after a crash knows what was saved; the reader knows nothing.
    fn crash_or_save(&mut self, is_crash: bool) {
        if is_crash {
            self.now = self.saved.clone();
            self.reader = FileReader::new(self.limits);
        } else {
            self.saved = self.now.clone();
        }
    }

    /// One read. True if there was something.
    fn step(&mut self) -> bool {
        let found = scan_under(self.folder.path(), &self.path, &mut |problem| panic!("{problem}")).pop();
        let Some(found) = found else { return false };
        match self.reader.next(&found, FileNumber(1), self.now.cursor.as_ref()).unwrap() {
            Read::Chunk { chunk, more } => {
                self.check(&chunk, &found, more);
                self.now.cursor = Some(chunk.cursor);
                true
            }
            Read::Searching => true,
            Read::Unchanged | Read::Gone => false,
        }
    }

    fn check(&mut self, chunk: &Chunk, found: &FoundFile, more: bool) {
        let content = self.content.as_deref().unwrap();
        let at_line = |offset: usize| offset == 0 || content[offset - 1] == b'\n';
        let (start, end) = (usize::try_from(chunk.offset).unwrap(), usize::try_from(chunk.cursor.offset).unwrap());
        assert!(end <= content.len() && at_line(end), "the cursor stands at {end}, in or behind a line");
        assert!(more == (end < content.len()) && chunk.cursor.size == found.size);
        if chunk.too_long_lines > 0 {
            assert!(chunk.bytes.is_empty() && chunk.too_long_lines == 1 && start == end);
            let line = content[..end - 1].iter().rev().take_while(|byte| **byte != b'\n').count() + 1;
            assert!(line > self.limits.line_bytes_max.max(1), "a line of {line} bytes was skipped");
            return;
        }
        assert!(at_line(start) && chunk.bytes == content[start..end] && !chunk.bytes.is_empty());
        assert!(chunk.restarted == (start == 0));
        for line in chunk.bytes.split_inclusive(|byte| *byte == b'\n') {
            assert!(line.len() <= self.limits.line_bytes_max.max(1), "a line of {} bytes was read", line.len());
            self.now.seen.insert(line.to_vec());
        }
    }

    /// Reads to the end. Then every whole line of the file was handed out, now or before.
    fn drain(&mut self) {
        let most = 2 * self.content.as_ref().map_or(0, Vec::len) + 2;
        let steps = (0..=most).take_while(|_| self.step()).count();
        assert!(steps <= most, "reading does not end");
        let content = self.content.clone().unwrap_or_default();
        let whole = content.iter().rposition(|byte| *byte == b'\n').map_or(0, |at| at + 1);
        for line in content[..whole].split_inclusive(|byte| *byte == b'\n') {
            let is_seen = self.now.seen.contains(line) || line.len() > self.limits.line_bytes_max;
            assert!(is_seen, "{:?} was never handed out", String::from_utf8_lossy(line));
        }
    }
}
