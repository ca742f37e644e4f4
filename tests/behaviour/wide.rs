//! One line with any number of tool calls, results or iterations is counted like many lines, and stored bit by bit.

use serde_json::{Value, json};
use tailspan::engine::ahead::{Parsed, next_piece};
use tailspan::tail;
use tailspan::transcript::ids::SessionId;
use tailspan::transcript::record::RowBody;
use tailspan::views::sessions::summary::Summary;
use tailspan::views::traces::span::Span;

use crate::support::giant::{Rows, SESSION, SLUG, call, result, usage};
use crate::support::sums;
use crate::support::world::{Dice, World, append, clean};

/// What is counted of a session, and its spans.
#[derive(Debug, PartialEq)]
struct Facts {
    summary: Summary,
    series: Vec<String>,
    spans: Vec<Span>,
}

fn write(world: &World, rows: &Rows) {
    append(&world.root.join(SLUG).join(format!("{SESSION}.jsonl")), rows.text.as_bytes());
}

fn facts_of(rows: &Rows) -> Facts {
    let folder = tempfile::tempdir().unwrap();
    let mut world = World::new(folder.path());
    write(&world, rows);
    world.read(&mut Dice::new(1), usize::MAX);
    let snapshot = world.settle();
    assert_eq!(world.summary(), clean(&[world.root.clone()]), "the state says what a clean pass says");
    sums::check(world.reader.as_ref().unwrap(), "one session");
    let series = snapshot.iter().filter(|(series, _)| !series.metric.contains("lines_total"));
    let series = series.map(|row| format!("{row:?}")).collect();
    let mut spans = world.take_spans();
    spans.sort_by_key(|span| span.id);
    Facts { summary: world.summary(), series, spans }
}

/// Compares without printing thousands of spans.
fn same(found: &[Span], expected: &[Span], said: &str) {
    let ids = |spans: &[Span]| spans.iter().map(|span| span.id).collect::<Vec<_>>();
    assert!(ids(found) == ids(expected), "{said}: {} spans instead of {}", found.len(), expected.len());
    found.iter().zip(expected).for_each(|(found, expected)| assert_eq!(found, expected, "{said}"));
}

/// A response of so many calls and a text, and their results, `at_once` of either to a row.
fn turn_of(calls: usize, at_once: usize, usage: &Value) -> Rows {
    let mut rows = Rows::of_session();
    rows.prompt("go");
    rows.ms += 1_000;
    let mut blocks =
        vec![json!({"type": "thinking", "thinking": "Hm."}), json!({"type": "text", "text": "All of them."})];
    blocks.extend((0..calls).map(call));
    for some in blocks.chunks(at_once) {
        rows.response("msg_1", some, "tool_use", usage);
    }
    rows.ms += 2_000;
    let blocks: Vec<Value> = (0..calls).map(result).collect();
    for (number, some) in blocks.chunks(at_once).enumerate() {
        // What the client says beside a result goes to the first of the row.
        let patch = json!({"structuredPatch": [{"lines": ["+one", "+two", "-three", " four"]}]});
        rows.results(some, if number == 0 { &patch } else { &Value::Null });
    }
    rows.ms += 500;
    rows.ends("msg_2");
    rows
}

#[test]
fn calls_in_one_row_count_like_calls_in_many() {
    let steps = json!({"input_tokens": 10, "output_tokens": 20, "iterations": [
        {"type": "message", "input_tokens": 10, "output_tokens": 20},
        {"type": "compaction", "input_tokens": 700, "output_tokens": 5}]});
    for calls in [99, 100, 101, 5_000] {
        let one = facts_of(&turn_of(calls, usize::MAX, &steps));
        assert_eq!(one.spans.len(), calls + 3, "a turn, two responses, the calls");
        let sessions = one.summary.session_list.as_ref().unwrap();
        let tally = serde_json::to_value(&sessions[0]).unwrap();
        assert_eq!(tally["messages"], 2, "{tally}");
        assert_eq!(tally["tokens"]["output"], 20 + 5 + 40, "{tally}");
        for at_once in [1, 7, 1_000] {
            let many = facts_of(&turn_of(calls, at_once, &steps));
            assert_eq!(many.summary, one.summary, "{calls} calls, {at_once} to a row");
            assert_eq!(many.series, one.series, "{calls} calls, {at_once} to a row");
            same(&many.spans, &one.spans, &format!("{calls} calls, {at_once} to a row"));
        }
    }
}

#[test]
fn a_row_of_very_many_calls_is_folded_and_stored_bit_by_bit() {
    const CALLS: u64 = 20_000;
    /// More than what waits for a commit: four thousand parts, and those around the last ones.
    const WAITING_MAX: u64 = 10_000;
    let folder = tempfile::tempdir().unwrap();
    let mut world = World::new(folder.path());
    write(&world, &turn_of(usize::try_from(CALLS).unwrap(), usize::MAX, &usage()));
    let stored = |world: &World| {
        let session = world.reader.as_ref().unwrap().session(&SessionId(SESSION.into())).unwrap();
        let calls: u64 = session.iter().flat_map(|session| session.tally.tools.values()).map(|tool| tool.calls).sum();
        let ends: u64 = session.iter().flat_map(|session| session.tally.tools.values()).map(|tool| tool.failed).sum();
        (calls, ends)
    };
    let found = tail::scan(&world.root, &mut |problem| panic!("{problem}"));
    let mut job = world.engine.as_mut().unwrap().jobs(found).unwrap().pop().unwrap();
    let mut reader = tail::FileReader::new(world.limits);
    loop {
        let (parsed, more) = next_piece(&mut reader, &job);
        let Parsed::Piece(piece) = parsed else { panic!("{parsed:?}") };
        for record in &piece.batch.records {
            assert!(!matches!(&record.body, RowBody::Row(row) if row.blocks() > 1_000), "{:?}", record.place);
        }
        let before = stored(&world);
        world.engine.as_mut().unwrap().step(&piece, world.now).unwrap();
        let after = stored(&world);
        if piece.bytes > 1 << 20 {
            let is_calls = before.0 == 0;
            assert!(!is_calls || after.0 + WAITING_MAX > CALLS, "{after:?}");
            assert!(is_calls || (after.1 + WAITING_MAX / 7) * 7 > CALLS, "{after:?}");
        }
        job.cursor = Some(Box::new(piece.cursor));
        if !more {
            break;
        }
    }
    world.settle();
    assert_eq!(world.summary(), clean(&[world.root.clone()]));
}

#[test]
fn a_crash_within_a_wide_row_adds_nothing() {
    let rows = turn_of(9_000, usize::MAX, &usage());
    let expected = facts_of(&rows);
    let folder = tempfile::tempdir().unwrap();
    let mut world = World::new(folder.path());
    write(&world, &rows);
    for pieces in [1, 2, 3] {
        world.read(&mut Dice::new(pieces), usize::try_from(pieces).unwrap());
        // What was committed of the line is on disk, its cursor is not: it is read again.
        world.die();
    }
    world.read(&mut Dice::new(9), usize::MAX);
    let snapshot = world.settle();
    let series = snapshot.iter().filter(|(series, _)| !series.metric.contains("lines_total"));
    let series: Vec<String> = series.map(|row| format!("{row:?}")).collect();
    assert_eq!(series, expected.series);
    let mut spans = world.take_spans();
    spans.sort_by_key(|span| span.id);
    same(&spans, &expected.spans, "after three crashes");
}

#[test]
fn very_many_iterations_are_summed_up_and_their_tokens_counted() {
    let entry =
        |kind: &str, model: &str| json!({"type": kind, "model": model, "input_tokens": 100, "output_tokens": 7});
    let mut iterations = vec![json!({"type": "message", "input_tokens": 3, "output_tokens": 4}); 600];
    iterations.extend((0..5_000).map(|_| entry("compaction", "claude-sonnet-4-5")));
    iterations.extend((0..3_000).map(|_| entry("advisor_message", "claude-opus-4-5")));
    let used = json!({"input_tokens": 1_800, "output_tokens": 2_400, "iterations": iterations});
    let found = facts_of(&turn_of(3, usize::MAX, &used));
    let models = serde_json::to_value(&found.summary).unwrap()["models"].clone();
    let tokens = |model: &str, kind: &str| models[model]["tokens"][kind].as_u64().unwrap();
    assert_eq!(tokens("claude-sonnet-4-5", "output"), 2_400 + 5_000 * 7 + 40);
    assert_eq!(tokens("claude-sonnet-4-5", "input"), 1_800 + 5_000 * 100 + 3);
    assert_eq!(tokens("claude-opus-4-5", "output"), 3_000 * 7);
    assert_eq!(tokens("claude-opus-4-5", "input"), 3_000 * 100);
}
