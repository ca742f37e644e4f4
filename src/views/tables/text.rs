//! Rows as JSON, as lines of JSON, and as CSV.
//!
//! - Money is an exact decimal as text, so that no reader makes a binary fraction of it. Times are RFC 3339 in UTC.
//! - CSV is RFC 4180 in UTF-8: a head line with the names, lines that end in CR LF, cells in quotes where they must be. A
//!   text that a spreadsheet would compute has an apostrophe before it, which says that it is text; numbers stay numbers.

use super::column::{About, Kind, Row, TakeCells, Value};
use super::table::Table;
use super::{SCHEMA_VERSION, time};

/// A form of text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TextForm {
    /// One object with all rows.
    Json,
    /// An object on each line.
    Ndjson,
    /// Comma-separated values.
    Csv,
}

/// Writes a table as text into memory, from which the caller takes it away as often as it likes.
#[derive(Debug)]
pub struct TextTable {
    form: TextForm,
    /// What is written and was not taken away.
    pub out: Vec<u8>,
    is_first: bool,
}

impl TextTable {
    /// A table without rows yet, with its head.
    #[must_use]
    pub fn of(form: TextForm, table: Table) -> Self {
        let mut out = Vec::new();
        match form {
            TextForm::Json => {
                let head = format!(
                    r#"{{"table":"{}","schema_version":{SCHEMA_VERSION},"currency":"USD","rows":["#,
                    table.name()
                );
                out.extend_from_slice(head.as_bytes());
            }
            TextForm::Ndjson => {}
            TextForm::Csv => {
                let names: Vec<&str> = table.columns().iter().map(|column| column.name).collect();
                out.extend_from_slice(names.join(",").as_bytes());
                out.extend_from_slice(b"\r\n");
            }
        }
        Self { form, out, is_first: true }
    }

    /// Adds a row.
    pub fn row(&mut self, row: &dyn Row) {
        match self.form {
            TextForm::Json => {
                let before: &[u8] = if self.is_first { b"\n{" } else { b",\n{" };
                self.out.extend_from_slice(before);
                row.cells(&mut JsonCells(&mut self.out));
                self.out.push(b'}');
            }
            TextForm::Ndjson => {
                self.out.push(b'{');
                row.cells(&mut JsonCells(&mut self.out));
                self.out.extend_from_slice(b"}\n");
            }
            TextForm::Csv => {
                row.cells(&mut CsvCells(&mut self.out));
                self.out.extend_from_slice(b"\r\n");
            }
        }
        self.is_first = false;
    }

    /// Adds the end.
    pub fn end(&mut self) {
        if self.form == TextForm::Json {
            self.out.extend_from_slice(b"\n]}\n");
        }
    }
}

struct JsonCells<'o>(&'o mut Vec<u8>);

impl TakeCells for JsonCells<'_> {
    fn cell(&mut self, position: usize, column: &About, value: Value<'_>) {
        let out = &mut *self.0;
        if position > 0 {
            out.push(b',');
        }
        out.push(b'"');
        out.extend_from_slice(column.name.as_bytes());
        out.extend_from_slice(b"\":");
        match value {
            Value::None => out.extend_from_slice(b"null"),
            Value::Text(text) => json_text(out, text),
            Value::Money(_) | Value::Time(_) | Value::Day(_) => {
                out.push(b'"');
                plain(out, value);
                out.push(b'"');
            }
            _ => plain(out, value),
        }
    }
}

struct CsvCells<'o>(&'o mut Vec<u8>);

impl TakeCells for CsvCells<'_> {
    fn cell(&mut self, position: usize, column: &About, value: Value<'_>) {
        if position > 0 {
            self.0.push(b',');
        }
        match value {
            Value::Text(text) => csv_text(self.0, text),
            _ => plain(self.0, value),
        }
        debug_assert!(column.kind != Kind::Text || matches!(value, Value::Text(_) | Value::None), "{column:?}");
    }
}

/// A value that needs no quotes.
fn plain(out: &mut Vec<u8>, value: Value<'_>) {
    match value {
        Value::None => {}
        Value::Text(text) => out.extend_from_slice(text.as_bytes()),
        Value::Count(number) => whole(out, number),
        Value::Whole(number) => {
            if number < 0 {
                out.push(b'-');
            }
            whole(out, number.unsigned_abs());
        }
        Value::Milliseconds(number) => seconds(out, number),
        Value::Money(money) => out.extend_from_slice(money.to_string().as_bytes()),
        Value::Time(at) => time::push(out, at),
        Value::Day(day) => out.extend_from_slice(day.to_string().as_bytes()),
        Value::Truth(is_so) => out.extend_from_slice(if is_so { b"true" } else { b"false" }),
    }
}

fn whole(out: &mut Vec<u8>, number: u64) {
    let (mut rest, start) = (number, out.len());
    loop {
        out.push(b'0' + u8::try_from(rest % 10).unwrap_or(0));
        rest /= 10;
        if rest == 0 {
            break;
        }
    }
    if let Some(digits) = out.get_mut(start..) {
        digits.reverse();
    }
}

/// Milliseconds as seconds, with the fewest decimals that tell them all, and one at least.
fn seconds(out: &mut Vec<u8>, milliseconds: u64) {
    whole(out, milliseconds / 1000);
    out.push(b'.');
    let mut rest = milliseconds % 1000;
    let mut place = 100;
    loop {
        out.push(b'0' + u8::try_from(rest / place).unwrap_or(0));
        rest %= place;
        if rest == 0 {
            break;
        }
        place /= 10;
    }
}

fn json_text(out: &mut Vec<u8>, text: &str) {
    let is_plain = text.bytes().all(|byte| byte >= 0x20 && byte != b'"' && byte != b'\\');
    if is_plain {
        out.push(b'"');
        out.extend_from_slice(text.as_bytes());
        out.push(b'"');
    } else {
        out.extend_from_slice(serde_json::Value::from(text).to_string().as_bytes());
    }
}

/// What a spreadsheet computes if a text begins with it: signs of ASCII, their wide forms, and what some programs skip
/// before them.
const FORMULA: [char; 11] = ['=', '+', '-', '@', '\t', '\r', '\n', '＝', '＋', '－', '＠'];

fn csv_text(out: &mut Vec<u8>, text: &str) {
    let is_formula = text.starts_with(FORMULA);
    // A text that is empty is told from none by its quotes.
    let is_quoted = is_formula || text.is_empty() || text.contains([',', '"', '\r', '\n', '\'']) || text.trim() != text;
    if !is_quoted {
        out.extend_from_slice(text.as_bytes());
        return;
    }
    out.push(b'"');
    if is_formula {
        out.push(b'\'');
    }
    for byte in text.bytes() {
        if byte == b'"' {
            out.push(b'"');
        }
        out.push(byte);
    }
    out.push(b'"');
}
