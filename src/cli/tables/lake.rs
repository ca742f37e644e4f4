//! All tables, a file for each day: `DIR/TABLE/host=HOST/day=DAY/part-0.parquet`.
//!
//! Every day of every table is made anew and compared with what was written before: a row that comes late, or a price that
//! changes, is found wherever it belongs. Only what differs is put in its place, as a whole. A day that has fewer rows than
//! before, or none, is left as it is, because a lake outlives the state: a machine that lost its state, or has not read
//! everything yet, must not take its past along.

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};

use clap::ValueEnum;
use serde_json::Value;
use xxhash_rust::xxh3::Xxh3;

use super::args::{ExportArgs, TableName};
use super::error::ExportError;
use super::manifest::{Manifest, Written};
use crate::cli::ask::answer::text;
use crate::cli::ask::question::Question;
use crate::cli::ask::source::Source;
use crate::http::api::tables::parquet::rows_of;
use crate::sidecar::{log, settings};
use crate::text::percent_encoded;
use crate::transcript::time::Timestamp;
use crate::views::analytics::period::{Day, Zone};

/// The folder of what is no table. Readers pass over names that begin so.
const OWN: &str = "_tailspan";

/// Most days behind the first row of a session, and before its last, that are looked at: one row with a wrong clock must
/// not make a hundred thousand questions.
const DAYS_MAX: i64 = 1830;

/// An export that goes on.
struct Lake<'l> {
    folder: &'l Path,
    source: &'l Source,
    host: String,
    before: Manifest,
    now: Manifest,
    /// Files that were put in their places.
    changed: u64,
    /// Files that were left alone because they have more rows than there are now.
    larger: u64,
    /// Their days: what was added up of these stays as well.
    kept: BTreeSet<Day>,
}

/// Writes what is new or has changed.
pub(super) fn run(args: &ExportArgs, source: &Source) -> Result<(), ExportError> {
    let Some(folder) = args.output.as_deref() else {
        return Err(ExportError::Usage("--all needs a folder: --output".to_owned()));
    };
    let host = args.host.clone().unwrap_or_else(|| settings::host().to_string());
    let own = folder.join(OWN);
    fs::create_dir_all(&own).map_err(|source| ExportError::Write { path: own.clone(), source })?;
    let path = own.join(format!("{}.json", file_name(&host)));
    let before = Manifest::read(&path);
    let mut lake =
        Lake { folder, source, host, before, now: Manifest::default(), changed: 0, larger: 0, kept: BTreeSet::new() };
    let Some(days) = lake.days()? else {
        log::say(&format!("tailspan: nothing has changed; {} files are as they were", lake.before.files.len()));
        return Ok(());
    };
    let made = TableName::value_variants().iter().try_for_each(|table| lake.table(*table, &days));
    let unfinished = lake.unfinished();
    let removed = fs::remove_file(&unfinished).or_else(unless_missing);
    made?;
    removed.map_err(|source| failed(&unfinished, source))?;
    let written = lake.now.files.len();
    let left = lake.before.files.keys().filter(|path| !lake.now.files.contains_key(*path)).count();
    // What is not written any more stays, and stays known.
    let kept = lake.before.files.iter().map(|(path, file)| (path.clone(), file.clone()));
    let mut files: std::collections::BTreeMap<String, Written> = kept.collect();
    files.append(&mut lake.now.files);
    let now = Manifest { files, tag: lake.now.tag };
    if now != lake.before {
        now.write(&path).map_err(|source| ExportError::Write { path: path.clone(), source })?;
    }
    let (left, larger) = (left as u64 - lake.larger, lake.larger);
    let told =
        |count: u64, what: &str| if count > 0 { format!("; {count} {what} were left alone") } else { String::new() };
    let stay = [told(left, "of days without rows"), told(larger, "that have more rows than there are now")].concat();
    log::say(&format!("tailspan: {} files written, {} unchanged{stay}", lake.changed, written as u64 - lake.changed));
    Ok(())
}

impl Lake<'_> {
    fn question(&self, table: &str, format: &str) -> Question {
        Question::export(table, format).with("host", &self.host)
    }

    /// The days on which rows may be, from the first to the last row of every session; `None` if nothing has changed since
    /// the last export.
    fn days(&mut self) -> Result<Option<BTreeSet<Day>>, ExportError> {
        let known = self.before.tag.as_deref().filter(|_| self.before.is_whole(self.folder));
        let mut lines = Days::default();
        let wrote = self.source.write(&self.question("sessions", "ndjson"), known, &mut lines)?;
        self.now.tag = wrote.tag;
        lines.flush().map_err(ExportError::Output)?;
        Ok(wrote.is_new.then_some(lines.days))
    }

    fn table(&mut self, table: TableName, days: &BTreeSet<Day>) -> Result<(), ExportError> {
        // The file of a day without rows; no session has this id.
        let nothing = self.question(table.name(), "parquet").with("session", "-");
        let empty = self.make(&nothing)?.1;
        for day in days {
            let question = self.question(table.name(), "parquet").with("day", &day.to_string());
            let (unfinished, written) = self.make(&question)?;
            if written == empty {
                continue;
            }
            let host = file_name(&self.host);
            let path = format!("{}/host={host}/day={day}/part-0.parquet", table.name());
            if !self.before.has(self.folder, &path, &written) {
                let place = self.folder.join(&path);
                let is_smaller = rows_of(&place) > rows_of(&unfinished) || self.kept.contains(day);
                if is_smaller && self.before.files.contains_key(&path) {
                    self.larger += 1;
                    self.kept.insert(*day);
                    continue;
                }
                self.place(&unfinished, &place)?;
                self.changed += 1;
            }
            self.now.files.insert(path, written);
        }
        Ok(())
    }

    fn unfinished(&self) -> PathBuf {
        self.folder.join(OWN).join(format!("{}-{}.unfinished", file_name(&self.host), std::process::id()))
    }

    /// Writes an answer into a file that has no place yet.
    fn make(&self, question: &Question) -> Result<(PathBuf, Written), ExportError> {
        let path = self.unfinished();
        let file = File::create(&path).map_err(|source| failed(&path, source))?;
        let mut sink = Hashed { file: BufWriter::new(file), hash: Xxh3::new(), bytes: 0 };
        self.source.write(question, None, &mut sink)?;
        sink.flush().map_err(|source| failed(&path, source))?;
        let written = Written { bytes: sink.bytes, hash: format!("{:032x}", sink.hash.digest128()) };
        Ok((path, written))
    }

    /// Puts a file in its place, as a whole and for good.
    fn place(&self, unfinished: &Path, path: &Path) -> Result<(), ExportError> {
        let placed = || {
            fs::create_dir_all(path.parent().unwrap_or(self.folder))?;
            File::open(unfinished)?.sync_all()?;
            fs::rename(unfinished, path)
        };
        placed().map_err(|source| failed(path, source))
    }
}

fn failed(path: &Path, source: io::Error) -> ExportError {
    ExportError::Write { path: path.to_path_buf(), source }
}

fn unless_missing(error: io::Error) -> io::Result<()> {
    if error.kind() == io::ErrorKind::NotFound { Ok(()) } else { Err(error) }
}

/// A host as a part of a path, as Hive encodes values.
fn file_name(host: &str) -> String {
    let is_plain = |letter: char| letter.is_ascii_alphanumeric() || matches!(letter, '-' | '_' | '.');
    let is_name = host.chars().all(is_plain) && !host.starts_with('.') && !host.is_empty();
    if is_name { host.to_owned() } else { percent_encoded(host) }
}

/// Passes bytes on to a file and hashes them.
struct Hashed {
    file: BufWriter<File>,
    hash: Xxh3,
    bytes: u64,
}

impl Write for Hashed {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.file.write_all(bytes)?;
        self.hash.update(bytes);
        self.bytes += bytes.len() as u64;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}

/// Collects the days of sessions out of their rows as lines of JSON.
#[derive(Default)]
struct Days {
    line: Vec<u8>,
    days: BTreeSet<Day>,
}

impl Days {
    fn session(&mut self) {
        let row: Value = serde_json::from_slice(&self.line).unwrap_or_default();
        self.line.clear();
        let day = |place| Zone::UTC.day(Timestamp::parse(text(&row, place)?)?);
        let (first, last) = (day("/started_at"), day("/ended_at"));
        let (Some(first), Some(last)) = (first.or(last), last.or(first)) else { return };
        let days = std::iter::successors(Some(first), |day| day.next()).take_while(|day| *day <= last);
        self.days.extend(days.filter(|day| day.since(first) < DAYS_MAX || last.since(*day) < DAYS_MAX));
    }
}

impl Write for Days {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let mut lines = bytes.split(|byte| *byte == b'\n').peekable();
        while let Some(line) = lines.next() {
            self.line.extend_from_slice(line);
            if lines.peek().is_some() {
                self.session();
            }
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
