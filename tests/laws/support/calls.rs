//! What a state keeps of the inputs and results of tool calls, held against a clean pass and the session files.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use serde_json::Value;
use tailspan::audit::pass::{Pass, find};
use tailspan::ledger::unit::Identity;
use tailspan::views::analytics::work::{Work, WorkCall};
use xxhash_rust::xxh3::xxh3_64;

use super::world::{World, files_below, prices};

/// Hashes of input and file, the extension, lines added and removed, and whether a person decided.
type Facts = (u64, u64, Option<String>, u32, u32, bool);

fn add(calls: &mut BTreeMap<u64, Facts>, call: &WorkCall) {
    let extension = call.extension.as_deref().map(str::to_owned);
    let facts = (call.input, call.file, extension, call.lines_added, call.lines_removed, call.by_person);
    assert!(calls.insert(call.id, facts).is_none(), "calls: one is there twice");
}

fn of_state(world: &World) -> BTreeMap<u64, Facts> {
    let (reader, mut calls) = (world.reader.as_ref().unwrap(), BTreeMap::new());
    let mut sessions = Vec::new();
    reader.each_session(|session| sessions.push(session.id)).unwrap();
    for session in sessions {
        let cells = reader.cells_of(&session).unwrap().into_iter().flat_map(|unit| unit.cells);
        cells.for_each(|(_, cells)| cells.work.calls.iter().for_each(|call| add(&mut calls, call)));
    }
    calls
}

/// Every call that the state has is as a clean pass over the files tells it.
pub(crate) fn check(world: &World, files: &Path) -> usize {
    let found = of_state(world);
    let pass = Pass::over(&find(&[files.to_owned()], &mut Vec::new()).unwrap(), &prices(), |_, _| {});
    let mut expected = BTreeMap::new();
    for session in pass.sessions() {
        for unit in pass.units_of(session) {
            Work::of(&unit.parts).calls.iter().for_each(|call| add(&mut expected, call));
        }
    }
    let (some, others) = (found.iter(), expected.iter());
    let apart: Vec<_> = some.zip(others).filter(|(one, other)| one != other).collect();
    assert!(apart.is_empty() && found.len() == expected.len(), "calls: {apart:?}");
    found.len()
}

/// Every call in generated files is in the state, with its own input and file.
pub(crate) fn check_inputs(world: &World) {
    let found = of_state(world);
    let mut told = BTreeMap::new();
    for file in files_below(&world.root).iter().filter(|file| file.extension().is_some_and(|end| end == "jsonl")) {
        let text = fs::read_to_string(file).unwrap();
        // A line may hold several rows, or half of one, of which the reader finds more.
        let rows = |line| serde_json::Deserializer::from_str(line).into_iter::<Value>().map_while(Result::ok);
        let rows = text.lines().flat_map(rows);
        for block in rows.flat_map(|row| row["message"]["content"].as_array().cloned().unwrap_or_default()) {
            if let ("tool_use", input) = (block["type"].as_str().unwrap_or_default(), &block["input"]) {
                let path = input["file_path"].as_str().or(input["notebook_path"].as_str());
                let file = path.map_or(0, |path| xxh3_64(path.as_bytes()));
                let extension = path.and_then(|path| Path::new(path).extension()?.to_str()).map(str::to_lowercase);
                let id = Identity::Call(block["id"].as_str().unwrap()).hash();
                told.insert(id, (xxh3_64(input.to_string().as_bytes()), file, extension));
            }
        }
    }
    for (id, told) in told {
        let facts = found.get(&id).map(|(input, file, extension, ..)| (*input, *file, extension.clone()));
        assert!(facts.as_ref() == Some(&told), "inputs: {facts:?} but {told:?}");
    }
}
