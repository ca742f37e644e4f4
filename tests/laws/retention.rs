//! Sessions end for their age at any moment, and what was counted stays counted once: a state in which they end tells the
//! same sums of every day, and the same metrics, as one that keeps everything.
//!
//! `TAILSPAN_TEST_SEEDS=5000 cargo test --release --test laws retention::` tries more worlds than the usual ones.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};
use tailspan::audit::selfcheck::SelfCheck;
use tailspan::ledger::unit::Unit;
use tailspan::store::StoreReader;
use tailspan::views::analytics::costs::{CostQuestion, CostRow, GroupBy, costs};
use tailspan::views::analytics::cube::Cube;
use tailspan::views::analytics::filter::Filter;
use tailspan::views::analytics::period::{Period, Zone};
use tailspan::views::metrics::totals::Snapshot;
use tailspan::vitals::Vitals;

use crate::support::world::{self, Dice, World, append, files_below, recordings};

/// Worlds in an ordinary run of the tests.
const SEEDS: u64 = 150;

/// By what sums are told apart: all properties but the session.
const GROUPS: [&[GroupBy]; 9] = [
    &[GroupBy::Period(Period::Hour)],
    &[GroupBy::Period(Period::Day), GroupBy::Model],
    &[GroupBy::Period(Period::Day), GroupBy::Project],
    &[GroupBy::Period(Period::Week), GroupBy::Agent],
    &[GroupBy::Period(Period::Month), GroupBy::Branch],
    &[GroupBy::Period(Period::Day), GroupBy::Entrypoint],
    &[GroupBy::Block],
    &[GroupBy::Model, GroupBy::Agent],
    &[GroupBy::Project, GroupBy::Branch],
];

/// What comes to the session files at once: a session with its sub-agents, or some turns of it.
type Arrival = Vec<(PathBuf, Vec<u8>)>;

fn rows(bytes: &[u8]) -> Vec<Value> {
    bytes.split(|byte| *byte == b'\n').filter_map(|line| serde_json::from_slice(line).ok()).collect()
}

fn lines(rows: &[Value]) -> Vec<u8> {
    rows.iter().flat_map(|row| format!("{row}\n").into_bytes()).collect()
}

fn last_time(arrival: &Arrival) -> String {
    let times = arrival.iter().flat_map(|(_, bytes)| rows(bytes));
    times.filter_map(|row| Some(row["timestamp"].as_str()?.to_owned())).max().unwrap_or_default()
}

/// Whether a row is what a person said, and not what a tool or the client did.
fn is_prompt(row: &Value) -> bool {
    let content = &row["message"]["content"];
    let is_said = content.is_string() || content.as_array().is_some_and(|blocks| blocks[0]["type"] == "text");
    row["type"] == "user" && is_said && row["isMeta"] != true && row["isSidechain"] != true
}

/// Whether a prompt is the only row from there on that goes on with what lies before: nothing else was going on.
fn is_between(rows: &[Value], at: usize) -> bool {
    let before: BTreeSet<&str> = rows[..at].iter().filter_map(|row| row["uuid"].as_str()).collect();
    let goes_on = |row: &&Value| row["parentUuid"].as_str().is_some_and(|parent| before.contains(parent));
    is_prompt(&rows[at]) && rows[at..].iter().filter(goes_on).count() <= 1
}

/// A session that was forked from another: a copy of its rows, told as one or not, and a turn of its own.
fn fork_of(session: &[Value], name: &str, marked: bool) -> Vec<Value> {
    let mut copy: Vec<Value> = session.iter().filter(|row| row["uuid"].is_string()).cloned().collect();
    for row in &mut copy {
        if marked {
            row["forkedFrom"] = json!({"sessionId": row["sessionId"], "messageUuid": row["uuid"]});
        }
        row["sessionId"] = json!(name);
    }
    let Some(last) = copy.last().cloned() else { return copy };
    let at = |seconds: u32| json!(format!("2027-01-01T00:00:{seconds:02}.000Z"));
    let row = |kind: &str, uuid: &str, parent: &Value, time: Value, message: Value| {
        json!({"type": kind, "uuid": uuid, "parentUuid": parent, "sessionId": name, "timestamp": time, "cwd": "/fork",
            "isSidechain": false, "version": last["version"], "message": message})
    };
    let (asked, said) = (format!("{}1", &name[..35]), format!("{}2", &name[..35]));
    copy.push(row("user", &asked, &last["uuid"], at(1), json!({"role": "user", "content": "go on"})));
    let usage = json!({"input_tokens": 5, "output_tokens": 7});
    let message = json!({"id": format!("msg_{name}"), "type": "message", "role": "assistant", "model": "claude-sonnet-4-5",
        "content": [{"type": "text", "text": "done"}], "stop_reason": "end_turn", "usage": usage});
    let mut answer = row("assistant", &said, &json!(asked), at(3), message);
    answer["requestId"] = json!(format!("req_{name}"));
    copy.push(answer);
    copy
}

/// The file of a sub-agent, copied with its rows to the folder of a fork; `None` for any other file.
fn agent_of_fork(path: &Path, bytes: &[u8], name: &str) -> Option<(PathBuf, Vec<u8>)> {
    let folder = path.parent().filter(|folder| folder.ends_with("subagents"))?;
    let mut copy = rows(bytes);
    copy.iter_mut().filter(|row| row["sessionId"].is_string()).for_each(|row| row["sessionId"] = json!(name));
    let beside = folder.parent()?.with_file_name(name).join("subagents").join(path.file_name()?);
    Some((beside, lines(&copy)))
}

/// What comes, in an order in which it may have been written: no copy before what it was copied from.
fn arrivals(dice: &mut Dice) -> Vec<Arrival> {
    let all = recordings();
    let mut sessions: BTreeMap<(PathBuf, String), Arrival> = BTreeMap::new();
    for number in 0..1 + dice.below(3) {
        let projects = all[dice.below(all.len())].join("projects");
        for file in files_below(&projects).iter().filter(|file| !file.to_str().unwrap().contains("tool-results")) {
            let inside: PathBuf = file.strip_prefix(&projects).unwrap().components().skip(1).collect();
            let bytes = fs::read(file).unwrap();
            let own = inside.components().next().unwrap().as_os_str().to_str().unwrap().replace(".jsonl", "");
            // Older clients wrote sub-agents beside their session.
            let told = rows(&bytes).first().and_then(|row| Some(row["sessionId"].as_str()?.to_owned()));
            let session = told.filter(|_| own.starts_with("agent-")).unwrap_or(own);
            let folder = PathBuf::from(format!("slug{number}"));
            let path = folder.join(inside);
            sessions.entry((folder, session)).or_default().push((path, bytes));
        }
    }
    let mut folders: BTreeMap<PathBuf, usize> = BTreeMap::new();
    sessions.keys().for_each(|(folder, _)| *folders.entry(folder.clone()).or_default() += 1);
    let mut all: Vec<Arrival> = sessions.into_values().collect();
    for arrival in &mut all {
        arrival.sort_by_key(|(path, _)| path.components().count());
        arrival.sort_by_key(|(path, _)| path.file_name().unwrap().to_str().unwrap().starts_with("agent-"));
    }
    all.sort_by_key(last_time);
    let mut arrivals = Vec::new();
    let mut later = Vec::new();
    for (number, arrival) in all.into_iter().enumerate() {
        let mut own = rows(&arrival[0].1);
        if dice.one_in(3) {
            let name = format!("f0f0{number:04x}-0000-4000-8000-00000000000{}", dice.below(9));
            let path = arrival[0].0.with_file_name(format!("{name}.jsonl"));
            let mut fork = vec![(path, lines(&fork_of(&own, &name, dice.one_in(2))))];
            // Some forks copy the sub-agents too.
            fork.extend(arrival[1..].iter().filter_map(|(path, bytes)| agent_of_fork(path, bytes, &name)));
            later.push(fork);
        }
        let prompts: Vec<usize> = (1..own.len()).filter(|at| is_between(&own, *at)).collect();
        // What a fork copied must not go on once it has ended: the copies would be the first.
        let folder = arrival[0].0.parent().unwrap().to_owned();
        let is_alone = folders[&folder] == 1;
        if arrival.len() > 1 || !is_alone || prompts.is_empty() || dice.one_in(2) {
            arrivals.push(arrival);
            continue;
        }
        // A person goes on with it after it ended.
        let rest = own.split_off(prompts[dice.below(prompts.len())]);
        arrivals.push(vec![(arrival[0].0.clone(), lines(&own))]);
        later.insert(0, vec![(arrival[0].0.clone(), lines(&rest))]);
    }
    arrivals.extend(later);
    arrivals
}

/// Everything that the state knows of spending.
fn cube(reader: &StoreReader) -> Cube {
    let mut cube = Cube::default();
    let mut sessions = Vec::new();
    reader.each_session(|session| sessions.push(session)).unwrap();
    for session in sessions {
        cube.put(&session, &reader.cells_of(&session.id).unwrap(), &world::prices());
    }
    for id in reader.retired_sessions().unwrap() {
        cube.put_retired(&id, &reader.retired(&id).unwrap().unwrap());
    }
    cube
}

/// The sums of a state, told apart in every way, as text. Sessions are not: one that went on after it ended is two.
fn sums(world: &World) -> Vec<String> {
    let cube = cube(world.reader.as_ref().unwrap());
    let zones = ["UTC", "Asia/Kathmandu"].map(|name| Zone::named(name).unwrap());
    let mut filters = vec![Filter::default()];
    filters.extend(["human", "sdk"].map(|origin| Filter { origin: vec![origin.to_owned()], ..Filter::default() }));
    filters.push(Filter { tool: vec!["Bash".to_owned()], ..Filter::default() });
    let mut told = Vec::new();
    for (group_by, filter) in GROUPS.iter().flat_map(|group| filters.iter().map(move |filter| (*group, filter))) {
        for zone in zones {
            let table = costs(&cube, &CostQuestion { group_by, zone, filter, edges: &HashMap::new() });
            let line = |row: &CostRow| {
                let sums = &row.sums;
                format!("{:?} {:?} {} {}", row.values, sums.tokens, sums.cost, sums.unpriced)
                    + &format!(" {} messages {} turns", sums.messages, sums.turns)
            };
            let mut rows: Vec<String> = table.rows.iter().map(line).collect();
            rows.sort();
            told.push(format!(
                "{group_by:?} {zone:?} {filter:?}: {rows:#?} {} {}",
                table.total.cost, table.total.turns
            ));
        }
    }
    told
}

fn counted(snapshot: &Snapshot) -> BTreeSet<String> {
    snapshot.iter().filter(|(series, _)| !series.metric.contains("lines_total")).map(|row| format!("{row:?}")).collect()
}

/// Ends every session that can end. Returns how many did.
fn end_all(world: &mut World) -> u64 {
    world.now.0 += 2 * 3_600_000;
    let mut ended = 0;
    loop {
        let retired = world.engine.as_mut().unwrap().retire(Duration::from_secs(86_400), world.now).unwrap();
        ended += retired.sessions;
        if !retired.is_walking {
            return ended;
        }
    }
}

/// A file is replaced by one with the same rows, or is cut at its beginning: it is read once more from there.
fn rewrite(path: &Path, dice: &mut Dice) {
    let bytes = fs::read(path).unwrap();
    let cut = if dice.one_in(2) { 0 } else { dice.below(bytes.len() / 2) };
    let begin = if cut == 0 { 0 } else { bytes[..cut].iter().rposition(|byte| *byte == b'\n').map_or(0, |at| at + 1) };
    let new = path.with_extension("new");
    fs::write(&new, &bytes[begin..]).unwrap();
    fs::rename(new, path).unwrap();
}

/// Every unit of the state, for the eyes of who looks for what came back.
fn units(world: &World) -> Vec<Unit> {
    let reader = world.reader.as_ref().unwrap();
    let mut sessions = Vec::new();
    reader.each_session(|session| sessions.push(session)).unwrap();
    sessions.iter().flat_map(|session| reader.units_of(session).unwrap()).collect()
}

fn run(seed: u64) -> u64 {
    let mut dice = Dice::new(seed);
    let folder = tempfile::tempdir_in("/dev/shm").or_else(|_| tempfile::tempdir()).unwrap();
    let settings = if dice.one_in(2) { 0 } else { dice.below(9) };
    let parts_max = [2, 128][dice.below(2)];
    let mut worlds = ["keeps", "ends"].map(|name| {
        let mut world = World::under(&folder.path().join(name), settings);
        world.parts_max = parts_max;
        world.restart();
        world
    });
    let mut ended = 0;
    for arrival in arrivals(&mut dice) {
        let order = dice.below(1 << 20) as u64;
        for world in &mut worlds {
            arrival.iter().for_each(|(path, bytes)| append(&world.root.join(path), bytes));
            world.read(&mut Dice::new(order), usize::MAX);
            world.settle();
        }
        let [_, ends] = &mut worlds;
        if dice.one_in(2) {
            ended += end_all(ends);
        }
        match dice.below(6) {
            0 => ends.restart(),
            1 => ends.die(),
            // What has ended since the last flush has not ended.
            2 => ends.crash(),
            3 => {
                let files = files_below(&ends.root);
                rewrite(&files[dice.below(files.len())], &mut dice);
                ends.read(&mut Dice::new(order), usize::MAX);
                ends.settle();
            }
            _ => {}
        }
    }
    let check = |worlds: &mut [World; 2], what: &str| {
        let [keeps, ends] = worlds;
        let [kept, found] = [keeps.settle(), ends.settle()].map(|snapshot| counted(&snapshot));
        let differ: Vec<_> = kept.difference(&found).chain(found.difference(&kept)).collect();
        assert!(differ.is_empty(), "seed {seed}: metrics {what}: {differ:#?}");
        for (kept, found) in sums(keeps).into_iter().zip(sums(ends)) {
            assert_eq!(kept, found, "seed {seed}: sums {what}");
        }
    };
    check(&mut worlds, "with some ended");
    ended += end_all(&mut worlds[1]);
    check(&mut worlds, "with all ended");
    assert_eq!(worlds[1].summary().sessions, 0, "seed {seed}: nothing else is left");
    for file in files_below(&worlds[1].root) {
        rewrite(&file, &mut dice);
    }
    worlds[1].restart();
    worlds[1].read(&mut dice, usize::MAX);
    worlds[1].settle();
    check(&mut worlds, "after everything was read again");
    assert_eq!(worlds[1].summary().sessions, 0, "seed {seed}: what ended does not come back: {:#?}", units(&worlds[1]));
    check_itself(&worlds[1]);
    ended
}

fn check_itself(world: &World) {
    let vitals = Arc::new(Vitals::new(world.now, Duration::from_secs(1_800)));
    let (reader, roots) = (world.reader.clone().unwrap(), (vec![world.root.clone()], world.streams()));
    let checked = SelfCheck::new(reader, world::prices(), roots, vitals, Arc::default()).check().unwrap();
    assert_eq!(checked.drifts, 0, "{checked:?}");
}

#[test]
fn what_ends_was_counted_once_and_stays_counted() {
    let number = |name: &str, usual| std::env::var(name).map_or(usual, |text| text.parse().unwrap());
    let first = number("TAILSPAN_TEST_FIRST_SEED", 1);
    let ended: u64 = (first..first + number("TAILSPAN_TEST_SEEDS", SEEDS)).map(run).sum();
    assert!(ended > 0, "some sessions ended");
}
