//! Bytes of the keys and values in a database, beside the bytes of its files: `cargo bench --bench store_size -- DIR`.
//!
//! DIR is the folder `db` of a state, of a sidecar that is not running. It is copied first: sled writes when it opens.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::print_stdout,
    clippy::cast_precision_loss,
    reason = "a benchmark stops at the first surprise, and prints"
)]

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

fn main() {
    let given: Vec<String> = std::env::args().skip(1).filter(|argument| argument != "--bench").collect();
    let as_json = given.iter().any(|argument| argument == "--json");
    let Some(folder) = given.iter().find(|argument| !argument.starts_with("--")).map(PathBuf::from) else {
        println!("usage: store_size [--json] DIR");
        return;
    };
    let copy = tempfile::tempdir().unwrap();
    copy_folder(&folder, copy.path());
    let db = sled::Config::new().path(copy.path()).flush_every_ms(None).open().unwrap();
    let mut kinds: BTreeMap<char, (u64, u64)> = BTreeMap::new();
    for row in db.iter() {
        let (key, value) = row.unwrap();
        let kind = kinds.entry(key.first().copied().map_or('-', char::from)).or_default();
        kind.0 += 1;
        kind.1 += (key.len() + value.len()) as u64;
    }
    let rows: u64 = kinds.values().map(|(rows, _)| rows).sum();
    let live: u64 = kinds.values().map(|(_, bytes)| bytes).sum();
    let disk = size_of(&folder);
    if as_json {
        println!("{{\"disk\": {disk}, \"live\": {live}, \"rows\": {rows}}}");
        return;
    }
    println!("disk {disk}, live {live} in {rows} rows: {:.2}x", disk as f64 / live.max(1) as f64);
    for (kind, (rows, bytes)) in kinds {
        println!("  {kind}  {rows:8} rows {bytes:12} bytes");
    }
}

fn copy_folder(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap().map(Result::unwrap) {
        let target = to.join(entry.file_name());
        if entry.path().is_dir() {
            copy_folder(&entry.path(), &target);
        } else {
            fs::copy(entry.path(), target).unwrap();
        }
    }
}

fn size_of(folder: &Path) -> u64 {
    let entries = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    entries.map(|path| if path.is_dir() { size_of(&path) } else { fs::metadata(path).unwrap().len() }).sum()
}
