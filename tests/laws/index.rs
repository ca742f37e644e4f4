//! The index of search without the files that it knows, and with damage.

use std::fs;
use std::path::PathBuf;

use tailspan::index::build::Builder;
use tempfile::TempDir;

use crate::search::spoken;
use crate::support::searched::State;
use crate::support::shapes::story;
use crate::support::world::{Dice, World, append};

#[test]
fn an_index_without_its_files_or_with_damage_is_made_anew() {
    let mut dice = Dice::new(3);
    let folder = TempDir::new().unwrap();
    let mut world = World::new(folder.path());
    for (path, lines) in story(&mut dice, false) {
        let text: String = lines.iter().map(|line| spoken(line)).collect();
        append(&world.root.join(path), text.as_bytes());
    }
    world.read(&mut dice, usize::MAX);
    world.settle();
    let index = folder.path().join("index");
    let segments = || fs::read_dir(&index).unwrap().map(|file| file.unwrap().path()).collect::<Vec<_>>();
    let build = || {
        let state = State::of(&world, &index);
        let known = state.2.get().unwrap().known_bytes();
        Builder::small(1, 1).pass(state.2.get().unwrap(), &state.0, &|| true).unwrap().unwrap();
        (known, state)
    };
    let (known, state) = build();
    assert!(known == 0 && !segments().is_empty());
    let all = state.2.get().unwrap().known_bytes();
    drop(state);
    assert_eq!(build().0, all, "what an earlier process left is used");
    let first = segments().into_iter().min().unwrap();
    let mut bytes = fs::read(&first).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    fs::write(&first, bytes).unwrap();
    let (known, state) = build();
    assert!(known < all && state.2.get().unwrap().known_bytes() == all, "{known} of {all}");
    drop(state);
    fs::write(index.join("nonsense"), "x").unwrap();
    // Without the files no segment can be opened: the key is in their texts.
    fs::rename(&world.root, folder.path().join("elsewhere")).unwrap();
    assert_eq!(State::of(&world, &index).2.get().unwrap().known_bytes(), 0);
    assert_eq!(segments(), Vec::<PathBuf>::new());
}
