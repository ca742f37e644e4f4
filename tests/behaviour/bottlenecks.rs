//! `/api/v1/analytics/bottlenecks`: the critical paths of all turns, added up.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use serde_json::{Value, json};
use tailspan::ledger::ended::so_far;
use tailspan::ledger::session::project_of;
use tailspan::ledger::unit::{Identity, Unit, UnitKey};
use tailspan::store::StoreReader;
use tailspan::transcript::time::{Timestamp, seconds};
use tailspan::views::analytics::critical_path::{PathUnit, critical_path};
use tailspan::views::analytics::work::Work;
use tailspan::views::traces::ids::{CHAT, EXECUTE_TOOL, TraceId, span_id};

use crate::support::costs::{filled, recorded};
use crate::support::jaeger::encoded;
use crate::support::world::Dice;

const ALWAYS: &str = "since=2000-01-01";

/// A turn that has ended, its path, and everything that it can be told apart by.
struct OneTurn {
    at: Timestamp,
    took_ms: u64,
    busy_ms: u64,
    project: Option<String>,
    branch: Option<String>,
    entrypoint: Option<String>,
    origin: String,
    session: String,
    models: BTreeSet<String>,
    tools: BTreeSet<String>,
    agents: BTreeSet<String>,
    /// Milliseconds on the path, of slack, and saved by half, by kind and name.
    parts: BTreeMap<(String, String), [u64; 3]>,
}

impl OneTurn {
    fn values(&self, by: &str) -> BTreeSet<String> {
        match by {
            "project" => self.project.iter().cloned().collect(),
            "branch" => self.branch.iter().cloned().collect(),
            "entrypoint" => self.entrypoint.iter().cloned().collect(),
            "origin" => [self.origin.clone()].into(),
            "session" => [self.session.clone()].into(),
            "model" => self.models.clone(),
            "tool" => self.tools.clone(),
            "agent" => self.agents.clone(),
            _ => panic!("{by}"),
        }
    }
}

fn turns(reader: &StoreReader) -> Vec<OneTurn> {
    let mut sessions = Vec::new();
    reader.each_session(|session| sessions.push(session)).unwrap();
    let mut turns = Vec::new();
    for session in sessions {
        let units = reader.units_of(&session).unwrap();
        let works: Vec<Work> = units.iter().map(|unit| Work::of(&unit.parts)).collect();
        let path_unit =
            |at: usize| PathUnit { started: units[at].started(), ended: so_far(&units[at]).at, work: &works[at] };
        let waits = |unit: &Unit, call: u64| {
            let agent = unit.agent.as_ref().filter(|agent| !agent.background);
            agent.and_then(|agent| agent.call.as_deref()).is_some_and(|own| Identity::Call(own).hash() == call)
        };
        let agents = |call| (0..units.len()).filter(|at| waits(&units[*at], call)).map(path_unit).collect();
        let below = |turn: &Unit| {
            let mut ids = BTreeSet::from([turn.key.id()]);
            for _ in 0..9 {
                let more = units.iter().filter(|unit| {
                    unit.agent.as_ref().and_then(|agent| agent.parent).is_some_and(|parent| ids.contains(&parent))
                });
                ids = ids.iter().copied().chain(more.map(|unit| unit.key.id())).collect();
            }
            units.iter().filter(move |unit| ids.contains(&unit.key.id())).collect::<Vec<_>>()
        };
        for (at, unit) in units.iter().enumerate().filter(|(_, unit)| unit.is_turn() && unit.end().is_some()) {
            let path = critical_path(path_unit(at), &agents);
            let took_ms = unit.end().unwrap().at.since_ms(unit.started());
            assert_eq!(path.parts.iter().map(|part| part.path_ms).sum::<u64>(), took_ms, "{:?}", unit.key);
            let part = |part: &tailspan::views::analytics::critical_path::PathPart<'_>| {
                let figures = [part.path_ms, part.slack_ms, part.saved_if_halved_ms];
                ((part.kind.name().to_owned(), part.name.to_owned()), figures)
            };
            let all = below(unit);
            let agent = |unit: &&Unit| match unit.key {
                UnitKey::Agent(..) => {
                    unit.agent.as_ref().and_then(|agent| agent.agent_type.as_deref()).unwrap_or("unknown").to_owned()
                }
                _ => "main".to_owned(),
            };
            turns.push(OneTurn {
                at: unit.started(),
                took_ms,
                busy_ms: path.busy_ms,
                project: unit.context.cwd.as_deref().and_then(project_of).map(str::to_owned),
                branch: unit.context.branch.as_deref().map(str::to_owned),
                entrypoint: unit.context.entrypoint.as_deref().map(str::to_owned),
                origin: unit.prompt.as_ref().unwrap().origin.name().to_owned(),
                session: session.id.to_string(),
                models: all
                    .iter()
                    .flat_map(|unit| unit.parts.messages.iter().flat_map(|message| &message.shares))
                    .map(|share| share.model.to_string())
                    .collect(),
                tools: all
                    .iter()
                    .flat_map(|unit| unit.parts.tools.iter().filter_map(|tool| tool.call.as_ref()))
                    .map(|call| call.name.to_string())
                    .collect(),
                agents: all.iter().map(agent).collect(),
                parts: path.parts.iter().map(part).collect(),
            });
        }
    }
    turns
}

fn assert_is(answer: &Value, turns: &[&OneTurn], said: &str) {
    let whole: u64 = turns.iter().map(|turn| turn.took_ms).sum();
    let busy: u64 = turns.iter().map(|turn| turn.busy_ms).sum();
    assert_eq!((&answer["turns"], &answer["turn_seconds"]), (&json!(turns.len()), &json!(seconds(whole))), "{said}");
    assert_eq!(answer["parallelism"]["busy_seconds"], json!(seconds(busy)), "{said}");
    let mut sums: BTreeMap<(String, String), ([u64; 3], Vec<u64>)> = BTreeMap::new();
    for (name, figures) in turns.iter().flat_map(|turn| &turn.parts) {
        let (sum, per_turn) = sums.entry(name.clone()).or_default();
        sum.iter_mut().zip(figures).for_each(|(sum, figure)| *sum += figure);
        per_turn.extend((figures[0] > 0).then_some(figures[0]));
    }
    let share = |part: u64| part as f64 / whole as f64;
    let rows = answer["critical_path"].as_array().unwrap();
    assert_eq!(rows.len(), sums.len(), "{said}");
    for row in rows {
        let name = |field: &str| row[field].as_str().unwrap().to_owned();
        let ([path, slack, saved], mut per_turn) = sums.remove(&(name("kind"), name("name"))).expect("no row twice");
        per_turn.sort_unstable();
        let at = |part: usize| per_turn.get((per_turn.len() * part).div_ceil(100).max(1) - 1).copied().map(seconds);
        assert_eq!((&row["seconds"], &row["turns"]), (&json!(seconds(path)), &json!(per_turn.len())), "{said}: {row}");
        assert_eq!(row["slack_seconds"], json!(seconds(slack)), "{said}: {row}");
        assert_eq!(row["p50_seconds_per_turn"], json!(at(50)), "{said}: {row}");
        assert_eq!(row["p95_seconds_per_turn"], json!(at(95)), "{said}: {row}");
        for (field, part) in [("share", path), ("if_halved_share", saved)] {
            assert!((row[field].as_f64().unwrap() - share(part)).abs() < 1e-9, "{said}: {row}");
        }
    }
    assert!(rows.is_sorted_by(|a, b| a["seconds"].as_f64() >= b["seconds"].as_f64()), "{said}");
}

#[test]
fn the_answer_is_the_paths_of_all_turns_added_up() {
    let (asked, _world, _folder) = recorded();
    let turns = turns(&asked.reader);
    assert!(turns.len() > 60, "{}", turns.len());
    assert_is(&asked.answer(&format!("/bottlenecks?{ALWAYS}")), &turns.iter().collect::<Vec<_>>(), "all");
    for seed in 0..200 {
        let mut dice = Dice::new(seed);
        let by = ["project", "branch", "entrypoint", "origin", "session", "model", "tool", "agent"][dice.below(8)];
        let example = |dice: &mut Dice| &turns[dice.below(turns.len())];
        let bound = |dice: &mut Dice| Timestamp(example(dice).at.0 + dice.below(3) as i64 - 1);
        let (a, b) = (bound(&mut dice), bound(&mut dice));
        let (since, until) = (a.min(b), Timestamp(a.max(b).0 + 1));
        let wanted: BTreeSet<String> =
            example(&mut dice).values(by).into_iter().take(2).chain(["nothing has this".to_owned()]).collect();
        let named: String = wanted.iter().map(|value| format!("&{by}={}", encoded(value))).collect();
        let query = format!("/bottlenecks?since={}&until={}{named}", since.to_rfc3339(), until.to_rfc3339());
        let taken =
            turns.iter().filter(|turn| turn.at >= since && turn.at < until && !turn.values(by).is_disjoint(&wanted));
        assert_is(&asked.answer(&query), &taken.collect::<Vec<_>>(), &format!("seed {seed}: {query}"));
    }
}

#[test]
fn turns_last_as_long_as_their_sessions_tell() {
    let (asked, _world, _folder) = recorded();
    let mut milliseconds = 0.0;
    for session in asked.sessions("limit=1000")["sessions"].as_array().unwrap() {
        let detail = asked.answer(&format!("/sessions/{}", session["id"].as_str().unwrap()));
        let turns = detail["turns"].as_array().unwrap();
        milliseconds += turns.iter().filter_map(|turn| turn["duration_seconds"].as_f64()).sum::<f64>() * 1000.0;
    }
    let answer = asked.answer(&format!("/bottlenecks?{ALWAYS}"));
    assert_eq!(answer["turn_seconds"].as_f64().unwrap(), milliseconds.round() / 1000.0);
    let parts = answer["critical_path"].as_array().unwrap().iter().map(|row| row["seconds"].as_f64().unwrap());
    assert_eq!((parts.sum::<f64>() * 1000.0).round(), milliseconds.round());
    let lines = asked.text(&format!("/bottlenecks?{ALWAYS}&format=folded"));
    let mut folded = 0;
    for line in lines.lines() {
        let (frames, count) = line.rsplit_once(' ').unwrap();
        assert_eq!(frames.split(';').count(), 3, "{line}");
        assert!(!frames.contains(' '), "{line}");
        folded += count.parse::<u64>().unwrap();
    }
    assert_eq!(folded as f64, milliseconds.round(), "stacks hold the same milliseconds");
}

#[test]
fn tools_tell_the_same_seconds_of_the_critical_path() {
    let (asked, _world, _folder) = recorded();
    let paths = asked.answer(&format!("/bottlenecks?{ALWAYS}"));
    let usage = asked.answer(&format!("/tools?{ALWAYS}"));
    let tool = |row: &&Value| row["kind"] == "tool" && row["seconds"] != json!(0.0);
    let waited: HashMap<&str, &Value> = paths["critical_path"]
        .as_array()
        .unwrap()
        .iter()
        .filter(tool)
        .map(|row| (row["name"].as_str().unwrap(), &row["seconds"]))
        .collect();
    let told: HashMap<&str, &Value> = usage["tools"]
        .as_array()
        .unwrap()
        .iter()
        .filter(|row| row["critical_path_seconds"] != json!(0.0))
        .map(|row| (row["tool"].as_str().unwrap(), &row["critical_path_seconds"]))
        .collect();
    assert!(told.len() > 10, "{told:?}");
    assert_eq!(told, waited);
}

#[test]
fn the_longest_stretches_lead_to_the_replay_and_to_their_spans() {
    let (asked, _world, _folder) = recorded();
    let answer = asked.answer(&format!("/bottlenecks?{ALWAYS}"));
    let mut links = 0;
    for row in answer["critical_path"].as_array().unwrap() {
        let (kind, name) = (row["kind"].as_str().unwrap(), &row["name"]);
        let slowest = row["slowest"].as_array().unwrap();
        assert!(slowest.is_sorted_by(|a, b| a["seconds"].as_f64() >= b["seconds"].as_f64()), "{row}");
        for slow in slowest {
            let session = slow["session"].as_str().unwrap();
            let replay = asked.answer(&format!("/sessions/{session}/replay?from={}&limit=1", slow["event"]));
            let event = &replay["events"][0];
            assert!(event["duration_seconds"].as_f64() >= slow["seconds"].as_f64(), "{slow} {event}");
            let trace = TraceId(u128::from_str_radix(slow["trace_id"].as_str().unwrap(), 16).unwrap());
            let text = |field: &str| event[field].as_str().map(str::to_owned);
            let span = match kind {
                "model" | "retry" => {
                    assert_eq!(event["kind"], "message", "{slow}");
                    assert!(kind != "model" || event["model"] == *name, "{event}");
                    span_id(trace, CHAT, &text("request_id").or(text("message_id")).unwrap())
                }
                "tool" | "hook" => {
                    assert_eq!(event["kind"], "tool_result", "{slow}");
                    assert!(kind != "tool" || event["tool"] == *name, "{event}");
                    span_id(trace, EXECUTE_TOOL, &text("tool_call_id").unwrap())
                }
                _ => panic!("{kind} lies in no call: {slow}"),
            };
            assert_eq!(span.to_string(), slow["span_id"].as_str().unwrap(), "{slow}");
            links += 1;
        }
    }
    assert!(links > 40, "{links}");
}

#[test]
fn pages_and_wrong_parameters() {
    let (asked, _world, _folder) = recorded();
    let whole = asked.answer(&format!("/bottlenecks?{ALWAYS}"))["critical_path"].as_array().unwrap().clone();
    let (mut rows, mut cursor) = (Vec::new(), String::new());
    loop {
        let page = asked.answer(&format!("/bottlenecks?{ALWAYS}&limit=4{cursor}"));
        rows.extend(page["critical_path"].as_array().unwrap().iter().cloned());
        let Some(next) = page["next_cursor"].as_str() else { break };
        cursor = format!("&cursor={next}");
    }
    assert_eq!(rows, whole);
    let (empty, _world, _folder) = filled(|_| {});
    let answer = empty.answer("/bottlenecks");
    assert_eq!((&answer["turns"], &answer["critical_path"]), (&json!(0), &json!([])));
    assert_eq!(answer["parallelism"], json!({"busy_seconds": 0.0, "wall_seconds": 0.0, "ratio": null}));
    assert_eq!(empty.text("/bottlenecks?format=folded"), "");
    for (query, detail) in
        [("format=flame", "one of `json`, `folded`"), ("formt=json", "nearest to `formt` is `format`")]
    {
        let refusal = asked.refusal(&format!("/bottlenecks?{query}"));
        assert!(refusal.contains(detail), "{query}: {refusal}");
    }
}
