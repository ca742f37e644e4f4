//! What a state keeps of the inputs and results of tool calls and of what the model was offered, held against a clean pass and the session files.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use serde_json::Value;
use tailspan::audit::pass::{Pass, find};
use tailspan::ledger::unit::Identity;
use tailspan::transcript::time::Timestamp;
use tailspan::views::analytics::work::{Work, WorkCall, WorkOffer};
use xxhash_rust::xxh3::xxh3_64;

use super::world::{World, files_below, prices};

/// Hashes of input and file, the extension, lines added and removed, and whether a person decided.
type Facts = (u64, u64, Option<String>, u32, u32, bool);

/// Hashes of input and file, and the extension.
type Input = (u64, u64, Option<String>);

fn add(calls: &mut BTreeMap<u64, Facts>, call: &WorkCall) {
    let extension = call.extension.as_deref().map(str::to_owned);
    let facts = (call.input, call.file, extension, call.lines_added, call.lines_removed, call.by_person);
    assert!(calls.insert(call.id, facts).is_none(), "calls: one is there twice");
}

/// What each unit and section in a state did.
fn work_of(world: &World) -> Vec<Work> {
    let (reader, mut sessions) = (world.reader.as_ref().unwrap(), Vec::new());
    reader.each_session(|session| sessions.push(session.id)).unwrap();
    let units = sessions.iter().flat_map(|session| reader.cells_of(session).unwrap());
    units.flat_map(|unit| unit.cells).map(|(_, cells)| cells.work).collect()
}

fn of_state(world: &World) -> BTreeMap<u64, Facts> {
    let mut calls = BTreeMap::new();
    work_of(world).iter().flat_map(|work| &work.calls).for_each(|call| add(&mut calls, call));
    calls
}

fn offers_of_state(world: &World) -> Vec<WorkOffer> {
    let mut offers: Vec<_> = work_of(world).into_iter().flat_map(|work| work.offers).collect();
    offers.sort();
    offers
}

/// Every call that the state has, and everything that the model was offered, is as a clean pass over the files tells it.
pub(crate) fn check(world: &World, files: &Path) -> usize {
    let found = of_state(world);
    let pass = Pass::over(&find(&[files.to_owned()], &mut Vec::new()).unwrap(), &prices(), |_, _| {});
    let (mut expected, mut offers) = (BTreeMap::new(), Vec::new());
    for session in pass.sessions() {
        for unit in pass.units_of(session) {
            let work = Work::of(&unit.parts);
            work.calls.iter().for_each(|call| add(&mut expected, call));
            offers.extend(work.offers);
        }
    }
    let (some, others) = (found.iter(), expected.iter());
    let apart: Vec<_> = some.zip(others).filter(|(one, other)| one != other).collect();
    assert!(apart.is_empty() && found.len() == expected.len(), "calls: {apart:?}");
    offers.sort();
    let told = offers_of_state(world);
    assert!(told == offers, "offers: {told:?} but {offers:?}");
    found.len()
}

/// Every call and offer in generated files is in the state, with its own input and file.
pub(crate) fn check_inputs(world: &World) {
    let (found, found_offers) = (of_state(world), offers_of_state(world));
    let (mut told, mut offers) = (BTreeMap::new(), BTreeMap::<String, (Timestamp, Value)>::new());
    for file in files_below(&world.root).iter().filter(|file| file.extension().is_some_and(|end| end == "jsonl")) {
        let text = fs::read_to_string(file).unwrap();
        // A line may hold several rows, or half of one, of which the reader finds more.
        let rows = |line| serde_json::Deserializer::from_str(line).into_iter::<Value>().map_while(Result::ok);
        for row in text.lines().flat_map(rows) {
            for block in row["message"]["content"].as_array().into_iter().flatten() {
                told.extend(call_in(block));
            }
            if let (Some(uuid), true) = (row["uuid"].as_str(), row["attachment"]["removedNames"].is_array()) {
                let at = Timestamp::parse(row["timestamp"].as_str().unwrap()).unwrap();
                let known = offers.entry(uuid.to_owned()).or_insert((at, row["attachment"].clone()));
                known.0 = known.0.min(at);
            }
        }
    }
    for (id, told) in told {
        let facts = found.get(&id).map(|(input, file, extension, ..)| (*input, *file, extension.clone()));
        assert!(facts.as_ref() == Some(&told), "inputs: {facts:?} but {told:?}");
    }
    for (at, attachment) in offers.values() {
        for offer in offers_in(*at, attachment) {
            assert!(found_offers.contains(&offer), "offers: no {offer:?} in {found_offers:?}");
        }
    }
}

/// A call by its id: hashes of its input and file, and the extension.
fn call_in(block: &Value) -> Option<(u64, Input)> {
    let input = block["type"].as_str().filter(|kind| *kind == "tool_use").map(|_| &block["input"])?;
    let path = input["file_path"].as_str().or(input["notebook_path"].as_str());
    let file = path.map_or(0, |path| xxh3_64(path.as_bytes()));
    let extension = path.and_then(|path| Path::new(path).extension()?.to_str()).map(str::to_lowercase);
    let id = Identity::Call(block["id"].as_str().unwrap()).hash();
    Some((id, (xxh3_64(input.to_string().as_bytes()), file, extension)))
}

fn offers_in(at: Timestamp, attachment: &Value) -> Vec<WorkOffer> {
    let texts = |list: &str| -> Vec<String> {
        attachment[list].as_array().into_iter().flatten().map(|text| text.as_str().unwrap().to_owned()).collect()
    };
    let mut offers = BTreeMap::<String, (u64, u32, u32)>::new();
    let lines = [texts("addedLines"), texts("addedBlocks")].concat();
    for (name, line) in texts("addedNames").iter().zip(&lines) {
        let is_tool = attachment["type"] == "deferred_tools_delta";
        let server = if is_tool { name.split("__").nth(1) } else { Some(&**name) };
        if let Some(server) = server {
            let told = offers.entry(server.to_owned()).or_default();
            *told = (told.0 + line.len() as u64 + 1, told.1 + u32::from(is_tool), told.2);
        }
    }
    for name in texts("removedNames").iter().filter_map(|name| name.split("__").nth(1)) {
        offers.entry(name.to_owned()).or_default().2 += 1;
    }
    let offer =
        |(server, (bytes, tools, removed)): (String, _)| WorkOffer { at, server: server.into(), bytes, tools, removed };
    offers.into_iter().map(offer).collect()
}
