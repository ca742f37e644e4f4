//! What stands before the text of a line: its number, the sign of a diff, the sign of a quotation.

use super::reader::TextReader;

const SPACES_MAX: usize = 8;
const DIGITS_MAX: usize = 7;
const ARROW: &str = "→";

/// Where the text of the line that begins at `line` begins.
pub(super) fn behind_number(reader: &TextReader<'_>, line: usize) -> usize {
    let number = reader.run(line, SPACES_MAX, |byte| byte == b' ');
    let end = reader.run(number, DIGITS_MAX, |byte| byte.is_ascii_digit());
    if end > number && reader.at(end) == b'\t' {
        return end + 1;
    }
    if end > number && reader.starts(end, ARROW) {
        return end + ARROW.len();
    }
    match reader.at(line) {
        b'+' | b'>' => line + 1,
        // A dash and one space begin an item of a list.
        b'-' if reader.starts(line + 1, "  ") => line + 1,
        _ => line,
    }
}
