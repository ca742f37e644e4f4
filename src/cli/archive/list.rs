//! `tailspan archive list`.

use std::collections::BTreeMap;
use std::path::Path;

use serde::Serialize;

use super::error::ArchiveError;
use crate::archive::shelf::{Copy, Shelf};
use crate::cli::scan::print;
use crate::cli::table::TextTable;
use crate::text::display;
use crate::transcript::time::Timestamp;
use crate::views::analytics::figures::{grouped, size};

/// Characters of a date and a time to the minute, of an RFC 3339 text.
const MINUTE: usize = 16;

/// Characters of the name of a project that are printed, the last ones.
const PROJECT_CHARS: usize = 24;

/// Characters of the id of a session that are printed: enough to restore it.
const SESSION_CHARS: usize = 8;

/// What is printed of a copy as JSON.
#[derive(Serialize)]
struct Line<'a> {
    session: String,
    file: String,
    /// 0 for the newest copy of a file, else the number of an earlier one.
    earlier: u32,
    file_bytes: u64,
    copy: String,
    copy_bytes: u64,
    written_at: String,
    copied_at: &'a str,
    file_is_gone: bool,
}

/// What is printed of a session.
#[derive(Default)]
struct Row {
    project: String,
    files: u64,
    earlier: u64,
    bytes: u64,
    written_ns: i64,
    gone: u64,
}

pub(super) fn list(shelf: &Shelf, as_json: bool) -> Result<(), ArchiveError> {
    let mut text = String::new();
    if as_json {
        for copy in &shelf.copies {
            text.push_str(&json(copy));
            text.push('\n');
        }
        return Ok(print(&text)?);
    }
    let mut rows: BTreeMap<String, Row> = BTreeMap::new();
    for copy in &shelf.copies {
        let (path, about) = (copy.about.path(), &copy.about);
        let row = rows.entry(copy.session()).or_default();
        let below = path.strip_prefix(about.root()).ok().and_then(|below| below.iter().next().map(Path::new));
        row.project = below.map_or_else(String::new, display);
        if copy.number.is_some() {
            row.earlier += 1;
            continue;
        }
        row.files += 1;
        row.bytes += about.size;
        row.written_ns = row.written_ns.max(about.modified_ns);
        row.gone += u64::from(!path.exists());
    }
    let mut sessions: Vec<(String, Row)> = rows.into_iter().collect();
    sessions.sort_by_key(|(_, row)| std::cmp::Reverse(row.written_ns));
    let mut table = TextTable::new(&["project", "session", "files", "size", "gone", "last written (UTC)"]);
    for (session, row) in &sessions {
        let files = if row.earlier == 0 { grouped(row.files) } else { format!("{} +{}", row.files, row.earlier) };
        let session = session.chars().take(SESSION_CHARS).collect();
        table.row(vec![
            end_of(&row.project),
            session,
            files,
            size(row.bytes),
            grouped(row.gone),
            minute(row.written_ns),
        ]);
    }
    if !sessions.is_empty() {
        table.print(&mut text);
    }
    let (bytes, stored) = shelf.copies.iter().fold((0, 0), |sum, copy| (sum.0 + copy.about.size, sum.1 + copy.bytes));
    let (sessions, copies) = (grouped(sessions.len() as u64), grouped(shelf.copies.len() as u64));
    text.push_str(&format!("{sessions} sessions, {copies} copies of {} in {}", size(bytes), size(stored)));
    text.push_str("; gone: files that the client deleted; +1: what a file was before it was rewritten\n");
    for (path, reason) in &shelf.damaged {
        text.push_str(&format!("damaged: {}: {reason}\n", path.display()));
    }
    Ok(print(&text)?)
}

fn json(copy: &Copy) -> String {
    let path = copy.about.path();
    let line = Line {
        session: copy.session(),
        file: display(&path),
        earlier: copy.number.unwrap_or(0),
        file_bytes: copy.about.size,
        copy: display(&copy.path),
        copy_bytes: copy.bytes,
        written_at: time(copy.about.modified_ns).to_rfc3339(),
        copied_at: &copy.about.copied_at,
        file_is_gone: !path.exists(),
    };
    match serde_json::to_string(&line) {
        Ok(line) => line,
        Err(_) => unreachable!("texts and numbers are all that there is to write"),
    }
}

/// The end of a name that is too long for a column.
fn end_of(name: &str) -> String {
    let letters = name.chars().count();
    if letters <= PROJECT_CHARS {
        return name.to_owned();
    }
    let end: String = name.chars().skip(letters - PROJECT_CHARS + 1).collect();
    format!("…{end}")
}

fn time(ns: i64) -> Timestamp {
    Timestamp(ns / 1_000_000)
}

fn minute(ns: i64) -> String {
    time(ns).to_rfc3339().chars().take(MINUTE).map(|letter| if letter == 'T' { ' ' } else { letter }).collect()
}
