//! How long prompts waited in the client's queue.

use serde_json::{Value as Json, json};
use tailspan::views::traces::attributes as name;
use tailspan::views::traces::span::{Span, Value};

use crate::support::spans::{named, value, waiting};
use crate::support::world::{Dice, World, append};

const SESSION: &str = "0f000000-0000-4000-8000-000000000001";

fn at(millisecond: u32) -> String {
    format!("2026-11-22T06:00:{:02}.{:03}Z", millisecond / 1000, millisecond % 1000)
}

fn queue(operation: &str, millisecond: u32) -> Json {
    json!({ "type": "queue-operation", "operation": operation, "timestamp": at(millisecond), "sessionId": SESSION })
}

fn prompt(number: u32, millisecond: u32) -> Json {
    json!({
        "type": "user", "sessionId": SESSION, "promptId": format!("p{number}"), "timestamp": at(millisecond),
        "uuid": format!("0f000000-0000-4000-8000-0000000001{number:02}"), "isSidechain": false,
        "message": { "role": "user", "content": "do it" },
    })
}

/// Seconds that the prompts of a session waited, in order, as their turns say.
fn waited(rows: &[Json]) -> Vec<Option<f64>> {
    let text: String = rows.iter().map(|row| format!("{row}\n")).collect();
    let folder = tempfile::tempdir().unwrap();
    let mut world = World::new(folder.path());
    let file = world.root.join(format!("-home-dev/{SESSION}.jsonl"));
    // Row by row: what a thread knows must outlive each commit.
    for line in text.split_inclusive('\n') {
        append(&file, line.as_bytes());
        world.read(&mut Dice::new(1), usize::MAX);
        world.restart();
    }
    world.settle();
    let mut spans: Vec<Span> = world.take_spans();
    spans.sort_by_key(|span| span.start);
    let seconds = |span: &&Span| match value(&span.attributes, name::PROMPT_QUEUED_SECONDS) {
        Some(Value::Float(seconds)) => Some(*seconds),
        None => None,
        other => panic!("{other:?}"),
    };
    named(&spans, "invoke_agent claude-code").iter().map(seconds).collect()
}

#[test]
fn a_prompt_says_how_long_it_waited() {
    let rows = [
        prompt(1, 0),
        queue("enqueue", 1_000),
        queue("enqueue", 2_500),
        queue("dequeue", 10_000),
        prompt(2, 10_050),
        queue("dequeue", 20_000),
        prompt(3, 20_010),
        prompt(4, 21_000),
    ];
    // Of two that wait nobody knows which one leaves.
    assert_eq!(waited(&rows), [None, None, Some(17.5), None]);
}

#[test]
fn a_prompt_that_hardly_waited_says_nothing() {
    assert_eq!(waited(&[queue("enqueue", 0), queue("dequeue", 99), prompt(1, 300)]), [None]);
    assert_eq!(waited(&[queue("enqueue", 0), queue("dequeue", 100), prompt(1, 300)]), [Some(0.1)]);
}

#[test]
fn a_wait_that_was_not_this_prompts_is_not_taken_for_it() {
    // A fork writes its own queue above the rows that it copies.
    let copied = [queue("enqueue", 20_000), queue("dequeue", 21_000), prompt(1, 5_000), prompt(2, 21_100)];
    assert_eq!(waited(&copied), [None, Some(1.0)]);
    // It went elsewhere: the next prompt was typed later.
    assert_eq!(waited(&[queue("enqueue", 0), queue("dequeue", 1_000), prompt(1, 6_001)]), [None]);
    // What waits is no longer known after any other step.
    let emptied = [queue("enqueue", 0), queue("popAll", 1_000), queue("dequeue", 2_000), prompt(1, 2_000)];
    assert_eq!(waited(&emptied), [None]);
    assert_eq!(waited(&[queue("dequeue", 2_000), prompt(1, 2_000)]), [None]);
    // What a killed client left behind is never taken out.
    let killed = [queue("enqueue", 0), queue("enqueue", 30_000), queue("dequeue", 30_010), prompt(1, 30_020)];
    assert_eq!(waited(&killed), [None]);
}

#[test]
fn a_file_full_of_waiting_prompts_costs_no_memory() {
    let mut rows: Vec<Json> = (0..1000).map(|n| queue("enqueue", n)).collect();
    rows.extend([queue("dequeue", 1_500), prompt(1, 1_600)]);
    let text: String = rows.iter().map(|row| format!("{row}\n")).collect();
    let folder = tempfile::tempdir().unwrap();
    let mut world = World::new(folder.path());
    append(&world.root.join(format!("-home-dev/{SESSION}.jsonl")), text.as_bytes());
    world.read(&mut Dice::new(1), usize::MAX);
    world.settle();
    assert_eq!(named(&waiting(&mut world), "invoke_agent claude-code").len(), 1);
}
