//! Exported tables, read back.

use serde_json::Value;
use tailspan::ledger::money::Money;

use super::costs::Asked;

/// The rows of a table as JSON.
pub(crate) fn rows(asked: &Asked, table: &str, query: &str) -> Vec<Value> {
    let answer = asked.answer(&format!("/export/{table}.json?{query}"));
    assert_eq!((answer["table"].as_str(), answer["schema_version"].as_u64()), (Some(table), Some(1)));
    answer["rows"].as_array().unwrap().clone()
}

/// The sum of a column of whole numbers.
pub(crate) fn sum(rows: &[Value], column: &str) -> u64 {
    rows.iter().map(|row| row[column].as_u64().unwrap()).sum()
}

/// The sum of a column of money, as exact text.
pub(crate) fn sum_usd(rows: &[Value], column: &str) -> String {
    rows.iter().map(|row| Money::parse_usd(row[column].as_str().unwrap()).unwrap()).sum::<Money>().to_string()
}

/// The cells of CSV as RFC 4180 has it.
pub(crate) fn csv(text: &str) -> Vec<Vec<String>> {
    let (mut rows, mut row, mut cell, mut quoted) = (Vec::new(), Vec::new(), String::new(), false);
    let mut letters = text.chars().peekable();
    while let Some(letter) = letters.next() {
        match letter {
            '"' if quoted && letters.peek() == Some(&'"') => {
                letters.next();
                cell.push('"');
            }
            '"' => quoted = !quoted,
            ',' if !quoted => row.push(std::mem::take(&mut cell)),
            '\r' if !quoted => {
                assert_eq!(letters.next(), Some('\n'));
                row.push(std::mem::take(&mut cell));
                rows.push(std::mem::take(&mut row));
            }
            other => cell.push(other),
        }
    }
    assert!(cell.is_empty() && row.is_empty(), "the last line has no end");
    rows
}
