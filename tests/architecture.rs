//! The layers of the house, its sizes, and what must not be left behind: see `src/lib.rs`.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::string_slice,
    clippy::indexing_slicing,
    reason = "a test stops at the first surprise"
)]

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

const LINES_MAX: usize = 500;

/// Room, the rooms it may import, and the outside crates that only it may import.
const LAYERS: &[(&str, &[&str], &[&str])] = &[
    ("transcript", &[], &["memchr"]),
    ("ledger", &["transcript"], &[]),
    ("measures", &["ledger", "transcript"], &[]),
    ("views", &["measures", "ledger", "transcript"], &["sha2"]),
    ("tail", &["transcript", "text"], &["notify", "memchr"]),
    ("store", &["views", "ledger", "transcript", "export", "text"], &["sled", "postcard"]),
    (
        "export",
        &["views", "transcript", "text"],
        &["opentelemetry", "opentelemetry_otlp", "opentelemetry_sdk", "postcard", "hyper", "rustls"],
    ),
    (
        "http",
        &["store", "views", "vitals", "export", "ledger", "transcript", "tail", "text"],
        &["hyper", "prometheus", "flate2"],
    ),
];

/// The rooms that touch nothing outside the program.
const PURE: &[&str] = &["transcript", "ledger", "measures", "views"];

/// What a pure room must not name.
const IMPURE: &[&str] = &[
    "std::fs",
    "std::io",
    "std::net",
    "std::thread",
    "std::time",
    "std::env",
    "std::process",
    "std::sync::Mutex",
    "std::sync::RwLock",
    "std::sync::OnceLock",
    "std::sync::LazyLock",
    "SystemTime",
    "Instant::now",
    "Utc::now",
    "Local::now",
    "tracing::",
    "println!",
    "eprintln!",
    "static mut",
    "thread_local!",
    "thiserror",
    "anyhow",
];

fn sources(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(sources(&path));
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found.push(path);
        }
    }
    found.sort();
    found
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn room_of(path: &Path) -> String {
    let inside = path.strip_prefix(root().join("src")).unwrap();
    let first = inside.components().next().unwrap().as_os_str().to_str().unwrap();
    first.trim_end_matches(".rs").to_owned()
}

/// Code without comments, so that prose may name what code may not.
fn code(path: &Path) -> String {
    let text = fs::read_to_string(path).unwrap();
    text.lines().map(|line| line.split("//").next().unwrap()).collect::<Vec<_>>().join("\n")
}

/// The rooms of this crate that a file names.
fn imports(code: &str) -> BTreeSet<String> {
    let rooms = code.match_indices("crate::").map(|(at, found)| {
        let rest = &code[at + found.len()..];
        rest.chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect::<String>()
    });
    rooms.filter(|room| !room.is_empty()).collect()
}

#[test]
fn rooms_import_only_what_the_layers_allow() {
    let mut wrong = Vec::new();
    for path in sources(&root().join("src")) {
        let room = room_of(&path);
        let Some((_, allowed, _)) = LAYERS.iter().find(|(name, ..)| *name == room) else { continue };
        for import in imports(&code(&path)) {
            if import != room && !allowed.contains(&import.as_str()) {
                wrong.push(format!("{} imports {import}", path.strip_prefix(root()).unwrap().display()));
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn each_outside_crate_has_its_room() {
    let mut owners: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for (room, _, crates) in LAYERS {
        for name in *crates {
            owners.entry(name).or_default().push(room);
        }
    }
    // Closed doors: nobody else may even name these.
    for door in ["sled", "notify", "prometheus", "hyper", "rustls"] {
        for path in sources(&root().join("src")) {
            let room = room_of(&path);
            if owners[door].contains(&room.as_str()) {
                continue;
            }
            let named = code(&path).contains(&format!("{door}::"));
            assert!(!named, "{} names {door}", path.display());
        }
    }
}

#[test]
fn pure_rooms_have_no_effects() {
    for path in sources(&root().join("src")) {
        if !PURE.contains(&room_of(&path).as_str()) {
            continue;
        }
        let code = code(&path);
        for banned in IMPURE {
            assert!(!code.contains(banned), "{} names {banned}", path.display());
        }
    }
}

#[test]
fn files_stay_small_and_nothing_is_left_behind() {
    for folder in ["src", "tests"] {
        for path in sources(&root().join(folder)) {
            let text = fs::read_to_string(&path).unwrap();
            let lines = text.lines().count();
            assert!(lines <= LINES_MAX, "{} has {lines} lines", path.display());
            // Split, so that this file does not find itself.
            for left in
                [concat!("todo", "!("), concat!("unimple", "mented!("), concat!("FIX", "ME"), concat!("dbg", "!(")]
            {
                assert!(!text.contains(left), "{} holds {left}", path.display());
            }
        }
    }
}

#[test]
fn every_dependency_says_what_it_is_for() {
    let manifest = fs::read_to_string(root().join("Cargo.toml")).unwrap();
    let mut previous = "";
    let mut inside = false;
    for line in manifest.lines() {
        if line.starts_with('[') {
            inside = line.contains("dependencies");
        } else if inside && line.contains('=') {
            assert!(previous.starts_with("# "), "no reason above: {line}");
        }
        previous = line;
    }
}
