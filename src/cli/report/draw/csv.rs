//! Rows as CSV (RFC 4180) with exact figures, safe to open in a spreadsheet.

use serde_json::Value;

use super::glyphs::Glyphs;

/// A column: its name, and where its value is in a row of an answer (RFC 6901).
pub(in crate::cli::report) type CsvColumn = (String, String);

/// A head line with the names, and a line for each row. What a row does not have is empty.
pub(in crate::cli::report) fn render(columns: &[CsvColumn], rows: &[Value]) -> String {
    let mut out = line(columns.iter().map(|(name, _)| name.clone()));
    for row in rows {
        out.push_str(&line(columns.iter().map(|(_, pointer)| row.pointer(pointer).map_or_else(String::new, cell))));
    }
    out
}

fn line(cells: impl Iterator<Item = String>) -> String {
    cells.collect::<Vec<_>>().join(",") + "\r\n"
}

fn cell(value: &Value) -> String {
    match value {
        Value::Null => String::new(),
        Value::String(text) => quoted(&safe(&Glyphs::UNICODE.clean(text))),
        Value::Array(items) => {
            let texts: Vec<String> =
                items.iter().map(|item| item.as_str().map_or_else(|| item.to_string(), str::to_owned)).collect();
            quoted(&safe(&Glyphs::UNICODE.clean(&texts.join(" "))))
        }
        other => quoted(&other.to_string()),
    }
}

/// Text that a spreadsheet takes for text. It would compute what begins with one of these signs; an apostrophe before it
/// says that it is text. Numbers stay numbers, also negative ones.
fn safe(text: &str) -> String {
    let is_formula = text.starts_with(['=', '+', '-', '@', '\t', '\r', '\n']);
    let digits = text.strip_prefix('-').unwrap_or(text);
    let is_number = digits.starts_with(|first: char| first.is_ascii_digit())
        && digits.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.')
        && digits.parse::<f64>().is_ok();
    if is_formula && !is_number { format!("'{text}") } else { text.to_owned() }
}

fn quoted(text: &str) -> String {
    // An apostrophe alone is quoted as well, so that it is clear that it belongs to the text.
    if text.contains([',', '"', '\r', '\n', '\'']) || text.trim() != text {
        format!("\"{}\"", text.replace('"', "\"\""))
    } else {
        text.to_owned()
    }
}
