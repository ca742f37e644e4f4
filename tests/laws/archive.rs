//! Whatever files do, whenever they are copied and wherever that is cut off: every row that was ever copied is read again as
//! it was, and a copy with the name of one has the bytes of its file.
//!
//! `TAILSPAN_TEST_FIRST_SEED=7 TAILSPAN_TEST_SEEDS=500` runs other stories than the usual ones.

use std::cell::Cell;
use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use tailspan::archive::Archive;
use tailspan::archive::copy::{Copied, CopyError};
use tailspan::archive::keep::{Keeper, Rules};
use tailspan::tail::reread::Latest;
use tailspan::tail::{self, FoundFile};
use tailspan::transcript::chunk::FileNumber;
use tailspan::transcript::expected::Expected;
use tailspan::transcript::ids::RowId;
use tailspan::transcript::record::LinePlace;
use tailspan::transcript::time::Timestamp;
use tempfile::TempDir;

use crate::support::world::{Dice, append};

const SEEDS: u64 = 60;

const FILE: FileNumber = FileNumber(0);

/// A time at which every file is quiet.
const LATER: Timestamp = Timestamp(4_000_000_000_000);

/// A prompt that was copied: where it stood, and its text.
#[derive(Debug, Clone)]
struct Row {
    place: LinePlace,
    id: u32,
    text: String,
}

/// Session files and their archive.
struct Files {
    folder: TempDir,
    archive: Archive,
    /// The rows that each file has now.
    rows: BTreeMap<PathBuf, Vec<Row>>,
    /// The rows that each file had when it was copied, over all times.
    copied: BTreeMap<PathBuf, Vec<Row>>,
    next: u32,
}

impl Files {
    fn new() -> Self {
        let folder = TempDir::new().unwrap();
        let archive = Archive::at(&folder.path().join("archive"));
        Self { folder, archive, rows: BTreeMap::new(), copied: BTreeMap::new(), next: 0 }
    }

    fn root(&self) -> PathBuf {
        self.folder.path().join("projects")
    }

    fn path(&self, number: usize) -> PathBuf {
        self.root().join("slug").join(format!("{number:08x}-1111-4000-8000-000000000000.jsonl"))
    }

    /// Appends rows; a file that is gone begins anew.
    fn grow(&mut self, path: &Path, dice: &mut Dice) {
        for _ in 0..=dice.below(4) {
            self.next += 1;
            let length = if dice.one_in(4) { 300_000 } else { 200 };
            let letter = |dice: &mut Dice| char::from_digit(dice.below(36).try_into().unwrap(), 36).unwrap();
            let text: String = (0..dice.below(length)).map(|_| letter(dice)).collect();
            let line = line(self.next, &text);
            let offset = fs::metadata(path).map_or(0, |metadata| metadata.len());
            let place = LinePlace { offset, bytes: u32::try_from(line.len()).unwrap() - 1 };
            append(path, line.as_bytes());
            self.rows.entry(path.to_path_buf()).or_default().push(Row { place, id: self.next, text });
        }
    }

    fn remove(&mut self, path: &Path) {
        fs::remove_file(path).ok();
        self.rows.remove(path);
    }

    /// Copies what is quiet; stops before a piece if `pieces` are done.
    fn keep(&mut self, pieces: usize) {
        let mut keeper = Keeper::new(self.archive.clone());
        keeper.look().unwrap();
        let found: Vec<FoundFile> = tail::scan(&self.root(), &mut |problem| panic!("{problem}"));
        let root = self.root();
        let left = Cell::new(pieces);
        let goes_on = || {
            left.set(left.get().saturating_sub(1));
            left.get() > 0
        };
        let rules = Rules { after: Duration::from_secs(60), end: None };
        let files = found.iter().map(|found| (found, root.as_path()));
        let pass = keeper.pass(files, &rules, LATER, &goes_on);
        assert!(pass.failed.is_empty() && pass.paused.is_none(), "{pass:?}");
        for found in found.iter().filter(|found| keeper.has(found)) {
            let now = self.rows[&found.path].clone();
            let copied = self.copied.entry(found.path.clone()).or_default();
            copied.retain(|old| now.iter().all(|row| row.id != old.id));
            copied.extend(now);
        }
    }

    /// Every copy has the bytes that it says; every row that is in a file, or was copied, is read as it was.
    fn check(&self) {
        let shelf = self.archive.shelf().unwrap();
        assert!(shelf.damaged.is_empty(), "{:?}", shelf.damaged);
        shelf.copies.iter().for_each(|copy| copy.check().unwrap());
        for (path, rows) in self.rows.iter().chain(&self.copied) {
            let (mut file, mut latest) = (self.archive.open(path), Latest::default());
            for row in rows {
                let expected = Expected::Prompt(RowId(u128::from(row.id)));
                let value = file.read(&mut latest, (FILE, row.place), &expected).unwrap();
                assert!(value["message"]["content"] == row.text, "row {} of {}", row.id, path.display());
            }
        }
        for (path, rows) in &self.copied {
            let (mut file, mut bytes) = (self.archive.open(path), vec![0; 64]);
            let all = fs::read(path).unwrap_or_default();
            // What has the bytes now has them at every place.
            let Ok(now) = file.now() else { panic!("{} rows and no file", rows.len()) };
            for at in (0..all.len()).step_by(all.len() / 7 + 1) {
                let read = now.read_at(&mut bytes, at as u64).unwrap();
                assert!(read > 0 && bytes[..read] == all[at..at + read]);
            }
        }
    }
}

fn line(id: u32, text: &str) -> String {
    format!(
        "{{\"type\":\"user\",\"sessionId\":\"s\",\"uuid\":\"00000000-0000-0000-0000-{id:012x}\",\
         \"message\":{{\"role\":\"user\",\"content\":\"{text}\"}},\"timestamp\":\"2026-11-22T06:00:00.000Z\"}}\n"
    )
}

fn story(seed: u64) {
    let mut dice = Dice::new(seed);
    let mut files = Files::new();
    for _ in 0..12 {
        let path = files.path(dice.below(3));
        match dice.below(8) {
            0..=2 => files.grow(&path, &mut dice),
            3 => {
                files.remove(&path);
                files.grow(&path, &mut dice);
            }
            4 => files.remove(&path),
            5 => files.keep(1 + dice.below(12)),
            _ => files.keep(usize::MAX),
        }
        files.check();
    }
}

#[test]
fn every_row_that_was_copied_is_read_again() {
    let number = |name: &str, default: u64| std::env::var(name).map_or(default, |text| text.parse().unwrap());
    let first = number("TAILSPAN_TEST_FIRST_SEED", 1);
    for seed in first..first + number("TAILSPAN_TEST_SEEDS", SEEDS) {
        std::panic::catch_unwind(|| story(seed)).unwrap_or_else(|_| panic!("seed {seed}"));
    }
}

/// Copies a file of four pieces; at each time that the copying goes on, `meddle` is called with how often it did.
fn copied(meddle: impl Fn(&Path, usize)) -> (Files, Result<Copied, CopyError>) {
    let mut files = Files::new();
    let path = files.path(0);
    append(&path, line(1, &"x".repeat(900_000)).as_bytes());
    let found = tail::scan(&files.root(), &mut |problem| panic!("{problem}")).remove(0);
    let steps = Cell::new(0);
    let goes_on = || {
        steps.set(steps.get() + 1);
        meddle(&path, steps.get());
        true
    };
    let copied = files.archive.copy(&found, &files.root(), LATER, &goes_on);
    files.rows.clear();
    (files, copied)
}

#[test]
fn a_file_that_changes_while_it_is_copied_has_no_copy_yet() {
    let change = |path: &Path, at: u64| {
        let file = fs::File::options().write(true).open(path).unwrap();
        file.write_all_at(b"y", at).unwrap();
        file
    };
    let steps = Cell::new(0);
    let (_, untouched) = copied(|_, step| steps.set(step));
    assert!(matches!(untouched, Ok(Copied::New { is_rewritten: false, .. })), "{untouched:?}");
    assert_eq!(steps.get(), 8, "four pieces are written, and four read back");
    for at_step in 1..=8 {
        let is_none = |files: &Files| {
            let shelf = files.archive.shelf().unwrap();
            shelf.copies.is_empty() && shelf.damaged.is_empty() && shelf.unfinished.is_empty()
        };
        let (files, appended) = copied(|path, step| {
            if step == at_step {
                append(path, b"more\n");
            }
        });
        assert_eq!(appended.unwrap(), Copied::Changed, "step {at_step}");
        assert!(is_none(&files));
        let (files, removed) = copied(|path, step| {
            if step == at_step {
                fs::remove_file(path).unwrap();
            }
        });
        assert_eq!(removed.unwrap(), Copied::Changed, "step {at_step}");
        assert!(is_none(&files));
        // What the system does not tell: the bytes alone differ.
        let (files, hidden) = copied(|path, step| {
            if step == at_step {
                let modified = fs::metadata(path).unwrap().modified().unwrap();
                change(path, 300_000).set_modified(modified).unwrap();
            }
        });
        // The second piece is written at step 2 and read back at step 6.
        let was_read = (3..=6).contains(&at_step);
        match hidden {
            Err(CopyError::Differs { .. }) => assert!(was_read && is_none(&files), "step {at_step}"),
            Ok(Copied::New { .. }) => {
                assert!(!was_read, "step {at_step}");
                files.archive.shelf().unwrap().copies[0].check().unwrap();
            }
            other => panic!("step {at_step}: {other:?}"),
        }
    }
}

#[test]
fn a_copy_that_is_cut_or_changed_anywhere_is_noticed() {
    let mut files = Files::new();
    let path = files.path(0);
    files.grow(&path, &mut Dice::new(3));
    files.keep(usize::MAX);
    let copy = files.archive.copy_of(&path).unwrap();
    let bytes = fs::read(&copy).unwrap();
    let is_whole = || {
        let shelf = files.archive.shelf().unwrap();
        shelf.damaged.is_empty() && shelf.copies.len() == 1 && shelf.copies[0].check().is_ok()
    };
    assert!(is_whole());
    for length in (0..bytes.len()).step_by(bytes.len() / 200 + 1) {
        fs::write(&copy, &bytes[..length]).unwrap();
        assert!(!is_whole(), "cut to {length} of {} bytes", bytes.len());
    }
    // What it says of the file's times and places is not its content; all else is.
    let about = bytes.windows(9).position(|window| window == b"\"version\"").unwrap() - 1;
    for at in (0..about).step_by(about / 300 + 1) {
        let mut changed = bytes.clone();
        changed[at] ^= 0x10;
        fs::write(&copy, &changed).unwrap();
        assert!(!is_whole(), "byte {at} of {} changed", bytes.len());
    }
    fs::write(&copy, &bytes).unwrap();
    assert!(is_whole());
    let file = fs::File::open(&copy).unwrap();
    let mut first = [0; 4];
    file.read_exact_at(&mut first, 0).unwrap();
    assert_eq!(first, [0x28, 0xb5, 0x2f, 0xfd], "a zstd frame (RFC 8878, section 3.1.1)");
}
