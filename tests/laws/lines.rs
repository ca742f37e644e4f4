//! What is a line of JSON and what is not, against a parser that somebody else wrote.

use std::fs;

use serde::de::IgnoredAny;
use tailspan::transcript::parse::{Strings, parse};
use tailspan::transcript::record::{Reason, RowBody, RowKind, Said};

use crate::support::world::{Dice, files_below, recordings};

/// Rows of the recordings, some of each, none too long to be mutated often.
fn rows() -> Vec<Vec<u8>> {
    let mut rows = Vec::new();
    for recording in recordings() {
        for file in files_below(&recording.join("projects")) {
            let bytes = fs::read(&file).unwrap();
            let lines = bytes.split(|byte| *byte == b'\n').filter(|line| line.first() == Some(&b'{'));
            rows.extend(lines.filter(|line| line.len() < 4000).step_by(5).map(<[u8]>::to_vec));
        }
    }
    assert!(rows.len() > 100, "{} rows", rows.len());
    rows
}

/// Bytes that change what JSON is.
const SPLINTERS: &[&[u8]] = &[
    b"\"",
    b"\\",
    b"{",
    b"}",
    b"[",
    b"]",
    b",",
    b":",
    b"\\u12",
    b"\\ud83d",
    b"\\n",
    b"\\q",
    b"0",
    b"-",
    b".",
    b"e9",
    b"tru",
    b"null",
    b"\x01",
    b"\x7f",
    b"\xff",
    b"\xc3\xa9",
    b" ",
    b"1e999",
    b"00",
    b"{}",
    b"[]",
    b"\t",
];

fn mutate(row: &mut Vec<u8>, dice: &mut Dice) {
    if row.is_empty() {
        return;
    }
    let at = dice.below(row.len());
    match dice.below(5) {
        0 => drop(row.remove(at)),
        1 => row.truncate(at.max(1)),
        2 => row[at] ^= 1 << dice.below(8),
        3 => {
            let end = (at + dice.below(20)).min(row.len());
            let copy = row[at..end].to_vec();
            drop(row.splice(at..at, copy));
        }
        _ => drop(row.splice(at..at, SPLINTERS[dice.below(SPLINTERS.len())].iter().copied())),
    }
}

/// Panics unless a line is refused exactly if it is no JSON.
fn check(line: &[u8]) -> bool {
    let is_json = serde_json::from_str::<IgnoredAny>(&String::from_utf8_lossy(line)).is_ok();
    let refused = matches!(parse(line, &mut Strings::default()), RowBody::Rejected(Reason::NotJson));
    assert_eq!(is_json, !refused, "{}", String::from_utf8_lossy(line));
    is_json
}

#[test]
fn a_line_is_refused_exactly_if_it_is_not_json() {
    let seed = std::env::var("TAILSPAN_TEST_SEED").map_or(1, |seed| seed.parse().unwrap());
    let rounds: u64 = std::env::var("TAILSPAN_TEST_SEEDS").map_or(40, |rounds| rounds.parse().unwrap());
    let rows = rows();
    let (mut valid, mut broken) = (0, 0);
    for round in seed..seed + rounds {
        let mut dice = Dice::new(round);
        for row in &rows {
            let mut row = row.clone();
            for _ in 0..=dice.below(3) {
                mutate(&mut row, &mut dice);
            }
            // Other beginnings are judged by other rules.
            if row.first() == Some(&b'{') && !row.contains(&b'\n') {
                if check(&row) { valid += 1 } else { broken += 1 }
            }
        }
    }
    println!("seeds {seed}..{}: {valid} lines of JSON, {broken} that are none", seed + rounds);
    assert!(valid > 1000 && broken > 1000, "{valid} and {broken}");
}

#[test]
fn every_short_text_is_judged_alike() {
    let shards: [&[u8]; 15] =
        [b"{", b"}", b"[", b"]", b",", b":", b"\"a\"", b"\"", b"\\", b"1", b"-", b".5", b"e2", b"null", b" "];
    let mut texts: Vec<Vec<u8>> = vec![b"{".to_vec()];
    for _ in 0..4 {
        texts = texts.iter().flat_map(|text| shards.map(|shard| [text, shard].concat())).collect();
        for text in &texts {
            check(text);
        }
    }
    for number in ["0", "-0", "01", "1.", ".1", "1.5e", "1e+5", "1E-5", "--1", "+1", "1e999", "123456789012345678901"] {
        check(format!("{{\"a\":{number}}}").as_bytes());
    }
}

/// The text of a prompt, as far as a record says something of it.
fn prompt(text: &str) -> (u32, u64) {
    let line = format!("{{\"type\":\"user\",\"message\":{{\"role\":\"user\",\"content\":{text}}}}}");
    match parse(line.as_bytes(), &mut Strings::default()) {
        RowBody::Row(row) => match row.kind {
            RowKind::User(user) => (user.text_chars, user.text_hash),
            other => panic!("{other:?}"),
        },
        other => panic!("{other:?}"),
    }
}

fn result_bytes(text: &str) -> u64 {
    let block = format!("{{\"type\":\"tool_result\",\"tool_use_id\":\"t\",\"content\":{text}}}");
    let line = format!("{{\"type\":\"user\",\"message\":{{\"role\":\"user\",\"content\":[{block}]}}}}");
    match parse(line.as_bytes(), &mut Strings::default()) {
        RowBody::Row(row) => match row.kind {
            RowKind::User(user) => match user.said {
                Said::Results(results) => results[0].bytes,
                other => panic!("{other:?}"),
            },
            other => panic!("{other:?}"),
        },
        other => panic!("{other:?}"),
    }
}

#[test]
fn texts_are_decoded_as_written() {
    let samples = [
        "",
        "plain",
        "ä→日本 🎉",
        "tab\tnewline\nquote\"backslash\\slash/",
        "\u{8}\u{c}\r\u{1}\u{7f}",
        "\u{fffd}",
        "a\u{10ffff}b",
    ];
    for sample in samples {
        let written = serde_json::to_string(sample).unwrap();
        let escaped: String = sample.encode_utf16().map(|unit| format!("\\u{unit:04X}")).collect();
        let escaped = format!("\"{escaped}\"");
        assert_eq!(prompt(&written), prompt(&escaped), "{sample:?}");
        assert_eq!(prompt(&written).0 as usize, sample.chars().count());
        assert_eq!(result_bytes(&written), sample.len() as u64, "{sample:?}");
        assert_eq!(result_bytes(&escaped), sample.len() as u64, "{sample:?}");
    }
    assert_eq!(prompt("\"a\\/b\""), prompt("\"a/b\""));
    // Halves of pairs are one replacement character each.
    for half in ["\\ud83d", "\\udc00", "\\udc00\\ud83d", "\\ud83dx", "\\ud83d\\n"] {
        let mended: String = half.replace("\\ud83d", "\u{fffd}").replace("\\udc00", "\u{fffd}");
        let mended = mended.replace("\\n", "\n");
        let quoted = serde_json::to_string(&mended).unwrap();
        assert_eq!(prompt(&format!("\"{half}\"")), prompt(&quoted), "{half}");
        assert_eq!(result_bytes(&format!("\"{half}\"")), mended.len() as u64, "{half}");
    }
}
