//! Divides a chunk into lines and reads the rows of each line. Nearly always a line is one row.
//!
//! Two writers, or a crash between a row and its newline, leave lines that hold a whole row and something else: another
//! whole row, or the beginning of a row that was cut. Every whole row of such a line is read; if anything else is left
//! of the line, it is rejected once. Source: `claude-code-format.md` section 15.7.

use memchr::{memchr, memchr_iter};

use super::chunk::{Chunk, FileRole};
use super::json::Json;
use super::raw::RawRow;
use super::record::{LinePlace, Reason, Record, RowBody};
use super::rows;
pub(crate) use super::rows::mend_surrogates;
use super::split;
use super::stream;
pub use super::strings::Strings;

/// The UTF-8 byte order mark, which an editor or an old PowerShell writes at the beginning of a file.
const BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";

/// The records of one chunk, in order.
#[derive(Debug, Default)]
pub struct Batch {
    /// The rows that were read and the lines that were rejected, without [`RowBody::Noted`].
    pub records: Vec<Record>,
    /// Number of lines, without blank ones.
    pub lines: u64,
}

/// Reads the whole lines of a chunk.
#[must_use]
pub fn read(chunk: &Chunk) -> Batch {
    let mut records = Vec::new();
    let lines = each(chunk, &mut Strings::default(), |record| records.push(record));
    Batch { records, lines }
}

/// Reads the whole lines of a chunk and gives each record to `take`, in order. Returns the number of lines, without
/// blank ones. Never fails: an unreadable line is a [`RowBody::Rejected`].
pub fn each(chunk: &Chunk, strings: &mut Strings, mut take: impl FnMut(Record)) -> u64 {
    if let FileRole::AgentMeta { session, agent } = &chunk.role {
        take(rows::agent_meta(&chunk.bytes, session, agent, strings));
        return 1;
    }
    let mut lines = 0;
    let mut start = 0;
    for newline in memchr_iter(b'\n', &chunk.bytes) {
        let line = chunk.bytes.get(start..newline).unwrap_or_default();
        let place = LinePlace { offset: chunk.offset + start as u64, bytes: length(line) };
        start = newline + 1;
        lines += u64::from(!is_blank(line));
        let body = if chunk.role == FileRole::Stream { stream::parse(line, strings) } else { parse(line, strings) };
        match body {
            RowBody::Noted => {}
            RowBody::Rejected(Reason::NotJson) if chunk.role == FileRole::Stream => {
                take(Record { place, body: RowBody::Rejected(Reason::NotJson) });
            }
            RowBody::Rejected(Reason::NotJson) => rows_within(line, place, strings, &mut take),
            body => split::records(place, body, &mut take),
        }
    }
    for _ in 0..chunk.too_long_lines {
        lines += 1;
        take(Record { place: LinePlace::default(), body: RowBody::Rejected(Reason::TooLong) });
    }
    lines
}

fn length(line: &[u8]) -> u32 {
    u32::try_from(line.len()).unwrap_or(u32::MAX)
}

fn is_blank(text: &[u8]) -> bool {
    text.iter().all(|byte| *byte == 0 || byte.is_ascii_whitespace())
}

/// Reads one line, without its newline, as one row. A line that is not exactly one row is a [`RowBody::Rejected`].
#[must_use]
pub fn parse(line: &[u8], strings: &mut Strings) -> RowBody {
    let line = line.strip_prefix(BYTE_ORDER_MARK).unwrap_or(line);
    // A crash may leave NUL bytes at the beginning of a line, which the client's own reader strips too.
    let line = line.trim_ascii_start();
    let line = line.iter().position(|&byte| byte != 0).map_or(&[][..], |at| line.get(at..).unwrap_or_default());
    match line.trim_ascii_start().first() {
        None => return RowBody::Noted,
        Some(b'{') => {}
        Some(_) => {
            return RowBody::Rejected(if Json::is_valid(line) { Reason::NotAnObject } else { Reason::NotJson });
        }
    }
    // Broken UTF-8 is accepted, as by the client: one bad byte in the output of a tool must not lose the tokens of a
    // row.
    let mut row = RawRow::default();
    match Json::whole(line, &mut row) {
        Ok(()) => rows::body(&mut row, line, strings),
        Err(_) => RowBody::Rejected(Reason::NotJson),
    }
}

/// True if a line, with or without its newline, is a whole row.
#[must_use]
pub fn is_whole_row(line: &[u8], strings: &mut Strings) -> bool {
    !matches!(parse(line, strings), RowBody::Rejected(_))
}

/// Gives to `take` every whole row within a line that is not one row, and one rejection if anything else is left.
fn rows_within(line: &[u8], place: LinePlace, strings: &mut Strings, take: &mut impl FnMut(Record)) {
    /// Bytes that failed tries may read, as a multiple of the line's length. Few tries are needed: a cut row has few
    /// open objects.
    const TRIES: usize = 16;
    let mut left_to_try = line.len().saturating_mul(TRIES);
    let (mut at, mut is_left) = (0, false);
    // True while only whole rows stand before `at`, so that an object there cannot be part of a cut row.
    let mut is_outermost = true;
    while let Some(rest) = line.get(at..).filter(|rest| !is_blank(rest)) {
        let Some(open) = memchr(b'{', rest).filter(|_| left_to_try > 0) else {
            is_left = true;
            break;
        };
        let before = rest.get(..open).unwrap_or_default();
        let is_between = is_blank(before) || before == BYTE_ORDER_MARK;
        is_left |= !is_between;
        is_outermost &= is_between;
        let text = rest.get(open..).unwrap_or_default();
        let mut row = RawRow::default();
        let length_read = match Json::first(text, &mut row) {
            Ok(end) => {
                let (own, after) = text.split_at(end);
                match row_body(&mut row, own, after, is_outermost, strings) {
                    Some(RowBody::Noted) => is_outermost = true,
                    Some(body) => {
                        is_outermost = true;
                        let place = LinePlace { offset: place.offset + (at + open) as u64, bytes: length(own) };
                        split::records(place, body, &mut *take);
                    }
                    // An object inside a row that was cut.
                    None => (is_left, is_outermost) = (true, false),
                }
                end
            }
            Err(reached) => {
                left_to_try = left_to_try.saturating_sub(reached + 1);
                (is_left, is_outermost) = (true, false);
                1
            }
        };
        at += open + length_read;
    }
    if is_left {
        take(Record { place, body: RowBody::Rejected(Reason::NotJson) });
    }
}

/// The row that an object within a line is; `None` if it may be a part of a cut row. It is a row if it has a known type
/// and an id, and if only whole rows stand before it (`is_outermost`) or nothing but an object stands behind it.
fn row_body(
    row: &mut RawRow<'_>,
    own: &[u8],
    after: &[u8],
    is_outermost: bool,
    strings: &mut Strings,
) -> Option<RowBody> {
    let after = after.iter().position(|byte| *byte != 0 && !byte.is_ascii_whitespace()).and_then(|at| after.get(at));
    if !is_outermost && after.is_some_and(|byte| *byte != b'{') {
        return None;
    }
    let has_id = row.noted || row.fields.uuid.text.is_some() || row.fields.session.is_some();
    Some(rows::body(row, own, strings)).filter(|body| has_id && !matches!(body, RowBody::Unknown(_)))
}
