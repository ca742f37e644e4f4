//! The walls of the house, its sizes, and what must not be left behind: see `src/lib.rs`.
//!
//! Every form of import is read: trees, `self` and `super`, names bound by `as`, paths in the code, other crates. The
//! intruders at the end show that the walls hold.

mod house;
mod names;
mod table;
mod walls;
mod words;

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::sync::LazyLock;

use house::{House, sources};

const LINES_MAX: usize = 500;

const NONE: &[String] = &[];

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// The dependencies in `Cargo.toml`, as code writes their names.
fn dependencies() -> BTreeSet<String> {
    let manifest = fs::read_to_string(root().join("Cargo.toml")).unwrap();
    let (_, behind) = manifest.split_once("\n[dependencies]\n").unwrap();
    let lines = behind.lines().take_while(|line| !line.starts_with('['));
    lines
        .filter_map(|line| line.split_once(" = ").filter(|_| !line.starts_with('#')))
        .map(|(name, _)| name.replace('-', "_"))
        .collect()
}

static HOUSE: LazyLock<House> = LazyLock::new(|| House::read(&root().join("src"), &dependencies()));

#[test]
fn every_room_is_known() {
    assert_eq!(walls::unknown_rooms(&HOUSE), NONE);
}

#[test]
fn rooms_import_only_what_the_table_allows() {
    assert_eq!(walls::forbidden_imports(&HOUSE), NONE);
    assert_eq!(walls::idle_exceptions(&HOUSE), NONE);
}

#[test]
fn every_dependency_has_its_rooms() {
    assert_eq!(walls::forbidden_crates(&HOUSE), NONE);
    assert_eq!(walls::idle_crates(&HOUSE, &dependencies()), NONE);
}

#[test]
fn pure_rooms_have_no_effects() {
    assert_eq!(walls::effects(&HOUSE), NONE);
}

#[test]
fn files_do_not_import_each_other_in_circles() {
    assert_eq!(walls::new_circles(&HOUSE), NONE);
    assert_eq!(walls::idle_circles(&HOUSE), NONE);
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

/// A small house of files and their texts, which the walls judge like the real one.
fn house_of(files: &[(&str, &str)]) -> House {
    House::of(files.iter().map(|(path, text)| ((*path).to_owned(), (*text).to_owned())).collect(), &dependencies())
}

#[test]
fn an_intruder_in_a_group_is_caught() {
    let house = house_of(&[("transcript/ids.rs", "use crate::{store, sidecar};")]);
    assert_eq!(
        walls::forbidden_imports(&house),
        ["transcript/ids.rs:1 imports store", "transcript/ids.rs:1 imports sidecar"]
    );
    let nested = house_of(&[(
        "ledger/unit.rs",
        "use crate::{\n    transcript::{self, ids::*},\n    views::{metrics::{catalog as of, labels}},\n};",
    )]);
    assert_eq!(
        walls::forbidden_imports(&nested),
        ["ledger/unit.rs:3 imports views::metrics::catalog", "ledger/unit.rs:3 imports views::metrics::labels"]
    );
}

#[test]
fn an_intruder_that_is_allowed_elsewhere_is_caught() {
    let text = "use crate::http::Server; use crate::cli::args; use crate::store::Writer;";
    let house = house_of(&[("engine/mod.rs", text)]);
    assert_eq!(
        walls::forbidden_imports(&house),
        ["engine/mod.rs:1 imports http::Server", "engine/mod.rs:1 imports cli::args"]
    );
}

#[test]
fn an_intruder_by_the_way_of_super_is_caught() {
    let files = [
        ("views/metrics/mod.rs", "use super::super::store::StoreReader;"),
        ("views/traces/tree/mod.rs", "mod inner { use super::super::super::super::tail; } use super::ids::SpanAt;"),
        (
            "views/sessions/mod.rs",
            "pub use super::traces::tree; pub use super::traces::ids; pub use self::parts::Part;",
        ),
    ];
    assert_eq!(
        walls::forbidden_imports(&house_of(&files)),
        [
            "views/metrics/mod.rs:1 imports store::StoreReader",
            "views/traces/tree/mod.rs:1 imports tail",
            "views/sessions/mod.rs:1 imports views::traces::tree",
        ]
    );
    let other_wing = house_of(&[("views/metrics/items.rs", "pub use super::super::sessions::parts;")]);
    assert_eq!(walls::forbidden_imports(&other_wing), ["views/metrics/items.rs:1 imports views::sessions::parts"]);
}

#[test]
fn an_intruder_in_the_code_is_caught() {
    let text = "fn now() -> Time {\n    crate::sidecar::clock::now()\n}\n";
    assert_eq!(
        walls::forbidden_imports(&house_of(&[("ledger/fold.rs", text)])),
        ["ledger/fold.rs:2 imports sidecar::clock::now"]
    );
    // Through a name that a line above bound to something else.
    let text = "use crate as house;\nfn of(it: &house::store::StoreReader) {}\n";
    assert_eq!(
        walls::forbidden_imports(&house_of(&[("ledger/fold.rs", text)])),
        ["ledger/fold.rs:1 imports the whole house", "ledger/fold.rs:2 imports store::StoreReader"]
    );
}

#[test]
fn an_intruder_in_the_server_is_caught() {
    let text = "use crate::http::context::Context; use super::super::api; use super::super::route::answer::Answer;";
    assert_eq!(
        walls::forbidden_imports(&house_of(&[("http/server/dispatch.rs", text)])),
        ["http/server/dispatch.rs:1 imports http::context::Context", "http/server/dispatch.rs:1 imports http::api"]
    );
}

#[test]
fn a_foreign_crate_in_the_wrong_room_is_caught() {
    let text = "use opentelemetry::KeyValue; use postcard::from_bytes; use rustix::fs::stat; use serde::Serialize;\n\
                #[derive(thiserror::Error)]\nenum Wrong {}\nuse nobody::knows;\nfn at() { ::tokio::spawn(later()); }\n";
    assert_eq!(
        walls::forbidden_crates(&house_of(&[("ledger/unit.rs", text)])),
        [
            "ledger/unit.rs:1 names opentelemetry",
            "ledger/unit.rs:1 names postcard",
            "ledger/unit.rs:1 names rustix",
            "ledger/unit.rs:4 names nobody",
            "ledger/unit.rs:2 names thiserror",
            "ledger/unit.rs:5 names tokio",
        ]
    );
}

#[test]
fn a_dependency_without_a_row_is_caught() {
    let mut dependencies = dependencies();
    dependencies.insert("left_pad".to_owned());
    assert_eq!(walls::idle_crates(&HOUSE, &dependencies), ["left_pad has no row"]);
}

#[test]
fn an_unknown_room_is_caught() {
    let house = house_of(&[("gadgets/mod.rs", ""), ("views/gadgets.rs", ""), ("helper.rs", ""), ("text.rs", "")]);
    let found = walls::unknown_rooms(&house);
    assert_eq!(found.len(), 3, "{found:?}");
}

#[test]
fn an_effect_in_a_pure_room_is_caught() {
    let text = "use std::{fs, io};\nfn of() {\n    let bytes = fs::read(path);\n    std::fs::read(path);\n    \
                println!(\"\");\n}\nuse core::time::*;\nuse chrono::Utc;\nfn now() { Utc::now(); }\nstatic mut COUNT: u32 = 0;\n";
    assert_eq!(
        walls::effects(&house_of(&[("views/traces/ids.rs", text)])),
        [
            "views/traces/ids.rs:1 names std::fs",
            "views/traces/ids.rs:1 names std::io",
            "views/traces/ids.rs:7 names std::time",
            "views/traces/ids.rs:3 names std::fs::read",
            "views/traces/ids.rs:4 names std::fs::read",
            "views/traces/ids.rs:9 names chrono::Utc::now",
            "views/traces/ids.rs:5 calls println!",
            "views/traces/ids.rs has a static mut",
        ]
    );
}

#[test]
fn circles_of_two_and_of_three_files_are_caught() {
    let two = house_of(&[("tail/read.rs", "use super::source::Source;"), ("tail/source.rs", "use crate::tail::read;")]);
    assert_eq!(walls::new_circles(&two), ["a circle: tail/read.rs -> tail/source.rs, tail/source.rs -> tail/read.rs"]);
    let tests = "use super::source::Source; #[cfg(test)] mod tests { mod deep { use crate::tail::read; } }";
    let looked_at =
        house_of(&[("tail/read.rs", tests), ("tail/source.rs", "#[cfg(test)]\nmod tests { use super::super::read; }")]);
    assert_eq!(walls::new_circles(&looked_at), NONE);
    // The door hands `C` on: who takes it there takes it from the file that makes it.
    let three = house_of(&[
        ("tail/mod.rs", "pub mod a; mod b; mod c; pub use c::C;"),
        ("tail/a.rs", "use super::b;"),
        ("tail/b.rs", "use crate::tail::C;"),
        ("tail/c.rs", "fn a() { super::a::a() }"),
    ]);
    assert_eq!(
        walls::new_circles(&three),
        ["a circle: tail/a.rs -> tail/b.rs, tail/b.rs -> tail/c.rs, tail/c.rs -> tail/a.rs"]
    );
}

#[test]
fn prose_and_text_are_innocent() {
    let text = r##"
        //! Reads with `std::fs::read`, see [`crate::store::StoreReader`].
        /* use crate::{store, sidecar}; /* and */ use tokio::spawn; */
        pub(in crate::views) struct Held<'a>(&'a str);
        const QUOTE: char = '"';
        const ESCAPED: char = '\'';
        const PLAIN: &str = "use crate::store; \" std::fs::read(path)";
        const RAW: &str = r#"use sled::Db; "println!" "#;
        const BYTES: &[u8] = b"use crate::http::Server;";
        fn hold<'a>(of: &'a str) -> impl Iterator<Item = char> + use<'a> { of.chars() }
        enum Side { Store } use Side::Store;
        const _: bool = <str>::is_empty("");
    "##;
    let house = house_of(&[("views/traces/ids.rs", text)]);
    assert_eq!(walls::forbidden_imports(&house), NONE);
    assert_eq!(walls::forbidden_crates(&house), NONE);
    assert_eq!(walls::effects(&house), NONE);
    // A word behind all of it is still seen, so that nothing above has swallowed the rest.
    let seen = house_of(&[("views/traces/ids.rs", &format!("{text}\nuse crate::store;"))]);
    assert_eq!(walls::forbidden_imports(&seen).len(), 1);
}
