//! Bytes of a session file: what is a line, what is JSON, and that cuts change nothing. Shared with `fuzz/`.

use serde::de::IgnoredAny;
use tailspan::transcript::chunk::{Chunk, Cursor, FileNumber, FileRole};
use tailspan::transcript::parse::{Strings, parse};
use tailspan::transcript::read;
use tailspan::transcript::record::{Reason, Record, RowBody};

/// Newlines at which one input is cut.
const CUTS_MAX: usize = 16;

/// Panics where a law of the line parser is broken.
pub(crate) fn run(data: &[u8]) {
    for line in data.split(|byte| *byte == b'\n') {
        judge(line);
    }
    let whole = records(0, data);
    for cut in newlines(data).take(CUTS_MAX) {
        let mut parts = records(0, &data[..cut]);
        parts.extend(records(cut, &data[cut..]));
        assert!(parts == whole, "cut at {cut}");
    }
    // What follows the last newline is not read yet.
    let end = newlines(data).last().unwrap_or(0);
    assert!(records(0, &data[..end]) == whole, "a torn line was read");
    let role = FileRole::AgentMeta { session: "s".into(), agent: "a".into() };
    drop(read(&chunk(0, data, role)));
}

fn newlines(data: &[u8]) -> impl Iterator<Item = usize> {
    data.iter().enumerate().filter(|(_, byte)| **byte == b'\n').map(|(at, _)| at + 1)
}

fn records(offset: usize, bytes: &[u8]) -> Vec<Record> {
    read(&chunk(offset as u64, bytes, FileRole::Rows)).records
}

fn chunk(offset: u64, bytes: &[u8], role: FileRole) -> Chunk {
    let cursor = Cursor { offset: offset + bytes.len() as u64, ..Cursor::default() };
    Chunk {
        file: FileNumber(0),
        role,
        offset,
        bytes: bytes.to_vec(),
        restarted: offset == 0,
        too_long_lines: 0,
        cursor,
    }
}

/// A line is refused exactly if it is no JSON; a value that is no object is told apart.
fn judge(line: &[u8]) {
    let body = parse(line, &mut Strings::default());
    let text = line.trim_ascii_start();
    let zeros = text.iter().take_while(|byte| **byte == 0).count();
    let text = String::from_utf8_lossy(&text[zeros..]);
    let trimmed = text.trim_ascii_start();
    if trimmed.is_empty() {
        assert!(matches!(body, RowBody::Noted), "a blank line is {body:?}");
        return;
    }
    let expected = match (serde_json::from_str::<IgnoredAny>(&text).is_ok(), trimmed.starts_with('{')) {
        (false, _) => Some(Reason::NotJson),
        (true, false) => Some(Reason::NotAnObject),
        (true, true) => None,
    };
    let given = match body {
        RowBody::Rejected(reason) => Some(reason),
        _ => None,
    };
    assert!(expected == given, "{given:?} instead of {expected:?}: {text:?}");
}
