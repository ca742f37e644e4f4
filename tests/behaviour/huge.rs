//! A line that has no end in sight, as in a file of a terabyte without a newline: others are read meanwhile.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::Command;

use tailspan::tail::{FileReader, Read, ReadLimits, scan};
use tailspan::transcript::chunk::FileNumber;

use crate::support::daemon::{Daemon, sum};
use crate::support::world::append;

const TOO_LONG: &str = "tailspan_rejected_lines_total{reason=\"too_long\"}";

fn response(id: &str) -> String {
    format!(
        "{{\"type\":\"assistant\",\"sessionId\":\"s-{id}\",\"uuid\":\"u-{id}\",\"message\":{{\"id\":\"{id}\",\
         \"model\":\"claude-sonnet-4-5\",\"content\":[],\"usage\":{{\"input_tokens\":1,\"output_tokens\":2}}}},\
         \"timestamp\":\"2096-11-22T06:00:01.000Z\"}}\n"
    )
}

/// A folder with a session of one row and a file of 256 GiB without a newline, which takes no room on the disk.
fn place() -> (tempfile::TempDir, PathBuf, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let (usual, huge) = (folder.path().join("projects/-w/usual.jsonl"), folder.path().join("projects/-w/huge.jsonl"));
    append(&usual, response("first").as_bytes());
    File::create(&huge).unwrap().set_len(256 << 30).unwrap();
    (folder, usual, huge)
}

fn start(folder: &Path) -> Daemon {
    Daemon::start(&folder.join("projects"), &folder.join("state"), &[])
}

#[test]
fn a_file_without_a_newline_delays_no_other_and_no_end() {
    let (folder, usual, huge) = place();
    let daemon = start(folder.path());
    let tokens = |daemon: &Daemon| sum(&daemon.metrics(), "tailspan_tokens_total");
    daemon.until("the usual session is counted", || (tokens(&daemon) == 3.0).then_some(()));
    append(&usual, response("second").as_bytes());
    daemon.until("its next row is counted", || (tokens(&daemon) == 6.0).then_some(()));
    assert_eq!(daemon.stop(), Some(0));
    // The line ends after all: it is too long, and what follows counts.
    append(&huge, format!("\n{}", response("third")).as_bytes());
    let daemon = start(folder.path());
    daemon.until("the row behind it is counted", || (tokens(&daemon) == 9.0).then_some(()));
    let metrics = daemon.metrics();
    let rejected = metrics.lines().find_map(|line| line.strip_prefix(TOO_LONG)).unwrap();
    assert_eq!(rejected.trim(), "1");
    assert_eq!(daemon.stop(), Some(0));
}

#[test]
fn a_scan_passes_over_the_holes_of_a_file() {
    let (folder, _, huge) = place();
    append(&huge, format!("\n{}", response("third")).as_bytes());
    let mut scan = Command::new(env!("CARGO_BIN_EXE_tailspan"));
    let output = scan.env_clear().args(["scan", "--format", "prometheus"]).arg(folder.path().join("projects")).output();
    let text = String::from_utf8(output.unwrap().stdout).unwrap();
    assert_eq!(sum(&text, "tailspan_tokens_total"), 6.0);
    assert!(text.contains(&format!("{TOO_LONG} 1\n")));
}

/// A reader of short lines that searches 100 bytes at once, and one file.
fn small(content: &str) -> (tempfile::TempDir, PathBuf, FileReader) {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("-w/s.jsonl");
    append(&file, content.as_bytes());
    let limits = ReadLimits { chunk_bytes: 10, line_bytes_max: 50, search_bytes_max: 100 };
    (folder, file, FileReader::new(limits))
}

#[test]
fn a_long_line_is_searched_in_slices_and_each_byte_once() {
    let (folder, _, mut reader) = small(&format!("{}\nshort\n", "x".repeat(995)));
    let found = scan(folder.path(), &mut |problem| panic!("{problem}")).pop().unwrap();
    let mut slices = 0;
    let chunk = loop {
        match reader.next(&found, FileNumber(1), None).unwrap() {
            Read::Searching => slices += 1,
            Read::Chunk { chunk, .. } => break chunk,
            other => panic!("{other:?}"),
        }
    };
    assert_eq!((slices, chunk.too_long_lines, chunk.cursor.offset), (9, 1, 996));
    // Once, but for what tells that the file is the same.
    assert!(reader.bytes_read() < 3_000, "{}", reader.bytes_read());
    let Read::Chunk { chunk, more: false } = reader.next(&found, FileNumber(1), Some(&chunk.cursor)).unwrap() else {
        panic!("the rest is not read")
    };
    assert_eq!(chunk.bytes, b"short\n");
}

#[test]
fn a_file_that_is_written_anew_while_a_line_is_searched_is_read_anew() {
    let (folder, file, mut reader) = small(&"x".repeat(1000));
    let found = || scan(folder.path(), &mut |problem| panic!("{problem}")).pop().unwrap();
    assert!(matches!(reader.next(&found(), FileNumber(1), None).unwrap(), Read::Searching));
    fs::write(&file, format!("short\n{}", "y".repeat(2000))).unwrap();
    let Read::Chunk { chunk, .. } = reader.next(&found(), FileNumber(1), None).unwrap() else { panic!("nothing") };
    assert_eq!(chunk.bytes, b"short\n");
    // Without an end it stays in the file, and is searched once.
    let mut slices = 0;
    while matches!(reader.next(&found(), FileNumber(1), Some(&chunk.cursor)).unwrap(), Read::Searching) {
        slices += 1;
    }
    assert!((15..=20).contains(&slices), "{slices}");
    assert!(matches!(reader.next(&found(), FileNumber(1), Some(&chunk.cursor)).unwrap(), Read::Unchanged));
}
