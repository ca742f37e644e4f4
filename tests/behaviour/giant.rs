//! Sessions too long to be in memory for an answer: what is said of them is what is said of short ones.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use serde_json::Value;
use tailspan::audit::pass::{self, Pass};
use tailspan::ledger::unit::Unit;
use tailspan::transcript::ids::RowId;
use tailspan::transcript::time::Timestamp;
use tailspan::views::sessions::{events, parts};
use tailspan::views::traces::ids::{SpanId, TraceId};

use crate::support::analytics;
use crate::support::giant::{self, SESSION};
use crate::support::jaeger::{Served, spans, text};
use crate::support::jaeger_forms::{of_export, of_v1};
use crate::support::outbox;
use crate::support::sink::Sink;
use crate::support::world::{Dice, World};

/// Parts beyond which a session is not read as a whole for an answer.
const WHOLE_MAX: u64 = 10_000;

/// What a clean pass finds: the units of the only session, and what `scan` says of its tools.
fn whole(projects: &Path) -> (Vec<Unit>, Value) {
    let found = pass::find(&[projects.to_owned()], &mut Vec::new()).unwrap();
    let pass = Pass::over(&found, &crate::support::world::prices(), |_, _| {});
    let sessions = pass.sessions();
    assert_eq!(sessions.len(), 1);
    let units = pass.units_of(sessions[0]).into_iter().map(std::borrow::Cow::into_owned).collect();
    (units, serde_json::to_value(pass.summary(false)).unwrap()["tools"].clone())
}

/// Of what is found, only what stands in `expected`: an answer has the text of rows as well.
fn assert_says(found: &Value, expected: &Value) {
    for (key, value) in expected.as_object().unwrap() {
        assert_eq!(&found[key], value, "{key} of {found}, not {expected}");
    }
}

#[test]
fn a_long_session_is_replayed_like_a_short_one() {
    for seed in 1..=2 {
        let mut world = analytics::World::empty();
        giant::mixed(&world.projects, seed);
        world.count();
        let (units, tools) = whole(&world.projects);
        let events = events::events(&units);
        let expected = serde_json::to_value(&events).unwrap();
        let expected = expected.as_array().unwrap();
        let parts: usize = units.iter().map(|unit| unit.parts.messages.len() + unit.parts.tools.len()).sum();
        assert!(parts as u64 > WHOLE_MAX, "only {parts} parts");
        let times: BTreeSet<&str> = expected.iter().map(|event| text(&event["at"])).collect();
        assert!(times.len() * 10 < expected.len(), "most events are at the time of others");

        let mut dice = Dice::new(seed);
        for _ in 0..6 {
            let from = dice.below(expected.len());
            let page = world.json(&format!("/{SESSION}/replay?limit=1000&from={from}"));
            assert_eq!(page["total_events"], expected.len());
            let shown = page["events"].as_array().unwrap();
            assert_eq!(shown.len(), 1_000.min(expected.len() - from));
            shown.iter().zip(&expected[from..]).for_each(|(found, expected)| assert_says(found, expected));
        }
        let at = text(&expected[dice.below(expected.len())]["at"]);
        let page = world.json(&format!("/{SESSION}/replay?limit=50&at={at}"));
        let first = expected.iter().position(|event| event["at"] == at).unwrap();
        assert_eq!(page["from"], first);
        assert_says(&page["events"][0], &expected[first]);

        let detail = world.json(&format!("/{SESSION}"));
        assert_eq!(detail["turns"], serde_json::to_value(parts::turns(&units)).unwrap());
        assert_eq!(detail["subagents"], serde_json::to_value(parts::agents(&units)).unwrap());
        assert_eq!(detail["trace_ids"], serde_json::to_value(parts::trace_ids(&units)).unwrap());
        assert_eq!(detail["slowest_steps"], serde_json::to_value(parts::slowest(&events)).unwrap());
        assert_eq!(detail["tools"], tools);
        let agents = units.iter().filter(|unit| unit.agent.is_some()).count();
        assert!(agents > 50, "only {agents} sub-agents");
        assert_eq!(detail["files"].as_array().unwrap().len(), agents + 1);
    }
}

#[test]
fn a_long_session_in_which_all_happens_at_once_is_answered() {
    let world = {
        let mut world = analytics::World::empty();
        giant::at_once(&world.projects, 20_000);
        world.count();
        world
    };
    let (units, tools) = whole(&world.projects);
    let events = events::events(&units);
    let detail = world.json(&format!("/{SESSION}"));
    assert_eq!(detail["slowest_steps"], serde_json::to_value(parts::slowest(&events)).unwrap());
    assert_eq!(detail["tools"], tools);
    let page = world.json(&format!("/{SESSION}/replay?limit=300&from=30000"));
    let expected = serde_json::to_value(&events[30_000..30_300]).unwrap();
    let shown = page["events"].as_array().unwrap();
    assert_eq!(shown.len(), 300);
    shown.iter().zip(expected.as_array().unwrap()).for_each(|(found, expected)| assert_says(found, expected));
}

#[test]
fn a_trace_too_large_to_be_shown_whole_is_a_tree_that_says_so() {
    let mut served = Served::made("2026-03-02T12:00:00.000Z", |root| giant::long_turn(root, 22_000, 1));
    let exported = of_export(&served.world.take_spans());
    let mut traces: BTreeMap<&str, usize> = BTreeMap::new();
    exported.keys().for_each(|(trace, _)| *traces.entry(trace).or_default() += 1);
    let (largest, count) = traces.iter().max_by_key(|(_, count)| **count).unwrap();
    assert!(*count > 20_000 && traces.len() > 1, "{traces:?}");

    let found = served.traces(&format!("/traces/{largest}")).remove(0);
    let warning = text(&found["warnings"][0]);
    let shown = spans(&found).len();
    assert_eq!(warning, format!("the trace is too large to be shown whole: {shown} of its {count} spans are here"));
    assert!((9_000..=10_000).contains(&shown), "{shown}");
    let known = of_v1(std::slice::from_ref(&found));
    let roots: Vec<_> = known.values().filter(|span| span.parent.is_none()).collect();
    assert_eq!(roots.len(), 1);
    for ((trace, id), span) in &known {
        if let Some(parent) = &span.parent {
            assert!(known.contains_key(&(trace.clone(), parent.clone())), "{} hangs in the air", span.name);
        }
        assert_eq!(Some(span), exported.get(&(trace.clone(), id.clone())), "{}", span.name);
    }
    // They are the first ones, but for the last of the pieces in which the turn is stored.
    let last_shown = known.values().map(|span| span.start).max().unwrap();
    let first_missing = exported.iter().filter(|(at, _)| at.0 == **largest && !known.contains_key(*at));
    let first_missing = first_missing.map(|(_, span)| span.start).min().unwrap();
    assert!(last_shown <= first_missing + 15_000_000_000, "{last_shown} {first_missing}");

    let start = roots[0].start;
    let listed = served.traces("/traces?service=claude-code&limit=1000");
    let listed = listed.iter().find(|trace| trace["traceID"] == **largest).expect("the search lists it");
    assert_eq!(of_v1(std::slice::from_ref(listed)).values().map(|span| span.start).min(), Some(start));
    let tight = |from: i128, to: i128| {
        let times = format!("/traces?service=claude-code&limit=1000&start={from}&end={to}");
        served.traces(&times).iter().any(|trace| trace["traceID"] == **largest)
    };
    assert!(tight(start / 1_000 - 1, start / 1_000 + 1));
    assert!(!tight(start / 1_000 - 2_000_000, start / 1_000 - 1_000_000));
}

#[test]
fn every_route_says_that_a_trace_is_cut() {
    let served = Served::made("2026-03-02T12:00:00.000Z", |root| giant::long_turn(root, 22_000, 1));
    let is_cut = |warning: &Value| text(warning).starts_with("the trace is too large to be shown whole: ");
    let warned = |trace: &&Value| trace["warnings"].as_array().is_some_and(|warnings| warnings.iter().any(is_cut));
    let found = served.traces("/traces?service=claude-code&limit=1000");
    let cut = found.iter().find(warned).expect("a search says it");
    let id = text(&cut["traceID"]);
    assert!(served.traces(&format!("/traces/{id}")).iter().all(|trace| warned(&trace)));
    let session = served.traces(&format!("/traces/{SESSION}"));
    assert!(warned(&&session[0]) && session[0]["warnings"].as_array().unwrap().len() > 1, "{}", session[0]["warnings"]);
    assert!(spans(&session[0]).len() <= 20_000);

    let ever = "query.startTimeMin=2000-01-01T00:00:00Z&query.startTimeMax=2100-01-01T00:00:00Z";
    for (path, traces) in [
        (format!("/v3/traces?{ever}&query.searchDepth=1000"), found.len()),
        (format!("/v3/traces/{id}"), 1),
        (format!("/v3/traces/{SESSION}"), 1),
    ] {
        let answer = served.json(&path);
        let resources = answer["result"]["resourceSpans"].as_array().unwrap();
        let of_resource = |one: &Value| one["scopeSpans"][0]["spans"].as_array().unwrap().clone();
        let all: Vec<Value> = resources.iter().flat_map(of_resource).collect();
        let ids: BTreeSet<&str> = all.iter().map(|span| text(&span["traceId"])).collect();
        assert_eq!(ids.len(), traces, "{path}");
        let warns = |span: &Value| {
            let first = &span["attributes"][0];
            first["key"] == "@jaeger@warnings" && is_cut(&first["value"]["arrayValue"]["values"][0]["stringValue"])
        };
        assert_eq!(all.iter().filter(|span| warns(span)).count(), 1, "{path}");
    }
}

#[test]
fn several_ids_are_answered_up_to_a_bound() {
    let served = Served::made("2026-03-02T12:00:00.000Z", |root| giant::long_turn(root, 15_000, 1));
    let found = served.traces("/traces?service=claude-code&limit=1000");
    let largest = found.iter().max_by_key(|trace| spans(trace).len()).unwrap();
    assert!((15_000..20_000).contains(&spans(largest).len()));
    let (id, small) = (text(&largest["traceID"]), text(&found[0]["traceID"]));
    let answer = served.json(&format!("/traces?traceID={id}&traceID=abc&traceID={id}&traceID={small}"));
    assert_eq!(answer["data"], Value::from(vec![largest.clone()]));
    let left_out = "left out: an answer has 20000 spans at most";
    let errors = answer["errors"].as_array().unwrap().iter();
    let errors: Vec<(&str, &str)> = errors.map(|error| (text(&error["traceID"]), text(&error["msg"]))).collect();
    assert_eq!(errors, [("abc", "trace not found"), (id, left_out), (small, left_out)]);
}

#[test]
fn the_files_of_a_session_are_listed_up_to_a_bound() {
    let mut world = analytics::World::empty();
    giant::many_agents(&world.projects, 1_004);
    world.count();
    let detail = world.json(&format!("/{SESSION}"));
    for (list, omitted, count) in [("files", "files_omitted", 5), ("subagents", "subagents_omitted", 4)] {
        assert_eq!((detail[list].as_array().unwrap().len(), &detail[omitted]), (1_000, &count.into()), "{list}");
    }
}

/// Lets pieces leave, as many as there are or only some.
fn depart(world: &mut World, pieces: usize) {
    let engine = world.engine.as_mut().unwrap();
    engine.commit(world.now).unwrap();
    world.now = Timestamp(world.now.0 + 5_000);
    for _ in 0..pieces {
        if !engine.tick(world.now).unwrap() {
            break;
        }
    }
    engine.flush().unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_turn_of_twenty_thousand_calls_arrives_once_across_kills() {
    let folder = tempfile::tempdir().unwrap();
    let mut world = World::new(folder.path());
    giant::long_turn(&world.root, 20_000, 2);
    world.read(&mut Dice::new(1), usize::MAX);
    let sink = Sink::start().await;
    let endpoints = [("default", sink.url())];
    for pieces in [1, 2, 3, 1, usize::MAX] {
        depart(&mut world, pieces);
        let outbox = world.outbox.take().unwrap();
        // Stopping empties the outbox first.
        outbox::Running::start(vec![outbox], &endpoints).stop().await;
        world.die();
        world.read(&mut Dice::new(2), usize::MAX);
    }
    assert!(world.take_spans().is_empty(), "all has left");
    let arrived = sink.accepted_spans();
    let ids: BTreeSet<(Vec<u8>, Vec<u8>)> =
        arrived.iter().map(|span| (span.trace_id.clone(), span.span_id.clone())).collect();
    assert_eq!(ids.len(), arrived.len(), "a span arrived twice");

    // A sidecar that was never killed has the same.
    let folder = tempfile::tempdir().unwrap();
    let mut calm = World::new(folder.path());
    giant::long_turn(&calm.root, 20_000, 2);
    calm.read(&mut Dice::new(1), usize::MAX);
    depart(&mut calm, usize::MAX);
    let expected = calm.take_spans();
    assert!(expected.len() > 22_000, "{}", expected.len());
    let wanted: BTreeSet<(Vec<u8>, Vec<u8>)> =
        expected.iter().map(|span| (span.trace.0.to_be_bytes().to_vec(), span.id.0.to_be_bytes().to_vec())).collect();
    assert!(ids == wanted, "{} spans instead of {}", ids.len(), wanted.len());
    let attributes: usize = expected.iter().map(|span| span.attributes.len()).sum();
    assert_eq!(arrived.iter().map(|span| span.attributes.len()).sum::<usize>(), attributes);
    let root = expected.iter().filter(|span| span.parent.is_none()).map(|span| span.trace);
    assert!(root.into_iter().any(|trace| trace.0 == RowId::of("00000000-0000-4000-8000-000000000000").0));
}

#[test]
fn a_turn_with_a_long_sub_agent_leaves_once() {
    let folder = tempfile::tempdir().unwrap();
    let mut world = World::new(folder.path());
    giant::long_agent(&world.root, 6_000);
    world.read(&mut Dice::new(1), usize::MAX);
    depart(&mut world, usize::MAX);
    let spans = world.take_spans();
    let ids: BTreeSet<(TraceId, SpanId)> = spans.iter().map(|span| (span.trace, span.id)).collect();
    assert_eq!(ids.len(), spans.len(), "a span leaves twice");
    // The turn, its two responses and its call; the sub-agent, its responses and its calls.
    assert_eq!(spans.len(), 4 + 2 + 600 + 6_000);
}
